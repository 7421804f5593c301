// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers as people read them, and as machines do.

use lanyard_directory::{CardRemoval, EffectivePolicy, GroupPolicy, KeyAssurance};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::admin::Reply;
use crate::admin::{
    AuditVerdict, AuditView, CardEnd, CardView, CodeView, GroupView, ImportView, PolicyView,
    RenewedView, ServerView, SessionsEnded, UserEnd, UserView,
};
use crate::doctor::Report;
use crate::init::Made;
use crate::sessions::SessionInfo;

const MINUTES: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");

/// The answer to a verb.
pub(super) fn reply(reply: &Reply, json: bool) -> String {
    if json {
        // The name of the kind is for the socket; a caller knows what was asked.
        let value = serde_json::to_value(reply).unwrap_or_default();
        let inner = match value {
            serde_json::Value::Object(map) if map.len() == 1 => map
                .into_iter()
                .next()
                .map(|(_, inner)| inner)
                .unwrap_or_default(),
            other => other,
        };
        return json_text(&inner);
    }
    match reply {
        Reply::Server(view) => server(view),
        Reply::User(view) => user(view),
        Reply::Users(all) => users(all),
        Reply::UserEnd(view) => user_end(view),
        Reply::Code(view) => code(view),
        Reply::Import(view) => import(view),
        Reply::Group(view) => groups(std::slice::from_ref(view)),
        Reply::Groups(all) => groups(all),
        Reply::Policy(view) => policy(view),
        Reply::PolicyChange(view) => super::policies::change(view),
        Reply::Ways(view) => super::policies::ways(view),
        Reply::Cards(all) => cards(all),
        Reply::Card(view) => super::cards::one(view),
        Reply::CardEnd(view) => card_end(view),
        Reply::Unblock(view) => super::cards::unblock(view),
        Reply::CardSecret(version) => {
            format!("cards that are enrolled from now on get their keys from secret {version}\n")
        }
        Reply::Sessions(all) => sessions(all),
        Reply::SessionsEnded(view) => sessions_ended(view),
        Reply::Audit(rows) => audit(rows),
        Reply::AuditVerdict(view) => verdict(view),
        Reply::Renewed(view) => renewed(view),
        Reply::Attestation(view) => super::attestation::view(view),
    }
}

/// What `init` has made.
pub(super) fn made(made: &Made, json: bool) -> String {
    if json {
        return json_text(made);
    }
    let data = made.data.display();
    format!(
        "Made a deployment in {data}\n\
         \n\
         configuration      {}\n\
         host               {}\n\
         certificate        {} (until {})\n\
         root certificate   {}\n\
         its SHA-256        {}\n\
         account ids        {}-…\n\
         \n\
         Next:\n\
         1. Take the root key off this computer: it is needed again only for another issuing authority.\n\
\x20  {}\n\
         2. Give the root certificate to every client, as a trust anchor.\n\
         3. Look through the configuration, then start the server:\n\
\x20  lanyard-server --data {data} serve\n\
         4. Add the first person, and make the code with which a card is enrolled:\n\
\x20  lanyard-server --data {data} user add alice@{}\n\
\x20  lanyard-server --data {data} user enrol-code alice@{}\n",
        made.config.display(),
        made.host,
        made.names.join(", "),
        minutes(made.certificate_ends),
        made.root_certificate.display(),
        made.root_sha256,
        made.account_domain,
        made.root_key.display(),
        made.domain,
        made.domain,
    )
}

/// What the doctor has found.
pub(super) fn report(report: &Report, json: bool) -> String {
    if json {
        return json_text(report);
    }
    let mut text = String::new();
    for check in &report.checks {
        text.push_str(&format!(
            "{:<8} {:<24} {}\n",
            check.level.word(),
            check.name,
            check.found
        ));
        if let Some(next) = &check.next {
            text.push_str(&format!("{:34}-> {next}\n", ""));
        }
    }
    text.push_str(&format!("\n{}\n", report.summary()));
    text
}

