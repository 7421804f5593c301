// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents in XML.

use super::AutodiscoverError;
use super::document::{
    AccessLocation, AutodiscoverResponse, Endpoint, LINKS_MAX, Link, LinkToken, RootDocument,
    UserDocument,
};
use crate::xml::{Document, Element, XmlWriter};

pub(super) fn write(response: &AutodiscoverResponse) -> String {
    let mut xml = XmlWriter::with_declaration();
    let location = match response {
        AutodiscoverResponse::Redirect { .. } => None,
        AutodiscoverResponse::Root(root) => root.access_location,
        AutodiscoverResponse::User(user) => user.access_location,
    };
    match location {
        Some(place) => {
            xml.open(
                "AutodiscoverResponse",
                &[("AccessLocation", place.as_str())],
            );
        }
        None => {
            xml.open("AutodiscoverResponse", &[]);
        }
    }
    match response {
        AutodiscoverResponse::Redirect { href } => {
            xml.open("Root", &[]);
            write_links(&mut xml, &[Link::new(LinkToken::Redirect, href)]);
        }
        AutodiscoverResponse::Root(root) => {
            xml.open("Root", &[]);
            write_links(&mut xml, &root.links);
        }
        AutodiscoverResponse::User(user) => {
            xml.open("User", &[]);
            for (name, endpoint) in [
                ("SipServerInternalAccess", &user.sip_server_internal),
                ("SipServerExternalAccess", &user.sip_server_external),
                ("SipClientInternalAccess", &user.sip_client_internal),
                ("SipClientExternalAccess", &user.sip_client_external),
            ] {
                if let Some(endpoint) = endpoint {
                    let port = endpoint.port.to_string();
                    xml.empty(name, &[("fqdn", &endpoint.fqdn), ("port", &port)]);
                }
            }
            write_links(&mut xml, &user.links);
        }
    }
    xml.finish()
}

pub(super) fn read(body: &str) -> Result<AutodiscoverResponse, AutodiscoverError> {
    let document = Document::parse(body)?;
    let response = document.root();
    let access_location = response
        .attribute("AccessLocation")
        .and_then(AccessLocation::read);
    if let Some(root) = response.child("Root") {
        return Ok(AutodiscoverResponse::of_root(RootDocument {
            access_location,
            links: links(root),
        }));
    }
    let user = response.child("User").ok_or(AutodiscoverError::Empty)?;
    Ok(AutodiscoverResponse::of_user(UserDocument {
        access_location,
        sip_server_internal: endpoint(user, "SipServerInternalAccess"),
        sip_server_external: endpoint(user, "SipServerExternalAccess"),
        sip_client_internal: endpoint(user, "SipClientInternalAccess"),
        sip_client_external: endpoint(user, "SipClientExternalAccess"),
        links: links(user),
    }))
}

fn write_links(xml: &mut XmlWriter, links: &[Link]) {
    for link in links {
        xml.empty(
            "Link",
            &[("token", link.token.as_str()), ("href", &link.href)],
        );
    }
}

fn links(parent: Element<'_>) -> Vec<Link> {
    parent
        .children()
        .filter(|child| child.local() == "Link")
        .filter_map(|link| Link::read(link.attribute("token")?, link.attribute("href")?))
        .take(LINKS_MAX)
        .collect()
}

fn endpoint(user: Element<'_>, name: &str) -> Option<Endpoint> {
    let element = user.child(name)?;
    Endpoint::read(
        element.attribute("fqdn")?,
        element.attribute("port")?.parse().ok()?,
    )
}
