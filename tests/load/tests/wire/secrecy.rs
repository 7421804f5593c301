// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's log at its most talkative, and its files, against the very tickets and keys that
//! went over the wire.

use crate::roster::{change, group, list};
use crate::tickets::{between, longest_base64};
use anyhow::{Context, Result, bail};
use lanyard_load::card::{Applicant, Credential};
use lanyard_load::deployment::in_a_deployment;
use lanyard_load::web::Web;
use lanyard_soap::passive::AutoPostForm;
use lanyard_soap::trust::{Entropy, TicketRequest};
use lanyard_tests::secrets::{Secret, files, must_be_nowhere};
use std::ops::Range;

/// Where the private number of a P-256 key stands in its PKCS#8 form.
const SCALAR: Range<usize> = 36..68;

fn key(name: &str, credential: &Credential) -> Result<Secret> {
    let der = credential.key.to_pkcs8_der();
    Ok(Secret::new(name, der.get(SCALAR).context("a short key")?))
}

#[test]
fn no_ticket_and_no_key_of_a_sign_in_is_written_down() {
    let name = "secrecy::no_ticket_and_no_key_of_a_sign_in_is_written_down";
    in_a_deployment(name, async |d| {
        d.server.stop()?;
        d.server.log_level("trace");
        d.server.start()?;
        d.server.must(&["user", "add", "alice@contoso.test"])?;
        let code = d.server.enrol_code("alice@contoso.test")?;
        let applicant = Applicant::new("alice@contoso.test")?;
        let mut web = Web::connect(&d.net).await?;
        // A code that is not good is no less somebody's secret.
        let wrong = "WXYZ-2345-WXYZ-2345";
        applicant.ask(web.stream(), wrong).await?.expect(403)?;
        let answer = applicant.ask(web.stream(), &code).await?;
        let alice = applicant.enrolled(answer)?;

        let path = web.federation_path(alice.address.as_str()).await?;
        let page = alice.show_card(&d.net, "GET", &path).await?.expect(200)?;
        let wresult = AutoPostForm::parse(&page.body)?.response.wresult;
        let cookie = web.cookie(&page).await?;
        let endpoint = web.provisioning().await?;
        let entropy = Entropy::random()?;
        let wanted = TicketRequest {
            context: None,
            applies_to: endpoint,
            claimed_address: Some(alice.address.clone()),
            entropy: Some(entropy),
        };
        let asked = between(&wanted.to_xml(), "BinarySecret", "<")?;
        let ticket = web.ask_ticket(&cookie, &wanted).await?.expect(200)?.body;
        let told = between(&ticket, "BinarySecret", "<")?;
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let grant = "grant_type=urn:microsoft.rtc:passive";
        let oauth = web
            .post("/WebTicket/oauthtoken", &[form, ("Cookie", &cookie)], grant)
            .await?
            .expect(200)?;
        let chat = alice.chat_certificate(&d.net).await?;
        let mut session = d.session_with(&alice, &chat).await?;
        let delta = list(&mut session).await?.delta;
        let group = change(&mut session, delta, group("a group"));
        session.ask(group).await?;
        drop(session);

        let text = |name: &str, text: Option<String>| -> Result<Secret> {
            let text = text.with_context(|| format!("nothing to search for: {name}"))?;
            Ok(Secret::new(name, text.as_bytes()))
        };
        let secrets = [
            Secret::new("the one-time code", code.as_bytes()),
            Secret::new("a wrong one-time code", wrong.as_bytes()),
            text("the token", longest_base64(&wresult))?,
            text(
                "the cookie",
                longest_base64(cookie.trim_start_matches("RPSAuth=")),
            )?,
            text("the ticket", longest_base64(&ticket))?,
            text("the OAuth ticket", longest_base64(&oauth.body))?,
            text("the client's entropy", after_tag(&asked))?,
            text("the server's entropy", after_tag(&told))?,
            key("the card's key", alice.credential())?,
            key("the chat key", &chat)?,
        ];
        let log = std::fs::read_to_string(d.server.log_file())?;
        if !log.contains(" TRACE ") {
            bail!("the log is not as talkative as was asked for");
        }
        let keys = [d.server.data.join("ca"), d.server.data.join("tls")];
        must_be_nowhere(&secrets, &files(&d.folder, &keys)?)?;
        // The server's own keys are in those two folders and nowhere else.
        let mut own = vec![Secret::word("PRIVATE KEY")];
        for file in keys.iter().flat_map(|folder| files(folder, &[])).flatten() {
            let Ok(pem) = std::fs::read_to_string(&file) else {
                continue;
            };
            if let Ok(key) = lanyard_x509::SoftwareKey::from_pkcs8_pem(&pem) {
                let der = key.to_pkcs8_der();
                own.push(Secret::new("a key of the server", &der[SCALAR]));
            }
        }
        if own.len() != 4 {
            bail!("not the three keys of a server: {}", own.len() - 1);
        }
        must_be_nowhere(&own, &files(&d.folder, &keys)?)
    });
}

/// The base64 text after the end of a tag.
fn after_tag(text: &str) -> Option<String> {
    text.rsplit_once('>').map(|(_, secret)| secret.to_owned())
}
