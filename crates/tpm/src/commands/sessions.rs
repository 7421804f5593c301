// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting sessions (part 3, 11.1).

use tpm2_protocol::data::{TpmAlgId, TpmCc, TpmEccCurve};
use zeroize::Zeroizing;

use super::Object;
use crate::conversation::{Call, Tpm};
use crate::crypto::{self, DIGEST_BYTES};
use crate::error::TpmError;
use crate::name::{Handle, SHA256};
use crate::public::PublicKey;
use crate::session::{Session, SessionKind};
use crate::wire::Writer;

/// `TPM_RH_NULL`.
const NULL: u32 = 0x4000_0007;
const AES_KEY_BITS: u16 = 128;

impl Tpm {
    /// Starts a session. With `salted_to`, a P-256 storage key of the chip, both sides share a
    /// secret that nobody on the bus can learn; without, the session hides nothing.
    pub fn start_session(
        &mut self,
        kind: SessionKind,
        salted_to: Option<&Object>,
    ) -> Result<Session, TpmError> {
        let mut nonce_caller = vec![0; DIGEST_BYTES];
        crypto::random(&mut nonce_caller)?;
        let null = Handle::permanent(NULL);
        let (salt, encrypted) = match salted_to {
            None => (Zeroizing::new(Vec::new()), Vec::new()),
            Some(object) => salt_for(object)?,
        };
        let key_handle = salted_to.map_or(&null, Object::handle);
        let parameters = Writer::new()
            .sized(&nonce_caller)
            .sized(&encrypted)
            .u8(kind.wire())
            .u16(TpmAlgId::Aes as u16)
            .u16(AES_KEY_BITS)
            .u16(TpmAlgId::Cfb as u16)
            .u16(SHA256);
        let handles = [key_handle, &null];
        let call = Call::new(TpmCc::StartAuthSession, &handles, parameters).giving_handles(1);
        let given = self.run(call)?;
        let handle = given.handle()?;
        self.opened(handle);
        let mut reader = given.reader();
        let nonce_tpm = reader.sized()?.to_vec();
        reader.end()?;
        let key = if salt.is_empty() {
            Zeroizing::new(Vec::new())
        } else {
            crypto::kdfa(&salt, b"ATH", &nonce_tpm, &nonce_caller, DIGEST_BYTES)
        };
        Ok(Session {
            handle,
            nonce_caller,
            nonce_tpm,
            key,
        })
    }
}

/// The salt, and what tells it to the chip.
fn salt_for(object: &Object) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), TpmError> {
    match object.public().key() {
        Some(PublicKey::Ecc {
            curve: TpmEccCurve::NistP256,
            x,
            y,
        }) => {
            let salt = crypto::salt(&x, &y)?;
            let point = Writer::new().sized(&salt.x).sized(&salt.y);
            Ok((salt.secret, point.as_bytes().to_vec()))
        }
        _ => Err(TpmError::Crypto),
    }
}
