// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever is in a document, it reads back as it was.

use std::collections::BTreeMap;

use lanyard_presence::xml::batch::{BatchAction, BatchRequest, BatchResource};
use lanyard_presence::xml::categories::{Categories, Category};
use lanyard_presence::xml::contact_card::ContactCard;
use lanyard_presence::xml::contacts::{ContactChange, ContactDelta, ContactList, ContactsDocument};
use lanyard_presence::xml::fault::{Fault, FaultOperation};
use lanyard_presence::xml::note::Note;
use lanyard_presence::xml::publish::{ExpireType, PublishItem, PublishRequest};
use lanyard_presence::xml::rlmi::{self, PresenceUpdate};
use lanyard_presence::xml::roaming_self::RoamingData;
use lanyard_presence::xml::service::{ContactOperation, ContactRequest};
use lanyard_presence::{
    Contact, Container, Group, Member, MemberKind, PersonUri, PublicationKey, Subscriber,
};
use lanyard_sip::MediaType;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use time::OffsetDateTime;

fn uri() -> impl Strategy<Value = PersonUri> {
    "[a-z0-9.äö-]{1,12}@[a-z0-9.-]{1,12}".prop_map(|text| PersonUri::parse(&text).expect("address"))
}

/// Anything that XML can hold, trimmed as our readers trim.
fn words() -> impl Strategy<Value = String> {
    "[ -~äöü€👋<>&\"'\t\n\r]{0,40}".prop_map(|text| text.trim().to_owned())
}

/// Attributes keep everything.
fn value() -> impl Strategy<Value = String> {
    "[ -~äöü€👋<>&\"'\t\n\r]{0,40}"
}

fn contact() -> impl Strategy<Value = Contact> {
    (
        uri(),
        value(),
        vec(any::<u32>(), 0..4),
        any::<bool>(),
        value(),
    )
        .prop_map(|(uri, name, mut groups, subscribed, external_uri)| {
            groups.sort_unstable();
            groups.dedup();
            Contact {
                uri,
                name,
                groups,
                subscribed,
                external_uri,
            }
        })
}

fn group() -> impl Strategy<Value = Group> {
    (any::<u32>(), value(), value()).prop_map(|(id, name, external_uri)| Group {
        id,
        name,
        external_uri,
    })
}

fn change() -> impl Strategy<Value = ContactChange> {
    prop_oneof![
        group().prop_map(ContactChange::AddedGroup),
        group().prop_map(ContactChange::ModifiedGroup),
        any::<u32>().prop_map(ContactChange::DeletedGroup),
        contact().prop_map(ContactChange::AddedContact),
        contact().prop_map(ContactChange::ModifiedContact),
        uri().prop_map(ContactChange::DeletedContact),
    ]
}

fn category() -> impl Strategy<Value = Category> {
    (
        "[a-zA-Z]{1,12}",
        proptest::option::of(any::<u32>()),
        proptest::option::of(0_i64..4_000_000_000),
        proptest::option::of(any::<u32>()),
        proptest::option::of(any::<u32>()),
        proptest::option::of(words()),
    )
        .prop_map(
            |(name, instance, time, container, version, note)| Category {
                instance,
                publish_time: time.map(|t| OffsetDateTime::from_unix_timestamp(t).expect("time")),
                version,
                expire_type: version.map(|_| "static".to_owned()),
                content: note
                    .map(|text| Note::personal(text).to_xml())
                    .unwrap_or_default()
                    .into(),
                ..Category::cleared(&name, container)
            },
        )
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        uri().prop_map(|uri| Member {
            kind: MemberKind::User,
            value: uri.address().to_owned()
        }),
        Just(Member {
            kind: MemberKind::SameEnterprise,
            value: String::new()
        }),
        "[a-z.]{1,9}".prop_map(|value| Member {
            kind: MemberKind::Domain,
            value
        }),
    ]
}

fn subscriber() -> impl Strategy<Value = Subscriber> {
    (uri(), value(), any::<bool>()).prop_map(|(uri, display_name, acknowledged)| Subscriber {
        uri,
        display_name,
        acknowledged,
    })
}

