// SPDX-License-Identifier: MIT OR Apache-2.0
//! The torture messages of RFC 4475, each with what we say to it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use lanyard_sip::{Frame, Framer, Headers, Message, Method, Name, OutMessage, multipart};

fn data(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/torture/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn message(name: &str) -> Message {
    Message::parse(data(&format!("{name}.sip"))).unwrap()
}

fn verdict(bytes: Vec<u8>) -> String {
    match Message::parse(bytes) {
        Err(error) => format!("refused: {error}"),
        Ok(message) => match message.envelope() {
            Err(defect) => format!("defect: {defect}"),
            Ok(_) => "ok".to_owned(),
        },
    }
}

#[test]
fn every_torture_message_gets_the_expected_verdict() {
    let table = String::from_utf8(data("expected.tsv")).unwrap();
    let mut seen = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let (name, rfc, ours) = (columns[0], columns[2], columns[3]);
        assert_eq!(verdict(data(&format!("{name}.sip"))), ours, "{name}");
        let agrees = (rfc == "valid") == (ours == "ok");
        let excused = columns
            .get(4)
            .is_some_and(|why| why.starts_with("lenient: "));
        assert!(
            agrees || excused,
            "{name} differs from the RFC without a reason"
        );
        seen += 1;
    }
    assert_eq!(seen, 49);
}

#[test]
fn a_tortuous_invite_reads_like_a_plain_one() {
    let m = message("wsinv");
    let e = m.envelope().unwrap();
    assert_eq!(m.method(), Some(Method::Invite));
    assert_eq!(e.to.uri, "sip:vivekg@chair-dnrc.example.com");
    assert_eq!(e.to.tag(), Some("1918181833n"));
    assert_eq!(e.from.display().as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(e.from.tag(), Some("98asjd8"));
    assert_eq!((e.cseq.number, e.cseq.number_text), (9, "0009"));
    assert_eq!(e.via.branch(), Some("390skdjuw"));
    assert_eq!(m.max_forwards(), Some(68));
    assert_eq!(m.header(Name::Subject), Some(""));
    let new = m.header_named("newfangledheader");
    assert_eq!(new, Some("newfangled value continued newfangled value"));
    assert_eq!(
        m.header_named("UnknownHeaderWithUnusualValue"),
        Some(";;,,;;,;")
    );
    let vias: Vec<_> = m
        .tokens(Name::Via)
        .map(|v| lanyard_sip::Via::parse(v).unwrap())
        .collect();
    assert_eq!(vias.len(), 3);
    assert_eq!(vias[1].sent_by, "spindle.example.com");
    assert_eq!(vias[2].branch(), Some("z9hG4bK30239"));
    let contact = m.contact().unwrap();
    assert_eq!(contact.display().as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("secondparam"), Some(""));
    assert_eq!(contact.params.get("q"), Some("0.33"));
    let route = m.addresses(Name::Route).next().unwrap().sip_uri().unwrap();
    assert_eq!(route.param("unknownwith"), Some("value"));
    assert!(route.params().has("lr"));
}

#[test]
fn unusual_characters_are_kept_as_they_are() {
    let m = message("intmeth");
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!(m.method(), Some(Method::Other(method)));
    let e = m.envelope().unwrap();
    assert_eq!(e.to.display().as_deref(), Some("BEL:\x07 NUL:\0 DEL:\x7f"));
    assert_eq!(e.from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(e.from.params.get("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(e.call_id, "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(
        m.header_named("extensionHeader-!.%*+_`'~"),
        Some("\u{feff}大停電")
    );
}

#[test]
fn percent_is_no_escape_in_names_and_methods() {
    let m = message("esc02");
    assert_eq!(m.method(), Some(Method::Other("RE%47IST%45R")));
    assert_eq!(m.headers(Name::Contact).count(), 2);
    let m = message("esc01");
    let uri = lanyard_sip::SipUri::parse(m.uri().unwrap()).unwrap();
    assert_eq!(
        (uri.user(), uri.host()),
        (Some("sips%3Auser%40example.com"), "example.net")
    );
    let m = message("semiuri");
    let uri = lanyard_sip::SipUri::parse(m.uri().unwrap()).unwrap();
    assert_eq!(uri.user(), Some("user;par=u%40example.net"));
    assert!(!uri.params().has("par"));
}

#[test]
fn two_requests_in_one_datagram_are_one_and_on_a_stream_two() {
    assert_eq!(message("dblreq").method(), Some(Method::Register));
    let mut framer = Framer::new();
    framer.push(&data("dblreq.sip"));
    let mut methods = Vec::new();
    while let Some(frame) = framer.next_frame().unwrap() {
        let Frame::Message(m) = frame else { continue };
        methods.push(m.method().unwrap().to_string());
    }
    assert_eq!(methods, ["REGISTER", "INVITE"]);
}

#[test]
fn a_binary_part_is_read_whole() {
    let m = message("mpart01");
    let parts = multipart::read(&m.content_type().unwrap(), m.body()).unwrap();
    assert_eq!(parts[0].body, b"Hello");
    assert_eq!(parts[1].body, (0..=255).collect::<Vec<u8>>());
}

#[test]
fn reasons_may_be_unusual_or_missing() {
    let m = message("unreason");
    let reason = "= 2**3 * 5**2 но сто девяносто девять - простое";
    assert_eq!((m.status(), m.reason()), (Some(200), Some(reason)));
    let m = message("noreason");
    assert_eq!((m.status(), m.reason()), (Some(100), Some("")));
}

#[test]
fn every_accepted_message_survives_being_forwarded() {
    let table = String::from_utf8(data("expected.tsv")).unwrap();
    for line in table.lines().filter(|line| line.contains("\tok")) {
        let name = line.split('\t').next().unwrap();
        let before = message(name);
        let after = Message::parse(OutMessage::forward(&before).to_bytes()).unwrap();
        assert_eq!(before.start(), after.start(), "{name}");
        assert_eq!(before.body(), after.body(), "{name}");
        let kept = |m: &Message| {
            m.iter()
                .filter(|h| !matches!(h.name, Some(Name::ContentLength | Name::Authorization)))
                .map(|h| (h.name, h.value.to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(&before), kept(&after), "{name}");
    }
}
