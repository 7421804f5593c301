// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose word counts about where a key lives: makers' certificates, and TPMs that are known one by one.

use lanyard_authority::Actor;
use lanyard_x509::{Certificate, Thumbprint};
use rusqlite::params;
use time::OffsetDateTime;

use crate::value::{Fields, nanos, query_all};
use crate::{ChangeError, Store, StoreError, Tx};

/// What a maker's certificate vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MakerOf {
    /// TPMs.
    Tpms,
    /// PIV cards.
    Cards,
}

impl MakerOf {
    /// The word in the database and in commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tpms => "tpm",
            Self::Cards => "piv",
        }
    }
}

/// A maker whose word counts.
#[derive(Debug, Clone)]
pub struct MakerRecord {
    /// What it makes.
    pub of: MakerOf,
    /// Its certificate.
    pub certificate: Certificate,
    /// When it was added.
    pub added_at: OffsetDateTime,
    /// Who added it.
    pub added_by: String,
}

/// A TPM that is known by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTpm {
    /// SHA-256 of its endorsement key in DER (SubjectPublicKeyInfo).
    pub endorsement_key: [u8; 32],
    /// What the administrator wrote beside it.
    pub note: String,
    /// When it was added.
    pub added_at: OffsetDateTime,
    /// Who added it.
    pub added_by: String,
}

impl Tx<'_> {
    /// Adds a maker; one that is there already stays as it is. Tells whether it was new.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn add_maker(
        &mut self,
        of: MakerOf,
        certificate: &Certificate,
        by: &Actor,
        now: OffsetDateTime,
    ) -> Result<bool, ChangeError> {
        let changed = self
            .connection
            .execute(
                "INSERT INTO attestation_roots (thumbprint, serves, der, added_at, added_by)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (thumbprint) DO NOTHING",
                params![
                    certificate.thumbprint().to_string(),
                    of.as_str(),
                    certificate.der(),
                    nanos(now),
                    by.to_string(),
                ],
            )
            .map_err(StoreError::from)?;
        Ok(changed == 1)
    }

    /// Takes a maker away. Tells whether it was there.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn remove_maker(&mut self, thumbprint: &Thumbprint) -> Result<bool, ChangeError> {
        let changed = self
            .connection
            .execute(
                "DELETE FROM attestation_roots WHERE thumbprint = ?1",
                [thumbprint.to_string()],
            )
            .map_err(StoreError::from)?;
        Ok(changed == 1)
    }

    /// Adds a TPM; one that is there already gets the new note. Tells whether it was new.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn add_known_tpm(
        &mut self,
        endorsement_key: &[u8; 32],
        note: &str,
        by: &Actor,
        now: OffsetDateTime,
    ) -> Result<(), ChangeError> {
        self.connection
            .execute(
                "INSERT INTO known_tpms (endorsement_key, note, added_at, added_by)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (endorsement_key) DO UPDATE SET note = excluded.note",
                params![
                    Thumbprint(*endorsement_key).to_string(),
                    note,
                    nanos(now),
                    by.to_string()
                ],
            )
            .map_err(StoreError::from)?;
        Ok(())
    }

    /// Takes a TPM off the list. Tells whether it was there.
    ///
    /// # Errors
    /// When the database does not do it.
    pub fn remove_known_tpm(&mut self, endorsement_key: &[u8; 32]) -> Result<bool, ChangeError> {
        let changed = self
            .connection
            .execute(
                "DELETE FROM known_tpms WHERE endorsement_key = ?1",
                [Thumbprint(*endorsement_key).to_string()],
            )
            .map_err(StoreError::from)?;
        Ok(changed == 1)
    }
}

impl Store {
    /// The makers whose word counts.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn makers(&self) -> Result<Vec<MakerRecord>, StoreError> {
        self.read(|connection| {
            query_all(
                connection,
                "attestation_roots",
                "SELECT * FROM attestation_roots ORDER BY serves, added_at",
                [],
                maker,
            )
        })
    }

    /// The TPMs that are known by themselves.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn known_tpms(&self) -> Result<Vec<KnownTpm>, StoreError> {
        self.read(|connection| {
            query_all(
                connection,
                "known_tpms",
                "SELECT * FROM known_tpms ORDER BY added_at",
                [],
                known,
            )
        })
    }
}

fn maker(fields: &Fields<'_, '_>) -> Result<MakerRecord, StoreError> {
    let der: Vec<u8> = fields.raw("der")?;
    Ok(MakerRecord {
        of: match fields.raw::<String>("serves")?.as_str() {
            "tpm" => MakerOf::Tpms,
            "piv" => MakerOf::Cards,
            _ => return Err(fields.bad("serves")),
        },
        certificate: Certificate::from_der(&der).map_err(|_| fields.bad("der"))?,
        added_at: fields.time("added_at")?,
        added_by: fields.raw("added_by")?,
    })
}

fn known(fields: &Fields<'_, '_>) -> Result<KnownTpm, StoreError> {
    let text: String = fields.raw("endorsement_key")?;
    let key: Thumbprint = text.parse().map_err(|_| fields.bad("endorsement_key"))?;
    Ok(KnownTpm {
        endorsement_key: key.0,
        note: fields.raw("note")?,
        added_at: fields.time("added_at")?,
        added_by: fields.raw("added_by")?,
    })
}
