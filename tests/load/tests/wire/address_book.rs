// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address book before a client that follows no rule: no ticket, another's, bombs, patterns, floods.

use anyhow::{Context, Result, bail};
use lanyard_load::card::{Credential, Person};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::{Answer, exchange};
use lanyard_load::web::Web;
use lanyard_soap::addressbook::{RESULTS_MAX, SearchRequest, SearchResponse};
use lanyard_soap::mex::{AddressBookMex, WebTicketMex};
use lanyard_soap::trust::{TicketRequest, WebTicket};
use lanyard_soap::{Address, names};
use lanyard_x509::SoftwareKey;
use serde_json::Value;
use uuid::Uuid;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const ZOE: &str = "zoe@contoso.test";
const GONE: &str = "gone@contoso.test";
const BOOK: &str = "/GroupExpansion/Service.svc";
const BEARER: &str = "/GroupExpansion/Service.svc/WebTicket_Bearer";
const SOAP: (&str, &str) = ("Content-Type", lanyard_soap::CONTENT_TYPE_SOAP);

/// Fails unless this status came with this code in words and nobody is named.
fn refuses(what: &str, answer: &Answer, status: u16, code: &str) -> Result<()> {
    let told = format!(
        "{} {}",
        answer.header("x-ms-diagnostics").unwrap_or_default(),
        answer.body
    );
    let names = told.contains(ZOE) || told.contains("Zoë") || told.contains("AbEntry>");
    if answer.status != status || !told.contains(code) || names {
        bail!("{what}: not {status} {code}: {} {told}", answer.status);
    }
    Ok(())
}

async fn cookie(d: &Deployment, web: &mut Web, person: &Person) -> Result<String> {
    let path = web.federation_path(person.address.as_str()).await?;
    let page = person.show_card(&d.net, "GET", &path).await?.expect(200)?;
    web.cookie(&page).await
}

async fn endpoint(web: &mut Web) -> Result<String> {
    let mex = web.get(&format!("{BOOK}/mex")).await?.expect(200)?;
    Ok(AddressBookMex::parse(&mex.body)?.endpoint)
}

/// A ticket of a person for the address book, from the card on.
async fn ticket(d: &Deployment, web: &mut Web, person: &Person) -> Result<WebTicket> {
    let good = cookie(d, web, person).await?;
    let endpoint = endpoint(web).await?;
    web.ticket(&good, &person.address, &endpoint).await
}

fn body(words: &str, ticket: &WebTicket) -> String {
    SearchRequest::anywhere(words, 50).to_xml("https://x.test", Uuid::nil(), ticket)
}

async fn find(web: &mut Web, words: &str, ticket: &WebTicket) -> Result<Vec<String>> {
    let answer = web.post(BEARER, &[SOAP], &body(words, ticket)).await?;
    let found = SearchResponse::parse(&answer.expect(200)?.body)?;
    Ok(found.entries.into_iter().map(|one| one.sip_uri).collect())
}

/// Zoë, who is there, and somebody who was.
fn people(d: &Deployment) -> Result<()> {
    let add = [
        "user",
        "add",
        ZOE,
        "--name",
        "Zoë Müller",
        "--title",
        "Head",
    ];
    d.server.must(&add)?;
    d.server
        .must(&["user", "add", GONE, "--name", "Gone Müller"])?;
    d.server.must(&["user", "disable", GONE])?;
    Ok(())
}

