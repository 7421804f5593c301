// SPDX-License-Identifier: MIT OR Apache-2.0
//! Service descriptions (`…/mex`): which ports there are and which ticket they want.
//!
//! Clients look for `Policy` and `service` directly below the root, by local names.

use crate::names;
use crate::xml::{Document, Element, XmlError, XmlWriter};

/// Port of the web ticket service that takes the cookie of the passive sign-in.
pub const PORT_PASSIVE: &str = "WebTicketServicePassive";
/// Port of the web ticket service that takes a password (Basic over TLS).
pub const PORT_WIN_NEGOTIATE: &str = "WebTicketServiceWinNegotiate";
/// Port of the web ticket service that takes a chat certificate, by mutual TLS.
pub const PORT_CERTIFICATE: &str = "WebTicketServiceCert";
/// Port of the address book that takes a ticket alone.
pub const PORT_ADDRESS_BOOK: &str = "AddressBookWebTicketBearer";
/// Id of the policy of [`PORT_ADDRESS_BOOK`].
pub const POLICY_ADDRESS_BOOK: &str = "AddressBookWebTicketBearer_policy";
/// Port of certificate provisioning that takes a ticket with proof of possession.
pub const PORT_WEB_TICKET_PROOF: &str = "CertProvisioningServiceWebTicketProof_SHA1";
/// Id of the policy of [`PORT_WEB_TICKET_PROOF`].
pub const POLICY_WEB_TICKET_PROOF: &str = "CertProvisioningServiceWebTicketProof_SHA1_policy";
/// Longest address of a port.
const LOCATION_BYTES_MAX: usize = 1024;

/// Why a service description cannot be used.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MexError {
    /// Not XML that we read.
    #[error("the service description is not readable XML")]
    Xml(#[from] XmlError),
    /// The port that we need is not listed.
    #[error("the service description does not list the port {0}")]
    NoPort(&'static str),
    /// The policy of the port names no issuer of tickets.
    #[error("the service description names no issuer of tickets")]
    NoIssuer,
}

/// The description of the web ticket service: the ways to get a ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebTicketMex {
    /// Address of [`PORT_PASSIVE`].
    pub passive: Option<String>,
    /// Address of [`PORT_WIN_NEGOTIATE`].
    pub win_negotiate: Option<String>,
    /// Address of [`PORT_CERTIFICATE`].
    pub certificate: Option<String>,
}

impl WebTicketMex {
    /// The WSDL document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = definitions("WebTicketService");
        xml.open("wsdl:service", &[("name", "WebTicketService")]);
        if let Some(location) = &self.win_negotiate {
            port(&mut xml, PORT_WIN_NEGOTIATE, location);
        }
        if let Some(location) = &self.passive {
            port(&mut xml, PORT_PASSIVE, location);
        }
        if let Some(location) = &self.certificate {
            port(&mut xml, PORT_CERTIFICATE, location);
        }
        xml.finish()
    }

    /// Reads the document; ports that we do not know are passed over.
    pub fn parse(body: &str) -> Result<Self, MexError> {
        let document = Document::parse(body)?;
        let location = |name| location_of(document.root(), name);
        Ok(Self {
            passive: location(PORT_PASSIVE),
            win_negotiate: location(PORT_WIN_NEGOTIATE),
            certificate: location(PORT_CERTIFICATE),
        })
    }
}

/// The description of certificate provisioning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertProvMex {
    /// Address of the web ticket service that issues the tickets.
    pub issuer: String,
    /// Address of [`PORT_WEB_TICKET_PROOF`].
    pub endpoint: String,
}

impl CertProvMex {
    /// The WSDL document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = definitions("CertProvisioningService");
        policy(
            &mut xml,
            POLICY_WEB_TICKET_PROOF,
            "sp:EndorsingSupportingTokens",
            &self.issuer,
        );
        xml.open("wsdl:service", &[("name", "CertProvisioningService")]);
        port(&mut xml, PORT_WEB_TICKET_PROOF, &self.endpoint);
        xml.finish()
    }

    /// Reads the document.
    pub fn parse(body: &str) -> Result<Self, MexError> {
        let document = Document::parse(body)?;
        let root = document.root();
        let endpoint = location_of(root, PORT_WEB_TICKET_PROOF)
            .ok_or(MexError::NoPort(PORT_WEB_TICKET_PROOF))?;
        let issuer = issuer_of(root, POLICY_WEB_TICKET_PROOF, "EndorsingSupportingTokens")
            .ok_or(MexError::NoIssuer)?;
        Ok(Self { issuer, endpoint })
    }
}

