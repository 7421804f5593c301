// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards under administration: listed, put in force, withdrawn together with sessions and the list.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::sync::{Arc, Mutex};

use common::Deployment;
use lanyard_authority::{
    Actor, Card, CardGuid, CardKind, CardOrder, Grant, Order, Person, SerialSeed, Status,
};
use lanyard_server::admin::{CardLossReason, Reply, Request, execute};
use lanyard_server::app::App;
use lanyard_server::config;
use lanyard_server::data::DataDir;
use lanyard_server::open::{DataLock, open_app};
use lanyard_server::sessions::{SessionEnd, SessionInfo, SessionSelector, Sessions};
use lanyard_x509::{Certificate, Serial, Signer, SoftwareKey};
use time::{Duration, OffsetDateTime};

/// The deployment from inside, as the server itself has it.
fn open(deployment: &Deployment) -> (DataLock, App) {
    let data = DataDir::new(&deployment.data);
    let lock = DataLock::take(&data).unwrap();
    let config = config::load(&data.config_file()).unwrap();
    (lock, open_app(data, config).unwrap())
}

fn administrator() -> Actor {
    Actor::Administrator("root".to_owned())
}

/// What enrolment does: a card for this person.
fn issue_card(app: &App, address: &str, number: u8, status: Status) -> Certificate {
    let account = app
        .directory
        .load()
        .by_address(&address.parse().unwrap())
        .unwrap()
        .clone();
    let sid: lanyard_x509::Sid = account.id.as_str().parse().unwrap();
    let order = CardOrder {
        person: Person {
            account: sid.clone(),
            display_name: account.display_name.clone(),
            address: address.parse().unwrap(),
            upn: account.upn.as_str().parse().unwrap(),
            email: None,
        },
        card: Card {
            guid: CardGuid([number; 16]),
            kind: CardKind::VirtualFile,
        },
        key: SoftwareKey::generate().unwrap().public_key().clone(),
        authentication_key: Some(SoftwareKey::generate().unwrap().public_key().clone()),
        policies: Vec::new(),
        requester: Actor::Person(sid),
        approver: administrator(),
    };
    let seeds = [SerialSeed::draw().unwrap(), SerialSeed::draw().unwrap()];
    let now = OffsetDateTime::now_utc();
    app.authority
        .issue_card(order, seeds, status, now)
        .unwrap()
        .certificate
}

/// What the sign-in does: a chat certificate on the strength of a card.
fn issue_chat(app: &App, address: &str, card: &Certificate) -> Serial {
    let account = app
        .directory
        .load()
        .by_address(&address.parse().unwrap())
        .unwrap()
        .clone();
    let sid: lanyard_x509::Sid = account.id.as_str().parse().unwrap();
    let order = Order {
        grant: Grant::ChatUser {
            account: sid.clone(),
            address: address.parse().unwrap(),
            card_certificate: Some(card.serial()),
            lifetime: Duration::hours(12),
        },
        key: SoftwareKey::generate().unwrap().public_key().clone(),
        requester: Actor::Person(sid),
        approver: Actor::System("server".to_owned()),
    };
    let now = OffsetDateTime::now_utc();
    let issued = app
        .authority
        .issue(order, SerialSeed::draw().unwrap(), Status::Active, now);
    issued.unwrap().certificate.serial()
}

#[test]
fn a_card_is_listed_put_in_force_and_withdrawn_with_all_that_hangs_on_it() {
    let deployment = Deployment::new();
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    let (lock, app) = open(&deployment);
    let card = issue_card(&app, "alice@contoso.test", 0xA1, Status::Issued);
    drop((app, lock));

    let server = deployment.serve();
    let listed = deployment.json(&["card", "list", "alice@contoso.test"]);
    assert_eq!(listed[0]["guid"], "a1".repeat(16));
    assert_eq!(
        (&listed[0]["kind"], &listed[0]["status"]),
        (&"virtual-file".into(), &"issued".into())
    );
    assert_eq!(listed[0]["address"], "alice@contoso.test");
    assert_eq!(listed[0]["certificates"].as_array().unwrap().len(), 2);
    let serial = card.serial().to_string();
    assert_eq!(
        deployment.json(&["card", "activate", &serial])["status"],
        "active"
    );
    assert!(server.stop());

    let (lock, app) = open(&deployment);
    let chat = issue_chat(&app, "alice@contoso.test", &card);
    drop((app, lock));

    let server = deployment.serve();
    let ended = deployment.json(&["card", "lost", "alice@contoso.test"]);
    assert_eq!(ended["card"]["status"], "revoked");
    let withdrawn = ended["withdrawn"].as_array().unwrap();
    assert_eq!(withdrawn.len(), 3, "{ended}");
    assert!(withdrawn.contains(&chat.to_string().into()));
    let number = ended["crl_number"].as_u64().unwrap();
    let again = deployment.json(&["card", "lost", "alice@contoso.test"]);
    assert_eq!(again["withdrawn"], serde_json::json!([]));
    assert!(again["crl_number"].as_u64().unwrap() > number);
    let error = deployment.fails(&["card", "activate", &serial]);
    assert!(error.starts_with("LY-1718 "), "{error}");
    let trail = deployment.ok(&["audit", "show"]);
    assert!(
        trail.contains("card.lost") && trail.contains("certificate.revoked"),
        "{trail}"
    );
    assert!(server.stop());

    let (_lock, app) = open(&deployment);
    let list = app.authority.crl(OffsetDateTime::now_utc()).unwrap();
    assert!(list.find(&card.serial()).is_some() && list.find(&chat).is_some());
}

