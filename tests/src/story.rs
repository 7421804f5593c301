// SPDX-License-Identifier: MIT OR Apache-2.0
//! The story that the demo plays and that every test run plays twice: from a blank card to a
//! conversation, and out again when the card is reported lost.

use crate::person::{CardPath, Person, Watch};
use crate::process::{Running, eventually};
use crate::server::{Ports, Server};
use crate::swtpm::Swtpm;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an event may take to arrive.
const EVENT_LIMIT: Duration = Duration::from_secs(20);
/// Alice's address. Her UPN and e-mail are others.
pub const ALICE: &str = "alice@contoso.test";
/// Bob's address.
pub const BOB: &str = "bob@contoso.test";
/// The PINs that the people of the story choose.
pub const ALICE_PIN: &str = "407316";
/// The same of Bob.
pub const BOB_PIN: &str = "92846150";
/// The PIN of Alice's second card.
pub const ALICE_NEW_PIN: &str = "618203";
/// A session must end this fast when its card is reported lost.
pub const REVOCATION_LIMIT: Duration = Duration::from_secs(1);

/// How a story is told.
pub struct Setting<'a> {
    /// Everything happens below this folder.
    pub folder: &'a Path,
    /// The server's ports.
    pub ports: Ports,
    /// How cards are reached.
    pub card_path: CardPath,
    /// The addresses of Alice's and Bob's readers ([`crate::pcsc::Pcscd::slot`]), with [`CardPath::Pcsc`].
    pub readers: [&'a str; 2],
    /// Whether Alice's cards lie in a software TPM, where swtpm is installed. It ends with the story.
    pub chip: bool,
    /// Called with each step as it ends.
    pub tell: &'a dyn Fn(&Step),
}

/// One step of the story.
#[derive(Debug, Clone)]
pub struct Step {
    /// What happened, as a sentence.
    pub name: String,
    /// Whether it went as it must.
    pub ok: bool,
    /// How long it took.
    pub took: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

/// A story that was told, with its programs still running.
#[derive(Debug)]
pub struct Story {
    /// All steps up to the end or the first that failed.
    pub steps: Vec<Step>,
    /// From the administrator's command to the end of Alice's session.
    pub revocation_to_end: Option<Duration>,
    /// How cards were reached.
    pub card_path: CardPath,
    /// The server.
    pub server: Option<Server>,
    /// Alice and Bob.
    pub people: Vec<Person>,
    /// Their card daemons.
    pub daemons: Vec<Running>,
    /// The TPM of Alice's computer.
    pub chip: Option<Swtpm>,
}

impl Story {
    /// Whether every step went as it must.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.steps.iter().all(|step| step.ok) && self.revocation_to_end.is_some()
    }

    /// The summary as `summary.json` holds it.
    #[must_use]
    pub fn summary(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                let mut value = json!({
                    "name": step.name,
                    "ok": step.ok,
                    "ms": millis(step.took),
                });
                if let Some(error) = &step.error {
                    value["error"] = json!(error);
                }
                value
            })
            .collect();
        json!({
            "ok": self.is_ok(),
            "steps": steps,
            "card_path": self.card_path.word(),
            "alices_card": if self.chip.is_some() { "virtual-tpm" } else { "virtual-file" },
            "revocation_to_end_ms": self.revocation_to_end.map(millis),
        })
    }
}

/// Milliseconds with one decimal.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

struct Teller<'a, 's> {
    story: &'s mut Story,
    setting: &'a Setting<'a>,
}

impl Teller<'_, '_> {
    fn step<T>(&mut self, name: &str, work: impl FnOnce(&mut Story) -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work(self.story);
        let step = Step {
            name: name.to_owned(),
            ok: result.is_ok(),
            took: start.elapsed(),
            error: result.as_ref().err().map(|error| format!("{error:#}")),
        };
        (self.setting.tell)(&step);
        self.story.steps.push(step);
        result
    }
}

/// Plays the story. A step that fails ends it; the steps say what happened.
#[must_use]
pub fn play(setting: &Setting<'_>) -> Story {
    let mut story = Story {
        steps: Vec::new(),
        revocation_to_end: None,
        card_path: setting.card_path,
        server: None,
        people: Vec::new(),
        daemons: Vec::new(),
        chip: None,
    };
    // The error itself stands in the step that failed.
    let _ = tell(
        setting,
        &mut Teller {
            story: &mut story,
            setting,
        },
    );
    story
}

fn tell(setting: &Setting<'_>, teller: &mut Teller<'_, '_>) -> Result<()> {
    set_up(setting, teller)?;
    enrol(teller)?;
    let (mut alice_watch, mut bob_watch) = sign_in(teller)?;
    talk(teller, &mut alice_watch, &mut bob_watch)?;
    drop(alice_watch);
    let mut alice_watch = close_and_return(teller)?;
    lose_the_card(teller, &mut alice_watch, &mut bob_watch)?;
    new_card(teller)
}

