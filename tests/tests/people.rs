// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who works here: search, contact cards and photographs, with our own client and with SIPE.

use anyhow::{Context, Result};
use lanyard_tests::passwords::{add_password_user, allow_passwords};
use lanyard_tests::person::{CardPath, Person, Watch};
use lanyard_tests::picture::{SECRET_COMMENT, jpeg};
use lanyard_tests::process::eventually;
use lanyard_tests::sipe::{EVENT_LIMIT, Sipe, in_a_sipe_world};
use lanyard_tests::terminal::Terminal;
use lanyard_tests::world::{World, in_a_world};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";
const ALICE_PIN: &str = "407316";
const BOB: &str = "bob@contoso.test";
const BOB_PIN: &str = "92846150";
const ERIN: &str = "erin@contoso.test";
const ERIN_PASSWORD: &str = "erin has a long password";
const ZOE: &str = "zoe.mueller@contoso.test";
const LIMIT: Duration = Duration::from_secs(30);

/// Zoë with everything that a directory can say, and somebody who has left.
fn colleagues(world: &World) -> Result<PathBuf> {
    let photo = jpeg(&world.folder, 640, 480)?;
    world.add_user(
        ZOE,
        &[
            "--name",
            "Zoë Müller",
            "--title",
            "Head of Sales",
            "--phone",
            "+49 30 1234-56",
            "--email",
            "zoe@mail.test",
            "--photo",
            &photo.display().to_string(),
        ],
    )?;
    world.add_user("max@contoso.test", &["--name", "Max Müller-Straße"])?;
    world.add_user("gone@contoso.test", &["--name", "Gone Müller"])?;
    world
        .server
        .must(&["user", "disable", "gone@contoso.test"])?;
    Ok(photo)
}

fn addresses(found: &Value) -> Vec<&str> {
    let people = found.as_array().into_iter().flatten();
    people.filter_map(|one| one["address"].as_str()).collect()
}

fn find(person: &Person, words: &str) -> Result<Value> {
    person.json(&["find", words])
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => all.push(entry.path()),
            _ => {}
        }
    }
    all
}

