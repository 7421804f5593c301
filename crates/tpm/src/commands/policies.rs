// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy session gathers (part 3, 23).

use tpm2_protocol::data::TpmCc;

use crate::auth::Auth;
use crate::conversation::{Call, Tpm};
use crate::error::TpmError;
use crate::name::Handle;
use crate::policy::Policy;
use crate::session::Session;
use crate::wire::Writer;

impl Tpm {
    /// `TPM2_PolicySecret`: proves the secret of an entity for this policy session.
    pub fn policy_secret(
        &mut self,
        entity: &Handle,
        auth: Auth<'_>,
        policy: &Session,
    ) -> Result<(), TpmError> {
        let session = Handle::permanent(policy.handle);
        // No nonce, no command, no reference, no expiry: the proof counts for this session alone.
        let parameters = Writer::new().sized(&[]).sized(&[]).sized(&[]).u32(0);
        let handles = [entity, &session];
        self.run(Call::new(TpmCc::PolicySecret, &handles, parameters).by(auth))
            .map(drop)
    }

    /// `TPM2_PolicyAuthValue`: the entity's own secret comes with the command.
    pub fn policy_auth_value(&mut self, policy: &Session) -> Result<(), TpmError> {
        self.gather(TpmCc::PolicyAuthValue, policy, Writer::new())
    }

    /// `TPM2_PolicyCommandCode`: only for this command.
    pub fn policy_command(&mut self, policy: &Session, code: TpmCc) -> Result<(), TpmError> {
        let parameters = Writer::new().u32(code as u32);
        self.gather(TpmCc::PolicyCommandCode, policy, parameters)
    }

    /// `TPM2_PolicyOR`: what was gathered is one of these.
    pub fn policy_or(&mut self, policy: &Session, branches: &[Policy]) -> Result<(), TpmError> {
        let count = u32::try_from(branches.len()).map_err(|_| TpmError::TooLong)?;
        let mut parameters = Writer::new().u32(count);
        for branch in branches {
            parameters = parameters.sized(branch.as_bytes());
        }
        self.gather(TpmCc::PolicyOr, policy, parameters)
    }

    /// `TPM2_PolicyGetDigest`: what was gathered so far.
    pub fn policy_digest(&mut self, policy: &Session) -> Result<Vec<u8>, TpmError> {
        let session = Handle::permanent(policy.handle);
        let handles = [&session];
        let given = self.run(Call::new(TpmCc::PolicyGetDigest, &handles, Writer::new()))?;
        let mut reader = given.reader();
        let digest = reader.sized()?.to_vec();
        reader.end()?;
        Ok(digest)
    }

    fn gather(
        &mut self,
        code: TpmCc,
        policy: &Session,
        parameters: Writer,
    ) -> Result<(), TpmError> {
        let session = Handle::permanent(policy.handle);
        let handles = [&session];
        self.run(Call::new(code, &handles, parameters)).map(drop)
    }
}
