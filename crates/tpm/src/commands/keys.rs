// SPDX-License-Identifier: MIT OR Apache-2.0
//! Using private keys (part 3, 14, 18, 20).

use tpm2_protocol::data::{TpmAlgId, TpmCc};
use zeroize::Zeroizing;

use super::Object;
use crate::auth::Auth;
use crate::conversation::{Call, Tpm};
use crate::error::TpmError;
use crate::session::Session;
use crate::wire::{Reader, Writer};

/// `TPM_ST_HASHCHECK`: a digest that the chip did not make itself.
const HASHCHECK: u16 = 0x8024;
/// `TPM_RH_NULL`.
const NULL: u32 = 0x4000_0007;

/// An ECDSA signature: two numbers, big-endian, zeros at the front may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The first.
    pub r: Vec<u8>,
    /// The second.
    pub s: Vec<u8>,
}

impl Tpm {
    /// `TPM2_Sign` by ECDSA. The digest has the length of `hash`, which is the one that fits it:
    /// SHA-256 or SHA-384.
    pub fn sign(
        &mut self,
        key: &Object,
        auth: Auth<'_>,
        session: Option<&mut Session>,
        hash: TpmAlgId,
        digest: &[u8],
    ) -> Result<Signature, TpmError> {
        let parameters = Writer::new()
            .sized(digest)
            .u16(TpmAlgId::Ecdsa as u16)
            .u16(hash as u16)
            .u16(HASHCHECK)
            .u32(NULL)
            .sized(&[]);
        let handles = [key.handle()];
        // A signature cannot be encrypted on its way; with the digest encrypted, the session also
        // proves that the answer is the chip's.
        let hides = session.is_some();
        let call = Call::new(TpmCc::Sign, &handles, parameters)
            .by(auth)
            .hidden_by(session)
            .hiding(hides, false);
        let given = self.run(call)?;
        let mut reader = given.reader();
        let signature = ecdsa(&mut reader)?;
        reader.end()?;
        Ok(signature)
    }

    /// `TPM2_ECDH_ZGen`: the point of agreement, encrypted on its way by `session`.
    pub fn agree(
        &mut self,
        key: &Object,
        auth: Auth<'_>,
        session: Option<&mut Session>,
        x: &[u8],
        y: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let point = Writer::new().sized(x).sized(y);
        let parameters = Writer::new().sized(point.as_bytes());
        let handles = [key.handle()];
        let call = Call::new(TpmCc::EcdhZGen, &handles, parameters)
            .by(auth)
            .hidden_by(session)
            .hiding(false, true);
        let given = self.run(call)?;
        let mut reader = given.reader();
        let point = reader.sized()?;
        reader.end()?;
        Ok(Zeroizing::new(Reader::new(point).sized()?.to_vec()))
    }

    /// `TPM2_RSA_Decrypt` with the null scheme: the bare operation, encrypted on its way back.
    pub fn rsa(
        &mut self,
        key: &Object,
        auth: Auth<'_>,
        session: Option<&mut Session>,
        block: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let parameters = Writer::new()
            .sized(block)
            .u16(TpmAlgId::Null as u16)
            .sized(&[]);
        let handles = [key.handle()];
        let call = Call::new(TpmCc::RsaDecrypt, &handles, parameters)
            .by(auth)
            .hidden_by(session)
            .hiding(false, true);
        let given = self.run(call)?;
        let mut reader = given.reader();
        let message = Zeroizing::new(reader.sized()?.to_vec());
        reader.end()?;
        Ok(message)
    }
}

/// `TPMT_SIGNATURE` by ECDSA.
pub(crate) fn ecdsa(reader: &mut Reader<'_>) -> Result<Signature, TpmError> {
    if reader.u16()? != TpmAlgId::Ecdsa as u16 {
        return Err(TpmError::Malformed);
    }
    reader.u16()?;
    Ok(Signature {
        r: reader.sized()?.to_vec(),
        s: reader.sized()?.to_vec(),
    })
}
