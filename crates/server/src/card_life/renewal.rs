// SPDX-License-Identifier: MIT OR Apache-2.0
//! Renewal: the holder of a card that is still good gets its next certificates, without a desk and without a new
//! PIN.
//!
//! The old certificates stay good until the new one has been used: whatever breaks off in between, the card
//! has one that signs in. A session that rests on the old one goes on.

use std::sync::PoisonError;
use std::time::Instant;

use lanyard_attest::Level;
use lanyard_authority::audit::{Action, AuditEntry};
use lanyard_authority::{
    Actor, Card, CardEvent, CardKeys, CardOrder, CertificateRow, IssuedCard, ProfileName, Registry,
    Status,
};
use lanyard_directory::Account;
use lanyard_enrol::{Evidence, Refusal, is_enough};
use lanyard_fault::Fault;
use lanyard_store::CardChangeError;
use lanyard_x509::{Certificate, Oid, PublicKey, Serial};
use time::{Duration, OffsetDateTime};

use crate::app::App;
use crate::attestation;
use crate::desk::{draw, person};

/// How long before its end a certificate can be renewed.
pub const RENEWAL_WINDOW: Duration = Duration::days(60);

/// What the holder asks for.
#[derive(Debug)]
pub struct Renewal {
    /// The key for slot 9A: the old one or a new one.
    pub key: PublicKey,
    /// The key in slot 9E.
    pub authentication_key: Option<PublicKey>,
    /// The request for slot 9A as it came: the evidence names it.
    pub csr: Vec<u8>,
    /// What proves where a new key lives.
    pub evidence: Option<Evidence>,
}

/// What came of a report that a renewed certificate is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The older certificates are superseded now.
    Superseded,
    /// There was nothing to do.
    Nothing,
}

/// The keys of a card that may be renewed now; none for a card that nobody manages. The row that says that they left
/// the server is written first.
///
/// # Errors
/// When it is too early, or the store fails.
pub fn keys_for_renewal(
    app: &App,
    row: &CertificateRow,
    now: OffsetDateTime,
) -> Result<Option<CardKeys>, Fault> {
    in_window(row, now)?;
    let (Some(guid), Some(holder)) = (row.card_guid, &row.account) else {
        return Err(Fault::CardCertificatePurpose);
    };
    let storage = |error: lanyard_store::StoreError| crate::problem::Problem::from(error).fault();
    let Some(card) = app.store.card(&guid, holder).map_err(storage)? else {
        return Ok(None);
    };
    let Some(keys) = super::keys_of(app, &card, card.puk_confirmed) else {
        return Ok(None);
    };
    let mut details = serde_json::Map::new();
    details.insert("account".into(), holder.as_str().into());
    details.insert("for".into(), "renewal".into());
    let requester = Actor::Person(holder.clone());
    let entry = AuditEntry::new(now, requester, Action::CardKeysHandedOut, guid.to_string())
        .with_details(&details);
    let written = app.store.write(move |tx| tx.audit(&entry).map(drop));
    written.map_err(storage)?;
    Ok(Some(keys))
}

fn in_window(row: &CertificateRow, now: OffsetDateTime) -> Result<(), Fault> {
    if row.not_after.saturating_sub(RENEWAL_WINDOW) > now {
        Err(Fault::RenewalTooEarly)
    } else {
        Ok(())
    }
}

/// What is proved about the key of the next certificate: of the old key what was proved before, of a new one what its
/// chip says now.
fn policies(
    app: &App,
    account: &Account,
    row: &CertificateRow,
    asked: &Renewal,
    now: OffsetDateTime,
) -> Result<Vec<Oid>, Fault> {
    let own = app.authority.card_attested_policy();
    let old = row.der.as_deref().map(Certificate::from_der);
    let old = old.and_then(Result::ok).ok_or(Fault::ServerInternal)?;
    let level = if old.spki_der() == asked.key.spki_der() {
        Level::of_policies(&old.extensions().policies, own.as_ref())
    } else if let Some(evidence) = &asked.evidence {
        let makers = attestation::makers(&app.store).map_err(|_| Fault::ServerInternal)?;
        let (csr, key) = (&asked.csr, &asked.key);
        app.challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .judge(evidence, csr, key, &makers, now, Instant::now())
            .map_err(|error| Refusal::from(error).fault())?
    } else {
        Level::None
    };
    let demanded = app.directory.load().policy_of(account).key_assurance;
    if !is_enough(level, demanded) {
        return Err(Fault::KeyAssuranceDemanded);
    }
    Ok(level.policy(own.as_ref()).into_iter().collect())
}

