// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lanyard card unblock`, `lanyard card renew`, `lanyard my-cards`: the life of cards after enrolment.

use lanyard_client::card_life::{
    self, DeskWay, MyCard, Reach, RenewalOrder, desk_way, unblock_with_code, unblock_with_response,
};
use lanyard_client::cards::{self, CardChange, Purpose};
use lanyard_client::files::AccountFiles;
use lanyard_client::{Fault, Problem, SignInAddress};
use serde_json::json;

use super::Context;
use super::card::{is_new_pin, with_card};
use crate::args::{MyCards, Renew, Unblock, With};
use crate::output::{self, Style};
use crate::secrets;

const NEW_PIN: &str = "New PIN (6 to 8 digits)";

/// Unblocks a card in the way that fits it.
pub fn unblock(context: &Context, options: &Unblock) -> Result<(), Problem> {
    with_card(context, &options.card, |card| {
        if options.puk || options.puk_fd.is_some() {
            return unblock_with_puk(card, options);
        }
        match desk_way(card)? {
            DeskWay::Challenge {
                challenge,
                tries_left,
            } => by_response(card, options, &challenge, tries_left),
            DeskWay::Code if !options.challenge => by_code(context, card, options),
            DeskWay::OwnPuk if !options.challenge && options.response_fd.is_none() => {
                unblock_with_puk(card, options)
            }
            _ => Err(Problem::new(Fault::DeskNotReady)),
        }
    })
}

fn unblock_with_puk(card: &CardChange<'_>, options: &Unblock) -> Result<(), Problem> {
    let puk = secrets::take(options.puk_fd, "PUK")?;
    let new = secrets::choose(options.new_pin_fd, NEW_PIN, is_new_pin)?;
    cards::unblock(card, &puk, &new)?;
    output::line("The card is unblocked and has its new PIN.");
    Ok(())
}

fn by_response(
    card: &CardChange<'_>,
    options: &Unblock,
    challenge: &str,
    tries_left: u8,
) -> Result<(), Problem> {
    let number = card.facts().guid().unwrap_or_default();
    if options.json {
        output::json(&json!({ "card": number, "challenge": challenge, "tries_left": tries_left }));
    } else if options.response_fd.is_none() {
        let style = Style::of_stdout();
        output::line("Call your help desk and read this to it:");
        output::line(&format!("  Card       {number}"));
        output::line(&format!("  Challenge  {}", style.strong(challenge)));
        output::line("It stays good for one hour.");
    }
    if options.challenge {
        return Ok(());
    }
    let response = secrets::take(options.response_fd, "Response of the help desk")?;
    let new = secrets::choose(options.new_pin_fd, NEW_PIN, is_new_pin)?;
    unblock_with_response(card, &response, &new)?;
    output::line("The card is unblocked and has its new PIN.");
    Ok(())
}

fn by_code(context: &Context, card: &CardChange<'_>, options: &Unblock) -> Result<(), Problem> {
    let address = address_of(context, card)?;
    let code = secrets::take(options.code_fd, "One-time code of the help desk")?;
    let new = secrets::choose(options.new_pin_fd, NEW_PIN, is_new_pin)?;
    let reach = Reach::new(&context.config, &address, options.server.as_deref())?;
    unblock_with_code(&reach, card, &address, &code, &new)?;
    output::line("The card is unblocked and has its new PIN.");
    Ok(())
}

/// Renews a card.
pub fn renew(context: &Context, options: &Renew) -> Result<(), Problem> {
    let reached = cards::open(&context.config, &context.places);
    let which = options.card.card.as_deref();
    let places = &context.places;
    let card = CardChange::choose(places, &context.config, &reached, which, Purpose::Any)?;
    let address = address_of(context, &card)?;
    let pin = secrets::take(options.pin_fd, "PIN of the card")?;
    let admin_key = options.admin_key_fd.map(secrets::from_fd).transpose()?;
    let reach = Reach::new(&context.config, &address, options.server.as_deref())?;
    let order = RenewalOrder {
        reach: &reach,
        cards: &reached,
        card: &card,
        pin: &pin,
        new_key: options.new_key,
        admin_key: admin_key.as_ref(),
    };
    let quiet = options.json;
    let mut tell = |step: &str| {
        if !quiet {
            output::line(step);
        }
    };
    let renewed = card_life::renew(&order, &mut tell)?;
    if options.json {
        output::json(&renewed);
        return Ok(());
    }
    let style = Style::of_stdout();
    output::line(&style.good("Your card is renewed. Its PIN is as before."));
    output::line(&format!("  Holder   {}", renewed.holder));
    output::line(&format!("  Serial   {}", renewed.serial));
    let until = output::local_time(renewed.not_after);
    output::line(&format!("  Valid    until {until}"));
    if renewed.new_key {
        output::line("  Key      new");
    }
    Ok(())
}

