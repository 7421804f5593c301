// SPDX-License-Identifier: MIT OR Apache-2.0
//! The passive sign-in (WS-Federation): redirection, form post, cookie.
//!
//! The passive endpoint sends the browser to the federation endpoint; that asks for the card and
//! answers with a form that posts the token back; the passive endpoint turns it into a cookie.

mod cookie;
mod form;
mod redirect;
mod token;

pub use cookie::{COOKIE_NAME, cookie_of_set_cookie, cookie_value, set_cookie};
pub use form::{AutoPostForm, SignInResponse};
pub use redirect::SignInRequest;
pub use token::{assertion_of_wresult, wresult};

/// Largest page or form that is read.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// Longest `wctx` and `wtrealm`.
pub const PARAMETER_BYTES_MAX: usize = 1024;

/// Why a step of the passive sign-in cannot be read.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassiveError {
    /// The page, form or parameter is too large.
    #[error("the form is too large")]
    TooLarge,
    /// `wa` is not the sign-in of WS-Federation.
    #[error("this is not a WS-Federation sign-in")]
    Action,
    /// A parameter is missing or damaged.
    #[error("the parameter {0} is missing or damaged")]
    Parameter(&'static str),
    /// The page holds no form that posts a token.
    #[error("the page holds no sign-in form")]
    NoForm,
    /// `wresult` holds no assertion.
    #[error("the answer holds no token")]
    NoToken,
}