fn server(story: &Story) -> Result<&Server> {
    story.server.as_ref().context("no server")
}

fn set_up(setting: &Setting<'_>, teller: &mut Teller<'_, '_>) -> Result<()> {
    teller.step(
        "init makes the authority, the certificates and the database",
        |story| {
            story.server = Some(Server::init(setting.folder, setting.ports)?);
            Ok(())
        },
    )?;
    teller.step("the server starts", |story| {
        story.server.as_mut().context("no server")?.start()
    })?;
    teller.step("the administrator adds Alice and Bob", |story| {
        let server = server(story)?;
        // Three names of one person that differ: sign-in address, UPN, e-mail.
        server.must(&[
            "user",
            "add",
            ALICE,
            "--upn",
            "a.almeida@corp.contoso.test",
            "--email",
            "Alice.Almeida@mail.contoso.test",
            "--name",
            "Alice Almeida",
        ])?;
        server.must(&["user", "add", BOB, "--name", "Bob Bauer"])?;
        Ok(())
    })?;
    teller.step(
        "Alice and Bob each create a virtual card with the default PIN",
        |story| {
            for (address, reader) in [(ALICE, setting.readers[0]), (BOB, setting.readers[1])] {
                let name = address.split('@').next().unwrap_or(address);
                let folder = setting.folder.join(name);
                let server = server(story)?;
                let mut person = Person::new(&folder, address, server, setting.card_path, true)?;
                if address == ALICE && setting.chip && Swtpm::is_installed() {
                    let chip = Swtpm::start(&folder);
                    person.give_tpm(&chip.device());
                    story.chip = Some(chip);
                }
                if setting.card_path == CardPath::Pcsc {
                    let daemon = person.start_cardd(Some(reader))?;
                    story.daemons.push(daemon);
                }
                person.create_card(&format!("{name}'s card"), &[])?;
                wait_for_card(&person)?;
                story.people.push(person);
            }
            Ok(())
        },
    )
}

/// Waits until a blank or enrolled card of this person's own is seen.
fn wait_for_card(person: &Person) -> Result<()> {
    eventually("the card is seen", Duration::from_secs(10), || {
        let output = person.run(&["card", "list", "--json"], &[]).ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success() && text.contains("guid")).then_some(())
    })
}

