// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, loading and keeping objects (part 3, 12, 14, 24, 28).

use std::fmt;

use tpm2_protocol::data::TpmCc;
use zeroize::Zeroizing;

use crate::auth::{Auth, AuthValue};
use crate::conversation::{Call, Tpm};
use crate::error::TpmError;
use crate::name::Handle;
use crate::public::{Public, Template};
use crate::session::Session;
use crate::wire::Writer;

/// One of the chip's hierarchies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hierarchy {
    /// What the computer's owner makes.
    Owner,
    /// What speaks of the chip itself.
    Endorsement,
    /// What ends with the power.
    Null,
}

impl Hierarchy {
    /// Its handle (`TPM_RH`).
    #[must_use]
    pub fn handle(self) -> Handle {
        Handle::permanent(match self {
            Self::Owner => 0x4000_0001,
            Self::Endorsement => 0x4000_000B,
            Self::Null => 0x4000_0007,
        })
    }
}

/// An object as the chip gave it out: its private half is encrypted to the chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// `TPM2B_PRIVATE` without its length.
    pub private: Vec<u8>,
    /// The public area.
    pub public: Public,
}

/// An object in the chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    handle: Handle,
    public: Public,
}

impl Object {
    /// Its handle and name.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Its public area.
    #[must_use]
    pub fn public(&self) -> &Public {
        &self.public
    }
}

/// An object's state, encrypted by the chip, until its next power-up.
#[derive(Clone)]
pub struct SavedObject {
    context: Vec<u8>,
    public: Public,
}

impl fmt::Debug for SavedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SavedObject(..)")
    }
}

impl Tpm {
    /// `TPM2_CreatePrimary`: derives a key from the hierarchy's seed; the same template gives the
    /// same key until the seed is replaced.
    pub fn create_primary(
        &mut self,
        hierarchy: Hierarchy,
        template: &Template,
    ) -> Result<Object, TpmError> {
        let handle = hierarchy.handle();
        let parameters = sensitive(&AuthValue::empty(), &[])
            .sized(template.as_bytes())
            .sized(&[])
            .u32(0);
        let handles = [&handle];
        let call = Call::new(TpmCc::CreatePrimary, &handles, parameters)
            .by(Auth::Nothing)
            .giving_handles(1);
        let given = self.run(call)?;
        let value = given.handle()?;
        self.opened(value);
        let public = Public::parse(given.reader().sized()?)?;
        self.object(value, public)
    }

    /// `TPM2_Create`: makes a key, or seals `data`, under a storage key. The secret and the data
    /// travel encrypted by `session`.
    pub fn create(
        &mut self,
        parent: &Object,
        auth: &AuthValue,
        data: &[u8],
        template: &Template,
        session: &mut Session,
    ) -> Result<Blob, TpmError> {
        let parameters = sensitive(auth, data)
            .sized(template.as_bytes())
            .sized(&[])
            .u32(0);
        let handles = [parent.handle()];
        let call = Call::new(TpmCc::Create, &handles, parameters)
            .by(Auth::Hmac(session, &EMPTY))
            .hiding(true, false);
        let given = self.run(call)?;
        let mut reader = given.reader();
        let private = reader.sized()?.to_vec();
        let public = Public::parse(reader.sized()?)?;
        Ok(Blob { private, public })
    }

    /// `TPM2_Load`.
    pub fn load(&mut self, parent: &Object, blob: &Blob) -> Result<Object, TpmError> {
        let parameters = Writer::new()
            .sized(&blob.private)
            .sized(blob.public.as_bytes());
        let handles = [parent.handle()];
        let call = Call::new(TpmCc::Load, &handles, parameters)
            .by(Auth::Nothing)
            .giving_handles(1);
        let given = self.run(call)?;
        let value = given.handle()?;
        self.opened(value);
        self.object(value, blob.public.clone())
    }

    /// `TPM2_LoadExternal`: a public half from elsewhere.
    pub fn load_external(&mut self, public: &Public) -> Result<Object, TpmError> {
        let parameters = Writer::new()
            .sized(&[])
            .sized(public.as_bytes())
            .u32(Hierarchy::Null.handle().value());
        let call = Call::new(TpmCc::LoadExternal, &[], parameters).giving_handles(1);
        let given = self.run(call)?;
        let value = given.handle()?;
        self.opened(value);
        self.object(value, public.clone())
    }

    /// `TPM2_ReadPublic` of a persistent object.
    pub fn read_public(&mut self, handle: u32) -> Result<Object, TpmError> {
        let place = Handle::permanent(handle);
        let handles = [&place];
        let given = self.run(Call::new(TpmCc::ReadPublic, &handles, Writer::new()))?;
        let public = Public::parse(given.reader().sized()?)?;
        self.object(handle, public)
    }

    /// `TPM2_ContextSave`: the object stays in the chip, too.
    pub fn save(&mut self, object: &Object) -> Result<SavedObject, TpmError> {
        let handles = [object.handle()];
        let given = self.run(Call::new(TpmCc::ContextSave, &handles, Writer::new()))?;
        Ok(SavedObject {
            context: given.parameters.to_vec(),
            public: object.public.clone(),
        })
    }

    /// `TPM2_ContextLoad`; fails after the chip's next power-up.
    pub fn restore(&mut self, saved: &SavedObject) -> Result<Object, TpmError> {
        let parameters = Writer::new().bytes(&saved.context);
        let given = self.run(Call::new(TpmCc::ContextLoad, &[], parameters).giving_handles(1))?;
        let value = given.handle()?;
        self.opened(value);
        self.object(value, saved.public.clone())
    }

    /// `TPM2_Unseal`: the sealed data, encrypted on its way by `session`.
    pub fn unseal(
        &mut self,
        object: &Object,
        auth: Auth<'_>,
        session: Option<&mut Session>,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let handles = [object.handle()];
        let call = Call::new(TpmCc::Unseal, &handles, Writer::new())
            .by(auth)
            .hidden_by(session)
            .hiding(false, true);
        let given = self.run(call)?;
        let mut reader = given.reader();
        let data = Zeroizing::new(reader.sized()?.to_vec());
        reader.end()?;
        Ok(data)
    }

    /// `TPM2_ObjectChangeAuth`: the object's new private half, with another secret; the old half
    /// goes on working with the old one.
    pub fn change_object_auth(
        &mut self,
        parent: &Object,
        object: &Object,
        old: &AuthValue,
        new: &AuthValue,
        session: &mut Session,
    ) -> Result<Vec<u8>, TpmError> {
        let parameters = Writer::new().sized(new.as_bytes());
        let handles = [object.handle(), parent.handle()];
        let call = Call::new(TpmCc::ObjectChangeAuth, &handles, parameters)
            .by(Auth::Hmac(session, old))
            .hiding(true, false);
        let given = self.run(call)?;
        let mut reader = given.reader();
        let private = reader.sized()?.to_vec();
        reader.end()?;
        Ok(private)
    }

    /// An object of this conversation.
    fn object(&mut self, value: u32, public: Public) -> Result<Object, TpmError> {
        Ok(Object {
            handle: Handle::named(value, public.name()),
            public,
        })
    }
}

static EMPTY: std::sync::LazyLock<AuthValue> = std::sync::LazyLock::new(AuthValue::empty);

/// `TPM2B_SENSITIVE_CREATE`.
fn sensitive(auth: &AuthValue, data: &[u8]) -> Writer {
    let inner = Writer::new().sized(auth.as_bytes()).sized(data);
    Writer::new().sized(inner.as_bytes())
}
