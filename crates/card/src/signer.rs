// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS client authentication with a card's key.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lanyard_piv::{Guid, PublicKey, Slot};
use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{OtherError, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use crate::cards::Cards;
use crate::channel::ReaderId;
use crate::fault::CardFault;
use crate::listing::CardSummary;
use crate::pin_entry::PinEntry;
use crate::pkcs11::{TokenCertificate, TokenSession};
use crate::scheme::Scheme;
use crate::session::{CardSession, LastTry};

/// Signs one TLS handshake with a card's key.
///
/// A PIN that was typed is verified once. After that one use, whatever came of it, the PIN is gone
/// and every further signature fails: with the fact that ended the first, or with
/// [`CardFault::PinSpent`]. So no reconnect and no retry can block the card. Ask
/// [`CardSigner::fault`] after the handshake failed.
///
/// Signing blocks: run the handshake on a thread that may.
#[derive(Clone)]
pub struct CardSigner(Arc<Inner>);

struct Inner {
    cards: Arc<Cards>,
    reader: ReaderId,
    guid: Option<Guid>,
    slot: Slot,
    token: Option<TokenCertificate>,
    certificate: Vec<u8>,
    key: PublicKey,
    state: Mutex<State>,
}

/// A card that is ours alone, whichever way leads to it.
enum Held {
    Card(Box<CardSession>),
    Token(HeldToken),
}

/// A token in use. When it is let go, its card is reset: the module alone might leave it verified.
struct HeldToken {
    session: Option<Box<TokenSession>>,
    cards: Arc<Cards>,
    token: TokenCertificate,
}

impl Drop for HeldToken {
    fn drop(&mut self) {
        // The module first: it must not find its card reset under its hands.
        drop(self.session.take());
        self.cards.reset_token(&self.token);
    }
}

impl HeldToken {
    fn session(&mut self) -> Result<&mut TokenSession, CardFault> {
        self.session.as_deref_mut().ok_or(CardFault::Removed)
    }
}

/// What a signature is made with.
enum Credentials {
    /// Nothing: slot 9E.
    None,
    /// A PIN, to be verified now.
    Pin(PinEntry, LastTry),
    /// The card, whose PIN was typed at the reader just now.
    Verified(Held),
}

enum State {
    /// Slot 9E: no PIN is wanted, any number of signatures.
    WithoutPin,
    Ready(PinEntry, LastTry),
    /// The PIN was typed at the reader; the transaction goes on until the signature.
    Verified(Held),
    /// The card is working; the PIN is with it.
    Busy,
    Signed,
    Failed(CardFault),
}

impl CardSigner {
    /// Signs with the key for sign-in, verifying this PIN once.
    ///
    /// With [`PinEntry::Pad`] this blocks until the person has typed the PIN at the reader, so that
    /// no handshake waits for that; the card stays ours until the signature is made or this value is
    /// dropped.
    ///
    /// # Errors
    ///
    /// When the card has no certificate for sign-in that can be read, and all that can be wrong with
    /// a PIN at the reader.
    pub fn authentication(
        cards: Arc<Cards>,
        card: &CardSummary,
        pin: impl Into<PinEntry>,
        last_try: LastTry,
    ) -> Result<Self, CardFault> {
        let certificate = card.authentication_certificate.as_deref();
        let pin = pin.into();
        let at_reader = matches!(pin, PinEntry::Pad);
        let state = State::Ready(pin, last_try);
        let signer = Self::new(cards, card, Slot::Authentication, certificate, state)?;
        if at_reader {
            let mut held = signer.hold()?;
            held.verify(&PinEntry::Pad, last_try)?;
            *signer.state() = State::Verified(held);
        }
        Ok(signer)
    }

    /// Signs with slot 9E, which wants no PIN: proof that the card is there, nothing more.
    ///
    /// # Errors
    ///
    /// When the card has no certificate in slot 9E that can be read.
    pub fn card_authentication(cards: Arc<Cards>, card: &CardSummary) -> Result<Self, CardFault> {
        let certificate = card.card_authentication_certificate.as_deref();
        Self::new(
            cards,
            card,
            Slot::CardAuthentication,
            certificate,
            State::WithoutPin,
        )
    }

    fn new(
        cards: Arc<Cards>,
        card: &CardSummary,
        slot: Slot,
        certificate: Option<&[u8]>,
        state: State,
    ) -> Result<Self, CardFault> {
        let certificate = certificate.ok_or(CardFault::NoCertificate(slot))?.to_vec();
        let key =
            PublicKey::of_certificate(&certificate).map_err(|_| CardFault::BadCertificate(slot))?;
        Ok(Self(Arc::new(Inner {
            cards,
            reader: card.reader.clone(),
            guid: card.guid,
            slot,
            token: card.token.clone(),
            certificate,
            key,
            state: Mutex::new(state),
        })))
    }

    /// The card's certificate, followed by these of its issuers, for a rustls client
    /// configuration. Turn resumption off there: every sign-in shall use the card.
    #[must_use]
    pub fn client_certificate(
        &self,
        issuers: Vec<CertificateDer<'static>>,
    ) -> Arc<dyn ResolvesClientCert> {
        let mut chain = vec![CertificateDer::from(self.0.certificate.clone())];
        chain.extend(issuers);
        let key: Arc<dyn SigningKey> = Arc::new(self.clone());
        Arc::new(Resolver(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// The fact that ended this signer, if one did.
    #[must_use]
    pub fn fault(&self) -> Option<CardFault> {
        match &*self.state() {
            State::Failed(fault) => Some(*fault),
            State::WithoutPin
            | State::Ready(..)
            | State::Verified(_)
            | State::Busy
            | State::Signed => None,
        }
    }

    /// True once it has signed.
    #[must_use]
    pub fn has_signed(&self) -> bool {
        matches!(*self.state(), State::Signed)
    }

    /// Drops the PIN unused, as when the time limit of the handshake is over. Does not wait for a
    /// card that is working.
    pub fn forget(&self) {
        let mut state = self.state();
        if matches!(*state, State::Ready(..) | State::Verified(_)) {
            *state = State::Failed(CardFault::PinSpent);
        }
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, CardFault> {
        let credentials = self.take_credentials()?;
        // The lock is not held here: the card may take its time, and whoever asks for the fault
        // meanwhile must not wait for it.
        let without_pin = matches!(credentials, Credentials::None);
        let outcome = self.use_card(scheme, message, credentials);
        *self.state() = match (&outcome, without_pin) {
            (Ok(_), true) => State::WithoutPin,
            (Ok(_), false) => State::Signed,
            (Err(fault), _) => State::Failed(*fault),
        };
        outcome
    }

    /// Takes the PIN out, for good: nobody else finds it, not even a handshake in parallel.
    fn take_credentials(&self) -> Result<Credentials, CardFault> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Busy) {
            State::WithoutPin => {
                *state = State::WithoutPin;
                Ok(Credentials::None)
            }
            State::Ready(pin, last_try) => Ok(Credentials::Pin(pin, last_try)),
            State::Verified(held) => Ok(Credentials::Verified(held)),
            State::Busy => Err(CardFault::PinSpent),
            State::Signed => {
                *state = State::Failed(CardFault::PinSpent);
                Err(CardFault::PinSpent)
            }
            State::Failed(fault) => {
                *state = State::Failed(fault);
                Err(fault)
            }
        }
    }

    fn use_card(
        &self,
        scheme: Scheme,
        message: &[u8],
        credentials: Credentials,
    ) -> Result<Vec<u8>, CardFault> {
        let mut held = match credentials {
            Credentials::None => self.hold()?,
            Credentials::Verified(held) => held,
            Credentials::Pin(pin, last_try) => {
                let mut held = self.hold()?;
                held.verify(&pin, last_try)?;
                held
            }
        };
        match &mut held {
            Held::Card(session) => session.sign(self.0.slot, scheme, message),
            Held::Token(held) => held.session()?.sign(scheme, message),
        }
    }

    fn hold(&self) -> Result<Held, CardFault> {
        let cards = &self.0.cards;
        Ok(match &self.0.token {
            None => Held::Card(Box::new(cards.open_same(&self.0.reader, self.0.guid)?)),
            Some(token) => Held::Token(HeldToken {
                session: Some(Box::new(cards.open_token(token)?)),
                cards: Arc::clone(cards),
                token: token.clone(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn verify(&mut self, pin: &PinEntry, last_try: LastTry) -> Result<(), CardFault> {
        match (self, pin) {
            (Self::Card(session), PinEntry::Typed(pin)) => session.verify(pin, last_try),
            (Self::Card(session), PinEntry::Pad) => session.verify_on_pad(last_try),
            // A text that is no PIV PIN never reaches a PIV card.
            (Self::Card(_), PinEntry::Token(_)) => Err(CardFault::TokenPinRefused),
            (Self::Token(held), pin) => held.session()?.verify(pin, last_try),
        }
    }
}

impl fmt::Debug for CardSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardSigner({}, {})", self.0.reader, self.0.slot)
    }
}

impl SigningKey for CardSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = Scheme::for_tls(self.0.key.algorithm(), offered)?;
        Some(Box::new(HandshakeSigner {
            signer: self.clone(),
            scheme,
        }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.0.key.to_spki()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        Scheme::tls_algorithm(self.0.key.algorithm())
    }
}

#[derive(Debug)]
struct HandshakeSigner {
    signer: CardSigner,
    scheme: Scheme,
}

impl Signer for HandshakeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.signer
            .sign(self.scheme, message)
            .map_err(|fault| rustls::Error::Other(OtherError(Arc::new(fault))))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme.tls()
    }
}

#[derive(Debug)]
struct Resolver(Arc<CertifiedKey>);

impl ResolvesClientCert for Resolver {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        // The card was chosen before; the server's hints do not change that.
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::CardPath;
    use crate::testing::{FakeCard, usual};
    use lanyard_piv::{DynamicAuthentication, Pin, Response, StatusWord, ins};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A card that takes the PIN 482913 and signs with two numbers; it counts no tries.
    fn fake(gone: &Arc<AtomicBool>) -> FakeCard {
        let gone = Arc::clone(gone);
        FakeCard::new(CardPath::Pcsc, move |command| {
            if gone.load(Ordering::Relaxed) {
                return Err(CardFault::Removed);
            }
            if let Some(answer) = usual(command) {
                return Ok(answer);
            }
            let signature = DynamicAuthentication::answer(vec![0x30, 6, 2, 1, 5, 2, 1, 7]);
            Ok(match (command.instruction(), command.data()) {
                (ins::VERIFY, b"482913\xff\xff") => StatusWord::SUCCESS.into(),
                (ins::VERIFY, []) => StatusWord::tries(3).into(),
                (ins::VERIFY, _) => StatusWord::tries(2).into(),
                (ins::GENERAL_AUTHENTICATE, _) => {
                    Response::new(signature.encode(), StatusWord::SUCCESS)
                }
                _ => StatusWord::NOT_FOUND.into(),
            })
        })
    }

    fn signer(fake: &FakeCard, guid: Guid, state: State) -> CardSigner {
        let key = rcgen::generate_simple_self_signed(["alice".to_owned()]).unwrap();
        let certificate = key.cert.der().to_vec();
        CardSigner(Arc::new(Inner {
            cards: Arc::new(Cards::with_providers(vec![Box::new(fake.clone())])),
            reader: fake.reader(),
            guid: Some(guid),
            slot: Slot::Authentication,
            token: None,
            key: PublicKey::of_certificate(&certificate).unwrap(),
            certificate,
            state: Mutex::new(state),
        }))
    }

    fn ready(text: &str) -> State {
        State::Ready(Pin::parse(text).unwrap().into(), LastTry::Refuse)
    }

    fn sign(signer: &CardSigner) -> Result<Vec<u8>, CardFault> {
        signer.sign(Scheme::EcdsaP256Sha256, b"message")
    }

    #[test]
    fn a_pin_is_verified_once_and_then_gone() {
        let fake = fake(&Arc::default());
        let signer = signer(&fake, crate::testing::GUID, ready("482913"));
        assert!(sign(&signer).is_ok());
        assert!(signer.has_signed());
        assert_eq!(sign(&signer), Err(CardFault::PinSpent));
        assert_eq!(fake.sent(ins::VERIFY), 1);
    }

    #[test]
    fn a_wrong_pin_is_never_sent_twice() {
        let fake = fake(&Arc::default());
        let signer = signer(&fake, crate::testing::GUID, ready("736450"));
        for _ in 0..3 {
            assert_eq!(sign(&signer), Err(CardFault::WrongPin { tries_left: 2 }));
        }
        assert_eq!(signer.fault(), Some(CardFault::WrongPin { tries_left: 2 }));
        assert_eq!(fake.sent(ins::VERIFY), 1);
    }

    #[test]
    fn another_card_in_the_reader_never_gets_the_pin() {
        let fake = fake(&Arc::default());
        let signer = signer(&fake, Guid::new([8; 16]), ready("482913"));
        assert_eq!(sign(&signer), Err(CardFault::OtherCard));
        assert_eq!(fake.sent(ins::VERIFY), 0);
    }

    #[test]
    fn a_removed_card_ends_the_signer_with_that_fact() {
        let gone = Arc::new(AtomicBool::new(true));
        let fake = fake(&gone);
        let signer = signer(&fake, crate::testing::GUID, ready("482913"));
        assert_eq!(sign(&signer), Err(CardFault::Removed));
        gone.store(false, Ordering::Relaxed);
        assert_eq!(sign(&signer), Err(CardFault::Removed));
        assert_eq!(fake.sent(ins::VERIFY), 0);
    }

    #[test]
    fn without_a_pin_any_number_of_signatures_is_made() {
        let fake = fake(&Arc::default());
        let signer = signer(&fake, crate::testing::GUID, State::WithoutPin);
        assert!(sign(&signer).is_ok());
        assert!(sign(&signer).is_ok());
        assert_eq!(fake.sent(ins::VERIFY), 0);
    }

    #[test]
    fn a_handshake_in_parallel_gets_no_pin_and_nobody_waits_for_the_card() {
        let (entered, inside) = std::sync::mpsc::channel();
        let (leave, waiting) = std::sync::mpsc::channel::<()>();
        let waiting = Mutex::new(waiting);
        let slow = FakeCard::new(CardPath::Pcsc, move |command| {
            if command.instruction() == ins::VERIFY {
                let _ = entered.send(());
                let _ = waiting.lock().map(|waiting| waiting.recv());
            }
            Ok(usual(command).unwrap_or_else(|| StatusWord::BLOCKED.into()))
        });
        let signer = signer(&slow, crate::testing::GUID, ready("482913"));
        let other = signer.clone();
        let thread = std::thread::spawn(move || sign(&other));
        inside.recv().unwrap();
        assert_eq!(signer.fault(), None);
        assert_eq!(sign(&signer), Err(CardFault::PinSpent));
        signer.forget();
        drop(leave);
        assert_eq!(thread.join().unwrap(), Err(CardFault::PinBlocked));
        assert_eq!(signer.fault(), Some(CardFault::PinBlocked));
    }

    #[test]
    fn a_forgotten_pin_is_not_used() {
        let fake = fake(&Arc::default());
        let signer = signer(&fake, crate::testing::GUID, ready("482913"));
        signer.forget();
        assert_eq!(sign(&signer), Err(CardFault::PinSpent));
        assert_eq!(fake.sent(ins::VERIFY), 0);
    }
}
