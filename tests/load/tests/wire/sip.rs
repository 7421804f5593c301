// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIP from somebody who is signed in, or would like to be: what is not signed rightly is refused
//! and does nothing.

use crate::roster::{change, contact, cseq, group, list};
use anyhow::{Context, Result, bail};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::session::{Session, words};
use lanyard_sip::{Headers, Message, Method, Name};

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";

fn says(what: &str, answer: &Message, status: u16, text: &str) -> Result<()> {
    if answer.status() != Some(status) || !words(answer).contains(text) {
        bail!("{what}: not {status} '{text}' but {}", words(answer));
    }
    Ok(())
}

/// The server wants nothing more to do with this connection.
async fn must_be_closed(session: &mut Session) -> Result<()> {
    for _ in 0..20 {
        if let Err(error) = session.receive().await {
            let text = format!("{error:#}");
            // The end of the stream, or a reset: not a wait that took too long.
            if text.contains("in time") {
                bail!("the connection stays open: {text}");
            }
            return Ok(());
        }
    }
    bail!("the server still speaks")
}

#[test]
fn what_is_not_signed_rightly_is_refused_and_changes_nothing() {
    let name = "sip::what_is_not_signed_rightly_is_refused_and_changes_nothing";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        d.enrolled(BOB).await?;
        let mut one = d.session(&alice).await?;
        let mut two = d.session(&alice).await?;
        let delta = list(&mut one).await?.delta;

        let unsigned = change(&mut one, delta, group("unsigned"));
        one.send_unsigned(unsigned.clone()).await?;
        says("unsigned", &one.answer(&cseq(&unsigned)).await?, 401, "")?;

        let mut bent = change(&mut one, delta, group("bent"));
        one.sign(&mut bent)?;
        let proof = bent
            .header(Name::Authorization)
            .context("no proof")?
            .to_owned();
        let (head, tail) = proof.split_once("response=\"").context("no signature")?;
        let (first, rest) = tail.split_at(1);
        let other = if first == "A" { "B" } else { "A" };
        bent.set(
            Name::Authorization,
            format!("{head}response=\"{other}{rest}"),
        );
        one.send_unsigned(bent.clone()).await?;
        says(
            "bent",
            &one.answer(&cseq(&bent)).await?,
            403,
            "signature is wrong",
        )?;

        // Another recipient under the signature of the first.
        let mut moved = change(&mut one, delta, group("moved"));
        one.sign(&mut moved)?;
        moved.set(Name::To, format!("<sip:{BOB}>"));
        one.send_unsigned(moved.clone()).await?;
        says(
            "moved",
            &one.answer(&cseq(&moved)).await?,
            403,
            "signature is wrong",
        )?;

        let now = list(&mut two).await?;
        if now.delta != delta || !now.contacts.is_empty() || now.groups.len() > 1 {
            bail!("something was changed: {now:?}");
        }
        // The person herself is not disturbed.
        let good = change(&mut one, delta, group("good"));
        one.ask(good).await?;

        // Her other connection signs well, but for itself; and that was one too many.
        let mut foreign = change(&mut one, delta + 1, group("foreign"));
        two.sign(&mut foreign)?;
        one.send_unsigned(foreign.clone()).await?;
        let answer = one.answer(&cseq(&foreign)).await?;
        says("foreign", &answer, 403, "another security association")?;
        must_be_closed(&mut one).await?;
        let now = list(&mut two).await?;
        if now.delta != delta + 1 || !now.groups.iter().any(|g| g.name == "good") {
            bail!("not exactly the good change is there: {now:?}");
        }
        Ok(())
    });
}

#[test]
fn a_message_that_comes_twice_is_obeyed_once() {
    let name = "sip::a_message_that_comes_twice_is_obeyed_once";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let mut session = d.session(&alice).await?;
        let delta = list(&mut session).await?.delta;
        let mut first = change(&mut session, delta, group("first"));
        session.sign(&mut first)?;
        session.send_unsigned(first.clone()).await?;
        says("first", &session.answer(&cseq(&first)).await?, 200, "")?;
        session.send_unsigned(first.clone()).await?;
        let answer = session.answer(&cseq(&first)).await?;
        says("again", &answer, 403, "received before")?;
        // An older number is as bad as the same.
        let mut early = change(&mut session, delta + 1, group("early"));
        session.sign(&mut early)?;
        let late = change(&mut session, delta + 1, group("late"));
        session.ask(late).await?;
        session.send_unsigned(early.clone()).await?;
        let answer = session.answer(&cseq(&early)).await?;
        says("early", &answer, 403, "received before")?;
        let now = list(&mut session).await?;
        let names: Vec<_> = now.groups.iter().map(|g| g.name.as_str()).collect();
        if now.delta != delta + 2 || names.contains(&"early") {
            bail!("not obeyed once: {now:?}");
        }
        Ok(())
    });
}

