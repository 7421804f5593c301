// SPDX-License-Identifier: MIT OR Apache-2.0
//! What others see of a person: set, changed, taken away, with a running server and without one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::Deployment;

const ALICE: &str = "alice@contoso.test";

/// A picture without any use: one pixel would be too small, so it is sixteen on a side.
fn picture(deployment: &Deployment) -> String {
    let made = image::RgbImage::from_pixel(16, 16, image::Rgb([10, 200, 90]));
    let file = deployment.data.parent().unwrap().join("picture.png");
    made.save_with_format(&file, image::ImageFormat::Png)
        .unwrap();
    file.display().to_string()
}

fn walk(deployment: &Deployment) {
    let picture = picture(deployment);
    let add = ["user", "add", ALICE, "--name", "Alice", "--photo", &picture];
    let alice = deployment.json(&add);
    assert_eq!(alice["photo"].as_str().unwrap().len(), 64);
    let set = |more: &[&str]| {
        let mut arguments = vec!["user", "set", ALICE];
        arguments.extend(more);
        deployment.json(&arguments)
    };
    let changed = set(&[
        "--name",
        "Älice",
        "--title",
        "Head",
        "--phone",
        "+1 2",
        "--email",
        "a@mail.test",
    ]);
    for (field, value) in [
        ("name", "Älice"),
        ("title", "Head"),
        ("phone", "+1 2"),
        ("email", "a@mail.test"),
    ] {
        assert_eq!(changed[field], value);
    }
    assert_eq!(changed["photo"], alice["photo"]);
    let changed = set(&["--title", "", "--no-photo"]);
    assert!(changed["title"].is_null() && changed["photo"].is_null());
    assert_eq!(changed["phone"], "+1 2");
    assert!(deployment.ok(&["user", "show", ALICE]).contains("+1 2"));

    let long = "x".repeat(129);
    for (more, code) in [
        (vec![], "LY-1717"),
        (vec!["--name", ""], "LY-1717"),
        (vec!["--title", &long], "LY-1717"),
        (vec!["--phone", "1\n2"], "LY-1717"),
        (vec!["--photo", "/nowhere.png"], "LY-1717"),
        (vec!["--photo", "/etc/hostname"], "LY-1660"),
    ] {
        let mut arguments = vec!["user", "set", ALICE];
        arguments.extend(&more);
        let error = deployment.fails(&arguments);
        assert!(error.starts_with(code), "{more:?}: {error}");
    }
    let error = deployment.fails(&["user", "set", "nobody@contoso.test", "--name", "N"]);
    assert!(error.starts_with("LY-1708"), "{error}");
    // The trail says which fields were changed and never what a telephone number is.
    let trail = deployment.ok(&["audit", "show", "--json"]);
    assert!(trail.contains("user.changed") && trail.contains("phone") && !trail.contains("+1 2"));
    deployment.ok(&["audit", "verify"]);
}

#[test]
fn without_a_server_a_person_is_changed_in_place() {
    walk(&Deployment::new());
}

#[test]
fn with_a_running_server_a_person_is_changed_at_once() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    walk(&deployment);
    assert!(server.stop());
}
