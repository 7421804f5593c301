// SPDX-License-Identifier: MIT OR Apache-2.0
//! The randomness of a serial number, as an argument.

use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Sixteen random bytes that become one serial number.
pub struct SerialSeed(pub [u8; 16]);

impl SerialSeed {
    /// Draws from the system's generator; for callers at the edge.
    pub fn draw() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SerialSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SerialSeed(..)")
    }
}

/// The system's generator gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;
