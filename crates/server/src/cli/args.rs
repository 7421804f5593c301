// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the command line.

use std::path::PathBuf;

use crate::admin::IdentityCheck;
use clap::{Args, Parser, Subcommand, ValueEnum};
use lanyard_authority::ServerName;
use lanyard_directory::{
    CardKind, CardKinds, CardRemoval, DomainName, Email, GroupName, KeyAssurance,
    MissingPresenceKey, SipAddress, Upn,
};

use super::attestation::AttestationCommand;
use crate::data::DATA_DIR_DEFAULT;

/// The server of Lanyard, and its administration.
///
/// Every verb acts on the running server and is in force when it returns; without a running server it
/// works on the data directory itself.
#[derive(Debug, Parser)]
#[command(name = "lanyard-server", version, propagate_version = true)]
pub struct Arguments {
    /// The data directory.
    #[arg(long, global = true, value_name = "DIR", env = "LANYARD_DATA", hide_env_values = true, default_value = DATA_DIR_DEFAULT)]
    pub data: PathBuf,
    /// The configuration; otherwise server.toml of the data directory, or /etc/lanyard/server.toml.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LANYARD_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new deployment: directory, keys, certificates, database, configuration.
    Init(InitArguments),
    /// Run the server.
    Serve,
    /// People.
    #[command(subcommand)]
    User(UserCommand),
    /// Groups of people.
    #[command(subcommand)]
    Group(GroupCommand),
    /// What is asked of people when they sign in.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Whose word counts about where the key of a card lives.
    #[command(subcommand)]
    Attestation(AttestationCommand),
    /// Cards and the certificates on them.
    #[command(subcommand)]
    Card(CardCommand),
    /// The certificate of the listeners.
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Live sessions.
    #[command(subcommand)]
    Session(SessionCommand),
    /// The audit trail.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Say whether the server is running.
    Status,
    /// Check the installation and say what is wrong.
    Doctor,
}

/// What a deployment is made from.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// The domain of the sign-in addresses.
    #[arg(long)]
    pub domain: DomainName,
    /// The name that clients connect to [default: lync.DOMAIN].
    #[arg(long)]
    pub host: Option<DomainName>,
    /// A further name or address for the server's certificate; can be given several times.
    #[arg(long, value_name = "NAME")]
    pub san: Vec<ServerName>,
    /// The organisation, as it stands in certificates [default: DOMAIN].
    #[arg(long)]
    pub organisation: Option<String>,
}

/// Verbs on people.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person.
    Add {
        /// The sign-in address: user@domain.
        address: SipAddress,
        /// The principal name in certificates [default: the address].
        #[arg(long)]
        upn: Option<Upn>,
        /// The e-mail address [default: the address].
        #[arg(long)]
        email: Option<Email>,
        /// The name that others see [default: the part before the @].
        #[arg(long)]
        name: Option<String>,
        /// The job title.
        #[arg(long)]
        title: Option<String>,
        /// The telephone number.
        #[arg(long)]
        phone: Option<String>,
        /// A photo: a JPEG or PNG file.
        #[arg(long, value_name = "FILE")]
        photo: Option<PathBuf>,
        /// A group to put the person into; can be given several times.
        #[arg(long)]
        group: Vec<GroupName>,
    },
    /// Change what others see of a person; it reaches them at once.
    Set {
        /// The sign-in address.
        address: SipAddress,
        /// The name that others see.
        #[arg(long)]
        name: Option<String>,
        /// The e-mail address.
        #[arg(long)]
        email: Option<Email>,
        /// The job title; an empty text takes it away.
        #[arg(long)]
        title: Option<String>,
        /// The telephone number; an empty text takes it away.
        #[arg(long)]
        phone: Option<String>,
        /// A photo: a JPEG or PNG file. It is made small and stored without its metadata.
        #[arg(long, value_name = "FILE", conflicts_with = "no_photo")]
        photo: Option<PathBuf>,
        /// Take the photo away.
        #[arg(long)]
        no_photo: bool,
    },
    /// List everybody.
    List,
    /// Show one person.
    Show {
        /// The sign-in address.
        address: SipAddress,
    },
    /// Shut a person out; live sessions end at once.
    Disable {
        /// The sign-in address.
        address: SipAddress,
    },
    /// Let a person in again.
    Enable {
        /// The sign-in address.
        address: SipAddress,
    },
    /// Set a password, asked for on the terminal.
    SetPassword {
        /// The sign-in address.
        address: SipAddress,
        /// Read the password from this file descriptor instead.
        #[arg(long, value_name = "N")]
        password_fd: Option<u32>,
    },
    /// Take the password away; sessions that it has earned end.
    RemovePassword {
        /// The sign-in address.
        address: SipAddress,
    },
    /// Make a one-time code with which the person enrols a card. It is shown once.
    EnrolCode {
        /// The sign-in address.
        address: SipAddress,
    },
    /// Add everybody of a CSV file, or nobody when a line is wrong. The columns are address, upn,
    /// email, name, title, phone, groups and photo; a photo is a file beside the CSV file.
    Import {
        /// The file; '-' means standard input.
        file: PathBuf,
        /// Only check the file and say who would be added.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Verbs on groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group.
    Add {
        /// Its name.
        name: GroupName,
    },
    /// List all groups with their members.
    List,
    /// Put a person into a group.
    AddMember {
        /// The group.
        group: GroupName,
        /// The sign-in address.
        address: SipAddress,
    },
    /// Take a person out of a group.
    RemoveMember {
        /// The group.
        group: GroupName,
        /// The sign-in address.
        address: SipAddress,
    },
}

