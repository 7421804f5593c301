// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers that every handler gives in the same form.

use super::Web;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lanyard_fault::Fault;
use lanyard_soap::fault::{Diagnostic, SoapFault};
use serde_json::json;

/// Media type of SOAP 1.1.
pub const SOAP_TYPE: &str = "text/xml; charset=utf-8";

/// A body with its media type.
#[must_use]
pub fn body(status: StatusCode, media_type: &'static str, text: String) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))],
        text,
    )
        .into_response()
}

/// A header value of text; characters that no header may hold become `?`.
#[must_use]
pub fn header_value(text: &str) -> HeaderValue {
    let safe: String = text
        .chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect();
    HeaderValue::from_str(&safe).unwrap_or(HeaderValue::from_static("?"))
}

/// A refusal as JSON: code, sentence, next step.
#[must_use]
pub fn json_fault(status: StatusCode, fault: Fault) -> Response {
    let value = json!({
        "error": {
            "code": fault.code(),
            "message": fault.sentence(),
            "next": fault.next_step(),
        }
    });
    body(status, "application/json", value.to_string())
}

/// A refusal of an authentication service: SOAP fault and diagnostics header.
#[must_use]
pub fn soap_fault(web: &Web, diagnostic: Diagnostic, fault: Option<Fault>) -> Response {
    let reason = fault.map_or_else(
        || diagnostic.reason().to_owned(),
        |fault| format!("{} ({})", fault.sentence(), fault.code()),
    );
    // SOAP 1.1 over HTTP, section 6.2: a fault travels with status 500. The tickets services answer
    // as [MS-OCAUTHWS] does, with the status that fits, and say the same in a header.
    let status =
        StatusCode::from_u16(diagnostic.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let xml = SoapFault::with_reason(diagnostic, &reason).to_xml();
    let mut response = body(status, SOAP_TYPE, xml);
    response.headers_mut().insert(
        DIAGNOSTICS_HEADER_NAME,
        header_value(&diagnostic.header_with(web.urls.host(), &reason)),
    );
    response
}

/// The diagnostics header as HTTP/1.1 libraries want names: lower case.
pub const DIAGNOSTICS_HEADER_NAME: &str = "x-ms-diagnostics";

/// A fault of the server itself: logged here, without details for the other side.
#[must_use]
pub fn internal(what: &str, error: &dyn std::error::Error) -> Response {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        chain = format!("{chain}: {inner}");
        source = inner.source();
    }
    tracing::error!(what, error = %chain, "a request failed by the server's own fault");
    json_fault(StatusCode::INTERNAL_SERVER_ERROR, Fault::ServerInternal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_soap::fault::DIAGNOSTICS_HEADER;

    #[test]
    fn the_two_spellings_of_the_diagnostics_header_are_one() {
        assert!(DIAGNOSTICS_HEADER.eq_ignore_ascii_case(DIAGNOSTICS_HEADER_NAME));
    }

    #[test]
    fn a_header_value_cannot_hold_a_new_line() {
        assert_eq!(header_value("a\r\nb").to_str().unwrap(), "a??b");
    }
}
