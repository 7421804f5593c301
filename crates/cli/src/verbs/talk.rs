// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conversations of several people, and typing, from the command line.

use lanyard_client::agent::protocol::{Intent, ReplyBody};
use lanyard_client::view::ConversationView;
use lanyard_client::{Problem, SignInAddress};

use super::Context;
use super::session::text_of;
use crate::output;

/// `lanyard typing`.
pub fn typing(context: &Context, to: SignInAddress, stop: bool) -> Result<(), Problem> {
    context.ask(Intent::Typing { to, on: !stop }).map(drop)
}

/// `lanyard invite`.
pub fn invite(
    context: &Context,
    address: SignInAddress,
    with: Option<SignInAddress>,
    conversation: Option<String>,
) -> Result<(), Problem> {
    let body = context.ask(Intent::Invite {
        address,
        conversation,
        with,
    })?;
    show(&body);
    Ok(())
}

/// `lanyard conversations`.
pub fn list(context: &Context, json: bool) -> Result<(), Problem> {
    let body = context.ask(Intent::Conversations)?;
    if json {
        output::json(&body.conversations.unwrap_or_default());
    } else if body.conversations.as_ref().is_none_or(Vec::is_empty) {
        output::line("No conversations of several people.");
    } else {
        show(&body);
    }
    Ok(())
}

/// `lanyard say`.
pub fn say(context: &Context, conversation: String, words: &[String]) -> Result<(), Problem> {
    let text = text_of(words)?;
    context.ask(Intent::Say { conversation, text }).map(drop)
}

/// `lanyard leave`.
pub fn leave(context: &Context, conversation: String) -> Result<(), Problem> {
    context.ask(Intent::Leave { conversation })?;
    output::line("You have left the conversation.");
    Ok(())
}

fn show(body: &ReplyBody) {
    for one in body.conversations.iter().flatten() {
        let line = format!("{}  {}", one.id, names(one));
        output::line(&output::printable(&line));
    }
}

/// Who is in a conversation, besides oneself.
pub fn names(conversation: &ConversationView) -> String {
    let names: Vec<&str> = conversation
        .members
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    names.join(", ")
}
