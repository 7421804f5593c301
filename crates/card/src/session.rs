// SPDX-License-Identifier: MIT OR Apache-2.0
//! A conversation with the PIV application of one card.

use std::fmt;
use std::time::Duration;

use lanyard_piv::{
    ApplicationTemplate, CertificateObject, Chuid, Command, DynamicAuthentication, Guid, Metadata,
    NewPin, OBJECT_BYTES_MAX, ObjectError, ObjectId, Pin, PublicKey, Puk, Response, Slot,
    StatusWord, ins, key_reference, tlv,
};

use zeroize::Zeroizing;

use crate::channel::{Channel, Control, EXCHANGE_SECS_MAX, Ending, ReaderId};
use crate::fault::CardFault;
use crate::make::{CardVersion, Recognised, label_of};
use crate::pad::pad_limit;
use crate::padding;
use crate::scheme::Scheme;

/// Most bytes of one answer, all pieces together: an object and its wrapping.
const ANSWER_BYTES_MAX: usize = OBJECT_BYTES_MAX + 64;

/// GET VERSION, a wide-spread extension of Yubico's.
const GET_VERSION: u8 = 0xFD;

/// What is known about the PIN, without using a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinStatus {
    /// It can be tried this often.
    TriesLeft(u8),
    /// No tries are left.
    Blocked,
    /// Another program has verified it; how many tries are left, the card does not tell now.
    Verified,
}

/// Whether there is a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyPresence {
    /// There is one.
    Present,
    /// There is none: a certificate alone is of no use.
    Missing,
    /// The card does not tell, or tells only after the PIN.
    #[default]
    Unknown,
}

/// Whether the last try may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastTry {
    /// Stop before the last try with [`CardFault::LastTry`].
    #[default]
    Refuse,
    /// The person was asked and agreed.
    Allow,
}

/// A card that is ours alone for as long as this value lives. It ends with a reset of the card, so
/// that no other program finds the PIN verified, unless nothing but public data was read.
pub struct CardSession {
    channel: Box<dyn Channel>,
    reader: ReaderId,
    application: ApplicationTemplate,
    recognised: Recognised,
    /// The make is settled; otherwise only the card's applications could tell.
    make_is_sure: bool,
    ending: Ending,
    exchange_limit: Duration,
}

impl CardSession {
    /// Takes the card for us alone and selects its PIV application.
    ///
    /// # Errors
    ///
    /// When the card is gone, silent, held by another program, or no PIV card.
    pub fn start(
        mut channel: Box<dyn Channel>,
        reader: ReaderId,
        exchange_limit: Duration,
    ) -> Result<Self, CardFault> {
        channel.begin(exchange_limit)?;
        let application = ApplicationTemplate::default();
        let mut session = Self {
            channel,
            reader,
            application,
            recognised: Recognised::default(),
            make_is_sure: false,
            ending: Ending::Leave,
            exchange_limit,
        };
        session.application = session.select()?;
        let label = session.application.label.as_deref();
        let make = Recognised::at_first_sight(session.channel.atr(), label);
        session.make_is_sure = make.is_some();
        session.recognised.make = make.unwrap_or_default();
        Ok(session)
    }

    fn select(&mut self) -> Result<ApplicationTemplate, CardFault> {
        let answer = self.exchange(Command::select())?;
        match answer.status() {
            StatusWord::SUCCESS => {}
            StatusWord::NOT_FOUND | StatusWord::FUNCTION_NOT_SUPPORTED => {
                return Err(CardFault::NotPiv);
            }
            status => return Err(self.refusal(status)),
        }
        ApplicationTemplate::parse(answer.data()).or_else(|_| {
            // Not as the standard words it, but an application of that name did answer.
            let label = label_of(answer.data()).ok_or(CardFault::NotPiv)?;
            Ok(ApplicationTemplate {
                label,
                algorithms: Vec::new(),
            })
        })
    }

    /// Who made the card, as far as that is known without asking it more.
    #[must_use]
    pub fn recognised(&self) -> &Recognised {
        &self.recognised
    }

