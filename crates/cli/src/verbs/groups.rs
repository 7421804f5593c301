// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups of the contact list, and what contacts may see, from the command line.

use lanyard_client::agent::protocol::Intent;
use lanyard_client::view::AccessLevel;
use lanyard_client::{Fault, Problem, SignInAddress};

use super::Context;
use crate::args::Group;
use crate::output;

/// The word that takes a decision about a level back.
pub const RESET: &str = "reset";

/// `lanyard group`.
pub fn run(context: &Context, verb: Group) -> Result<(), Problem> {
    let (intent, words) = match verb {
        Group::List { json } => return list(context, json),
        Group::Add { name } => (
            Intent::AddGroup {
                group: name.clone(),
            },
            format!("There is a group “{name}” now."),
        ),
        Group::Rename { name, to } => (
            Intent::RenameGroup {
                group: name.clone(),
                to: to.clone(),
            },
            format!("“{name}” is called “{to}” now."),
        ),
        Group::Delete { name } => (
            Intent::DeleteGroup {
                group: name.clone(),
            },
            format!("“{name}” is gone; its contacts are still in your list."),
        ),
        Group::AddMember { name, address } => (
            Intent::AddToGroup {
                address: address.clone(),
                group: name.clone(),
            },
            format!("{address} is in “{name}” now."),
        ),
        Group::RemoveMember { name, address } => (
            Intent::RemoveFromGroup {
                address: address.clone(),
                group: name.clone(),
            },
            format!("{address} is no longer in “{name}”."),
        ),
        Group::Move { name, address } => (
            Intent::MoveToGroup {
                address: address.clone(),
                group: name.clone(),
            },
            format!("{address} is in “{name}” now and in no other group."),
        ),
    };
    context.ask(intent)?;
    output::line(&words);
    Ok(())
}

fn list(context: &Context, json: bool) -> Result<(), Problem> {
    let groups = context.ask(Intent::Contacts)?.groups.unwrap_or_default();
    if json {
        output::json(&groups);
    } else if groups.is_empty() {
        output::line("No groups yet. Make one: lanyard group add NAME");
    } else {
        for name in groups {
            output::line(&output::printable(&name));
        }
    }
    Ok(())
}

/// `lanyard block`.
pub fn block(context: &Context, address: SignInAddress) -> Result<(), Problem> {
    let words = format!("{address} sees you off line from now on and cannot write to you.");
    let level = Some(AccessLevel::Blocked);
    context.ask(Intent::SetLevel { address, level })?;
    output::line(&words);
    Ok(())
}

/// `lanyard unblock`.
pub fn unblock(context: &Context, address: SignInAddress) -> Result<(), Problem> {
    let words = format!("{address} is not blocked any more.");
    // Whoever is not blocked keeps the level that was decided.
    let levels = context.ask(Intent::Levels)?.levels.unwrap_or_default();
    let blocked = |one: &lanyard_client::view::LevelView| {
        one.address == address && one.level == AccessLevel::Blocked
    };
    if levels.iter().any(blocked) {
        let level = None;
        context.ask(Intent::SetLevel { address, level })?;
    }
    output::line(&words);
    Ok(())
}

/// `lanyard level`.
pub fn level(
    context: &Context,
    address: Option<SignInAddress>,
    word: Option<String>,
    json: bool,
) -> Result<(), Problem> {
    let (Some(address), Some(word)) = (address, word) else {
        return list_levels(context, json);
    };
    let level = match word.as_str() {
        RESET => None,
        word => Some(AccessLevel::from_typed(word).ok_or(Fault::LevelUnknown)?),
    };
    let words = level.map_or_else(
        || format!("{address} sees what everybody of their organisation sees."),
        |level| format!("{address} is at the level “{}” now.", level.word()),
    );
    context.ask(Intent::SetLevel { address, level })?;
    output::line(&words);
    Ok(())
}

fn list_levels(context: &Context, json: bool) -> Result<(), Problem> {
    let levels = context.ask(Intent::Levels)?.levels.unwrap_or_default();
    if json {
        output::json(&levels);
    } else if levels.is_empty() {
        output::line("Everybody sees what their organisation may see.");
    } else {
        for one in levels {
            output::line(&format!("{:<10} {}", one.level.word(), one.address));
        }
    }
    Ok(())
}
