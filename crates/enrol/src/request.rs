// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person's computer sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_authority::{Card, CardCare};
use lanyard_directory::{EnrolCode, SipAddress};
use lanyard_x509::{Csr, CsrError, PublicKey};
use serde::Deserialize;

use crate::attestation::Evidence;

/// The only template that people enrol by themselves.
pub const TEMPLATE_SMARTCARD_USER: &str = "SmartcardUser";
/// Longest name of a card.
pub const LABEL_CHARS_MAX: usize = 128;

/// The body as JSON. Unknown fields are refused, so that a mistyped one is noticed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// Missing is as good as wrong.
    #[serde(default)]
    code: String,
    address: String,
    template: String,
    csr: String,
    #[serde(default)]
    card_authentication_csr: Option<String>,
    card: CardBody,
    pin_changed: bool,
    /// What the computer says about where the key lives.
    #[serde(default)]
    attestation: Option<Evidence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardBody {
    kind: String,
    guid: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    make: String,
    #[serde(default)]
    computer: String,
    /// Missing for a card that its holder looks after.
    #[serde(default)]
    care: String,
}

/// The body of a check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    #[serde(default)]
    code: String,
    address: String,
    card: CardBody,
}

/// A request that is well formed. Its keys have signed it; nothing else in it is proven.
#[derive(Debug)]
pub struct Asked {
    /// The one-time code; `None` when the text cannot be a code.
    pub code: Option<EnrolCode>,
    /// Who is to be enrolled.
    pub address: SipAddress,
    /// The card.
    pub card: Card,
    /// The name of the card.
    pub label: String,
    /// The make of the card, as far as the program knows it.
    pub make: String,
    /// The computer that it is enrolled on.
    pub computer: String,
    /// Who will unblock the card.
    pub care: CardCare,
    /// The key in slot 9A.
    pub key: PublicKey,
    /// The key in slot 9E.
    pub authentication_key: Option<PublicKey>,
    /// Whether the person has chosen a PIN.
    pub pin_changed: bool,
    /// What the computer says about where the key in slot 9A lives.
    pub evidence: Option<Evidence>,
    /// The request for slot 9A as it came: the evidence names it.
    pub csr: Vec<u8>,
}

/// Why a request is not well formed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not the JSON that is described, or a field that is not understood.
    #[error("the enrolment is not readable")]
    Body,
    /// No sign-in address.
    #[error("the sign-in address is malformed")]
    Address,
    /// Another template.
    #[error("the template is not offered here")]
    Template,
    /// A request for a certificate is not strict base64.
    #[error("a certificate request is not base64")]
    Base64,
    /// A request for a certificate is refused.
    #[error("a certificate request is refused")]
    Csr(#[from] CsrError),
    /// Both requests are for one key.
    #[error("both certificate requests are for the same key")]
    SameKeyTwice,
}

impl Asked {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let body: Body = serde_json::from_slice(body).map_err(|_| RequestError::Body)?;
        if body.template != TEMPLATE_SMARTCARD_USER {
            return Err(RequestError::Template);
        }
        let address = body.address.parse().map_err(|_| RequestError::Address)?;
        let CardFacts {
            card,
            label,
            make,
            computer,
            care,
        } = CardFacts::of(body.card)?;
        let key = key_of(&body.csr)?;
        let authentication_key = body
            .card_authentication_csr
            .as_deref()
            .map(key_of)
            .transpose()?;
        if authentication_key.as_ref() == Some(&key) {
            return Err(RequestError::SameKeyTwice);
        }
        let code = body.code.parse().ok();
        let pin_changed = body.pin_changed;
        let evidence = body.attestation;
        let csr = STANDARD
            .decode(&body.csr)
            .map_err(|_| RequestError::Base64)?;
        Ok(Self {
            evidence,
            csr,
            code,
            address,
            card,
            label,
            make,
            computer,
            care,
            key,
            authentication_key,
            pin_changed,
        })
    }
}

/// A question whether an enrolment would be accepted, before anything on the card is replaced.
#[derive(Debug)]
pub struct Check {
    /// The one-time code; `None` when the text cannot be a code.
    pub code: Option<EnrolCode>,
    /// Who is to be enrolled.
    pub address: SipAddress,
    /// The card.
    pub card: Card,
}

impl Check {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let body: CheckBody = serde_json::from_slice(body).map_err(|_| RequestError::Body)?;
        Ok(Self {
            address: body.address.parse().map_err(|_| RequestError::Address)?,
            card: CardFacts::of(body.card)?.card,
            code: body.code.parse().ok(),
        })
    }
}

/// What a request says about its card.
struct CardFacts {
    card: Card,
    label: String,
    make: String,
    computer: String,
    care: CardCare,
}

impl CardFacts {
    fn of(body: CardBody) -> Result<Self, RequestError> {
        let text = |text: String| {
            let plain =
                text.chars().count() <= LABEL_CHARS_MAX && !text.chars().any(char::is_control);
            plain.then_some(text).ok_or(RequestError::Body)
        };
        let care = match body.care.as_str() {
            "" => CardCare::Own,
            care => care.parse().map_err(|_| RequestError::Body)?,
        };
        let card = Card {
            guid: body.guid.parse().map_err(|_| RequestError::Body)?,
            kind: body.kind.parse().map_err(|_| RequestError::Body)?,
        };
        Ok(Self {
            card,
            label: text(body.label)?,
            make: text(body.make)?,
            computer: text(body.computer)?,
            care,
        })
    }
}

/// The key of a request, after its signature was checked. Nothing else is taken from it.
fn key_of(base64: &str) -> Result<PublicKey, RequestError> {
    // Strict: no white space, canonical padding.
    let der = STANDARD.decode(base64).map_err(|_| RequestError::Base64)?;
    Ok(Csr::from_der(&der)?.public_key().clone())
}
