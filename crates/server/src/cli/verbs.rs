// SPDX-License-Identifier: MIT OR Apache-2.0
//! From words to requests, and to whoever carries them out.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use lanyard_directory::{AccountChange, GroupPolicy, NewAccount};
use lanyard_fault::Fault;

use super::args::{
    Arguments, AuditCommand, CardCommand, CertificateCommand, Command, GroupCommand, InitArguments,
    PolicyCommand, PolicySetArguments, RevokeReason, SessionCommand, Settable, Tristate,
    UserCommand,
};
use super::{administrator, input, print, render};
use crate::admin::{
    CardLossReason, PhotoWish, PolicyField, Reply, Request, ServerAnswer, ask_server, execute,
};
use crate::data::DataDir;
use crate::init::{InitPlan, init};
use crate::open::{DataLock, open_app};
use crate::problem::{Problem, WireProblem};
use crate::{config, doctor, serve};

/// How long a verb waits for a server that is starting or stopping, or for another verb.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Why a command failed: our own problem, or one that the server has told.
#[derive(Debug)]
pub(super) enum Failure {
    Here(Problem),
    Told(WireProblem),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Here(problem) => problem.fmt(f),
            Self::Told(problem) => problem.fmt(f),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Here(problem)
    }
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments {
        data,
        config,
        json,
        command,
    } = arguments;
    let data = DataDir::new(data);
    match command {
        Command::Init(plan) => run_init(data, plan, json)?,
        Command::Serve => {
            let file = config::find_file(config.as_deref(), &data).map_err(Problem::from)?;
            serve::run(data, file)?;
        }
        Command::Doctor => return Ok(run_doctor(&data, config.as_deref(), json)?),
        Command::Status => {
            let reply = match ask_server(&data, &Request::Ping)? {
                ServerAnswer::Done(reply) => reply,
                ServerAnswer::Refused(problem) => return Err(Failure::Told(problem)),
                ServerAnswer::NotRunning => {
                    return Err(Problem::new(Fault::ServerNotRunning).into());
                }
            };
            print(&render::reply(&reply, json))?;
        }
        Command::User(UserCommand::Add { .. } | UserCommand::Import { .. }) => {
            // Pictures are read and checked before anybody is added.
            let (first, photos) = super::photos::with_photos(command)?;
            let mut reply = carry_out(&data, config.as_deref(), first)?;
            for wish in photos {
                let set = carry_out(&data, config.as_deref(), wish)?;
                if matches!(reply, Reply::User(_)) {
                    reply = set;
                }
            }
            print(&render::reply(&reply, json))?;
        }
        verb => {
            let reply = carry_out(&data, config.as_deref(), request(verb)?)?;
            print(&render::reply(&reply, json))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the running server; without one, takes its lock and does the work here.
fn carry_out(
    data: &DataDir,
    config_file: Option<&std::path::Path>,
    request: Request,
) -> Result<Reply, Failure> {
    let until = Instant::now() + LOCK_WAIT;
    let lock = loop {
        match ask_server(data, &request)? {
            ServerAnswer::Done(reply) => return Ok(*reply),
            ServerAnswer::Refused(problem) => return Err(Failure::Told(problem)),
            ServerAnswer::NotRunning => {}
        }
        match DataLock::take(data) {
            Ok(lock) => break lock,
            // A server that starts or stops has the lock and does not answer yet, or no longer.
            Err(problem)
                if problem.fault() == Fault::DataDirectoryInUse && Instant::now() < until =>
            {
                std::thread::sleep(LOCK_POLL);
            }
            Err(problem) => return Err(problem.into()),
        }
    };
    let file = config::find_file(config_file, data).map_err(Problem::from)?;
    let config = config::load(&file).map_err(Problem::from)?;
    let app = open_app(data.clone(), config)?;
    let outcome = execute(&app, &administrator(), request);
    drop(app);
    drop(lock);
    Ok(outcome?)
}

pub(super) fn request(command: Command) -> Result<Request, Problem> {
    Ok(match command {
        Command::User(command) => user_request(command)?,
        Command::Group(command) => match command {
            GroupCommand::Add { name } => Request::GroupAdd(name),
            GroupCommand::List => Request::GroupList,
            GroupCommand::AddMember { group, address } => {
                Request::GroupAddMember { group, address }
            }
            GroupCommand::RemoveMember { group, address } => {
                Request::GroupRemoveMember { group, address }
            }
        },
        Command::Policy(PolicyCommand::Show { group, user }) => Request::PolicyShow {
            address: user,
            group,
        },
        Command::Policy(PolicyCommand::Verify { address }) => Request::PolicyVerify(address),
        Command::Policy(PolicyCommand::Set(change)) => policy_request(change)?,
        Command::Card(command) => card_request(command)?,
        Command::Attestation(command) => super::attestation::request(command)?,
        Command::Certificate(CertificateCommand::Renew { san }) => {
            Request::CertificateRenew(san.iter().map(ToString::to_string).collect())
        }
        Command::Session(SessionCommand::List { address }) => Request::SessionList { address },
        Command::Session(SessionCommand::End { session }) => {
            if session.contains('@') {
                let address = session
                    .parse()
                    .map_err(|error| Problem::with(Fault::AdminInput, error))?;
                Request::SessionEndAll(address)
            } else {
                Request::SessionEnd(session)
            }
        }
        Command::Audit(AuditCommand::Show { after, limit }) => Request::AuditShow { after, limit },
        Command::Audit(AuditCommand::Verify) => Request::AuditVerify,
        Command::Init(_) | Command::Serve | Command::Status | Command::Doctor => Request::Ping,
    })
}

fn user_request(command: UserCommand) -> Result<Request, Problem> {
    Ok(match command {
        UserCommand::Add {
            address,
            upn,
            email,
            name,
            title,
            phone,
            group,
            photo: _,
        } => {
            let mut account = NewAccount::new(address);
            account.upn = upn.unwrap_or(account.upn);
            account.email = email.unwrap_or(account.email);
            account.display_name = name.unwrap_or(account.display_name);
            Request::UserAdd(NewAccount {
                title,
                phone,
                groups: group,
                ..account
            })
        }
        UserCommand::Set {
            address,
            name,
            email,
            title,
            phone,
            photo,
            no_photo,
        } => {
            // An empty text takes a value away.
            let or_none = |text: String| Some(text).filter(|text| !text.trim().is_empty());
            Request::UserSet {
                address,
                change: AccountChange {
                    display_name: name,
                    email,
                    title: title.map(or_none),
                    phone: phone.map(or_none),
                },
                photo: match photo {
                    Some(file) => input::photo(&file)?,
                    None if no_photo => PhotoWish::Remove,
                    None => PhotoWish::Keep,
                },
            }
        }
        UserCommand::List => Request::UserList,
        UserCommand::Show { address } => Request::UserShow(address),
        UserCommand::Disable { address } => Request::UserSetEnabled {
            address,
            enabled: false,
        },
        UserCommand::Enable { address } => Request::UserSetEnabled {
            address,
            enabled: true,
        },
        UserCommand::SetPassword {
            address,
            password_fd,
        } => {
            let password = input::new_password(password_fd)?;
            Request::UserSetPassword { address, password }
        }
        UserCommand::RemovePassword { address } => Request::UserRemovePassword(address),
        UserCommand::EnrolCode { address } => Request::UserEnrolCode(address),
        UserCommand::Import { file, dry_run } => Request::UserImport {
            csv: input::import_text(&file)?,
            dry_run,
        },
    })
}

fn policy_request(change: PolicySetArguments) -> Result<Request, Problem> {
    let mut set = GroupPolicy::default();
    let mut unset = Vec::new();
    let mut flag = |value: Option<Tristate>, field| match value {
        None => None,
        Some(Tristate::Yes) => Some(true),
        Some(Tristate::No) => Some(false),
        Some(Tristate::Unset) => {
            unset.push(field);
            None
        }
    };
    set.card_required = flag(change.card_required, PolicyField::CardRequired);
    set.password_allowed = flag(change.password_allowed, PolicyField::PasswordAllowed);
    set.chat_certificate_hours = wanted(
        change.chat_certificate_hours,
        PolicyField::ChatCertificateHours,
        &mut unset,
    );
    set.card_kinds = wanted(change.card_kinds, PolicyField::CardKinds, &mut unset);
    set.key_assurance = wanted(change.key_assurance, PolicyField::KeyAssurance, &mut unset);
    set.card_removal = wanted(change.card_removal, PolicyField::CardRemoval, &mut unset);
    set.card_removal_grace_seconds = wanted(
        change.card_removal_grace_seconds,
        PolicyField::CardRemovalGraceSeconds,
        &mut unset,
    );
    set.presence_proof_minutes = wanted(
        change.presence_proof_minutes,
        PolicyField::PresenceProofMinutes,
        &mut unset,
    );
    set.missing_presence_key = wanted(
        change.missing_presence_key,
        PolicyField::MissingPresenceKey,
        &mut unset,
    );
    if set.is_empty() && unset.is_empty() {
        return Err(Problem::with(Fault::AdminInput, "nothing to set was given"));
    }
    Ok(Request::PolicySet {
        group: change.group,
        set,
        unset,
        dry_run: change.dry_run,
    })
}

/// The value that a field is set to; a field that is to be unset is put on the list.
fn wanted<T>(
    value: Option<Settable<T>>,
    field: PolicyField,
    unset: &mut Vec<PolicyField>,
) -> Option<T> {
    match value? {
        Settable::Set(value) => Some(value),
        Settable::Unset => {
            unset.push(field);
            None
        }
    }
}

fn card_request(command: CardCommand) -> Result<Request, Problem> {
    Ok(match command {
        CardCommand::List { address, blank } => Request::CardList { address, blank },
        CardCommand::Register {
            guid,
            kind,
            make,
            label,
        } => Request::CardRegister {
            guid,
            kind,
            make,
            label,
        },
        CardCommand::Lost { card } => Request::CardEnd {
            card,
            reason: CardLossReason::Lost,
        },
        CardCommand::Revoke { card, reason } => {
            let reason = match reason {
                RevokeReason::Compromised => CardLossReason::Compromised,
                RevokeReason::Replaced => CardLossReason::Replaced,
                RevokeReason::NoLongerNeeded => CardLossReason::NoLongerNeeded,
            };
            Request::CardEnd { card, reason }
        }
        CardCommand::Activate { card } => Request::CardActivate { card },
        CardCommand::Show { card } => Request::CardShow { card },
        CardCommand::Damaged { card } => Request::CardEnd {
            card,
            reason: CardLossReason::Damaged,
        },
        CardCommand::Found { card } => Request::CardFound { card },
        CardCommand::Destroyed { card } => Request::CardDestroyed { card },
        CardCommand::Rename { card, name } => Request::CardRename { card, name },
        CardCommand::Unblock {
            card,
            challenge,
            checked,
        } => {
            let checks = if checked.is_empty() {
                input::identity_checks()?
            } else {
                checked
            };
            Request::CardUnblock {
                card,
                challenge,
                checks,
            }
        }
        CardCommand::RotateSecret => Request::CardRotateSecret,
    })
}

fn run_init(data: DataDir, arguments: InitArguments, json: bool) -> Result<(), Problem> {
    let InitArguments {
        domain,
        host,
        san,
        organisation,
    } = arguments;
    let plan = InitPlan {
        data,
        domain,
        host,
        sans: san,
        organisation,
    };
    let made = init(&plan, &administrator())?;
    print(&render::made(&made, json))
}

fn run_doctor(
    data: &DataDir,
    config_file: Option<&std::path::Path>,
    json: bool,
) -> Result<ExitCode, Problem> {
    let report = doctor::examine(data, config_file);
    print(&render::report(&report, json))?;
    Ok(if report.is_healthy() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
