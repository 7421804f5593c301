// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways in of a person, played with the rules of the real sign-in: what is open, what is not,
//! and why; and what a change of policy would close.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lanyard_authority::{CertificateRow, ProfileName, Registry, Status};
use lanyard_directory::{Account, SipAddress, Snapshot};
use lanyard_fault::Fault;
use lanyard_x509::{Certificate, RevocationReason, Sid};
use time::OffsetDateTime;

use super::execute::Desk;
use super::protocol::Reply;
use super::view::{LossView, WayView, WaysView};
use crate::app::App;
use crate::federation::CardTrust;
use crate::federation::check::{self, Evidence};
use crate::federation::presence;
use crate::problem::Problem;
use crate::sessions::{SessionEnd, SessionSelector};

/// One way in.
struct Way {
    name: String,
    refused: Option<Fault>,
}

/// `policy verify ADDRESS`.
pub(super) fn verify(desk: &Desk<'_>, address: &SipAddress) -> Result<Reply, Problem> {
    let account = desk.account(address)?;
    let people = desk.app.directory.load();
    let ways = of(desk.app, &people, &account)?;
    Ok(Reply::Ways(WaysView {
        address: address.clone(),
        policy: people.policy_of(&account),
        ways: ways.iter().map(view).collect(),
    }))
}

/// The ways in that are open before a change and closed after it.
pub(super) fn lost(
    app: &App,
    before: &Snapshot,
    after: &Snapshot,
    people: &[SipAddress],
) -> Result<Vec<LossView>, Problem> {
    let mut losses = Vec::new();
    for address in people {
        let (Some(old), Some(new)) = (before.by_address(address), after.by_address(address)) else {
            continue;
        };
        let (then, now) = (of(app, before, old)?, of(app, after, new)?);
        let is_open = |way: &Way| way.refused.is_none();
        let last = !now.iter().any(is_open);
        for (was, is) in then.iter().zip(&now) {
            if is_open(was) && !is_open(is) {
                losses.push(LossView {
                    address: address.clone(),
                    way: view(is),
                    is_last: last,
                });
            }
        }
    }
    Ok(losses)
}

/// After a change of policy or of a group: whoever may no longer use a password loses what one has
/// earned, for good. Gives how many sessions ended.
pub(super) fn close_password_ways(desk: &Desk<'_>, before: &Snapshot) -> Result<usize, Problem> {
    let after = desk.app.directory.load();
    let mut ended: usize = 0;
    for account in before.accounts() {
        let may_now = after
            .by_id(&account.id)
            .is_some_and(|account| after.policy_of(account).password_allowed);
        if before.policy_of(account).password_allowed && !may_now {
            desk.app.closures.close(&account.id);
            let closed = withdraw_password_certificates(desk, account, SessionEnd::PolicyChanged)?;
            ended = ended.saturating_add(closed);
        }
    }
    if ended > 0 {
        tracing::info!(
            ended,
            "sessions ended: their people may no longer use a password"
        );
    }
    Ok(ended)
}

/// Withdraws the chat certificates that a password has earned, and ends their sessions; gives how
/// many those were.
pub(super) fn withdraw_password_certificates(
    desk: &Desk<'_>,
    account: &Account,
    why: SessionEnd,
) -> Result<usize, Problem> {
    let Ok(sid) = account.id.as_str().parse::<Sid>() else {
        return Ok(0);
    };
    let now = OffsetDateTime::now_utc();
    let mut serials = Vec::new();
    for row in desk.app.store.of_account(&sid)? {
        let earned_by_password = row.profile == ProfileName::ChatUser && row.bound_to.is_none();
        if earned_by_password && row.status == Status::Active && now < row.not_after {
            let reason = RevocationReason::Superseded;
            desk.app
                .authority
                .revoke(&row.serial, reason, desk.actor.clone(), now)
                .map_err(super::cards::revoke_problem)?;
            serials.push(row.serial.to_string());
        }
    }
    if serials.is_empty() {
        return Ok(0);
    }
    let which = SessionSelector::Certificates(serials);
    let ended = desk.app.sessions().end(&which, why);
    desk.app.list_is_due.store(true, Ordering::Relaxed);
    Ok(ended)
}

/// All ways of a person, in an order that does not depend on policy.
fn of(app: &App, people: &Snapshot, account: &Arc<Account>) -> Result<Vec<Way>, Problem> {
    let mut ways = Vec::new();
    let sid: Option<Sid> = account.id.as_str().parse().ok();
    let rows = sid.map_or(Ok(Vec::new()), |sid| app.store.of_account(&sid));
    for row in &rows? {
        if row.profile == ProfileName::SmartcardUser {
            ways.extend(card(app, people, account, row));
        }
    }
    if ways.is_empty() {
        ways.push(Way {
            name: "card".to_owned(),
            refused: Some(Fault::CardNotEnrolled),
        });
    }
    ways.push(Way {
        name: "password".to_owned(),
        refused: password(people, account),
    });
    Ok(ways)
}

fn card(app: &App, people: &Snapshot, account: &Account, row: &CertificateRow) -> Option<Way> {
    let leaf = Certificate::from_der(row.der.as_deref()?).ok()?;
    let authority = &app.authority;
    let trust = CardTrust::new(authority.issuing().clone(), authority.root().clone());
    let state = crate::card_life::state_of(app, row).ok()?;
    let decision = check::verify(&Evidence {
        card: state,
        leaf: &leaf,
        intermediates: trust.intermediates(),
        anchors: trust.anchors(),
        row: Some(row),
        people,
        address: Some(&account.sip_address),
        now: OffsetDateTime::now_utc(),
    });
    let decision = decision.map_err(|refused| refused.fault).and_then(|_| {
        let policy = people.policy_of(account);
        match presence::has_key_or_may_lack(app, row, &policy) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::PresenceKeyMissing),
            Err(_) => Err(Fault::ServerInternal),
        }
    });
    let guid = row.card_guid.map_or("-".to_owned(), |g| g.to_string());
    Some(Way {
        name: format!("card {guid}, certificate {}", row.serial),
        refused: decision.err(),
    })
}

fn password(people: &Snapshot, account: &Account) -> Option<Fault> {
    if !people.policy_of(account).password_allowed {
        Some(Fault::CardRequired)
    } else if account.password_hash.is_none() {
        Some(Fault::PasswordNotSet)
    } else if !account.enabled {
        Some(Fault::AccountDisabled)
    } else {
        None
    }
}

fn view(way: &Way) -> WayView {
    WayView {
        way: way.name.clone(),
        allowed: way.refused.is_none(),
        code: way.refused.map(|fault| fault.code().to_string()),
        reason: way.refused.map(|fault| fault.sentence().to_owned()),
    }
}
