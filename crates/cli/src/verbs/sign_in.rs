// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lanyard sign-in` and `lanyard open`.

use std::io::{BufRead, IsTerminal, Write};

use lanyard_client::files::AccountFiles;
use lanyard_client::{Fault, Problem, SignInAddress};

use super::Context;
use crate::args::SignIn;
use crate::terminal::{self, Options};

/// Signs in and opens the session.
pub fn sign_in(context: &Context, options: SignIn) -> Result<(), Problem> {
    let address = match &options.address {
        Some(typed) => parse(typed)?,
        None => remembered_or_asked(context)?,
    };
    let options = Options {
        address: Some(address),
        pin_fd: options.pin_fd,
        new_pin_fd: options.new_pin_fd,
        password_fd: options.password_fd,
        use_last_try: options.use_last_try,
        card_wait: options.card_wait,
        card: options.card,
    };
    terminal::open(context, options, true)
}

/// Opens the session that runs.
pub fn open(context: &Context) -> Result<(), Problem> {
    terminal::open(context, Options::default(), false)
}

fn parse(typed: &str) -> Result<SignInAddress, Problem> {
    typed
        .parse()
        .map_err(|error: lanyard_client::address::AddressError| {
            let mut reason = error.to_string();
            if let Some(first) = reason.get(..1).map(str::to_uppercase) {
                reason.replace_range(..1, &first);
            }
            Problem::new(Fault::AddressMalformed).with_detail(format!("{reason}."))
        })
}

fn remembered_or_asked(context: &Context) -> Result<SignInAddress, Problem> {
    if let Some(last) = AccountFiles::last_account(&context.places, &context.profile) {
        return Ok(last);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Problem::new(Fault::AddressMalformed).with_detail("None was given."));
    }
    let mut typed = String::new();
    {
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "Sign-in address: ");
        let _ = out.flush();
    }
    let _ = std::io::stdin().lock().read_line(&mut typed);
    parse(&typed)
}
