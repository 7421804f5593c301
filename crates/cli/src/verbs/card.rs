// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lanyard card`: create, list, change the PIN, unblock, say the state, destroy.

use lanyard_client::cards::{
    self, AdminKeyChoice, AttestationChoice, CardChange, CardListing, CardView, CreateCard,
    KeeperChoice, PinChoice, PukChoice as Puk, Purpose, ReaderView,
};
use lanyard_client::config::PinPadRule;
use lanyard_client::files::AccountFiles;
use lanyard_client::session::Now;
use lanyard_client::{Fault, Problem, SignInAddress};
use zeroize::Zeroizing;

use super::{Context, card_life, enrol};
use crate::args::{AdminKey, Attestation, Card, Create, PukChoice, Secret, Which};
use crate::output::{self, Style};
use crate::secrets;

/// Runs a verb of cards.
pub fn run(context: &Context, verb: Card) -> Result<(), Problem> {
    match verb {
        Card::Create(options) => create(context, &options),
        Card::List { why, address, json } => list(context, why, address, json),
        Card::Enrol(options) => enrol::run(context, options),
        Card::ChangePin {
            card,
            on_reader,
            use_last_try,
            pin_fd,
            new_pin_fd,
        } => with_card(context, &card, |card| {
            let must = context.config.pin_pad == PinPadRule::Require;
            if on_reader {
                output::line("Type the current PIN on the reader, and the new one twice.");
                cards::change_pin_on_reader(card, use_last_try)?;
                output::line("The PIN is changed.");
                return Ok(());
            }
            if must {
                return Err(Problem::new(Fault::PadRequired)
                    .with_detail("Use 'lanyard card change-pin --on-reader'."));
            }
            let old = secrets::take(pin_fd, "Current PIN")?;
            let check = |new: &_| cards::check_new_pin(new, Some(&old));
            let new = secrets::choose(new_pin_fd, "New PIN (6 to 8 digits)", check)?;
            cards::change_pin(card, &old, &new, use_last_try)?;
            output::line("The PIN is changed.");
            Ok(())
        }),
        Card::Unblock(options) => card_life::unblock(context, &options),
        Card::Renew(options) => card_life::renew(context, &options),
        Card::Status { card, json } => status(context, &card, json),
        Card::Destroy { card, yes } => with_card(context, &card, |card| {
            let label = card.facts().label();
            let question = format!("Destroy {label}? Its keys cannot be brought back.");
            if !yes && !output::confirm(&question) {
                return Err(Problem::new(Fault::Cancelled));
            }
            cards::destroy(card)?;
            output::line(&format!("{label} is destroyed."));
            Ok(())
        }),
    }
}

