// SPDX-License-Identifier: MIT OR Apache-2.0
//! The password port before a client that follows no rule.

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_load::card::{Credential, Person, request};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::Answer;
use lanyard_load::web::Web;
use lanyard_soap::Address;
use lanyard_soap::certprov::{CertResponse, GetAndPublishCert, ProofTimestamp};
use lanyard_soap::mex::WebTicketMex;
use lanyard_soap::trust::{Entropy, TicketRequest, WebTicket};
use lanyard_tests::passwords::{PASSWORD_GROUP, add_password_user, allow_passwords, set_password};
use lanyard_tests::process::eventually;
use lanyard_x509::SoftwareKey;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

const ALICE: &str = "alice@contoso.test";
const ERIN: &str = "erin@contoso.test";
const FRED: &str = "fred@contoso.test";
const PASSWORD: &str = "erin has a long password";
/// The longest password that the server looks at, in bytes.
const PASSWORD_BYTES_MAX: usize = 256;
const MEX: &str = "/WebTicket/WebTicketService.svc/mex";
const PORT: &str = "/WebTicket/WebTicketService.svc/WinNegotiate";

/// Erin may use a password.
pub fn erin(d: &Deployment) -> Result<()> {
    allow_passwords(&d.server)?;
    add_password_user(&d.server, ERIN, "Erin", PASSWORD)
}

