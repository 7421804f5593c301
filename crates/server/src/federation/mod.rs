// SPDX-License-Identifier: MIT OR Apache-2.0
//! The federation endpoint: a card in, a token out.
//!
//! It stands on its own listener, which asks for a client certificate, and speaks the passive form
//! of WS-Federation: a redirect brings the browser (or our client) here, a form takes it back.

pub mod check;
pub mod holder;
pub mod pages;
pub mod presence;
pub mod standing;

use lanyard_x509::Certificate;

/// The authorities whose cards are accepted.
#[derive(Debug, Clone)]
pub struct CardTrust {
    /// Issuing authority first, then the root.
    chain: [Certificate; 2],
}

impl CardTrust {
    /// Trust in one hierarchy.
    #[must_use]
    pub fn new(issuing: Certificate, root: Certificate) -> Self {
        Self {
            chain: [issuing, root],
        }
    }

    /// The issuing authority's certificate.
    #[must_use]
    pub fn issuing(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The root certificate.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        &self.chain[1]
    }

    /// What may stand between a card and the root.
    #[must_use]
    pub fn intermediates(&self) -> &[Certificate] {
        &self.chain[..1]
    }

    /// What is trusted.
    #[must_use]
    pub fn anchors(&self) -> &[Certificate] {
        &self.chain[1..]
    }
}
