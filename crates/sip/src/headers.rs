// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typed reading of headers, the same for received messages and for those about to be sent.

use crate::addr::NameAddr;
use crate::auth::{AuthError, AuthParams};
use crate::method::Method;
use crate::name::Name;
use crate::scan::{decimal, split_list};
use crate::typed::{CSeq, Event, MediaType, Via};

/// Headers of a [`crate::Message`] or a [`crate::OutMessage`].
///
/// Typed readers give `None` both for a header that is absent and for one that is malformed;
/// [`crate::Message::envelope`] tells the two apart for the fields that every message must have.
pub trait Headers {
    /// The value of the first header of this name, folding undone.
    fn header(&self, name: Name) -> Option<&str>;

    /// The values of all headers of this name, in order.
    fn headers(&self, name: Name) -> impl Iterator<Item = &str>;

    /// As [`Headers::headers`], for a name that may be unknown to [`Name`]; in any case.
    fn headers_named(&self, name: &str) -> impl Iterator<Item = &str>;

    /// The method; `None` for a response.
    fn method(&self) -> Option<Method<'_>>;

    /// The status code; `None` for a request.
    fn status(&self) -> Option<u16>;

    /// As [`Headers::header`], for a name that may be unknown to [`Name`]; in any case.
    fn header_named(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// The sender.
    #[allow(clippy::wrong_self_convention, reason = "From is the header's name")]
    fn from_addr(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Name::From)?).ok()
    }

    /// The receiver.
    fn to_addr(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Name::To)?).ok()
    }

    /// The Call-ID.
    fn call_id(&self) -> Option<&str> {
        self.header(Name::CallId).filter(|id| !id.is_empty())
    }

    /// The sequence number.
    fn cseq(&self) -> Option<CSeq<'_>> {
        CSeq::parse(self.header(Name::CSeq)?)
    }

    /// The first Via element: the hop that sent this message.
    fn via(&self) -> Option<Via<'_>> {
        Via::parse(split_list(self.header(Name::Via)?).next()?)
    }

    /// All elements of a header that is a list of addresses (Contact, Route, Record-Route,
    /// P-Asserted-Identity, …), over all its lines; malformed ones are left out.
    fn addresses(&self, name: Name) -> impl Iterator<Item = NameAddr<'_>> {
        self.headers(name)
            .flat_map(split_list)
            .filter_map(|one| NameAddr::parse(one).ok())
    }

    /// The first Contact.
    fn contact(&self) -> Option<NameAddr<'_>> {
        self.addresses(Name::Contact).next()
    }

    /// True for `Contact: *`.
    fn contact_is_star(&self) -> bool {
        self.header(Name::Contact) == Some("*")
    }

    /// The Expires header in seconds. A number beyond 32 bits counts as the greatest.
    fn expires_secs(&self) -> Option<u32> {
        let value = self.header(Name::Expires)?;
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| decimal(value).unwrap_or(u32::MAX))
    }

    /// How many more hops the request may take (0 to 255).
    fn max_forwards(&self) -> Option<u8> {
        decimal(self.header(Name::MaxForwards)?)
    }

    /// The type of the body.
    fn content_type(&self) -> Option<MediaType<'_>> {
        MediaType::parse(self.header(Name::ContentType)?)
    }

    /// The event package.
    fn event(&self) -> Option<Event<'_>> {
        Event::parse(self.header(Name::Event)?)
    }

    /// All elements of a header that is a list (Supported, Require, Allow-Events, Accept, …),
    /// over all its lines.
    fn tokens(&self, name: Name) -> impl Iterator<Item = &str> {
        self.headers(name).flat_map(split_list)
    }

    /// True when a list holds this token, in any case.
    fn has_token(&self, name: Name, token: &str) -> bool {
        self.tokens(name).any(|t| t.eq_ignore_ascii_case(token))
    }

    /// True when the sender supports this option tag.
    fn supports(&self, option: &str) -> bool {
        self.has_token(Name::Supported, option)
    }

    /// The client's proof or handshake step.
    fn authorization(&self) -> Option<Result<AuthParams<'_>, AuthError>> {
        self.header(Name::Authorization).map(AuthParams::parse)
    }

    /// The server's proof.
    fn authentication_info(&self) -> Option<Result<AuthParams<'_>, AuthError>> {
        self.header(Name::AuthenticationInfo).map(AuthParams::parse)
    }

    /// The challenges of a 401, one per scheme; malformed ones are left out.
    fn challenges(&self) -> impl Iterator<Item = AuthParams<'_>> {
        self.headers(Name::WwwAuthenticate)
            .filter_map(|value| AuthParams::parse(value).ok())
    }

    /// The first identity of P-Asserted-Identity (else P-Preferred-Identity) with this scheme.
    fn asserted_identity(&self, scheme: &str) -> Option<NameAddr<'_>> {
        let name = match self.header(Name::PAssertedIdentity) {
            Some(_) => Name::PAssertedIdentity,
            None => Name::PPreferredIdentity,
        };
        self.addresses(name)
            .find(|identity| identity.has_scheme(scheme))
    }
}
