// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIPE and our own client at the things that people do together: one contact list with groups, typing, levels of
//! access, conversations of several.

mod groups;
mod levels;
mod several;
mod typing;

use anyhow::Result;
use lanyard_tests::passwords::{PASSWORD_GROUP, add_password_user, set_password};
use lanyard_tests::person::{Person, Watch};
use lanyard_tests::sipe::{EVENT_LIMIT, Event, Sipe};
use lanyard_tests::world::World;
use serde_json::Value;

const ALICE: &str = "alice@contoso.test";
const ALICE_PIN: &str = "407316";
const BOB: &str = "bob@contoso.test";
const BOB_PIN: &str = "593817";
const DORA: &str = "dora@contoso.test";
const DORA_PIN: &str = "846201";
const ERIN: &str = "erin@contoso.test";
const ERIN_PASSWORD: &str = "erin has a long password";
const FRED: &str = "fred@contoso.test";
const FRED_PASSWORD: &str = "fred: another, just as long";

/// Erin at SIPE.
fn erin(world: &World) -> Result<Sipe> {
    add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
    Sipe::sign_in(world, ERIN, ERIN_PASSWORD)
}

/// Fred at SIPE.
fn fred(world: &World) -> Result<Sipe> {
    add_password_user(&world.server, FRED, "Fred Förster", FRED_PASSWORD)?;
    Sipe::sign_in(world, FRED, FRED_PASSWORD)
}

/// Somebody with a card at our own client, and what they see.
fn ours(world: &mut World, address: &str, pin: &str) -> Result<(Person, Watch)> {
    let person = world.enrolled(address, pin)?;
    person.sign_in(pin)?;
    let watch = person.watch()?;
    Ok((person, watch))
}

/// A person's second client: SIPE beside the one with the card.
fn second_client(world: &World, address: &str) -> Result<Sipe> {
    let password = "a password beside the card";
    world
        .server
        .must(&["group", "add-member", PASSWORD_GROUP, address])?;
    set_password(&world.server, address, password)?;
    Sipe::sign_in(world, address, password)
}

fn buddy<'a>(list: &'a [Event], address: &str) -> Option<&'a Event> {
    list.iter().find(|buddy| buddy[0] == address)
}

fn is_online(list: &[Event], address: &str) -> bool {
    buddy(list, address).is_some_and(|buddy| buddy[3] == "online")
}

/// A contact as our own client has it.
fn contact(person: &Person, address: &str) -> Option<Value> {
    let list = person.json(&["contacts", "list"]).ok()?;
    let list = list.as_array()?.iter();
    list.into_iter()
        .find(|one| one["address"] == address)
        .cloned()
}

/// An event about a contact.
fn becomes<'a>(address: &'a str, availability: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |event| {
        event["event"] == "contact"
            && event["address"] == address
            && event["availability"] == availability
    }
}

/// Waits until our client shows a message of a conversation of several.
fn hears(watch: &mut Watch, from: &str, text: &str) -> Result<String> {
    let (_, event) = watch.expect(text, EVENT_LIMIT, |event| {
        event["event"] == "message"
            && event["delivery"] == "received"
            && event["with"] == from
            && event["text"] == text
            && event["conversation"].is_string()
    })?;
    Ok(event["conversation"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// Waits until a conversation of several has exactly these members besides the person.
fn is_with(watch: &mut Watch, members: &[&str]) -> Result<String> {
    let what = format!("a conversation with {}", members.join(", "));
    let (_, event) = watch.expect(&what, EVENT_LIMIT, |event| {
        let there = event["members"].as_array().map(Vec::as_slice);
        let there = there.unwrap_or_default();
        event["event"] == "conversation"
            && event["ended"] == false
            && there.len() == members.len()
            && members
                .iter()
                .all(|one| there.iter().any(|member| member["address"] == *one))
    })?;
    Ok(event["id"].as_str().unwrap_or_default().to_owned())
}

/// Waits until a conversation is over.
fn is_over(watch: &mut Watch, id: &str) -> Result<()> {
    watch.expect("the conversation has ended", EVENT_LIMIT, |event| {
        event["event"] == "conversation" && event["id"] == id && event["ended"] == true
    })?;
    Ok(())
}
