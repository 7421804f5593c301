// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards before and after their time: the server runs in another year.

use crate::cards::{must_be_refused, must_come_in};
use anyhow::Result;
use lanyard_load::card::Applicant;
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::Net;
use lanyard_tests::process::{at_another_time, program};
use std::path::Path;
use std::time::Duration;

/// A day longer than a card lives, and shorter than the listeners' certificate.
const LATER: Duration = Duration::from_secs(366 * 24 * 3600);

/// Restarts the server with its clock ahead; the client comes along.
pub fn restart(d: &mut Deployment, ahead: Duration) -> Result<()> {
    d.server.stop()?;
    if ahead.is_zero() {
        d.server.start()?;
    } else {
        let server = program("lanyard-server").display().to_string();
        let time = at_another_time(i64::try_from(ahead.as_secs())?);
        let words: Vec<&str> = time.iter().map(String::as_str).chain([&*server]).collect();
        d.server.start_as(Path::new("env"), &words)?;
    }
    d.net = Net::ahead_by(&d.server, ahead)?;
    Ok(())
}

#[test]
fn a_card_is_refused_before_and_after_its_time_with_the_reason() {
    let name = "clocks::a_card_is_refused_before_and_after_its_time_with_the_reason";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled("alice@contoso.test").await?;
        let chat = alice.chat_certificate(&d.net).await?;
        must_come_in(d, &alice).await?;
        restart(d, LATER)?;
        must_be_refused(d, &alice, "LY-1211").await?;
        let refused = d.session_with(&alice, &chat).await;
        anyhow::ensure!(
            refused.is_err(),
            "a chat certificate of last year was taken"
        );
        // A card of that year is good there, and not yet today.
        let bob = d.enrolled("bob@contoso.test").await?;
        must_come_in(d, &bob).await?;
        d.session(&bob).await?;
        d.server.must(&["audit", "verify"])?;
        restart(d, Duration::ZERO)?;
        must_be_refused(d, &bob, "LY-1212").await?;
        must_come_in(d, &alice).await?;
        // Her card can be replaced, and signs in.
        d.enrolled_as(Applicant::new("alice@contoso.test")?).await?;
        d.session(&alice).await?;
        Ok(())
    });
}
