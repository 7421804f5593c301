// SPDX-License-Identifier: MIT OR Apache-2.0
//! The passive sign-in: the way to the card listener, its token, and the cookie that it is worth.

use lanyard_fault::Fault;
use lanyard_soap::passive::{AutoPostForm, SignInRequest, cookie_of_set_cookie};
use zeroize::Zeroizing;

use super::machine::{Proof, SignIn, Waiting};
use crate::net::{HttpAnswer, HttpRequest};

/// The type of a posted form.
const FORM: &str = "application/x-www-form-urlencoded";

impl SignIn {
    pub(super) fn get_passive(&mut self) {
        let passive = self.known.passive_url.clone().unwrap_or_default();
        let separator = if passive.contains('?') { '&' } else { '?' };
        let address = self.address_in_query();
        let url = format!("{passive}{separator}sipuri={address}");
        self.request(Waiting::Redirect, HttpRequest::get(url));
    }

    /// The page sends us to the card listener.
    pub(super) fn redirected(&mut self, answer: &HttpAnswer) {
        let location = answer.header("location").map(str::to_owned);
        let (302 | 303 | 307, Some(location)) = (answer.status, location) else {
            return self.refused(answer);
        };
        // The address that we asked for must be the one that the token will be made for.
        let ours = SignInRequest::from_url(&location)
            .is_ok_and(|request| request.address.is_none_or(|one| one == self.soap_address));
        if !ours {
            return self.fail(Fault::DiscoveryRefused.into());
        }
        if let Err(problem) = self.check(&location) {
            return self.fail(problem);
        }
        self.known.federation_url = Some(location);
        self.proceed();
    }

    /// The card listener's page holds the token; it goes back to the chat server.
    pub(super) fn token_came(&mut self, answer: &HttpAnswer) {
        let Ok(form) = AutoPostForm::parse(&answer.body) else {
            return self.refused(answer);
        };
        if let Err(problem) = self.check(&form.action) {
            return self.fail(problem);
        }
        let body = form.response.to_form_body();
        self.request(Waiting::Cookie, HttpRequest::post(form.action, FORM, body));
    }

    pub(super) fn cookie_came(&mut self, answer: &HttpAnswer) {
        let cookies = answer
            .header_lines()
            .filter(|(name, _)| *name == "set-cookie");
        let cookie = cookies
            .filter_map(|(_, value)| cookie_of_set_cookie(value))
            .next();
        match cookie {
            Some(cookie) if answer.status < 400 => {
                self.known.proof = Some(Proof::Card(Zeroizing::new(cookie.to_owned())));
                self.proceed();
            }
            _ => self.refused(answer),
        }
    }
}
