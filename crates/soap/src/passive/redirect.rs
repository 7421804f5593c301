// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address that the browser is sent to.

use super::{PARAMETER_BYTES_MAX, PassiveError};
use crate::{Address, encoding};

/// The action `wsignin1.0`.
pub(super) const ACTION_SIGN_IN: &str = "wsignin1.0";

/// A request to the federation endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInRequest {
    /// `wtrealm`: who asks, and whom the token will be for.
    pub realm: String,
    /// `wctx`: comes back as it is.
    pub context: String,
    /// The address that the person typed, to be compared with the card.
    pub address: Option<Address>,
}

impl SignInRequest {
    /// The address to redirect to.
    #[must_use]
    pub fn to_url(&self, federation: &str) -> String {
        let separator = if federation.contains('?') { '&' } else { '?' };
        let mut url = format!(
            "{federation}{separator}wa={ACTION_SIGN_IN}&wtrealm={}&wctx={}",
            encoding::percent_encode(&self.realm),
            encoding::percent_encode(&self.context),
        );
        if let Some(address) = &self.address {
            url.push_str("&sipuri=");
            url.push_str(&encoding::percent_encode(address.as_str()));
        }
        url
    }

    /// Reads the query of the request.
    pub fn from_query(query: &str) -> Result<Self, PassiveError> {
        let value = |name: &'static str| match encoding::form_value(query, name) {
            Some(value) if value.len() > PARAMETER_BYTES_MAX => Err(PassiveError::TooLarge),
            value => Ok(value),
        };
        if value("wa")?.as_deref() != Some(ACTION_SIGN_IN) {
            return Err(PassiveError::Action);
        }
        let realm = value("wtrealm")?.filter(|realm| !realm.is_empty());
        let address = match value("sipuri")? {
            None => None,
            Some(text) => {
                Some(Address::parse(&text).map_err(|_| PassiveError::Parameter("sipuri"))?)
            }
        };
        Ok(Self {
            realm: realm.ok_or(PassiveError::Parameter("wtrealm"))?,
            context: value("wctx")?.unwrap_or_default(),
            address,
        })
    }

    /// Reads a whole address, as it stands in `Location`.
    pub fn from_url(url: &str) -> Result<Self, PassiveError> {
        let (_, query) = url.split_once('?').ok_or(PassiveError::Action)?;
        Self::from_query(query.split('#').next().unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> SignInRequest {
        SignInRequest {
            realm: "https://lync.contoso.test/PassiveAuth/PassiveAuth.aspx".into(),
            context: "a=1&b=ü".into(),
            address: Some(Address::parse("alice@contoso.test").unwrap()),
        }
    }

    #[test]
    fn the_redirection_is_written_and_read() {
        let url = request().to_url("https://lync.contoso.test:49443/adfs/ls/");
        insta::assert_snapshot!(url);
        assert_eq!(SignInRequest::from_url(&url), Ok(request()));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            SignInRequest::from_query("wtrealm=x"),
            Err(PassiveError::Action)
        );
        assert_eq!(
            SignInRequest::from_query("wa=wsignout1.0&wtrealm=x"),
            Err(PassiveError::Action)
        );
        assert_eq!(
            SignInRequest::from_query("wa=wsignin1.0"),
            Err(PassiveError::Parameter("wtrealm"))
        );
        assert_eq!(
            SignInRequest::from_query("wa=wsignin1.0&wtrealm=x&sipuri=alice"),
            Err(PassiveError::Parameter("sipuri"))
        );
        let long = format!(
            "wa=wsignin1.0&wtrealm=x&wctx={}",
            "a".repeat(PARAMETER_BYTES_MAX + 1)
        );
        assert_eq!(
            SignInRequest::from_query(&long),
            Err(PassiveError::TooLarge)
        );
    }

    proptest! {
        #[test]
        fn any_context_comes_back(context in "\\PC{0,80}") {
            let request = SignInRequest { context, ..request() };
            prop_assert_eq!(SignInRequest::from_url(&request.to_url("https://h/")), Ok(request));
        }
    }
}