#[test]
fn nothing_is_told_without_a_ticket_for_this_very_service() {
    in_a_deployment(
        "address_book::nothing_is_told_without_a_ticket_for_this_very_service",
        async |d| {
            people(d)?;
            let alice = d.enrolled(ALICE).await?;
            let mut web = Web::connect(&d.net).await?;
            let good = ticket(d, &mut web, &alice).await?;
            let mueller = body("müller", &good);
            assert_eq!(
                find(&mut web, "muller", &good).await?,
                ["sip:zoe@contoso.test"]
            );

            let bare = mueller.replace(good.assertion(), "");
            let answer = web.post(BEARER, &[SOAP], &bare).await?;
            refuses("no ticket", &answer, 401, "28020")?;
            let twice = mueller.replace(good.assertion(), &good.assertion().repeat(2));
            let answer = web.post(BEARER, &[SOAP], &twice).await?;
            refuses("two tickets", &answer, 401, "28020")?;
            // Whether somebody exists makes no difference to who has no ticket.
            let nobody = bare.replace("müller", "nobody-of-this-name");
            let other = web.post(BEARER, &[SOAP], &nobody).await?;
            let first = web.post(BEARER, &[SOAP], &bare).await?;
            assert_eq!(other.body, first.body);

            let session = cookie(d, &mut web, &alice).await?;
            let provisioning = web.provisioning().await?;
            let elsewhere = web.ticket(&session, &alice.address, &provisioning).await?;
            let posed = mueller.replace(good.assertion(), elsewhere.assertion());
            let answer = web.post(BEARER, &[SOAP], &posed).await?;
            refuses("for another service", &answer, 401, "LY-1308")?;
            let sealed = super::tickets::longest_base64(good.assertion()).context("sealed")?;
            let middle = sealed.len() / 2;
            let bent = sealed[..middle].to_owned() + "AAAA" + &sealed[middle + 4..];
            let answer = web
                .post(BEARER, &[SOAP], &mueller.replace(&sealed, &bent))
                .await?;
            refuses("a bent one", &answer, 401, "LY-1308")?;

            // What a ticket stands on is asked at every use.
            d.server.must(&["user", "disable", ALICE])?;
            let answer = web.post(BEARER, &[SOAP], &mueller).await?;
            refuses("disabled", &answer, 403, "LY-1306")?;
            d.server.must(&["user", "enable", ALICE])?;
            assert_eq!(find(&mut web, "muller", &good).await?.len(), 1);
            d.server.must(&["card", "lost", ALICE])?;
            let answer = web.post(BEARER, &[SOAP], &mueller).await?;
            refuses("card lost", &answer, 403, "LY-1302")
        },
    );
}

#[test]
fn bombs_patterns_and_huge_questions_find_nothing() {
    in_a_deployment(
        "address_book::bombs_patterns_and_huge_questions_find_nothing",
        async |d| {
            people(d)?;
            let alice = d.enrolled(ALICE).await?;
            let mut web = Web::connect(&d.net).await?;
            let good = ticket(d, &mut web, &alice).await?;
            let mueller = body("müller", &good);

            let bomb =
                "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]>";
            let declared = mueller.replacen("?>", &format!("?>{bomb}"), 1);
            let answer = web.post(BEARER, &[SOAP], &declared).await?;
            refuses("entities", &answer, 401, "28020")?;
            let value = "<Value>müller</Value>";
            for (what, other) in [
                ("nested", "<a>".repeat(40) + &"</a>".repeat(40)),
                ("wide", "<a/>".repeat(5_000)),
            ] {
                let answer = web
                    .post(BEARER, &[SOAP], &mueller.replace(value, &other))
                    .await?;
                refuses(what, &answer, 401, "28020")?;
            }
            let long = format!("<Value>{}</Value>", "a".repeat(129));
            for (what, other) in [
                ("nothing", "<Value> </Value>"),
                ("no value", ""),
                ("two values", "<Value>a</Value><Value>b</Value>"),
                ("a long one", long.as_str()),
            ] {
                let answer = web
                    .post(BEARER, &[SOAP], &mueller.replace(value, other))
                    .await?;
                refuses(what, &answer, 400, "28903")?;
            }
            let huge = mueller.replace(value, &format!("<Value>{}</Value>", "a".repeat(300_000)));
            let mut own = Web::connect(&d.net).await?;
            // The refusal comes before the body: whoever goes on sending may find the door shut.
            if let Ok(answer) = own.post(BEARER, &[SOAP], &huge).await {
                assert_eq!(answer.status, 413);
            }
            assert_eq!(find(&mut web, "zoe", &good).await?.len(), 1);

            for pattern in [
                "%",
                "_",
                "zo_",
                "z%",
                "*",
                "z*e",
                ".*",
                "' OR '1'='1",
                "\\",
                "zoe' --",
                "(sn=*)",
                "ue",
                "contoso.test",
                "gone",
                GONE,
            ] {
                let found = find(&mut web, pattern, &good).await;
                let none = found.as_ref().map_or(true, Vec::is_empty);
                assert!(none, "{pattern} finds {found:?}");
            }
            // More than there may be is not more than there may be.
            let many = mueller.replace(">50<", ">1000000<");
            web.post(BEARER, &[SOAP], &many).await?.expect(200)?;
            let mut csv = String::from("address,name\n");
            for n in 0..=RESULTS_MAX {
                csv.push_str(&format!("crowd{n}@contoso.test,Crowd Member {n}\n"));
            }
            let file = d.folder.join("crowd.csv");
            std::fs::write(&file, csv)?;
            d.server
                .must(&["user", "import", &file.display().to_string()])?;
            let crowd = body("crowd", &good).replace(">50<", ">1000000<");
            let answer = web.post(BEARER, &[SOAP], &crowd).await?.expect(200)?;
            let found = SearchResponse::parse(&answer.body)?;
            assert_eq!((found.entries.len(), found.more), (RESULTS_MAX, true));
            Ok(())
        },
    );
}

