// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whoever holds the server up on purpose: handshakes that stop, requests that drip, calls that nobody
//! acknowledges, numbers that are too large, messages of yesterday. Everybody else is served.

use crate::blocked::{goodbye, talk};
use crate::roster::{change, cseq, group, list};
use anyhow::{Context, Result, bail};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::session::{Session, words};
use lanyard_load::web::Web;
use lanyard_presence::limits::{
    DIALOGS_PER_PAIR_MAX, REGISTER_EXPIRES_SECS_MAX, SUBSCRIBE_EXPIRES_SECS_MAX,
};
use lanyard_sip::{Headers, Message, Method, Name, OutMessage};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
/// More than the listener lets in before it sends the slowest away.
const DAWDLERS: usize = 4_400;
/// Nobody waits longer for a sign-in while all that goes on. Behind dawdlers that each hold a place for
/// the ten seconds of a handshake it would be hours.
const SIGN_IN_LIMIT: Duration = Duration::from_secs(30);

/// A whole sign-in, from the card on, in good time.
async fn must_serve(d: &mut Deployment, person: &lanyard_load::card::Person) -> Result<()> {
    let begun = Instant::now();
    let mut session = d.session(person).await?;
    session.refresh().await?;
    if begun.elapsed() > SIGN_IN_LIMIT {
        bail!("a sign-in took {:?}", begun.elapsed());
    }
    Ok(())
}

#[test]
fn thousands_of_handshakes_that_stop_half_way_hold_nobody_up() {
    let name = "floods::thousands_of_handshakes_that_stop_half_way_hold_nobody_up";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        for port in [d.server.ports.sip, d.server.ports.https] {
            let mut dawdlers = Vec::new();
            for n in 0..DAWDLERS {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                // The beginning of a ClientHello, and then nothing.
                stream.write_all(b"\x16\x03\x01\x02\x00\x01").await?;
                dawdlers.push(stream);
                if n % 1_100 == 1_099 {
                    must_serve(d, &alice).await?;
                }
            }
            must_serve(d, &alice).await?;
        }
        let log = std::fs::read_to_string(d.server.log_file())?;
        if !log.contains("a slow TLS handshake made room") && !log.contains("took too long") {
            bail!("nobody was sent away");
        }
        Ok(())
    });
}

#[test]
fn connections_that_never_sign_in_and_requests_that_drip_hold_nobody_up() {
    let name = "floods::connections_that_never_sign_in_and_requests_that_drip_hold_nobody_up";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let mut idle = Vec::new();
        for _ in 0..300 {
            // Strangers behind a whole handshake: one says nothing, one stops in a message, one in the
            // head of a request, one in its body.
            idle.push(d.net.connect(d.net.ports.sip).await?);
            for (port, begin) in [
                (
                    d.net.ports.sip,
                    "REGISTER sip:contoso.test SIP/2.0\r\nVia: x",
                ),
                (d.net.ports.https, "GET / HTTP/1.1\r\nHost: l"),
                (
                    d.net.ports.https,
                    "POST /WebTicket/oauthtoken HTTP/1.1\r\nHost: lync.contoso.test\r\n\
                     Content-Length: 1000\r\n\r\ngrant",
                ),
            ] {
                let mut stream = d.net.connect(port).await?;
                stream.write_all(begin.as_bytes()).await?;
                idle.push(stream);
            }
        }
        must_serve(d, &alice).await?;
        // A head of a request that drips is ended, whatever keeps coming.
        let mut drip = d.net.connect(d.net.ports.https).await?;
        let begun = Instant::now();
        let mut bytes = [0; 256];
        loop {
            let written = drip.write_all(b"x").await;
            let read =
                tokio::time::timeout(Duration::from_millis(500), drip.read(&mut bytes)).await;
            if written.is_err() || matches!(read, Ok(Ok(0) | Err(_))) {
                break;
            }
            if begun.elapsed() > Duration::from_secs(30) {
                bail!("a byte every half second keeps a connection");
            }
        }
        must_serve(d, &alice).await
    });
}

