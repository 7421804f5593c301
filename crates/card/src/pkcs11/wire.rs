// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the helper is asked and answers: a length of four bytes, big-endian, and that many bytes;
//! inside, fields of the same kind behind one byte that says what it is. Both ends are the same
//! program, so there is no version.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use crate::fault::CardFault;

/// Most bytes of one message: some hundred certificates.
pub(super) const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Most fields of one message.
const FIELDS_MAX: usize = 4096;

/// What the helper is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Say which tokens there are. Fields: none. Answer: [`ListedToken`]s.
    List,
    /// Use this key of this token. Fields: slot, serial, id. Answer: the mechanisms, one byte each.
    Open,
    /// Log in. Fields: the PIN, or none for the token's own keys.
    Login,
    /// Sign. Fields: mechanism, data. Answer: the signature.
    Sign,
}

impl Verb {
    #[cfg(feature = "pkcs11")]
    const ALL: [Self; 4] = [Self::List, Self::Open, Self::Login, Self::Sign];

    fn byte(self) -> u8 {
        match self {
            Self::List => 1,
            Self::Open => 2,
            Self::Login => 3,
            Self::Sign => 4,
        }
    }

    #[cfg(feature = "pkcs11")]
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.byte() == byte)
    }
}

/// How a token is asked to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// CKM_ECDSA on a hash.
    Ecdsa,
    /// CKM_RSA_X_509 on a block that we padded.
    RsaRaw,
    /// CKM_RSA_PKCS on a `DigestInfo`.
    RsaPkcs1,
    /// CKM_RSA_PKCS_PSS on a SHA-256 hash.
    RsaPssSha256,
}

impl Mechanism {
    pub(super) const ALL: [Self; 4] = [
        Self::Ecdsa,
        Self::RsaRaw,
        Self::RsaPkcs1,
        Self::RsaPssSha256,
    ];

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Ecdsa => 1,
            Self::RsaRaw => 2,
            Self::RsaPkcs1 => 3,
            Self::RsaPssSha256 => 4,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.byte() == byte)
    }
}

/// A message: what it is, and its fields.
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) fields: Vec<Zeroizing<Vec<u8>>>,
}

/// The kind of an answer that carries what was asked for; others are faults.
const DONE: u8 = 0;

/// The faults that come from the helper.
const FAULTS: [(u8, CardFault); 14] = [
    (1, CardFault::ModuleUnusable),
    (2, CardFault::Removed),
    (3, CardFault::OtherCard),
    (4, CardFault::WrongPin { tries_left: 1 }),
    (5, CardFault::WrongPinUncounted),
    (6, CardFault::PinBlocked),
    (7, CardFault::PinMustChange),
    (8, CardFault::PinNotVerified),
    (9, CardFault::TokenKeyMissing),
    (10, CardFault::Unsupported),
    (11, CardFault::PadCancelled),
    (12, CardFault::TokenPinRefused),
    (13, CardFault::CardMute),
    (14, CardFault::BadAnswer),
];

impl Message {
    pub(super) fn ask(verb: Verb) -> Self {
        Self {
            kind: verb.byte(),
            fields: Vec::new(),
        }
    }

    #[cfg(any(feature = "pkcs11", test))]
    pub(super) fn done() -> Self {
        Self {
            kind: DONE,
            fields: Vec::new(),
        }
    }

    #[cfg(any(feature = "pkcs11", test))]
    pub(super) fn failed(fault: CardFault) -> Self {
        let known = FAULTS.iter().find(|(_, one)| *one == fault);
        Self {
            kind: known.map_or(1, |(kind, _)| *kind),
            fields: Vec::new(),
        }
    }

    pub(super) fn with(mut self, field: &[u8]) -> Self {
        self.fields.push(Zeroizing::new(field.to_vec()));
        self
    }

    pub(super) fn with_number(self, number: u64) -> Self {
        self.with(&number.to_be_bytes())
    }

    /// The fields of an answer, or its fault.
    pub(super) fn into_answer(self) -> Result<Fields, CardFault> {
        if self.kind == DONE {
            return Ok(Fields(self.fields.into_iter()));
        }
        let known = FAULTS.iter().find(|(kind, _)| *kind == self.kind);
        Err(known.map_or(CardFault::ModuleUnusable, |(_, fault)| *fault))
    }

    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut body = Zeroizing::new(vec![self.kind]);
        for field in &self.fields {
            let count = u32::try_from(field.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            body.extend_from_slice(&count.to_be_bytes());
            body.extend_from_slice(field);
        }
        if body.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let count = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        to.write_all(&count.to_be_bytes())?;
        to.write_all(&body)
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut count = [0; 4];
        from.read_exact(&mut count)?;
        let count = usize::try_from(u32::from_be_bytes(count)).unwrap_or(usize::MAX);
        if count == 0 || count > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = Zeroizing::new(vec![0; count]);
        from.read_exact(&mut body)?;
        Self::parse(&body).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let (kind, mut rest) = body.split_first()?;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (count, after) = rest.split_first_chunk::<4>()?;
            let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
            let (field, after) = after.split_at_checked(count)?;
            fields.push(Zeroizing::new(field.to_vec()));
            rest = after;
            if fields.len() > FIELDS_MAX {
                return None;
            }
        }
        Some(Self {
            kind: *kind,
            fields,
        })
    }
}

/// The fields of a message, taken one after the other.
pub(super) struct Fields(std::vec::IntoIter<Zeroizing<Vec<u8>>>);

impl Fields {
    #[cfg(feature = "pkcs11")]
    pub(super) fn of(message: Message) -> Self {
        Self(message.fields.into_iter())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(super) fn bytes(&mut self) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        self.0.next().ok_or(CardFault::BadAnswer)
    }

