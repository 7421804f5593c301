// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many of everything: three thousand contacts, a hundred endpoints of one person, and somebody who
//! stops reading. Nobody else notices, and memory stays where the limits say.

use crate::roster::{change, contact, cseq, group, list};
use anyhow::{Context, Result, bail};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::session::{Session, words};
use lanyard_presence::PersonUri;
use lanyard_presence::limits::{
    BODY_BYTES_MAX, CONTACTS_PER_PERSON_MAX, ENDPOINTS_PER_PERSON_MAX, TEXT_CHARS_MAX,
};
use lanyard_presence::model::roster::PublicationKey;
use lanyard_presence::xml::batch::{BatchAction, BatchRequest, BatchResource};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::publish::{ExpireType, PublishItem, PublishRequest};
use lanyard_presence::xml::rlmi::PresenceUpdate;
use lanyard_presence::xml::service::{ContactFault, ContactOperation};
use lanyard_sip::{Headers, Message, Method, Name, OutMessage};
use lanyard_tests::server::DOMAIN;
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const CAROL: &str = "carol@contoso.test";

/// Whoever does not read is let go after 20 seconds; a busy computer may take longer to notice.
const LET_GO: Duration = Duration::from_secs(50);

/// Memory of the server in use now.
fn memory_kib(d: &mut Deployment) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", d.server.running()?.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("VmRSS")?.parse()?)
}

/// Adds many people to the directory.
fn import(d: &Deployment, count: usize) -> Result<Vec<PersonUri>> {
    let people: Vec<String> = (0..count).map(|n| format!("p{n}@{DOMAIN}")).collect();
    let rows: String = people.iter().map(|p| format!("{p},Person\n")).collect();
    let file = d.folder.join("crowd.csv");
    std::fs::write(&file, format!("address,name\n{rows}"))?;
    d.server
        .must(&["user", "import", &file.display().to_string()])?;
    let uri = |person: &String| Ok(PersonUri::parse(&format!("sip:{person}"))?);
    people.iter().map(uri).collect()
}

#[test]
fn three_thousand_contacts_are_kept_counted_and_watched_in_pieces_that_fit() {
    let name = "crowds::three_thousand_contacts_are_kept_counted_and_watched_in_pieces_that_fit";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let people = import(d, CONTACTS_PER_PERSON_MAX)?;
        let mut session = d.session(&alice).await?;
        let mut other = d.session(&alice).await?;
        let first = list(&mut session).await?.delta;
        let mut delta = first;
        // Sent ahead of the answers, as a client does that imports a list; each on the number that the
        // one before will have made.
        for batch in people.chunks(200) {
            let mut asked = Vec::new();
            for person in batch {
                let add = change(&mut session, delta, contact(person.address())?);
                asked.push(cseq(&add));
                session.send(add).await?;
                delta += 1;
            }
            for cseq in asked {
                let answer = session.answer(&cseq).await?;
                if answer.status() != Some(200) {
                    bail!("{}", words(&answer));
                }
            }
        }
        // One more is refused in words, and the number stays.
        let over = change(&mut session, delta, contact("late@contoso.test")?);
        let asked = cseq(&over);
        session.send(over).await?;
        let answer = session.answer(&asked).await?;
        let fault = ContactFault::parse(answer.body())?;
        assert_eq!(answer.status(), Some(403));
        assert_eq!(fault.delta, Some(delta));
        assert!(fault.text.contains("full"), "{}", fault.text);
        // An old number is refused with the one of now.
        let old = change(&mut session, delta - 1, group("late"));
        let asked = cseq(&old);
        session.send(old).await?;
        let answer = session.answer(&asked).await?;
        assert_eq!(answer.status(), Some(409));
        assert_eq!(ContactFault::parse(answer.body())?.delta, Some(delta));

        // Her other endpoint sees the same list, whole, in one message that fits.
        let seen = list(&mut other).await?;
        assert_eq!(seen.delta, delta);
        assert_eq!(delta, first + u32::try_from(people.len())?);
        let there: BTreeSet<_> = seen.contacts.iter().map(|c| c.uri.clone()).collect();
        assert_eq!(there, people.iter().cloned().collect());

        // All of them watched at once: every piece can be read by every client.
        let begun = Instant::now();
        let states = watch(&mut other, &people).await?;
        assert_eq!(states, people.iter().cloned().collect());
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{:?}",
            begun.elapsed()
        );
        other.refresh().await
    });
}