#[test]
fn one_connection_begins_so_many_handshakes_and_no_more() {
    let name = "floods::one_connection_begins_so_many_handshakes_and_no_more";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let chat = alice.chat_certificate(&d.net).await?;
        let mut session = d.session_with(&alice, &chat).await?;
        let mut taken = 0;
        let refused = loop {
            match session.sign_in(&d.net, &chat).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 50, "no handshake was one too many");
        };
        let told = format!("{refused:#}");
        assert!(
            told.contains("403") && told.contains("handshakes in"),
            "{told}"
        );
        assert!(taken >= 4, "{taken}");
        must_serve(d, &alice).await
    });
}

#[test]
fn thousands_of_calls_without_ack_leave_nothing_behind() {
    let name = "floods::thousands_of_calls_without_ack_leave_nothing_behind";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let carol = d.enrolled("carol@contoso.test").await?;
        let mut caller = d.session(&alice).await?;
        let mut callee = d.session(&bob).await?;
        let mut friend = d.session(&carol).await?;
        // A conversation that is older than all that follows.
        let to = talk(&mut friend, &mut callee, BOB).await?;
        let large = format!("v=0\r\n{}", "a=x\r\n".repeat(8_000));
        let before = memory_kib(d)?;
        for n in 0..3_000 {
            let invite = caller
                .request(Method::Invite, &format!("sip:{BOB}"), &format!("call{n}"))
                .with_body("application/sdp", large.clone());
            let asked = cseq(&invite);
            caller.send(invite).await?;
            let ring = next(&mut callee, Method::Invite).await?;
            let answer = OutMessage::response_to(&ring, 200, "OK")
                .with_to_tag("x")
                .with(Name::Contact, "<sip:127.0.0.1:1;transport=tls>");
            callee.send(answer).await?;
            // No ACK, and no goodbye either.
            let answer = caller.answer(&asked).await?;
            assert_eq!(answer.status(), Some(200), "{}", words(&answer));
        }
        let grown = memory_kib(d)?.saturating_sub(before);
        assert!(grown < 48 * 1024, "{grown} KiB for 3,000 calls of 40 KiB");
        // Her flood has pushed out her own calls, not the friend's.
        let mut say = friend.request(Method::Message, &format!("sip:{BOB}"), BOB);
        say.set(Name::To, to);
        let asked = cseq(&say);
        friend
            .send(say.with_body("text/plain", "still there?"))
            .await?;
        let heard = next(&mut callee, Method::Message).await?;
        callee
            .send(OutMessage::response_to(&heard, 200, "OK"))
            .await?;
        assert_eq!(friend.answer(&asked).await?.status(), Some(200));
        // When she is gone, he hears goodbye for the newest of her calls and not three thousand times.
        let mut out = caller.register();
        out.push(Name::Expires, "0");
        caller.ask(out).await?;
        for _ in 0..DIALOGS_PER_PAIR_MAX {
            goodbye(&mut callee).await?;
        }
        callee.refresh().await
    });
}

#[test]
fn somebody_who_vanishes_in_a_conversation_is_missed_after_the_grace_time() {
    let name = "floods::somebody_who_vanishes_in_a_conversation_is_missed_after_the_grace_time";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        d.server.stop()?;
        d.server
            .set_environment("LANYARD_LIMITS__SIP_GRACE_SECS", "2");
        d.server.start()?;
        let mut caller = d.session(&alice).await?;
        let mut callee = d.session(&bob).await?;
        talk(&mut caller, &mut callee, BOB).await?;
        let gone = Instant::now();
        drop(caller);
        let bye = goodbye(&mut callee).await?;
        assert!(
            gone.elapsed() >= Duration::from_secs(1),
            "{:?}",
            gone.elapsed()
        );
        assert_eq!(bye.call_id(), Some(BOB));
        let from = bye.from_addr().context("From")?;
        assert_eq!(from.uri, alice.address.sip_uri());
        let reason = bye.headers_named("Reason").next().unwrap_or_default();
        assert!(reason.contains("480"), "{reason}");
        Ok(())
    });
}