/// Renews the card that `row` is the certificate of; it was checked like one that signs in.
///
/// # Errors
/// When it is too early, the card's state forbids it, or the authority fails.
pub fn renew(
    app: &App,
    account: &Account,
    row: &CertificateRow,
    asked: Renewal,
    now: OffsetDateTime,
) -> Result<IssuedCard, Fault> {
    let internal = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a card could not be renewed");
        Fault::ServerInternal
    };
    in_window(row, now)?;
    let (Some(guid), Some(kind), Some(holder)) = (row.card_guid, row.card_kind, &row.account)
    else {
        return Err(Fault::CardCertificatePurpose);
    };
    let known = app.store.card(&guid, holder).map_err(|e| internal(&e))?;
    let known = known.ok_or(Fault::RenewalMismatch)?;
    if known.state.after(CardEvent::Renew).is_err() {
        return Err(Fault::CardCertificateRevoked);
    }
    let rows = app.store.of_card(&guid).map_err(|e| internal(&e))?;
    let newest = rows.iter().find(|one| {
        one.account.as_ref() == Some(holder)
            && one.profile == ProfileName::SmartcardUser
            && one.status == Status::Active
    });
    // Renewed with an older certificate: the newer one is asked to, so that there are never more than two. One that
    // was never used is given up, for its writing to the card may have failed.
    let newer = newest.filter(|one| one.serial != row.serial);
    if let Some(newer) = newer
        && known.renewed != Some(newer.serial)
    {
        return Err(Fault::RenewalNotNeeded);
    }
    let policies = policies(app, account, row, &asked, now)?;
    let requester = Actor::Person(holder.clone());
    let order = CardOrder {
        person: person(account).map_err(|e| internal(&e))?,
        card: Card { guid, kind },
        key: asked.key,
        authentication_key: asked.authentication_key,
        policies,
        requester: requester.clone(),
        // The valid card vouches for its successor; the policy of the server allows it.
        approver: Actor::System("renewal".into()),
    };
    let seeds = [
        draw().map_err(|e| internal(&e))?,
        draw().map_err(|e| internal(&e))?,
    ];
    let issued = app
        .authority
        .issue_card(order, seeds, Status::Active, now)
        .map_err(|e| internal(&e))?;
    let serial = issued.certificate.serial();
    let mut details = serde_json::Map::new();
    details.insert("account".into(), holder.as_str().into());
    details.insert("old".into(), row.serial.to_string().into());
    details.insert("new".into(), serial.to_string().into());
    let entry = AuditEntry::new(
        now,
        requester.clone(),
        Action::CardRenewed,
        guid.to_string(),
    )
    .with_details(&details);
    let whose = holder.clone();
    let written = app.store.write(move |tx| {
        let mut card = tx.card_event(&guid, &whose, CardEvent::Renew, now)?;
        card.renewed = Some(serial);
        tx.put_card(&card)?;
        tx.audit(&entry)?;
        Ok::<_, CardChangeError>(())
    });
    if let Err(error) = written {
        // Between the two the card was withdrawn: what was just issued goes with it.
        let reason = lanyard_x509::RevocationReason::CessationOfOperation;
        let _ = app.authority.revoke(&serial, reason, requester, now);
        return Err(internal(&error));
    }
    if let Some(given_up) = newer {
        let reason = lanyard_x509::RevocationReason::Superseded;
        let done = app
            .authority
            .revoke(&given_up.serial, reason, requester, now);
        if let Err(error) = done {
            tracing::error!(%error, "a renewed certificate that was never used could not be withdrawn");
        }
    }
    Ok(issued)
}

/// The certificate of this row signs in: when it is a renewed one, those before it are superseded now. What
/// hangs on them, a session that goes on, stays.
///
/// # Errors
/// When registry or store fail.
pub fn renewed(app: &App, row: &CertificateRow, now: OffsetDateTime) -> Result<Renewed, Fault> {
    let internal = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a renewal could not be finished");
        Fault::ServerInternal
    };
    let (Some(guid), Some(holder)) = (row.card_guid, &row.account) else {
        return Ok(Renewed::Nothing);
    };
    let known = app.store.card(&guid, holder).map_err(|e| internal(&e))?;
    if known.is_none_or(|card| card.renewed != Some(row.serial)) {
        return Ok(Renewed::Nothing);
    }
    let mut keep: Vec<Serial> = vec![row.serial];
    let bound = app.store.bound_to(&row.serial).map_err(|e| internal(&e))?;
    keep.extend(bound.iter().map(|row| row.serial));
    app.authority
        .supersede_renewed(&guid, holder, &keep, Actor::Person(holder.clone()), now)
        .map_err(|e| internal(&e))?;
    let whose = holder.clone();
    let cleared = app.store.write(move |tx| {
        if let Some(mut card) = tx.card(&guid, &whose)? {
            card.renewed = None;
            tx.put_card(&card)?;
        }
        Ok::<_, lanyard_store::StoreError>(())
    });
    cleared.map_err(|e| internal(&e))?;
    Ok(Renewed::Superseded)
}
