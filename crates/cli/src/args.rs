// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line. Secrets have no place on it: they are asked, or read from a file descriptor.

use clap::{Args, Parser, Subcommand, ValueEnum};
use lanyard_client::{Profile, SignInAddress};

/// Lanyard in the terminal: sign in with your smart card, talk to the people you work with.
#[derive(Debug, Parser)]
#[command(
    name = "lanyard",
    version,
    about,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Arguments {
    /// Use another profile: a session and files of its own.
    #[arg(long, global = true, default_value = "default", value_name = "NAME")]
    pub profile: Profile,
    /// What to do; without it, this help is shown.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Sign in and open the session in this terminal.
    SignIn(SignIn),
    /// Open the running session in this terminal.
    Open,
    /// End the session; the background process stays.
    SignOut {
        /// Also remove everything of this address from this computer.
        #[arg(long)]
        delete_sign_in_info: bool,
    },
    /// End the session and the background process.
    Exit,
    /// Say who is signed in, or set your status.
    Status {
        /// available, busy, do-not-disturb, be-right-back, away; 'reset' makes it automatic.
        status: Option<String>,
        /// Set the note above your name; an empty one removes it.
        #[arg(long)]
        note: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send one message and wait until it is delivered.
    Send {
        /// To whom.
        address: SignInAddress,
        /// The text; without it, standard input is read.
        text: Vec<String>,
    },
    /// Print events as JSON lines until the session's process ends.
    Watch,
    /// Remove address, settings, history and caches of an account from this computer and list what was removed.
    DeleteSignInInfo {
        /// Whose; without it, the address that was used last.
        address: Option<SignInAddress>,
    },
    /// See and change the contact list.
    #[command(subcommand)]
    Contacts(Contacts),
    /// Enrol a card with a one-time code (the same as 'lanyard card enrol').
    Enrol(Enrol),
    /// Create, enrol and look after smart cards.
    #[command(subcommand)]
    Card(Card),
    /// The background process. Started by the others.
    #[command(hide = true)]
    Agent,
}

/// `lanyard sign-in`.
#[derive(Debug, Args)]
pub struct SignIn {
    /// Sign-in address (user@domain); without it, the one that was used last.
    pub address: Option<String>,
    /// Read the PIN from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub pin_fd: Option<u32>,
    /// Read the new PIN from this file descriptor when the card still has its first one.
    #[arg(long, value_name = "FD")]
    pub new_pin_fd: Option<u32>,
    /// Read the password from this file descriptor, where a password is asked for.
    #[arg(long, value_name = "FD")]
    pub password_fd: Option<u32>,
    /// Use the PIN even when only one try is left before the card locks.
    #[arg(long)]
    pub use_last_try: bool,
    /// How long to wait for a card to be inserted.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub card_wait: u64,
}

/// `lanyard contacts`.
#[derive(Debug, Subcommand)]
pub enum Contacts {
    /// List the contacts with their status.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Add a contact.
    Add {
        /// Address.
        address: SignInAddress,
        /// Your own name for it.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Remove a contact.
    Remove {
        /// Address.
        address: SignInAddress,
    },
}

/// `lanyard card`.
#[derive(Debug, Subcommand)]
pub enum Card {
    /// Create a virtual card on this computer.
    Create(Create),
    /// List readers, cards, certificates and remaining tries.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Enrol a card with a one-time code from your administrator.
    Enrol(Enrol),
    /// Change the PIN.
    ChangePin {
        #[command(flatten)]
        card: Which,
        /// Use the PIN even when only one try is left before the card locks.
        #[arg(long)]
        use_last_try: bool,
        /// Read the current PIN from this file descriptor.
        #[arg(long, value_name = "FD")]
        pin_fd: Option<u32>,
        /// Read the new PIN from this file descriptor.
        #[arg(long, value_name = "FD")]
        new_pin_fd: Option<u32>,
    },
    /// Unblock the PIN with the PUK and choose a new one.
    Unblock {
        #[command(flatten)]
        card: Which,
        /// Read the PUK from this file descriptor.
        #[arg(long, value_name = "FD")]
        puk_fd: Option<u32>,
        /// Read the new PIN from this file descriptor.
        #[arg(long, value_name = "FD")]
        new_pin_fd: Option<u32>,
    },
    /// Say for whom a card is enrolled, by which authority and until when.
    Status {
        #[command(flatten)]
        card: Which,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Destroy a virtual card. Its keys cannot be brought back.
    Destroy {
        #[command(flatten)]
        card: Which,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Which card is meant.
#[derive(Debug, Args)]
pub struct Which {
    /// Name, reader, or the beginning of the card's number; needed only when there are several.
    #[arg(long, value_name = "CARD")]
    pub card: Option<String>,
}

/// `lanyard card create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Name of the card.
    #[arg(long, default_value = "My virtual card")]
    pub name: String,
    /// The first PIN: 12345678, to be changed before first use, or your own.
    #[arg(long, value_enum, default_value_t = Secret::Default)]
    pub pin: Secret,
    /// The key that administers the card: random (AES-256, kept on this computer), the well-known one, or your own.
    #[arg(long, value_enum, default_value_t = AdminKey::Random)]
    pub admin_key: AdminKey,
    /// The PUK that unblocks the PIN: 12345678, your own, or random (then only the admin key unblocks).
    #[arg(long, value_enum, default_value_t = PukChoice::Random)]
    pub puk: PukChoice,
    /// Read the PIN from this file descriptor (with --pin prompt).
    #[arg(long, value_name = "FD")]
    pub pin_fd: Option<u32>,
    /// Read the PUK from this file descriptor (with --puk prompt).
    #[arg(long, value_name = "FD")]
    pub puk_fd: Option<u32>,
    /// Read the admin key as hexadecimal digits from this file descriptor (with --admin-key prompt).
    #[arg(long, value_name = "FD")]
    pub admin_key_fd: Option<u32>,
}

/// Where a first secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Secret {
    /// The well-known value.
    Default,
    /// Asked.
    Prompt,
}

/// Where the admin key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AdminKey {
    /// Random, kept beside the card.
    Random,
    /// The well-known value.
    Default,
    /// Asked.
    Prompt,
}

/// Where the PUK comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PukChoice {
    /// The well-known value.
    Default,
    /// Asked.
    Prompt,
    /// Random and discarded.
    Random,
}

/// `lanyard enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The address to enrol for; without it, the one that was used last.
    pub address: Option<SignInAddress>,
    #[command(flatten)]
    pub card: Which,
    /// The enrolment service, when it is not found by itself (https://…).
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Replace the key and certificate of a card that is already enrolled.
    #[arg(long)]
    pub overwrite: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Read the one-time code from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub code_fd: Option<u32>,
    /// Read the card's PIN from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub pin_fd: Option<u32>,
    /// Read the new PIN from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub new_pin_fd: Option<u32>,
    /// Read the admin key as hexadecimal digits from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub admin_key_fd: Option<u32>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_texts_are_as_reviewed() {
        let mut text = Arguments::command().render_long_help().to_string();
        let command = Arguments::command();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            text.push_str(&format!("\n=== {} ===\n", verb.get_name()));
            text.push_str(&verb.clone().render_help().to_string());
            for below in verb.get_subcommands() {
                text.push_str(&format!(
                    "\n=== {} {} ===\n",
                    verb.get_name(),
                    below.get_name()
                ));
                text.push_str(&below.clone().render_help().to_string());
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn no_option_takes_a_secret() {
        let parsed = Arguments::try_parse_from(["lanyard", "sign-in", "a@b.c", "--pin", "123456"]);
        assert!(parsed.is_err());
    }
}
