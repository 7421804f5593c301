// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::xml::Document;

macro_rules! vectors {
    ($($name:ident),* $(,)?) => {
        [$((
            stringify!($name),
            include_str!(concat!("../../testdata/c14n/", stringify!($name), ".xml")),
            include_str!(concat!("../../testdata/c14n/", stringify!($name), ".c14n")),
        )),*]
    };
}

#[test]
fn every_vector_of_the_independent_implementation_agrees() {
    for (name, source, expected) in vectors![
        plain,
        unused_prefixes_vanish,
        prefix_written_where_used,
        default_undone,
        default_not_written_for_none,
        redeclared_prefix,
        attribute_order,
        characters,
        comments_vanish,
        same_namespace_two_prefixes,
    ] {
        let document = Document::parse(source).unwrap();
        let inner = matches!(
            name,
            "unused_prefixes_vanish" | "default_not_written_for_none"
        );
        let apex = match inner {
            true => document.root().child("b").unwrap(),
            false => document.root(),
        };
        assert_eq!(canonical(apex), expected, "{name}");
    }
}
