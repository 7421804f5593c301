// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client that nobody here wrote: pidgin-sipe against the real server.

use anyhow::Result;
use lanyard_tests::sipe::{Sipe, add_password_user, in_a_sipe_world};

const ERIN: &str = "erin@contoso.test";
const ERIN_PASSWORD: &str = "erin has a long password";

#[test]
fn sipe_signs_in() {
    in_a_sipe_world("sipe_signs_in", |world| {
        add_password_user(world, ERIN, "Erin Example", ERIN_PASSWORD)?;
        let erin = Sipe::sign_in(world, ERIN, ERIN_PASSWORD)?;
        assert_eq!(world.sessions()?, [ERIN]);
        std::fs::copy(&erin.log, "/tmp/lanyard/sipe/erin.log")?;
        erin.sign_off()?;
        Ok(())
    });
}

#[allow(dead_code)]
fn unused() -> Result<()> {
    Ok(())
}