/// Asks the ticket port of the card listener, showing this certificate.
async fn certificate_port(
    d: &Deployment,
    shown: &Credential,
    applies_to: &str,
    claimed: Option<&str>,
) -> Result<Answer> {
    let mut web = Web::connect(&d.net).await?;
    let mex = web.get("/WebTicket/WebTicketService.svc/mex").await?;
    let port = WebTicketMex::parse(&mex.expect(200)?.body)?.certificate;
    let port = port.context("the port is not listed")?;
    let path = port.splitn(4, '/').nth(3).context("path")?;
    let wanted = TicketRequest {
        context: None,
        applies_to: applies_to.to_owned(),
        claimed_address: claimed.map(Address::parse).transpose()?,
        entropy: None,
    };
    let headers = [SOAP, ("SOAPAction", names::ACTION_ISSUE)];
    let mut stream = d.net.connect_with(d.net.ports.card, shown).await?;
    let path = format!("/{path}");
    exchange(&mut stream, "POST", &path, &headers, &wanted.to_xml()).await
}

#[test]
fn a_chat_certificate_earns_tickets_for_the_address_book_alone() {
    in_a_deployment(
        "address_book::a_chat_certificate_earns_tickets_for_the_address_book_alone",
        async |d| {
            people(d)?;
            let alice = d.enrolled(ALICE).await?;
            let chat = alice.chat_certificate(&d.net).await?;
            let mut web = Web::connect(&d.net).await?;
            let book = endpoint(&mut web).await?;
            let provisioning = web.provisioning().await?;
            let answer = certificate_port(d, &chat, &book, Some(ALICE))
                .await?
                .expect(200)?;
            let good = WebTicket::from_response(&answer.body, None)?;
            assert_eq!(find(&mut web, "zoe", &good).await?.len(), 1);

            // A stolen chat certificate makes no other chat certificate.
            let answer = certificate_port(d, &chat, &provisioning, None).await?;
            refuses("for provisioning", &answer, 400, "28903")?;
            let answer = certificate_port(d, &chat, &book, Some(BOB)).await?;
            refuses("for Bob", &answer, 403, "LY-1307")?;
            // The card itself goes the passive way, where all is asked of it.
            let answer = certificate_port(d, alice.credential(), &book, None).await?;
            refuses("a card", &answer, 403, "LY-1304")?;
            // A certificate that says the same but is not the one that was issued has no key of its own;
            // the handshake itself fails.
            let stolen = Credential {
                chain: chat.chain.clone(),
                key: SoftwareKey::generate()?,
            };
            assert!(certificate_port(d, &stolen, &book, None).await.is_err());

            d.server.must(&["card", "lost", ALICE])?;
            let answer = certificate_port(d, &chat, &book, None).await?;
            refuses("card lost", &answer, 403, "LY-1302")?;
            let answer = web.post(BEARER, &[SOAP], &body("zoe", &good)).await?;
            refuses("its ticket", &answer, 403, "LY-1302")
        },
    );
}