#[test]
fn nobody_speaks_in_the_name_of_another() {
    let name = "sip::nobody_speaks_in_the_name_of_another";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let chat = alice.chat_certificate(&d.net).await?;
        // With her certificate, as him.
        let Err(error) = d.session_with(&bob, &chat).await else {
            bail!("Alice signed in as Bob");
        };
        if !format!("{error:#}").contains("LY-1307") {
            bail!("refused for another reason: {error:#}");
        }
        let mut bobs = d.session(&bob).await?;
        let mut session = d.session_with(&alice, &chat).await?;
        // Signed in as herself, speaking as him.
        let uri = bob.address.sip_uri();
        let mut forged = session.request(Method::Message, &uri, "forged");
        forged.set(Name::From, format!("<{uri}>;tag=x;epid=000000000001"));
        session.send(forged.clone()).await?;
        says(
            "From",
            &session.answer(&cseq(&forged)).await?,
            403,
            "sender",
        )?;
        // Two header fields, of which one is hers.
        let mut double = session.request(Method::Message, &uri, "double");
        double.push(Name::From, format!("<{uri}>;tag=x"));
        if session.sign(&mut double).is_ok() {
            session.send_unsigned(double.clone()).await?;
            let answer = session.answer(&cseq(&double)).await?;
            if answer.status().is_none_or(|status| status < 400) {
                bail!("two From: {}", words(&answer));
            }
        }
        // His list, with her own name in From.
        let delta = list(&mut bobs).await?.delta;
        let mut his = change(&mut session, delta, contact(ALICE)?);
        his.set_uri(&uri);
        his.set(Name::To, format!("<{uri}>"));
        session.send(his.clone()).await?;
        says(
            "his list",
            &session.answer(&cseq(&his)).await?,
            403,
            "somebody else",
        )?;
        // A registration of him on her connection, and of her from his address.
        for (name, value) in [
            (Name::From, format!("<{uri}>;tag=r;epid=000000000001")),
            (Name::To, format!("<{uri}>")),
        ] {
            let mut register = session.register();
            register.set(name, value);
            session.send(register.clone()).await?;
            let answer = session.answer(&cseq(&register)).await?;
            if answer.status() != Some(403) {
                bail!("REGISTER for another: {}", words(&answer));
            }
        }
        session.refresh().await?;
        bobs.refresh().await?;
        if list(&mut bobs).await?.delta != delta || addresses(d)? != [ALICE, BOB] {
            bail!("something was changed");
        }
        Ok(())
    });
}

/// Whose sessions the server holds.
fn addresses(d: &Deployment) -> Result<Vec<String>> {
    let list = d.server.json(&["session", "list"])?;
    let list = list.as_array().context("no list")?;
    let mut all: Vec<_> = list
        .iter()
        .filter_map(|session| session["address"].as_str().map(str::to_owned))
        .collect();
    all.sort();
    Ok(all)
}

#[test]
fn only_a_chat_certificate_in_force_signs_in() {
    let name = "sip::only_a_chat_certificate_in_force_signs_in";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let chat = alice.chat_certificate(&d.net).await?;
        let refused = async |d: &mut Deployment, credential, code: &str| -> Result<()> {
            let Err(error) = d.session_with(&alice, credential).await else {
                bail!("signed in; {code} was expected");
            };
            if !format!("{error:#}").contains(code) {
                bail!("not {code}: {error:#}");
            }
            Ok(())
        };
        refused(d, alice.credential(), "LY-1304").await?;
        let mut session = d.session_with(&alice, &chat).await?;
        let mut bobs = d.session(&bob).await?;
        d.server.must(&["user", "disable", ALICE])?;
        must_be_closed(&mut session).await?;
        refused(d, &chat, "LY-1306").await?;
        d.server.must(&["user", "enable", ALICE])?;
        let mut session = d.session_with(&alice, &chat).await?;
        d.server.must(&["card", "lost", ALICE])?;
        must_be_closed(&mut session).await?;
        refused(d, &chat, "LY-1302").await?;
        bobs.refresh().await?;
        if addresses(d)? != [BOB] {
            bail!("{:?}", addresses(d)?);
        }
        Ok(())
    });
}
