// SPDX-License-Identifier: MIT OR Apache-2.0
//! The session from outside: status, one message, events, and the ways to leave.

use std::io::Read;
use std::sync::mpsc::channel;

use lanyard_client::agent::protocol::{Intent, ReplyBody};
use lanyard_client::face::Face;
use lanyard_client::files::{AccountFiles, Forgotten, forget};
use lanyard_client::view::{Availability, Event, SessionView, Stage};
use lanyard_client::{Fault, Problem, SignInAddress};

use super::Context;
use crate::output::{self, Style};

/// Longest text that is read from standard input, in bytes.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// `lanyard status`.
pub fn status(
    context: &Context,
    status: Option<String>,
    note: Option<String>,
    json: bool,
) -> Result<(), Problem> {
    if status.is_some() || note.is_some() {
        return set_status(context, status.as_deref(), note);
    }
    let view = match context.agent(|_| {}) {
        Ok(face) => face.request(Intent::Status)?.session,
        Err(problem) if problem.is(Fault::NoSession) => None,
        Err(problem) => return Err(problem),
    };
    let view = view.unwrap_or_else(|| {
        SessionView::idle(AccountFiles::last_account(
            &context.places,
            &context.profile,
        ))
    });
    if json {
        output::json(&view);
    } else {
        status_in_words(&view);
    }
    Ok(())
}

fn set_status(
    context: &Context,
    status: Option<&str>,
    note: Option<String>,
) -> Result<(), Problem> {
    let automatic = status == Some("reset");
    let availability = match status.filter(|_| !automatic) {
        Some(typed) => {
            let known = Availability::from_typed(typed);
            Some(known.ok_or_else(|| Problem::new(Fault::StatusUnknown))?)
        }
        None => None,
    };
    context
        .ask(Intent::SetStatus {
            availability,
            automatic,
            note,
        })
        .map(drop)
}

fn status_in_words(view: &SessionView) {
    let style = Style::of_stdout();
    let address = view.address.as_ref().map(ToString::to_string);
    match (&view.stage, address) {
        (Stage::SignedIn, Some(address)) => {
            let own = &view.own;
            let badge = style.badge(own.availability);
            output::line(&format!("Signed in as {}", style.strong(&address)));
            output::line(&format!(
                "Status       {badge} {}",
                own.availability.words()
            ));
            if !own.note.is_empty() {
                output::line(&format!("Note         {}", own.note));
            }
            if view.locked {
                let words = "Locked: your card was taken out. 'lanyard sign-in' unlocks it.";
                output::line(&style.warn(words));
            } else if view.card_out {
                output::line(&style.warn("Your card was taken out: put it back."));
            }
            if let Some(until) = view.renew_by {
                output::line(&format!("Renew before {}", output::local_time(until)));
            }
            let wall = lanyard_client::session::Now::from_system().wall;
            let reminder = view
                .card_ends
                .and_then(|end| lanyard_client::card_life::reminder(end, wall));
            if let Some(reminder) = reminder {
                output::line(&style.warn(&reminder.to_string()));
            }
        }
        (Stage::Idle, address) => {
            output::line("Nobody is signed in.");
            if let Some(address) = address {
                output::line(&format!("Last address {address}"));
            }
        }
        (stage, address) => {
            output::line(&format!(
                "{} ({})",
                stage.words(),
                address.unwrap_or_default()
            ));
        }
    }
    if let Some(problem) = &view.problem {
        output::line(&style.bad(&problem.to_string()));
    }
}

/// `lanyard send`.
pub fn send(context: &Context, to: SignInAddress, words: &[String]) -> Result<(), Problem> {
    let text = text_of(words)?;
    context.ask(Intent::Send { to, text }).map(drop)
}

/// The text of a message: the words, or standard input.
pub fn text_of(words: &[String]) -> Result<String, Problem> {
    Ok(if words.is_empty() || words == ["-"] {
        let mut text = String::new();
        let read = std::io::stdin()
            .take(TEXT_BYTES_MAX)
            .read_to_string(&mut text);
        read.map_err(|_| Problem::new(Fault::MessageEmpty))?;
        text.trim_end_matches('\n').to_owned()
    } else {
        words.join(" ")
    })
}

/// `lanyard watch`.
pub fn watch(context: &Context) -> Result<(), Problem> {
    let (events, heard) = channel();
    let face = context.agent(move |event| drop(events.send(event)))?;
    face.request(Intent::Attach { display: false })?;
    for event in heard {
        let Some(event) = event else { return Ok(()) };
        output::json(&event);
        if event == Event::Exit {
            return Ok(());
        }
    }
    Ok(())
}

/// `lanyard sign-out`.
pub fn sign_out(context: &Context, delete: bool) -> Result<(), Problem> {
    if delete {
        return match context.ask(Intent::SignOut {
            delete_sign_in_info: true,
        }) {
            Err(problem) if problem.is(Fault::NoSession) => delete_sign_in_info(context, None),
            other => other.map(|body| removed(&body)),
        };
    }
    context.ask(Intent::SignOut {
        delete_sign_in_info: false,
    })?;
    output::line("Signed out.");
    Ok(())
}

/// `lanyard exit`.
pub fn exit(context: &Context) -> Result<(), Problem> {
    context.ask(Intent::Exit)?;
    Face::wait_until_gone(&context.places, &context.profile)?;
    output::line("Lanyard has ended.");
    Ok(())
}

/// `lanyard delete-sign-in-info`.
pub fn delete_sign_in_info(
    context: &Context,
    address: Option<SignInAddress>,
) -> Result<(), Problem> {
    match context.agent(|_| {}) {
        Ok(face) => {
            removed(&face.request(Intent::DeleteSignInInfo { address })?);
            Ok(())
        }
        // Without an agent nothing holds the files.
        Err(problem) if problem.is(Fault::NoSession) => {
            let last = || AccountFiles::last_account(&context.places, &context.profile);
            let address = address.or_else(last).ok_or_else(|| {
                let detail = "No address is remembered in this profile.";
                Problem::new(Fault::NoSession).with_detail(detail)
            })?;
            list(&forget(&context.places, &context.profile, &address));
            Ok(())
        }
        Err(problem) => Err(problem),
    }
}

fn removed(body: &ReplyBody) {
    match &body.forgotten {
        Some(forgotten) => list(forgotten),
        None => output::line("Signed out."),
    }
}

fn list(forgotten: &Forgotten) {
    if forgotten.removed.is_empty() {
        output::line("There was nothing to remove.");
    } else {
        output::line("Removed from this computer:");
    }
    for thing in &forgotten.removed {
        output::line(&format!("  {thing}"));
    }
    for thing in &forgotten.kept {
        output::error_line(&format!("Not removed: {thing}"));
    }
}
