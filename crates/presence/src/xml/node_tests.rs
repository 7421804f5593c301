// SPDX-License-Identifier: MIT OR Apache-2.0
//! Documents that are read, and those that are not.

use super::*;

fn parse(text: &str) -> Result<Element, XmlError> {
    Element::parse(text.as_bytes())
}

#[test]
fn a_document_type_is_refused() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><a>&b;</a>";
    assert_eq!(parse(bomb), Err(XmlError::DocumentType));
    assert_eq!(parse("<a>&b;</a>"), Err(XmlError::Entity));
    assert_eq!(parse("<a b='&c;'/>"), Err(XmlError::Entity));
}

#[test]
fn nesting_has_a_limit_and_one_over_is_refused() {
    let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    assert!(parse(&nested(XML_DEPTH_MAX)).is_ok());
    assert_eq!(parse(&nested(XML_DEPTH_MAX + 1)), Err(XmlError::TooDeep));
}

#[test]
fn elements_and_attributes_have_a_limit() {
    let wide = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n - 1));
    assert!(parse(&wide(XML_ELEMENTS_MAX)).is_ok());
    assert_eq!(parse(&wide(XML_ELEMENTS_MAX + 1)), Err(XmlError::TooMany));
    let with = |n: usize| {
        let attributes: String = (0..n).map(|i| format!(" a{i}='1'")).collect();
        format!("<a{attributes}/>")
    };
    assert!(parse(&with(XML_ATTRIBUTES_MAX)).is_ok());
    assert_eq!(parse(&with(XML_ATTRIBUTES_MAX + 1)), Err(XmlError::TooMany));
}

#[test]
fn namespaces_have_a_limit_and_do_not_multiply() {
    let named = |n: usize| format!("<a xmlns='{}'/>", "n".repeat(n));
    assert!(parse(&named(XML_NAMESPACE_BYTES_MAX)).is_ok());
    assert_eq!(
        parse(&named(XML_NAMESPACE_BYTES_MAX + 1)),
        Err(XmlError::TooLarge)
    );
    let scoped = |n: usize| {
        let open: String = (0..n).map(|i| format!("<a xmlns:p{i}='u'>")).collect();
        open + &"</a>".repeat(n)
    };
    // Many on one path, and many more beside each other.
    let wide = |n: usize| {
        let declarations: String = (0..n).map(|i| format!(" xmlns:p{i}='u'")).collect();
        format!("<r><a{declarations}><b{declarations}/></a></r>")
    };
    assert!(parse(&scoped(XML_DEPTH_MAX)).is_ok());
    assert!(parse(&wide(XML_ATTRIBUTES_MAX)).is_ok());
    let deeper = wide(XML_ATTRIBUTES_MAX).replace("<r>", "<r xmlns:q='u'>");
    assert_eq!(parse(&deeper), Err(XmlError::TooMany));

    // Each child repeats the namespace of its prefix when the part stands alone.
    let children = "<p:c/>".repeat(10_000);
    let text = format!("<r xmlns:p='{}'><a>{children}</a></r>", "n".repeat(256));
    let root = parse(&text).expect("document");
    let part = root.child("a").expect("child");
    assert!(part.to_xml().len() > 30 * text.len());
    assert_eq!(part.to_xml_within(16 * 1024), None);
    assert_eq!(root.to_xml_within(text.len()), Some(root.to_xml()));
}

#[test]
fn broken_documents_are_refused() {
    for text in [
        "",
        "a",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a b=c/>",
        "<a b='1' b='2'/>",
        "<a\"/>",
        "<a>&#0;</a>",
        "<a>&#xFFFF;</a>",
        "<a>\u{1}</a>",
        "<1/>",
        "<a:/>",
        "<a b='<'/>",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert_eq!(parse("<p:a/>"), Err(XmlError::Prefix));
    assert_eq!(Element::parse(b"<a>\xff</a>"), Err(XmlError::NotUtf8));
    assert_eq!(
        Element::parse(&vec![b' '; BODY_BYTES_MAX + 1]),
        Err(XmlError::TooLarge)
    );
}

#[test]
fn a_subtree_stands_alone_with_the_prefixes_it_uses() {
    let text = "<p:x xmlns:p='urn:p' xmlns='urn:d' xmlns:i='http://www.w3.org/2001/XMLSchema-instance'>\
                <s i:type='userState' n='1 &amp; 2'><p:t>a&lt;b</p:t></s></p:x>";
    let root = parse(text).expect("document");
    let part = root.child("s").expect("child").to_xml();
    assert_eq!(
        part,
        "<s xmlns=\"urn:d\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:type=\"userState\" \
         n=\"1 &amp; 2\"><p:t xmlns:p=\"urn:p\">a&lt;b</p:t></s>"
    );
    let again = parse(&part).expect("document");
    assert_eq!(again.xsi_type(), Some("userState"));
    assert_eq!(again.to_xml(), part);
}

#[test]
fn a_default_namespace_is_left_where_the_document_leaves_it() {
    let text = "<a xmlns=\"urn:d\"><b xmlns=\"\"/></a>";
    assert_eq!(parse(text).expect("document").to_xml(), text);
}