#[test]
fn whoever_promised_a_sign_of_life_and_gives_none_is_gone() {
    let name = "floods::whoever_promised_a_sign_of_life_and_gives_none_is_gone";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        d.server.stop()?;
        for (key, value) in [("KEEP_ALIVE", "5"), ("GRACE", "1")] {
            let key = format!("LANYARD_LIMITS__SIP_{key}_SECS");
            d.server.set_environment(&key, value);
        }
        d.server.start()?;
        // The network takes one of them away without a word; another one says a word now and then, and
        // a third has promised nothing.
        let mut gone = d.session(&alice).await?;
        let mut good = d.session(&bob).await?;
        let _quiet = d.session(&bob).await?;
        let chat = alice.chat_certificate(&d.net).await?;
        gone.promises = true;
        gone.sign_in(&d.net, &chat).await?;
        let chat = bob.chat_certificate(&d.net).await?;
        good.promises = true;
        good.sign_in(&d.net, &chat).await?;
        talk(&mut gone, &mut good, BOB).await?;
        let begun = Instant::now();
        let bye = loop {
            good.keep_alive().await?;
            let wait = Duration::from_secs(2);
            match tokio::time::timeout(wait, goodbye(&mut good)).await {
                Ok(bye) => break bye?,
                Err(_) if begun.elapsed() > Duration::from_secs(60) => bail!("still there"),
                Err(_) => {}
            }
        };
        assert_eq!(bye.call_id(), Some(BOB));
        assert!(
            begun.elapsed() > Duration::from_secs(15),
            "{:?}",
            begun.elapsed()
        );
        let list = d.server.json(&["session", "list"])?;
        assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
        Ok(())
    });
}

#[test]
fn an_administrator_who_ends_a_session_ends_its_conversations() {
    let name = "floods::an_administrator_who_ends_a_session_ends_its_conversations";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let bob = d.enrolled(BOB).await?;
        let mut caller = d.session(&alice).await?;
        let mut callee = d.session(&bob).await?;
        talk(&mut caller, &mut callee, BOB).await?;
        d.server.must(&["session", "end", ALICE])?;
        goodbye(&mut callee).await?;
        // She is told why, before the connection is closed.
        let farewell = loop {
            let message = caller.receive().await?;
            if message
                .event()
                .is_some_and(|e| e.package == "registration-notify")
            {
                break message;
            }
        };
        assert!(words(&farewell).contains("LY-1503"), "{}", words(&farewell));
        let body = String::from_utf8_lossy(farewell.body()).into_owned();
        assert!(body.contains("event=unregistered"), "{body}");
        callee.refresh().await
    });
}

#[test]
fn lifetimes_beyond_all_measure_are_cut_and_senseless_ones_refused() {
    let name = "floods::lifetimes_beyond_all_measure_are_cut_and_senseless_ones_refused";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let mut session = d.session(&alice).await?;
        let own = session.uri.clone();
        for wish in ["4294967295", "99999999999999999999"] {
            let mut register = session.register();
            register.push(Name::Expires, wish);
            let granted = lifetime(&session.ask(register).await?)?;
            assert!(
                (60..=REGISTER_EXPIRES_SECS_MAX).contains(&granted),
                "{wish}: {granted}"
            );
            let mut subscribe = session.request(Method::Subscribe, &own, &format!("long{wish}"));
            subscribe.push(Name::Event, "presence.wpending");
            subscribe.push(Name::Expires, wish);
            let granted = lifetime(&session.ask(subscribe).await?)?;
            let allowed = 60..=SUBSCRIBE_EXPIRES_SECS_MAX;
            assert!(allowed.contains(&granted), "{wish}: {granted}");
        }
        for wish in ["-1", "1e9", "0x7fffffff", "3600 seconds", ""] {
            let mut register = session.register();
            register.push(Name::Expires, wish);
            let asked = cseq(&register);
            session.send(register).await?;
            let answer = session.answer(&asked).await?;
            assert_eq!(answer.status(), Some(400), "{wish}: {}", words(&answer));
        }
        let mut brief = session.register();
        brief.push(Name::Expires, "1");
        let asked = cseq(&brief);
        session.send(brief).await?;
        let answer = session.answer(&asked).await?;
        assert_eq!(answer.status(), Some(423), "{}", words(&answer));
        assert_eq!(answer.header(Name::MinExpires), Some("60"));
        session.refresh().await
    });
}

