// SPDX-License-Identifier: MIT OR Apache-2.0
//! A security association: two keys, two counters, and the names that both sides sign.

use std::fmt;

use aws_lc_rs::hmac;
use lanyard_sip::{AuthParams, AuthValue, Headers, Message, Name, OutMessage};
use subtle::ConstantTimeEq as _;

use crate::SCHEME;
use crate::keys::SigningKeys;
use crate::text::{Proof, signature_text};

/// Which side of the association we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Signs with `Authorization`, verifies `Authentication-Info`.
    Client,
    /// Signs with `Authentication-Info`, verifies `Authorization`.
    Server,
}

/// Why a message was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// There is no association yet.
    #[error("no security association")]
    NotEstablished,
    /// The message lacks From, To, Call-ID or CSeq, or one of them is malformed.
    #[error("message lacks a field that must be signed")]
    Incomplete,
    /// The counter has reached its end; a new association is needed.
    #[error("message counter of the security association is used up")]
    CounterExhausted,
}

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no association yet.
    #[error("no security association")]
    NotEstablished,
    /// The message carries no proof.
    #[error("message is not signed")]
    Unsigned,
    /// The proof cannot be read, lacks a parameter, or stands there twice.
    #[error("malformed message signature")]
    Malformed,
    /// The proof is of another scheme.
    #[error("message is signed by another scheme")]
    WrongScheme,
    /// The proof names another association, perhaps one of another connection.
    #[error("message belongs to another security association")]
    WrongAssociation,
    /// The proof names another realm.
    #[error("message is signed for another realm")]
    WrongRealm,
    /// The proof names another server.
    #[error("message is signed for another server")]
    WrongTarget,
    /// The counter is not greater than that of the message before.
    #[error("message was received before")]
    Replayed,
    /// The signature does not match the message.
    #[error("message signature is wrong")]
    WrongSignature,
    /// The message lacks a field that must be signed.
    #[error("message lacks a field that must be signed")]
    Incomplete,
}

/// The names of an association; both sides sign them with every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) opaque: String,
    pub(crate) realm: String,
    pub(crate) targetname: String,
}

/// Signs what one side sends and verifies what it receives.
pub struct SecurityAssociation {
    role: Role,
    names: Names,
    signing: hmac::Key,
    verifying: hmac::Key,
    seed: u64,
    sent: u32,
    received: u32,
}

impl SecurityAssociation {
    /// An association between two sides that agree on `opaque` (the server's name for it).
    #[must_use]
    pub fn new(
        role: Role,
        keys: &SigningKeys,
        opaque: impl Into<String>,
        realm: impl Into<String>,
        targetname: impl Into<String>,
    ) -> SecurityAssociation {
        let names = Names {
            opaque: opaque.into(),
            realm: realm.into(),
            targetname: targetname.into(),
        };
        Self::of_names(role, keys, names)
    }

    pub(crate) fn of_names(role: Role, keys: &SigningKeys, names: Names) -> Self {
        let (signing, verifying) = match role {
            Role::Client => (keys.client(), keys.server()),
            Role::Server => (keys.server(), keys.client()),
        };
        SecurityAssociation {
            role,
            names,
            signing,
            verifying,
            seed: keys.seed(),
            sent: 0,
            received: 0,
        }
    }

    /// Continues the counters of the association that this one replaces on the same connection:
    /// they are not reset by re-authentication.
    pub fn continue_from(&mut self, old: &SecurityAssociation) {
        self.sent = self.sent.max(old.sent);
        self.received = self.received.max(old.received);
    }

    /// The server's name for the association.
    #[must_use]
    pub fn opaque(&self) -> &str {
        &self.names.opaque
    }

