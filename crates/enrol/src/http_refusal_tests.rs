// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests that no desk could serve.

use super::*;

#[tokio::test]
async fn malformed_requests_are_refused_with_the_reason_and_cost_no_code() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    let good = body(&key);
    let damaged = {
        let mut der = STANDARD.decode(csr(&key)).unwrap();
        *der.last_mut().unwrap() ^= 1;
        STANDARD.encode(der)
    };
    let cases: Vec<(&str, Value)> = vec![
        ("LY-1410", json!({})),
        ("LY-1410", json!([])),
        ("LY-1410", changed(&good, |b| b["surprise"] = 1.into())),
        (
            "LY-1410",
            changed(&good, |b| b["pin_changed"] = "yes".into()),
        ),
        (
            "LY-1410",
            changed(&good, |b| b["card"]["kind"] = "cardboard".into()),
        ),
        (
            "LY-1410",
            changed(&good, |b| b["card"]["guid"] = "12".into()),
        ),
        (
            "LY-1410",
            changed(&good, |b| b["card"]["label"] = "a\nb".into()),
        ),
        (
            "LY-1410",
            changed(&good, |b| {
                b["card"]["label"] = "x".repeat(crate::LABEL_CHARS_MAX + 1).into()
            }),
        ),
        ("LY-1001", changed(&good, |b| b["address"] = "alice".into())),
        (
            "LY-1407",
            changed(&good, |b| b["template"] = "EnrollmentAgent".into()),
        ),
        ("LY-1402", changed(&good, |b| b["csr"] = "".into())),
        ("LY-1402", changed(&good, |b| b["csr"] = "AAAA".into())),
        (
            "LY-1402",
            changed(&good, |b| b["csr"] = format!("{}\n", csr(&key)).into()),
        ),
        (
            "LY-1403",
            changed(&good, |b| b["csr"] = damaged.clone().into()),
        ),
        (
            "LY-1409",
            changed(&good, |b| b["card_authentication_csr"] = csr(&key).into()),
        ),
        (
            "LY-1403",
            changed(&good, |b| {
                b["card_authentication_csr"] = damaged.clone().into()
            }),
        ),
    ];
    for (code, body) in cases {
        assert_eq!(code_of(&desk, &body).await, (400, code.into()), "{body}");
    }
    assert_eq!(send(&desk, post_json(&good)).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn requests_with_weak_keys_or_obsolete_hashes_are_refused() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    for (code, der) in [
        (
            "LY-1404",
            &include_bytes!("../../x509/testdata/csr/rsa1024.der")[..],
        ),
        (
            "LY-1408",
            &include_bytes!("../../x509/testdata/csr/p256-sha1.der")[..],
        ),
    ] {
        let body = changed(&body(&key), |b| b["csr"] = STANDARD.encode(der).into());
        assert_eq!(code_of(&desk, &body).await, (400, code.into()));
    }
}

#[tokio::test]
async fn bodies_have_a_type_and_a_largest_size() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    let good = body(&key).to_string();
    let (status, _, answer) = send(&desk, post_bytes("text/plain", good.clone().into())).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(answer["error"]["code"], "LY-1410");
    let padded = |n: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes.resize(n, b' ');
        post_bytes("application/json; charset=utf-8", bytes)
    };
    let (status, _, answer) = send(&desk, padded(BODY_BYTES_MAX + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer["error"]["code"], "LY-1405");
    assert_eq!(
        send(&desk, padded(BODY_BYTES_MAX)).await.0,
        StatusCode::CREATED
    );
    let get = Request::get(ENROLMENTS_PATH).body(Body::empty()).unwrap();
    assert_eq!(send(&desk, get).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_database_that_does_not_answer_costs_no_code() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    for (error, status, code) in [
        (StorageError::Busy, 503, "LY-1706"),
        (StorageError::Full, 503, "LY-1707"),
        (StorageError::Damaged, 500, "LY-1705"),
        (StorageError::Failed, 500, "LY-1711"),
    ] {
        *lock(&desk.storage) = Some(error);
        assert_eq!(code_of(&desk, &body(&key)).await, (status, code.into()));
    }
    *lock(&desk.storage) = None;
    assert_eq!(
        send(&desk, post_json(&body(&key))).await.0,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn the_authoritys_own_key_is_refused() {
    let desk = Desk::new();
    let issuing = desk.authority.issuing().public_key().unwrap();
    // Nobody can make such a request; the desk is asked directly.
    let order = EnrolmentOrder {
        account: account(),
        card: lanyard_authority::Card {
            guid: lanyard_authority::CardGuid([1; 16]),
            kind: lanyard_authority::CardKind::Physical,
        },
        label: String::new(),
        make: String::new(),
        computer: String::new(),
        care: CardCare::Own,
        key: issuing,
        authentication_key: None,
        level: Level::None,
        status: Status::Active,
    };
    let refused = desk.issue(order, NOW).await.unwrap_err();
    assert_eq!(refused, DeskError::KeyRefused);
    assert_eq!(Refusal::from(refused).fault().code(), "LY-1411");
}