    /// Finds out who made the card, asking it what its answers so far left open. Do it before a PIN
    /// is verified: selecting another application ends what was verified.
    ///
    /// # Errors
    ///
    /// When the card is gone or silent.
    pub fn recognise(&mut self) -> Result<&Recognised, CardFault> {
        if !self.make_is_sure {
            let atr = self.channel.atr().to_vec();
            let label = self.application.label.clone();
            let make = Recognised::by_asking(&atr, label.as_deref(), |application| {
                let select = Command::new(ins::SELECT, 0x04, 0x00)
                    .with_data(application)
                    .with_expected(256);
                Ok(self.exchange(select)?.status().is_success())
            })?;
            self.select()?;
            self.recognised.make = make;
            self.make_is_sure = true;
        }
        if self.recognised.wants_version() && self.recognised.version.is_none() {
            let answer = self.exchange(Command::new(GET_VERSION, 0, 0).with_expected(256))?;
            if answer.status().is_success() {
                self.recognised.version = CardVersion::new(answer.data());
            }
        }
        Ok(&self.recognised)
    }

    /// Takes over what was found out about this very card before.
    pub(crate) fn set_recognised(&mut self, recognised: Recognised) {
        self.recognised = recognised;
        self.make_is_sure = true;
    }

    /// The reader.
    #[must_use]
    pub fn reader(&self) -> &ReaderId {
        &self.reader
    }

    /// What the card said about its application.
    #[must_use]
    pub fn application(&self) -> &ApplicationTemplate {
        &self.application
    }

    /// The card's answer to reset.
    #[must_use]
    pub fn atr(&self) -> &[u8] {
        self.channel.atr()
    }

    /// The GUID of the card; `None` when it has none (never personalised).
    ///
    /// # Errors
    ///
    /// When the card is gone or its answer malformed.
    pub fn guid(&mut self) -> Result<Option<Guid>, CardFault> {
        let Some(contents) = self.object(ObjectId::CHUID)? else {
            return Ok(None);
        };
        let chuid = Chuid::parse(&contents).map_err(|_| CardFault::BadAnswer)?;
        Ok(Some(chuid.guid).filter(|guid| !guid.is_nil()))
    }

    /// Checks that this is the card that was chosen earlier.
    ///
    /// # Errors
    ///
    /// [`CardFault::OtherCard`] when it is another one.
    pub fn expect_guid(&mut self, expected: Guid) -> Result<(), CardFault> {
        if self.guid()? == Some(expected) {
            Ok(())
        } else {
            Err(CardFault::OtherCard)
        }
    }

    /// What is known about the PIN. Uses no try.
    ///
    /// # Errors
    ///
    /// When the card is gone or answers something else.
    pub fn pin_status(&mut self) -> Result<PinStatus, CardFault> {
        let status = self.exchange(Command::verify_query())?.status();
        match (status, status.tries_left()) {
            (StatusWord::SUCCESS, _) => Ok(PinStatus::Verified),
            (StatusWord::BLOCKED, _) | (_, Some(0)) => Ok(PinStatus::Blocked),
            (_, Some(left)) => Ok(PinStatus::TriesLeft(left)),
            _ => Err(self.refusal(status)),
        }
    }

    /// What the card tells about a key reference, where it speaks GET METADATA.
    ///
    /// # Errors
    ///
    /// When the card is gone or its answer malformed.
    pub fn metadata(&mut self, reference: u8) -> Result<Option<Metadata>, CardFault> {
        if !self.recognised.speaks_metadata() {
            return Ok(None);
        }
        let answer = self.exchange(Command::get_metadata(reference))?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        Metadata::parse(answer.data())
            .map(Some)
            .map_err(|_| CardFault::BadAnswer)
    }

    /// True when the PIN is still the one of a blank card; `None` when the card does not tell.
    ///
    /// # Errors
    ///
    /// When the card is gone or its answer malformed.
    pub fn pin_is_default(&mut self) -> Result<Option<bool>, CardFault> {
        Ok(self
            .metadata(key_reference::PIN)?
            .and_then(|metadata| metadata.is_default))
    }