/// Verbs on policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show what policies say.
    Show {
        /// Only this group.
        #[arg(long, conflicts_with = "user")]
        group: Option<GroupName>,
        /// What holds for this person.
        #[arg(long, value_name = "ADDRESS")]
        user: Option<SipAddress>,
    },
    /// Play each way in of a person, and say which are open and why others are not.
    Verify {
        /// The sign-in address.
        address: SipAddress,
    },
    /// Change what a policy says. The strictest of a person's groups wins, field by field.
    Set(PolicySetArguments),
}

/// A change of policy.
#[derive(Debug, Args)]
pub struct PolicySetArguments {
    /// The policy of this group.
    #[arg(long, required_unless_present = "default", conflicts_with = "default")]
    pub group: Option<GroupName>,
    /// The policy that holds where no group says otherwise.
    #[arg(long)]
    pub default: bool,
    /// Whether a card is required.
    #[arg(long, value_name = "yes|no|unset")]
    pub card_required: Option<Tristate>,
    /// Whether a password is accepted.
    #[arg(long, value_name = "yes|no|unset")]
    pub password_allowed: Option<Tristate>,
    /// How long a chat certificate lives, in hours: 1 to 168, or 'unset'.
    #[arg(long, value_name = "N|unset", value_parser = settable::<u16>)]
    pub chat_certificate_hours: Option<Settable<u16>>,
    /// The kinds of card that are accepted: a list of physical, virtual-tpm, virtual-file; 'none'; or 'unset'.
    #[arg(long, value_name = "LIST|unset", value_parser = settable::<CardKinds>)]
    pub card_kinds: Option<Settable<CardKinds>>,
    /// What has to be proved about where a card's key lives: none, tpm-user, piv-certificate, tpm-certificate,
    /// tpm-known, each including those after it; or 'unset'.
    #[arg(long, value_name = "LEVEL|unset", value_parser = settable::<KeyAssurance>)]
    pub key_assurance: Option<Settable<KeyAssurance>>,
    /// What the client does when the card is removed: nothing, lock, sign-out, exit; or 'unset'.
    #[arg(long, value_name = "ACTION|unset", value_parser = settable::<CardRemoval>)]
    pub card_removal: Option<Settable<CardRemoval>>,
    /// How many seconds it waits before that: 0 to 3600, or 'unset'.
    #[arg(long, value_name = "N|unset", value_parser = settable::<u16>)]
    pub card_removal_grace_seconds: Option<Settable<u16>>,
    /// How often the card has to prove that it is still there, in minutes: 1 to 1440, 0 for never, or 'unset'.
    #[arg(long, value_name = "N|unset", value_parser = settable::<u16>)]
    pub presence_proof_minutes: Option<Settable<u16>>,
    /// What happens with a card that cannot prove it: allow, refuse, or 'unset'.
    #[arg(long, value_name = "allow|refuse|unset", value_parser = settable::<MissingPresenceKey>)]
    pub missing_presence_key: Option<Settable<MissingPresenceKey>>,
    /// Only say for whom something would change, and who would lose which way in.
    #[arg(long)]
    pub dry_run: bool,
}

/// Yes, no, or no longer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tristate {
    /// Yes.
    Yes,
    /// No.
    No,
    /// No longer said here.
    Unset,
}

/// A value, or no longer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settable<T> {
    /// The value.
    Set(T),
    /// No longer said here.
    Unset,
}

fn settable<T: std::str::FromStr>(text: &str) -> Result<Settable<T>, T::Err> {
    if text == "unset" {
        Ok(Settable::Unset)
    } else {
        text.parse().map(Settable::Set)
    }
}

