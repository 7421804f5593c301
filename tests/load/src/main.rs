// SPDX-License-Identifier: MIT OR Apache-2.0
//! The load that `cargo xtask bench` puts on a real server: what each operation costs it.
//!
//! usage: lanyard-load FOLDER SERVER_PROGRAM OUTPUT.json [PERSONS]
#![allow(clippy::print_stdout)] // This program talks to the person at the terminal.

mod lists;
mod measure;
mod search;

use anyhow::{Context, Result};
use lanyard_load::card::Person;
use lanyard_load::net::Net;
use lanyard_load::session::Session;
use lanyard_presence::{Availability, PersonUri};
use lanyard_sip::{Headers, Method, Name, OutMessage};
use lanyard_tests::server::{DOMAIN, Ports, Server};
use measure::{Stretch, Subject};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// People of the load, unless the command line says otherwise.
const PERSONS: usize = 1_000;
/// Refreshes, messages and notifications that are measured.
const ROUNDS: usize = 2_000;
/// Watchers of one person.
const WATCHERS: usize = 200;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, program, output, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: lanyard-load FOLDER SERVER_PROGRAM OUTPUT.json [PERSONS]");
    };
    let persons = rest.first().map_or(Ok(PERSONS), |n| n.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(run(Path::new(folder), Path::new(program), persons))?;
    std::fs::write(output, serde_json::to_string_pretty(&figures)? + "\n")?;
    println!("\nstored in {output}");
    Ok(())
}

async fn run(folder: &Path, program: &Path, persons: usize) -> Result<Value> {
    let mut server = Server::init(folder, Ports::UNPRIVILEGED)?;
    // One address enrols everybody here.
    server.set_environment("LANYARD_LIMITS__ENROLMENTS_PER_MINUTE", "100000");
    server.log_level("warn,lanyard_server::serve=info");
    server.start_as(
        Path::new("taskset"),
        &["--cpu-list", "0", &program.display().to_string()],
    )?;
    let subject = Subject(server.running()?.pid());
    let net = Net::new(&server)?;
    let mut figures = vec![parse_time()];

    let people = enrol(&server, &net, subject, persons, &mut figures).await?;
    let mut sessions = sign_in(&net, subject, &people, &mut figures).await?;
    refresh(subject, &mut sessions, &mut figures).await?;
    relay(subject, &mut sessions, &mut figures).await?;
    notify(subject, &mut sessions, &mut figures).await?;
    lists::measure(subject, &mut sessions, &mut figures).await?;
    search::measure(&server, &net, subject, &people, &mut figures).await?;
    server.stop()?;
    Ok(json!({ "persons": persons, "figures": figures }))
}

/// SIP parse time, in this process.
fn parse_time() -> Value {
    let bytes = bytes::Bytes::from_static(lanyard_sip::bench::REGISTER);
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let mut sum = 0_usize;
        for _ in 0..100_000 {
            sum = sum.wrapping_add(lanyard_sip::bench::parse_register(&bytes));
        }
        assert!(sum > 0, "the parser read nothing");
        best = best.min(begun.elapsed().as_secs_f64() * 10.0);
    }
    println!(
        "{:<48} {best:>9.2} us a REGISTER of {} bytes   (prototype 1.9, crates 3 to 70)",
        "SIP parse",
        bytes.len()
    );
    json!({ "name": "SIP parse", "us": best, "bytes": bytes.len() })
}

