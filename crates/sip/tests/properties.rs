// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever is written reads back, however it is folded, spelt or cut.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use lanyard_sip::multipart::{self, MultipartWriter};
use lanyard_sip::{
    AuthParams, AuthValue, Frame, Framer, InstanceId, MediaType, Message, Method, Name, NameAddr,
    OutMessage, SipUri, unescape,
};
use proptest::prelude::*;

fn any_name() -> impl Strategy<Value = Name> {
    proptest::sample::select(Name::ALL).prop_filter("computed", |n| *n != Name::ContentLength)
}

/// How one header is spelt on the wire.
fn spelling(name: Name, style: u8) -> String {
    match (style % 4, name.compact()) {
        (0, Some(letter)) => char::from(letter).to_string(),
        (1, _) => name.as_str().to_uppercase(),
        (2, _) => name.as_str().to_lowercase(),
        _ => name.as_str().to_owned(),
    }
}

/// A separator between two words: what stands on the wire and what it reads as.
fn separator() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        "[ \t]{1,3}".prop_map(|s| (s.clone(), s)),
        ("[ \t]{0,2}", "[ \t]{1,3}").prop_map(|(a, b)| (format!("{a}\r\n{b}"), " ".to_owned())),
        ("[ \t]{1,2}", "[ \t]{1,2}").prop_map(|(a, b)| (format!("\r\n{a}\r\n{b}"), " ".to_owned())),
    ]
}

/// A value: on the wire with folds, and as it must read.
fn folded_value() -> impl Strategy<Value = (String, String)> {
    (
        "[!-~äß日]{1,6}",
        prop::collection::vec((separator(), "[!-~äß日]{1,6}"), 0..6),
    )
        .prop_map(|(first, rest)| {
            let (mut wire, mut read) = (first.clone(), first);
            for ((on_wire, as_read), word) in rest {
                wire.push_str(&on_wire);
                wire.push_str(&word);
                read.push_str(&as_read);
                read.push_str(&word);
            }
            (wire, read)
        })
}