/// Whether the port is listed for this question.
async fn is_listed(d: &Deployment, query: &str) -> Result<bool> {
    let mut web = Web::connect(&d.net).await?;
    let mex = web.get(&format!("{MEX}{query}")).await?.expect(200)?;
    Ok(WebTicketMex::parse(&mex.body)?.win_negotiate.is_some())
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// What is asked for: a ticket of a person for certificate provisioning.
fn wanted(endpoint: &str, claimed: Option<&str>, entropy: &Entropy) -> Result<TicketRequest> {
    Ok(TicketRequest {
        context: None,
        applies_to: endpoint.to_owned(),
        claimed_address: claimed.map(Address::parse).transpose()?,
        entropy: Some(entropy.clone()),
    })
}

/// Asks for a ticket, with these credentials or none.
pub async fn ask(
    d: &Deployment,
    claimed: Option<&str>,
    credentials: Option<&str>,
) -> Result<(Answer, Entropy)> {
    let mut web = Web::connect(&d.net).await?;
    let endpoint = web.provisioning().await?;
    let entropy = Entropy::random()?;
    let body = wanted(&endpoint, claimed, &entropy)?.to_xml();
    let mut headers = vec![("Content-Type", "text/xml")];
    headers.extend(credentials.map(|value| ("Authorization", value)));
    let answer = web.post(PORT, &headers, &body).await?;
    Ok((answer, entropy))
}

pub async fn try_password(d: &Deployment, name: &str, password: &str) -> Result<Answer> {
    let credentials = basic(name, password);
    Ok(ask(d, Some(name), Some(&credentials)).await?.0)
}

/// A ticket for certificate provisioning that a password has earned.
pub async fn ticket(d: &Deployment, address: &str, password: &str) -> Result<WebTicket> {
    let credentials = basic(address, password);
    let (answer, entropy) = ask(d, Some(address), Some(&credentials)).await?;
    Ok(WebTicket::from_response(
        &answer.expect(200)?.body,
        Some(&entropy),
    )?)
}

/// What the ticket service of certificates answers to a ticket, and the key that was asked for.
pub async fn show(
    d: &Deployment,
    address: &str,
    ticket: &WebTicket,
) -> Result<(Answer, SoftwareKey)> {
    let mut web = Web::connect(&d.net).await?;
    let endpoint = web.provisioning().await?;
    let key = SoftwareKey::generate()?;
    let wanted = GetAndPublishCert {
        device_id: Uuid::new_v4(),
        entity: Address::parse(address)?,
        csr_der: request(address, &key)?,
    };
    let timestamp = ProofTimestamp::fresh(OffsetDateTime::now_utc());
    let body = wanted.to_xml(&endpoint, Uuid::new_v4(), ticket, &timestamp)?;
    Ok((web.publish(&body).await?, key))
}

/// The whole way from the password to a chat certificate.
pub async fn chat_certificate(d: &Deployment, address: &str, password: &str) -> Result<Credential> {
    let ticket = ticket(d, address, password).await?;
    let (answer, key) = show(d, address, &ticket).await?;
    Ok(Credential {
        chain: vec![CertResponse::parse(&answer.expect(200)?.body)?.into()],
        key,
    })
}

/// Somebody with a chat certificate and no card.
pub fn person(address: &str) -> Result<Person> {
    let nothing = Credential {
        chain: Vec::new(),
        key: SoftwareKey::generate()?,
    };
    Person::with(address, nothing)
}

pub fn must_say(what: &str, answer: &Answer, status: u16, words: &[&str]) -> Result<()> {
    let header = answer.header("x-ms-diagnostics").unwrap_or_default();
    let told = words
        .iter()
        .all(|word| header.contains(word) || answer.body.contains(word));
    if answer.status != status || !told || answer.body.contains("saml:Assertion ") {
        bail!(
            "{what}: not {status} {words:?}: {} {header} {}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}

#[test]
fn row_k_a_card_only_person_is_refused_before_the_password_is_looked_at() {
    in_a_deployment(
        "passwords::row_k_a_card_only_person_is_refused_before_the_password_is_looked_at",
        async |d| {
            // While nobody may use a password, there is no such port for anybody.
            d.server.must(&["user", "add", ALICE])?;
            set_password(&d.server, ALICE, "alice had a password")?;
            assert!(!is_listed(d, "").await?);
            let answer = try_password(d, "nobody@contoso.test", "x").await?;
            must_say("nobody may", &answer, 403, &["28029"])?;

            erin(d)?;
            assert!(is_listed(d, "").await?);
            assert!(is_listed(d, &format!("?sipuri={ERIN}")).await?);
            assert!(is_listed(d, "?sipuri=nobody@contoso.test").await?);
            assert!(!is_listed(d, &format!("?sipuri={ALICE}")).await?);
            assert!(!is_listed(d, &format!("?sipuri=sip:{}", ALICE.to_uppercase())).await?);

            let card_only: &[&str] = &["28029", "LY-1310"];
            let (answer, _) = ask(d, Some(ALICE), None).await?;
            must_say("no password", &answer, 403, card_only)?;
            for password in ["alice had a password", "a guess", ""] {
                // More often than wrong passwords could be tried: none is looked at.
                for _ in 0..4 {
                    let answer = try_password(d, ALICE, password).await?;
                    must_say(password, &answer, 403, card_only)?;
                }
            }
            // Hidden behind somebody else's address, or behind none.
            let hers = basic(ALICE, "alice had a password");
            for claimed in [Some(ERIN), None] {
                let (answer, _) = ask(d, claimed, Some(&hers)).await?;
                must_say("hidden", &answer, 403, card_only)?;
            }
            // The log has no password, right or wrong.
            let log = std::fs::read_to_string(d.server.log_file())?;
            assert!(!log.contains("alice had a password") && !log.contains("a guess"));
            Ok(())
        },
    );
}

#[test]
fn row_k_a_password_signs_in_until_policy_says_otherwise() {
    in_a_deployment(
        "passwords::row_k_a_password_signs_in_until_policy_says_otherwise",
        async |d| {
            erin(d)?;
            let chat = chat_certificate(d, ERIN, PASSWORD).await?;
            let erin = person(ERIN)?;
            let mut session = d.session_with(&erin, &chat).await?;
            let sessions = d.server.json(&["session", "list"])?;
            assert_eq!(sessions[0]["address"], ERIN, "{sessions}");
            assert!(sessions[0]["card_serial"].is_null(), "{sessions}");
            let ways = d.server.must(&["policy", "verify", ERIN])?;
            assert!(ways.contains("allowed: password"), "{ways}");

            let change = ["policy", "set", "--group", PASSWORD_GROUP];
            let close = ["--password-allowed", "no"];
            let dry: Vec<&str> = change
                .into_iter()
                .chain(close)
                .chain(["--dry-run"])
                .collect();
            let told = d.server.must(&dry)?;
            assert!(
                told.contains("erin@contoso.test would lose password")
                    && told.contains("no way in is left"),
                "{told}"
            );
            session.refresh().await.context("nothing was done yet")?;

            let real: Vec<&str> = change.into_iter().chain(close).collect();
            let told = d.server.must(&real)?;
            assert!(told.contains("1 session ended"), "{told}");
            eventually("the session is over", Duration::from_secs(30), || {
                let list = d.server.json(&["session", "list"]).ok()?;
                list.as_array()?.is_empty().then_some(())
            })?;
            let refused = d.session_with(&erin, &chat).await.err();
            let words = refused.context("the old certificate still serves")?;
            assert!(words.to_string().contains("LY-1310"), "{words}");
            let answer = try_password(d, ERIN, PASSWORD).await?;
            must_say("afterwards", &answer, 403, &["28029"])
        },
    );
}

/// How many passwords the server has hashed since it runs.
async fn hashes(d: &Deployment) -> Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", d.net.ports.metrics)).await?;
    let ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let figure = |line: &str| {
        line.strip_prefix("lanyard_password_hashes_total ")?
            .parse()
            .ok()
    };
    // It is not listed before the first.
    Ok(text.lines().find_map(figure).unwrap_or(0))
}

#[test]
fn an_unknown_person_and_a_wrong_password_are_told_the_same_after_the_same_work() {
    in_a_deployment(
        "passwords::an_unknown_person_and_a_wrong_password_are_told_the_same_after_the_same_work",
        async |d| {
            allow_passwords(&d.server)?;
            let mut words = Vec::new();
            for number in 0..3 {
                let known = format!("known{number}@contoso.test");
                add_password_user(&d.server, &known, "Known", PASSWORD)?;
                let without = format!("without{number}@contoso.test");
                d.server.must(&["user", "add", &without])?;
                d.server
                    .must(&["group", "add-member", PASSWORD_GROUP, &without])?;
                let unknown = format!("unknown{number}@contoso.test");
                let too_long = "x".repeat(PASSWORD_BYTES_MAX + 1);
                for name in [&known, &without, &unknown] {
                    for password in ["not the password", &too_long] {
                        let before = hashes(d).await?;
                        let answer = try_password(d, name, password).await?;
                        // One and the same work for each of them, none for nothing.
                        assert_eq!(hashes(d).await?, before + 1, "{name}");
                        assert_eq!(answer.header("www-authenticate").map(str::to_owned), {
                            Some("Basic realm=\"Lanyard\", charset=\"UTF-8\"".to_owned())
                        });
                        must_say(name, &answer, 401, &["28020", "LY-1312"])?;
                        words.push(answer.body);
                    }
                }
            }
            words.dedup();
            assert_eq!(words.len(), 1, "{words:?}");
            Ok(())
        },
    );
}

#[test]
fn wrong_passwords_cost_growing_waits_for_known_and_unknown_names_alike() {
    in_a_deployment(
        "passwords::wrong_passwords_cost_growing_waits_for_known_and_unknown_names_alike",
        async |d| {
            erin(d)?;
            for name in [ERIN, "nobody@contoso.test"] {
                for _ in 0..4 {
                    let answer = try_password(d, name, "a guess").await?;
                    must_say("free", &answer, 401, &["LY-1312"])?;
                }
                // One, then two seconds; where the computer is busy they may be over by themselves.
                let mut looked_at = 0;
                while looked_at < 2 {
                    let answer = try_password(d, name, "another guess").await?;
                    let Some(wait) = answer.header("retry-after") else {
                        must_say("the next try", &answer, 401, &["LY-1312"])?;
                        looked_at += 1;
                        continue;
                    };
                    assert!(["1", "2"].contains(&wait), "{wait}");
                    tokio::time::sleep(Duration::from_secs(wait.parse()?)).await;
                    must_say("too early", &answer, 403, &["LY-1406"])?;
                }
                // Now even the right one has to wait, and longer.
                let answer = try_password(d, name, PASSWORD).await?;
                must_say("too early", &answer, 403, &["LY-1406"])?;
                let wait = answer.header("retry-after").unwrap_or_default();
                assert!(["2", "3", "4"].contains(&wait), "{wait}");
            }
            tokio::time::sleep(Duration::from_secs(4)).await;
            // The right password is taken, and what was before is forgotten.
            chat_certificate(d, ERIN, PASSWORD).await?;
            for _ in 0..4 {
                let answer = try_password(d, ERIN, "a guess").await?;
                must_say("free again", &answer, 401, &["LY-1312"])?;
            }
            Ok(())
        },
    );
}

#[test]
fn a_disabled_account_and_a_foreign_address_are_told_only_to_who_knows_the_password() {
    in_a_deployment(
        "passwords::a_disabled_account_and_a_foreign_address_are_told_only_to_who_knows_the_password",
        async |d| {
            erin(d)?;
            add_password_user(&d.server, FRED, "Fred", "fred has another one")?;
            let freds = basic(FRED, "fred has another one");
            let (answer, _) = ask(d, Some(ERIN), Some(&freds)).await?;
            must_say("Fred as Erin", &answer, 403, &["28901", "LY-1313"])?;
            let (answer, _) = ask(d, Some(ERIN), Some(&basic(FRED, "a guess"))).await?;
            must_say("somebody as Erin", &answer, 401, &["LY-1312"])?;
            let chat = chat_certificate(d, FRED, "fred has another one").await?;
            let fred = person(FRED)?;
            let _session = d.session_with(&fred, &chat).await?;

            d.server.must(&["user", "disable", FRED])?;
            let answer = try_password(d, FRED, "fred has another one").await?;
            must_say("disabled", &answer, 403, &["LY-1306"])?;
            let answer = try_password(d, FRED, "a guess").await?;
            must_say("disabled, wrong", &answer, 401, &["LY-1312"])?;
            let refused = d.session_with(&fred, &chat).await.err();
            assert!(refused.is_some_and(|words| words.to_string().contains("LY-1306")));
            Ok(())
        },
    );
}

#[test]
fn a_new_password_ends_what_the_old_one_has_earned() {
    in_a_deployment(
        "passwords::a_new_password_ends_what_the_old_one_has_earned",
        async |d| {
            erin(d)?;
            add_password_user(&d.server, FRED, "Fred", "fred has another one")?;
            let chat = chat_certificate(d, ERIN, PASSWORD).await?;
            let freds = chat_certificate(d, FRED, "fred has another one").await?;
            let (erin, fred) = (person(ERIN)?, person(FRED)?);
            let _session = d.session_with(&erin, &chat).await?;
            let mut other = d.session_with(&fred, &freds).await?;
            set_password(&d.server, ERIN, "a password of today")?;
            let list = d.server.json(&["session", "list"])?;
            assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
            let refused = d.session_with(&erin, &chat).await.err();
            assert!(refused.is_some(), "the old certificate still serves");
            other.refresh().await.context("somebody else's session")?;
            let answer = try_password(d, ERIN, PASSWORD).await?;
            must_say("the old password", &answer, 401, &["LY-1312"])?;
            let chat = chat_certificate(d, ERIN, "a password of today").await?;
            d.session_with(&erin, &chat).await?;
            Ok(())
        },
    );
}

#[test]
fn damaged_credentials_earn_nothing() {
    in_a_deployment("passwords::damaged_credentials_earn_nothing", async |d| {
        erin(d)?;
        let long = basic(ERIN, &"x".repeat(300));
        let huge = basic(ERIN, &"x".repeat(3_000));
        let control = basic(ERIN, "a\0b\r\nc");
        let empty = basic("", "");
        let bytes = format!("Basic {}", STANDARD.encode([0xff, 0xfe, b':', 0xc0]));
        for credentials in [
            "Basic",
            "Basic ",
            "Basic %%%",
            "Basic ZXJpbg==",
            "NTLM TlRMTVNTUAABAAAA",
            "Negotiate YIIB",
            "Digest username=\"erin\"",
            &long,
            &huge,
            &control,
            &empty,
            &bytes,
        ] {
            let (answer, _) = ask(d, Some(ERIN), Some(credentials)).await?;
            must_say(credentials, &answer, 401, &["28020"])?;
        }
        // The port answers no other question and serves no other audience.
        let mut web = Web::connect(&d.net).await?;
        let hers = basic(ERIN, PASSWORD);
        let headers = [
            ("Content-Type", "text/xml"),
            ("Authorization", hers.as_str()),
        ];
        let answer = web.post(PORT, &headers, "<a/>").await?;
        assert_eq!(answer.status, 400);
        let entropy = Entropy::random()?;
        let foreign = wanted("https://elsewhere.test/service", Some(ERIN), &entropy)?;
        let answer = web.post(PORT, &headers, &foreign.to_xml()).await?;
        must_say("another audience", &answer, 400, &["28903"])?;
        assert_eq!(web.get(PORT).await?.status, 405);
        Ok(())
    });
}

#[test]
fn bombs_and_nonsense_at_the_port_are_refused_at_once() {
    in_a_deployment(
        "passwords::bombs_and_nonsense_at_the_port_are_refused_at_once",
        async |d| {
            erin(d)?;
            let hers = basic(ERIN, PASSWORD);
            let mut web = Web::connect(&d.net).await?;
            let endpoint = web.provisioning().await?;
            let good = wanted(&endpoint, Some(ERIN), &Entropy::random()?)?.to_xml();
            let entities: String = (1..40)
                .map(|n| format!("<!ENTITY e{n} \"&e{};&e{};\">", n - 1, n - 1))
                .collect();
            let bomb = format!("<!DOCTYPE a [<!ENTITY e0 \"ha\">{entities}]><a>&e39;</a>");
            let deep = "<a>".repeat(20_000) + &"</a>".repeat(20_000);
            let wide = format!(
                "<a {}/>",
                (0..5_000)
                    .map(|n| format!("x{n}=\"\" "))
                    .collect::<String>()
            );
            for body in [
                bomb,
                deep,
                wide,
                good.replace("ws-trust/200512", "ws-trust/190001"),
                good.replace(
                    "schemas.xmlsoap.org/soap/envelope",
                    "elsewhere.test/envelope",
                ),
                good.replace("RequestSecurityToken", "RequestSomethingElse"),
                good.repeat(2),
                String::new(),
            ] {
                let begun = Instant::now();
                let headers = [
                    ("Content-Type", "text/xml"),
                    ("Authorization", hers.as_str()),
                ];
                let answer = web.post(PORT, &headers, &body).await?;
                let start: String = body.chars().take(60).collect();
                must_say(&start, &answer, 400, &["28903"])?;
                // A bomb that goes off takes minutes, where memory lasts so long.
                assert!(begun.elapsed() < Duration::from_secs(20), "{start}");
            }
            Ok(())
        },
    );
}