proptest! {
    #[test]
    fn contact_lists_read_back(
        delta in any::<u32>(),
        groups in vec(group(), 0..5),
        contacts in vec(contact(), 0..5),
    ) {
        let list = ContactList { delta, groups, contacts };
        let read = ContactsDocument::parse(list.to_xml().as_bytes());
        prop_assert_eq!(read, Ok(ContactsDocument::List(list)));
    }

    #[test]
    fn contact_deltas_read_back(delta in any::<u32>(), changes in vec(change(), 0..5)) {
        let delta = ContactDelta { delta, changes };
        let read = ContactsDocument::parse(delta.to_xml().as_bytes());
        prop_assert_eq!(read, Ok(ContactsDocument::Delta(delta)));
    }

    #[test]
    fn contact_requests_read_back(
        delta in any::<u32>(),
        uri in uri(),
        name in words(),
        external_uri in words(),
        subscribed in any::<bool>(),
    ) {
        let operation =
            ContactOperation::SetContact { uri, name, groups: vec![1], subscribed, external_uri };
        let request = ContactRequest { delta, operation };
        prop_assert_eq!(ContactRequest::parse(request.to_xml().as_bytes()), Ok(request));
    }

    #[test]
    fn publications_read_back(
        uri in uri(),
        instance in any::<u32>(),
        container in 0..=lanyard_presence::limits::CONTAINER_ID_MAX,
        version in any::<u32>(),
        expires in proptest::option::of(any::<u32>()),
        text in words(),
    ) {
        let item = PublishItem {
            key: PublicationKey { category: "note".to_owned(), instance, container },
            version,
            expire_type: ExpireType::Time,
            expires,
            content: Note::personal(text).to_xml().into(),
        };
        let request = PublishRequest { uri, items: vec![item] };
        prop_assert_eq!(PublishRequest::parse(request.to_xml().as_bytes()), Ok(request));
    }

    #[test]
    fn own_data_reads_back(
        uri in uri(),
        list in vec(category(), 0..4),
        containers in btree_map(any::<u32>(), (any::<u32>(), vec(member(), 0..3)), 0..4),
        subscribers in vec(subscriber(), 0..3),
    ) {
        let containers: BTreeMap<u32, Container> = containers
            .into_iter()
            .map(|(id, (version, members))| (id, Container { version, members }))
            .collect();
        let data = RoamingData {
            categories: Some(Categories { uri, list }),
            containers: Some(containers),
            subscribers: Some(subscribers),
        };
        prop_assert_eq!(RoamingData::parse(data.to_xml().as_bytes()), Ok(data));
    }

    #[test]
    fn batched_answers_read_back(watcher in uri(), people in vec((uri(), any::<bool>()), 0..5)) {
        let known: Vec<PersonUri> =
            people.iter().filter(|(_, known)| *known).map(|(uri, _)| uri.clone()).collect();
        let parts: Vec<_> = people
            .into_iter()
            .map(|(uri, known)| {
                let document = Categories { uri: uri.clone(), list: Vec::new() }.to_xml();
                (uri, known.then(|| document.into()))
            })
            .collect();
        let (media, body) = rlmi::write_body(&watcher, &parts);
        let media = MediaType::parse(&media).expect("type");
        let update = PresenceUpdate::parse(&media, &body).expect("update");
        let read: Vec<PersonUri> = update.documents.into_iter().map(|d| d.uri).collect();
        prop_assert_eq!(read, known);
    }

    #[test]
    fn batched_requests_read_back(
        uri in uri(),
        resources in vec((uri(), any::<bool>()), 0..5),
        categories in vec("[a-zA-Z]{1,9}", 0..4),
    ) {
        let resources = resources
            .into_iter()
            .map(|(uri, newly_added)| BatchResource { uri, newly_added })
            .collect();
        let request =
            BatchRequest { uri, action: BatchAction::Unsubscribe, resources, categories };
        prop_assert_eq!(BatchRequest::parse(request.to_xml().as_bytes()), Ok(request));
    }

    #[test]
    fn cards_and_faults_read_back(name in words(), phone in words(), current in any::<u32>()) {
        let card = ContactCard { display_name: name, phone, ..ContactCard::default() };
        let element = lanyard_presence::xml::Element::parse(card.to_xml().as_bytes());
        prop_assert_eq!(ContactCard::read(&element.expect("well-formed")), Ok(card));
        let operation = FaultOperation { index: 1, version: None, current };
        let fault = Fault { code: Fault::WRONG_DELTA.to_owned(), operations: vec![operation] };
        prop_assert_eq!(Fault::parse(fault.to_xml().as_bytes()), Ok(fault));
    }

    #[test]
    fn no_bytes_at_all_make_a_reader_fail_badly(data in vec(any::<u8>(), 0..200)) {
        lanyard_presence::fuzzing::xml(&data);
    }

    #[test]
    fn broken_documents_make_no_reader_fail_badly(at in 0_usize..2000, byte in any::<u8>()) {
        let mut text = SAMPLE.as_bytes().to_vec();
        let at = at % text.len();
        text[at] = byte;
        lanyard_presence::fuzzing::xml(&text);
    }
}

const SAMPLE: &str = "<roamingData xmlns=\"http://schemas.microsoft.com/2006/09/sip/roaming-self\">\
<categories xmlns=\"http://schemas.microsoft.com/2006/09/sip/categories\" uri=\"sip:a@b.test\">\
<category name=\"state\" instance=\"1\" publishTime=\"2026-11-22T13:17:19.000\" container=\"2\" \
version=\"1\" expireType=\"static\"><s:state xmlns:s=\"http://schemas.microsoft.com/2006/09/sip/state\" \
xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\" x:type=\"userState\"><s:availability>6500\
</s:availability><![CDATA[<>]]>&#x41;&amp;</s:state></category></categories><containers \
xmlns=\"http://schemas.microsoft.com/2006/09/sip/container-management\"><container id=\"0\" \
version=\"0\"><member type=\"user\" value=\"x@y.z\"/></container></containers></roamingData>";
