// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refusals: one table of diagnostics, as SOAP fault and as HTTP header.
//!
//! Numbers below 28900 are the documented ones of the authentication services ([MS-OCER] 7.22);
//! from 28900 on they are our own, for refusals that have no documented number we know of.

use crate::names;
use crate::trust::open_envelope;
use crate::xml::{Document, Element};

/// Name of the HTTP header that carries a diagnostic.
pub const DIAGNOSTICS_HEADER: &str = "X-Ms-diagnostics";
/// Longest reason that is read from the other side.
const REASON_CHARS_MAX: usize = 512;

/// Why an authentication service refuses.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Diagnostic {
    /// The person is known but may not use the service.
    NotEnabled,
    /// The service failed by itself.
    Internal,
    /// No ticket or cookie, or none that is one.
    NoValidSecurityToken,
    /// This way of proving who one is is not allowed here.
    AuthenticationTypeNotAllowed,
    /// The address that the ticket shall name is not that of the credentials.
    AddressMismatch,
    /// The ticket is damaged, of another kind or for another service.
    TicketInvalid,
    /// The ticket has ended.
    TicketExpired,
    /// The signature that proves possession is wrong, missing or was used before.
    ProofInvalid,
    /// The request is not one that the service understands.
    RequestInvalid,
}

struct Row {
    id: u32,
    status: u16,
    code: &'static str,
    reason: &'static str,
}

impl Diagnostic {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NotEnabled,
        Self::Internal,
        Self::NoValidSecurityToken,
        Self::AuthenticationTypeNotAllowed,
        Self::AddressMismatch,
        Self::TicketInvalid,
        Self::TicketExpired,
        Self::ProofInvalid,
        Self::RequestInvalid,
    ];

    fn row(self) -> Row {
        let (id, status, code, reason) = match self {
            Self::NotEnabled => (
                28000,
                403,
                FAILED_AUTHENTICATION,
                "User is not SIP enabled.",
            ),
            Self::Internal => (28001, 500, FAILED_AUTHENTICATION, "Internal error."),
            Self::NoValidSecurityToken => (28020, 401, INVALID_TOKEN, "No valid security token."),
            Self::AuthenticationTypeNotAllowed => (
                28029,
                403,
                FAILED_AUTHENTICATION,
                "The authentication type is not allowed.",
            ),
            Self::AddressMismatch => (
                28901,
                403,
                FAILED_AUTHENTICATION,
                "The SIP address asked for does not match the presented credentials.",
            ),
            Self::TicketInvalid => (28032, 401, INVALID_TOKEN, "The web ticket is invalid."),
            Self::TicketExpired => (28033, 401, INVALID_TOKEN, "The web ticket has expired."),
            Self::ProofInvalid => (
                28902,
                401,
                FAILED_CHECK,
                "The proof of possession is not valid.",
            ),
            Self::RequestInvalid => (28903, 400, INVALID_REQUEST, "The request is not valid."),
        };
        Row {
            id,
            status,
            code,
            reason,
        }
    }

    /// The number.
    #[must_use]
    pub fn id(self) -> u32 {
        self.row().id
    }

    /// The reason in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.row().reason
    }

    /// The HTTP status that fits outside SOAP.
    #[must_use]
    pub fn http_status(self) -> u16 {
        self.row().status
    }

    /// The fault code, with its customary prefix.
    #[must_use]
    pub fn fault_code(self) -> &'static str {
        self.row().code
    }

    /// Finds a diagnostic by its number.
    #[must_use]
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|diagnostic| diagnostic.id() == id)
    }

    /// The value of the header [`DIAGNOSTICS_HEADER`], with the diagnostic's own words.
    #[must_use]
    pub fn header(self, source: &str) -> String {
        self.header_with(source, self.reason())
    }

    /// The value of the header with other words, for example a sentence with an error code.
    #[must_use]
    pub fn header_with(self, source: &str, reason: &str) -> String {
        let row = self.row();
        let (source, reason) = (quotable(source), quotable(reason));
        format!(
            "{};source=\"{source}\";reason=\"{reason}\";fault=\"{}\"",
            row.id, row.code
        )
    }
}