fn enrol(teller: &mut Teller<'_, '_>) -> Result<()> {
    teller.step(
        "12345678 and trivial PINs are refused as the new PIN",
        |story| {
            let alice = story.people.first().context("no Alice")?;
            let code = server(story)?.enrol_code(ALICE)?;
            for bad in ["12345678", "111111", "234567", "987654"] {
                let error = alice.must_fail(
                    &["card", "enrol", ALICE],
                    &[
                        ("--pin-fd", "12345678"),
                        ("--new-pin-fd", bad),
                        ("--code-fd", &code),
                    ],
                )?;
                if !error.contains("LY-1207") {
                    bail!("{bad} was refused without LY-1207: {error}");
                }
            }
            Ok(())
        },
    )?;
    for (index, address, pin) in [(0, ALICE, ALICE_PIN), (1, BOB, BOB_PIN)] {
        let name = address.split('@').next().unwrap_or(address);
        teller.step(
            &format!("{name} changes the PIN and enrols with a one-time code"),
            |story| {
                let code = server(story)?.enrol_code(address)?;
                story
                    .people
                    .get(index)
                    .context("nobody")?
                    .enrol(&code, pin)?;
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn sign_in(teller: &mut Teller<'_, '_>) -> Result<(Watch, Watch)> {
    for (index, address, pin) in [(0, ALICE, ALICE_PIN), (1, BOB, BOB_PIN)] {
        let name = address.split('@').next().unwrap_or(address);
        teller.step(
            &format!("{name} signs in with address and PIN, one prompt"),
            |story| {
                // One line on one descriptor: a second prompt would find nothing to read and fail.
                story.people.get(index).context("nobody")?.sign_in(pin)?;
                Ok(())
            },
        )?;
    }
    let alice = teller.story.people.first().context("no Alice")?.watch()?;
    let bob = teller.story.people.get(1).context("no Bob")?.watch()?;
    Ok((alice, bob))
}

/// An event of this kind.
fn is(event: &Value, kind: &str) -> bool {
    event["event"] == kind
}

fn shows(event: &Value, address: &str, availability: &str) -> bool {
    let fits = |c: &Value| c["address"] == address && c["availability"] == availability;
    (is(event, "contact") && fits(event))
        || (is(event, "contacts")
            && event["contacts"]
                .as_array()
                .is_some_and(|a| a.iter().any(fits)))
}

fn talk(teller: &mut Teller<'_, '_>, alice: &mut Watch, bob: &mut Watch) -> Result<()> {
    teller.step(
        "Alice and Bob add each other and see that the other is there",
        |story| {
            story.people[0].must(&["contacts", "add", BOB], &[])?;
            story.people[1].must(&["contacts", "add", ALICE], &[])?;
            alice.expect("Bob is available", EVENT_LIMIT, |e| {
                shows(e, BOB, "available")
            })?;
            bob.expect("Alice is available", EVENT_LIMIT, |e| {
                shows(e, ALICE, "available")
            })?;
            Ok(())
        },
    )?;
    teller.step("Bob sets himself busy and Alice sees it", |story| {
        story.people[1].must(&["status", "busy"], &[])?;
        alice.expect("Bob is busy", EVENT_LIMIT, |e| shows(e, BOB, "busy"))?;
        Ok(())
    })?;
    for (from, to, text) in [
        (0, BOB, "Grüße aus Málaga – до встречи 🏯"),
        (1, ALICE, "ありがとう! Ça marche — 👍🏽"),
    ] {
        let name = ["Alice", "Bob"][from];
        teller.step(&format!("{name} writes: {text}"), |story| {
            story.people[from].send(to, text)?;
            let watch = if from == 0 { &mut *bob } else { &mut *alice };
            watch.expect("the message arrives", EVENT_LIMIT, |e| received(e, text))?;
            Ok(())
        })?;
    }
    Ok(())
}

fn received(event: &Value, text: &str) -> bool {
    is(event, "message") && event["delivery"] == "received" && event["text"] == text
}

fn close_and_return(teller: &mut Teller<'_, '_>) -> Result<Watch> {
    teller.step(
        "Alice closes her window; messages keep coming, and are there on return",
        |story| {
            // Nothing of Alice is attached now: her session lives in the background.
            let text = "written while the window was closed";
            story.people[1].send(ALICE, text)?;
            let seen = story.people[0].must(&["open"], &[])?;
            if !seen.contains(text) {
                bail!("'lanyard open' does not show the message: {seen}");
            }
            story.people[0].watch()
        },
    )
}

fn lose_the_card(teller: &mut Teller<'_, '_>, alice: &mut Watch, bob: &mut Watch) -> Result<()> {
    teller.step(
        "Alice's card is reported lost: her session ends with a reason",
        |story| {
            let start = Instant::now();
            server(story)?.must(&["card", "lost", ALICE])?;
            let (at, event) = alice.expect("the session ends", EVENT_LIMIT, |e| {
                is(e, "session") && e["stage"] == "idle"
            })?;
            if !event["problem"].to_string().contains("LY-1501") {
                bail!("the session ended without the reason LY-1501: {event}");
            }
            let took = at.saturating_duration_since(start);
            story.revocation_to_end = Some(took);
            if took > REVOCATION_LIMIT {
                bail!("it took {took:?}");
            }
            Ok(())
        },
    )?;
    teller.step(
        "Bob's session goes on, and he sees that Alice is gone",
        |story| {
            bob.expect("Alice is offline", EVENT_LIMIT, |e| {
                shows(e, ALICE, "offline")
            })?;
            let status = story.people[1].json(&["status"])?;
            if status["stage"] != "signed-in" {
                bail!("Bob is not signed in: {status}");
            }
            Ok(())
        },
    )?;
    teller.step("Alice cannot sign in with that card any more", |story| {
        let error = story.people[0].must_fail(&["sign-in", ALICE], &[("--pin-fd", ALICE_PIN)])?;
        if !error.contains("LY-1302") {
            bail!("refused without LY-1302: {error}");
        }
        Ok(())
    })
}

fn new_card(teller: &mut Teller<'_, '_>) -> Result<()> {
    teller.step("with a new card Alice signs in again", |story| {
        let code = server(story)?.enrol_code(ALICE)?;
        let alice = &story.people[0];
        alice.create_card("second card", &[])?;
        eventually("the new card is seen", Duration::from_secs(10), || {
            let output = alice.run(&["card", "list", "--json"], &[]).ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (text.matches("guid").count() >= 2).then_some(())
        })?;
        alice.must(
            &["card", "enrol", ALICE, "--card", "second card"],
            &[
                ("--pin-fd", "12345678"),
                ("--new-pin-fd", ALICE_NEW_PIN),
                ("--code-fd", &code),
            ],
        )?;
        alice.sign_in(ALICE_NEW_PIN)?;
        let status = alice.json(&["status"])?;
        if status["stage"] != "signed-in" {
            bail!("Alice is not signed in: {status}");
        }
        Ok(())
    })
}
