// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokens of all modules, listed and used through helpers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::helper::Helper;
use super::wire::{ListedToken, Mechanism, Message, Verb};
use super::{Pkcs11Settings, TokenCertificate, signature};
use crate::channel::{CardPath, ReaderId, ReaderState, Readers, Slotted};
use crate::fault::CardFault;
use crate::listing::{CardKind, CardSummary, PinSummary};
use crate::make::Recognised;
use crate::pin_entry::PinEntry;
use crate::scheme::Scheme;
use crate::session::{KeyPresence, LastTry};

/// How long a module may take to list its tokens, and to find a key.
const LIST_SECS_MAX: u64 = 20;
/// How long a module may take for a login or a signature.
const USE_SECS_MAX: u64 = 30;
/// How long a person may take at a token's own keys.
const PAD_SECS_MAX: u64 = 90;
/// Tokens are looked at this often while somebody waits for one: modules report insertions badly or
/// not at all.
const LOOK_MILLIS: u64 = 2_000;
/// A helper that only looks is replaced after this time: a module whose card service was restarted
/// often stays blind until it is loaded anew.
const HELPER_SECS_MAX: u64 = 20;
/// A module that broke off is left alone for this long.
const REST_SECS: u64 = 30;

/// All tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    settings: Pkcs11Settings,
    modules: Mutex<HashMap<PathBuf, Module>>,
}

#[derive(Debug, Default)]
struct Module {
    helper: Option<(Instant, Helper)>,
    seen: Option<(Instant, Result<Vec<ListedToken>, CardFault>)>,
}

/// What one module showed.
pub(crate) struct ModuleTokens {
    pub(crate) module: PathBuf,
    pub(crate) cards: Result<Vec<CardSummary>, CardFault>,
}

impl Tokens {
    pub(crate) fn new(settings: Pkcs11Settings) -> Self {
        Self {
            settings,
            modules: Mutex::default(),
        }
    }

    /// The cards of all modules, looked at now.
    pub(crate) fn list(&self) -> Vec<ModuleTokens> {
        let list = |module: &PathBuf| {
            let tokens = self.tokens(module, Duration::ZERO);
            let cards = tokens.map(|tokens| {
                let summaries = tokens.iter().flat_map(|token| summaries(module, token));
                summaries.collect()
            });
            ModuleTokens {
                module: module.clone(),
                cards,
            }
        };
        self.settings.modules.iter().map(list).collect()
    }

    /// The tokens as readers with cards in them, as they were a moment ago.
    pub(crate) fn readers(&self) -> Readers {
        let fresh = Duration::from_millis(LOOK_MILLIS);
        let mut readers = Readers::new();
        for module in &self.settings.modules {
            for token in self.tokens(module, fresh).unwrap_or_default() {
                let mut hasher = DefaultHasher::new();
                (token.slot, &token.serial, &token.label).hash(&mut hasher);
                token.certificates.len().hash(&mut hasher);
                readers.push(ReaderState {
                    id: reader_id(&token),
                    slotted: Slotted::Card,
                    events: hasher.finish(),
                });
            }
        }
        readers
    }

    /// Nobody waits any more: no process is kept for the next look.
    pub(crate) fn rest(&self) {
        for module in self.modules().values_mut() {
            module.helper = None;
        }
    }

    /// Finds the key of a certificate, in a process of its own that ends with the session.
    pub(crate) fn open(&self, which: &TokenCertificate) -> Result<TokenSession, CardFault> {
        let mut helper = Helper::start(&self.settings.helper, &which.module)?;
        let question = Message::ask(Verb::Open)
            .with_number(which.slot)
            .with(which.serial.as_bytes())
            .with(&which.id);
        let limit = Duration::from_secs(LIST_SECS_MAX);
        let known = helper.ask(&question, limit)?.bytes()?;
        let known = known.iter().copied().filter_map(Mechanism::from_byte);
        Ok(TokenSession {
            helper,
            mechanisms: known.collect(),
            is_final_try: self.is_final_try(which),
        })
    }

    fn is_final_try(&self, which: &TokenCertificate) -> bool {
        let tokens = self.tokens(&which.module, Duration::ZERO);
        tokens.is_ok_and(|tokens| {
            let same = |token: &&ListedToken| token.slot == which.slot;
            tokens
                .iter()
                .find(same)
                .is_some_and(|token| token.flags.pin_final_try)
        })
    }

    fn tokens(&self, path: &Path, fresh: Duration) -> Result<Vec<ListedToken>, CardFault> {
        let mut modules = self.modules();
        let module = modules.entry(path.to_owned()).or_default();
        if let Some((at, seen)) = &module.seen {
            let rest = Duration::from_secs(REST_SECS);
            let good = if seen.is_err() { rest } else { fresh };
            if at.elapsed() < good {
                return seen.clone();
            }
        }
        let seen = module.list(&self.settings, path, fresh.is_zero());
        module.seen = Some((Instant::now(), seen.clone()));
        seen
    }

