// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being blocked: whoever is sees and hears, byte for byte, what everybody sees and hears of somebody
//! who is not there.

use crate::roster::cseq;
use anyhow::{Context, Result, bail};
use lanyard_load::card::{Applicant, Person};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::session::{Session, words};
use lanyard_presence::PersonUri;
use lanyard_presence::model::roster::{Member, MemberKind, PublicationKey};
use lanyard_presence::xml::containers::{ContainerChange, MemberChange, SetContainerMembers};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::publish::{ExpireType, PublishItem, PublishRequest};
use lanyard_sip::{Headers, Message, Method, Name, OutMessage};
use std::time::{Duration, Instant};

/// Who looks. Both names are of one length, and so are those of the two who are looked at.
const ALICE: &str = "alice@contoso.test";
/// Signed in, with a note, a state and a card; blocks Alice.
const BOB: &str = "bobby@contoso.test";
/// The same, and then really signed out.
const CAROL: &str = "carol@contoso.test";
/// How long something that must not come is waited for.
const NOTHING_COMES: Duration = Duration::from_millis(1_500);

/// Publishes what somebody at work publishes.
async fn publish(session: &mut Session, version: u32, word: &str, availability: u32) -> Result<()> {
    let uri = PersonUri::parse(&session.uri)?;
    let state = |kind: &str| {
        format!(
            "<state xmlns=\"http://schemas.microsoft.com/2006/09/sip/state\" manual=\"true\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\">\
             <availability>{availability}</availability><activity token=\"in-a-meeting\"/></state>"
        )
    };
    let note = format!(
        "<note xmlns=\"http://schemas.microsoft.com/2006/09/sip/note\"><body type=\"personal\" \
         uri=\"\">{word}</body></note>"
    );
    let card = "<contactCard xmlns=\"http://schemas.microsoft.com/2006/09/sip/contactcard\">\
                <phone type=\"mobile\"><uri>tel:+1</uri></phone></contactCard>";
    let item =
        |category: &str, instance: u32, container: u32, expire_type, content: String| PublishItem {
            key: PublicationKey {
                category: category.into(),
                instance,
                container,
            },
            version,
            expire_type,
            expires: None,
            content: content.into(),
        };
    let mut items = Vec::new();
    for container in [2, 3] {
        let machine = state("machineState");
        items.push(item("state", 7, container, ExpireType::Endpoint, machine));
        let user = state("userState");
        items.push(item("state", 8, container, ExpireType::Static, user));
    }
    for container in [0, 100, 200, 300, 400, 32_000] {
        items.push(item("note", 0, container, ExpireType::Static, note.clone()));
        items.push(item(
            "contactCard",
            4,
            container,
            ExpireType::User,
            card.into(),
        ));
        let calendar = "<calendarData xmlns=\"c\"/>".to_owned();
        items.push(item(
            "calendarData",
            0,
            container,
            ExpireType::Time,
            calendar,
        ));
    }
    let own = session.uri.clone();
    let body = PublishRequest { uri, items }.to_xml();
    let service = session.request(Method::Service, &own, "publish");
    session
        .ask(service.with_body(content_type::PUBLISH, body))
        .await?;
    Ok(())
}

async fn block(session: &mut Session, version: u32, add: bool) -> Result<()> {
    let change = MemberChange {
        add,
        member: Member {
            kind: MemberKind::User,
            value: ALICE.into(),
        },
    };
    let body = SetContainerMembers {
        containers: vec![ContainerChange {
            id: 32_000,
            version,
            members: vec![change],
        }],
    };
    let own = session.uri.clone();
    let service = session.request(Method::Service, &own, "containers");
    session
        .ask(service.with_body(content_type::SET_CONTAINER_MEMBERS, body.to_xml()))
        .await?;
    Ok(())
}

/// A subscription to one person, named by the request alone.
fn single(session: &mut Session, whom: &str, call: &str) -> OutMessage {
    session
        .request(Method::Subscribe, &format!("sip:{whom}"), call)
        .with(Name::Event, "presence")
        .with(Name::Supported, "ms-benotify, ms-piggyback-first-notify")
}

/// What of a message says something about the other person: everything, but for the values that are
/// different each time and the person's own name.
fn shape(message: &Message, whom: &str, name: &str) -> String {
    let text = String::from_utf8_lossy(message.bytes()).into_owned();
    let mut shape = String::new();
    for line in text.lines() {
        let start = line.split(':').next().unwrap_or_default();
        let changes = [
            "Via",
            "From",
            "To",
            "CSeq",
            "Call-ID",
            "Authentication-Info",
            "Date",
        ];
        if changes.contains(&start) {
            shape.push_str(start);
        } else {
            shape.push_str(&line.replace(whom, "WHO").replace(name, "NAME"));
        }
        shape.push('\n');
    }
    shape
}

