// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens, cookies and tickets in wrong hands, at wrong places, twice, and too late.

use anyhow::{Context, Result, bail};
use lanyard_load::card::{Person, request};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::Answer;
use lanyard_load::web::Web;
use lanyard_soap::Address;
use lanyard_soap::certprov::{CertResponse, GetAndPublishCert, ProofTimestamp};
use lanyard_soap::passive::AutoPostForm;
use lanyard_soap::trust::{Entropy, TicketRequest, WebTicket};
use lanyard_x509::SoftwareKey;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";

/// The page that a card earns at the federation endpoint.
async fn page(d: &Deployment, web: &mut Web, person: &Person) -> Result<Answer> {
    let path = web.federation_path(person.address.as_str()).await?;
    person.show_card(&d.net, "GET", &path).await?.expect(200)
}

async fn cookie(d: &Deployment, web: &mut Web, person: &Person) -> Result<String> {
    let page = page(d, web, person).await?;
    web.cookie(&page).await
}

/// Fails unless this status came with this code or number in words, and nothing was earned.
fn says(what: &str, answer: &Answer, status: u16, code: &str) -> Result<()> {
    let header = answer.header("x-ms-diagnostics").unwrap_or_default();
    let told = header.contains(code) || answer.body.contains(code);
    let earned = answer.header("set-cookie").is_some()
        || answer.body.contains("saml:Assertion ")
        || CertResponse::parse(&answer.body).is_ok();
    if answer.status != status || !told || earned {
        bail!(
            "{what}: not {status} {code}: {} {header} {}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}

#[test]
fn a_passive_token_serves_once_and_only_as_it_was_written() {
    in_a_deployment(
        "tickets::a_passive_token_serves_once_and_only_as_it_was_written",
        async |d| {
            let alice = d.enrolled(ALICE).await?;
            let mut web = Web::connect(&d.net).await?;
            let mut bent = page(d, &mut web, &alice).await?;
            let form = AutoPostForm::parse(&bent.body)?;
            // Somebody else's name in it, and one letter of what is sealed.
            for (from, to) in [("alice@", "bobby@"), ("Sealed", "sealeD")] {
                if form.response.wresult.contains(from) {
                    let mut other = form.response.clone();
                    other.wresult = other.wresult.replace(from, to);
                    let posted = other.to_form_body();
                    let answer = web
                        .post("/PassiveAuth/PassiveAuth.aspx", &[FORM], &posted)
                        .await?;
                    says(from, &answer, 403, "LY-1308")?;
                }
            }
            let sealed = longest_base64(&form.response.wresult).context("nothing is sealed")?;
            bent.body = bent.body.replace(&sealed, &flipped(&sealed));
            says("bent", &web.post_form(&bent).await?, 403, "LY-1308")?;
            let page = page(d, &mut web, &alice).await?;
            web.post_form(&page).await?.expect(200)?;
            says("twice", &web.post_form(&page).await?, 403, "LY-1308")?;
            let mut elsewhere = Web::connect(&d.net).await?;
            says(
                "elsewhere",
                &elsewhere.post_form(&page).await?,
                403,
                "LY-1308",
            )?;
            Ok(())
        },
    );
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The longest row of base64 letters: what is sealed.
pub fn longest_base64(text: &str) -> Option<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=_-".contains(c)))
        .max_by_key(|row| row.len())
        .filter(|row| row.len() > 64)
        .map(str::to_owned)
}

/// One letter in the middle is another one.
fn flipped(row: &str) -> String {
    let middle = row.len() / 2;
    let other = if row.as_bytes().get(middle) == Some(&b'A') {
        "B"
    } else {
        "A"
    };
    let mut text = row.to_owned();
    text.replace_range(middle..=middle, other);
    text
}

#[test]
fn a_cookie_earns_tickets_for_its_own_person_and_for_our_services_only() {
    in_a_deployment(
        "tickets::a_cookie_earns_tickets_for_its_own_person_and_for_our_services_only",
        async |d| {
            let alice = d.enrolled(ALICE).await?;
            let mut web = Web::connect(&d.net).await?;
            let good = cookie(d, &mut web, &alice).await?;
            let endpoint = web.provisioning().await?;
            let wanted = |service: &str, address: &str| -> Result<TicketRequest> {
                Ok(TicketRequest {
                    context: None,
                    applies_to: service.into(),
                    claimed_address: Some(Address::parse(address)?),
                    entropy: Some(Entropy::random()?),
                })
            };
            let own = wanted(&endpoint, ALICE)?;
            let sealed = good.trim_start_matches("RPSAuth=").to_owned();
            for (what, bad) in [
                ("no cookie", String::new()),
                ("another cookie", "Other=1".into()),
                ("an empty one", "RPSAuth=".into()),
                ("a bent one", format!("RPSAuth={}", flipped(&sealed))),
                (
                    "half of it",
                    format!("RPSAuth={}", &sealed[..sealed.len() / 2]),
                ),
            ] {
                says(what, &web.ask_ticket(&bad, &own).await?, 401, "28020")?;
            }
            let ticket = web.ticket(&good, &alice.address, &endpoint).await?;
            let as_cookie = longest_base64(ticket.assertion()).context("nothing is sealed")?;
            let as_cookie = format!("RPSAuth={as_cookie}");
            says(
                "a ticket",
                &web.ask_ticket(&as_cookie, &own).await?,
                401,
                "28020",
            )?;
            let bobs = wanted(&endpoint, BOB)?;
            says(
                "for Bob",
                &web.ask_ticket(&good, &bobs).await?,
                403,
                "LY-1307",
            )?;
            let foreign = wanted("https://elsewhere.test/CertProv", ALICE)?;
            says(
                "for elsewhere",
                &web.ask_ticket(&good, &foreign).await?,
                400,
                "28903",
            )?;
            // The card behind a cookie is looked at again whenever it is used.
            d.server.must(&["user", "disable", ALICE])?;
            says(
                "disabled",
                &web.ask_ticket(&good, &own).await?,
                403,
                "LY-1306",
            )?;
            d.server.must(&["user", "enable", ALICE])?;
            web.ask_ticket(&good, &own).await?.expect(200)?;
            d.server.must(&["card", "lost", ALICE])?;
            says("lost", &web.ask_ticket(&good, &own).await?, 403, "LY-1302")
        },
    );
}

/// A request for a chat certificate, before it is bent.
struct Wish<'a> {
    endpoint: &'a str,
    ticket: &'a WebTicket,
    entity: Address,
    time: OffsetDateTime,
}

impl<'a> Wish<'a> {
    fn of(person: &Person, endpoint: &'a str, ticket: &'a WebTicket) -> Self {
        Self {
            endpoint,
            ticket,
            entity: person.address.clone(),
            time: OffsetDateTime::now_utc(),
        }
    }

    fn to_xml(&self) -> Result<String> {
        let key = SoftwareKey::generate()?;
        let wanted = GetAndPublishCert {
            device_id: Uuid::new_v4(),
            entity: self.entity.clone(),
            csr_der: request(self.entity.as_str(), &key)?,
        };
        let timestamp = ProofTimestamp::fresh(self.time);
        Ok(wanted.to_xml(self.endpoint, Uuid::new_v4(), self.ticket, &timestamp)?)
    }
}

/// Chat certificates that the server has issued, by its own count.
fn issued(d: &Deployment) -> Result<usize> {
    let trail = d.server.json(&["audit", "show", "--limit", "1000"])?;
    Ok(trail.to_string().matches("ChatUser").count())
}

#[test]
fn a_ticket_earns_a_certificate_once_for_its_person_with_its_key_now_and_here() {
    in_a_deployment(
        "tickets::a_ticket_earns_a_certificate_once_for_its_person_with_its_key_now_and_here",
        async |d| {
            let alice = d.enrolled(ALICE).await?;
            let bob = d.enrolled(BOB).await?;
            let mut web = Web::connect(&d.net).await?;
            let good = cookie(d, &mut web, &alice).await?;
            let endpoint = web.provisioning().await?;
            let ticket = web.ticket(&good, &alice.address, &endpoint).await?;
            let before = issued(d)?;

            let user = endpoint
                .split("/CertProv")
                .next()
                .unwrap_or_default()
                .to_owned()
                + "/autodiscover/autodiscoverservice.svc/root/user";
            let elsewhere = web.ticket(&good, &alice.address, &user).await?;
            let body = Wish::of(&alice, &endpoint, &elsewhere).to_xml()?;
            says(
                "another service",
                &web.publish(&body).await?,
                401,
                "LY-1308",
            )?;

            let body = Wish {
                entity: bob.address.clone(),
                ..Wish::of(&alice, &endpoint, &ticket)
            };
            says(
                "for Bob",
                &web.publish(&body.to_xml()?).await?,
                403,
                "LY-1307",
            )?;

            for hours in [-1, 1] {
                let time = OffsetDateTime::now_utc() + Duration::hours(hours);
                let body = Wish {
                    time,
                    ..Wish::of(&alice, &endpoint, &ticket)
                }
                .to_xml()?;
                says("one hour off", &web.publish(&body).await?, 401, "LY-1104")?;
            }

            let body = Wish::of(&alice, &endpoint, &ticket).to_xml()?;
            let value = between(&body, "<SignatureValue>", "</SignatureValue>")?;
            let bent = body.replace(&value, &flipped(&value));
            says("a wrong proof", &web.publish(&bent).await?, 401, "28902")?;
            let bobs = cookie(d, &mut web, &bob).await?;
            let bobs = web.ticket(&bobs, &bob.address, &endpoint).await?;
            let stolen = body.replace(ticket.assertion(), bobs.assertion());
            says(
                "another's ticket",
                &web.publish(&stolen).await?,
                401,
                "28902",
            )?;
            let bent = body.replace(
                &longest_base64(ticket.assertion()).context("sealed")?,
                &flipped(&longest_base64(ticket.assertion()).context("sealed")?),
            );
            says("a bent ticket", &web.publish(&bent).await?, 401, "LY-1308")?;
            let (start, end) = (body.find("<Signature "), body.find("</Signature>"));
            let (start, end) = (start.context("proof")?, end.context("proof")?);
            let bare = format!("{}{}", &body[..start], &body[end + "</Signature>".len()..]);
            says("no proof", &web.publish(&bare).await?, 401, "28902")?;
            let none = body.replace(ticket.assertion(), "");
            says("no ticket", &web.publish(&none).await?, 400, "28903")?;

            // A passive token is no web ticket, though both are assertions of ours.
            let token = AutoPostForm::parse(&page(d, &mut web, &alice).await?.body)?;
            let token = lanyard_soap::passive::assertion_of_wresult(&token.response.wresult)?;
            let posed = body.replace(ticket.assertion(), &token);
            says("a token", &web.publish(&posed).await?, 401, "LY-1308")?;

            if issued(d)? != before {
                bail!("one of them earned a certificate");
            }
            web.publish(&body).await?.expect(200)?;
            says("the same again", &web.publish(&body).await?, 401, "28902")?;
            // The same proof, around another key.
            let other = Wish::of(&alice, &endpoint, &ticket).to_xml()?;
            let key = |body: &str| between(body, "PKCS10", "</wsse:BinarySecurityToken>");
            let swapped = body.replace(&key(&body)?, &key(&other)?);
            says(
                "with another key",
                &web.publish(&swapped).await?,
                401,
                "28902",
            )?;
            if issued(d)? != before + 1 {
                bail!("not exactly one certificate came of it");
            }
            // Another moment makes another proof: the same ticket earns again.
            let time = OffsetDateTime::now_utc() + Duration::seconds(2);
            let later = Wish {
                time,
                ..Wish::of(&alice, &endpoint, &ticket)
            }
            .to_xml()?;
            web.publish(&later).await?.expect(200)?;
            d.server.must(&["audit", "verify"])?;
            Ok(())
        },
    );
}

#[test]
fn tickets_end_with_the_card_that_earned_them_and_with_the_run_of_the_server() {
    in_a_deployment(
        "tickets::tickets_end_with_the_card_that_earned_them_and_with_the_run_of_the_server",
        async |d| {
            let alice = d.enrolled(ALICE).await?;
            let bob = d.enrolled(BOB).await?;
            let mut web = Web::connect(&d.net).await?;
            let endpoint = web.provisioning().await?;
            let good = cookie(d, &mut web, &alice).await?;
            let alices = web.ticket(&good, &alice.address, &endpoint).await?;
            let page_of_alice = page(d, &mut web, &alice).await?;
            d.server.must(&["card", "lost", ALICE])?;
            let body = Wish::of(&alice, &endpoint, &alices).to_xml()?;
            says("lost", &web.publish(&body).await?, 403, "LY-1302")?;
            says(
                "lost",
                &web.post_form(&page_of_alice).await?,
                403,
                "LY-1302",
            )?;

            let good = cookie(d, &mut web, &bob).await?;
            let bobs = web.ticket(&good, &bob.address, &endpoint).await?;
            let body = Wish::of(&bob, &endpoint, &bobs).to_xml()?;
            d.server.stop()?;
            d.server.start()?;
            let mut web = Web::connect(&d.net).await?;
            says(
                "of an earlier run",
                &web.publish(&body).await?,
                401,
                "LY-1308",
            )?;
            bob.chat_certificate(&d.net).await?;
            Ok(())
        },
    );
}

pub fn between(text: &str, start: &str, end: &str) -> Result<String> {
    let (_, rest) = text.split_once(start).context("beginning")?;
    let (found, _) = rest.split_once(end).context("end")?;
    Ok(found.to_owned())
}