fn server(view: &ServerView) -> String {
    format!(
        "running: version {}, process {}, {} accounts, {} live sessions\n",
        view.version, view.pid, view.accounts, view.sessions
    )
}

fn user(view: &UserView) -> String {
    let mut lines = vec![
        ("address", view.address.to_string()),
        ("name", view.name.clone()),
        ("upn", view.upn.clone()),
        ("e-mail", view.email.clone()),
    ];
    lines.extend(view.title.clone().map(|title| ("title", title)));
    lines.extend(view.phone.clone().map(|phone| ("phone", phone)));
    lines.extend(view.photo.as_ref().map(|_| ("photo", "set".to_owned())));
    lines.extend([
        ("account id", view.id.to_string()),
        ("state", state(view.enabled).to_owned()),
        ("groups", list_or(view.groups.iter(), "none")),
        (
            "password",
            if view.has_password { "set" } else { "not set" }.to_owned(),
        ),
        ("policy", effective(&view.policy)),
        ("made", minutes(view.created_at)),
    ]);
    lines
        .into_iter()
        .map(|(label, value)| format!("{label:<12} {value}\n"))
        .collect()
}

fn users(all: &[UserView]) -> String {
    let rows = all.iter().map(|view| {
        vec![
            view.address.to_string(),
            view.name.clone(),
            state(view.enabled).to_owned(),
            list_or(view.groups.iter(), "-"),
        ]
    });
    table(
        &["ADDRESS", "NAME", "STATE", "GROUPS"],
        rows.collect(),
        "nobody",
    )
}

fn user_end(view: &UserEnd) -> String {
    let state = state(view.user.enabled);
    match view.user.enabled {
        true => format!("{} is {state}\n", view.user.address),
        false => format!(
            "{} is {state}; {} ended\n",
            view.user.address,
            count(view.sessions_ended, "live session", "live sessions")
        ),
    }
}

fn code(view: &CodeView) -> String {
    format!(
        "one-time code for {}: {}\nuntil {}; it is not shown again\n",
        view.address,
        view.code,
        minutes(view.expires_at)
    )
}

fn import(view: &ImportView) -> String {
    let people = count(view.added.len(), "person", "people");
    if view.dry_run {
        format!("the file is in order: {people} would be added\n")
    } else {
        format!("{people} added\n")
    }
}

fn groups(all: &[GroupView]) -> String {
    let rows = all.iter().map(|view| {
        vec![
            view.name.to_string(),
            list_or(view.members.iter(), "-"),
            set_fields(&view.policy),
        ]
    });
    table(&["GROUP", "MEMBERS", "POLICY"], rows.collect(), "no groups")
}

fn policy(view: &PolicyView) -> String {
    if let Some((address, policy)) = &view.person {
        return format!("{address}: {}\n", effective(policy));
    }
    let mut text = format!(
        "default      {}\n{:13}for somebody in no group: {}\n",
        set_fields(&view.default),
        "",
        effective(&view.everyone)
    );
    for (group, policy) in &view.groups {
        text.push_str(&format!("{group:<12} {}\n", set_fields(policy)));
    }
    text
}

pub(super) fn cards(all: &[CardView]) -> String {
    let rows = all.iter().map(|view| {
        let serial = view
            .certificates
            .first()
            .map_or("-", |newest| newest.serial.as_str());
        vec![
            view.guid.clone(),
            view.kind.map_or("-".to_owned(), |kind| kind.to_string()),
            view.address.as_ref().map_or_else(
                || view.account.clone().unwrap_or_else(|| "-".to_owned()),
                ToString::to_string,
            ),
            super::cards::standing(view),
            view.not_after.map_or("-".to_owned(), minutes),
            super::cards::last_used(view),
            super::cards::named(view),
            serial.to_owned(),
        ]
    });
    table(
        &[
            "CARD",
            "KIND",
            "HOLDER",
            "STATUS",
            "UNTIL",
            "LAST USED",
            "NAME",
            "SERIAL",
        ],
        rows.collect(),
        "no cards",
    )
}

