// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::xml::XmlError;

fn endpoint(fqdn: &str, port: u16) -> Option<Endpoint> {
    Some(Endpoint {
        fqdn: fqdn.into(),
        port,
    })
}

fn root() -> AutodiscoverResponse {
    let service = "https://lync.contoso.test/autodiscover/autodiscoverservice.svc/root";
    AutodiscoverResponse::Root(RootDocument {
        access_location: Some(AccessLocation::External),
        links: vec![
            Link::new(
                LinkToken::Domain,
                &format!("{service}/domain?originalDomain=contoso.test"),
            ),
            Link::new(
                LinkToken::User,
                &format!("{service}/user?originalDomain=contoso.test&sipuri=a@b"),
            ),
            Link::new(
                LinkToken::OAuth,
                "https://lync.contoso.test/WebTicket/oauthtoken",
            ),
            Link::new(
                LinkToken::Enrolment,
                "https://lync.contoso.test/api/v1/enrolments",
            ),
        ],
    })
}

fn user() -> AutodiscoverResponse {
    AutodiscoverResponse::User(UserDocument {
        access_location: Some(AccessLocation::Internal),
        sip_server_internal: endpoint("lync.contoso.test", 5061),
        sip_server_external: endpoint("sip.contoso.test", 443),
        sip_client_internal: endpoint("lync.contoso.test", 5061),
        sip_client_external: endpoint("sip.contoso.test", 443),
        links: vec![Link::new(
            LinkToken::Other("Internal/AuthBroker".into()),
            "https://lync.contoso.test/x",
        )],
    })
}

fn redirect() -> AutodiscoverResponse {
    AutodiscoverResponse::Redirect {
        href: "https://lyncdiscover.contoso.test/?sipuri=a@b".into(),
    }
}

#[test]
fn every_document_is_written_and_read_in_both_formats() {
    for (name, document) in [("root", root()), ("user", user()), ("redirect", redirect())] {
        for format in [Format::Xml, Format::Json] {
            let body = document.to_body(format);
            insta::assert_snapshot!(format!("{name}_{format:?}"), body);
            assert_eq!(
                AutodiscoverResponse::parse(format.content_type(), &body),
                Ok(document.clone())
            );
        }
    }
}

/// SIPE walks `Root/Link[@token,@href]` and `User/SipClient…Access[@fqdn,@port]`.
#[test]
fn the_walk_of_sipe_finds_the_links() {
    let xml = root().to_body(Format::Xml);
    let document = crate::xml::Document::parse(&xml).unwrap();
    assert_eq!(
        document.root().attribute("AccessLocation"),
        Some("External")
    );
    let links: Vec<_> = document.root().child("Root").unwrap().children().collect();
    assert!(
        links
            .iter()
            .all(|l| l.local() == "Link" && l.attribute("href").is_some())
    );
    let xml = user().to_body(Format::Xml);
    let document = crate::xml::Document::parse(&xml).unwrap();
    let access = document
        .root()
        .path(&["User", "SipClientInternalAccess"])
        .unwrap();
    assert_eq!(
        (access.attribute("fqdn"), access.attribute("port")),
        (Some("lync.contoso.test"), Some("5061"))
    );
    assert!(
        Format::Xml
            .content_type()
            .starts_with("application/vnd.microsoft.rtc.autodiscover+xml")
    );
}

#[test]
fn the_format_follows_the_header() {
    let xml = "application/vnd.microsoft.rtc.autodiscover+xml;v=1";
    assert_eq!(Format::from_accept(Some(xml)), Format::Xml);
    assert_eq!(
        Format::from_accept(Some("Application/vnd.microsoft.rtc.autodiscover+XML; v=1")),
        Format::Xml
    );
    assert_eq!(
        Format::from_accept(Some("application/vnd.microsoft.rtc.autodiscover+json;v=1")),
        Format::Json
    );
    assert_eq!(
        Format::from_accept(Some("application/json, application/x+xml")),
        Format::Json
    );
    assert_eq!(Format::from_accept(Some("*/*")), Format::Json);
    assert_eq!(Format::from_accept(None), Format::Json);
}

#[test]
fn servers_are_tried_by_location_and_once() {
    let AutodiscoverResponse::User(mut user) = user() else {
        unreachable!()
    };
    let names = |user: &UserDocument| -> Vec<String> {
        user.sip_candidates()
            .iter()
            .map(|e| format!("{}:{}", e.fqdn, e.port))
            .collect()
    };
    assert_eq!(names(&user), ["lync.contoso.test:5061"]);
    user.access_location = Some(AccessLocation::External);
    assert_eq!(names(&user), ["sip.contoso.test:443"]);
    user.access_location = None;
    assert_eq!(
        names(&user),
        ["lync.contoso.test:5061", "sip.contoso.test:443"]
    );
    assert!(UserDocument::default().sip_candidates().is_empty());
}