async fn enrol(
    server: &Server,
    net: &Net,
    subject: Subject,
    persons: usize,
    figures: &mut Vec<Value>,
) -> Result<Vec<Person>> {
    let mut csv = String::from("address,name\n");
    for n in 0..persons {
        writeln!(csv, "p{n}@{DOMAIN},Person {n}")?;
    }
    let file = server.data.with_file_name("people.csv");
    std::fs::write(&file, csv)?;
    server.must(&["user", "import", &file.display().to_string()])?;
    let mut codes = Vec::new();
    for n in 0..persons {
        codes.push(server.enrol_code(&format!("p{n}@{DOMAIN}"))?);
    }
    let stretch = Stretch::begin(subject)?;
    let mut stream = net.connect(net.ports.https).await?;
    let mut people = Vec::new();
    for (n, code) in codes.iter().enumerate() {
        people.push(Person::enrol(&mut stream, &format!("p{n}@{DOMAIN}"), code).await?);
    }
    figures.push(stretch.end(
        "enrolment: code, request, certificate, durable",
        persons,
        "one after another; rate = count/time (SQLite FULL: 840/s)",
    )?);
    Ok(people)
}

async fn sign_in(
    net: &Net,
    subject: Subject,
    people: &[Person],
    figures: &mut Vec<Value>,
) -> Result<Vec<Session>> {
    let before = subject.memory_kib()?;
    let stretch = Stretch::begin(subject)?;
    let mut credentials = Vec::new();
    for person in people {
        credentials.push(person.chat_certificate(net).await?);
    }
    figures.push(stretch.end(
        "card sign-in, HTTPS part: card to chat certificate",
        people.len(),
        "two TLS handshakes (163 + 356 us), six requests, one durable certificate",
    )?);
    let stretch = Stretch::begin(subject)?;
    let mut sessions = Vec::new();
    for (n, (person, credential)) in people.iter().zip(credentials).enumerate() {
        sessions.push(Session::open(net, &person.address.sip_uri(), &credential, n as u64).await?);
    }
    figures.push(stretch.end(
        "card sign-in, SIP part: connect, TLS-DSK, REGISTER",
        people.len(),
        "Kamailio, TLS without inner handshake: 1,250 us; with client certificate 2,990 us",
    )?);
    let whole: f64 = figures
        .iter()
        .rev()
        .take(2)
        .filter_map(|f| f["server_cpu_us"].as_f64())
        .sum();
    println!(
        "{:<48} {whole:>9.1} us server CPU",
        "card sign-in, the whole way"
    );
    figures.push(json!({ "name": "card sign-in, the whole way", "server_cpu_us": whole }));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let each = subject.memory_kib()?.saturating_sub(before) as f64 / people.len().max(1) as f64;
    println!(
        "{:<48} {each:>9.1} KiB   (target 25, Kamailio 37, Prosody 51)",
        "memory of an idle session"
    );
    figures.push(json!({
        "name": "memory of an idle session", "kib": each, "sessions": people.len(),
        "compare": "target 25 KiB; Kamailio 37, ejabberd 53",
    }));
    Ok(sessions)
}

async fn refresh(
    subject: Subject,
    sessions: &mut [Session],
    figures: &mut Vec<Value>,
) -> Result<()> {
    let stretch = Stretch::begin(subject)?;
    let count = sessions.len();
    for n in 0..ROUNDS {
        sessions
            .get_mut(n % count)
            .context("no session")?
            .refresh()
            .await?;
    }
    figures.push(stretch.end(
        "REGISTER refresh, signed both ways",
        ROUNDS,
        "Kamailio 56 us (nonce reused) to 143 us; target 80",
    )?);
    Ok(())
}

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=session\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=message 5060 sip null\r\na=accept-types:text/plain\r\n";

