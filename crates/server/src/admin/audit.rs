// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on the audit trail.

use lanyard_authority::audit::{
    AuditEvent, AuditLog, AuditLogError, HeadError, Verifier, check_heads,
};
use lanyard_directory::StorageError;
use lanyard_fault::Fault;
use lanyard_store::Store;
use lanyard_x509::PublicKey;

use super::execute::Desk;
use super::protocol::Reply;
use super::view::{AuditVerdict, AuditView};
use crate::problem::{Problem, chain};

/// How many rows are read at once while the trail is checked.
const BATCH_ROWS: usize = 1000;
/// How many rows one answer shows.
const SHOW_ROWS_MAX: u32 = 10_000;

pub(super) fn show(desk: &Desk<'_>, after: Option<u64>, limit: u32) -> Result<Reply, Problem> {
    let limit = limit.min(SHOW_ROWS_MAX);
    let store = &desk.app.store;
    let after = match after {
        Some(after) => after,
        None => store
            .head()
            .map_err(problem)?
            .seq
            .saturating_sub(u64::from(limit)),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let events = store.events_after(after, limit).map_err(problem)?;
    Ok(Reply::Audit(events.into_iter().map(view).collect()))
}

pub(super) fn verify(desk: &Desk<'_>) -> Result<Reply, Problem> {
    let key = desk
        .app
        .authority
        .issuing()
        .public_key()
        .map_err(|error| Problem::from_error(Fault::AuthorityUnusable, &error))?;
    verify_trail(&desk.app.store, &key).map(Reply::AuditVerdict)
}

/// Checks every row and every signed head.
pub(crate) fn verify_trail(store: &Store, key: &PublicKey) -> Result<AuditVerdict, Problem> {
    let broken = |detail: &dyn std::fmt::Display| Problem::with(Fault::AuditChainBroken, detail);
    let mut verifier = Verifier::new();
    loop {
        let events = store
            .events_after(verifier.head().seq, BATCH_ROWS)
            .map_err(problem)?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            verifier.check(event).map_err(|error| broken(&error))?;
        }
    }
    let heads = store.signed_heads().map_err(problem)?;
    let event_at = |seq: u64| -> Result<Option<AuditEvent>, AuditLogError> {
        let row = store.events_after(seq.saturating_sub(1), 1)?;
        Ok(row.into_iter().next().filter(|event| event.seq == seq))
    };
    check_heads(&heads, key, event_at).map_err(|error| match error {
        HeadError::Broken(error) => broken(&error),
        HeadError::Read(error) => problem(error),
    })?;
    let head = verifier.head();
    Ok(AuditVerdict {
        rows: head.seq,
        head: head.hash.to_string(),
        signed_heads: heads.len(),
    })
}

pub(crate) fn problem(error: AuditLogError) -> Problem {
    match &error {
        AuditLogError::Unreadable { .. } => Problem::with(Fault::AuditChainBroken, &error),
        AuditLogError::Storage(source) => match source.downcast_ref::<StorageError>() {
            Some(storage) => Problem::from(*storage),
            None => Problem::with(Fault::ServerInternal, chain(source.as_ref())),
        },
        _ => Problem::with(Fault::ServerInternal, error),
    }
}

fn view(event: AuditEvent) -> AuditView {
    AuditView {
        seq: event.seq,
        time: event.time,
        actor: event.actor.to_string(),
        action: event.action.to_string(),
        subject: event.subject,
        details: serde_json::from_str(&event.details)
            .unwrap_or(serde_json::Value::String(event.details)),
        hash: event.hash.to_string(),
    }
}