#[test]
fn documents_of_other_servers_are_read_as_far_as_they_go() {
    let xml = "<AutodiscoverResponse xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns='' AccessLocation='Moon'>\
        <User><SipClientInternalAccess fqdn='Fe.Contoso.test' port='443'/><SipClientExternalAccess fqdn='a b' port='1'/>\
        <SipServerInternalAccess port='1'/><SipServerExternalAccess fqdn='x' port='99999'/>\
        <Link token='Self' href='javascript:alert(1)'/><Link token='Ucwa' href='https://h/ucwa'/><Other/></User></AutodiscoverResponse>";
    let read = AutodiscoverResponse::parse(Format::Xml.content_type(), xml).unwrap();
    let AutodiscoverResponse::User(user) = read else {
        panic!("{read:?}")
    };
    assert_eq!(user.access_location, None);
    assert_eq!(
        user.sip_candidates(),
        [&Endpoint {
            fqdn: "fe.contoso.test".into(),
            port: 443
        }]
    );
    assert_eq!(
        user.links,
        [Link::new(LinkToken::Other("Ucwa".into()), "https://h/ucwa")]
    );
    let json = r#"{"accesslocation":"internal","user":{"SipClientInternalAccess":{"fqdn":"fe","port":"443"},"links":[{"token":1},7]}}"#;
    let read = AutodiscoverResponse::parse("application/json; charset=utf-8", json).unwrap();
    let AutodiscoverResponse::User(user) = read else {
        panic!("{read:?}")
    };
    assert_eq!(user.access_location, Some(AccessLocation::Internal));
    assert_eq!(user.sip_candidates().len(), 1);
}

#[test]
fn a_redirection_of_the_user_document_is_one() {
    let xml = "<AutodiscoverResponse><User><Link token='Redirect' href='https://other/'/></User></AutodiscoverResponse>";
    assert_eq!(
        AutodiscoverResponse::parse(Format::Xml.content_type(), xml),
        Ok(AutodiscoverResponse::Redirect {
            href: "https://other/".into()
        })
    );
}

#[test]
fn what_is_no_document_is_refused() {
    let read = |kind: &str, body: &str| AutodiscoverResponse::parse(kind, body).unwrap_err();
    let xml = Format::Xml.content_type();
    let json = Format::Json.content_type();
    assert_eq!(read("text/html", "<html/>"), AutodiscoverError::ContentType);
    assert_eq!(
        read(xml, "<AutodiscoverResponse/>"),
        AutodiscoverError::Empty
    );
    assert_eq!(
        read(xml, "<!DOCTYPE x><AutodiscoverResponse/>"),
        AutodiscoverError::Xml(XmlError::DocumentType)
    );
    assert_eq!(read(json, "{}"), AutodiscoverError::Empty);
    assert_eq!(read(json, "{\"Root\":1}"), AutodiscoverError::Empty);
    assert_eq!(read(json, "{"), AutodiscoverError::Json);
    assert_eq!(read(json, &"[".repeat(100_000)), AutodiscoverError::Json);
    assert_eq!(
        read(json, &" ".repeat(crate::xml::DOCUMENT_BYTES_MAX + 1)),
        AutodiscoverError::Json
    );
}

#[test]
fn links_have_a_largest_number() {
    let links = "<Link token='User' href='https://h/'/>".repeat(LINKS_MAX + 1);
    let xml = format!("<AutodiscoverResponse><Root>{links}</Root></AutodiscoverResponse>");
    let read = AutodiscoverResponse::parse(Format::Xml.content_type(), &xml).unwrap();
    let AutodiscoverResponse::Root(root) = read else {
        panic!("{read:?}")
    };
    assert_eq!(root.links.len(), LINKS_MAX);
}

proptest! {
    #[test]
    fn any_document_comes_back(
        location in proptest::option::of(prop_oneof![Just(AccessLocation::Internal), Just(AccessLocation::External)]),
        host in "[a-z0-9][a-z0-9.-]{0,30}",
        port in 1u16..,
        token in "[A-Za-z/&<\"\u{e4} ]{1,20}",
        path in "[!-~]{0,40}",
    ) {
        let links = vec![Link { token: LinkToken::read(&token), href: format!("https://h/{path}") }];
        let user = UserDocument {
            access_location: location,
            sip_client_external: Some(Endpoint { fqdn: host, port }),
            links: links.clone(),
            ..UserDocument::default()
        };
        for document in [
            AutodiscoverResponse::User(user),
            AutodiscoverResponse::Root(RootDocument { access_location: location, links }),
        ] {
            for format in [Format::Xml, Format::Json] {
                let body = document.to_body(format);
                prop_assert_eq!(AutodiscoverResponse::parse(format.content_type(), &body), Ok(document.clone()));
            }
        }
    }
}
