// SPDX-License-Identifier: MIT OR Apache-2.0
//! Namespaces, token types and actions, named once.

/// SOAP 1.1 envelope.
pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// WS-Addressing 1.0.
pub const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
/// The anonymous reply address of WS-Addressing.
pub const ADDRESSING_ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
/// WS-Trust 1.3.
pub const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
/// WS-Trust 1.3 as certificate provisioning spells it: with a slash at the end.
pub const TRUST_SLASH: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/";
/// WS-Trust of February 2005, still found in requests.
pub const TRUST_2005: &str = "http://schemas.xmlsoap.org/ws/2005/02/trust";
/// WS-Policy.
pub const POLICY: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy";
/// WS-SecurityPolicy.
pub const SECURITY_POLICY: &str = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702";
/// WSDL 1.1.
pub const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
/// SOAP binding of WSDL 1.1.
pub const WSDL_SOAP: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
/// WS-Security extension elements.
pub const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// WS-Security utility elements.
pub const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// XML signature.
pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// SAML 1.1 assertions (the namespace kept the number 1.0).
pub const SAML: &str = "urn:oasis:names:tc:SAML:1.0:assertion";
/// Lync authentication web services.
pub const OCS: &str = "http://schemas.microsoft.com/OCS/AuthWebServices/";
/// Faults of the Lync authentication web services.
pub const OCS_FAULT: &str = "urn:component:Microsoft.Rtc.WebAuthentication.2010";
/// Dialect of the claims in a web ticket request.
pub const CLAIMS_DIALECT: &str = "urn:component:Microsoft.Rtc.WebAuthentication.2010:authclaims";
/// Authorisation elements inside the claims.
pub const AUTHORIZATION: &str = "http://schemas.xmlsoap.org/ws/2006/12/authorization";
/// The claim *SIP address*.
pub const CLAIM_URI: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/uri";
/// Windows enrolment elements (`RequestID`).
pub const ENROLMENT: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
/// Our own elements inside a ticket.
pub const LANYARD_TICKET: &str = "urn:lanyard:ticket:1";
/// Namespace of the `xml` prefix.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Token type: SAML 1.1 assertion.
pub const TOKEN_SAML11: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1";
/// Token type: X.509 certificate.
pub const TOKEN_X509: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
/// Value type of a PKCS#10 request.
pub const VALUE_PKCS10: &str = "http://schemas.microsoft.com/OCS/AuthWebServices.xsd#PKCS10";
/// Encoding type base64.
pub const ENCODING_BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#Base64Binary";
/// Key identifier that names an assertion by its id.
pub const KEY_ID_ASSERTION: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID";
/// Computed key by P_SHA1.
pub const COMPUTED_KEY_PSHA1: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/CK/PSHA1";
/// Key type: symmetric.
pub const KEY_SYMMETRIC: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/SymmetricKey";
/// Request type: issue.
pub const REQUEST_ISSUE: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue";
/// Type of a nonce in an entropy.
pub const SECRET_NONCE: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Nonce";

/// `SOAPAction` of a web ticket request.
pub const ACTION_ISSUE: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue";
/// Action of a web ticket answer.
pub const ACTION_ISSUED: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RSTRC/IssueFinal";
/// `SOAPAction` of a certificate request.
pub const ACTION_GET_AND_PUBLISH: &str =
    "http://schemas.microsoft.com/OCS/AuthWebServices/GetAndPublishCert";

/// Exclusive canonicalisation without comments.
pub const ALG_EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// HMAC-SHA1 signature.
pub const ALG_HMAC_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
/// SHA-1 digest.
pub const ALG_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
