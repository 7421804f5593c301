// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on cards: a card is withdrawn in the database first, then its sessions end, then the new
//! revocation list is made; only then the command returns.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use lanyard_authority::audit::Action;
use lanyard_authority::{
    Actor, CardEvent, CardGuid, CertificateRow, ProfileName, RevokeError, Status,
};
use lanyard_directory::{AccountId, SipAddress, Snapshot};
use lanyard_fault::Fault;
use lanyard_store::{CardRecord, CertificateFilter};
use lanyard_x509::{RevocationReason, Serial, Sid};
use time::OffsetDateTime;

use super::execute::Desk;
use super::protocol::{CardLossReason, Reply};
use super::view::{CardEnd, CardView, CertificateView};
use crate::app::App;
use crate::problem::{Problem, chain};
use crate::sessions::{SessionEnd, SessionSelector};

pub(super) fn list(
    desk: &Desk<'_>,
    address: Option<&SipAddress>,
    blank: bool,
) -> Result<Reply, Problem> {
    if blank {
        return Ok(Reply::Cards(super::stock::list(desk)?));
    }
    let account = address.map(|address| desk.account(address)).transpose()?;
    let cards = cards(desk, account.map(|account| account.id.clone()).as_ref())?;
    let snapshot = desk.app.directory.load();
    let views = cards.iter().map(|card| view(desk, &snapshot, card));
    let mut views = views.collect::<Result<Vec<_>, _>>()?;
    if address.is_none() {
        views.extend(super::stock::list(desk)?);
    }
    Ok(Reply::Cards(views))
}

pub(super) fn end(desk: &Desk<'_>, named: &str, reason: CardLossReason) -> Result<Reply, Problem> {
    if let Some(blank) = super::stock::find(desk, named)? {
        return super::stock::end(desk, blank, reason);
    }
    let card = find(desk, named)?;
    withdraw(desk, &card, reason)
}

/// Withdraws the card of a record: for its holder, who has proved another card of theirs.
///
/// # Errors
/// As the verb.
pub fn end_card(
    app: &App,
    actor: &Actor,
    card: &CardRecord,
    reason: CardLossReason,
) -> Result<Reply, Problem> {
    let desk = Desk { app, actor };
    let card = Card {
        guid: card.guid,
        account: Some(card.holder.clone()),
        rows: Vec::new(),
    }
    .again(&desk)?;
    withdraw(&desk, &card, reason)
}

fn withdraw(desk: &Desk<'_>, card: &Card, reason: CardLossReason) -> Result<Reply, Problem> {
    let now = OffsetDateTime::now_utc();
    let (action, event, reason) = match reason {
        CardLossReason::Lost => (
            Action::CardLost,
            CardEvent::ReportLost,
            RevocationReason::KeyCompromise,
        ),
        CardLossReason::Damaged => (
            Action::CardDamaged,
            CardEvent::ReportDamaged,
            RevocationReason::CessationOfOperation,
        ),
        CardLossReason::Compromised => (
            Action::CardRevoked,
            CardEvent::Revoke,
            RevocationReason::KeyCompromise,
        ),
        CardLossReason::Replaced => (
            Action::CardRevoked,
            CardEvent::Revoke,
            RevocationReason::Superseded,
        ),
        CardLossReason::NoLongerNeeded => (
            Action::CardRevoked,
            CardEvent::Revoke,
            RevocationReason::CessationOfOperation,
        ),
    };
    let _lock = desk.change_lock();
    let report = desk.entry(
        action,
        card.guid.to_string(),
        &[
            ("account", card.account().into()),
            ("reason", reason.as_str().into()),
        ],
    );
    // From here on the card is out, whatever happens to the rest.
    super::card_life::event(desk, card, event, report)?;
    // By its certificates and not by its number: the number is what a request has claimed, and nobody
    // may end somebody else's certificates with it.
    let mut taken_now: Vec<String> = Vec::new();
    for row in &card.rows {
        let withdrawn = desk
            .app
            .authority
            .revoke(&row.serial, reason, desk.actor.clone(), now)
            .map_err(revoke_problem)?;
        taken_now.extend(
            withdrawn
                .certificates
                .iter()
                .map(|row| row.serial.to_string()),
        );
    }

    // Whoever repeats the command wants to be sure, so sessions are looked for by every certificate
    // of the card, not only by those that this call has withdrawn.
    let mut serials = taken_now.clone();
    serials.extend(card.rows.iter().map(|row| row.serial.to_string()));
    serials.sort();
    serials.dedup();
    let which = SessionSelector::Certificates(serials);
    let sessions_ended = desk.app.sessions().end(&which, SessionEnd::CardRevoked);

    // The card is shut out already; a list that could not be made must not look like a failure of
    // the whole, the server makes it again by itself.
    let crl_number = match desk.app.authority.make_crl(now) {
        Ok(crl) => crl.number(),
        Err(error) => {
            tracing::error!(error = %chain(&error), "the revocation list could not be made");
            desk.app.list_is_due.store(true, Ordering::Relaxed);
            None
        }
    };
    tracing::info!(card = %card.guid, sessions_ended, "a card was withdrawn");
    let card = card.again(desk)?;
    Ok(Reply::CardEnd(CardEnd {
        card: view(desk, &desk.app.directory.load(), &card)?,
        withdrawn: taken_now,
        sessions_ended,
        crl_number,
    }))
}

