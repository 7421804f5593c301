// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards in words.

use super::render::{cards, minutes};
use crate::admin::{CardView, UnblockView};

/// Where a card stands: its life where that was written down, else its newest certificate.
pub(super) fn standing(view: &CardView) -> String {
    match &view.life {
        // The calendar knows of an end before anybody writes it down.
        Some(life) if view.status == "expired" && life.state == "active" => view.status.clone(),
        Some(life) => life.state.clone(),
        None => view.status.clone(),
    }
}

/// When it was used last.
pub(super) fn last_used(view: &CardView) -> String {
    let used = view.life.as_ref().and_then(|life| life.last_used_at);
    used.map_or("-".to_owned(), minutes)
}

/// Its name and its computer.
pub(super) fn named(view: &CardView) -> String {
    match &view.life {
        Some(life) if !life.computer.is_empty() && !life.name.is_empty() => {
            format!("{} on {}", life.name, life.computer)
        }
        Some(life) if !life.name.is_empty() => life.name.clone(),
        _ => "-".to_owned(),
    }
}

/// One card, with everything.
pub(super) fn one(view: &CardView) -> String {
    let mut text = cards(std::slice::from_ref(view));
    if let Some(life) = &view.life {
        let care = match life.care.as_str() {
            "challenge" => "the help desk, by challenge and response",
            "puk" => "the help desk, with a one-time code",
            // Nobody holds it yet.
            "" => "",
            _ => "its holder, with a PUK of their own",
        };
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                text.push_str(&format!("{name:<14} {value}\n"));
            }
        };
        line("state", &format!("{} ({})", life.state, view.status_text));
        line("make", &life.make);
        line("computer", &life.computer);
        let since = if care.is_empty() {
            "registered"
        } else {
            "enrolled"
        };
        line(since, &minutes(life.enrolled_at));
        line("changed", &minutes(life.changed_at));
        line("unblocked by", care);
    }
    for certificate in &view.certificates {
        let end = certificate
            .revoked_reason
            .as_ref()
            .map_or(String::new(), |reason| format!(", {reason}"));
        text.push_str(&format!(
            "certificate    {} {} {} until {}{end}\n",
            certificate.serial,
            certificate.profile,
            certificate.status,
            minutes(certificate.not_after),
        ));
    }
    text
}

/// What the officer reads to the holder.
pub(super) fn unblock(view: &UnblockView) -> String {
    let whose = view
        .address
        .as_ref()
        .map_or("nobody known".to_owned(), ToString::to_string);
    match (&view.response, &view.code) {
        (Some(response), _) => format!(
            "Response for card {} of {whose}, good for this challenge alone:\n\n    {response}\n\n\
             Read it out in groups of four. The holder types it, then a new PIN.\n",
            view.card
        ),
        (None, Some(code)) => format!(
            "One-time code for card {} of {whose}, until {}:\n\n    {code}\n\n\
             The holder types it at 'lanyard card unblock', then a new PIN.\n",
            view.card,
            view.expires_at.map_or("-".to_owned(), minutes),
        ),
        (None, None) => format!("card {} of {whose}\n", view.card),
    }
}
