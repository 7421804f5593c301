// SPDX-License-Identifier: MIT OR Apache-2.0
//! The password way, for people whose policy offers it. Nobody else is ever asked for a password (S-08).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_fault::Fault;
use zeroize::Zeroizing;

use super::input::Output;
use super::machine::{Proof, SignIn, Waiting};
use crate::net::HttpAnswer;
use crate::problem::Problem;
use crate::view::{EnterPassword, Stage};

/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;

impl SignIn {
    /// Whether this person may use a password.
    pub(super) fn has_password_way(&self) -> bool {
        self.known
            .ways
            .as_ref()
            .is_some_and(|ways| ways.password.is_some())
    }

    pub(super) fn ask_password(&mut self, miss: Option<Problem>) {
        if self.cards.take().is_some() {
            self.outputs.push(Output::StopWatching);
        }
        self.waiting = Waiting::Password;
        let why = self.why.clone();
        self.show(Stage::EnterPassword(EnterPassword { miss, why }));
    }

    /// Takes what the person typed as the password.
    ///
    /// # Errors
    /// When none is asked for, or it cannot be one.
    pub fn typed_password(&mut self, text: &str) -> Result<Vec<Output>, Problem> {
        if !matches!(self.waiting, Waiting::Password) {
            return Err(Problem::new(Fault::NotNow));
        }
        if text.is_empty() || text.len() > PASSWORD_BYTES_MAX {
            return Err(Problem::new(Fault::PasswordRefused));
        }
        self.known.proof = Some(Proof::Password(Zeroizing::new(text.to_owned())));
        self.show(Stage::SigningIn);
        self.proceed();
        Ok(self.take())
    }

    /// A wrong password is asked for again; it was dropped.
    pub(super) fn password_missed(&mut self, answer: &HttpAnswer) -> bool {
        let missed = answer.status == 401 && matches!(self.known.proof, Some(Proof::Password(_)));
        if missed {
            self.known.proof = None;
            self.ask_password(Some(Problem::new(Fault::PasswordRefused)));
        }
        missed
    }
}

/// The value of `Authorization` (RFC 7617).
pub(super) fn basic(address: &str, password: &str) -> String {
    let both = Zeroizing::new(format!("{address}:{password}"));
    format!("Basic {}", STANDARD.encode(both.as_bytes()))
}