    /// Appends the proof. The message must not be changed afterwards.
    ///
    /// # Errors
    /// When the message cannot be signed; it is unchanged then.
    pub fn sign(&mut self, message: &mut OutMessage) -> Result<(), SignError> {
        let num = self
            .sent
            .checked_add(1)
            .ok_or(SignError::CounterExhausted)?;
        let num_text = num.to_string();
        let rand = match self.role {
            Role::Client => format!("{:08x}", mix(self.seed, num)),
            Role::Server => format!("{:08X}", mix(self.seed, num)),
        };
        let proof = Proof {
            scheme: SCHEME,
            rand: &rand,
            num: &num_text,
            realm: &self.names.realm,
            targetname: &self.names.targetname,
        };
        let text = signature_text(message, &proof).ok_or(SignError::Incomplete)?;
        let signature = hex::encode_upper(hmac::sign(&self.signing, text.as_bytes()));
        self.sent = num;
        let value = AuthValue::new(SCHEME)
            .quoted("qop", "auth")
            .quoted("opaque", &self.names.opaque)
            .quoted("realm", &self.names.realm)
            .quoted("targetname", &self.names.targetname);
        let (name, value) = match self.role {
            Role::Client => (
                Name::Authorization,
                value
                    .quoted("crand", &rand)
                    .quoted("cnum", &num_text)
                    .quoted("response", &signature),
            ),
            // Always this name, even where others use Proxy-Authentication-Info: independent
            // clients look for no other.
            Role::Server => (
                Name::AuthenticationInfo,
                value
                    .quoted("srand", &rand)
                    .quoted("snum", &num_text)
                    .quoted("rspauth", &signature)
                    .number("version", crate::VERSION),
            ),
        };
        message.set(name, value.finish());
        Ok(())
    }

    /// Checks the proof of a received message and counts it.
    ///
    /// # Errors
    /// Why the message must not be obeyed. Nothing is counted then.
    pub fn verify(&mut self, message: &Message) -> Result<(), VerifyError> {
        let auth = proof_of(self.role, message)?;
        let require = |name| auth.get(name).ok_or(VerifyError::Malformed);
        let (rand, num_text, signature) = match self.role {
            Role::Server => (require("crand")?, require("cnum")?, require("response")?),
            Role::Client => (require("srand")?, require("snum")?, require("rspauth")?),
        };
        if require("opaque")? != self.names.opaque {
            return Err(VerifyError::WrongAssociation);
        }
        if require("realm")? != self.names.realm {
            return Err(VerifyError::WrongRealm);
        }
        if require("targetname")? != self.names.targetname {
            return Err(VerifyError::WrongTarget);
        }
        let digits = num_text.bytes().all(|b| b.is_ascii_digit());
        let num = num_text.parse::<u32>().ok().filter(|_| digits);
        let num = num.ok_or(VerifyError::Malformed)?;
        if num <= self.received {
            return Err(VerifyError::Replayed);
        }
        let signature = hex::decode(signature).map_err(|_| VerifyError::Malformed)?;
        let proof = Proof {
            scheme: auth.scheme,
            rand,
            num: num_text,
            realm: &self.names.realm,
            targetname: &self.names.targetname,
        };
        let text = signature_text(message, &proof).ok_or(VerifyError::Incomplete)?;
        let expected = hmac::sign(&self.verifying, text.as_bytes());
        if !bool::from(expected.as_ref().ct_eq(&signature)) {
            return Err(VerifyError::WrongSignature);
        }
        self.received = num;
        Ok(())
    }
}

/// The proof that a message carries for this side.
pub(crate) fn proof_of(role: Role, message: &Message) -> Result<AuthParams<'_>, VerifyError> {
    let name = match role {
        Role::Server => Name::Authorization,
        Role::Client => Name::AuthenticationInfo,
    };
    let mut values = message.headers(name);
    let value = values.next().ok_or(VerifyError::Unsigned)?;
    if values.next().is_some() {
        return Err(VerifyError::Malformed);
    }
    // Of a repeated header the first is signed; which one is obeyed must not be a guess.
    message.envelope().map_err(|_| VerifyError::Incomplete)?;
    let auth = AuthParams::parse(value).map_err(|_| VerifyError::Malformed)?;
    if !auth.is_scheme(SCHEME) {
        return Err(VerifyError::WrongScheme);
    }
    Ok(auth)
}

/// A row of numbers that does not repeat soon (the finaliser of splitmix64). Nothing rests on it:
/// the counter makes every signed text unique.
fn mix(seed: u64, num: u32) -> u32 {
    let mut z = seed.wrapping_add(u64::from(num).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 32) as u32
}

impl fmt::Debug for SecurityAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityAssociation")
            .field("role", &self.role)
            .field("names", &self.names)
            .field("sent", &self.sent)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
