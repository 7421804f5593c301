// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on live sessions.

use lanyard_authority::audit::{Action, AuditLog};
use lanyard_directory::SipAddress;
use lanyard_fault::Fault;

use super::execute::Desk;
use super::protocol::Reply;
use super::view::SessionsEnded;
use crate::problem::Problem;
use crate::sessions::{SessionEnd, SessionSelector};

pub(super) fn list(desk: &Desk<'_>, address: Option<&SipAddress>) -> Result<Reply, Problem> {
    if let Some(address) = address {
        desk.account(address)?;
    }
    let mut sessions = desk.app.sessions().list();
    sessions.retain(|session| address.is_none_or(|address| session.address == *address));
    sessions.sort_by(|one, other| (&one.address, &one.id).cmp(&(&other.address, &other.id)));
    Ok(Reply::Sessions(sessions))
}

pub(super) fn end(desk: &Desk<'_>, id: String) -> Result<Reply, Problem> {
    let sessions = desk.app.sessions().list();
    let Some(session) = sessions.into_iter().find(|session| session.id == id) else {
        return Err(Problem::with(
            Fault::NotFound,
            format_args!("there is no session {id}"),
        ));
    };
    let details = [("session", id.as_str().into())];
    let audit = desk.entry(Action::SessionEnded, session.address.as_str(), &details);
    desk.app
        .store
        .append(&audit)
        .map_err(super::audit::problem)?;
    let ended = desk
        .app
        .sessions()
        .end(&SessionSelector::Id(id), SessionEnd::ByAdministrator);
    Ok(Reply::SessionsEnded(SessionsEnded {
        sessions_ended: ended,
    }))
}

pub(super) fn end_all(desk: &Desk<'_>, address: &SipAddress) -> Result<Reply, Problem> {
    let account = desk.account(address)?;
    let audit = desk.entry(
        Action::SessionEnded,
        address.as_str(),
        &[("session", "all".into())],
    );
    desk.app
        .store
        .append(&audit)
        .map_err(super::audit::problem)?;
    let whose = SessionSelector::Account(account.id.clone());
    let ended = desk.app.sessions().end(&whose, SessionEnd::ByAdministrator);
    Ok(Reply::SessionsEnded(SessionsEnded {
        sessions_ended: ended,
    }))
}