#[test]
fn people_are_found_shown_and_added() {
    in_a_world("people_are_found_shown_and_added", |world| {
        let given = std::fs::read(colleagues(world)?)?;
        let alice = world.enrolled(ALICE, ALICE_PIN)?;
        alice.sign_in(ALICE_PIN)?;

        let found = find(&alice, "MULLER")?;
        assert_eq!(addresses(&found), ["max@contoso.test", ZOE], "{found}");
        let found = find(&alice, "zoé head")?;
        let zoe = &found[0];
        for (field, value) in [
            ("name", "Zoë Müller"),
            ("title", "Head of Sales"),
            ("phone", "+49 30 1234-56"),
            ("email", "zoe@mail.test"),
            ("company", "Contoso"),
            ("address", ZOE),
        ] {
            assert_eq!(zoe[field], value, "{found}");
        }
        assert_eq!(addresses(&find(&alice, "1234")?), [ZOE]);
        for nobody in ["gone", "z%", "zo_", "contoso.test", "' OR 1=1 --x"] {
            assert_eq!(addresses(&find(&alice, nobody)?), [""; 0], "{nobody}");
        }
        for nothing in ["  ", "%"] {
            let refused = alice.must_fail(&["find", nothing], &[])?;
            assert!(refused.contains("LY-1661"), "{refused}");
        }
        let words = alice.must(&["find", "mull"], &[])?;
        assert!(
            words.contains("Zoë Müller") && words.contains("Head of Sales"),
            "{words}"
        );

        // Who somebody is, without having them in the list; and whom nobody knows.
        let card = alice.json(&["whois", ZOE])?;
        assert_eq!(
            (&card["title"], &card["contact"]),
            (&"Head of Sales".into(), &false.into())
        );
        let refused = alice.must_fail(&["whois", "gone@contoso.test"], &[])?;
        assert!(refused.contains("LY-1602"), "{refused}");
        let refused = alice.must_fail(&["whois", "max@contoso.test", "--photo", "max.jpg"], &[])?;
        assert!(refused.contains("LY-1665"), "{refused}");

        // The photo: what the server made of it, and nothing of what was in the file.
        let file = alice.root.join("zoe.jpg").display().to_string();
        alice.must(&["whois", ZOE, "--photo", &file], &[])?;
        let photo = std::fs::read(&file)?;
        assert!(photo.starts_with(b"\xFF\xD8\xFF") && photo != given);
        let secret = SECRET_COMMENT.as_bytes();
        assert!(given.windows(secret.len()).any(|part| part == secret));
        assert!(!photo.windows(secret.len()).any(|part| part == secret));

        // Added from the result; then presence and card come by themselves.
        let refused = alice.must_fail(&["find", "mull", "--add"], &[])?;
        assert!(refused.contains("Several"), "{refused}");
        alice.must(&["find", "zoe", "--add"], &[])?;
        let card = eventually("Zoë's card came with her presence", LIMIT, || {
            let card = alice.json(&["whois", ZOE]).ok()?;
            (card["contact"] == true && card["availability"] == "offline").then_some(card)
        })?;
        assert_eq!(card["phone"], "+49 30 1234-56");

        // The server forgets its tickets when it stops; the next question gets a new one.
        world.server.stop()?;
        world.server.start()?;
        eventually("Alice is back", LIMIT, || {
            (addresses(&find(&alice, "zoe").ok()?) == [ZOE]).then_some(())
        })?;

        // What was fetched is kept for the next time, and goes with everything else.
        let kept = |name: &str| {
            let state = files(&alice.root.join("state"));
            state
                .iter()
                .any(|file| file.display().to_string().contains(name))
        };
        assert!(kept("/photos/"), "{:?}", files(&alice.root.join("state")));
        let removed = alice.must(&["sign-out", "--delete-sign-in-info"], &[])?;
        assert!(removed.contains("photos of people"), "{removed}");
        assert!(!kept("/photos/"));
        Ok(())
    });
}

#[test]
fn the_terminal_finds_somebody_adds_them_by_number_and_shows_their_card() {
    in_a_world(
        "the_terminal_finds_somebody_adds_them_by_number_and_shows_their_card",
        |world| {
            colleagues(world)?;
            let alice = world.enrolled(ALICE, ALICE_PIN)?;
            alice.sign_in(ALICE_PIN)?;
            let window = Terminal::open(&alice, &["open"])?;
            window.wait_for("Signed in")?;
            window.enter("/find müll")?;
            window.wait_for("2  Zoë Müller")?;
            window.enter("/add 2")?;
            eventually("Zoë is a contact", LIMIT, || {
                let card = alice.json(&["whois", ZOE]).ok()?;
                (card["contact"] == true).then_some(())
            })?;
            window.enter("/who zoe")?;
            window.wait_for("Phone    +49 30 1234-56")?;
            window.enter("/find nobody-of-this-name")?;
            window.wait_for("Nobody was found.")?;
            Ok(())
        },
    );
}

/// Waits for a card of somebody that says this.
fn expect_card(watch: &mut Watch, address: &str, field: &str, value: &str) -> Result<()> {
    watch.expect(&format!("{address}: {field} {value}"), LIMIT, |event| {
        event["event"] == "person" && event["address"] == address && event[field] == value
    })?;
    Ok(())
}