/// Watches people; gives those whose state has arrived.
async fn watch(session: &mut Session, people: &[PersonUri]) -> Result<BTreeSet<PersonUri>> {
    let own = session.uri.clone();
    let resource = |uri: &PersonUri| BatchResource {
        uri: uri.clone(),
        newly_added: false,
    };
    let batch = BatchRequest {
        uri: PersonUri::parse(&own)?,
        action: BatchAction::Subscribe,
        resources: people.iter().map(resource).collect(),
        categories: vec!["state".into(), "note".into(), "contactCard".into()],
    };
    let subscribe = session
        .request(Method::Subscribe, &own, "crowd")
        .with(Name::Event, "presence")
        .with(
            Name::Supported,
            "eventlist, ms-benotify, ms-piggyback-first-notify",
        )
        .with_body(content_type::BATCH, batch.to_xml());
    let asked = cseq(&subscribe);
    session.send(subscribe).await?;
    let mut arrived = BTreeSet::new();
    while arrived.len() < people.len() {
        let message = session.receive().await?;
        let is_answer = message.header(Name::CSeq) == Some(&asked);
        if is_answer && message.status() != Some(200) {
            bail!("{}", words(&message));
        }
        if message.call_id() == Some("crowd") {
            assert!(
                message.body().len() < BODY_BYTES_MAX,
                "{}",
                message.body().len()
            );
            let kind = message.content_type().context("type")?;
            let update = PresenceUpdate::parse(&kind, message.body())?;
            arrived.extend(update.documents.into_iter().map(|document| document.uri));
        }
    }
    Ok(arrived)
}

#[test]
fn so_many_endpoints_of_one_person_ring_and_one_more_is_refused_in_words() {
    let name = "crowds::so_many_endpoints_of_one_person_ring_and_one_more_is_refused_in_words";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let chat = alice.chat_certificate(&d.net).await?;
        let mut caller = d.session(&bob).await?;
        let before = memory_kib(d)?;
        let mut endpoints = Vec::new();
        for _ in 0..ENDPOINTS_PER_PERSON_MAX {
            endpoints.push(d.session_with(&alice, &chat).await?);
        }
        let refused = d.session_with(&alice, &chat).await.err();
        let told = format!("{:#}", refused.context("one more came in")?);
        assert!(told.contains("403") && told.contains("LY-1561"), "{told}");

        // All of them ring; the first to answer has the conversation, all others are told.
        let invite = caller
            .request(Method::Invite, &format!("sip:{ALICE}"), "ring")
            .with_body("application/sdp", "v=0\r\n");
        let asked = cseq(&invite);
        caller.send(invite).await?;
        let mut rings = Vec::new();
        for endpoint in &mut endpoints {
            rings.push(next(endpoint, "INVITE").await?);
        }
        let (first, others) = endpoints.split_first_mut().context("endpoints")?;
        let answer = OutMessage::response_to(&rings[0], 200, "OK")
            .with_to_tag("first")
            .with(Name::Contact, "<sip:127.0.0.1:1;transport=tls>");
        first.send(answer).await?;
        assert_eq!(caller.answer(&asked).await?.status(), Some(200));
        for other in others.iter_mut() {
            next(other, "CANCEL").await?;
        }
        // A flood of calls to all of them ends at the caller's limit, not in the server's memory.
        let large = format!("v=0\r\n{}", "a=x\r\n".repeat(10_000));
        for n in 0..400 {
            let invite = caller
                .request(
                    Method::Invite,
                    &format!("sip:{ALICE}"),
                    &format!("flood{n}"),
                )
                .with_body("application/sdp", large.clone());
            caller.send(invite).await?;
            // She reads one of them, as SIPE would: the others' queues are bounded by themselves.
            if n % 50 == 0 {
                first.refresh().await?;
            }
        }
        let grown = memory_kib(d)?.saturating_sub(before);
        assert!(grown < 400 * 1024, "{grown} KiB");
        // Whoever did not read was let go, with the reason behind all that waited.
        let mut other = endpoints.pop().context("endpoint")?;
        let farewell = loop {
            let message = other.receive().await?;
            if message
                .event()
                .is_some_and(|event| event.package == "registration-notify")
            {
                break message;
            }
        };
        let told = words(&farewell);
        assert!(told.contains("LY-1560"), "{told}");
        // There is room again.
        d.session_with(&alice, &chat).await?;
        endpoints[0].refresh().await
    });
}