fn lifetime(answer: &Message) -> Result<u32> {
    Ok(answer.header(Name::Expires).context("Expires")?.parse()?)
}

#[test]
fn a_message_of_an_older_proof_or_of_another_connection_is_not_obeyed() {
    let name = "floods::a_message_of_an_older_proof_or_of_another_connection_is_not_obeyed";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let chat = alice.chat_certificate(&d.net).await?;
        let mut session = d.session_with(&alice, &chat).await?;
        let delta = list(&mut session).await?.delta;
        // Signed, and not sent yet, when the key is proved anew.
        let mut old = change(&mut session, delta, group("of the old proof"));
        session.sign(&mut old)?;
        session.sign_in(&d.net, &chat).await?;
        let asked = cseq(&old);
        session.send_unsigned(old.clone()).await?;
        let answer = session.answer(&asked).await?;
        assert_eq!(answer.status(), Some(403), "{}", words(&answer));
        // The same bytes from a stranger, and from her own next connection.
        let mut other = d.session_with(&alice, &chat).await?;
        other.send_unsigned(old.clone()).await?;
        let answer = other.answer(&asked).await?;
        assert_eq!(answer.status(), Some(403), "{}", words(&answer));
        let mut stranger = d.connection(&alice).await?;
        stranger.send_unsigned(old).await?;
        let answer = stranger.receive().await?;
        assert_eq!(answer.status(), Some(401), "{}", words(&answer));
        let now = list(&mut other).await?;
        assert_eq!(now.delta, delta, "it was obeyed");
        Ok(())
    });
}

#[test]
fn a_key_is_proved_anew_when_the_proof_is_old() {
    let name = "floods::a_key_is_proved_anew_when_the_proof_is_old";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        d.server.stop()?;
        d.server
            .set_environment("LANYARD_LIMITS__SIP_ASSOCIATION_SECS", "10");
        d.server.start()?;
        let chat = alice.chat_certificate(&d.net).await?;
        let mut session = d.session_with(&alice, &chat).await?;
        session.refresh().await?;
        tokio::time::sleep(Duration::from_secs(11)).await;
        let refused = session.refresh().await.err();
        let told = format!("{:#}", refused.context("an old proof counted")?);
        assert!(told.contains("401"), "{told}");
        // The connection is the same one, and so is the registration.
        session.sign_in(&d.net, &chat).await?;
        session.refresh().await
    });
}

#[test]
fn a_ticket_port_that_is_asked_for_ever_and_never_heard_lets_go() {
    let name = "floods::a_ticket_port_that_is_asked_for_ever_and_never_heard_lets_go";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let mut deaf = Vec::new();
        let ask = "GET /crl/issuing.crl HTTP/1.1\r\nHost: lync.contoso.test\r\n\r\n".repeat(50);
        for _ in 0..50 {
            let mut stream = d.net.connect(d.net.ports.https).await?;
            // Until the server does not read on.
            for _ in 0..200 {
                let write = stream.write_all(ask.as_bytes());
                if tokio::time::timeout(Duration::from_millis(200), write)
                    .await
                    .is_err()
                {
                    break;
                }
            }
            deaf.push(stream);
            if deaf.len() % 10 == 0 {
                Web::connect(&d.net).await?.get("/").await?.expect(200)?;
            }
        }
        let grown = memory_kib(d)?;
        assert!(grown < 256 * 1024, "{grown} KiB");
        must_serve(d, &alice).await
    });
}

/// Memory of the server in use now.
fn memory_kib(d: &mut Deployment) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", d.server.running()?.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("VmRSS")?.parse()?)
}

/// The next request of this method.
async fn next(session: &mut Session, method: Method<'_>) -> Result<Message> {
    loop {
        let message = session.receive().await?;
        if message.method() == Some(method) {
            return Ok(message);
        }
    }
}