    /// Whether there is a key in a slot, where the card tells and can be believed.
    ///
    /// # Errors
    ///
    /// When the card is gone or silent.
    pub fn key_presence(&mut self, slot: Slot) -> Result<KeyPresence, CardFault> {
        let row = self.recognised.make.row();
        if !row.metadata_knows_keys || !self.recognised.speaks_metadata() {
            return Ok(KeyPresence::Unknown);
        }
        let question = Command::get_metadata(slot.key_reference());
        Ok(match self.exchange(question)?.status() {
            StatusWord::SUCCESS => KeyPresence::Present,
            StatusWord::REFERENCE_NOT_FOUND | StatusWord::NOT_FOUND => KeyPresence::Missing,
            _ => KeyPresence::Unknown,
        })
    }

    /// Verifies the PIN: exactly one VERIFY with data is sent, or none.
    ///
    /// # Errors
    ///
    /// [`CardFault::WrongPin`], [`CardFault::PinBlocked`]; [`CardFault::LastTry`] when only one try
    /// is left and there is no consent to use it (nothing was tried then).
    pub fn verify(&mut self, pin: &Pin, last_try: LastTry) -> Result<(), CardFault> {
        self.guard_last_try(last_try)?;
        self.ending = Ending::Reset;
        let status = self.exchange(Command::verify(pin))?.status();
        self.pin_outcome(status)
    }

    /// Changes the PIN. The old one counts a try, as in [`CardSession::verify`].
    ///
    /// # Errors
    ///
    /// As [`CardSession::verify`]; [`CardFault::NewPinRefused`] when the card has rules of its own.
    pub fn change_pin(
        &mut self,
        old: &Pin,
        new: &NewPin,
        last_try: LastTry,
    ) -> Result<(), CardFault> {
        self.guard_last_try(last_try)?;
        self.ending = Ending::Reset;
        let status = self.exchange(Command::change_pin(old, new))?.status();
        self.pin_outcome(status)
    }

    /// Sets a new PIN with the PUK, whether the old one is blocked or not.
    ///
    /// # Errors
    ///
    /// [`CardFault::WrongPuk`], [`CardFault::PukBlocked`], [`CardFault::NewPinRefused`].
    pub fn unblock(&mut self, puk: &Puk, new: &NewPin) -> Result<(), CardFault> {
        self.ending = Ending::Reset;
        let status = self.exchange(Command::unblock(puk, new))?.status();
        self.puk_outcome(status)
    }

    /// Changes the PUK.
    ///
    /// # Errors
    ///
    /// As [`CardSession::unblock`].
    pub fn change_puk(&mut self, old: &Puk, new: &Puk) -> Result<(), CardFault> {
        self.ending = Ending::Reset;
        let status = self.exchange(Command::change_puk(old, new))?.status();
        self.puk_outcome(status)
    }

    /// The certificate of a slot in DER; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When the card is gone, or the object cannot be read (compressed, malformed).
    pub fn certificate(&mut self, slot: Slot) -> Result<Option<Vec<u8>>, CardFault> {
        let Some(contents) = self.object(ObjectId::certificate(slot))? else {
            return Ok(None);
        };
        match CertificateObject::parse(&contents) {
            Ok(object) => Ok(Some(object.into_der())),
            Err(ObjectError::Empty) => Ok(None),
            Err(_) => Err(CardFault::BadCertificate(slot)),
        }
    }

    /// The public key of a slot, as its certificate names it.
    ///
    /// # Errors
    ///
    /// [`CardFault::NoCertificate`], [`CardFault::BadCertificate`], or the card is gone.
    pub fn public_key(&mut self, slot: Slot) -> Result<PublicKey, CardFault> {
        let der = self
            .certificate(slot)?
            .ok_or(CardFault::NoCertificate(slot))?;
        PublicKey::of_certificate(&der).map_err(|_| CardFault::BadCertificate(slot))
    }