fn must_be_alike(what: &str, blocked: &Message, absent: &Message) -> Result<()> {
    let one = shape(blocked, BOB, "Bobby Bauer");
    let other = shape(absent, CAROL, "Carol Costa");
    // Boundaries and the like are random, but never of another length.
    if one.len() != other.len() || numbers_gone(&one) != numbers_gone(&other) {
        bail!("{what}: a block can be told from an absence:\n{one}\n----\n{other}");
    }
    Ok(())
}

/// Without what is drawn at random: hexadecimal words.
fn numbers_gone(text: &str) -> String {
    let is_drawn = |word: &&str| word.len() >= 16 && word.chars().all(|c| c.is_ascii_hexdigit());
    let mut out = text.to_owned();
    for word in text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(is_drawn)
    {
        out = out.replace(word, "RANDOM");
    }
    out
}

/// The next notification for a subscription.
async fn told(session: &mut Session, call: &str) -> Result<Message> {
    loop {
        let message = session.receive().await?;
        let is_news = message.is_request() && message.call_id() == Some(call);
        if is_news
            && message
                .method()
                .is_some_and(|m| m.as_str().ends_with("NOTIFY"))
        {
            return Ok(message);
        }
    }
}

async fn must_hear_nothing(session: &mut Session, what: &str) -> Result<()> {
    match tokio::time::timeout(NOTHING_COMES, session.receive()).await {
        Err(_) => Ok(()),
        Ok(Ok(message)) => {
            let text = String::from_utf8_lossy(message.bytes()).into_owned();
            bail!("{what}: {text}")
        }
        Ok(Err(error)) => Err(error),
    }
}

/// Alice, Bob and Carol.
async fn everybody(d: &Deployment) -> Result<Vec<Person>> {
    let mut people = Vec::new();
    for (address, name) in [
        (ALICE, "Alice Almeida"),
        (BOB, "Bobby Bauer"),
        (CAROL, "Carol Costa"),
    ] {
        d.server.must(&["user", "add", address, "--name", name])?;
        people.push(d.enrolled_as(Applicant::new(address)?).await?);
    }
    Ok(people)
}

#[test]
fn a_block_cannot_be_told_from_an_absence() {
    let name = "blocked::a_block_cannot_be_told_from_an_absence";
    in_a_deployment(name, async |d| {
        let people = everybody(d).await?;
        let mut alice = d.session(&people[0]).await?;
        let mut bob = d.session(&people[1]).await?;
        let mut carol = d.session(&people[2]).await?;
        publish(&mut bob, 0, "at lunch", 6_500).await?;
        publish(&mut carol, 0, "at lunch", 6_500).await?;
        for (whom, call) in [(BOB, "watch-bob"), (CAROL, "watch-carol")] {
            let subscribe = single(&mut alice, whom, call);
            let answer = alice.ask(subscribe).await?;
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            assert!(text.contains("at lunch") && text.contains("6500"), "{text}");
        }
        tokio::time::sleep(Duration::from_millis(400)).await;

        // The moment itself: a block on one side, a sign-out on the other.
        block(&mut bob, 0, true).await?;
        let of_bob = told(&mut alice, "watch-bob").await?;
        let mut out = carol.register();
        out.push(Name::Expires, "0");
        carol.ask(out).await?;
        let of_carol = told(&mut alice, "watch-carol").await?;
        must_be_alike("the notification", &of_bob, &of_carol)?;

        // What he does now is no news for her.
        publish(&mut bob, 1, "secret plans", 3_500).await?;
        d.server
            .must(&["user", "set", BOB, "--name", "Bobby Bauer"])?;
        must_hear_nothing(&mut alice, "of somebody who blocked her").await?;

        // Asked again, in each form.
        let mut answers = Vec::new();
        for (whom, call) in [(BOB, "again-bob"), (CAROL, "again-carol")] {
            let subscribe = single(&mut alice, whom, call);
            answers.push(alice.ask(subscribe).await?);
        }
        must_be_alike("a subscription to one", &answers[0], &answers[1])?;
        answers.clear();
        for (whom, call) in [(BOB, "batch-bob"), (CAROL, "batch-carol")] {
            let uri = PersonUri::parse(&format!("sip:{whom}"))?;
            answers.push(watched(&mut alice, uri, call).await?);
        }
        must_be_alike("a subscription of a list", &answers[0], &answers[1])?;

        // Words to them: the same refusal, and in the same time.
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..20 {
            answers.clear();
            for (at, whom) in [BOB, CAROL].into_iter().enumerate() {
                let uri = format!("sip:{whom}");
                let method = if round % 2 == 0 {
                    Method::Invite
                } else {
                    Method::Message
                };
                let request = alice
                    .request(method, &uri, &format!("words{round}-{at}"))
                    .with_body("text/plain", "hello");
                let asked = cseq(&request);
                let begun = Instant::now();
                alice.send(request).await?;
                answers.push(alice.answer(&asked).await?);
                times[at].push(begun.elapsed());
            }
            must_be_alike("words", &answers[0], &answers[1])?;
            let code = answers[0].status();
            if code != Some(480) && code != Some(481) {
                bail!("{}", words(&answers[0]));
            }
        }
        let [blocked, absent] = times.map(|mut all| {
            all.sort();
            all[all.len() / 2]
        });
        let most = blocked.max(absent);
        assert!(most < Duration::from_millis(500), "{blocked:?} {absent:?}");
        must_hear_nothing(&mut bob, "from somebody whom he blocked").await?;

        // Unblocked, she sees everything at once.
        block(&mut bob, 1, false).await?;
        let back = told(&mut alice, "again-bob").await?;
        let text = String::from_utf8_lossy(back.body()).into_owned();
        assert!(
            text.contains("secret plans") && text.contains("3500"),
            "{text}"
        );
        Ok(())
    });
}