    fn modules(&self) -> MutexGuard<'_, HashMap<PathBuf, Module>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Module {
    fn list(
        &mut self,
        settings: &Pkcs11Settings,
        path: &Path,
        anew: bool,
    ) -> Result<Vec<ListedToken>, CardFault> {
        let oldest = Duration::from_secs(HELPER_SECS_MAX);
        let young = self.helper.take();
        let young = young.filter(|(started, _)| !anew && started.elapsed() < oldest);
        let (started, mut helper) = match young {
            Some(helper) => helper,
            None => (Instant::now(), Helper::start(&settings.helper, path)?),
        };
        let limit = Duration::from_secs(LIST_SECS_MAX);
        let answer = helper.ask(&Message::ask(Verb::List), limit)?;
        let tokens = ListedToken::read_all(answer)?;
        // After a look of its own nobody may ask again for long: no process waits for that.
        self.helper = (!anew).then_some((started, helper));
        Ok(tokens)
    }
}

fn reader_id(token: &ListedToken) -> ReaderId {
    ReaderId {
        path: CardPath::Pkcs11,
        name: token.slot_description.clone(),
    }
}

/// One card for each certificate: each may be somebody's.
fn summaries(module: &Path, token: &ListedToken) -> Vec<CardSummary> {
    let flags = token.flags;
    let tries_left = match (flags.pin_locked, flags.pin_final_try) {
        (true, _) => Some(0),
        (false, true) => Some(1),
        (false, false) => None,
    };
    let summary = |certificate: &super::wire::ListedCertificate| CardSummary {
        label: Some(token.label.clone()),
        kind: CardKind::Token,
        make: Recognised::default(),
        authentication_certificate: Some(certificate.der.clone()),
        key: match (certificate.key_seen, flags.login_required) {
            (true, _) => KeyPresence::Present,
            (false, true) => KeyPresence::Unknown,
            (false, false) => KeyPresence::Missing,
        },
        pin: PinSummary {
            tries_left,
            is_default: flags.pin_to_be_changed.then_some(true),
            is_low: flags.pin_count_low || flags.pin_final_try,
        },
        has_pad: flags.has_pad,
        token: Some(TokenCertificate {
            module: module.to_owned(),
            label: token.label.clone(),
            maker: token.maker.clone(),
            serial: token.serial.clone(),
            slot_description: token.slot_description.clone(),
            slot: token.slot,
            id: certificate.id.clone(),
            has_pad: flags.has_pad,
            pin_bytes: token.pin_bytes,
        }),
        ..CardSummary::blank(reader_id(token))
    };
    let nobodys = |der: &[u8]| {
        let certificate = lanyard_x509::Certificate::from_der(der);
        certificate.is_ok_and(|certificate| certificate.extensions().is_ca())
    };
    let certificates = token.certificates.iter();
    certificates
        .filter(|certificate| !nobodys(&certificate.der))
        .map(summary)
        .collect()
}

/// A key of a token, in a process that is ours alone. It ends with this value, and the login with it.
#[derive(Debug)]
pub struct TokenSession {
    helper: Helper,
    mechanisms: Vec<Mechanism>,
    is_final_try: bool,
}

impl TokenSession {
    /// Logs in: exactly one C_Login is sent, or none.
    ///
    /// # Errors
    ///
    /// As [`CardSession::verify`](crate::CardSession::verify), and
    /// [`CardFault::WrongPinUncounted`] when the token does not tell how many tries are left.
    pub fn verify(&mut self, pin: &PinEntry, last_try: LastTry) -> Result<(), CardFault> {
        if self.is_final_try && last_try == LastTry::Refuse {
            return Err(CardFault::LastTry);
        }
        let (question, secs) = match pin {
            PinEntry::Typed(pin) => (Message::ask(Verb::Login).with(digits(pin)), USE_SECS_MAX),
            PinEntry::Token(pin) => (Message::ask(Verb::Login).with(pin.as_bytes()), USE_SECS_MAX),
            PinEntry::Pad => (Message::ask(Verb::Login), PAD_SECS_MAX),
        };
        self.helper
            .ask(&question, Duration::from_secs(secs))
            .map(drop)
    }

    /// Signs a message. ECDSA signatures come as DER.
    ///
    /// # Errors
    ///
    /// When the token is gone, has no such key, or its module breaks off.
    pub fn sign(&mut self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, CardFault> {
        let (mechanism, data) = signature::question(scheme, message, &self.mechanisms)?;
        let question = Message::ask(Verb::Sign)
            .with(&[mechanism.byte()])
            .with(&data);
        let limit = Duration::from_secs(USE_SECS_MAX);
        let raw = self.helper.ask(&question, limit)?.bytes()?;
        signature::answer(scheme, &raw)
    }
}

/// The digits without the filling.
fn digits(pin: &lanyard_piv::Pin) -> &[u8] {
    let padded = pin.padded();
    padded.get(..pin.digit_count()).unwrap_or(padded)
}