    /// The contents of a data object; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When the card is gone, wants a PIN for this object, or its answer is malformed.
    pub fn object(&mut self, object: ObjectId) -> Result<Option<Vec<u8>>, CardFault> {
        let answer = self.exchange(Command::get_data(object))?;
        match answer.status() {
            StatusWord::SUCCESS => {}
            StatusWord::NOT_FOUND | StatusWord::REFERENCE_NOT_FOUND => return Ok(None),
            status => return Err(self.refusal(status)),
        }
        match object.unwrap(answer.data()) {
            Ok(contents) => Ok(Some(contents.to_vec())),
            Err(ObjectError::Empty) => Ok(None),
            Err(_) => Err(CardFault::BadAnswer),
        }
    }

    /// Signs a message with the key of a slot. Slot 9E needs no PIN, the others want
    /// [`CardSession::verify`] first. ECDSA signatures come as DER.
    ///
    /// # Errors
    ///
    /// [`CardFault::PinNotVerified`], [`CardFault::PinMustChange`], [`CardFault::NoKey`], or the
    /// card is gone.
    pub fn sign(
        &mut self,
        slot: Slot,
        scheme: Scheme,
        message: &[u8],
    ) -> Result<Vec<u8>, CardFault> {
        self.ending = Ending::Reset;
        let block = padding::block(scheme, message)?;
        let algorithm = scheme.key_algorithm();
        let template = DynamicAuthentication::sign(block);
        let answer = self.exchange(Command::use_key(slot, algorithm, &template))?;
        match answer.status() {
            StatusWord::SUCCESS => {}
            StatusWord::SECURITY_STATUS_NOT_SATISFIED => return Err(CardFault::PinNotVerified),
            StatusWord::CONDITIONS_NOT_SATISFIED => {
                // Our own card says so while it has the PIN of a blank card.
                return Err(match self.pin_is_default()? {
                    Some(true) => CardFault::PinMustChange,
                    _ => CardFault::Refused(StatusWord::CONDITIONS_NOT_SATISFIED),
                });
            }
            StatusWord::NOT_FOUND
            | StatusWord::REFERENCE_NOT_FOUND
            | StatusWord::WRONG_PARAMETERS
            | StatusWord::WRONG_DATA => return Err(CardFault::NoKey(slot)),
            status => return Err(self.refusal(status)),
        }
        let answer =
            DynamicAuthentication::parse(answer.data()).map_err(|_| CardFault::BadAnswer)?;
        let signature = answer.response.clone().unwrap_or_default();
        if is_signature(scheme, &signature) {
            Ok(signature)
        } else {
            Err(CardFault::BadAnswer)
        }
    }

    /// Sends one command and collects the whole answer.
    ///
    /// # Errors
    ///
    /// When the card is gone or silent, or sends more than any PIV answer has.
    pub(crate) fn exchange(&mut self, command: Command) -> Result<Response, CardFault> {
        self.exchange_within(command, self.exchange_limit)
    }

    pub(crate) fn exchange_within(
        &mut self,
        command: Command,
        limit: Duration,
    ) -> Result<Response, CardFault> {
        let mut pieces = command.split().into_iter().peekable();
        let mut answer = Response::from(StatusWord::UNSPECIFIED);
        while let Some(piece) = pieces.next() {
            answer = self.send(&piece, limit)?;
            if pieces.peek().is_some() && !answer.status().is_success() {
                return Ok(answer);
            }
            if let Some(exact) = answer.status().correct_expected() {
                answer = self.send(&piece.with_expected(exact.into()), limit)?;
            }
        }
        let mut data = answer.data().to_vec();
        while let Some(waiting) = answer.status().more_available() {
            let expected = if waiting == 0 {
                256
            } else {
                u32::from(waiting)
            };
            let next = Command::new(ins::GET_RESPONSE, 0, 0).with_expected(expected);
            answer = self.send(&next, limit)?;
            let empty = answer.data().is_empty() && answer.status().more_available().is_some();
            data.extend_from_slice(answer.data());
            if empty || data.len() > ANSWER_BYTES_MAX {
                return Err(CardFault::BadAnswer);
            }
        }
        Ok(Response::new(data, answer.status()))
    }

    pub(crate) fn control(
        &mut self,
        control: Control,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        let limit = match control {
            Control::Features => self.exchange_limit,
            Control::Code(_) => pad_limit(),
        };
        self.channel.control(control, data, limit)
    }