#[test]
fn with_two_cards_in_use_the_address_does_not_say_which() {
    let deployment = Deployment::new();
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    let (lock, app) = open(&deployment);
    issue_card(&app, "alice@contoso.test", 0xA1, Status::Active);
    issue_card(&app, "alice@contoso.test", 0xA2, Status::Active);
    drop((app, lock));
    let error = deployment.fails(&["card", "revoke", "alice@contoso.test"]);
    assert!(error.starts_with("LY-1719 "), "{error}");
    assert!(
        error.contains(&"a1".repeat(16)) && error.contains(&"a2".repeat(16)),
        "{error}"
    );
    deployment.ok(&["card", "revoke", &"a1".repeat(16), "--reason", "replaced"]);
    // One is left, so that the address is clear again.
    let ended = deployment.json(&["card", "revoke", "alice@contoso.test"]);
    assert_eq!(ended["card"]["guid"], "a2".repeat(16));
    let cards = deployment.json(&["card", "list"]);
    assert!(
        cards
            .as_array()
            .unwrap()
            .iter()
            .all(|card| card["status"] == "revoked"),
        "{cards}"
    );
}

#[test]
fn who_claims_the_number_of_another_persons_card_does_not_end_it_with_his_own() {
    let deployment = Deployment::new();
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    deployment.ok(&["user", "add", "mallory@contoso.test"]);
    let (lock, app) = open(&deployment);
    issue_card(&app, "alice@contoso.test", 0xA1, Status::Active);
    let claimed = issue_card(&app, "mallory@contoso.test", 0xA1, Status::Active);
    drop((app, lock));
    let error = deployment.fails(&["card", "lost", &"a1".repeat(16)]);
    assert!(error.starts_with("LY-1719 "), "{error}");
    deployment.ok(&["card", "lost", &claimed.serial().to_string()]);
    let status = |address: &str| {
        deployment.json(&["card", "list", address])[0]["status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(status("mallory@contoso.test"), "revoked");
    assert_eq!(status("alice@contoso.test"), "active");
    assert_eq!(
        deployment.json(&["card", "list"]).as_array().unwrap().len(),
        2
    );
}

/// Remembers what it was told to end, and what was in force by then.
struct Recorder {
    app: Mutex<Option<Arc<App>>>,
    told: Mutex<Vec<(SessionSelector, SessionEnd, bool)>>,
}

impl Sessions for Recorder {
    fn list(&self) -> Vec<SessionInfo> {
        Vec::new()
    }

    fn end(&self, which: &SessionSelector, why: SessionEnd) -> usize {
        let app = self.app.lock().unwrap().clone().unwrap();
        let in_force = match which {
            SessionSelector::Id(_) => true,
            SessionSelector::Account(id) => !app.directory.load().by_id(id).unwrap().enabled,
            SessionSelector::Certificates(serials) => serials.iter().all(|serial| {
                let row = app
                    .authority
                    .registry()
                    .find(&serial.parse().unwrap())
                    .unwrap();
                row.unwrap().status == Status::Revoked
            }),
        };
        self.told
            .lock()
            .unwrap()
            .push((which.clone(), why, in_force));
        3
    }
}

#[test]
fn sessions_are_ended_after_the_change_is_in_force_and_before_the_answer() {
    let deployment = Deployment::new();
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    let (_lock, app) = open(&deployment);
    let app = Arc::new(app);
    let recorder = Arc::new(Recorder {
        app: Mutex::new(Some(Arc::clone(&app))),
        told: Mutex::default(),
    });
    app.set_sessions(Arc::clone(&recorder) as Arc<dyn Sessions>);
    let card = issue_card(&app, "alice@contoso.test", 0xA1, Status::Active);
    let chat = issue_chat(&app, "alice@contoso.test", &card);

    let request = Request::CardEnd {
        card: "alice@contoso.test".to_owned(),
        reason: CardLossReason::Lost,
    };
    let Reply::CardEnd(ended) = execute(&app, &administrator(), request).unwrap() else {
        panic!()
    };
    assert_eq!(ended.sessions_ended, 3);
    let address: lanyard_directory::SipAddress = "alice@contoso.test".parse().unwrap();
    let request = Request::UserSetEnabled {
        address,
        enabled: false,
    };
    execute(&app, &administrator(), request).unwrap();

    let told = recorder.told.lock().unwrap();
    let [
        (SessionSelector::Certificates(serials), SessionEnd::CardRevoked, true),
        account,
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert!(serials.contains(&card.serial().to_string()) && serials.contains(&chat.to_string()));
    assert!(
        matches!(
            account,
            (
                SessionSelector::Account(_),
                SessionEnd::AccountDisabled,
                true
            )
        ),
        "{account:?}"
    );
    recorder.app.lock().unwrap().take();
}