fn card_end(view: &CardEnd) -> String {
    let holder = view
        .card
        .address
        .as_ref()
        .map_or("nobody known".to_owned(), ToString::to_string);
    let list = match view.crl_number {
        Some(number) => format!("revocation list {number} made"),
        None => "the revocation list could not be made; the server tries again".to_owned(),
    };
    format!(
        "card {} of {holder} is withdrawn: {}, {} ended, {list}\n",
        view.card.guid,
        count(view.withdrawn.len(), "certificate", "certificates"),
        count(view.sessions_ended, "live session", "live sessions"),
    )
}

fn sessions(all: &[SessionInfo]) -> String {
    let rows = all.iter().map(|view| {
        vec![
            view.id.clone(),
            view.address.to_string(),
            view.peer.clone(),
            minutes(view.since),
            view.user_agent.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    table(
        &["SESSION", "ADDRESS", "FROM", "SINCE", "CLIENT"],
        rows.collect(),
        "no live sessions",
    )
}

fn sessions_ended(view: &SessionsEnded) -> String {
    format!(
        "{} ended\n",
        count(view.sessions_ended, "live session", "live sessions")
    )
}

fn audit(rows: &[AuditView]) -> String {
    let rows = rows.iter().map(|row| {
        let details = match &row.details {
            serde_json::Value::Object(map) if map.is_empty() => String::new(),
            other => other.to_string(),
        };
        vec![
            row.seq.to_string(),
            seconds(row.time),
            row.actor.clone(),
            row.action.clone(),
            row.subject.clone(),
            details,
        ]
    });
    table(
        &["ROW", "TIME", "WHO", "WHAT", "WHOM", "DETAILS"],
        rows.collect(),
        "no rows",
    )
}

fn verdict(view: &AuditVerdict) -> String {
    format!(
        "the audit trail is whole: {}, vouched for by {}\nhead {}\n",
        count(
            usize::try_from(view.rows).unwrap_or(usize::MAX),
            "row",
            "rows"
        ),
        count(view.signed_heads, "signature", "signatures"),
        view.head
    )
}

fn renewed(view: &RenewedView) -> String {
    format!(
        "new certificate {} for {} until {}\n",
        view.serial,
        view.names.join(", "),
        minutes(view.not_after)
    )
}

pub(super) fn effective(policy: &EffectivePolicy) -> String {
    let mut text = format!(
        "card {}, password {}, chat certificate {} h, cards {}, card removed: {}",
        if policy.card_required {
            "required"
        } else {
            "not required"
        },
        if policy.password_allowed {
            "accepted"
        } else {
            "refused"
        },
        policy.chat_certificate_hours,
        policy.card_kinds,
        policy.card_removal,
    );
    if policy.card_removal != CardRemoval::Nothing {
        text.push_str(&format!(" after {} s", policy.card_removal_grace_seconds));
    }
    if policy.key_assurance != KeyAssurance::None {
        text.push_str(&format!(", key proved: {}", policy.key_assurance));
    }
    if policy.presence_proof_minutes > 0 {
        let minutes = policy.presence_proof_minutes;
        text.push_str(&format!(", presence proved every {minutes} min"));
    }
    text
}

pub(super) fn set_fields(policy: &GroupPolicy) -> String {
    let yes_no = |value: bool| if value { "yes" } else { "no" };
    let fields = [
        policy
            .card_required
            .map(|value| format!("card-required={}", yes_no(value))),
        policy
            .password_allowed
            .map(|value| format!("password-allowed={}", yes_no(value))),
        policy
            .chat_certificate_hours
            .map(|hours| format!("chat-certificate-hours={hours}")),
        policy.card_kinds.map(|kinds| format!("card-kinds={kinds}")),
        policy
            .key_assurance
            .map(|level| format!("key-assurance={level}")),
        policy
            .card_removal
            .map(|action| format!("card-removal={action}")),
        policy
            .card_removal_grace_seconds
            .map(|seconds| format!("card-removal-grace-seconds={seconds}")),
        policy
            .presence_proof_minutes
            .map(|minutes| format!("presence-proof-minutes={minutes}")),
        policy
            .missing_presence_key
            .map(|what| format!("missing-presence-key={what}")),
    ];
    let fields: Vec<String> = fields.into_iter().flatten().collect();
    if fields.is_empty() {
        "sets nothing".to_owned()
    } else {
        fields.join(" ")
    }
}

fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn list_or<T: ToString>(items: impl Iterator<Item = T>, empty: &str) -> String {
    let words: Vec<String> = items.map(|item| item.to_string()).collect();
    if words.is_empty() {
        empty.to_owned()
    } else {
        words.join(", ")
    }
}

fn table(head: &[&str], rows: Vec<Vec<String>>, empty: &str) -> String {
    if rows.is_empty() {
        return format!("{empty}\n");
    }
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let mut widths = vec![0; head.len()];
    for row in std::iter::once(&head).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    std::iter::once(&head).chain(&rows).map(line).collect()
}

pub(super) fn minutes(time: OffsetDateTime) -> String {
    time.format(MINUTES).unwrap_or_default()
}

fn seconds(time: OffsetDateTime) -> String {
    time.format(SECONDS).unwrap_or_default()
}

fn json_text<T: serde::Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::CertificateView;
    use lanyard_directory::CardKind;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn alice() -> UserView {
        UserView {
            id: "S-1-5-21-1-2-3-1000".parse().unwrap(),
            address: "alice@contoso.test".parse().unwrap(),
            upn: "a.smith@corp.contoso.test".to_owned(),
            email: "Alice@mail.test".to_owned(),
            name: "Älice Smith".to_owned(),
            title: Some("Head".to_owned()),
            phone: None,
            photo: Some(lanyard_directory::PhotoHash::of(b"")),
            enabled: false,
            groups: vec!["sales".parse().unwrap()],
            has_password: false,
            policy: EffectivePolicy::SAFE,
            created_at: NOW,
        }
    }

    fn card() -> CardView {
        CardView {
            guid: "00112233445566778899aabbccddeeff".to_owned(),
            kind: Some(CardKind::VirtualFile),
            account: Some("S-1-5-21-1-2-3-1000".to_owned()),
            address: Some("alice@contoso.test".parse().unwrap()),
            status: "revoked".to_owned(),
            status_text: "withdrawn for good; the holder needs a new card".to_owned(),
            not_after: Some(NOW),
            life: None,
            certificates: vec![CertificateView {
                serial: "41".to_owned(),
                profile: "SmartcardUser".to_owned(),
                status: "revoked".to_owned(),
                not_before: NOW,
                not_after: NOW,
                revoked_reason: Some("key-compromise".to_owned()),
                revoked_at: Some(NOW),
            }],
        }
    }

    fn replies() -> Vec<Reply> {
        let address: lanyard_directory::SipAddress = "alice@contoso.test".parse().unwrap();
        vec![
            Reply::User(alice()),
            Reply::Users(vec![alice()]),
            Reply::Users(Vec::new()),
            Reply::UserEnd(UserEnd {
                user: alice(),
                sessions_ended: 1,
            }),
            Reply::Code(CodeView {
                address: address.clone(),
                code: "0000-0000-0000".to_owned(),
                expires_at: NOW,
            }),
            Reply::Import(ImportView {
                dry_run: true,
                added: vec![address.clone()],
            }),
            Reply::Cards(vec![card()]),
            Reply::CardEnd(CardEnd {
                card: card(),
                withdrawn: vec!["41".to_owned()],
                sessions_ended: 2,
                crl_number: Some(7),
            }),
            Reply::Sessions(Vec::new()),
            Reply::AuditVerdict(AuditVerdict {
                rows: 3,
                head: "ab".repeat(32),
                signed_heads: 1,
            }),
        ]
    }

    #[test]
    fn answers_for_people_are_as_they_were() {
        let all: Vec<String> = replies()
            .iter()
            .map(|answer| reply(answer, false))
            .collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn answers_for_machines_are_as_they_were() {
        let all: Vec<String> = replies().iter().map(|answer| reply(answer, true)).collect();
        insta::assert_snapshot!(all.concat());
    }
}
