// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words about whose word counts about where a key lives.

use std::path::PathBuf;

use clap::Subcommand;
use lanyard_fault::Fault;

use super::render::minutes;
use crate::admin::{AttestationRequest, AttestationView, Makes, Request};
use crate::problem::Problem;

/// Largest file of a maker's certificates, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Verbs on attestation.
#[derive(Debug, Subcommand)]
pub enum AttestationCommand {
    /// List the makers and the TPMs whose word counts.
    List,
    /// Let a maker's word count: keys that its TPMs or cards vouch for are proved.
    AddMaker {
        /// Its root certificates as PEM.
        file: PathBuf,
        /// What it makes.
        #[arg(long, value_enum)]
        of: Makes,
    },
    /// No longer let a maker's word count. Certificates that were issued stay.
    RemoveMaker {
        /// SHA-256 of its certificate, as the list shows it.
        thumbprint: String,
    },
    /// Let one TPM's word count, whoever made it.
    AddTpm {
        /// SHA-256 of its endorsement key, as 'lanyard card tpm' shows it.
        key: String,
        /// Whose it is, or where it stands.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// No longer let one TPM's word count.
    RemoveTpm {
        /// SHA-256 of its endorsement key.
        key: String,
    },
}

pub(super) fn request(command: AttestationCommand) -> Result<Request, Problem> {
    Ok(Request::Attestation(match command {
        AttestationCommand::List => AttestationRequest::List,
        AttestationCommand::AddMaker { file, of } => {
            let unreadable = |why: &dyn std::fmt::Display| {
                Problem::with(Fault::AdminInput, format_args!("{}: {why}", file.display()))
            };
            let size = std::fs::metadata(&file)
                .map_err(|error| unreadable(&error))?
                .len();
            if size > PEM_BYTES_MAX {
                return Err(unreadable(&"the file is too large"));
            }
            let pem = std::fs::read_to_string(&file).map_err(|error| unreadable(&error))?;
            AttestationRequest::AddMaker { of, pem }
        }
        AttestationCommand::RemoveMaker { thumbprint } => {
            AttestationRequest::RemoveMaker { thumbprint }
        }
        AttestationCommand::AddTpm { key, note } => AttestationRequest::AddTpm { key, note },
        AttestationCommand::RemoveTpm { key } => AttestationRequest::RemoveTpm { key },
    }))
}

pub(super) fn view(view: &AttestationView) -> String {
    if view.makers.is_empty() && view.tpms.is_empty() {
        return "nobody's word counts about where a key lives\n".to_owned();
    }
    let mut text = String::new();
    for maker in &view.makers {
        let of = match maker.of {
            Makes::Tpm => "TPMs",
            Makes::Piv => "cards",
        };
        text.push_str(&format!(
            "maker of {of}: {}\n  SHA-256 {}\n  until {}, added by {}\n",
            maker.name,
            maker.thumbprint,
            minutes(maker.not_after),
            maker.added_by
        ));
    }
    for tpm in &view.tpms {
        text.push_str(&format!("TPM {}\n  ", tpm.endorsement_key));
        if !tpm.note.is_empty() {
            text.push_str(&format!("{}, ", tpm.note));
        }
        text.push_str(&format!("added by {}\n", tpm.added_by));
    }
    text
}
