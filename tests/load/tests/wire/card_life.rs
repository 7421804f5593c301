// SPDX-License-Identifier: MIT OR Apache-2.0
//! Renewal, one's own cards, unblocking and keys, asked for by clients that follow no rule.

use crate::cards::{must_be_refused, must_come_in, says};
use crate::clocks::restart;
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_load::card::{Credential, Person, request};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::{Answer, exchange};
use lanyard_tests::process::eventually;
use lanyard_x509::SoftwareKey;
use serde_json::{Value, json};
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const RENEWAL: &str = "/api/v1/card/renewal";
const RENEWED: &str = "/api/v1/card/renewed";
const KEYS: &str = "/api/v1/card/keys";
const MY_CARDS: &str = "/api/v1/my/cards";
const LOST: &str = "/api/v1/my/cards/lost";
const NAME: &str = "/api/v1/my/cards/name";
const ENROLMENTS: &str = "/api/v1/enrolments";
const CHECK: &str = "/api/v1/enrolments/check";
const UNBLOCKINGS: &str = "/api/v1/card-unblockings";
const DONE: &str = "/api/v1/card-unblockings/done";
/// Forty days before a card's end.
const NEAR_THE_END: Duration = Duration::from_secs(325 * 24 * 3600);
const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// Asks the card listener with a card and a body.
async fn ask(d: &Deployment, person: &Person, path: &str, body: &Value) -> Result<Answer> {
    let mut stream = d
        .net
        .connect_with(d.net.ports.card, person.credential())
        .await?;
    exchange(&mut stream, "POST", path, &JSON, &body.to_string()).await
}

/// Asks the HTTPS listener.
async fn post(d: &Deployment, path: &str, body: &Value) -> Result<Answer> {
    let mut stream = d.net.connect(d.net.ports.https).await?;
    exchange(&mut stream, "POST", path, &JSON, &body.to_string()).await
}

fn value(answer: Answer, status: u16) -> Result<Value> {
    Ok(serde_json::from_str(&answer.expect(status)?.body)?)
}

fn csr(key: &SoftwareKey) -> Result<String> {
    Ok(STANDARD.encode(request(ALICE, key)?))
}

/// The holder of what a renewal gave.
fn holder(answer: &Value, key: SoftwareKey) -> Result<Person> {
    let der = |value: &Value| -> Result<_> {
        Ok(STANDARD
            .decode(value.as_str().context("no certificate")?)?
            .into())
    };
    let chain = vec![der(&answer["certificate"])?, der(&answer["chain"][0])?];
    Person::with(ALICE, Credential { chain, key })
}

#[test]
fn a_renewal_replaces_the_old_certificate_once_the_new_one_is_used_and_not_before() {
    let name =
        "card_life::a_renewal_replaces_the_old_certificate_once_the_new_one_is_used_and_not_before";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let key = SoftwareKey::generate()?;
        let wish = json!({ "csr": csr(&key)? });
        says(&ask(d, &alice, RENEWAL, &wish).await?, 409, "LY-1451")?;
        says(&ask(d, &alice, KEYS, &json!({})).await?, 409, "LY-1451")?;
        restart(d, NEAR_THE_END)?;
        // What is no renewal changes nothing.
        let twice = json!({ "csr": csr(&key)?, "card_authentication_csr": csr(&key)? });
        for (body, code) in [
            (json!({}), "LY-1410"),
            (json!({ "csr": "x" }), "LY-1402"),
            (json!({ "csr": csr(&key)?, "card": "mine" }), "LY-1410"),
            (twice, "LY-1409"),
        ] {
            says(&ask(d, &alice, RENEWAL, &body).await?, 400, code)?;
        }
        let text = alice.show_card(&d.net, "POST", RENEWAL).await?;
        says(&text, 400, "LY-1410")?;
        let first = value(ask(d, &alice, RENEWAL, &wish).await?, 201)?;
        // Both sign in until the new one was used; one that was never used gives way to the next.
        must_come_in(d, &alice).await?;
        let given_up = holder(&first, key)?;
        let key = SoftwareKey::generate()?;
        let second = ask(d, &alice, RENEWAL, &json!({ "csr": csr(&key)? })).await?;
        let renewed = holder(&value(second, 201)?, key)?;
        must_be_refused(d, &given_up, "LY-1302").await?;
        must_come_in(d, &alice).await?;
        must_come_in(d, &renewed).await?;
        must_be_refused(d, &alice, "LY-1302").await?;
        says(&ask(d, &alice, RENEWAL, &wish).await?, 403, "LY-1302")?;
        says(&ask(d, &alice, RENEWED, &json!({})).await?, 403, "LY-1302")?;
        ask(d, &renewed, RENEWED, &json!({})).await?.expect(200)?;
        says(&ask(d, &renewed, RENEWAL, &wish).await?, 409, "LY-1451")?;
        // Lost is lost for all of them.
        d.server.must(&["card", "lost", ALICE])?;
        must_be_refused(d, &renewed, "LY-1302").await?;
        says(&ask(d, &renewed, KEYS, &json!({})).await?, 403, "LY-1302")?;
        d.server.must(&["audit", "verify"])?;
        Ok(())
    });
}