/// The next request of this method.
async fn next(session: &mut Session, method: &str) -> Result<Message> {
    loop {
        let message = session.receive().await?;
        if message.method().is_some_and(|m| m.as_str() == method) {
            return Ok(message);
        }
    }
}

/// Publishes a note of so many bytes.
async fn note(session: &mut Session, version: u32, text: &str) -> Result<()> {
    let item = PublishItem {
        key: PublicationKey {
            category: "note".into(),
            instance: 0,
            container: 200,
        },
        version,
        expire_type: ExpireType::User,
        expires: None,
        content: format!(
            "<note xmlns=\"http://schemas.microsoft.com/2006/09/sip/note\"><body type=\"personal\" \
             uri=\"\">{text}</body></note>"
        )
        .into(),
    };
    let own = session.uri.clone();
    let body = PublishRequest {
        uri: PersonUri::parse(&own)?,
        items: vec![item],
    };
    let service = session
        .request(Method::Service, &own, "note")
        .with_body(content_type::PUBLISH, body.to_xml());
    session.ask(service).await.map(|_| ())
}

/// Shows others that somebody is there: without a state nothing else is shown.
async fn come_on_line(session: &mut Session) -> Result<()> {
    let own = session.uri.clone();
    let items = [2, 3].map(|container| PublishItem {
        key: PublicationKey {
            category: "state".into(),
            instance: 7,
            container,
        },
        version: 0,
        expire_type: ExpireType::Endpoint,
        expires: None,
        content: "<state xmlns=\"http://schemas.microsoft.com/2006/09/sip/state\" \
                  xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                  xsi:type=\"machineState\"><availability>3500</availability></state>"
            .into(),
    });
    let body = PublishRequest {
        uri: PersonUri::parse(&own)?,
        items: items.into(),
    };
    let service = session
        .request(Method::Service, &own, "state")
        .with_body(content_type::PUBLISH, body.to_xml());
    session.ask(service).await.map(|_| ())
}

#[test]
fn a_watcher_that_stops_reading_loses_states_but_no_message_and_disturbs_nobody() {
    let name =
        "crowds::a_watcher_that_stops_reading_loses_states_but_no_message_and_disturbs_nobody";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let carol = d.enrolled(CAROL).await?;
        let mut lazy = d.session(&alice).await?;
        let mut busy = d.session(&bob).await?;
        let mut good = d.session(&carol).await?;
        come_on_line(&mut busy).await?;
        let watched = [PersonUri::parse(&format!("sip:{BOB}"))?];
        // Many subscriptions to one person: each news comes to her many times.
        for n in 0..200 {
            lazy.watch(&watched, &format!("lazy{n}")).await?;
        }
        good.watch(&watched, "good").await?;
        let before = memory_kib(d)?;
        // He is busy; she does not read any more; somebody else hears all of it in time.
        let filler = "x".repeat(12_000);
        for version in 0..24 {
            let text = format!("{filler} number {version}.");
            let begun = Instant::now();
            note(&mut busy, version, &text).await?;
            loop {
                let news = next(&mut good, "BENOTIFY").await?;
                if String::from_utf8_lossy(news.body()).contains(&format!("number {version}.")) {
                    break;
                }
            }
            let took = begun.elapsed();
            // Behind her connection it would be the twenty seconds of a write.
            assert!(took < Duration::from_secs(15), "{version}: {took:?}");
        }
        // And one message to her, behind all that.
        let invite = busy
            .request(Method::Invite, &format!("sip:{ALICE}"), "talk")
            .with_body("application/sdp", "v=0\r\n");
        let invited = cseq(&invite);
        busy.send(invite).await?;
        let grown = memory_kib(d)?.saturating_sub(before);
        assert!(grown < 64 * 1024, "{grown} KiB for one who does not read");

        // She reads again: not every state is there, but the last is, and the invitation.
        let (mut states, mut is_last, mut ring) = (0_usize, 0_usize, None);
        while is_last < 200 || ring.is_none() {
            let message = lazy.receive().await?;
            let body = String::from_utf8_lossy(message.body()).into_owned();
            states += usize::from(body.contains(" number "));
            is_last += usize::from(body.contains("number 23."));
            if message.method() == Some(Method::Invite) {
                ring = Some(message);
            }
        }
        assert!(states < 24 * 200, "nothing was held back: {states}");
        let answer = OutMessage::response_to(&ring.context("ring")?, 200, "OK")
            .with_to_tag("late")
            .with(Name::Contact, "<sip:127.0.0.1:1;transport=tls>");
        lazy.send(answer).await?;
        assert_eq!(busy.answer(&invited).await?.status(), Some(200));
        Ok(())
    });
}