#[test]
fn a_change_by_the_administrator_reaches_watchers_and_the_person_at_once() {
    in_a_world(
        "a_change_by_the_administrator_reaches_watchers_and_the_person_at_once",
        |world| {
            let alice = world.enrolled(ALICE, ALICE_PIN)?;
            let bob = world.enrolled(BOB, BOB_PIN)?;
            alice.sign_in(ALICE_PIN)?;
            bob.sign_in(BOB_PIN)?;
            alice.must(&["contacts", "add", BOB], &[])?;
            let mut watch = alice.watch()?;
            let mut bobs = bob.watch()?;
            eventually("Bob is seen", LIMIT, || {
                let card = alice.json(&["whois", BOB]).ok()?;
                (card["availability"] == "available").then_some(())
            })?;
            let photo = jpeg(&world.folder, 300, 300)?.display().to_string();
            let set = |more: &[&str]| {
                let mut arguments = vec!["user", "set", BOB];
                arguments.extend(more);
                world.server.json(&arguments)
            };
            set(&["--name", "Robert Bäcker", "--title", "Baker"])?;
            expect_card(&mut watch, BOB, "title", "Baker")?;
            bobs.expect("Bob's own name", LIMIT, |event| {
                event["event"] == "session" && event["own"]["name"] == "Robert Bäcker"
            })?;
            let view = set(&["--phone", "+49 40 99", "--photo", &photo])?;
            let hash = view["photo"].as_str().or(view["user"]["photo"].as_str());
            expect_card(&mut watch, BOB, "photo", hash.context("hash")?)?;
            expect_card(&mut bobs, BOB, "phone", "+49 40 99")?;
            assert_eq!(alice.json(&["whois", BOB])?["name"], "Robert Bäcker");
            assert_eq!(addresses(&find(&alice, "bäcker")?), [BOB]);

            // Taking away is a change as well.
            set(&["--title", "", "--no-photo"])?;
            expect_card(&mut watch, BOB, "title", "")?;
            assert_eq!(alice.json(&["whois", BOB])?.get("photo"), None);

            // Whoever may not sign in any more keeps a name in lists, and nothing else.
            world.server.must(&["user", "disable", BOB])?;
            expect_card(&mut watch, BOB, "phone", "")?;
            let card = alice.json(&["whois", BOB]);
            assert!(card.is_err() || !card?.to_string().contains("+49 40 99"));
            assert_eq!(addresses(&find(&alice, "bäcker")?), [""; 0]);
            world.server.must(&["user", "enable", BOB])?;
            expect_card(&mut watch, BOB, "phone", "+49 40 99")?;
            Ok(())
        },
    );
}

#[test]
fn a_person_with_a_password_finds_people_without_typing_it_again() {
    in_a_world(
        "a_person_with_a_password_finds_people_without_typing_it_again",
        |world| {
            colleagues(world)?;
            allow_passwords(&world.server)?;
            add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
            let folder = world.folder.join("erin");
            let erin = Person::new(&folder, ERIN, &world.server, CardPath::Pcsc, true)?;
            let refused = erin.must_fail(&["find", "zoe"], &[])?;
            assert!(
                refused.contains("LY-1501") || refused.contains("LY-18"),
                "{refused}"
            );
            erin.must(&["sign-in", ERIN], &[("--password-fd", ERIN_PASSWORD)])?;
            assert_eq!(addresses(&find(&erin, "zoe")?), [ZOE]);
            let file = erin.root.join("zoe.jpg").display().to_string();
            erin.must(&["whois", ZOE, "--photo", &file], &[])?;
            assert!(std::fs::read(&file)?.starts_with(b"\xFF\xD8\xFF"));
            Ok(())
        },
    );
}

