// SPDX-License-Identifier: MIT OR Apache-2.0
//! Containers, publications and watchers with numbers that cannot be, of times gone by, and of somebody
//! else: each is refused with what is true now, and nothing of it is seen by anybody.

use crate::roster::cseq;
use anyhow::{Context, Result, bail};
use lanyard_load::deployment::in_a_deployment;
use lanyard_load::session::{Session, words};
use lanyard_presence::limits::{CONTAINER_ID_MAX, PUBLICATIONS_PER_REQUEST_MAX};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::fault::Fault;
use lanyard_sip::{Headers, Message, Method, Name};

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";

async fn service(session: &mut Session, kind: &str, body: &str) -> Result<Message> {
    let own = session.uri.clone();
    let request = session
        .request(Method::Service, &own, "versions")
        .with_body(kind, body.to_owned());
    let asked = cseq(&request);
    session.send(request).await?;
    session.answer(&asked).await
}

async fn containers(session: &mut Session, change: &str) -> Result<Message> {
    let body = format!(
        "<setContainerMembers xmlns=\"http://schemas.microsoft.com/2006/09/sip/container-management\">\
         {change}</setContainerMembers>"
    );
    service(session, content_type::SET_CONTAINER_MEMBERS, &body).await
}

async fn publish(session: &mut Session, uri: &str, items: &str) -> Result<Message> {
    let body = format!(
        "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\">\
         <publications uri=\"{uri}\">{items}</publications></publish>"
    );
    service(session, content_type::PUBLISH, &body).await
}

fn note(numbers: &str) -> String {
    format!(
        "<publication categoryName=\"note\" {numbers} expireType=\"static\">\
         <note xmlns=\"http://schemas.microsoft.com/2006/09/sip/note\"/></publication>"
    )
}

fn must_be(what: &str, answer: &Message, status: u16) -> Result<()> {
    if answer.status() != Some(status) {
        bail!("{what}: not {status} but {}", words(answer));
    }
    Ok(())
}

#[test]
fn impossible_numbers_are_refused_and_old_versions_told_the_new_one() {
    let name = "versions::impossible_numbers_are_refused_and_old_versions_told_the_new_one";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let mut session = d.session(&alice).await?;
        let own = session.uri.clone();
        let over = (CONTAINER_ID_MAX + 1).to_string();
        for number in [
            "-1",
            "4294967296",
            "18446744073709551616",
            "1.5",
            "",
            "0x10",
            &over,
        ] {
            let change = format!("<container id=\"{number}\" version=\"0\"/>");
            must_be(number, &containers(&mut session, &change).await?, 400)?;
            let item = note(&format!(
                "instance=\"0\" container=\"{number}\" version=\"0\""
            ));
            must_be(number, &publish(&mut session, &own, &item).await?, 400)?;
            if number == over {
                continue;
            }
            for item in [
                format!("instance=\"{number}\" container=\"200\" version=\"0\""),
                format!("instance=\"0\" container=\"200\" version=\"{number}\""),
                format!("instance=\"0\" container=\"200\" version=\"0\" expires=\"{number}\""),
            ] {
                must_be(
                    &item,
                    &publish(&mut session, &own, &note(&item)).await?,
                    400,
                )?;
            }
        }
        let many = note("instance=\"0\" container=\"200\" version=\"0\"")
            .repeat(PUBLICATIONS_PER_REQUEST_MAX + 1);
        must_be("many", &publish(&mut session, &own, &many).await?, 400)?;

        // What is possible is taken once; the same again, and versions of the future, are told what is.
        let first = "<container id=\"400\" version=\"0\"><member action=\"add\" type=\"user\" \
                     value=\"bob@contoso.test\"/></container>";
        must_be("first", &containers(&mut session, first).await?, 200)?;
        for (version, change) in [
            ("0", first.to_owned()),
            ("7", first.replace("version=\"0\"", "version=\"7\"")),
            (
                "max",
                first.replace("version=\"0\"", "version=\"4294967295\""),
            ),
        ] {
            let answer = containers(&mut session, &change).await?;
            must_be(version, &answer, 409)?;
            let fault = Fault::parse(answer.body())?;
            assert_eq!(fault.code, Fault::WRONG_DELTA);
            assert_eq!(fault.operations[0].current, 1, "{version}");
        }
        let item = |version: &str| note(&format!("instance=\"0\" container=\"200\" {version}"));
        let answer = publish(&mut session, &own, &item("version=\"0\"")).await?;
        must_be("first note", &answer, 200)?;
        for version in ["version=\"0\"", "version=\"2\"", "version=\"4294967295\""] {
            // Beside one that is right: nothing of the request is taken.
            let right = note("instance=\"1\" container=\"200\" version=\"0\"");
            let both = right + &item(version);
            let answer = publish(&mut session, &own, &both).await?;
            must_be(version, &answer, 409)?;
            let fault = Fault::parse(answer.body())?;
            let operation = fault.operations.first().context("operation")?;
            assert_eq!((operation.index, operation.current), (2, 1), "{version}");
        }
        // A container that nobody knows is one more container, and an end in a hundred years an end.
        let unknown = "<container id=\"777\" version=\"0\"/>";
        must_be("unknown", &containers(&mut session, unknown).await?, 200)?;
        let long = item("version=\"1\" expires=\"4294967295\"").replace("static", "time");
        must_be("long", &publish(&mut session, &own, &long).await?, 200)?;
        session.refresh().await
    });
}

