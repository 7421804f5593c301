// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page that posts the token back, and the post itself.
//!
//! The page works without script: it shows a button. With script it presses it by itself; the
//! policy names the script by its hash, so that no other one runs.

use super::redirect::ACTION_SIGN_IN;
use super::{FORM_BYTES_MAX, PARAMETER_BYTES_MAX, PassiveError};
use crate::encoding;
use crate::xml::{escape_attribute, escape_text};

/// The page with the form.
#[derive(Clone, PartialEq, Eq)]
pub struct AutoPostForm {
    /// Where to post to: the passive endpoint.
    pub action: String,
    /// What is posted.
    pub response: SignInResponse,
}

/// What the form posts.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInResponse {
    /// `wresult`: the answer around the token.
    pub wresult: String,
    /// `wctx`: as it came with the request.
    pub context: String,
}

// A token is as good as a signature for two minutes: it is not printed.
impl std::fmt::Debug for SignInResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignInResponse(..)")
    }
}

impl std::fmt::Debug for AutoPostForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AutoPostForm({}, ..)", self.action)
    }
}

const SCRIPT: &str = "document.forms[0].submit()";
/// SHA-256 of [`SCRIPT`], as the policy names it.
const SCRIPT_SHA256: &str = "ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE=";

impl AutoPostForm {
    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut html = String::from(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Signing in</title></head>\n\
             <body>\n<form method=\"post\" action=\"",
        );
        escape_attribute(&self.action, &mut html);
        html.push_str("\">\n");
        for (name, value) in [
            ("wa", ACTION_SIGN_IN),
            ("wresult", &self.response.wresult),
            ("wctx", &self.response.context),
        ] {
            html.push_str("<input type=\"hidden\" name=\"");
            html.push_str(name);
            html.push_str("\" value=\"");
            escape_attribute(value, &mut html);
            html.push_str("\">\n");
        }
        html.push_str("<p>Your card was accepted.</p>\n<button type=\"submit\">");
        escape_text("Continue", &mut html);
        html.push_str("</button>\n</form>\n<script>");
        html.push_str(SCRIPT);
        html.push_str("</script>\n</body>\n</html>\n");
        html
    }

    /// The header `Content-Security-Policy` for the page.
    #[must_use]
    pub fn content_security_policy(&self) -> String {
        let origin = origin(&self.action);
        format!(
            "default-src 'none'; script-src 'sha256-{SCRIPT_SHA256}'; form-action {origin}; \
             base-uri 'none'; frame-ancestors 'none'"
        )
    }

    /// Reads the page of a federation endpoint, ours or another that writes plain HTML.
    pub fn parse(html: &str) -> Result<Self, PassiveError> {
        if html.len() > FORM_BYTES_MAX {
            return Err(PassiveError::TooLarge);
        }
        let mut action = None;
        let (mut wresult, mut context) = (None, None);
        for tag in tags(html) {
            let name = tag.split_ascii_whitespace().next().unwrap_or("");
            if name.eq_ignore_ascii_case("form") && action.is_none() {
                action = attribute(tag, "action");
            } else if name.eq_ignore_ascii_case("input") && action.is_some() {
                let value = attribute(tag, "value");
                match attribute(tag, "name").as_deref() {
                    Some("wresult") => wresult = wresult.or(value),
                    Some("wctx") => context = context.or(value),
                    _ => {}
                }
            }
        }
        match (action, wresult) {
            (Some(action), Some(wresult)) if !action.is_empty() => {
                let context = context.unwrap_or_default();
                Ok(Self {
                    action,
                    response: SignInResponse { wresult, context },
                })
            }
            _ => Err(PassiveError::NoForm),
        }
    }
}

impl SignInResponse {
    /// The body of the post.
    #[must_use]
    pub fn to_form_body(&self) -> String {
        format!(
            "wa={ACTION_SIGN_IN}&wresult={}&wctx={}",
            encoding::percent_encode(&self.wresult),
            encoding::percent_encode(&self.context),
        )
    }

    /// Reads the body of the post.
    pub fn from_form_body(body: &str) -> Result<Self, PassiveError> {
        if body.len() > FORM_BYTES_MAX {
            return Err(PassiveError::TooLarge);
        }
        if encoding::form_value(body, "wa").as_deref() != Some(ACTION_SIGN_IN) {
            return Err(PassiveError::Action);
        }
        let wresult =
            encoding::form_value(body, "wresult").ok_or(PassiveError::Parameter("wresult"))?;
        let context = encoding::form_value(body, "wctx").unwrap_or_default();
        if context.len() > PARAMETER_BYTES_MAX {
            return Err(PassiveError::TooLarge);
        }
        Ok(Self { wresult, context })
    }
}

/// `https://host:port` of an address; nothing when it has none, so that nothing may be posted.
fn origin(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let host = url
        .get(end..)
        .unwrap_or("")
        .split(['/', '?', '#'])
        .next()
        .unwrap_or("");
    let plain = host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']'));
    if end == 0 || host.is_empty() || !plain {
        return String::from("'none'");
    }
    format!("{}{host}", url.get(..end).unwrap_or(""))
}

/// The inside of every tag, without the angle brackets. Quoted values may hold a `>`.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('<')?;
        let mut quote = None;
        let end = after.find(|c| match (quote, c) {
            (None, '>') => true,
            (None, '"' | '\'') => {
                quote = Some(c);
                false
            }
            (Some(open), c) if open == c => {
                quote = None;
                false
            }
            _ => false,
        })?;
        let (tag, tail) = after.split_at(end);
        rest = tail;
        Some(tag)
    })
}

/// The value of an attribute, unescaped.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once('=')?;
        let key = before
            .trim_end()
            .rsplit([' ', '\t', '\r', '\n', '"', '\''])
            .next()
            .unwrap_or("");
        let after = after.trim_start();
        let (value, tail) = match after.strip_prefix(['"', '\'']) {
            Some(quoted) => quoted.split_once(after.chars().next()?)?,
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(unescape(value));
        }
        rest = tail;
    }
}

/// Replaces the references that HTML writers use in attribute values; others stay as they are.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after
            .split_once(';')
            .and_then(|(name, tail)| Some((reference(name)?, tail)));
        if let Some((c, tail)) = known {
            out.push(c);
            rest = tail;
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            code.ok().and_then(char::from_u32)
        }
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