#[test]
fn people_come_with_their_photos_from_one_file() {
    in_a_world("people_come_with_their_photos_from_one_file", |world| {
        jpeg(&world.folder, 200, 300)?;
        let csv = "address,name,title,phone,email,photo\n\
            zoe.mueller@contoso.test,Zoë Müller,Head,+49 1,zoe@mail.test,picture-200x300.jpg\n\
            max@contoso.test,Max,,,,\n";
        let file = world.folder.join("people.csv");
        std::fs::write(&file, csv)?;
        let file = file.display().to_string();
        world.server.must(&["user", "import", &file])?;
        let zoe = world.server.json(&["user", "show", ZOE])?.to_string();
        assert!(
            zoe.contains("\"photo\":\"") && zoe.contains("zoe@mail.test"),
            "{zoe}"
        );
        // A picture that is none stops everything before anybody is added.
        let bad = "address,photo\nnew@contoso.test,people.csv\n";
        let other = world.folder.join("bad.csv");
        std::fs::write(&other, bad)?;
        let output = world
            .server
            .verb(&["user", "import", &other.display().to_string()])?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && words.contains("line 2"),
            "{words}"
        );
        assert!(!world.server.must(&["user", "list"])?.contains("new@"));
        Ok(())
    });
}

#[test]
fn sipe_finds_people_by_its_own_search_and_shows_their_cards_and_photos() {
    in_a_sipe_world(
        "sipe_finds_people_by_its_own_search_and_shows_their_cards_and_photos",
        |world| {
            colleagues(world)?;
            add_password_user(&world.server, ERIN, "Erin Example", ERIN_PASSWORD)?;
            let mut erin = Sipe::sign_in(world, ERIN, ERIN_PASSWORD)?;
            // Where the address book is comes a moment after the sign-in.
            let debug = |erin: &Sipe, words: &str| erin.debug().contains(words);
            eventually("the address book is provisioned", EVENT_LIMIT, || {
                debug(&erin, "dlx_uri=https://").then_some(())
            })?;
            for (field, value) in [
                ("surname", "müll"),
                ("given", "Zoë"),
                ("email", "zoe@mail.test"),
                ("sipid", ZOE),
            ] {
                erin.command(&format!("search {field} {value}"))?;
                let (_, row) = erin.expect(&format!("{field} {value}"), EVENT_LIMIT, |event| {
                    event[0] == "found" && event[1] == ZOE
                })?;
                assert_eq!(row[2], "Zoë Müller");
                assert_eq!(row[3], "Contoso");
                assert_eq!(row[5], "zoe@mail.test");
                erin.expect("the end of the list", EVENT_LIMIT, |e| e[0] == "found-end")?;
            }
            erin.command("search surname gone")?;
            erin.expect("nobody", EVENT_LIMIT, |event| {
                event[0] == "notify" && event.iter().any(|part| part.contains("No contacts"))
            })?;
            // It came by the web query and not by the older way inside SIP.
            assert!(debug(&erin, "SearchAbEntryResponse"));
            assert!(!debug(&erin, "directorySearch"));

            erin.command(&format!("info {ZOE}"))?;
            for (label, value) in [
                ("Job title", "Head of Sales"),
                ("Business phone", "+49 30 1234-56"),
            ] {
                erin.expect(label, EVENT_LIMIT, |event| {
                    event[0] == "info" && event[2] == label && event[3] == value
                })?;
            }
            let view = world.server.json(&["user", "show", ZOE])?;
            let hash = view["photo"].as_str().or(view["user"]["photo"].as_str());
            let hash = hash.context("hash")?.to_owned();
            erin.command(&format!("add {ZOE} Friends"))?;
            erin.expect("the very photo that the server has", EVENT_LIMIT, |event| {
                event[0] == "buddy-icon" && event[1] == ZOE && event[2] == hash
            })?;
            let list = erin.wait_for_buddies("Zoë has her name", |list| {
                list.iter()
                    .any(|buddy| buddy[0] == ZOE && buddy[4] == "Zoë Müller")
            })?;
            assert_eq!(list.len(), 1);
            // The administrator's change reaches SIPE as well.
            world
                .server
                .must(&["user", "set", ZOE, "--name", "Zoë Maier"])?;
            erin.wait_for_buddies("Zoë has her new name", |list| {
                list.iter()
                    .any(|buddy| buddy[0] == ZOE && buddy[5] == "Zoë Maier")
            })?;
            Ok(())
        },
    );
}