const FAILED_AUTHENTICATION: &str = "wsse:FailedAuthentication";
const INVALID_TOKEN: &str = "wsse:InvalidSecurityToken";
const FAILED_CHECK: &str = "wsse:FailedCheck";
const INVALID_REQUEST: &str = "wst:InvalidRequest";

/// A header carries visible ASCII; quotes and anything else become an apostrophe or `?`.
fn quotable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

/// What the header [`DIAGNOSTICS_HEADER`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagnosticsHeader {
    /// The number.
    pub id: u32,
    /// The reason in words, or nothing.
    pub reason: String,
}

impl DiagnosticsHeader {
    /// Reads the header; `None` when it does not begin with a number.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (id, rest) = value.split_once(';').unwrap_or((value, ""));
        let id = id.trim().parse().ok()?;
        let reason = rest
            .split_once("reason=\"")
            .and_then(|(_, tail)| tail.split_once('"'))
            .map_or("", |(reason, _)| reason);
        Some(Self {
            id,
            reason: reason.chars().take(REASON_CHARS_MAX).collect(),
        })
    }
}

/// A SOAP 1.1 fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapFault {
    /// The fault code, with its prefix.
    pub code: String,
    /// The fault in words.
    pub text: String,
    /// The number of the diagnostic, when there is one.
    pub id: Option<u32>,
    /// The reason beside the number.
    pub reason: String,
}

impl SoapFault {
    /// A fault with the diagnostic's own words.
    #[must_use]
    pub fn new(diagnostic: Diagnostic) -> Self {
        Self::with_reason(diagnostic, diagnostic.reason())
    }

    /// A fault with other words, for example a sentence with an error code.
    #[must_use]
    pub fn with_reason(diagnostic: Diagnostic, reason: &str) -> Self {
        Self {
            code: diagnostic.fault_code().to_owned(),
            text: reason.to_owned(),
            id: Some(diagnostic.id()),
            reason: reason.to_owned(),
        }
    }

