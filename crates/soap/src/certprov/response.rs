// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answer with the certificate.

use super::CertProvError;
use super::request::only;
use crate::fault::{Diagnostic, SoapFault};
use crate::trust::{body_of, fault_of, open_envelope};
use crate::xml::Document;
use crate::{encoding, names};

/// Largest certificate that is read, in DER.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Value type of a certificate.
const VALUE_X509: &str = "http://schemas.microsoft.com/OCS/AuthWebServices.xsd#X509v3";

/// The answer of certificate provisioning.
#[derive(Debug, Clone, Copy)]
pub struct CertResponse;

impl CertResponse {
    /// The SOAP envelope with a certificate in plain DER.
    #[must_use]
    pub fn to_xml(certificate_der: &[u8]) -> String {
        let mut xml = open_envelope();
        xml.open("s:Body", &[])
            .open("GetAndPublishCertResponse", &[("xmlns", names::OCS)]);
        xml.open(
            "RequestSecurityTokenResponse",
            &[("xmlns", names::TRUST_SLASH)],
        )
        .leaf("TokenType", &[], names::TOKEN_X509)
        .open("RequestedSecurityToken", &[])
        .leaf(
            "BinarySecurityToken",
            &[
                ("xmlns", names::WSSE),
                ("ValueType", VALUE_X509),
                ("EncodingType", names::ENCODING_BASE64),
            ],
            &encoding::base64(certificate_der),
        )
        .close()
        .leaf("RequestID", &[("xmlns", names::ENROLMENT)], "0");
        xml.finish()
    }

    /// Reads the certificate, in DER, or the fault.
    pub fn parse(body: &str) -> Result<Vec<u8>, CertProvError> {
        let document = Document::parse(body)?;
        let body = body_of(&document)?;
        if let Some(fault) = fault_of(body) {
            return Err(CertProvError::Fault(fault));
        }
        let answer = only(body, names::OCS, "GetAndPublishCertResponse")?;
        let token = answer
            .path(&["RequestSecurityTokenResponse", "RequestedSecurityToken"])
            .ok_or(CertProvError::Missing("RequestedSecurityToken"))?;
        let token = only(token, names::WSSE, "BinarySecurityToken")?;
        encoding::from_base64(&token.text())
            .filter(|der| !der.is_empty() && der.len() <= CERTIFICATE_BYTES_MAX)
            .ok_or(CertProvError::Value("BinarySecurityToken"))
    }
}

/// A refusal in words. SIPE shows the words only when the HTTP status is 200; our own client
/// reads them with any status.
#[must_use]
pub fn fault_xml(diagnostic: Diagnostic, reason: &str) -> String {
    SoapFault::with_reason(diagnostic, reason).to_provisioning_xml()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_comes_back() {
        let xml = CertResponse::to_xml(&[0x30, 3, 1, 2, 3]);
        insta::assert_snapshot!(xml);
        assert_eq!(CertResponse::parse(&xml).unwrap(), [0x30, 3, 1, 2, 3]);
    }

    #[test]
    fn the_path_is_the_one_that_sipe_walks() {
        let xml = CertResponse::to_xml(&[1, 2, 3]);
        let document = Document::parse(&xml).unwrap();
        let token = document.root().path(&[
            "Body",
            "GetAndPublishCertResponse",
            "RequestSecurityTokenResponse",
            "RequestedSecurityToken",
            "BinarySecurityToken",
        ]);
        assert_eq!(token.unwrap().text(), "AQID");
    }

    #[test]
    fn a_fault_is_given_as_fault() {
        let xml = fault_xml(Diagnostic::ProofInvalid, "Once only. (LY-1308)");
        match CertResponse::parse(&xml) {
            Err(CertProvError::Fault(fault)) => {
                assert_eq!(fault.diagnostic(), Some(Diagnostic::ProofInvalid));
                assert_eq!(fault.reason, "Once only. (LY-1308)");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_without_certificate_is_refused() {
        let xml = CertResponse::to_xml(&[]);
        assert_eq!(
            CertResponse::parse(&xml),
            Err(CertProvError::Value("BinarySecurityToken"))
        );
        let xml = CertResponse::to_xml(&[1]).replace("GetAndPublishCertResponse", "Other");
        assert_eq!(
            CertResponse::parse(&xml),
            Err(CertProvError::Missing("GetAndPublishCertResponse"))
        );
    }
}