#[test]
fn a_session_outlives_the_renewal_and_dies_with_the_card() {
    let name = "card_life::a_session_outlives_the_renewal_and_dies_with_the_card";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        restart(d, NEAR_THE_END)?;
        let chat = alice.chat_certificate(&d.net).await?;
        let key = SoftwareKey::generate()?;
        let answer = ask(d, &alice, RENEWAL, &json!({ "csr": csr(&key)? })).await?;
        let renewed = holder(&value(answer, 201)?, key)?;
        must_come_in(d, &renewed).await?;
        must_be_refused(d, &alice, "LY-1302").await?;
        // What the old certificate has earned goes on.
        d.session_with(&alice, &chat).await?;
        d.server.must(&["card", "lost", ALICE])?;
        if d.session_with(&alice, &chat).await.is_ok() {
            bail!("a chat certificate outlived its card");
        }
        Ok(())
    });
}

#[test]
fn nobody_sees_names_or_loses_somebody_elses_card() {
    let name = "card_life::nobody_sees_names_or_loses_somebody_elses_card";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let cards = |answer: Answer| -> Result<Vec<Value>> {
            let list = value(answer, 200)?;
            Ok(list["cards"].as_array().context("no list")?.clone())
        };
        let mine = cards(alice.show_card(&d.net, "GET", MY_CARDS).await?)?;
        let his = cards(bob.show_card(&d.net, "GET", MY_CARDS).await?)?;
        if mine.len() != 1 || his.len() != 1 || mine[0]["card"] == his[0]["card"] {
            bail!("not one card each: {mine:?} {his:?}");
        }
        let theirs = json!({ "card": mine[0]["card"] });
        says(&ask(d, &bob, LOST, &theirs).await?, 404, "LY-1456")?;
        let named = json!({ "card": mine[0]["card"], "name": "mine now" });
        says(&ask(d, &bob, NAME, &named).await?, 404, "LY-1456")?;
        // Of a card that nobody has exactly the same is said.
        let nobodys = json!({ "card": "00".repeat(16) });
        says(&ask(d, &bob, LOST, &nobodys).await?, 404, "LY-1456")?;
        let more = json!({ "card": his[0]["card"], "reason": "x" });
        says(&ask(d, &bob, LOST, &more).await?, 400, "LY-1410")?;
        let long = json!({ "card": his[0]["card"], "name": "x".repeat(65) });
        says(&ask(d, &bob, NAME, &long).await?, 400, "LY-1455")?;
        must_come_in(d, &alice).await?;
        let own = json!({ "card": his[0]["card"] });
        ask(d, &bob, LOST, &own).await?.expect(200)?;
        must_be_refused(d, &bob, "LY-1302").await?;
        says(&ask(d, &bob, LOST, &own).await?, 403, "LY-1302")?;
        must_come_in(d, &alice).await?;
        let trail = d.server.json(&["audit", "show"])?.to_string();
        if !trail.contains("card.lost") || !trail.contains("person:S-1-5-21") {
            bail!("the report is not in the trail: {trail}");
        }
        Ok(())
    });
}

/// Enrols with this number and care, and gives the answer.
async fn enrol(d: &Deployment, address: &str, guid: &str, care: &str) -> Result<Value> {
    let key = SoftwareKey::generate()?;
    let body = json!({
        "code": d.server.enrol_code(address)?,
        "address": address,
        "template": "SmartcardUser",
        "csr": STANDARD.encode(request(address, &key)?),
        "card": { "kind": "physical", "guid": guid, "care": care },
        "pin_changed": true,
    });
    value(post(d, ENROLMENTS, &body).await?, 201)
}

