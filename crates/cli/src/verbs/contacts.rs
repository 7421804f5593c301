// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contact list from the command line.

use lanyard_client::Problem;
use lanyard_client::agent::protocol::Intent;

use super::Context;
use crate::args::Contacts;
use crate::output::{self, Style};

/// `lanyard contacts`.
pub fn run(context: &Context, verb: Contacts) -> Result<(), Problem> {
    match verb {
        Contacts::List { json } => {
            let body = context.ask(Intent::Contacts)?;
            let contacts = body.contacts.unwrap_or_default();
            if json {
                output::json(&contacts);
            } else {
                let groups = body.groups.unwrap_or_default();
                for line in output::contact_lines(&contacts, &groups, Style::of_stdout()) {
                    output::line(&line);
                }
            }
            Ok(())
        }
        Contacts::Add {
            address,
            name,
            group,
        } => {
            context.ask(Intent::AddContact {
                address: address.clone(),
                name,
                group,
            })?;
            output::line(&format!("{address} is in your contact list now."));
            Ok(())
        }
        Contacts::Remove { address } => {
            context.ask(Intent::RemoveContact {
                address: address.clone(),
            })?;
            output::line(&format!("{address} is no longer in your contact list."));
            Ok(())
        }
    }
}