#[test]
fn photos_are_for_tickets_and_names_of_files_lead_nowhere() {
    in_a_deployment(
        "address_book::photos_are_for_tickets_and_names_of_files_lead_nowhere",
        async |d| {
            people(d)?;
            let picture = lanyard_tests::picture::jpeg(&d.folder, 640, 480)?;
            let picture = picture.display().to_string();
            let set = ["user", "set", ZOE, "--photo", &picture];
            let view = d.server.json(&set)?;
            let hash = view["photo"].as_str().or(view["user"]["photo"].as_str());
            let hash = hash.with_context(|| format!("no hash: {view}"))?.to_owned();
            let alice = d.enrolled(ALICE).await?;
            let mut web = Web::connect(&d.net).await?;
            let good = ticket(d, &mut web, &alice).await?;
            let shown = lanyard_soap::autodiscover::web_ticket_header(good.assertion());
            let path = format!("/abs/handler/photos/{hash}.jpg");
            let get = async |path: &str, headers: &[(&str, &str)]| {
                let mut web = Web::connect(&d.net).await?;
                exchange(web.stream(), "GET", path, headers, "").await
            };
            let with = [("X-MS-WebTicket", shown.as_str())];
            let answer = get(&path, &with).await?.expect(200)?;
            assert_eq!(answer.header("content-type"), Some("image/jpeg"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert!(
                answer
                    .header("cache-control")
                    .is_some_and(|v| v.contains("private"))
            );

            refuses("no ticket", &get(&path, &[]).await?, 401, "LY-1308")?;
            let session = cookie(d, &mut web, &alice).await?;
            let provisioning = web.provisioning().await?;
            let other = web.ticket(&session, &alice.address, &provisioning).await?;
            let other = lanyard_soap::autodiscover::web_ticket_header(other.assertion());
            let answer = get(&path, &[("X-MS-WebTicket", &other)]).await?;
            refuses("for another service", &answer, 401, "LY-1308")?;
            let answer = get(&path, &[("Cookie", &session)]).await?;
            refuses("a cookie", &answer, 401, "LY-1308")?;
            for name in [
                "..%2f..%2fserver.toml",
                "%2e%2e%2fca%2froot.pem",
                &format!("{}.jpg", "0".repeat(64)),
                &format!("{}.png", hash),
                &format!("{}.jpg", hash.to_uppercase()),
                "'%20OR%201=1--.jpg",
            ] {
                let answer = get(&format!("/abs/handler/photos/{name}"), &with).await?;
                assert_eq!(answer.status, 404, "{name}");
            }
            // With the person goes the picture.
            d.server.must(&["user", "disable", ZOE])?;
            assert_eq!(get(&path, &with).await?.status, 404);
            d.server.must(&["user", "enable", ZOE])?;
            get(&path, &with).await?.expect(200)?;
            d.server.must(&["user", "set", ZOE, "--no-photo"])?;
            assert_eq!(get(&path, &with).await?.status, 404);
            Ok(())
        },
    );
}

#[test]
fn hostile_pictures_are_refused_and_change_nothing() {
    in_a_deployment(
        "address_book::hostile_pictures_are_refused_and_change_nothing",
        async |d| {
            people(d)?;
            let good = std::fs::read(lanyard_tests::picture::jpeg(&d.folder, 320, 320)?)?;
            let mut enormous = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
            enormous.extend([0, 1, 0, 0, 0, 1, 0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0]);
            let mut cut = good.clone();
            cut.truncate(good.len() / 8);
            for (what, bytes) in [
                ("a page", b"<html><script>alert(1)</script></html>".to_vec()),
                (
                    "a drawing",
                    b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
                ),
                ("a program", b"\x7fELF\x02\x01\x01".to_vec()),
                ("nothing", Vec::new()),
                ("an enormous one", enormous),
                ("a part", cut),
                ("a large file", vec![0xFF; 9 * 1024 * 1024]),
            ] {
                let file = d.folder.join("hostile.jpg");
                std::fs::write(&file, bytes)?;
                let file = file.display().to_string();
                let output = d.server.verb(&["user", "set", ZOE, "--photo", &file])?;
                let words = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    !output.status.success() && words.contains("LY-1660"),
                    "{what}: {words}"
                );
            }
            let zoe: Value = d.server.json(&["user", "show", ZOE])?;
            assert!(!zoe.to_string().contains("\"photo\":\""), "{zoe}");
            d.server.must(&["audit", "verify"])?;
            Ok(())
        },
    );
}

#[test]
fn who_asks_without_end_waits_and_nobody_else_does() {
    in_a_deployment(
        "address_book::who_asks_without_end_waits_and_nobody_else_does",
        async |d| {
            people(d)?;
            let alice = d.enrolled(ALICE).await?;
            let bob = d.enrolled(BOB).await?;
            let mut web = Web::connect(&d.net).await?;
            let alices = ticket(d, &mut web, &alice).await?;
            let bobs = ticket(d, &mut web, &bob).await?;
            let question = body("zoe", &alices);
            let mut refused = None;
            for _ in 0..5_000 {
                let answer = web.post(BEARER, &[SOAP], &question).await?;
                if answer.status != 200 {
                    refused = Some(answer);
                    break;
                }
            }
            let refused = refused.context("never refused")?;
            refuses("too often", &refused, 429, "LY-1662")?;
            let wait: u64 = refused.header("retry-after").context("how long")?.parse()?;
            assert!(wait >= 1);
            assert_eq!(find(&mut web, "zoe", &bobs).await?.len(), 1);
            tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
            assert_eq!(find(&mut web, "zoe", &alices).await?.len(), 1);
            Ok(())
        },
    );
}