pub(super) fn with_card(
    context: &Context,
    which: &Which,
    work: impl FnOnce(&CardChange<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let reached = cards::open(&context.config, &context.places);
    let which = which.card.as_deref();
    let places = &context.places;
    work(&CardChange::choose(
        places,
        &context.config,
        &reached,
        which,
        Purpose::Any,
    )?)
}

pub(super) fn is_new_pin(new: &Zeroizing<String>) -> Result<(), Problem> {
    cards::check_new_pin(new, None)
}

fn create(context: &Context, options: &Create) -> Result<(), Problem> {
    let pin = match options.pin {
        Secret::Default => PinChoice::Default,
        Secret::Prompt => PinChoice::Given(secrets::choose(
            options.pin_fd,
            "New PIN (6 to 8 digits)",
            is_new_pin,
        )?),
    };
    let puk = match options.puk {
        PukChoice::Default => Puk::Default,
        PukChoice::Random => Puk::Random,
        PukChoice::Prompt => Puk::Given(secrets::choose(
            options.puk_fd,
            "New PUK (6 to 8 digits)",
            cards::check_puk,
        )?),
    };
    let admin_key = match options.admin_key {
        AdminKey::Default => AdminKeyChoice::Default,
        AdminKey::Random => AdminKeyChoice::Random,
        AdminKey::Prompt => AdminKeyChoice::Given(secrets::take(
            options.admin_key_fd,
            "Admin key (48 or 64 hexadecimal digits)",
        )?),
    };
    let order = CreateCard {
        name: options.name.clone(),
        pin,
        puk,
        admin_key,
        keeper: if options.sealed_file {
            KeeperChoice::SealedFile
        } else {
            KeeperChoice::Tpm
        },
        attestation: options.attestation.map(|choice| match choice {
            Attestation::AikOnly => AttestationChoice::AikOnly,
            Attestation::AikAndCert => AttestationChoice::AikAndCert,
        }),
        pin_policy: options.pin_policy.clone(),
    };
    let created = cards::create(&context.places, &context.config, &order)?;
    let style = Style::of_stdout();
    output::line(&format!(
        "Virtual card {} is created.",
        style.strong(&options.name)
    ));
    output::line(&format!("  Instance   {}", created.instance));
    output::line(&format!("  Number     {}", created.guid));
    output::line(match order.keeper {
        KeeperChoice::Tpm => "  Protection in the TPM of this computer",
        KeeperChoice::SealedFile => "  Protection sealed file: no hardware protection",
    });
    if options.pin == Secret::Default {
        output::line("  PIN        12345678, to be changed before first use");
    }
    if let Some(puk) = &created.puk {
        output::line(&format!("  PUK        {}", puk.as_str()));
        let words = "Write the PUK down: it unblocks the PIN, and it is shown only now.";
        output::line(&style.warn(words));
    }
    Ok(())
}

fn listing(context: &Context, why: Option<&SignInAddress>) -> Result<CardListing, Problem> {
    let reached = cards::open(&context.config, &context.places);
    let wall = Now::from_system().wall;
    let remembered = why.map(|address| remembered(context, address));
    let asked = why.zip(remembered.as_ref());
    cards::list_for(&context.places, &context.config, &reached, wall, asked)
}

/// What the sign-in of this address would go by.
fn remembered(context: &Context, address: &SignInAddress) -> cards::Remembered {
    let settings = AccountFiles::new(&context.places, &context.profile, address).settings();
    cards::Remembered {
        last_card: settings.last_card,
        refused: settings.refused,
        issuers: context.config.card_issuers.clone(),
        pin_pad: context.config.pin_pad,
    }
}

fn list(
    context: &Context,
    why: bool,
    address: Option<SignInAddress>,
    json: bool,
) -> Result<(), Problem> {
    let last = || AccountFiles::last_account(&context.places, &context.profile);
    let asked = match address.or_else(last) {
        Some(address) if why => Some(address),
        None if why => {
            let detail = "None was used yet: say which with --for ADDRESS.";
            return Err(Problem::new(Fault::AddressMalformed).with_detail(detail));
        }
        _ => None,
    };
    let listing = listing(context, asked.as_ref())?;
    if json {
        output::json(&listing);
        return Ok(());
    }
    let style = Style::of_stdout();
    if let Some(problem) = &listing.service {
        output::error_line(&style.quiet(&problem.to_string()));
    }
    for problem in &listing.modules {
        output::error_line(&style.warn(&problem.to_string()));
    }
    if listing.readers.is_empty() {
        return Err(Problem::new(Fault::NoReader));
    }
    for reader in &listing.readers {
        for line in reader_lines(reader, style) {
            output::line(&line);
        }
    }
    Ok(())
}

fn reader_lines(reader: &ReaderView, style: Style) -> Vec<String> {
    let mut lines = vec![style.strong(&format!("{} ({})", reader.reader, reader.path))];
    match (&reader.card, &reader.problem) {
        (Some(card), _) => lines.extend(card_lines(card, style)),
        (None, Some(problem)) => lines.push(format!("  {}", style.bad(&problem.to_string()))),
        (None, None) => lines.push(format!("  {}", style.quiet("no card"))),
    }
    lines
}

fn card_lines(card: &CardView, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut field = |name: &str, value: &str| lines.push(format!("  {name:<10} {value}"));
    if let Some(name) = &card.name {
        field("Card", name);
    }
    field(
        "Kind",
        match card.kind {
            "virtual-file" => "virtual card in a sealed file (no hardware protection)",
            "virtual-tpm" => "virtual card in the TPM",
            "token" => "physical card, through a PKCS #11 module",
            _ => "physical card",
        },
    );
    field("Make", &card.make);
    if let Some(guid) = &card.guid {
        field("Number", guid);
    }
    if let Some(instance) = &card.instance {
        field("Instance", instance);
    }
    field("State", card.state.words());
    if let Some(certificate) = &card.certificate {
        field("Holder", &certificate.holder);
        if !certificate.addresses.is_empty() {
            field("Address", &certificate.addresses.join(", "));
        }
        if let Some(upn) = &certificate.upn {
            field("UPN", upn);
        }
        if let Some(email) = &certificate.email {
            field("E-mail", email);
        }
        field("Issuer", &certificate.issuer);
        field("Serial", &certificate.serial);
        let from = output::local_time(certificate.not_before);
        let until = output::local_time(certificate.not_after);
        field("Valid", &format!("{from} to {until}"));
        if let Some(reminder) = &certificate.reminder {
            field("", &style.warn(&reminder.to_string()));
        }
        if !certificate.for_sign_in {
            field("", &style.warn("not meant for signing in"));
        }
    }
    field("PIN", &card.pin);
    if card.pin_pad {
        field("", "It can be typed on the reader.");
    }
    if let Some(verdict) = &card.sign_in {
        match &verdict.left_out {
            None => field("Sign-in", &format!("fits for {}", verdict.address)),
            Some(reason) => {
                let words = format!("left out for {}: {reason}", verdict.address);
                field("Sign-in", &style.warn(&words));
            }
        }
    }
    lines
}

fn status(context: &Context, which: &Which, json: bool) -> Result<(), Problem> {
    // Chosen first: the faults of choosing are the ones that a person can act on.
    let reached = cards::open(&context.config, &context.places);
    let which = which.card.as_deref();
    let chosen = CardChange::choose(
        &context.places,
        &context.config,
        &reached,
        which,
        Purpose::Any,
    )?;
    let facts = chosen.facts();
    let serial = facts.certificate.as_ref().map(|one| one.serial.clone());
    // A reader of a PKCS #11 module may hold several certificates.
    let is_it = |one: &ReaderView| {
        let certificate = one.card.as_ref().and_then(|card| card.certificate.as_ref());
        one.reader == facts.summary.reader.name
            && certificate.map(|one| one.serial.clone()) == serial
    };
    let found = listing(context, None)?.readers.into_iter().find(is_it);
    let view = found.ok_or_else(|| Problem::new(Fault::CardRemoved))?;
    if json {
        output::json(&view.card);
    } else {
        for line in reader_lines(&view, Style::of_stdout()) {
            output::line(&line);
        }
    }
    Ok(())
}
