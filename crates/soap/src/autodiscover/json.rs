// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents in JSON.

use serde_json::{Map, Value, json};

use super::AutodiscoverError;
use super::document::{
    AccessLocation, AutodiscoverResponse, Endpoint, LINKS_MAX, Link, LinkToken, RootDocument,
    UserDocument,
};
use crate::xml::DOCUMENT_BYTES_MAX;

pub(super) fn write(response: &AutodiscoverResponse) -> String {
    let mut document = Map::new();
    let mut set_location = |location: Option<AccessLocation>| {
        if let Some(place) = location {
            document.insert("AccessLocation".into(), place.as_str().into());
        }
    };
    let (name, content) = match response {
        AutodiscoverResponse::Redirect { href } => (
            "Root",
            json!({ "Links": links_value(&[Link::new(LinkToken::Redirect, href)]) }),
        ),
        AutodiscoverResponse::Root(root) => {
            set_location(root.access_location);
            ("Root", json!({ "Links": links_value(&root.links) }))
        }
        AutodiscoverResponse::User(user) => {
            set_location(user.access_location);
            ("User", user_value(user))
        }
    };
    document.insert(name.into(), content);
    Value::Object(document).to_string()
}

pub(super) fn read(body: &str) -> Result<AutodiscoverResponse, AutodiscoverError> {
    if body.len() > DOCUMENT_BYTES_MAX {
        return Err(AutodiscoverError::Json);
    }
    let body = body.strip_prefix('\u{FEFF}').unwrap_or(body);
    // serde_json refuses nesting deeper than 128 by itself.
    let document: Value = serde_json::from_str(body).map_err(|_| AutodiscoverError::Json)?;
    let access_location = field(&document, "AccessLocation")
        .and_then(Value::as_str)
        .and_then(AccessLocation::read);
    if let Some(root) = field(&document, "Root").filter(|root| root.is_object()) {
        return Ok(AutodiscoverResponse::of_root(RootDocument {
            access_location,
            links: links(root),
        }));
    }
    let user = field(&document, "User")
        .filter(|user| user.is_object())
        .ok_or(AutodiscoverError::Empty)?;
    Ok(AutodiscoverResponse::of_user(UserDocument {
        access_location,
        sip_server_internal: endpoint(user, "SipServerInternalAccess"),
        sip_server_external: endpoint(user, "SipServerExternalAccess"),
        sip_client_internal: endpoint(user, "SipClientInternalAccess"),
        sip_client_external: endpoint(user, "SipClientExternalAccess"),
        links: links(user),
    }))
}

fn links_value(links: &[Link]) -> Value {
    links
        .iter()
        .map(|link| json!({ "token": link.token.as_str(), "href": link.href }))
        .collect()
}

fn user_value(user: &UserDocument) -> Value {
    let mut value = Map::new();
    for (name, endpoint) in [
        ("SipServerInternalAccess", &user.sip_server_internal),
        ("SipServerExternalAccess", &user.sip_server_external),
        ("SipClientInternalAccess", &user.sip_client_internal),
        ("SipClientExternalAccess", &user.sip_client_external),
    ] {
        if let Some(endpoint) = endpoint {
            value.insert(
                name.into(),
                json!({ "fqdn": endpoint.fqdn, "port": endpoint.port }),
            );
        }
    }
    value.insert("Links".into(), links_value(&user.links));
    Value::Object(value)
}

/// A field by name, without regard to case: servers differ.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value
        .as_object()?
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn links(parent: &Value) -> Vec<Link> {
    let Some(links) = field(parent, "Links").and_then(Value::as_array) else {
        return Vec::new();
    };
    links
        .iter()
        .filter_map(|link| {
            Link::read(
                field(link, "token")?.as_str()?,
                field(link, "href")?.as_str()?,
            )
        })
        .take(LINKS_MAX)
        .collect()
}

fn endpoint(user: &Value, name: &str) -> Option<Endpoint> {
    let value = field(user, name)?;
    let port = match field(value, "port")? {
        Value::String(text) => text.parse().ok()?,
        number => u16::try_from(number.as_u64()?).ok()?,
    };
    Endpoint::read(field(value, "fqdn")?.as_str()?, port)
}
