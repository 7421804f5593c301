// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on whose word counts about where a key lives.

use lanyard_authority::audit::Action;
use lanyard_fault::Fault;
use lanyard_store::MakerOf;
use lanyard_x509::{Certificate, Thumbprint};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::execute::Desk;
use super::protocol::Reply;
use crate::problem::Problem;

/// Longest note beside a TPM, in characters.
const NOTE_CHARS_MAX: usize = 128;
/// Makers and TPMs that are kept at most: each is looked at with every enrolment.
const RECORDS_MAX: usize = 1000;

/// What a maker makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Makes {
    /// TPMs.
    Tpm,
    /// PIV cards.
    Piv,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AttestationRequest {
    /// Whose word counts.
    List,
    /// Add the certificates of a maker.
    AddMaker {
        /// What it makes.
        of: Makes,
        /// Its certificates as PEM.
        pem: String,
    },
    /// Take a maker away.
    RemoveMaker {
        /// SHA-256 of its certificate.
        thumbprint: String,
    },
    /// Add one TPM.
    AddTpm {
        /// SHA-256 of its endorsement key.
        key: String,
        /// Whose it is, where it stands.
        note: String,
    },
    /// Take one TPM away.
    RemoveTpm {
        /// SHA-256 of its endorsement key.
        key: String,
    },
}

/// Whose word counts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttestationView {
    /// Makers.
    pub makers: Vec<MakerView>,
    /// TPMs that are known by themselves.
    pub tpms: Vec<TpmView>,
}

/// One maker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MakerView {
    /// What it makes.
    pub of: Makes,
    /// The name in its certificate.
    pub name: String,
    /// SHA-256 of its certificate.
    pub thumbprint: String,
    /// Until when the certificate holds.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Who added it.
    pub added_by: String,
}

/// One TPM.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TpmView {
    /// SHA-256 of its endorsement key.
    pub endorsement_key: String,
    /// What was written beside it.
    pub note: String,
    /// Who added it.
    pub added_by: String,
}

pub(super) fn carry_out(desk: &Desk<'_>, request: AttestationRequest) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    match request {
        AttestationRequest::List => {}
        AttestationRequest::AddMaker { of, pem } => add_maker(desk, of, &pem)?,
        AttestationRequest::RemoveMaker { thumbprint } => {
            let thumbprint = digest(&thumbprint)?;
            let word = thumbprint.to_string();
            let audit = desk.entry(Action::MakerRemoved, &word, &[]);
            if !desk.change(audit, move |tx| tx.remove_maker(&thumbprint))? {
                return Err(not_found(&word));
            }
        }
        AttestationRequest::AddTpm { key, note } => {
            if note.chars().count() > NOTE_CHARS_MAX || note.chars().any(char::is_control) {
                let why = format_args!("a note has at most {NOTE_CHARS_MAX} characters");
                return Err(Problem::with(Fault::AdminInput, why));
            }
            room(desk.app.store.known_tpms()?.len())?;
            let key = digest(&key)?;
            let details = [("note", note.clone().into())];
            let audit = desk.entry(Action::TpmAdded, key.to_string(), &details);
            let (by, now) = (desk.actor.clone(), OffsetDateTime::now_utc());
            desk.change(audit, move |tx| tx.add_known_tpm(&key.0, &note, &by, now))?;
        }
        AttestationRequest::RemoveTpm { key } => {
            let key = digest(&key)?;
            let word = key.to_string();
            let audit = desk.entry(Action::TpmRemoved, &word, &[]);
            if !desk.change(audit, move |tx| tx.remove_known_tpm(&key.0))? {
                return Err(not_found(&word));
            }
        }
    }
    view(desk).map(Reply::Attestation)
}

fn add_maker(desk: &Desk<'_>, of: Makes, pem: &str) -> Result<(), Problem> {
    let refused = |why: &str| Problem::with(Fault::AdminInput, why);
    let certificates =
        Certificate::all_from_pem(pem).map_err(|error| Problem::with(Fault::AdminInput, error))?;
    if certificates.is_empty() {
        return Err(refused("there is no certificate in this file"));
    }
    // All or none: a file that holds something else is a mistake.
    if !certificates.iter().all(|one| one.extensions().is_ca()) {
        return Err(refused("a maker's certificate is one of an authority"));
    }
    room(desk.app.store.makers()?.len() + certificates.len())?;
    for certificate in certificates {
        let thumbprint = certificate.thumbprint().to_string();
        let name = certificate.subject().to_string();
        let details = [("name", name.into())];
        let audit = desk.entry(Action::MakerAdded, thumbprint, &details);
        let (by, now) = (desk.actor.clone(), OffsetDateTime::now_utc());
        let kind = match of {
            Makes::Tpm => MakerOf::Tpms,
            Makes::Piv => MakerOf::Cards,
        };
        desk.change(audit, move |tx| tx.add_maker(kind, &certificate, &by, now))?;
    }
    Ok(())
}

fn room(records: usize) -> Result<(), Problem> {
    if records > RECORDS_MAX {
        let why = format_args!("at most {RECORDS_MAX} are kept");
        return Err(Problem::with(Fault::AdminInput, why));
    }
    Ok(())
}

fn digest(text: &str) -> Result<Thumbprint, Problem> {
    text.trim()
        .parse()
        .map_err(|error| Problem::with(Fault::AdminInput, error))
}

fn not_found(what: &str) -> Problem {
    Problem::with(Fault::NotFound, format_args!("{what} is not on the list"))
}

fn view(desk: &Desk<'_>) -> Result<AttestationView, Problem> {
    let makers = desk.app.store.makers()?.into_iter().map(|maker| MakerView {
        of: match maker.of {
            MakerOf::Tpms => Makes::Tpm,
            MakerOf::Cards => Makes::Piv,
        },
        name: maker.certificate.subject().to_string(),
        thumbprint: maker.certificate.thumbprint().to_string(),
        not_after: maker.certificate.not_after(),
        added_by: maker.added_by,
    });
    let tpms = desk.app.store.known_tpms()?.into_iter().map(|tpm| TpmView {
        endorsement_key: Thumbprint(tpm.endorsement_key).to_string(),
        note: tpm.note,
        added_by: tpm.added_by,
    });
    Ok(AttestationView {
        makers: makers.collect(),
        tpms: tpms.collect(),
    })
}
