// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards that are not PIV, through a PKCS #11 module of their maker: to sign with, nothing else.
//!
//! A module is somebody else's C code. It may crash, hang, print, or forget what it knew, and none
//! of that may happen to the program that holds a person's session. So each module is loaded in a
//! process of its own, the *helper*: this same program started with a hidden verb. It is asked over
//! a socket pair, within limits, and killed when it does not answer. What is here before the helper
//! knows no C; what the helper runs ([`serve`]) knows nothing else.

mod helper;
mod modules;
#[cfg(feature = "pkcs11")]
mod serve;
mod signature;
mod tokens;
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;

pub use modules::registered_modules;
pub use tokens::TokenSession;
pub(crate) use tokens::Tokens;

/// Which modules are used, and how they are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pkcs11Settings {
    /// The modules' files.
    pub modules: Vec<PathBuf>,
    /// The program that runs a module.
    pub helper: HelperProgram,
}

/// The program that runs a module: it must call [`serve_pkcs11_module`] with the path that is given
/// to it as the last argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperProgram {
    /// The program's file.
    pub program: PathBuf,
    /// Arguments before the module's path.
    pub arguments: Vec<OsString>,
}

/// Runs one module for the process at the other end of standard input, until that end is closed.
/// Does not return before.
///
/// # Errors
///
/// [`CardFault::ModuleUnusable`](crate::CardFault::ModuleUnusable) when standard input is no socket,
/// or this build speaks no PKCS #11.
pub fn serve_pkcs11_module(module: &std::path::Path) -> Result<(), crate::CardFault> {
    #[cfg(feature = "pkcs11")]
    return serve::run(module);
    #[cfg(not(feature = "pkcs11"))]
    {
        let _ = module;
        Err(crate::CardFault::ModuleUnusable)
    }
}

/// A certificate on a token, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCertificate {
    /// The module's file.
    pub module: PathBuf,
    /// The token's name.
    pub label: String,
    /// Who made the token, and which model.
    pub maker: String,
    /// The token's serial number.
    pub serial: String,
    /// The reader, as the module calls it.
    pub slot_description: String,
    /// The number of the slot in the module.
    pub slot: u64,
    /// What certificate and key have in common (CKA_ID).
    pub id: Vec<u8>,
    /// The token asks for the PIN itself, by keys of its own or of its reader.
    pub has_pad: bool,
    /// Fewest and most bytes of its PIN, where it tells.
    pub pin_bytes: (usize, usize),
}
