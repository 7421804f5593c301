// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::*;

fn form() -> AutoPostForm {
    AutoPostForm {
        action: "https://lync.contoso.test/PassiveAuth/PassiveAuth.aspx".into(),
        response: SignInResponse {
            wresult: "<t:RequestSecurityTokenResponse a=\"1\" b='2'>&amp;</t:RequestSecurityTokenResponse>".into(),
            context: "\"><script>alert(1)</script>".into(),
        },
    }
}

#[test]
fn the_page_is_written_and_read() {
    let html = form().to_html();
    insta::assert_snapshot!(html);
    assert_eq!(AutoPostForm::parse(&html), Ok(form()));
    assert_eq!(html.matches("<script").count(), 1);
}

#[test]
fn the_policy_names_the_one_script_and_the_one_target() {
    insta::assert_snapshot!(form().content_security_policy());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SCRIPT.as_bytes());
    assert_eq!(crate::encoding::base64(digest.as_ref()), SCRIPT_SHA256);
    let odd = AutoPostForm {
        action: "https://h;script-src */x".into(),
        ..form()
    };
    assert!(odd.content_security_policy().contains("form-action 'none'"));
}

#[test]
fn pages_of_others_are_read() {
    let html = "<HTML><body onload=\"x>y\"><FORM METHOD=POST name=\"f\" action='https://h/?a=1&amp;b=2'>\
        <input type=hidden name='wa' value='wsignin1.0'/><INPUT value=\"&lt;a&#x26;&#38;&unknown;\" name=\"wresult\"/></FORM>";
    let read = AutoPostForm::parse(html).unwrap();
    assert_eq!(read.action, "https://h/?a=1&b=2");
    assert_eq!(read.response.wresult, "<a&&&unknown;");
    let bare =
        AutoPostForm::parse("<form action=https://h/><input name=wresult value=x></form>").unwrap();
    assert_eq!(
        (bare.action.as_str(), bare.response.wresult.as_str()),
        ("https://h/", "x")
    );
}

#[test]
fn pages_without_a_token_are_refused() {
    for html in [
        "",
        "<form action='x'></form>",
        "<input name='wresult' value='x'>",
        "<form action=''><input name='wresult' value='x'></form>",
        "<form action='x'><input name='wresult' value='x",
        "<form action=x><input name=wresult>",
    ] {
        assert_eq!(
            AutoPostForm::parse(html),
            Err(PassiveError::NoForm),
            "{html}"
        );
    }
    let long = " ".repeat(FORM_BYTES_MAX + 1);
    assert_eq!(AutoPostForm::parse(&long), Err(PassiveError::TooLarge));
}

#[test]
fn the_post_is_written_and_read() {
    let body = form().response.to_form_body();
    assert_eq!(SignInResponse::from_form_body(&body), Ok(form().response));
    assert_eq!(
        SignInResponse::from_form_body("wresult=x"),
        Err(PassiveError::Action)
    );
    assert_eq!(
        SignInResponse::from_form_body("wa=wsignin1.0"),
        Err(PassiveError::Parameter("wresult"))
    );
    let long = " ".repeat(FORM_BYTES_MAX + 1);
    assert_eq!(
        SignInResponse::from_form_body(&long),
        Err(PassiveError::TooLarge)
    );
}

#[test]
fn tokens_are_not_printed() {
    assert!(!format!("{:?}", form()).contains("RequestSecurity"));
}

proptest! {
    #[test]
    fn any_token_comes_back_through_page_and_post(wresult in "\\PC{1,60}", context in "\\PC{0,40}") {
        let form = AutoPostForm { response: SignInResponse { wresult, context }, ..form() };
        prop_assert_eq!(AutoPostForm::parse(&form.to_html()), Ok(form.clone()));
        let body = form.response.to_form_body();
        prop_assert_eq!(SignInResponse::from_form_body(&body), Ok(form.response));
    }

    #[test]
    fn any_page_is_answered_without_panic(html in "[<>a-z=\"'/& ;#x]{0,120}") {
        let _ = AutoPostForm::parse(&html);
    }
}
