// SPDX-License-Identifier: MIT OR Apache-2.0

use proptest::prelude::*;
use time::{Duration, macros::datetime};
use uuid::Uuid;

use super::*;
use crate::ticket::{
    Audience, CredentialEpoch, Grant, TicketId, TicketKey, TicketKeyRing, TicketSource,
};
use crate::trust::{TicketRequest, TicketResponse, WebTicket};
use crate::{Address, names};

const PORT: &str = "https://lync.contoso.test/GroupExpansion/Service.svc/WebTicket_Bearer";

/// The form in which SIPE 1.25 sends a search, written anew from what was seen on the wire.
fn like_sipe(assertion: &str, search: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\r\n<soap:Envelope xmlns:saml=\"{saml}\" xmlns:soap=\"{soap}\" \
         xmlns:wst=\"{trust}\" xmlns:wsa=\"{wsa}\" xmlns:wsse=\"{wsse}\"><soap:Header> \
         <wsa:To>{PORT}</wsa:To> <wsse:Security>{assertion}</wsse:Security></soap:Header> \
         <soap:Body><SearchAbEntry xmlns=\"DistributionListExpander\" \
         xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\"> <AbEntryRequest> {search} \
         <Metadata> <FromDialPad>false</FromDialPad> <MaxResultNum>100</MaxResultNum> \
         <ReturnList>displayName,msRTCSIP-PrimaryUserAddress,title,telephoneNumber,homePhone,mail,\
         company,country,photoRelPath,photoSize,photoHash</ReturnList> </Metadata> \
         </AbEntryRequest></SearchAbEntry></soap:Body></soap:Envelope>",
        saml = names::SAML,
        soap = names::SOAP,
        trust = names::TRUST,
        wsa = names::ADDRESSING,
        wsse = names::WSSE,
    )
}

const ASSERTION: &str =
    "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\">x</saml:Assertion>";

fn ticket() -> WebTicket {
    let ring = TicketKeyRing::new(TicketKey::random().unwrap());
    let grant = Grant {
        account: "S-1-5-21-1-2-3-1000".parse().unwrap(),
        address: Address::parse("alice@contoso.test").unwrap(),
        audience: Audience::from_url(PORT).unwrap(),
        source: TicketSource::Password {
            epoch: CredentialEpoch([7; 16]),
        },
        lifetime: Duration::minutes(5),
    };
    let now = datetime!(2026-11-22 12:00 UTC);
    let sealed = ring
        .issuer()
        .web_ticket(&grant, None, PORT, TicketId([7; 16]), now)
        .unwrap();
    let request = TicketRequest {
        context: None,
        applies_to: PORT.to_owned(),
        claimed_address: None,
        entropy: None,
    };
    let xml = TicketResponse::new(&request, &sealed, None).to_xml();
    WebTicket::from_response(&xml, None).unwrap()
}

#[test]
fn our_own_search_is_read_back_with_its_ticket() {
    let ticket = ticket();
    let search = SearchRequest::anywhere("Zoë <O'Brien> & \"co\"", 25);
    let xml = search.to_xml(PORT, Uuid::nil(), &ticket);
    insta::assert_snapshot!(xml.replace(ticket.assertion(), "TICKET"));
    let (read, assertion) = SearchRequest::parse(&xml).unwrap();
    assert_eq!(read, search);
    assert_eq!(assertion, ticket.assertion());
}

#[test]
fn the_search_by_fields_of_sipe_is_understood() {
    let xml = like_sipe(
        ASSERTION,
        "<ChangeSearch xmlns:q1=\"DistributionListExpander\" \
         soapenc:arrayType=\"q1:AbEntryRequest.ChangeSearchQuery[2]\"> \
         <AbEntryRequest.ChangeSearchQuery> <SearchOn>givenName</SearchOn> <Value>Zo&amp;</Value>\
         </AbEntryRequest.ChangeSearchQuery><AbEntryRequest.ChangeSearchQuery> \
         <SearchOn>MSRTCSIP-primaryuseraddress</SearchOn> <Value>sip:zoe@contoso.test</Value>\
         </AbEntryRequest.ChangeSearchQuery></ChangeSearch>",
    );
    let (read, assertion) = SearchRequest::parse(&xml).unwrap();
    assert_eq!(assertion, ASSERTION);
    assert_eq!(read.results_max, 100);
    let terms: Vec<_> = read
        .terms
        .iter()
        .map(|t| (t.on, t.value.as_str()))
        .collect();
    assert_eq!(
        terms,
        [
            (Some(Attribute::GivenName), "Zo&"),
            (Some(Attribute::SipAddress), "sip:zoe@contoso.test"),
        ]
    );
    assert!(read.wanted.contains(&Attribute::PhotoHash));
}

#[test]
fn the_simple_search_of_sipe_is_understood() {
    let xml = like_sipe(
        ASSERTION,
        "<BasicSearch> <SearchList>c,company,displayName</SearchList> <Value>zoe</Value> \
         <Verb>BeginsWith</Verb></BasicSearch>",
    );
    let (read, _) = SearchRequest::parse(&xml).unwrap();
    assert_eq!(
        read.terms,
        [Term {
            on: None,
            value: "zoe".into()
        }]
    );
}