/// Verbs on cards.
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// List cards; without an address also blank ones.
    List {
        /// Only those of this person.
        address: Option<SipAddress>,
        /// Only those that were registered and that nobody holds yet.
        #[arg(long, conflicts_with = "address")]
        blank: bool,
    },
    /// Put a blank card into the stock; whoever enrols it gets it with this make and name.
    Register {
        /// Number of the card, as 'lanyard card status' shows it: 32 hexadecimal digits.
        guid: String,
        /// What it is made of: physical, virtual-tpm or virtual-file.
        #[arg(long, default_value = "physical")]
        kind: CardKind,
        /// Its make, at most 64 characters.
        #[arg(long, value_name = "TEXT")]
        make: Option<String>,
        /// Its name, at most 64 characters.
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
    },
    /// A card was lost: nobody signs in with it any more, and live sessions end at once.
    Lost {
        /// Number of the card, serial of its certificate, or the address of a person with one card.
        card: String,
    },
    /// Withdraw a card for another reason; live sessions end at once.
    Revoke {
        /// Number of the card, serial of its certificate, or the address of a person with one card.
        card: String,
        /// Why.
        #[arg(long, value_enum, default_value = "no-longer-needed")]
        reason: RevokeReason,
    },
    /// Show one card: where it stands in its life, its computer, its last use, its certificates.
    Show {
        /// Number of the card, serial of its certificate, or the address of a person with one card.
        card: String,
    },
    /// A card does not work any more; live sessions end at once.
    Damaged {
        /// Number of the card, serial of its certificate, or the address of a person with one card.
        card: String,
    },
    /// A lost card was found: it stays out of force, but may be enrolled again.
    Found {
        /// Number of the card, or serial of its certificate.
        card: String,
    },
    /// A card that is out of force was destroyed; nothing leads back from there.
    Destroyed {
        /// Number of the card, or serial of its certificate.
        card: String,
    },
    /// Give a card another name.
    Rename {
        /// Number of the card, serial of its certificate, or the address of a person with one card.
        card: String,
        /// The name, at most 64 characters.
        name: String,
    },
    /// Let a card's blocked PIN be unblocked, after you have made sure who is asking.
    Unblock {
        /// Number of the card, serial of its certificate, or the address of a person with one card.
        card: String,
        /// The ten letters and digits that the holder reads to you; without it, a one-time code is made for a
        /// card that shows none.
        #[arg(long, value_name = "SYMBOLS")]
        challenge: Option<String>,
        /// How you made sure who is asking; can be given several times, two are needed. Without it, you are asked.
        #[arg(long, value_enum, value_name = "CHECK")]
        checked: Vec<IdentityCheck>,
    },
    /// Make a new secret, from which cards that are enrolled from now on get their keys.
    RotateSecret,
    /// Put an issued card in force: its holder has chosen a PIN in front of you.
    Activate {
        /// Number of the card, serial of its certificate, or the address of a person with one card.
        card: String,
    },
}

/// Why a card is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RevokeReason {
    /// Somebody else may know its key or PIN.
    Compromised,
    /// A new card has taken its place.
    Replaced,
    /// The holder has left or no longer needs it.
    NoLongerNeeded,
}

/// Verbs on the certificate of the listeners.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Make a new key and certificate, with the names of the old one. The server does so by itself
    /// thirty days before the end.
    Renew {
        /// A further name or address; can be given several times.
        #[arg(long, value_name = "NAME")]
        san: Vec<ServerName>,
    },
}

/// Verbs on sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List live sessions.
    List {
        /// Only those of this person.
        address: Option<SipAddress>,
    },
    /// End a session by its id, or all sessions of a person by the address.
    End {
        /// The id, or the sign-in address.
        session: String,
    },
}

/// Verbs on the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show the last rows, or those after a row.
    Show {
        /// Only rows after this one.
        #[arg(long, value_name = "ROW")]
        after: Option<u64>,
        /// How many rows.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Check that no row was changed, removed or inserted.
    Verify,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_verb_takes_a_secret_as_an_argument() {
        fn look(command: &clap::Command) {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let is_secret = ["password", "pin", "code", "secret"].contains(&id);
                assert!(!is_secret, "{} {id}", command.get_name());
            }
            command.get_subcommands().for_each(look);
        }
        look(&Arguments::command());
    }

    #[test]
    fn the_help_texts_are_as_they_were() {
        fn collect(command: &mut clap::Command, path: &str, all: &mut String) {
            let path = format!("{path} {}", command.get_name());
            all.push_str(&format!(
                "$ {} --help\n{}\n\n",
                path.trim(),
                command.render_help()
            ));
            for sub in command.get_subcommands_mut() {
                if sub.get_name() != "help" {
                    collect(sub, &path, all);
                }
            }
        }
        let mut command = Arguments::command()
            .disable_help_subcommand(true)
            .term_width(100);
        command.build();
        let mut all = String::new();
        collect(&mut command, "", &mut all);
        insta::assert_snapshot!(all);
    }
}