#[test]
fn whoever_claims_another_persons_card_gets_keys_that_fit_no_card() {
    let name = "card_life::whoever_claims_another_persons_card_gets_keys_that_fit_no_card";
    in_a_deployment(name, async |d| {
        for address in [ALICE, BOB] {
            d.server.must(&["user", "add", address])?;
        }
        let guid = "a1".repeat(16);
        let hers = enrol(d, ALICE, &guid, "puk").await?;
        let claimed = enrol(d, BOB, &guid, "puk").await?;
        for key in ["management_key", "puk"] {
            let (hers, claimed) = (&hers["card_keys"][key], &claimed["card_keys"][key]);
            if !hers.is_string() || hers == claimed {
                bail!("the same {key} for both");
            }
        }
        // A question with his code is answered with his keys as well.
        let question = |address: &str, code: &str| {
            json!({
                "code": code,
                "address": address,
                "card": { "kind": "physical", "guid": guid },
            })
        };
        let code = d.server.enrol_code(BOB)?;
        let answer = value(post(d, CHECK, &question(BOB, &code)).await?, 200)?;
        if answer["management_key"] != claimed["card_keys"]["management_key"] {
            bail!("not his own key: {answer}");
        }
        says(
            &post(d, CHECK, &question(ALICE, &code)).await?,
            403,
            "LY-1401",
        )?;
        // The card in nobody's care gets none.
        let own = enrol(d, ALICE, &"b2".repeat(16), "own").await?;
        if !own["card_keys"].is_null() {
            bail!("keys for an unmanaged card: {own}");
        }
        // Not in the log, not in the trail, not in the database.
        let secret = hers["card_keys"]["puk"].as_str().context("puk")?.to_owned();
        let trail = d
            .server
            .json(&["audit", "show", "--limit", "200"])?
            .to_string();
        let log = std::fs::read_to_string(d.server.log_file())?;
        let key = hers["card_keys"]["management_key"]
            .as_str()
            .context("key")?;
        if trail.contains(key) || log.contains(key) || log.contains(&secret) {
            bail!("a key stands where it can be read");
        }
        Ok(())
    });
}

#[test]
fn a_puk_is_given_for_the_right_code_of_this_card_and_once() {
    let name = "card_life::a_puk_is_given_for_the_right_code_of_this_card_and_once";
    in_a_deployment(name, async |d| {
        for address in [ALICE, BOB] {
            d.server.must(&["user", "add", address])?;
        }
        let (hers, his) = ("a1".repeat(16), "b2".repeat(16));
        let first = enrol(d, ALICE, &hers, "puk").await?;
        enrol(d, BOB, &his, "puk").await?;
        let desk = |card: &str| -> Result<String> {
            let answer = d.server.json(&[
                "card",
                "unblock",
                card,
                "--checked",
                "known-person",
                "--checked",
                "called-back",
            ])?;
            Ok(answer["code"].as_str().context("no code")?.to_owned())
        };
        let code = desk(&hers)?;
        let wish = |address: &str, card: &str, code: &str| json!({ "address": address, "card": card, "code": code });
        // Another person's address, another card, nobody: all the same.
        for body in [
            wish(BOB, &hers, &code),
            wish(BOB, &his, &code),
            wish(ALICE, &his, &code),
            wish("nobody@contoso.test", &hers, &code),
            wish(ALICE, &hers, "AAAA-BBBB-CCCC"),
        ] {
            says(&post(d, UNBLOCKINGS, &body).await?, 403, "LY-1442")?;
        }
        // Nothing is confirmed before it was fetched, and the form is strict.
        let right = wish(ALICE, &hers, &code);
        let mut more = right.clone();
        more["new_pin"] = "1".into();
        says(&post(d, UNBLOCKINGS, &more).await?, 400, "LY-1410")?;
        let answer = value(post(d, UNBLOCKINGS, &right).await?, 200)?;
        if answer["puks"][0] != first["card_keys"]["puk"] || answer["next_puk"] == answer["puks"][0]
        {
            bail!("not the PUK of this card, or no other one: {answer}");
        }
        says(&post(d, UNBLOCKINGS, &right).await?, 403, "LY-1442")?;
        says(
            &post(d, DONE, &wish(BOB, &his, &code)).await?,
            403,
            "LY-1442",
        )?;
        post(d, DONE, &right).await?.expect(200)?;
        // The next one begins with the PUK that took its place.
        let again = wish(ALICE, &hers, &desk(&hers)?);
        let next = value(post(d, UNBLOCKINGS, &again).await?, 200)?;
        if next["puks"] != json!([answer["next_puk"]]) {
            bail!("not the PUK that was handed out: {next}");
        }
        // That one broke off: both may be on the card.
        let third = wish(ALICE, &hers, &desk(&hers)?);
        let both = value(post(d, UNBLOCKINGS, &third).await?, 200)?;
        if both["puks"] != json!([next["next_puk"], next["puks"][0]]) {
            bail!("not both PUKs: {both}");
        }
        // Whoever is shut out is not helped in.
        d.server.must(&["user", "disable", ALICE])?;
        let refused = d.server.verb(&[
            "card",
            "unblock",
            &hers,
            "--checked",
            "known-person",
            "--checked",
            "called-back",
        ])?;
        if !String::from_utf8_lossy(&refused.stderr).contains("LY-1306") {
            bail!("the desk helps somebody who was shut out");
        }
        d.server.must(&["user", "enable", ALICE])?;
        // A lost card is not unblocked, with no code that was made before.
        let code = desk(&hers)?;
        d.server.must(&["card", "lost", &hers])?;
        let late = wish(ALICE, &hers, &code);
        says(&post(d, UNBLOCKINGS, &late).await?, 403, "LY-1442")?;
        let refused = d.server.verb(&[
            "card",
            "unblock",
            &hers,
            "--checked",
            "known-person",
            "--checked",
            "called-back",
        ])?;
        if !String::from_utf8_lossy(&refused.stderr).contains("LY-1718") {
            bail!("the desk helps with a lost card");
        }
        Ok(())
    });
}