    pub(crate) fn must_reset(&mut self) {
        self.ending = Ending::Reset;
    }

    pub(crate) fn refusal(&self, status: StatusWord) -> CardFault {
        match status {
            StatusWord::SECURITY_STATUS_NOT_SATISFIED => CardFault::PinNotVerified,
            StatusWord::INSTRUCTION_NOT_SUPPORTED
            | StatusWord::CLASS_NOT_SUPPORTED
            | StatusWord::FUNCTION_NOT_SUPPORTED => CardFault::Unsupported,
            StatusWord::NOT_ENOUGH_MEMORY | StatusWord::MEMORY_FAILURE => CardFault::Full,
            status => CardFault::Refused(status),
        }
    }

    fn send(&mut self, command: &Command, limit: Duration) -> Result<Response, CardFault> {
        let bytes = command.to_bytes().map_err(|_| CardFault::Unsupported)?;
        let answer = self.channel.transmit(&bytes, limit)?;
        let answer = Response::parse(&answer).map_err(|_| CardFault::BadAnswer)?;
        // Headers and lengths only: neither type shows its data.
        tracing::trace!(reader = %self.reader, ?command, ?answer, "card exchange");
        Ok(answer)
    }

    pub(crate) fn guard_last_try(&mut self, last_try: LastTry) -> Result<(), CardFault> {
        match self.pin_status()? {
            PinStatus::Blocked => Err(CardFault::PinBlocked),
            PinStatus::TriesLeft(1) if last_try == LastTry::Refuse => Err(CardFault::LastTry),
            // Verified: the counter was set back then, and a wrong try since would have ended it.
            PinStatus::TriesLeft(_) | PinStatus::Verified => Ok(()),
        }
    }

    pub(crate) fn pin_outcome(&self, status: StatusWord) -> Result<(), CardFault> {
        match (status, status.tries_left()) {
            (StatusWord::SUCCESS, _) => Ok(()),
            (StatusWord::BLOCKED, _) | (_, Some(0)) => Err(CardFault::PinBlocked),
            (_, Some(tries_left)) => Err(CardFault::WrongPin { tries_left }),
            (StatusWord::WRONG_DATA, _) => Err(CardFault::NewPinRefused),
            _ => Err(self.refusal(status)),
        }
    }

    fn puk_outcome(&self, status: StatusWord) -> Result<(), CardFault> {
        match (status, status.tries_left()) {
            (StatusWord::SUCCESS, _) => Ok(()),
            (StatusWord::BLOCKED, _) | (_, Some(0)) => Err(CardFault::PukBlocked),
            (_, Some(tries_left)) => Err(CardFault::WrongPuk { tries_left }),
            (StatusWord::WRONG_DATA, _) => Err(CardFault::NewPinRefused),
            _ => Err(self.refusal(status)),
        }
    }
}

impl Drop for CardSession {
    fn drop(&mut self) {
        self.channel.end(self.ending);
    }
}

impl fmt::Debug for CardSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardSession")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

/// The limit for ordinary commands.
pub(crate) fn default_exchange_limit() -> Duration {
    Duration::from_secs(EXCHANGE_SECS_MAX)
}

/// True for a signature of the right form: for ECDSA the DER sequence of two integers.
fn is_signature(scheme: Scheme, signature: &[u8]) -> bool {
    const SEQUENCE: tlv::Tag = tlv::Tag::new(0x30);
    const INTEGER: tlv::Tag = tlv::Tag::new(0x02);
    if scheme.key_algorithm() == lanyard_piv::Algorithm::Rsa2048 {
        return signature.len() == scheme.key_algorithm().input_bytes();
    }
    let Ok(numbers) = tlv::only(signature, SEQUENCE) else {
        return false;
    };
    let mut numbers = tlv::Reader::new(numbers);
    let mut integer = || {
        numbers
            .expect(INTEGER)
            .is_ok_and(|number| !number.is_empty())
    };
    integer() && integer() && numbers.end().is_ok()
}
