// SPDX-License-Identifier: MIT OR Apache-2.0
//! Documents in the shape that an independent client was seen to send or to accept, and our own.

use std::collections::BTreeMap;

use lanyard_presence::xml::batch::{BatchAction, BatchRequest, BatchResource};
use lanyard_presence::xml::categories::{Categories, format_time, parse_time};
use lanyard_presence::xml::contact_card::ContactCard;
use lanyard_presence::xml::contacts::{ContactChange, ContactDelta, ContactsDocument};
use lanyard_presence::xml::containers::{ContainerChange, MemberChange, SetContainerMembers};
use lanyard_presence::xml::keyboard::KeyboardActivity;
use lanyard_presence::xml::note::Note;
use lanyard_presence::xml::provisioning::Provisioning;
use lanyard_presence::xml::publish::{ExpireType, PublishItem, PublishRequest};
use lanyard_presence::xml::rlmi::PresenceUpdate;
use lanyard_presence::xml::roaming_self::{RoamingData, RoamingWanted};
use lanyard_presence::xml::search::SearchRequest;
use lanyard_presence::xml::service::{ContactFault, ContactOperation, ContactRequest};
use lanyard_presence::xml::state::{Activity, State, StateKind};
use lanyard_presence::xml::subscribers::SetSubscribers;
use lanyard_presence::xml::wpending::PendingWatchers;
use lanyard_presence::xml::{Element, XmlError};
use lanyard_presence::{Availability, Contact, Member, MemberKind, PersonUri, PublicationKey};
use lanyard_sip::MediaType;
use time::macros::datetime;

fn uri(text: &str) -> PersonUri {
    PersonUri::parse(text).expect("address")
}

#[test]
fn the_list_that_an_independent_client_accepts_is_read() {
    let text = r#"<contactList deltaNum="5"><group id="1" name="~" externalURI=""/><group id="2" name="Team" externalURI=""/>
<contact uri="bob@contoso.test" name="" groups="2" subscribed="true" externalURI=""/>
<contact uri="carol@contoso.test" name="Carol C" groups="1 2" subscribed="true" externalURI=""/></contactList>"#;
    let Ok(ContactsDocument::List(list)) = ContactsDocument::parse(text.as_bytes()) else {
        panic!("no list")
    };
    assert_eq!((list.delta, list.groups.len()), (5, 2));
    assert_eq!(list.contacts[1].groups, [1, 2]);
    assert_eq!(list.to_xml(), text.replace('\n', ""));
}

#[test]
fn a_delta_names_people_with_their_scheme_and_a_list_without() {
    let contact = Contact {
        uri: uri("bob@contoso.test"),
        name: "B".to_owned(),
        groups: vec![1],
        subscribed: false,
        external_uri: String::new(),
    };
    let delta = ContactDelta {
        delta: 9,
        changes: vec![ContactChange::AddedContact(contact)],
    };
    assert!(delta.to_xml().contains("uri=\"sip:bob@contoso.test\""));
    assert_eq!(
        ContactsDocument::parse(delta.to_xml().as_bytes()),
        Ok(ContactsDocument::Delta(delta))
    );
}