/// One conversation between two people, and messages in it.
async fn relay(subject: Subject, sessions: &mut [Session], figures: &mut Vec<Value>) -> Result<()> {
    let (one, rest) = sessions.split_first_mut().context("no session")?;
    let other = rest.first_mut().context("one session only")?;
    let call = "relay1";
    let other_uri = other.uri.clone();
    let invite = one
        .request(Method::Invite, &other_uri, call)
        .with_body("application/sdp", SDP.as_bytes().to_vec());
    one.send(invite).await?;
    let invited = next_request(other, Method::Invite).await?;
    let answer = OutMessage::response_to(&invited, 200, "OK")
        .with_to_tag("callee")
        .with(
            Name::Contact,
            format!("<{other_uri};opaque=user:epid:load;gruu>"),
        )
        .with_body("application/sdp", SDP.as_bytes().to_vec());
    other.send(answer).await?;
    let accepted = loop {
        let message = one.receive().await?;
        if message.status() == Some(200) {
            break message;
        }
    };
    let to = accepted.header(Name::To).context("To")?.to_owned();
    let number = accepted.cseq().map(|c| c.number).unwrap_or(1);
    let mut ack = one.request(Method::Ack, &other_uri, call);
    ack.set(Name::To, &to);
    ack.set(Name::CSeq, format!("{number} ACK"));
    one.send(ack).await?;
    let stretch = Stretch::begin(subject)?;
    for n in 0..ROUNDS {
        let mut message = one.request(Method::Message, &other_uri, call).with_body(
            "text/plain; charset=UTF-8",
            format!("message number {n}, of a usual length"),
        );
        message.set(Name::To, &to);
        one.send(message).await?;
        let arrived = next_request(other, Method::Message).await?;
        other
            .send(OutMessage::response_to(&arrived, 200, "OK"))
            .await?;
        while one.receive().await?.status() != Some(200) {}
    }
    figures.push(stretch.end(
        "message relayed end to end, with its 200",
        ROUNDS,
        "one in flight: Kamailio 241 us, Prosody 353, ejabberd 202; target 90",
    )?);
    Ok(())
}

async fn next_request(session: &mut Session, method: Method<'_>) -> Result<lanyard_sip::Message> {
    loop {
        let message = session.receive().await?;
        if message.is_request() && message.method() == Some(method) {
            return Ok(message);
        }
    }
}

/// One person whose state changes, and watchers who are told.
async fn notify(
    subject: Subject,
    sessions: &mut [Session],
    figures: &mut Vec<Value>,
) -> Result<()> {
    let (publisher, watchers) = sessions.split_first_mut().context("no session")?;
    let count = watchers.len().min(WATCHERS);
    let watchers = watchers.get_mut(..count).context("watchers")?;
    let watched = PersonUri::parse(&publisher.uri)?;
    let stretch = Stretch::begin(subject)?;
    for watcher in watchers.iter_mut() {
        watcher
            .watch(std::slice::from_ref(&watched), "watch")
            .await?;
    }
    figures.push(stretch.end(
        "SUBSCRIBE to one person, first state in the answer",
        count,
        "Kamailio 169 to 193 us",
    )?);
    let changes = 10;
    let stretch = Stretch::begin(subject)?;
    for n in 0..changes {
        let availability = if n % 2 == 0 {
            Availability::Busy
        } else {
            Availability::Available
        };
        publish(publisher, availability, n).await?;
        for watcher in watchers.iter_mut() {
            next_request(watcher, Method::BeNotify).await?;
        }
    }
    figures.push(stretch.end(
        "notification to a watcher",
        changes * count,
        "Kamailio 104 to 129 us with its 200; target 30",
    )?);
    Ok(())
}

async fn publish(session: &mut Session, availability: Availability, version: usize) -> Result<()> {
    let own = session.uri.clone();
    let number = availability.number();
    let mut publications = String::new();
    for container in [2, 3] {
        write!(
            publications,
            "<publication categoryName=\"state\" instance=\"536870912\" container=\"{container}\" \
             version=\"{version}\" expireType=\"static\"><state \
             xmlns=\"http://schemas.microsoft.com/2006/09/sip/state\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" manual=\"true\" \
             xsi:type=\"userState\"><availability>{number}</availability></state></publication>"
        )?;
    }
    let body = format!(
        "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\">\
         <publications uri=\"{own}\">{publications}</publications></publish>"
    );
    let service = session
        .request(Method::Service, &own, "publish")
        .with_body("application/msrtc-category-publish+xml", body);
    session.ask(service).await?;
    Ok(())
}
