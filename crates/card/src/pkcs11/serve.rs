// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the helper runs: one module, asked over standard input. The only file that names cryptoki.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism as Ck, MechanismType};
use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::wire::{Fields, ListedCertificate, ListedToken, Mechanism, Message, TokenFlags, Verb};
use crate::fault::CardFault;

/// A question that takes longer than this is never answered: the asking side gave up long ago, and
/// may be gone altogether.
const QUESTION_SECS_MAX: u64 = 300;
/// Most certificates that are read from one token.
const CERTIFICATES_MAX: usize = 64;

/// Serves until the other end is closed.
pub(super) fn run(module: &Path) -> Result<(), CardFault> {
    let input = std::io::stdin();
    let line = input.as_fd().try_clone_to_owned();
    let mut line = UnixStream::from(line.map_err(|_| CardFault::ModuleUnusable)?);
    // Started by hand there is no program at the other end.
    line.peer_addr().map_err(|_| CardFault::ModuleUnusable)?;
    let mut host = Host {
        module: None,
        key: None,
    };
    while let Ok(question) = Message::read(&mut line) {
        let done = watch();
        let answer = host.answer(module, question);
        drop(done);
        let answer = answer.unwrap_or_else(Message::failed);
        if answer.write(&mut line).is_err() {
            break;
        }
    }
    // Nobody asks any more: what was logged in is logged out, and the module lets go of its card.
    let done = watch();
    if let Some(key) = host.key.take() {
        let _ = key.session.logout();
        drop(key);
    }
    if let Some(module) = host.module.take() {
        let _ = module.finalize();
    }
    drop(done);
    Ok(())
}

/// Ends this process when the question is not answered in time. Dropping what is returned calls the
/// watch off.
fn watch() -> mpsc::Sender<()> {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let limit = Duration::from_secs(QUESTION_SECS_MAX);
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            std::process::exit(3);
        }
    });
    done
}

struct Host {
    module: Option<Pkcs11>,
    key: Option<Key>,
}

/// The key that is used, and the session that it is used in.
struct Key {
    session: Session,
    slot: Slot,
    id: Vec<u8>,
}

impl Host {
    fn answer(&mut self, path: &Path, question: Message) -> Result<Message, CardFault> {
        let verb = Verb::from_byte(question.kind).ok_or(CardFault::BadAnswer)?;
        let module = match &self.module {
            Some(module) => module.clone(),
            None => {
                let module = load(path)?;
                self.module = Some(module.clone());
                module
            }
        };
        let mut fields = Fields::of(question);
        match verb {
            Verb::List => list(&module),
            Verb::Open => {
                let (key, mechanisms) = open(&module, &mut fields)?;
                self.key = Some(key);
                Ok(Message::done().with(&mechanisms))
            }
            Verb::Login => {
                let key = self.key.as_ref().ok_or(CardFault::BadAnswer)?;
                login(&module, key, fields).map(|()| Message::done())
            }
            Verb::Sign => {
                let key = self.key.as_ref().ok_or(CardFault::BadAnswer)?;
                let signature = sign(key, &mut fields)?;
                Ok(Message::done().with(&signature))
            }
        }
    }
}

fn load(path: &Path) -> Result<Pkcs11, CardFault> {
    let module = Pkcs11::new(path).map_err(|_| CardFault::ModuleUnusable)?;
    let locking = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    match module.initialize(locking) {
        Ok(()) => Ok(module),
        Err(_) => Err(CardFault::ModuleUnusable),
    }
}

fn list(module: &Pkcs11) -> Result<Message, CardFault> {
    let slots = module.get_slots_with_token().map_err(fault)?;
    let mut answer = Message::done();
    for slot in slots {
        // A token that goes away while it is read is left out, and one without its PIN set as well.
        if let Ok(Some(token)) = token(module, slot) {
            answer = token.write(answer);
        }
    }
    Ok(answer)
}

fn token(module: &Pkcs11, slot: Slot) -> Result<Option<ListedToken>, Error> {
    let info = module.get_token_info(slot)?;
    if !info.token_initialized() {
        return Ok(None);
    }
    let place = module.get_slot_info(slot)?;
    let session = module.open_ro_session(slot)?;
    let maker = [info.manufacturer_id(), info.model()];
    let maker: Vec<&str> = maker.into_iter().filter(|word| !word.is_empty()).collect();
    Ok(Some(ListedToken {
        slot: slot.id(),
        slot_description: place.slot_description().to_owned(),
        label: info.label().to_owned(),
        maker: maker.join(" "),
        serial: info.serial_number().to_owned(),
        flags: TokenFlags {
            pin_count_low: info.user_pin_count_low(),
            pin_final_try: info.user_pin_final_try(),
            pin_locked: info.user_pin_locked(),
            pin_to_be_changed: info.user_pin_to_be_changed(),
            has_pad: info.protected_authentication_path(),
            login_required: info.login_required(),
        },
        pin_bytes: (info.min_pin_length(), info.max_pin_length()),
        certificates: certificates(&session)?,
    }))
}