#[test]
fn the_desk_stops_after_five_answers_for_one_card_and_a_code_lives_an_hour() {
    let name = "card_life::the_desk_stops_after_five_answers_for_one_card_and_a_code_lives_an_hour";
    in_a_deployment(name, async |d| {
        d.server.must(&["user", "add", ALICE])?;
        let guid = "a1".repeat(16);
        enrol(d, ALICE, &guid, "puk").await?;
        let arguments = [
            "card",
            "unblock",
            ALICE,
            "--checked",
            "known-person",
            "--checked",
            "card-facts",
        ];
        let mut code = String::new();
        for _ in 0..5 {
            code = d.server.json(&arguments)?["code"]
                .as_str()
                .context("code")?
                .to_owned();
        }
        let refused = d.server.verb(&arguments)?;
        if !String::from_utf8_lossy(&refused.stderr).contains("LY-1449") {
            bail!("a sixth answer was given");
        }
        restart(d, Duration::from_secs(3_601))?;
        let late = json!({ "address": ALICE, "card": guid, "code": code });
        says(&post(d, UNBLOCKINGS, &late).await?, 403, "LY-1442")?;
        // Guesses are answered five times, then even the right one would wait.
        for _ in 0..4 {
            says(&post(d, UNBLOCKINGS, &late).await?, 403, "LY-1442")?;
        }
        says(&post(d, UNBLOCKINGS, &late).await?, 429, "LY-1406")
    });
}

#[test]
fn a_new_secret_serves_new_cards_and_leaves_the_others_theirs() {
    let name = "card_life::a_new_secret_serves_new_cards_and_leaves_the_others_theirs";
    in_a_deployment(name, async |d| {
        d.server.must(&["user", "add", ALICE])?;
        let (old, new) = ("a1".repeat(16), "b2".repeat(16));
        let before = enrol(d, ALICE, &old, "puk").await?;
        d.server.must(&["card", "rotate-secret"])?;
        let fresh = enrol(d, ALICE, &new, "puk").await?;
        if before["card_keys"]["version"] != 1 || fresh["card_keys"]["version"] != 2 {
            bail!("versions: {before} {fresh}");
        }
        // After a restart, and enrolled anew, the old card has the keys that are on it.
        restart(d, Duration::ZERO)?;
        let again = enrol(d, ALICE, &old, "puk").await?;
        if again["card_keys"] != before["card_keys"] {
            bail!("the keys of a card changed under it");
        }
        let file = d.server.data.join("ca/cards.key");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file)?);
        if mode & 0o777 != 0o600 || std::fs::read_to_string(&file)?.lines().count() != 3 {
            bail!("the file of secrets is not as it should be");
        }
        Ok(())
    });
}

#[test]
fn a_card_whose_time_is_over_is_expired_until_it_is_enrolled_again() {
    let name = "card_life::a_card_whose_time_is_over_is_expired_until_it_is_enrolled_again";
    in_a_deployment(name, async |d| {
        d.server.must(&["user", "add", ALICE])?;
        let guid = "a1".repeat(16);
        enrol(d, ALICE, &guid, "own").await?;
        let state = |d: &Deployment| -> Result<Value> {
            Ok(d.server.json(&["card", "show", ALICE])?["life"]["state"].take())
        };
        if state(d)? != "active" {
            bail!("{}", state(d)?);
        }
        restart(d, Duration::from_secs(366 * 24 * 3600))?;
        // The server looks for such cards soon after its start.
        eventually("the card is expired", Duration::from_secs(30), || {
            (state(d).ok()? == "expired").then_some(())
        })?;
        enrol(d, ALICE, &guid, "own").await?;
        if state(d)? != "active" {
            bail!("{}", state(d)?);
        }
        Ok(())
    });
}