pub(super) fn activate(desk: &Desk<'_>, named: &str) -> Result<Reply, Problem> {
    let card = find(desk, named)?;
    let refused = |detail: &str| Problem::with(Fault::CardStateRefused, detail);
    let certificate = card
        .sign_in()
        .ok_or_else(|| refused("it holds no certificate"))?;
    match certificate.status {
        Status::Active => {}
        Status::Issued => {
            let _lock = desk.change_lock();
            let now = OffsetDateTime::now_utc();
            desk.app
                .authority
                .activate(&certificate.serial, desk.actor.clone(), now)?;
            super::card_life::activated(desk, &card)?;
        }
        Status::Prepared => return Err(refused("its certificate was never signed")),
        Status::Revoked => return Err(refused("its certificate was withdrawn for good")),
    }
    let card = card.again(desk)?;
    Ok(Reply::Card(view(desk, &desk.app.directory.load(), &card)?))
}

/// A card of one person: all that was ever issued for it, newest first.
///
/// Its number is what a request has claimed; under the same number there may be another person's
/// card, which is another card.
pub(super) struct Card {
    pub(super) guid: CardGuid,
    pub(super) account: Option<Sid>,
    pub(super) rows: Vec<CertificateRow>,
}

impl Card {
    /// The newest certificate that signs in.
    pub(super) fn sign_in(&self) -> Option<&CertificateRow> {
        let signs_in = |row: &&CertificateRow| row.profile == ProfileName::SmartcardUser;
        let signed = self
            .rows
            .iter()
            .filter(signs_in)
            .find(|row| row.status != Status::Prepared);
        signed.or_else(|| self.rows.iter().find(signs_in))
    }

    fn is_in_use(&self) -> bool {
        self.sign_in()
            .is_some_and(|row| matches!(row.status, Status::Issued | Status::Active))
    }

    pub(super) fn account(&self) -> Option<String> {
        self.account.as_ref().map(ToString::to_string)
    }

    /// The same card as the database has it now.
    pub(super) fn again(&self, desk: &Desk<'_>) -> Result<Self, Problem> {
        let mut rows = desk.app.authority.registry().of_card(&self.guid)?;
        rows.retain(|row| row.account == self.account);
        Ok(Self {
            guid: self.guid,
            account: self.account.clone(),
            rows,
        })
    }
}

/// The cards, those used last first.
fn cards(desk: &Desk<'_>, account: Option<&AccountId>) -> Result<Vec<Card>, Problem> {
    let filter = CertificateFilter {
        account: account.map(ToString::to_string),
        on_cards: true,
        ..CertificateFilter::default()
    };
    Ok(group(desk.app.store.certificates(&filter)?))
}

fn group(rows: Vec<CertificateRow>) -> Vec<Card> {
    let mut cards: Vec<Card> = Vec::new();
    let mut places = HashMap::new();
    for row in rows {
        let Some(guid) = row.card_guid else { continue };
        let place = *places
            .entry((guid, row.account.clone()))
            .or_insert_with(|| {
                cards.push(Card {
                    guid,
                    account: row.account.clone(),
                    rows: Vec::new(),
                });
                cards.len() - 1
            });
        if let Some(card) = cards.get_mut(place) {
            card.rows.push(row);
        }
    }
    cards
}