#[test]
fn nobody_publishes_for_another_nor_reads_or_changes_what_is_another_s() {
    let name = "versions::nobody_publishes_for_another_nor_reads_or_changes_what_is_another_s";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let mut eve = d.session(&alice).await?;
        let mut his = d.session(&bob).await?;
        let victim = his.uri.clone();
        let item = note("instance=\"0\" container=\"200\" version=\"0\"");
        // His address in the document, in one form and another.
        for uri in [
            victim.clone(),
            victim.to_uppercase(),
            format!("{victim};opaque=user:epid:x;gruu"),
        ] {
            let answer = publish(&mut eve, &uri, &item).await?;
            if !matches!(answer.status(), Some(400 | 403)) {
                bail!("{uri}: {}", words(&answer));
            }
        }
        // His address on the envelope, hers or his in the document.
        let publication = |uri: &str| {
            format!(
                "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\">\
                 <publications uri=\"{uri}\">{item}</publications></publish>"
            )
        };
        let block = "<setContainerMembers \
                     xmlns=\"http://schemas.microsoft.com/2006/09/sip/container-management\">\
                     <container id=\"32000\" version=\"0\"><member action=\"add\" \
                     type=\"everyone\"/></container></setContainerMembers>";
        let known = format!(
            "<setSubscribers xmlns=\"http://schemas.microsoft.com/2006/09/sip/presence-subscribers\">\
             <subscriber user=\"{ALICE}\" acknowledged=\"true\"/></setSubscribers>"
        );
        for (kind, body) in [
            (content_type::PUBLISH, publication(&victim)),
            (content_type::PUBLISH, publication(&eve.uri.clone())),
            (content_type::SET_CONTAINER_MEMBERS, block.to_owned()),
            (content_type::SET_SUBSCRIBER, known),
        ] {
            let request = eve
                .request(Method::Service, &victim, "his")
                .with_body(kind, body);
            let asked = cseq(&request);
            eve.send(request).await?;
            must_be(kind, &eve.answer(&asked).await?, 403)?;
        }
        // His own data, asked for by her.
        for event in [
            "vnd-microsoft-roaming-contacts",
            "vnd-microsoft-roaming-self",
            "presence.wpending",
            "vnd-microsoft-provisioning-v2",
        ] {
            let request = eve
                .request(Method::Subscribe, &victim, event)
                .with(Name::Event, event);
            let asked = cseq(&request);
            eve.send(request).await?;
            must_be(event, &eve.answer(&asked).await?, 403)?;
        }
        // A batch in his name, and one that goes to him.
        for (to, uri) in [(&eve.uri.clone(), &victim), (&victim, &eve.uri.clone())] {
            let batch = format!(
                "<batchSub xmlns=\"http://schemas.microsoft.com/2006/01/sip/batch-subscribe\" \
                 uri=\"{uri}\" name=\"\"><action name=\"subscribe\" id=\"1\"><adhocList>\
                 <resource uri=\"{victim}\"/></adhocList></action></batchSub>"
            );
            let request = eve
                .request(Method::Subscribe, to, "batch")
                .with(Name::Event, "presence")
                .with_body(content_type::BATCH, batch);
            let asked = cseq(&request);
            eve.send(request).await?;
            must_be("batch", &eve.answer(&asked).await?, 403)?;
        }
        // Nothing of his has changed: his first version is still the first.
        let answer = publish(&mut his, &victim, &item).await?;
        must_be("his first note", &answer, 200)?;
        let first = "<container id=\"32000\" version=\"0\"/>";
        must_be("his containers", &containers(&mut his, first).await?, 200)?;
        eve.refresh().await
    });
}
