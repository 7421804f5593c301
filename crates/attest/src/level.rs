// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much is known about where a key lives.

use std::fmt;
use std::str::FromStr;

use lanyard_x509::Oid;

/// What was proved about a key, the least first. AD CS has the same steps for TPM keys ("TPM Key Attestation").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Nothing: the key may be a file.
    None,
    /// A TPM's attestation key vouches for it, and only the person's own word vouches for that TPM
    /// (tpmvscmgr's `AIK_ONLY`; AD CS "user credential").
    TpmUser,
    /// It lives in a PIV card that its maker's certificate vouches for.
    PivCertificate,
    /// It lives in a TPM that its maker's endorsement certificate vouches for (`AIK_AND_CERT`; AD CS
    /// "endorsement certificate").
    TpmCertificate,
    /// It lives in a TPM that the administrator has listed (AD CS "endorsement key").
    TpmKnown,
}

impl Level {
    /// All levels, the least first.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::TpmUser,
        Self::PivCertificate,
        Self::TpmCertificate,
        Self::TpmKnown,
    ];

    /// The word for this level in commands, answers and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::TpmUser => "tpm-user",
            Self::PivCertificate => "piv-certificate",
            Self::TpmCertificate => "tpm-certificate",
            Self::TpmKnown => "tpm-known",
        }
    }

    /// The last number of the issuance policy that AD CS writes for this level, below 1.3.6.1.4.1.311.21;
    /// `None` where it has none.
    #[must_use]
    pub fn ad_cs_policy(self) -> Option<u32> {
        match self {
            Self::TpmKnown => Some(30),
            Self::TpmCertificate => Some(31),
            Self::TpmUser => Some(32),
            Self::None | Self::PivCertificate => None,
        }
    }

    /// The greatest level that these issuance policies of a certificate stand for; `card_attested` is the deployment's
    /// own policy for cards that their maker vouches for.
    #[must_use]
    pub fn of_policies(policies: &[Oid], card_attested: Option<&Oid>) -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|level| match level.policy(card_attested) {
                Some(policy) => policies.contains(&policy),
                None => false,
            })
            .unwrap_or(Self::None)
    }

    /// The issuance policy that stands for this level in a certificate.
    #[must_use]
    pub fn policy(self, card_attested: Option<&Oid>) -> Option<Oid> {
        match (self, self.ad_cs_policy()) {
            (_, Some(last)) => Oid::from_arcs([1, 3, 6, 1, 4, 1, 311, 21, last]).ok(),
            (Self::PivCertificate, None) => card_attested.copied(),
            _ => None,
        }
    }

    /// What it means, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "nothing is proved about where the key lives",
            Self::TpmUser => "in a TPM that no maker's certificate vouches for",
            Self::PivCertificate => "in a card that its maker's certificate vouches for",
            Self::TpmCertificate => "in a TPM that its maker's certificate vouches for",
            Self::TpmKnown => "in a TPM that the administrator has listed",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the levels are none, tpm-user, piv-certificate, tpm-certificate and tpm-known")]
pub struct UnknownLevel;

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text.trim())
            .ok_or(UnknownLevel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_read_back_from_its_word_and_stands_in_order() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
        }
        assert!(Level::ALL.is_sorted());
        let own: Oid = "1.3.6.1.4.1.311.21.8.1.402".parse().unwrap();
        for level in Level::ALL {
            let policies: Vec<Oid> = level.policy(Some(&own)).into_iter().collect();
            assert_eq!(Level::of_policies(&policies, Some(&own)), level);
        }
        assert_eq!("high".parse::<Level>(), Err(UnknownLevel));
    }
}
