// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lanyard enrol`: a one-time code against a certificate on the card.

use lanyard_client::cards::{self, CardChange, Purpose};
use lanyard_client::enrolment::{EnrolOrder, Enrolled, enrol};
use lanyard_client::files::AccountFiles;
use lanyard_client::{Fault, Problem};

use super::Context;
use crate::args::Enrol;
use crate::output::{self, Style};
use crate::secrets;

/// Enrols a card.
pub fn run(context: &Context, options: Enrol) -> Result<(), Problem> {
    let last = || AccountFiles::last_account(&context.places, &context.profile);
    let address = options
        .address
        .or_else(last)
        .ok_or_else(|| Problem::new(Fault::AddressMalformed))?;
    let reached = cards::open(&context.config, &context.places);
    let which = options.card.card.as_deref();
    let purpose = Purpose::Enrol(&address);
    let card = CardChange::choose(&context.places, &context.config, &reached, which, purpose)?;
    let overwrite = options.overwrite || may_overwrite(&card)?;
    let code = secrets::take(options.code_fd, "One-time code")?;
    let prompt = if card.pin_is_first() {
        "Current PIN of the card (12345678 when it was never changed)"
    } else {
        "PIN of the card"
    };
    let pin = secrets::take(options.pin_fd, prompt)?;
    let must_change = card.pin_is_first() || cards::is_first_pin(&pin);
    let new_pin = match (must_change, options.new_pin_fd) {
        (true, fd) => {
            let check = |new: &_| cards::check_new_pin(new, Some(&pin));
            Some(secrets::choose(fd, "New PIN (6 to 8 digits)", check)?)
        }
        (false, Some(fd)) => Some(secrets::from_fd(fd)?),
        (false, None) => None,
    };
    let admin_key = options.admin_key_fd.map(secrets::from_fd).transpose()?;
    let order = EnrolOrder {
        address,
        server: options.server,
        code,
        pin,
        new_pin,
        admin_key,
        overwrite,
    };
    let quiet = options.json;
    let mut tell = |step: &str| {
        if !quiet {
            output::line(step);
        }
    };
    let enrolled = enrol(&context.config, &card, &order, &mut tell)?;
    if options.json {
        output::json(&enrolled);
    } else {
        report(&enrolled);
    }
    Ok(())
}

/// A used card is overwritten only after a question.
fn may_overwrite(card: &CardChange<'_>) -> Result<bool, Problem> {
    let Some(certificate) = &card.facts().certificate else {
        return Ok(false);
    };
    let whose = format!("This card is enrolled for {}.", certificate.holder);
    if output::confirm(&format!("{whose} Replace its key and certificate?")) {
        Ok(true)
    } else {
        Err(Problem::new(Fault::CardAlreadyEnrolled).with_detail(whose))
    }
}

fn report(enrolled: &Enrolled) {
    let style = Style::of_stdout();
    output::line(&style.good("Your card is ready."));
    output::line(&format!("  Holder   {}", enrolled.holder));
    output::line(&format!("  Issuer   {}", enrolled.issuer));
    output::line(&format!("  Serial   {}", enrolled.serial));
    output::line(&format!(
        "  Valid    until {}",
        output::local_time(enrolled.not_after)
    ));
    if enrolled.in_care {
        output::line("  Help     your help desk can unblock it when the PIN is forgotten");
    }
    if let Some(problem) = &enrolled.care_problem {
        output::line(&style.warn(&problem.to_string()));
    }
    if !enrolled.active {
        let words = "It becomes active at your first sign-in, when you choose your own PIN.";
        output::line(&style.warn(words));
    }
}