proptest! {
    #[test]
    fn no_value_breaks_out_of_its_line(
        headers in prop::collection::vec((any_name(), any::<String>()), 0..12),
        other in any::<String>(),
        body in any::<Vec<u8>>(),
    ) {
        let mut out = OutMessage::request(Method::Service, format_args!("sip:{other}"));
        for (name, value) in &headers {
            out.push(*name, value);
        }
        out.push("X-Other", &other);
        let out = out.with_body("application/octet-stream", body.clone());
        let read = Message::parse(out.to_bytes()).unwrap();
        let written: Vec<_> = out.iter().map(|(n, v)| (n.as_str(), v.trim_matches([' ', '\t']))).collect();
        let seen: Vec<_> = read.iter().map(|h| (h.text, h.value)).collect();
        prop_assert_eq!(&seen[..seen.len() - 1], &written[..]);
        prop_assert_eq!(seen[seen.len() - 1].0, "Content-Length");
        prop_assert_eq!(read.body(), body);
    }

    #[test]
    fn folding_and_spelling_do_not_matter(
        headers in prop::collection::vec((any_name(), any::<u8>(), folded_value(), "[ \t]{0,2}"), 1..12),
    ) {
        let mut text = "OPTIONS sip:a@b SIP/2.0\r\n".to_owned();
        for (name, style, (wire, _), space) in &headers {
            text.push_str(&format!("{}{space}:{space}{wire}{space}\r\n", spelling(*name, *style)));
        }
        text.push_str("\r\n");
        let read = Message::parse(text.clone()).unwrap();
        prop_assert_eq!(read.iter().count(), headers.len());
        for (header, (name, _, (wire, value), _)) in read.iter().zip(&headers) {
            prop_assert_eq!(header.name, Some(*name));
            prop_assert_eq!(header.value, value);
            prop_assert_eq!(header.raw, wire.as_bytes());
        }
        lanyard_sip::fuzzing::message(text.as_bytes());
    }

    #[test]
    fn a_stream_may_be_cut_anywhere(
        bodies in prop::collection::vec((any::<Vec<u8>>(), 0usize..3), 0..6),
        cuts in prop::collection::vec(1usize..40, 1..20),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (body, alive) in &bodies {
            for _ in 0..*alive {
                stream.extend_from_slice(b"\r\n\r\n");
                expected.push(None);
            }
            let out = OutMessage::response(200, "OK").with_body("text/plain", body.clone());
            stream.extend_from_slice(&out.to_bytes());
            expected.push(Some(body.clone()));
        }
        let mut framer = Framer::new();
        let mut seen = Vec::new();
        let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            rest = tail;
            framer.push(chunk);
            while let Some(frame) = framer.next_frame().unwrap() {
                seen.push(match frame {
                    Frame::KeepAlive => None,
                    Frame::Message(m) => Some(m.body().to_vec()),
                });
            }
        }
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn arbitrary_bytes_are_read_without_a_panic(data in any::<Vec<u8>>()) {
        lanyard_sip::fuzzing::message(&data);
        lanyard_sip::fuzzing::stream(&data);
    }

    #[test]
    fn arbitrary_header_text_is_read_without_a_panic(
        headers in prop::collection::vec((any_name(), "[ -~\t]{0,60}"), 0..10),
    ) {
        let mut text = "REGISTER sip:b SIP/2.0\r\n".to_owned();
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        lanyard_sip::fuzzing::message(text.as_bytes());
    }

    #[test]
    fn display_names_read_back(display in "[^\\p{Cc}]{1,30}", tag in "[a-z0-9]{1,12}") {
        let quoted = AuthValue::new("X").quoted("d", &display).finish();
        let text = format!("{} <sip:a@b;c=d>;tag={tag}", quoted.strip_prefix("X d=").unwrap());
        let address = NameAddr::parse(&text).unwrap();
        let read = address.display().unwrap();
        prop_assert_eq!(read.as_ref(), display.as_str());
        prop_assert_eq!(address.uri, "sip:a@b;c=d");
        prop_assert_eq!(address.tag(), Some(tag.as_str()));
    }

    #[test]
    fn authentication_parameters_read_back(
        values in prop::collection::vec("[^\\p{Cc}]{0,30}", 6),
        version in any::<u32>(),
    ) {
        const NAMES: [&str; 6] = ["qop", "opaque", "realm", "targetname", "crand", "response"];
        let mut value = AuthValue::new("TLS-DSK").number("version", version);
        for (name, text) in NAMES.iter().zip(&values) {
            value = value.quoted(name, text);
        }
        let value = value.finish();
        let read = AuthParams::parse(&value).unwrap();
        for (name, text) in NAMES.iter().zip(&values) {
            let seen = unescape(read.get(name).unwrap());
            prop_assert_eq!(seen.as_ref(), text.as_str());
        }
        let version = version.to_string();
        prop_assert_eq!(read.get("version"), Some(version.as_str()));
    }

    #[test]
    fn uris_read_back(
        user in "([a-zA-Z0-9_.!~*'()&=+$,;?/-]|%[0-9A-F]{2}){1,20}",
        host in "[a-z0-9-]{1,10}(\\.[a-z0-9-]{1,10}){0,3}",
        port in prop::option::of(1u16..),
        params in "(;[a-z]{1,5}(=[a-z0-9:%]{1,5})?){0,3}",
    ) {
        let port = port.map(|p| format!(":{p}")).unwrap_or_default();
        let text = format!("sip:{user}@{host}{port}{params}");
        let uri = SipUri::parse(&text).unwrap();
        prop_assert_eq!(uri.to_string(), text);
    }

    #[test]
    fn parts_read_back(bodies in prop::collection::vec(any::<Vec<u8>>(), 1..8)) {
        let mut bodies = bodies.into_iter();
        let first = bodies.next().unwrap();
        let mut expected = vec![first.clone()];
        let mut writer = MultipartWriter::related("application/rlmi+xml", "0", first);
        for body in bodies {
            writer.push("application/octet-stream", "1", body.clone());
            expected.push(body);
        }
        let (content_type, body) = writer.finish();
        let parts = multipart::read(&MediaType::parse(&content_type).unwrap(), &body).unwrap();
        let seen: Vec<_> = parts.iter().map(|p| p.body.strip_suffix(b"\r\n").unwrap()).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn endpoint_identifiers_read_back(epid in "[a-f0-9]{0,16}") {
        let id = InstanceId::of_epid(&epid);
        prop_assert_eq!(InstanceId::parse(&id.to_contact_value()), Ok(id));
        prop_assert_eq!(InstanceId::of_gruu_token(&id.to_gruu_token()), Some(id));
        prop_assert_eq!(id.uuid().get_version_num(), 5);
    }
}