#[test]
fn contact_operations_are_written_as_clients_write_them() {
    let operations = [
        ContactOperation::SetContact {
            uri: uri("bob@contoso.test"),
            name: "Bob & Co".to_owned(),
            groups: vec![1, 2],
            subscribed: true,
            external_uri: String::new(),
        },
        ContactOperation::DeleteContact {
            uri: uri("bob@contoso.test"),
        },
        ContactOperation::AddGroup {
            name: "Team".to_owned(),
            external_uri: String::new(),
        },
        ContactOperation::ModifyGroup {
            id: 2,
            name: "Friends".to_owned(),
            external_uri: String::new(),
        },
        ContactOperation::DeleteGroup { id: 2 },
    ];
    let mut all = Vec::new();
    for (delta, operation) in (1..).zip(operations) {
        let request = ContactRequest { delta, operation };
        all.push(request.to_xml());
        assert_eq!(
            ContactRequest::parse(all.last().expect("one").as_bytes()),
            Ok(request)
        );
    }
    let fault = ContactFault {
        code: ContactFault::WRONG_DELTA.to_owned(),
        text: "Changed elsewhere.".to_owned(),
        delta: Some(7),
    };
    all.push(fault.to_xml());
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_documents_of_a_client_are_written() {
    let member = |add, kind, value: &str| MemberChange {
        add,
        member: Member {
            kind,
            value: value.to_owned(),
        },
    };
    let publish = PublishRequest {
        uri: uri("alice@contoso.test"),
        items: vec![
            PublishItem {
                key: PublicationKey {
                    category: "state".to_owned(),
                    instance: 0x2000_0000,
                    container: 2,
                },
                version: 0,
                expire_type: ExpireType::Static,
                expires: None,
                content: State::new(StateKind::User, Availability::Busy)
                    .to_xml()
                    .into(),
            },
            PublishItem {
                key: PublicationKey {
                    category: "note".to_owned(),
                    instance: 0,
                    container: 200,
                },
                version: 3,
                expire_type: ExpireType::Static,
                expires: Some(0),
                content: "".into(),
            },
        ],
    };
    let containers = SetContainerMembers {
        containers: vec![ContainerChange {
            id: 32_000,
            version: 4,
            members: vec![
                member(true, MemberKind::User, "mallory@contoso.test"),
                member(false, MemberKind::SameEnterprise, ""),
            ],
        }],
    };
    let batch = BatchRequest {
        uri: uri("alice@contoso.test"),
        action: BatchAction::Subscribe,
        resources: vec![
            BatchResource {
                uri: uri("bob@contoso.test"),
                newly_added: false,
            },
            BatchResource {
                uri: uri("carol@contoso.test"),
                newly_added: true,
            },
        ],
        categories: vec![
            "contactCard".to_owned(),
            "note".to_owned(),
            "state".to_owned(),
        ],
    };
    let documents = [
        publish.to_xml(),
        containers.to_xml(),
        batch.to_xml(),
        RoamingWanted::ALL.to_xml(),
        SetSubscribers {
            list: vec![(uri("bob@contoso.test"), true)],
        }
        .to_xml(),
        SearchRequest {
            text: "bob".to_owned(),
            limit: 20,
        }
        .to_xml(),
        Provisioning::request(&["ServerConfiguration", "ucPolicy"]),
        KeyboardActivity::Typing.to_xml(),
        PendingWatchers {
            list: vec![(uri("bob@contoso.test"), "Bob".to_owned())],
        }
        .to_xml(),
    ];
    insta::assert_snapshot!(documents.join("\n"));
    assert_eq!(PublishRequest::parse(documents[0].as_bytes()), Ok(publish));
    assert_eq!(
        SetContainerMembers::parse(documents[1].as_bytes()),
        Ok(containers)
    );
    assert_eq!(BatchRequest::parse(documents[2].as_bytes()), Ok(batch));
    assert_eq!(
        RoamingWanted::parse(documents[3].as_bytes()),
        Ok(RoamingWanted::ALL)
    );
    assert_eq!(
        SearchRequest::parse(documents[5].as_bytes()).map(|s| s.text),
        Ok("bob".to_owned())
    );
    let asked = Provisioning::parse_request(documents[6].as_bytes());
    assert_eq!(
        asked,
        Ok(vec![
            "ServerConfiguration".to_owned(),
            "ucPolicy".to_owned()
        ])
    );
}

#[test]
fn contents_of_categories_are_written() {
    let full = State {
        activity: Some(Activity::Token("in-a-meeting".to_owned())),
        last_active: Some(datetime!(2026-11-22 13:17:19.5 UTC)),
        device: Some("computer".to_owned()),
        ..State::new(StateKind::Aggregate, Availability::BusyIdle)
    };
    let custom = State {
        activity: Some(Activity::Custom {
            lcid: 1031,
            text: "Bin im <Garten>".to_owned(),
        }),
        ..State::new(StateKind::User, Availability::Away)
    };
    let card = ContactCard {
        display_name: "Bob & Söhne".to_owned(),
        email: "bob@contoso.test".to_owned(),
        title: "Engineer".to_owned(),
        company: "Contoso".to_owned(),
        department: "R&D".to_owned(),
        office: "1.02".to_owned(),
        phone: "+49 (30) 123".to_owned(),
        photo: None,
    };
    let note = Note::personal("Back at 3 👋");
    let all = [full.to_xml(), custom.to_xml(), card.to_xml(), note.to_xml()];
    insta::assert_snapshot!(all.join("\n"));
    let read = |text: &str| Element::parse(text.as_bytes()).expect("well-formed");
    assert_eq!(State::read(&read(&all[0])), Ok(full));
    assert_eq!(State::read(&read(&all[1])), Ok(custom));
    assert_eq!(ContactCard::read(&read(&all[2])), Ok(card));
    assert_eq!(Note::read(&read(&all[3])), Ok(note));
}

#[test]
fn provisioning_shows_the_groups_that_were_asked_for() {
    let settings = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let provisioning = Provisioning {
        groups: BTreeMap::from([
            (
                "ServerConfiguration".to_owned(),
                settings(&[("ucMaxVideoRateAllowed", "0"), ("x", "a&b")]),
            ),
            ("ucPolicy".to_owned(), settings(&[("enableCalls", "false")])),
        ]),
    };
    let one = provisioning.to_xml(&["ucPolicy".to_owned()]);
    insta::assert_snapshot!([one.as_str(), &provisioning.to_xml(&[])].join("\n"));
    assert_eq!(
        Provisioning::parse(provisioning.to_xml(&[]).as_bytes()),
        Ok(provisioning)
    );
}

#[test]
fn the_own_data_that_an_independent_client_accepts_is_read() {
    let text = r#"<roamingData xmlns="http://schemas.microsoft.com/2006/09/sip/roaming-self">
 <categories xmlns="http://schemas.microsoft.com/2006/09/sip/categories" uri="sip:alice@contoso.test">
  <category name="state" instance="536870912" publishTime="2026-11-22T13:17:19.000" container="2" version="1" expireType="static"><state xmlns="http://schemas.microsoft.com/2006/09/sip/state" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="userState"><availability>6500</availability></state></category>
  <category name="note" container="200"/><category name="device"/>
 </categories>
 <containers xmlns="http://schemas.microsoft.com/2006/09/sip/container-management"><container id="0" version="0"/><container id="32000" version="0"/></containers>
 <subscribers xmlns="http://schemas.microsoft.com/2006/09/sip/presence-subscribers"/>
</roamingData>"#;
    let data = RoamingData::parse(text.as_bytes()).expect("data");
    let categories = data.categories.expect("categories");
    assert_eq!(categories.availability(), Some(Availability::Busy));
    assert_eq!(
        categories.list[0].publish_time,
        Some(datetime!(2026-11-22 13:17:19 UTC))
    );
    assert_eq!(categories.list[1].container, Some(200));
    assert_eq!(categories.list[2].instance, None);
    assert_eq!(data.containers.expect("containers").len(), 2);
    assert_eq!(data.subscribers, Some(Vec::new()));
}

#[test]
fn the_aggregate_counts_also_when_it_is_not_the_last() {
    let text = r#"<categories uri="sip:bob@contoso.test">
      <category name="state" instance="1"><state xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="aggregateState"><availability>9500</availability></state></category>
      <category name="state" instance="2"><state xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="machineState"><availability>3500</availability></state></category>
    </categories>"#;
    let categories = Categories::parse(text.as_bytes()).expect("document");
    assert_eq!(categories.availability(), Some(Availability::DoNotDisturb));
    assert_eq!(categories.note(), None, "nothing is said of notes");
}

#[test]
fn a_single_document_and_a_multipart_body_are_both_updates() {
    let text = "<categories uri=\"sip:bob@contoso.test\"/>";
    let media = MediaType::parse("application/msrtc-event-categories+xml").expect("type");
    let update = PresenceUpdate::parse(&media, text.as_bytes()).expect("update");
    assert_eq!(update.documents[0].uri, uri("bob@contoso.test"));
    // As another server writes it: the identifier in start without brackets.
    let body = "--b\r\nContent-Type: application/rlmi+xml\r\n\r\n<list uri=\"sip:a@b.test\">\
                <resource uri=\"sip:x@b.test\"><instance id=\"0\" state=\"resubscribe\"/></resource></list>\
                \r\n\r\n--b\r\nContent-Type: application/msrtc-event-categories+xml\r\n\r\n\
                <categories uri=\"sip:bob@contoso.test\"/>\r\n\r\n--b--\r\n";
    let media = MediaType::parse(
        "multipart/related; type=\"application/rlmi+xml\";start=resourceList;boundary=b",
    )
    .expect("type");
    let update = PresenceUpdate::parse(&media, body.as_bytes()).expect("update");
    assert_eq!(
        (update.documents.len(), &*update.resubscribe),
        (1, &[uri("x@b.test")][..])
    );
    let media = MediaType::parse("text/plain").expect("type");
    assert!(PresenceUpdate::parse(&media, b"x").is_err());
}

#[test]
fn times_are_read_with_and_without_a_zone() {
    let time = datetime!(2026-11-22 13:17:19.123 UTC);
    assert_eq!(format_time(time), "2026-11-22T13:17:19.123");
    for text in [
        "2026-11-22T13:17:19.123",
        "2026-11-22T13:17:19.123Z",
        "2026-11-22T14:17:19.123+01:00",
    ] {
        assert_eq!(parse_time(text), Some(time), "{text}");
    }
    assert_eq!(parse_time("yesterday"), None);
    // Times at the ends of all years, which are none in UTC.
    assert_eq!(parse_time("9999-12-31T23:59:59-23:00"), None);
    assert_eq!(parse_time("0000-01-01T00:00:00+23:00"), None);
}

#[test]
fn wrong_namespaces_and_missing_parts_are_told_apart() {
    let parse = |text: &str| PublishRequest::parse(text.as_bytes()).map(|_| ());
    let ns = "xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\"";
    assert_eq!(
        parse("<publish/>"),
        Err(XmlError::Unexpected("publish request"))
    );
    assert_eq!(
        parse(&format!("<publish {ns}/>")),
        Err(XmlError::MissingElement("publications"))
    );
    assert_eq!(
        parse(&format!("<publish {ns}><publications/></publish>")),
        Err(XmlError::MissingAttribute("uri"))
    );
    let item = |attributes: &str| {
        parse(&format!(
            "<publish {ns}><publications uri=\"a@b.test\"><publication {attributes}/></publications></publish>"
        ))
    };
    let good =
        "categoryName=\"state\" instance=\"1\" container=\"2\" version=\"0\" expireType=\"static\"";
    assert_eq!(item(good), Ok(()));
    for (from, to, error) in [
        (
            "instance=\"1\"",
            "instance=\"-1\"",
            XmlError::Value("instance"),
        ),
        (
            "instance=\"1\"",
            "instance=\"4294967296\"",
            XmlError::Value("instance"),
        ),
        (
            "container=\"2\"",
            "",
            XmlError::MissingAttribute("container"),
        ),
        ("version=\"0\"", "version=\"x\"", XmlError::Value("version")),
        (
            "expireType=\"static\"",
            "expireType=\"never\"",
            XmlError::Value("expireType"),
        ),
        ("\"state\"", "\"\"", XmlError::Value("categoryName")),
    ] {
        assert_eq!(item(&good.replace(from, to)), Err(error), "{to}");
    }
}
