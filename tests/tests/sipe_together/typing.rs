// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typing is seen by the other side.

use super::{ALICE, ALICE_PIN, ERIN, erin, ours};
use lanyard_tests::sipe::{EVENT_LIMIT, in_a_sipe_world};
use lanyard_tests::terminal::Terminal;
use serde_json::Value;

#[test]
fn sipe_and_our_terminal_see_each_other_type() {
    in_a_sipe_world(
        "typing::sipe_and_our_terminal_see_each_other_type",
        |world| {
            let mut erin = erin(world)?;
            let (alice, mut watch) = ours(world, ALICE, ALICE_PIN)?;
            let terminal = Terminal::open(&alice, &["open"])?;
            terminal.wait_for("❯")?;
            // Somebody is written to for the first time: from then on typing is seen.
            terminal.enter(&format!("/msg {ERIN} hello"))?;
            erin.expect("hello", EVENT_LIMIT, |e| e[0] == "im" && e[1] == ALICE)?;
            terminal.type_text("are you")?;
            erin.expect_event(&["typing", ALICE])?;
            // Thought better of it.
            terminal.press("C-u")?;
            erin.expect_event(&["typing-stopped", ALICE])?;
            terminal.type_text("there?")?;
            erin.expect_event(&["typing", ALICE])?;
            terminal.press("Enter")?;
            erin.expect("the text", EVENT_LIMIT, |e| {
                e[0] == "im" && e[2].contains("there?")
            })?;

            erin.command(&format!("typing {ALICE}"))?;
            let is = |on: bool| {
                move |event: &Value| {
                    event["event"] == "typing" && event["with"] == ERIN && event["on"] == on
                }
            };
            watch.expect("Erin is typing", EVENT_LIMIT, is(true))?;
            terminal.wait_for("is typing…")?;
            erin.command(&format!("im {ALICE} yes"))?;
            watch.expect("what she typed", EVENT_LIMIT, |event| {
                event["event"] == "message" && event["text"] == "yes"
            })?;

            // Scripts can do it as well.
            alice.must(&["typing", ERIN], &[])?;
            erin.expect_event(&["typing", ALICE])?;
            alice.must(&["typing", ERIN, "--stop"], &[])?;
            erin.expect_event(&["typing-stopped", ALICE])?;
            Ok(())
        },
    );
}
