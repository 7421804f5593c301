// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the server says of policy about the card in use.

use std::time::Duration;

use lanyard_presence::xml::provisioning::{CARD_POLICY, Provisioning};

/// The longest grace time that is believed; the server's own limit.
const GRACE_SECS_MAX: u64 = 3_600;
/// The shortest time between two proofs that is believed: whoever says less only wears cards out.
const PROOF_SECS_MIN: u64 = 30;

/// What happens when the card is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Removal {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything is hidden until the card is back.
    Lock,
    /// The session ends.
    SignOut,
    /// The session ends, and the program.
    Exit,
}

/// What policy says about the card in use. A server that says nothing asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CardPolicy {
    /// What happens when the card is taken out.
    pub removal: Removal,
    /// After which time.
    pub grace: Duration,
    /// How often the card has to show that it is there.
    pub proof: Option<Duration>,
}

impl CardPolicy {
    /// Reads it.
    pub(super) fn of(document: &Provisioning) -> Self {
        let group = document.groups.get(CARD_POLICY);
        let word = |name: &str| group.and_then(|group| group.get(name)).map(String::as_str);
        let number = |name: &str| word(name).and_then(|word| word.parse::<u64>().ok());
        let removal = match word("cardRemoval") {
            Some("lock") => Removal::Lock,
            Some("sign-out") => Removal::SignOut,
            Some("exit") => Removal::Exit,
            _ => Removal::Nothing,
        };
        let grace = number("cardRemovalGraceSeconds").unwrap_or(0);
        let proof = number("presenceProofSeconds").filter(|seconds| *seconds > 0);
        Self {
            removal,
            grace: Duration::from_secs(grace.min(GRACE_SECS_MAX)),
            proof: proof.map(|seconds| Duration::from_secs(seconds.max(PROOF_SECS_MIN))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_is_read_as_the_server_writes_it_and_nonsense_asks_for_nothing() {
        let settings = vec![
            ("cardRemoval", "lock".to_owned()),
            ("cardRemovalGraceSeconds", "15".to_owned()),
            ("presenceProofSeconds", "120".to_owned()),
        ];
        let sent = Provisioning::default()
            .with_card_policy(settings)
            .to_xml(&[]);
        let read = CardPolicy::of(&Provisioning::parse(sent.as_bytes()).unwrap());
        let expected = CardPolicy {
            removal: Removal::Lock,
            grace: Duration::from_secs(15),
            proof: Some(Duration::from_secs(120)),
        };
        assert_eq!(read, expected);
        let settings = vec![
            ("cardRemoval", "explode".to_owned()),
            ("cardRemovalGraceSeconds", "-1".to_owned()),
            ("presenceProofSeconds", "0".to_owned()),
        ];
        let nonsense = Provisioning::default().with_card_policy(settings);
        assert_eq!(CardPolicy::of(&nonsense), CardPolicy::default());
    }
}
