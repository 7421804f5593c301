// SPDX-License-Identifier: MIT OR Apache-2.0
//! The question before an enrolment, and the keys after it.

use super::*;

fn keys(care: CardCare) -> HandedOut {
    let secrets = CardSecrets::from_text(&format!("1 {}", "07".repeat(32))).unwrap();
    let guid = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let sid = account().as_str().parse().unwrap();
    HandedOut {
        version: 1,
        care,
        keys: secrets.keys(1, &guid, &sid, 1).unwrap(),
    }
}

fn check_body() -> Value {
    json!({
        "code": CODE,
        "address": "alice@contoso.test",
        "card": { "kind": "virtual-file", "guid": "0123456789abcdef0123456789abcdef" },
    })
}

async fn ask(desk: &Arc<Desk>, body: &Value) -> (u16, Value) {
    let mut request = post_json(body);
    *request.uri_mut() = CHECK_PATH.parse().unwrap();
    let (status, _, answer) = send(desk, request).await;
    (status.as_u16(), answer)
}

#[tokio::test]
async fn a_check_says_yes_and_leaves_the_code_good() {
    let desk = Desk::new();
    for _ in 0..3 {
        let (status, answer) = ask(&desk, &check_body()).await;
        assert_eq!(
            (status, answer),
            (200, json!({"status": "accepted", "key_assurance": "none"}))
        );
    }
    let key = SoftwareKey::generate().unwrap();
    assert_eq!(
        send(&desk, post_json(&body(&key))).await.0,
        StatusCode::CREATED
    );
    // Used up now, for both.
    let (status, answer) = ask(&desk, &check_body()).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &"LY-1401".into()));
}

#[tokio::test]
async fn a_check_refuses_what_an_enrolment_would_and_counts_wrong_codes() {
    let desk = Desk::new();
    let lost = changed(&check_body(), |b| b["card"]["guid"] = LOST_CARD.into());
    let (status, answer) = ask(&desk, &lost).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &"LY-1440".into()));
    let more = changed(&check_body(), |b| b["csr"] = "x".into());
    assert_eq!(ask(&desk, &more).await.1["error"]["code"], "LY-1410");
    lock(&desk.facts).card_kinds = CardKinds::NONE;
    assert_eq!(
        ask(&desk, &check_body()).await.1["error"]["code"],
        "LY-1309"
    );
    // One router counts.
    let app = router(Arc::clone(&desk));
    let ask = async |body: &Value| {
        let mut request = post_json(body);
        *request.uri_mut() = CHECK_PATH.parse().unwrap();
        let (_, _, answer) = send_to(&app, request).await;
        answer["error"]["code"].clone()
    };
    let wrong = changed(&check_body(), |b| b["code"] = "AAAA-BBBB-CCCC".into());
    for _ in 0..CODE_TRIES_MAX {
        assert_eq!(ask(&wrong).await, "LY-1401");
    }
    assert_eq!(ask(&check_body()).await, "LY-1406");
}

#[tokio::test]
async fn keys_go_only_to_whoever_has_the_code_and_only_those_that_the_card_needs() {
    for (care, given, missing) in [
        (CardCare::Challenge, "desk_key", "puk"),
        (CardCare::Puk, "puk", "desk_key"),
    ] {
        let desk = Desk::new();
        *lock(&desk.handed) = Some(keys(care));
        let wrong = changed(&check_body(), |b| b["code"] = "AAAA-BBBB-CCCC".into());
        assert!(
            !ask(&desk, &wrong)
                .await
                .1
                .to_string()
                .contains("management_key")
        );
        let (_, answer) = ask(&desk, &check_body()).await;
        assert_eq!(answer["management_key"].as_str().unwrap().len(), 64);
        let key = SoftwareKey::generate().unwrap();
        let (_, _, answer) = send(&desk, post_json(&body(&key))).await;
        let handed = answer["card_keys"].as_object().unwrap();
        assert!(
            handed.contains_key(given) && !handed.contains_key(missing),
            "{care:?}"
        );
        assert_eq!(handed["version"], 1);
        assert!(!format!("{:?}", keys(care)).contains(handed["management_key"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn a_care_that_does_not_exist_is_no_enrolment() {
    let (desk, key) = (Desk::new(), SoftwareKey::generate().unwrap());
    let body = changed(&body(&key), |b| b["card"]["care"] = "nobody".into());
    assert_eq!(code_of(&desk, &body).await, (400, "LY-1410".into()));
}
