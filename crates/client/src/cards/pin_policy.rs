// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--pin-policy` in tpmvscmgr's words, as far as a PIV card can keep to it.
//!
//! tpmvscmgr: `minlen` (8, at least 4), `maxlen` (127), `uppercase`, `lowercase`, `digits` and
//! `specialchars`, each ALLOWED, DISALLOWED or REQUIRED. PIV: six to eight digits.

use lanyard_fault::Fault;
use lanyard_virtual_card::PinDigits;

use crate::problem::Problem;

/// Reads a policy; what a PIV card cannot do is refused with the reason.
pub(super) fn parse(text: &str) -> Result<PinDigits, Problem> {
    let default = PinDigits::default();
    let (mut min, mut max) = (default.min(), default.max());
    for rule in text
        .split(',')
        .map(str::trim)
        .filter(|rule| !rule.is_empty())
    {
        let (key, value) = rule
            .split_once('=')
            .ok_or_else(|| refused(format!("'{rule}' is not of the form name=value.")))?;
        let value = value.trim().to_ascii_lowercase();
        match key.trim().to_ascii_lowercase().as_str() {
            "minlen" => min = length(rule, &value)?,
            "maxlen" => max = length(rule, &value)?,
            "digits" => match value.as_str() {
                "allowed" | "required" => {}
                _ => {
                    return Err(refused(
                        "A PIV card's PIN is nothing but digits.".to_owned(),
                    ));
                }
            },
            key @ ("uppercase" | "lowercase" | "specialchars") => match value.as_str() {
                "disallowed" => {}
                _ => {
                    return Err(refused(format!(
                        "A PIV card's PIN is nothing but digits, so '{key}' can only be disallowed."
                    )));
                }
            },
            other => {
                return Err(refused(format!(
                    "'{other}' is none of minlen, maxlen, digits, uppercase, lowercase and specialchars."
                )));
            }
        }
    }
    PinDigits::new(min, max).map_err(|error| refused(format!("It is refused: {error}.")))
}

fn length(rule: &str, value: &str) -> Result<u8, Problem> {
    value
        .parse()
        .map_err(|_| refused(format!("'{rule}' names no length from 6 to 8.")))
}

fn refused(reason: String) -> Problem {
    Problem::new(Fault::PinPolicyImpossible).with_detail(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_piv_can_do_is_taken_in_tpmvscmgrs_words() {
        let digits = parse("minlen=8, maxlen=8, digits=REQUIRED, uppercase=DISALLOWED").unwrap();
        assert_eq!((digits.min(), digits.max()), (8, 8));
        assert_eq!(parse("").unwrap(), PinDigits::default());
    }

    #[test]
    fn what_piv_cannot_do_is_refused_with_the_reason() {
        for (text, reason) in [
            ("minlen=4", "6 to 8 digits"),
            ("maxlen=127", "6 to 8 digits"),
            ("minlen=8,maxlen=6", "6 to 8 digits"),
            ("maxlen=999", "names no length"),
            ("uppercase=REQUIRED", "nothing but digits"),
            ("specialchars=ALLOWED", "can only be disallowed"),
            ("digits=DISALLOWED", "nothing but digits"),
            ("length=8", "none of minlen"),
            ("minlen", "name=value"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.is(Fault::PinPolicyImpossible), "{text}");
            let detail = problem.detail.unwrap_or_default();
            assert!(detail.contains(reason), "{text}: {detail}");
        }
    }
}