    pub(super) fn text(&mut self) -> Result<String, CardFault> {
        Ok(String::from_utf8_lossy(&self.bytes()?).trim().to_owned())
    }

    pub(super) fn number(&mut self) -> Result<u64, CardFault> {
        let bytes = self.bytes()?;
        let bytes = <[u8; 8]>::try_from(bytes.as_slice()).map_err(|_| CardFault::BadAnswer)?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(super) fn count(&mut self) -> Result<usize, CardFault> {
        usize::try_from(self.number()?).map_err(|_| CardFault::BadAnswer)
    }
}

/// A token as the helper lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ListedToken {
    pub(super) slot: u64,
    pub(super) slot_description: String,
    pub(super) label: String,
    pub(super) maker: String,
    pub(super) serial: String,
    pub(super) flags: TokenFlags,
    pub(super) pin_bytes: (usize, usize),
    pub(super) certificates: Vec<ListedCertificate>,
}

/// What a token's flags say (PKCS #11, CK_TOKEN_INFO).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TokenFlags {
    pub(super) pin_count_low: bool,
    pub(super) pin_final_try: bool,
    pub(super) pin_locked: bool,
    pub(super) pin_to_be_changed: bool,
    pub(super) has_pad: bool,
    pub(super) login_required: bool,
}

impl TokenFlags {
    #[cfg(any(feature = "pkcs11", test))]
    fn to_number(self) -> u64 {
        let bits = [
            self.pin_count_low,
            self.pin_final_try,
            self.pin_locked,
            self.pin_to_be_changed,
            self.has_pad,
            self.login_required,
        ];
        bits.iter()
            .rev()
            .fold(0, |number, bit| (number << 1) | u64::from(*bit))
    }

    fn from_number(number: u64) -> Self {
        let bit = |place: u32| (number >> place) & 1 == 1;
        Self {
            pin_count_low: bit(0),
            pin_final_try: bit(1),
            pin_locked: bit(2),
            pin_to_be_changed: bit(3),
            has_pad: bit(4),
            login_required: bit(5),
        }
    }
}

/// A certificate as the helper lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ListedCertificate {
    pub(super) id: Vec<u8>,
    pub(super) der: Vec<u8>,
    /// Its private key was seen, which most tokens allow only after the PIN.
    pub(super) key_seen: bool,
}

impl ListedToken {
    #[cfg(any(feature = "pkcs11", test))]
    pub(super) fn write(&self, message: Message) -> Message {
        let certificates = u64::try_from(self.certificates.len()).unwrap_or(0);
        let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let mut message = message
            .with_number(self.slot)
            .with(self.slot_description.as_bytes())
            .with(self.label.as_bytes())
            .with(self.maker.as_bytes())
            .with(self.serial.as_bytes())
            .with_number(self.flags.to_number())
            .with_number(bytes(self.pin_bytes.0))
            .with_number(bytes(self.pin_bytes.1))
            .with_number(certificates);
        for certificate in &self.certificates {
            message = message
                .with(&certificate.id)
                .with(&certificate.der)
                .with_number(u64::from(certificate.key_seen));
        }
        message
    }

    pub(super) fn read_all(mut fields: Fields) -> Result<Vec<Self>, CardFault> {
        let mut tokens = Vec::new();
        while !fields.is_empty() {
            let mut token = Self {
                slot: fields.number()?,
                slot_description: fields.text()?,
                label: fields.text()?,
                maker: fields.text()?,
                serial: fields.text()?,
                flags: TokenFlags::from_number(fields.number()?),
                pin_bytes: (fields.count()?, fields.count()?),
                certificates: Vec::new(),
            };
            for _ in 0..fields.count()? {
                token.certificates.push(ListedCertificate {
                    id: fields.bytes()?.to_vec(),
                    der: fields.bytes()?.to_vec(),
                    key_seen: fields.number()? != 0,
                });
            }
            tokens.push(token);
        }
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tokens_comes_back_as_it_was() {
        let token = ListedToken {
            slot: 7,
            slot_description: "Reader".into(),
            label: "Token".into(),
            maker: "Maker".into(),
            serial: "42".into(),
            flags: TokenFlags {
                pin_final_try: true,
                login_required: true,
                ..TokenFlags::default()
            },
            pin_bytes: (4, 255),
            certificates: vec![ListedCertificate {
                id: vec![1],
                der: vec![0x30, 0],
                key_seen: true,
            }],
        };
        let mut bytes = Vec::new();
        let message = token.write(token.write(Message::done()));
        message.write(&mut bytes).unwrap();
        let back = Message::read(&mut bytes.as_slice()).unwrap();
        let tokens = ListedToken::read_all(back.into_answer().unwrap()).unwrap();
        assert_eq!(tokens, [token.clone(), token]);
    }

    #[test]
    fn every_fault_keeps_its_meaning() {
        for (_, fault) in FAULTS {
            let answer = Message::failed(fault).into_answer();
            assert_eq!(answer.err(), Some(fault));
        }
    }

    #[test]
    fn half_a_message_and_a_huge_one_are_refused() {
        assert!(Message::read(&mut [0, 0, 0, 9, 1].as_slice()).is_err());
        assert!(Message::read(&mut [0xFF, 0, 0, 0, 1].as_slice()).is_err());
        assert!(Message::read(&mut [0, 0, 0, 0].as_slice()).is_err());
        assert!(Message::read(&mut [0, 0, 0, 5, 0, 0, 0, 0, 9].as_slice()).is_err());
    }
}
