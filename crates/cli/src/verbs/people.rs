// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who works here, and who somebody is.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_client::agent::protocol::Intent;
use lanyard_client::places::file_problem;
use lanyard_client::{Fault, Problem, SignInAddress};

use super::Context;
use crate::output::{self, Style};
use crate::people;

/// `lanyard find`.
pub fn find(
    context: &Context,
    words: &[String],
    limit: usize,
    add: bool,
    json: bool,
) -> Result<(), Problem> {
    let body = context.ask(Intent::Find {
        words: words.join(" "),
        limit: Some(limit),
    })?;
    let people = body.people.unwrap_or_default();
    if json {
        output::json(&people);
        return Ok(());
    }
    for line in people::people_lines(&people, body.more == Some(true), Style::of_stdout()) {
        output::line(&line);
    }
    match people.as_slice() {
        [person] if add && !person.contact => {
            context.ask(Intent::AddContact {
                address: person.address.clone(),
                name: String::new(),
                group: None,
            })?;
            output::line(&format!("{} is in your contact list now.", person.address));
        }
        [_] if add => output::line("This person is in your contact list already."),
        [] if add => return Err(Problem::new(Fault::PersonUnknown)),
        [] => {}
        _ if add => {
            let detail = "Several people fit; add one with 'lanyard contacts add ADDRESS'.";
            return Err(Problem::new(Fault::PersonUnknown).with_detail(detail));
        }
        _ => {}
    }
    Ok(())
}

/// `lanyard whois`.
pub fn whois(
    context: &Context,
    address: SignInAddress,
    photo: Option<&Path>,
    json: bool,
) -> Result<(), Problem> {
    let body = context.ask(Intent::Person {
        address: address.clone(),
    })?;
    let person = body.person.ok_or(Fault::PersonUnknown)?;
    if json {
        output::json(&person);
    } else {
        for line in people::person_lines(&person, Style::of_stdout()) {
            output::line(&line);
        }
    }
    let Some(path) = photo else { return Ok(()) };
    let body = context.ask(Intent::Photo { address })?;
    let photo = body.photo.ok_or(Fault::PhotoMissing)?;
    let bytes = STANDARD
        .decode(&photo.data)
        .map_err(|_| Problem::new(Fault::DirectoryUnavailable))?;
    std::fs::write(path, bytes).map_err(|error| file_problem(path, &error))?;
    if !json {
        output::line(&format!("The photo is in {}.", path.display()));
    }
    Ok(())
}