/// The card with this number: one, unless somebody has claimed another person's.
fn by_guid(desk: &Desk<'_>, guid: &CardGuid) -> Result<Option<Card>, Problem> {
    let mut cards = group(desk.app.authority.registry().of_card(guid)?);
    if cards.len() > 1 {
        let newest = cards.iter().filter_map(|card| card.rows.first());
        let serials: Vec<String> = newest.map(|row| row.serial.to_string()).collect();
        let detail = format!(
            "several people have a card {guid}; name it by the serial {}",
            serials.join(" or ")
        );
        return Err(Problem::with(Fault::CardAmbiguous, detail));
    }
    Ok(cards.pop())
}

/// The card that an administrator means: by its number, by the serial of a certificate on it, or by
/// the address of a person who uses exactly one.
pub(super) fn find(desk: &Desk<'_>, named: &str) -> Result<Card, Problem> {
    let named = named.trim();
    if named.contains('@') {
        let address = named
            .parse::<SipAddress>()
            .map_err(|error| Problem::with(Fault::AdminInput, error))?;
        let account = desk.account(&address)?;
        let all = cards(desk, Some(&account.id))?;
        let one_in_all = all.len() == 1;
        let mut candidates: Vec<Card> = all
            .into_iter()
            .filter(|card| one_in_all || card.is_in_use())
            .collect();
        if candidates.len() > 1 {
            let guids: Vec<String> = candidates
                .iter()
                .map(|card| card.guid.to_string())
                .collect();
            let detail = format!("{address} uses the cards {}", guids.join(" and "));
            return Err(Problem::with(Fault::CardAmbiguous, detail));
        }
        return candidates
            .pop()
            .ok_or_else(|| Problem::with(Fault::NotFound, format_args!("{address} uses no card")));
    }
    if let Ok(guid) = named.parse::<CardGuid>()
        && let Some(card) = by_guid(desk, &guid)?
    {
        return Ok(card);
    }
    let serial: Serial = named.parse().map_err(|_| {
        Problem::with(
            Fault::AdminInput,
            format_args!("'{named}' is no number of a card, no serial and no address"),
        )
    })?;
    let row = desk.app.authority.registry().find(&serial)?;
    match row.and_then(|row| Some((row.card_guid?, row.account))) {
        Some((guid, account)) => Card {
            guid,
            account,
            rows: Vec::new(),
        }
        .again(desk),
        None => Err(Problem::with(
            Fault::NotFound,
            format_args!("no card has to do with {named}"),
        )),
    }
}

pub(super) fn view(desk: &Desk<'_>, snapshot: &Snapshot, card: &Card) -> Result<CardView, Problem> {
    let account = card.account();
    let id = account.as_ref().and_then(|id| id.parse::<AccountId>().ok());
    let holder = id.and_then(|id| snapshot.by_id(&id).cloned());
    let newest = card.sign_in();
    let over = newest.is_some_and(|row| row.not_after <= OffsetDateTime::now_utc());
    let status = newest.map_or(Status::Prepared, |row| row.status);
    let (status, status_text) = match status {
        Status::Revoked => ("revoked", "withdrawn for good; the holder needs a new card"),
        _ if over => (
            "expired",
            "its certificate has expired; enrol the card again",
        ),
        Status::Active => ("active", "signs in"),
        Status::Issued => ("issued", "waits until the holder has chosen a PIN"),
        Status::Prepared => (
            "prepared",
            "its certificate was never signed; enrol the card again",
        ),
    };
    let record = super::card_life::record(desk, card)?;
    Ok(CardView {
        life: record.as_ref().map(super::card_life::life),
        guid: card.guid.to_string(),
        kind: card
            .rows
            .iter()
            .find_map(|row| row.card_kind?.as_str().parse().ok()),
        account,
        address: holder.map(|holder| holder.sip_address.clone()),
        status: status.to_owned(),
        status_text: status_text.to_owned(),
        not_after: newest.map(|row| row.not_after),
        certificates: card.rows.iter().map(certificate_view).collect(),
    })
}

fn certificate_view(row: &CertificateRow) -> CertificateView {
    CertificateView {
        serial: row.serial.to_string(),
        profile: row.profile.to_string(),
        status: row.status.to_string(),
        not_before: row.not_before,
        not_after: row.not_after,
        revoked_reason: row.revocation.as_ref().map(|end| end.reason.to_string()),
        revoked_at: row.revocation.as_ref().map(|end| end.at),
    }
}

pub(super) fn revoke_problem(error: RevokeError) -> Problem {
    match error {
        RevokeError::Registry(error) => error.into(),
        other => Problem::with(Fault::NotFound, other),
    }
}