/// Waits for something while somebody else is served.
async fn meanwhile<T>(wanted: impl Future<Output = T>, good: &mut Session) -> Result<T> {
    let mut wanted = pin!(wanted);
    let begun = Instant::now();
    loop {
        let pause = Duration::from_millis(500);
        match tokio::time::timeout(pause, &mut wanted).await {
            Ok(done) => return Ok(done),
            Err(_) if begun.elapsed() > LET_GO => bail!("she is still there"),
            Err(_) => good.refresh().await?,
        }
    }
}

#[test]
fn somebody_who_asks_and_never_reads_is_let_go_with_a_reason_in_the_log() {
    let name = "crowds::somebody_who_asks_and_never_reads_is_let_go_with_a_reason_in_the_log";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let mut deaf = d.session(&alice).await?;
        let mut good = d.session(&bob).await?;
        // A long list with long names: each question for it is answered with some 150 KiB.
        let first = list(&mut deaf).await?.delta;
        for (delta, n) in (first..).zip(0..400) {
            let operation = ContactOperation::SetContact {
                uri: PersonUri::parse(&format!("sip:p{n}@{DOMAIN}"))?,
                name: "x".repeat(TEXT_CHARS_MAX),
                groups: vec![1],
                subscribed: true,
                external_uri: String::new(),
            };
            let add = change(&mut deaf, delta, operation);
            deaf.ask(add).await?;
        }
        let before = memory_kib(d)?;
        let own = deaf.uri.clone();
        let mut stopped = None;
        for n in 0..600 {
            let subscribe = deaf
                .request(Method::Subscribe, &own, &format!("deaf{n}"))
                .with(Name::Event, "vnd-microsoft-roaming-contacts")
                .with(Name::Supported, "ms-benotify")
                .with(Name::Supported, "ms-piggyback-first-notify")
                // More than the buffers on the way hold of what the server does not read.
                .with("X-Filler", "x".repeat(30_000));
            // When the server does not read on, this waits until it has let her go. A server that is
            // merely slow takes it in the end.
            let sent = meanwhile(deaf.send(subscribe), &mut good).await?;
            if sent.is_err() {
                stopped = Some(n);
                break;
            }
            if n % 20 == 0 {
                good.refresh().await?;
            }
        }
        assert!(stopped.is_some(), "600 questions were taken");
        let grown = memory_kib(d)?.saturating_sub(before);
        assert!(grown < 96 * 1024, "{grown} KiB for one who does not read");
        let begun = Instant::now();
        loop {
            let log = std::fs::read_to_string(d.server.log_file())?;
            if log.contains("the client does not read") || log.contains("reads too slowly") {
                break;
            }
            assert!(begun.elapsed() < LET_GO, "no reason in the log");
            tokio::time::sleep(Duration::from_millis(200)).await;
            good.refresh().await?;
        }
        Ok(())
    });
}
