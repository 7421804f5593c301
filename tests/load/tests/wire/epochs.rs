// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passwords that were changed, taken away or forbidden while a ticket or a certificate was on its way;
//! and names in every form.

use crate::passwords::{
    ask, basic, chat_certificate, erin, must_say, person, show, ticket, try_password,
};
use anyhow::{Result, bail};
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_soap::certprov::CertResponse;
use lanyard_tests::passwords::{PASSWORD_GROUP, set_password};

const ERIN: &str = "erin@contoso.test";
const PASSWORD: &str = "erin has a long password";
const TODAY: &str = "a password of today";

/// Two tickets of one password: a proof of one counts once in a second.
async fn tickets(d: &Deployment) -> Result<[lanyard_soap::trust::WebTicket; 2]> {
    Ok([
        ticket(d, ERIN, PASSWORD).await?,
        ticket(d, ERIN, PASSWORD).await?,
    ])
}

/// Whether a ticket of the past still buys a certificate.
async fn must_buy_nothing(
    d: &Deployment,
    what: &str,
    ticket: &lanyard_soap::trust::WebTicket,
) -> Result<()> {
    let (answer, _) = show(d, ERIN, ticket).await?;
    let words = format!(
        "{} {}",
        answer.header("x-ms-diagnostics").unwrap_or_default(),
        answer.body
    );
    let bought = CertResponse::parse(&answer.body).is_ok();
    if bought || answer.status != 403 || !words.contains("LY-13") {
        bail!("{what}: {} {words}", answer.status);
    }
    Ok(())
}

#[test]
fn a_ticket_of_an_old_password_buys_nothing() {
    let name = "epochs::a_ticket_of_an_old_password_buys_nothing";
    in_a_deployment(name, async |d| {
        erin(d)?;
        // Changed; and set again to what it was.
        let old = tickets(d).await?;
        set_password(&d.server, ERIN, TODAY)?;
        must_buy_nothing(d, "changed", &old[0]).await?;
        set_password(&d.server, ERIN, PASSWORD)?;
        must_buy_nothing(d, "the same again", &old[1]).await?;
        // Taken away.
        let old = tickets(d).await?;
        let chat = chat_certificate(d, ERIN, PASSWORD).await?;
        let erin = person(ERIN)?;
        let _session = d.session_with(&erin, &chat).await?;
        d.server.must(&["user", "remove-password", ERIN])?;
        must_buy_nothing(d, "taken away", &old[0]).await?;
        let list = d.server.json(&["session", "list"])?;
        assert_eq!(list.as_array().map(Vec::len), Some(0), "{list}");
        let refused = d.session_with(&erin, &chat).await.err();
        assert!(refused.is_some(), "the certificate still serves");
        let answer = try_password(d, ERIN, PASSWORD).await?;
        must_say("without a password", &answer, 401, &["28020", "LY-1312"])?;
        // Given again: only what is earned now counts.
        set_password(&d.server, ERIN, PASSWORD)?;
        must_buy_nothing(d, "given again", &old[1]).await?;
        chat_certificate(d, ERIN, PASSWORD).await.map(|_| ())
    });
}

#[test]
fn what_a_password_has_earned_does_not_come_back_with_the_permission() {
    let name = "epochs::what_a_password_has_earned_does_not_come_back_with_the_permission";
    in_a_deployment(name, async |d| {
        erin(d)?;
        let policy = |allowed: &str| {
            let all = [
                "policy",
                "set",
                "--group",
                PASSWORD_GROUP,
                "--password-allowed",
                allowed,
            ];
            d.server.must(&all)
        };
        let (old, chat) = (
            tickets(d).await?,
            chat_certificate(d, ERIN, PASSWORD).await?,
        );
        policy("no")?;
        must_buy_nothing(d, "forbidden", &old[0]).await?;
        policy("yes")?;
        must_buy_nothing(d, "allowed again", &old[1]).await?;
        let mut erin = person(ERIN)?;
        let refused = d.session_with(&erin, &chat).await.err();
        assert!(refused.is_some(), "the old certificate is back");

        // The same when the person leaves the group that may, and comes back.
        let old = ticket(d, ERIN, PASSWORD).await?;
        let chat = chat_certificate(d, ERIN, PASSWORD).await?;
        d.server
            .must(&["group", "remove-member", PASSWORD_GROUP, ERIN])?;
        d.server
            .must(&["group", "add-member", PASSWORD_GROUP, ERIN])?;
        must_buy_nothing(d, "in the group again", &old).await?;
        erin = person(ERIN)?;
        let refused = d.session_with(&erin, &chat).await.err();
        assert!(refused.is_some(), "the certificate of before is back");
        let chat = chat_certificate(d, ERIN, PASSWORD).await?;
        d.session_with(&erin, &chat).await.map(|_| ())
    });
}

#[test]
fn every_form_of_a_name_is_the_same_name() {
    let name = "epochs::every_form_of_a_name_is_the_same_name";
    in_a_deployment(name, async |d| {
        erin(d)?;
        let forms = [
            "CONTOSO\\erin",
            "contoso.test\\ERIN",
            "Erin@Contoso.TEST",
            ERIN,
        ];
        for form in forms {
            let right = basic(form, PASSWORD);
            ask(d, Some(ERIN), Some(&right)).await?.0.expect(200)?;
        }
        // Known, unknown, of another domain, and no form at all: the same words.
        let mut bodies = Vec::new();
        for (number, again) in forms.into_iter().enumerate() {
            let unknown = format!("CONTOSO\\nobody{number}");
            let elsewhere = format!("ELSEWHERE\\erin{number}");
            let strange = format!("\\{number}\\\\x@y\\");
            let bare = format!("erin{number}");
            for form in ["CONTOSO\\erin", &unknown, &elsewhere, &strange, &bare] {
                let wrong = basic(form, "not the password");
                let (answer, _) = ask(d, None, Some(&wrong)).await?;
                must_say(form, &answer, 401, &["28020", "LY-1312"])?;
                bodies.push(answer.body);
            }
            // Tries count together, in whatever form: the right password clears them.
            let right = basic(again, PASSWORD);
            ask(d, Some(ERIN), Some(&right)).await?.0.expect(200)?;
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        for form in [
            "CONTOSO\\erin",
            ERIN,
            "contoso.test\\erin",
            "ERIN@contoso.test",
        ] {
            let (answer, _) = ask(d, None, Some(&basic(form, "a guess"))).await?;
            must_say(form, &answer, 401, &["LY-1312"])?;
        }
        let (answer, _) = ask(d, None, Some(&basic("Contoso\\Erin", PASSWORD))).await?;
        must_say("the fifth", &answer, 403, &["LY-1406"])
    });
}