/// The description of the address book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressBookMex {
    /// Address of the web ticket service that issues the tickets.
    pub issuer: String,
    /// Address of [`PORT_ADDRESS_BOOK`].
    pub endpoint: String,
}

impl AddressBookMex {
    /// The WSDL document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = definitions("AddressBook");
        policy(
            &mut xml,
            POLICY_ADDRESS_BOOK,
            "sp:SignedSupportingTokens",
            &self.issuer,
        );
        xml.open("wsdl:service", &[("name", "AddressBook")]);
        port(&mut xml, PORT_ADDRESS_BOOK, &self.endpoint);
        xml.finish()
    }

    /// Reads the document.
    ///
    /// # Errors
    /// When port or issuer are missing.
    pub fn parse(body: &str) -> Result<Self, MexError> {
        let document = Document::parse(body)?;
        let root = document.root();
        let endpoint =
            location_of(root, PORT_ADDRESS_BOOK).ok_or(MexError::NoPort(PORT_ADDRESS_BOOK))?;
        let issuer = issuer_of(root, POLICY_ADDRESS_BOOK, "SignedSupportingTokens")
            .ok_or(MexError::NoIssuer)?;
        Ok(Self { issuer, endpoint })
    }
}

/// Who issues the tickets that the policy of this id wants as tokens of this kind.
fn issuer_of(root: Element<'_>, id: &str, tokens: &str) -> Option<String> {
    root.children()
        .find(|e| e.local() == "Policy" && e.attribute_of(names::WSU, "Id") == Some(id))?
        .path(&[
            "ExactlyOne",
            "All",
            tokens,
            "Policy",
            "IssuedToken",
            "Issuer",
            "Address",
        ])
        .map(Element::trimmed_text)
        .filter(|text| is_location(text))
}

/// Says that a port takes a web ticket of this issuer, as one kind of token or the other.
fn policy(xml: &mut XmlWriter, id: &str, tokens: &'static str, issuer: &str) {
    xml.open(
        "wsp:Policy",
        &[
            ("xmlns:wsp", names::POLICY),
            ("xmlns:wsu", names::WSU),
            ("wsu:Id", id),
        ],
    )
    .open("wsp:ExactlyOne", &[])
    .open("wsp:All", &[])
    .open(tokens, &[("xmlns:sp", names::SECURITY_POLICY)])
    .open("wsp:Policy", &[])
    .open("sp:IssuedToken", &[])
    .open("sp:Issuer", &[])
    .leaf("wsa:Address", &[("xmlns:wsa", names::ADDRESSING)], issuer)
    .close();
    xml.open("sp:RequestSecurityTokenTemplate", &[])
        .leaf(
            "wst:TokenType",
            &[("xmlns:wst", names::TRUST)],
            names::TOKEN_SAML11,
        )
        .leaf(
            "wst:KeyType",
            &[("xmlns:wst", names::TRUST)],
            names::KEY_SYMMETRIC,
        )
        .close();
    // IssuedToken, Policy, EndorsingSupportingTokens; then All, ExactlyOne, Policy.
    xml.close().close().close().close().close().close();
}

fn definitions(name: &str) -> XmlWriter {
    let mut xml = XmlWriter::with_declaration();
    xml.open(
        "wsdl:definitions",
        &[
            ("xmlns:wsdl", names::WSDL),
            ("xmlns:soap", names::WSDL_SOAP),
            ("name", name),
            ("targetNamespace", "urn:lanyard:services"),
        ],
    );
    xml
}

fn port(xml: &mut XmlWriter, name: &str, location: &str) {
    xml.open("wsdl:port", &[("name", name)])
        .empty("soap:address", &[("location", location)])
        .close();
}

fn location_of(root: Element<'_>, port: &str) -> Option<String> {
    root.children()
        .filter(|service| service.local() == "service")
        .flat_map(Element::children)
        .find(|e| e.local() == "port" && e.attribute("name") == Some(port))
        .and_then(|e| e.child("address")?.attribute("location"))
        .filter(|location| is_location(location))
        .map(str::to_owned)
}

