// SPDX-License-Identifier: MIT OR Apache-2.0
//! People who may use a password.

use crate::process::SecretPipe;
use crate::server::Server;
use anyhow::Result;

/// The group whose members may use a password.
pub const PASSWORD_GROUP: &str = "passwords";

/// Makes [`PASSWORD_GROUP`], whose members may use a password and need no card.
///
/// # Errors
/// A verb failed.
pub fn allow_passwords(server: &Server) -> Result<()> {
    server.must(&["group", "add", PASSWORD_GROUP])?;
    server.must(&[
        "policy",
        "set",
        "--group",
        PASSWORD_GROUP,
        "--card-required",
        "no",
        "--password-allowed",
        "yes",
    ])?;
    Ok(())
}

/// Adds a person who may use this password.
///
/// # Errors
/// A verb failed.
pub fn add_password_user(server: &Server, address: &str, name: &str, password: &str) -> Result<()> {
    server.must(&["user", "add", address, "--name", name])?;
    server.must(&["group", "add-member", PASSWORD_GROUP, address])?;
    set_password(server, address, password)
}

/// Sets a person's password.
///
/// # Errors
/// The verb failed.
pub fn set_password(server: &Server, address: &str, password: &str) -> Result<()> {
    let pipe = SecretPipe::new(password)?;
    let number = pipe.number().to_string();
    server.must(&["user", "set-password", address, "--password-fd", &number])?;
    Ok(())
}