/// The answer to a subscription of a list with one person in it.
async fn watched(session: &mut Session, uri: PersonUri, call: &str) -> Result<Message> {
    use lanyard_presence::xml::batch::{BatchAction, BatchRequest, BatchResource};
    let own = session.uri.clone();
    let batch = BatchRequest {
        uri: PersonUri::parse(&own)?,
        action: BatchAction::Subscribe,
        resources: vec![BatchResource {
            uri,
            newly_added: true,
        }],
        categories: vec!["state".into(), "note".into(), "contactCard".into()],
    };
    let subscribe = session
        .request(Method::Subscribe, &own, call)
        .with(Name::Event, "presence")
        .with(
            Name::Supported,
            "eventlist, ms-benotify, ms-piggyback-first-notify",
        )
        .with_body(content_type::BATCH, batch.to_xml());
    session.ask(subscribe).await
}

#[test]
fn a_block_in_the_middle_of_a_conversation_sounds_like_a_sign_off() {
    let name = "blocked::a_block_in_the_middle_of_a_conversation_sounds_like_a_sign_off";
    in_a_deployment(name, async |d| {
        let people = everybody(d).await?;
        let mut alice = d.session(&people[0]).await?;
        let mut bob = d.session(&people[1]).await?;
        let mut carol = d.session(&people[2]).await?;
        let with_bob = talk(&mut alice, &mut bob, BOB).await?;
        let with_carol = talk(&mut alice, &mut carol, CAROL).await?;

        block(&mut bob, 0, true).await?;
        let from_bob = goodbye(&mut alice).await?;
        let mut out = carol.register();
        out.push(Name::Expires, "0");
        carol.ask(out).await?;
        let from_carol = goodbye(&mut alice).await?;
        must_be_alike("the goodbye", &from_bob, &from_carol)?;
        let mut answers = Vec::new();
        for (whom, to, call) in [(BOB, &with_bob, BOB), (CAROL, &with_carol, CAROL)] {
            let mut say = alice.request(Method::Message, &format!("sip:{whom}"), call);
            say.set(Name::To, to);
            let asked = cseq(&say);
            alice
                .send(say.with_body("text/plain", "still there?"))
                .await?;
            answers.push(alice.answer(&asked).await?);
        }
        must_be_alike("words afterwards", &answers[0], &answers[1])
    });
}

/// An accepted invitation; gives the other side's address with its tag.
pub async fn talk(caller: &mut Session, callee: &mut Session, whom: &str) -> Result<String> {
    let invite = caller
        .request(Method::Invite, &format!("sip:{whom}"), whom)
        .with_body("application/sdp", "v=0\r\n");
    let asked = cseq(&invite);
    caller.send(invite).await?;
    let ring = loop {
        let message = callee.receive().await?;
        if message.method() == Some(Method::Invite) {
            break message;
        }
    };
    let answer = OutMessage::response_to(&ring, 200, "OK")
        .with_to_tag("theirs")
        .with(Name::Contact, "<sip:127.0.0.1:1;transport=tls>");
    callee.send(answer).await?;
    let answer = caller.answer(&asked).await?;
    if answer.status() != Some(200) {
        bail!("{}", words(&answer));
    }
    Ok(answer.header(Name::To).context("To")?.to_owned())
}

/// The goodbye that comes next.
pub async fn goodbye(session: &mut Session) -> Result<Message> {
    loop {
        let message = session.receive().await?;
        if message.method() == Some(Method::Bye) {
            return Ok(message);
        }
    }
}