fn is_location(text: &str) -> bool {
    text.len() <= LOCATION_BYTES_MAX
        && (text.starts_with("https://") || text.starts_with("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://lync.contoso.test/WebTicket/WebTicketService.svc";

    fn provisioning() -> CertProvMex {
        CertProvMex {
            issuer: ISSUER.into(),
            endpoint:
                "https://lync.contoso.test/CertProv/CertProvisioningService.svc/WebTicket_Proof"
                    .into(),
        }
    }

    #[test]
    fn provisioning_is_described_and_read() {
        let xml = provisioning().to_xml();
        insta::assert_snapshot!(xml);
        assert_eq!(CertProvMex::parse(&xml), Ok(provisioning()));
    }

    /// The walk of SIPE: local names only, `Policy` and `service` below the root.
    #[test]
    fn the_walk_of_sipe_finds_issuer_and_endpoint() {
        let xml = provisioning().to_xml();
        let document = Document::parse(&xml).unwrap();
        let root = document.root();
        let policy = root.child("Policy").unwrap();
        assert_eq!(
            policy.attribute_of(names::WSU, "Id"),
            Some("CertProvisioningServiceWebTicketProof_SHA1_policy")
        );
        let path = [
            "ExactlyOne",
            "All",
            "EndorsingSupportingTokens",
            "Policy",
            "IssuedToken",
            "Issuer",
            "Address",
        ];
        assert_eq!(policy.path(&path).unwrap().text(), ISSUER);
        let port = root.path(&["service", "port"]).unwrap();
        assert_eq!(
            port.attribute("name"),
            Some("CertProvisioningServiceWebTicketProof_SHA1")
        );
        assert!(
            port.child("address")
                .unwrap()
                .attribute("location")
                .unwrap()
                .ends_with("_Proof")
        );
    }

    #[test]
    fn the_ticket_service_lists_only_what_is_offered() {
        let passive = WebTicketMex {
            passive: Some(format!("{ISSUER}/Passive")),
            ..WebTicketMex::default()
        };
        insta::assert_snapshot!(passive.to_xml());
        assert!(!passive.to_xml().contains("WinNegotiate"));
        assert_eq!(WebTicketMex::parse(&passive.to_xml()), Ok(passive.clone()));
        let both = WebTicketMex {
            win_negotiate: Some(format!("{ISSUER}/WinNegotiate")),
            certificate: Some(format!("{ISSUER}/Cert")),
            ..passive
        };
        assert_eq!(WebTicketMex::parse(&both.to_xml()), Ok(both));
        let none = WebTicketMex::default();
        assert_eq!(WebTicketMex::parse(&none.to_xml()), Ok(none));
    }

    #[test]
    fn the_address_book_is_described_and_read() {
        let book = AddressBookMex {
            issuer: ISSUER.into(),
            endpoint: "https://lync.contoso.test/GroupExpansion/Service.svc/WebTicket_Bearer"
                .into(),
        };
        let xml = book.to_xml();
        insta::assert_snapshot!(xml);
        assert_eq!(AddressBookMex::parse(&xml), Ok(book));
        // What one service wants is not what the other one takes.
        assert_eq!(
            CertProvMex::parse(&xml),
            Err(MexError::NoPort(PORT_WEB_TICKET_PROOF))
        );
        let xml = xml.replace("SignedSupportingTokens", "Other");
        assert_eq!(AddressBookMex::parse(&xml), Err(MexError::NoIssuer));
    }

    #[test]
    fn missing_parts_are_named() {
        let xml = provisioning()
            .to_xml()
            .replace("Proof_SHA1\"><soap", "Other\"><soap");
        assert_eq!(
            CertProvMex::parse(&xml),
            Err(MexError::NoPort(PORT_WEB_TICKET_PROOF))
        );
        let xml = provisioning()
            .to_xml()
            .replace("EndorsingSupportingTokens", "Other");
        assert_eq!(CertProvMex::parse(&xml), Err(MexError::NoIssuer));
        let mut other = provisioning();
        other.endpoint = "file:///etc/passwd".into();
        assert_eq!(
            CertProvMex::parse(&other.to_xml()),
            Err(MexError::NoPort(PORT_WEB_TICKET_PROOF))
        );
        assert!(matches!(WebTicketMex::parse("<a"), Err(MexError::Xml(_))));
    }
}
