// SPDX-License-Identifier: MIT OR Apache-2.0
//! A registration over its life: refreshed, authenticated anew, and never somebody else's.

use anyhow::{Context, Result, bail};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::session::{Session, words};
use lanyard_sip::{Headers, Method, Name};

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";

/// How many sessions the server holds.
fn sessions(d: &Deployment) -> Result<usize> {
    let list = d.server.json(&["session", "list"])?;
    Ok(list.as_array().context("no list")?.len())
}

/// Something that only a registered endpoint may ask.
async fn works(session: &mut Session) -> Result<()> {
    let uri = session.uri.clone();
    let mut ask = session.request(Method::Subscribe, &uri, "contacts");
    ask.push(Name::Event, "vnd-microsoft-roaming-contacts");
    ask.push(Name::Expires, "0");
    session.ask(ask).await.map(|_| ())
}

#[test]
fn a_registration_is_refreshed_and_authenticated_anew_on_its_connection() {
    in_a_deployment(
        "registration::a_registration_is_refreshed_and_authenticated_anew_on_its_connection",
        async |d| {
            let alice = d.enrolled(ALICE).await?;
            let mut session = d.session(&alice).await?;
            session.refresh().await?;
            works(&mut session).await?;
            // As clients do some minutes before certificate or eight hours end.
            let fresh = alice.chat_certificate(&d.net).await?;
            session.sign_in(&d.net, &fresh).await?;
            works(&mut session).await?;
            session.refresh().await?;
            assert_eq!(sessions(d)?, 1);
            Ok(())
        },
    );
}

#[test]
fn a_connection_never_becomes_somebody_elses() {
    in_a_deployment(
        "registration::a_connection_never_becomes_somebody_elses",
        async |d| {
            let alice = d.enrolled(ALICE).await?;
            let bob = d.enrolled(BOB).await?;
            let bobs = bob.chat_certificate(&d.net).await?;
            let mut session = d.session(&alice).await?;
            // As herself with his certificate.
            let refused = session.sign_in(&d.net, &bobs).await.err();
            let refused = refused.context("Bob's certificate served Alice")?;
            assert!(format!("{refused:#}").contains("LY-1307"), "{refused:#}");
            // As him, with his certificate, on what was her connection.
            let mut session = d.session(&alice).await?;
            session.uri = bob.address.sip_uri();
            let refused = session.sign_in(&d.net, &bobs).await.err();
            let refused = refused.context("Alice's connection became Bob's")?;
            assert!(format!("{refused:#}").contains("LY-1307"), "{refused:#}");
            assert_eq!(sessions(d)?, 0);
            Ok(())
        },
    );
}

#[test]
fn an_endpoint_keeps_to_its_own_instance_and_lifetime() {
    in_a_deployment(
        "registration::an_endpoint_keeps_to_its_own_instance_and_lifetime",
        async |d| {
            let alice = d.enrolled(ALICE).await?;
            let mut session = d.session(&alice).await?;
            let mut other = session.register();
            other.set(
                Name::Contact,
                "<sip:127.0.0.1:1;transport=tls;ms-opaque=o1>;proxy=replace;\
                 +sip.instance=\"<urn:uuid:4b1682a8-f968-5701-83fc-7c6741dc6697>\"",
            );
            let cseq = other.header(Name::CSeq).context("CSeq")?.to_owned();
            session.send(other).await?;
            let answer = session.answer(&cseq).await?;
            if answer.status().is_none_or(|status| status < 400) {
                bail!("another instance: {}", words(&answer));
            }
            works(&mut session).await?;

            let mut long = session.register();
            long.push(Name::Expires, "99999999");
            let answer = session.ask(long).await?;
            let granted: u32 = answer.header(Name::Expires).context("Expires")?.parse()?;
            assert!((60..=86_400).contains(&granted), "{granted}");

            let mut out = session.register();
            out.push(Name::Expires, "0");
            session.ask(out).await?;
            let gone = works(&mut session).await.err();
            assert!(gone.is_some(), "a request was served after the sign-out");
            Ok(())
        },
    );
}