fn certificates(session: &Session) -> Result<Vec<ListedCertificate>, Error> {
    let wanted = [
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
    ];
    let mut found = Vec::new();
    for object in session
        .find_objects(&wanted)?
        .into_iter()
        .take(CERTIFICATES_MAX)
    {
        let mut one = ListedCertificate::default();
        for attribute in
            session.get_attributes(object, &[AttributeType::Id, AttributeType::Value])?
        {
            match attribute {
                Attribute::Id(id) => one.id = id,
                Attribute::Value(der) => one.der = der,
                _ => {}
            }
        }
        one.key_seen = private_key(session, &one.id)?.is_some();
        found.push(one);
    }
    Ok(found)
}

fn private_key(session: &Session, id: &[u8]) -> Result<Option<ObjectHandle>, Error> {
    let wanted = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Id(id.to_vec()),
    ];
    Ok(session.find_objects(&wanted)?.into_iter().next())
}

fn open(module: &Pkcs11, fields: &mut Fields) -> Result<(Key, Vec<u8>), CardFault> {
    let slot = Slot::try_from(fields.number()?).map_err(fault)?;
    let serial = fields.text()?;
    let id = fields.bytes()?.to_vec();
    let info = module.get_token_info(slot).map_err(fault)?;
    if info.serial_number().trim() != serial {
        return Err(CardFault::OtherCard);
    }
    if info.user_pin_locked() {
        return Err(CardFault::PinBlocked);
    }
    let mechanisms = module.get_mechanism_list(slot).map_err(fault)?;
    let known = [
        (MechanismType::ECDSA, Mechanism::Ecdsa),
        (MechanismType::RSA_X_509, Mechanism::RsaRaw),
        (MechanismType::RSA_PKCS, Mechanism::RsaPkcs1),
        (MechanismType::RSA_PKCS_PSS, Mechanism::RsaPssSha256),
    ];
    let known = known
        .iter()
        .filter(|(kind, _)| mechanisms.contains(kind))
        .map(|(_, mechanism)| mechanism.byte());
    let session = module.open_ro_session(slot).map_err(fault)?;
    let key = Key { session, slot, id };
    Ok((key, known.collect()))
}

/// Exactly one C_Login.
fn login(module: &Pkcs11, key: &Key, mut fields: Fields) -> Result<(), CardFault> {
    let pin = if fields.is_empty() {
        None
    } else {
        Some(pin(&fields.bytes()?)?)
    };
    let Err(error) = key.session.login(UserType::User, pin.as_ref()) else {
        return Ok(());
    };
    drop(pin);
    Err(match error {
        Error::Pkcs11(RvError::PinIncorrect, _) => {
            // How many tries are left, only the flags tell, and only roughly.
            match module.get_token_info(key.slot) {
                Ok(info) if info.user_pin_locked() => CardFault::PinBlocked,
                Ok(info) if info.user_pin_final_try() => CardFault::WrongPin { tries_left: 1 },
                _ => CardFault::WrongPinUncounted,
            }
        }
        // Somebody else's session of this very process: there is none.
        Error::Pkcs11(RvError::UserAlreadyLoggedIn, _) => return Ok(()),
        error => fault(error),
    })
}

fn pin(bytes: &Zeroizing<Vec<u8>>) -> Result<AuthPin, CardFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| CardFault::TokenPinRefused)?;
    Ok(AuthPin::from(text.to_owned()))
}

fn sign(key: &Key, fields: &mut Fields) -> Result<Vec<u8>, CardFault> {
    let mechanism = fields.bytes()?;
    let mechanism = mechanism.first().copied().and_then(Mechanism::from_byte);
    let data = fields.bytes()?;
    let handle = private_key(&key.session, &key.id).map_err(fault)?;
    let handle = handle.ok_or(CardFault::TokenKeyMissing)?;
    let mechanism = match mechanism.ok_or(CardFault::BadAnswer)? {
        Mechanism::Ecdsa => Ck::Ecdsa,
        Mechanism::RsaRaw => Ck::RsaX509,
        Mechanism::RsaPkcs1 => Ck::RsaPkcs,
        Mechanism::RsaPssSha256 => Ck::RsaPkcsPss(PkcsPssParams {
            hash_alg: MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: 32.into(),
        }),
    };
    key.session.sign(&mechanism, handle, &data).map_err(fault)
}

fn fault(error: Error) -> CardFault {
    let Error::Pkcs11(value, _) = error else {
        return CardFault::ModuleUnusable;
    };
    match value {
        RvError::TokenNotPresent
        | RvError::DeviceRemoved
        | RvError::SlotIdInvalid
        | RvError::TokenNotRecognized
        | RvError::SessionHandleInvalid
        | RvError::SessionClosed => CardFault::Removed,
        RvError::PinIncorrect => CardFault::WrongPinUncounted,
        RvError::PinLocked => CardFault::PinBlocked,
        RvError::PinExpired | RvError::UserPinNotInitialized => CardFault::PinMustChange,
        RvError::PinInvalid | RvError::PinLenRange => CardFault::TokenPinRefused,
        RvError::UserNotLoggedIn => CardFault::PinNotVerified,
        RvError::FunctionCanceled => CardFault::PadCancelled,
        RvError::KeyHandleInvalid => CardFault::TokenKeyMissing,
        RvError::MechanismInvalid
        | RvError::KeyTypeInconsistent
        | RvError::KeyFunctionNotPermitted
        | RvError::FunctionNotSupported => CardFault::Unsupported,
        RvError::DeviceError | RvError::FunctionFailed | RvError::GeneralError => {
            CardFault::CardMute
        }
        _ => CardFault::ModuleUnusable,
    }
}
