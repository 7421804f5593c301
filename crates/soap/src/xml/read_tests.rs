// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use proptest::prelude::*;

fn refused(source: &str) -> XmlError {
    Document::parse(source).unwrap_err()
}

#[test]
fn slices_are_the_received_bytes() {
    let source = "<?xml version=\"1.0\"?>\n<a xmlns='u'><x:b xmlns:x=\"v\"  k = 'ü'>t&amp;\r\n<c/></x:b ></a>\n";
    let document = Document::parse(source).unwrap();
    let b = document.root().child_of("v", "b").unwrap();
    assert_eq!(
        b.outer(),
        "<x:b xmlns:x=\"v\"  k = 'ü'>t&amp;\r\n<c/></x:b >"
    );
    assert_eq!(b.inner(), "t&amp;\r\n<c/>");
    assert_eq!(&source[b.inner_range()], b.inner());
    assert_eq!((b.prefix(), b.local(), b.namespace()), ("x", "b", "v"));
    assert_eq!(b.attribute("k"), Some("ü"));
    assert_eq!(b.text(), "t&\n");
    let c = b.child("c").unwrap();
    assert_eq!((c.outer(), c.inner(), c.namespace()), ("<c/>", "", "u"));
    assert_eq!(
        document
            .root()
            .descendants()
            .map(Element::local)
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(b.descendants().count(), 2);
}

#[test]
fn namespaces_follow_scope_and_attributes_have_none_by_default() {
    let source = "<a xmlns='u' xmlns:p='v' k='1' p:k='2'><b xmlns=''/><p:b/></a>";
    let document = Document::parse(source).unwrap();
    let root = document.root();
    assert_eq!(root.attribute("k"), Some("1"));
    assert_eq!(root.attribute_of("v", "k"), Some("2"));
    let spaces: Vec<&str> = root.children().map(Element::namespace).collect();
    assert_eq!(spaces, ["", "v"]);
}

#[test]
fn document_types_entities_and_instructions_are_refused() {
    assert_eq!(refused("<!DOCTYPE a><a/>"), XmlError::DocumentType);
    assert_eq!(
        refused("<!DOCTYPE a [<!ENTITY x \"y\"><!ENTITY z \"&x;&x;\">]><a>&z;</a>"),
        XmlError::DocumentType
    );
    assert_eq!(refused("<a>&x;</a>"), XmlError::Entity);
    assert_eq!(refused("<a k='&x;'/>"), XmlError::Entity);
    assert_eq!(refused("<a><?php x?></a>"), XmlError::ProcessingInstruction);
    assert_eq!(
        refused("<?xml-stylesheet href='x'?><a/>"),
        XmlError::ProcessingInstruction
    );
}

#[test]
fn a_bomb_of_doctype_entities_is_refused_before_it_grows() {
    let mut bomb = String::from("<!DOCTYPE lolz [<!ENTITY lol0 \"lol\">");
    for level in 1..20 {
        let inner = format!("&lol{};", level - 1).repeat(10);
        bomb.push_str(&format!("<!ENTITY lol{level} \"{inner}\">"));
    }
    bomb.push_str("]><lolz>&lol19;</lolz>");
    assert_eq!(refused(&bomb), XmlError::DocumentType);
}

#[test]
fn depth_is_limited_exactly() {
    let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    assert!(Document::parse(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(refused(&nested(DEPTH_MAX + 1)), XmlError::TooDeep);
    assert_eq!(refused(&"<a>".repeat(50_000)), XmlError::TooDeep);
}

#[test]
fn number_of_elements_is_limited_exactly() {
    let wide = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n - 1));
    assert!(Document::parse(&wide(ELEMENTS_MAX)).is_ok());
    assert_eq!(refused(&wide(ELEMENTS_MAX + 1)), XmlError::TooManyElements);
}

#[test]
fn number_of_attributes_is_limited_exactly() {
    let many = |n: usize| {
        let attributes: String = (0..n).map(|i| format!(" k{i}='v'")).collect();
        format!("<a{attributes}/>")
    };
    assert!(Document::parse(&many(ATTRIBUTES_MAX)).is_ok());
    assert_eq!(
        refused(&many(ATTRIBUTES_MAX + 1)),
        XmlError::TooManyAttributes
    );
}

#[test]
fn namespaces_are_limited_in_length_and_number() {
    let named = |n: usize| format!("<a xmlns=\"{}\"/>", "n".repeat(n));
    assert!(Document::parse(&named(NAMESPACE_BYTES_MAX)).is_ok());
    assert_eq!(
        refused(&named(NAMESPACE_BYTES_MAX + 1)),
        XmlError::TooManyNamespaces
    );
    let different = |n: usize| {
        let all: String = (0..n).map(|i| format!("<b xmlns=\"u{i}\"/>")).collect();
        format!("<a>{all}</a>")
    };
    let own = Document::parse("<a/>").unwrap().namespaces.len();
    assert!(Document::parse(&different(NAMESPACES_MAX - own)).is_ok());
    assert_eq!(
        refused(&different(NAMESPACES_MAX - own + 1)),
        XmlError::TooManyNamespaces
    );
    let nested = |n: usize| {
        let inside = |from: usize, to: usize| -> String {
            (from..to).map(|i| format!(" xmlns:p{i}=\"u\"")).collect()
        };
        format!("<a{}><b{}/></a>", inside(0, n / 2), inside(n / 2, n))
    };
    assert!(Document::parse(&nested(DECLARATIONS_MAX)).is_ok());
    let deeper = nested(DECLARATIONS_MAX).replace("<a", "<o xmlns:q=\"u\"><a") + "</o>";
    assert_eq!(refused(&deeper), XmlError::TooManyNamespaces);
}

#[test]
fn size_is_limited_exactly() {
    let sized = |n: usize| format!("<a>{}</a>", "x".repeat(n - "<a></a>".len()));
    assert!(Document::parse(&sized(DOCUMENT_BYTES_MAX)).is_ok());
    assert_eq!(refused(&sized(DOCUMENT_BYTES_MAX + 1)), XmlError::TooLarge);
}

#[test]
fn names_have_a_limit_and_a_form() {
    let named = |n: usize| format!("<{}/>", "a".repeat(n));
    assert!(Document::parse(&named(NAME_BYTES_MAX)).is_ok());
    assert_eq!(refused(&named(NAME_BYTES_MAX + 1)), XmlError::Name);
    for source in [
        "<1a/>",
        "<a:b:c/>",
        "<:a/>",
        "<a: xmlns:a='u'/>",
        "<a 1='x'/>",
    ] {
        assert_eq!(refused(source), XmlError::Name, "{source}");
    }
}

#[test]
fn undeclared_and_reserved_prefixes_are_refused() {
    for source in [
        "<p:a/>",
        "<a p:k='v'/>",
        "<a><b xmlns:p='u'/><p:c/></a>",
        "<a xmlns:p=''/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='u'/>",
    ] {
        assert_eq!(refused(source), XmlError::Namespace, "{source}");
    }
}

#[test]
fn an_attribute_stands_once_also_through_two_prefixes() {
    assert_eq!(refused("<a k='1' k='2'/>"), XmlError::AttributeTwice);
    assert_eq!(
        refused("<a xmlns:p='u' xmlns:q='u' p:k='1' q:k='2'/>"),
        XmlError::AttributeTwice
    );
}

#[test]
fn other_encodings_and_versions_are_refused() {
    assert_eq!(
        refused("<?xml version='1.0' encoding='utf-16'?><a/>"),
        XmlError::Encoding
    );
    assert_eq!(refused("<?xml version='1.1'?><a/>"), XmlError::Encoding);
    assert!(Document::parse("\u{FEFF}<?xml version='1.0' encoding='UTF-8'?><a/>").is_ok());
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for source in [
        "",
        " ",
        "text",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>text",
        "text<a/>",
        "<a",
        "<a k/>",
        "<a k=v/>",
        "<a k='<'/>",
        "<a>]]></a>",
        "<a>&amp</a>",
        "<a>&</a>",
        "<a><!-- -- --></a>",
        "<![CDATA[x]]><a/>",
        "<a/>&amp;",
        " <?xml version='1.0'?><a/>",
        "<a>&#xG;</a>",
        "<a>&#;</a>",
    ] {
        assert!(Document::parse(source).is_err(), "{source}");
    }
}

#[test]
fn characters_that_xml_does_not_have_are_refused_in_every_way() {
    assert_eq!(refused("<a>\u{1}</a>"), XmlError::Character);
    assert_eq!(refused("<a>\u{FFFE}</a>"), XmlError::Character);
    assert_eq!(refused("<a>&#0;</a>"), XmlError::Character);
    assert_eq!(refused("<a>&#xD800;</a>"), XmlError::Character);
    assert_eq!(refused("<a k='&#x110000;'/>"), XmlError::Character);
}

#[test]
fn comments_do_not_cut_a_text_short() {
    let document = Document::parse("<a>sip:alice@contoso.test<!-- .evil --></a>").unwrap();
    assert_eq!(document.root().text(), "sip:alice@contoso.test");
    let document = Document::parse("<a>ad<!--x-->min<![CDATA[<&]]></a>").unwrap();
    assert_eq!(document.root().text(), "admin<&");
}

#[test]
fn attribute_values_are_normalised() {
    let document = Document::parse("<a k='a\r\nb\tc&#10;d&quot;'/>").unwrap();
    assert_eq!(document.root().attribute("k"), Some("a b c\nd\""));
}

proptest! {
    #[test]
    fn any_bytes_are_answered_without_panic(source in "[<>/a-c:=' \"&;#x\\[\\]!?\\-\u{e4}\r\n]{0,80}") {
        if let Ok(document) = Document::parse(&source) {
            for element in document.root().descendants() {
                prop_assert!(element.outer().starts_with('<'));
                prop_assert!(element.outer().contains(element.inner()));
            }
            // What we read and write canonically is read again as the same.
            let canonical = crate::xml::canonical(document.root());
            let again = Document::parse(&canonical).unwrap();
            prop_assert_eq!(crate::xml::canonical(again.root()), canonical);
        }
    }
}
