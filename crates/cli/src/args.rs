// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line. Secrets have no place on it: they are asked, or read from a file descriptor.

use std::path::PathBuf;

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
    /// Let somebody see that you are typing to them.
    Typing {
        /// To whom.
        address: SignInAddress,
        /// You have stopped.
        #[arg(long)]
        stop: bool,
    },
    /// Bring somebody into a conversation of several people.
    Invite {
        /// Whom.
        address: SignInAddress,
        /// Begin a conversation with this person and bring the other into it.
        #[arg(long, value_name = "ADDRESS", required_unless_present = "conversation")]
        with: Option<SignInAddress>,
        /// Bring them into this one, as 'conversations' names it.
        #[arg(long = "in", value_name = "CONVERSATION", conflicts_with = "with")]
        conversation: Option<String>,
    },
    /// List the conversations of several people.
    Conversations {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say something in a conversation of several people and wait until it is delivered.
    Say {
        /// Which conversation.
        conversation: String,
        /// The text; without it, standard input is read.
        text: Vec<String>,
    },
    /// Leave a conversation of several people.
    Leave {
        /// Which conversation.
        conversation: String,
    },
    /// Let somebody see nothing of you: you look off line and get no messages from them.
    Block {
        /// Whom.
        address: SignInAddress,
    },
    /// Take a block back.
    Unblock {
        /// Whom.
        address: SignInAddress,
    },
    /// Decide what somebody may see of you, or list for whom that was decided.
    Level {
        /// Whom; without it, everybody for whom it was decided is listed.
        #[arg(requires = "level")]
        address: Option<SignInAddress>,
        /// personal, team, colleague, public or blocked; 'reset' for what everybody of their organisation sees.
        level: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put the contact list into groups.
    #[command(subcommand)]
    Group(Group),
    /// Print events as JSON lines until the session's process ends.
    Watch,
    /// Remove address, settings, history and caches of an account from this computer and list what was removed.
    DeleteSignInInfo {
        /// Whose; without it, the address that was used last.
        address: Option<SignInAddress>,
    },
    /// Look for people in your organisation.
    Find {
        /// Beginnings of names, addresses, titles or telephone numbers.
        #[arg(required = true)]
        words: Vec<String>,
        /// How many people at most.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// Add the person who was found to your contacts, if it is one.
        #[arg(long)]
        add: bool,
        /// Print JSON.
        #[arg(long, conflicts_with = "add")]
        json: bool,
    },
    /// Show who somebody is: name, title, e-mail, telephone number, status.
    Whois {
        /// Whose card.
        address: SignInAddress,
        /// Write the photo to this file.
        #[arg(long, value_name = "FILE")]
        photo: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// See and change the contact list.
    #[command(subcommand)]
    Contacts(Contacts),
    /// Enrol a card with a one-time code (the same as 'lanyard card enrol').
    Enrol(Enrol),
    /// Create, enrol and look after smart cards.
    #[command(subcommand)]
    Card(Card),
    /// Runs one PKCS #11 module for the program that started it.
    #[command(hide = true, name = "pkcs11-module")]
    Pkcs11Module {
        /// The module's file.
        module: PathBuf,
    },
    /// See all your cards, name them, report one lost.
    #[command(subcommand)]
    MyCards(MyCards),
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
    /// Which card, when several fit: its name, its reader, or the beginning of its number.
    #[arg(long, value_name = "CARD")]
    pub card: Option<String>,
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
        /// The group to put it into.
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
    },
    /// Remove a contact.
    Remove {
        /// Address.
        address: SignInAddress,
    },
}

/// `lanyard group`.
#[derive(Debug, Subcommand)]
pub enum Group {
    /// List the groups.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a group.
    Add {
        /// Its name.
        name: String,
    },
    /// Give a group another name.
    Rename {
        /// Its name.
        name: String,
        /// Its new name.
        to: String,
    },
    /// Delete a group; its contacts stay in the list.
    Delete {
        /// Its name.
        name: String,
    },
    /// Put a contact into a group as well.
    AddMember {
        /// The group.
        name: String,
        /// The contact.
        address: SignInAddress,
    },
    /// Take a contact out of a group; it stays in the list.
    RemoveMember {
        /// The group.
        name: String,
        /// The contact.
        address: SignInAddress,
    },
    /// Put a contact into a group and out of all others.
    Move {
        /// The group.
        name: String,
        /// The contact.
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
        /// Also say of each card whether it would be used to sign in, and why not.
        #[arg(long)]
        why: bool,
        /// Whose sign-in is meant with --why; without it, the address that was used last.
        #[arg(long = "for", value_name = "ADDRESS", requires = "why")]
        address: Option<SignInAddress>,
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
        /// Type the current and the new PIN on the reader's own keys.
        #[arg(long, conflicts_with_all = ["pin_fd", "new_pin_fd"])]
        on_reader: bool,
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
    /// Unblock the PIN and choose a new one: with your help desk, or with a PUK of your own.
    ///
    /// Without an option, a card in the care of the help desk shows what to read to it, and asks for its response; a
    /// card of another make asks for the one-time code that the help desk has given you.
    Unblock(Unblock),
    /// Renew a card before it ends; its PIN stays.
    Renew(Renew),
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

/// `lanyard card unblock`.
#[derive(Debug, Args)]
pub struct Unblock {
    #[command(flatten)]
    pub card: Which,
    /// Only show what to read to the help desk.
    #[arg(long)]
    pub challenge: bool,
    /// Unblock with a PUK of your own.
    #[arg(long)]
    pub puk: bool,
    /// The server, when it is not found by itself (https://…).
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Read the help desk's response from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub response_fd: Option<u32>,
    /// Read the help desk's one-time code from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub code_fd: Option<u32>,
    /// Read the PUK from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub puk_fd: Option<u32>,
    /// Read the new PIN from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub new_pin_fd: Option<u32>,
}

/// `lanyard card renew`.
#[derive(Debug, Args)]
pub struct Renew {
    #[command(flatten)]
    pub card: Which,
    /// Give the card a new key; only virtual cards of Lanyard can.
    #[arg(long)]
    pub new_key: bool,
    /// The server, when it is not found by itself (https://…).
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Read the PIN from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub pin_fd: Option<u32>,
    /// Read the admin key as hexadecimal digits from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub admin_key_fd: Option<u32>,
}

/// `lanyard my-cards`.
#[derive(Debug, Subcommand)]
pub enum MyCards {
    /// List all your cards: where they stand, on which computer they are, when they were used last.
    List {
        #[command(flatten)]
        with: With,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Report a card lost: nobody signs in with it any more, and its sessions end at once.
    Lost {
        /// Its name, its computer, or the beginning of its number.
        which: String,
        #[command(flatten)]
        with: With,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Give a card another name.
    Rename {
        /// Its name, its computer, or the beginning of its number.
        which: String,
        /// The new name.
        name: String,
        #[command(flatten)]
        with: With,
    },
}

/// The card at hand, which opens the list of the others.
#[derive(Debug, Args)]
pub struct With {
    #[command(flatten)]
    pub card: Which,
    /// The server, when it is not found by itself (https://…).
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Read the PIN of the card at hand from this file descriptor.
    #[arg(long, value_name = "FD")]
    pub pin_fd: Option<u32>,
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
    /// Keep the card in a file instead of the TPM: without hardware protection, and only where your organisation
    /// permits it.
    #[arg(long)]
    pub sealed_file: bool,
    /// What PINs must look like, as tpmvscmgr has it: minlen=6,maxlen=8; a PIV card takes 6 to 8 digits.
    #[arg(long, value_name = "RULES")]
    pub pin_policy: Option<String>,
    /// Let the card prove where its keys are: with an attestation key, or also with the TPM maker's certificate.
    #[arg(long, value_enum)]
    pub attestation: Option<Attestation>,
    /// Write the card's data objects. It is always done; the option is for those who know it from tpmvscmgr.
    #[arg(long)]
    pub generate: bool,
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

/// What a card in the TPM can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Attestation {
    /// An attestation key.
    AikOnly,
    /// An attestation key and the maker's certificate.
    AikAndCert,
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