    /// The diagnostic, when its number is in our table.
    #[must_use]
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        self.id.and_then(Diagnostic::from_id)
    }

    /// The SOAP envelope, sent with HTTP status 500.
    ///
    /// The detail carries the diagnostic and, under the names that SIPE looks for in an answer
    /// with status 200, the reason once more.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = open_envelope();
        xml.open("s:Body", &[]).open("s:Fault", &[]);
        xml.leaf(
            "faultcode",
            &[("xmlns:wsse", names::WSSE), ("xmlns:wst", names::TRUST)],
            &self.code,
        );
        xml.leaf("faultstring", &[("xml:lang", "en")], &self.text);
        xml.open("detail", &[]);
        self.write_diagnostics(&mut xml);
        xml.finish()
    }

    /// The same for certificate provisioning: the element `Detail` with the path that SIPE reads.
    #[must_use]
    pub fn to_provisioning_xml(&self) -> String {
        let mut xml = open_envelope();
        xml.open("s:Body", &[]).open("s:Fault", &[]);
        xml.leaf(
            "faultcode",
            &[("xmlns:wsse", names::WSSE), ("xmlns:wst", names::TRUST)],
            &self.code,
        );
        xml.leaf("faultstring", &[("xml:lang", "en")], &self.text);
        xml.open("Detail", &[]);
        xml.open("error", &[])
            .open("internalerror", &[])
            .leaf("text", &[], &self.reason)
            .close()
            .close();
        self.write_diagnostics(&mut xml);
        xml.finish()
    }

    fn write_diagnostics(&self, xml: &mut crate::xml::XmlWriter) {
        if let Some(id) = self.id {
            xml.open("OCSDiagnosticsFault", &[("xmlns", names::OCS_FAULT)])
                .open("Ms-Diagnostics-Fault", &[])
                .leaf("ErrorId", &[], &id.to_string())
                .leaf("Reason", &[], &self.reason)
                .close()
                .close();
        }
    }

    /// Reads an envelope; `None` when it is not a fault.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let document = Document::parse(body).ok()?;
        crate::trust::fault_of(crate::trust::body_of(&document).ok()?)
    }

    /// Reads the element `Fault`.
    pub(crate) fn read(fault: Element<'_>) -> Self {
        let text_of = |name: &str| {
            let found = fault.descendants().find(|e| e.local() == name);
            found.map(|e| {
                e.trimmed_text()
                    .chars()
                    .take(REASON_CHARS_MAX)
                    .collect::<String>()
            })
        };
        let reason = text_of("Reason")
            .filter(|text| !text.is_empty())
            .or_else(|| text_of("text"));
        let text = text_of("faultstring").unwrap_or_default();
        Self {
            code: text_of("faultcode").unwrap_or_default(),
            id: text_of("ErrorId").and_then(|id| id.parse().ok()),
            reason: reason.unwrap_or_else(|| text.clone()),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_numbers_are_kept() {
        assert_eq!(Diagnostic::NoValidSecurityToken.id(), 28020);
        assert_eq!(Diagnostic::AuthenticationTypeNotAllowed.id(), 28029);
        assert_eq!(Diagnostic::NotEnabled.id(), 28000);
        assert_eq!(Diagnostic::TicketInvalid.id(), 28032);
        for diagnostic in Diagnostic::ALL {
            assert_eq!(Diagnostic::from_id(diagnostic.id()), Some(diagnostic));
        }
    }

    #[test]
    fn the_header_is_written_and_read() {
        let value = Diagnostic::NoValidSecurityToken.header("lync.contoso.test");
        insta::assert_snapshot!(value);
        let read = DiagnosticsHeader::parse(&value).unwrap();
        assert_eq!(
            read,
            DiagnosticsHeader {
                id: 28020,
                reason: "No valid security token.".into()
            }
        );
        assert_eq!(DiagnosticsHeader::parse("28029").unwrap().id, 28029);
        assert_eq!(DiagnosticsHeader::parse("x;reason=\"y\""), None);
    }

    #[test]
    fn words_cannot_break_out_of_the_header() {
        let value = Diagnostic::TicketInvalid.header_with("h", "a\"\r\nSet-Cookie: x=ü");
        assert!(value.bytes().all(|b| (b' '..=b'~').contains(&b)));
        assert_eq!(
            DiagnosticsHeader::parse(&value).unwrap().reason,
            "a'??Set-Cookie: x=?"
        );
    }

    #[test]
    fn a_fault_is_written_and_read() {
        let fault = SoapFault::with_reason(
            Diagnostic::AuthenticationTypeNotAllowed,
            "A password is not accepted for this account <LY-1310>.",
        );
        insta::assert_snapshot!(fault.to_xml());
        assert_eq!(SoapFault::parse(&fault.to_xml()), Some(fault.clone()));
        assert_eq!(
            fault.diagnostic(),
            Some(Diagnostic::AuthenticationTypeNotAllowed)
        );
    }

    #[test]
    fn a_provisioning_fault_has_the_path_that_sipe_reads() {
        let fault = SoapFault::new(Diagnostic::TicketExpired);
        let xml = fault.to_provisioning_xml();
        insta::assert_snapshot!(xml);
        let document = Document::parse(&xml).unwrap();
        let text = document
            .root()
            .path(&["Body", "Fault", "Detail", "error", "internalerror", "text"])
            .unwrap();
        assert_eq!(text.text(), "The web ticket has expired.");
        assert_eq!(SoapFault::parse(&xml), Some(fault));
    }

    #[test]
    fn a_foreign_fault_is_read_as_far_as_it_goes() {
        let xml = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault>\
                   <faultcode>e:Server</faultcode><faultstring>Busy.</faultstring></e:Fault></e:Body></e:Envelope>";
        let fault = SoapFault::parse(xml).unwrap();
        assert_eq!((fault.id, fault.reason.as_str()), (None, "Busy."));
        assert_eq!(SoapFault::parse("<a/>"), None);
    }
}