/// The person's own cards.
pub fn my_cards(context: &Context, verb: MyCards) -> Result<(), Problem> {
    match verb {
        MyCards::List { with, json } => opened(context, &with, |mine| {
            let all = mine.list()?;
            if json {
                output::json(&all);
            } else {
                all.iter().for_each(show);
            }
            Ok(())
        }),
        MyCards::Lost { which, with, yes } => opened(context, &with, |mine| {
            let card = mine.find(&which)?;
            let question = format!(
                "Report {} lost? It can be used again only after it was found and enrolled anew.",
                words(&card)
            );
            if !yes && !output::confirm(&question) {
                return Err(Problem::new(Fault::Cancelled));
            }
            let ended = mine.report_lost(&card)?;
            output::line(&format!("{} is out of force.", words(&card)));
            match ended {
                0 => {}
                1 => output::line("One session of it was ended."),
                many => output::line(&format!("{many} sessions of it were ended.")),
            }
            Ok(())
        }),
        MyCards::Rename { which, name, with } => opened(context, &with, |mine| {
            let card = mine.find(&which)?;
            mine.rename(&card, &name)?;
            output::line(&format!("{} is called {name} now.", words(&card)));
            Ok(())
        }),
    }
}

fn opened(
    context: &Context,
    with: &With,
    work: impl FnOnce(&card_life::MyCards<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let reached = cards::open(&context.config, &context.places);
    let which = with.card.card.as_deref();
    let places = &context.places;
    let card = CardChange::choose(places, &context.config, &reached, which, Purpose::Any)?;
    let address = address_of(context, &card)?;
    let pin = secrets::take(with.pin_fd, "PIN of the card at hand")?;
    let reach = Reach::new(&context.config, &address, with.server.as_deref())?;
    work(&card_life::MyCards::open(
        &reach,
        &reached,
        card.facts(),
        &pin,
    )?)
}

/// The sign-in address that stands on the card, or the one that was used last.
fn address_of(context: &Context, card: &CardChange<'_>) -> Result<SignInAddress, Problem> {
    let certificate = card.facts().certificate.as_ref();
    let on_card = certificate
        .and_then(|facts| facts.addresses.first())
        .and_then(|address| address.parse().ok());
    let last = || AccountFiles::last_account(&context.places, &context.profile);
    on_card
        .or_else(last)
        .ok_or_else(|| Problem::new(Fault::CardNotEnrolled))
}

fn words(card: &MyCard) -> String {
    let name = if card.name.is_empty() {
        "The card"
    } else {
        card.name.as_str()
    };
    format!("{name} ({})", card.card.get(..8).unwrap_or(&card.card))
}

fn show(card: &MyCard) {
    let style = Style::of_stdout();
    let this = if card.this { " (this one)" } else { "" };
    output::line(&format!("{}{this}", style.strong(&words(card))));
    let field = |name: &str, value: &str| {
        if !value.is_empty() {
            output::line(&format!("  {name:<10} {value}"));
        }
    };
    field("Number", &card.card);
    field("State", &card.state);
    field("Kind", &card.kind);
    field("Make", &card.make);
    field("Computer", &card.computer);
    field("Enrolled", &output::local_time(card.enrolled_at));
    let used = card.last_used_at.map(output::local_time);
    field("Last used", used.as_deref().unwrap_or("never"));
    let until = card.not_after.map(output::local_time);
    field("Until", until.as_deref().unwrap_or_default());
}