#[test]
fn without_one_ticket_nothing_is_read() {
    let search = "<BasicSearch><Value>zoe</Value></BasicSearch>";
    let missing = AddressBookError::Missing("Assertion");
    assert_eq!(
        SearchRequest::parse(&like_sipe("", search)),
        Err(missing.clone())
    );
    let two = format!("{ASSERTION}{ASSERTION}");
    assert_eq!(SearchRequest::parse(&like_sipe(&two, search)), Err(missing));
    assert_eq!(SearchRequest::ticket_of("<a/>"), None);
}

#[test]
fn a_search_for_nothing_or_for_too_much_is_refused() {
    let basic = |value: &str| format!("<BasicSearch><Value>{value}</Value></BasicSearch>");
    let long = "ü".repeat(VALUE_CHARS_MAX + 1);
    for value in ["", "  ", &long] {
        let read = SearchRequest::parse(&like_sipe(ASSERTION, &basic(value)));
        assert_eq!(read, Err(AddressBookError::Value("Value")));
    }
    let fits = "ü".repeat(VALUE_CHARS_MAX);
    assert!(SearchRequest::parse(&like_sipe(ASSERTION, &basic(&fits))).is_ok());
    let term = "<AbEntryRequest.ChangeSearchQuery><SearchOn>sn</SearchOn><Value>a</Value>\
                </AbEntryRequest.ChangeSearchQuery>";
    let many = |n: usize| format!("<ChangeSearch>{}</ChangeSearch>", term.repeat(n));
    assert!(SearchRequest::parse(&like_sipe(ASSERTION, &many(TERMS_MAX))).is_ok());
    for n in [0, TERMS_MAX + 1] {
        assert!(SearchRequest::parse(&like_sipe(ASSERTION, &many(n))).is_err());
    }
    let both = basic("a") + &many(1);
    assert!(SearchRequest::parse(&like_sipe(ASSERTION, &both)).is_err());
    let other = like_sipe(ASSERTION, &basic("a")).replace("DistributionListExpander", "urn:x");
    assert!(SearchRequest::parse(&other).is_err());
    for number in ["-1", "x", "99999999999999999999999"] {
        let xml = like_sipe(ASSERTION, &basic("a")).replace(">100<", &format!(">{number}<"));
        assert_eq!(
            SearchRequest::parse(&xml),
            Err(AddressBookError::Value("MaxResultNum"))
        );
    }
    let xml = like_sipe(ASSERTION, &basic("a")).replace(">100<", ">1000000<");
    assert_eq!(
        SearchRequest::parse(&xml).unwrap().0.results_max,
        RESULTS_MAX
    );
}

fn zoe() -> Entry {
    Entry {
        sip_uri: "sip:zoe@contoso.test".into(),
        display_name: "Zoë <b>Müller</b> & Co".into(),
        mail: "zoe@mail.test".into(),
        title: "Head of Sales".into(),
        telephone: "+49 30 1234".into(),
        company: String::new(),
        photo: Some(PhotoReference {
            path: "photos/abc.jpg".into(),
            hash: "abc".into(),
        }),
    }
}

#[test]
fn an_answer_is_written_and_read() {
    let answer = SearchResponse {
        entries: vec![
            zoe(),
            Entry {
                sip_uri: "sip:max@contoso.test".into(),
                display_name: "Max".into(),
                ..Entry::default()
            },
        ],
        more: true,
    };
    let xml = answer.to_xml(&[]);
    insta::assert_snapshot!(xml);
    assert_eq!(SearchResponse::parse(&xml).unwrap(), answer);
    let few = SearchResponse::parse(&answer.to_xml(&[Attribute::SipAddress])).unwrap();
    assert_eq!(few.entries[0].display_name, "");
    assert_eq!(few.entries[0].sip_uri, "sip:zoe@contoso.test");
}

#[test]
fn the_path_is_the_one_that_sipe_walks() {
    let answer = SearchResponse {
        entries: vec![zoe()],
        more: false,
    };
    let xml = answer.to_xml(&[]);
    let document = crate::xml::Document::parse(&xml).unwrap();
    let attribute = document
        .root()
        .path(&[
            "Body",
            "SearchAbEntryResponse",
            "SearchAbEntryResult",
            "Items",
            "AbEntry",
            "Attributes",
            "Attribute",
        ])
        .unwrap();
    assert_eq!(attribute.child("Name").unwrap().text(), "displayName");
    assert_eq!(attribute.child("Value").unwrap().text(), zoe().display_name);
}

#[test]
fn the_largest_answer_is_read_by_the_same_reader() {
    let long = "ü".repeat(128);
    let entry = Entry {
        sip_uri: format!("sip:{long}@contoso.test"),
        display_name: long.clone(),
        mail: long.clone(),
        title: long.clone(),
        telephone: long.clone(),
        company: long,
        photo: zoe().photo,
    };
    let answer = SearchResponse {
        entries: vec![entry; RESULTS_MAX],
        more: true,
    };
    assert_eq!(SearchResponse::parse(&answer.to_xml(&[])).unwrap(), answer);
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(text in ".{0,300}") {
        let _ = SearchRequest::parse(&text);
        let _ = SearchResponse::parse(&text);
        let _ = SearchRequest::parse(&like_sipe(ASSERTION, &text));
    }

    #[test]
    fn any_value_travels_as_it_is(value in "[^\\p{Cc}\\s]{1,100}") {
        let ticket = ticket();
        let xml = SearchRequest::anywhere(&value, 10).to_xml(PORT, Uuid::nil(), &ticket);
        let (read, _) = SearchRequest::parse(&xml).unwrap();
        prop_assert_eq!(&read.terms[0].value, &value);
    }
}
