// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the network said no, as facts that the sign-in machine can act on.

use std::io::{self, ErrorKind};

use lanyard_fault::Fault;
use rustls::CertificateError;

use crate::problem::Problem;

/// An expired certificate this young points to a wrong clock rather than to a forgotten renewal, in seconds.
const JUST_EXPIRED_SECS: u64 = 24 * 60 * 60;

/// Why a connection, a handshake or an exchange failed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetFault {
    /// The name has no address.
    #[error("the name has no address")]
    NameUnknown,
    /// Nothing listens, or there is no way there.
    #[error("the server cannot be reached")]
    Unreachable,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The server's certificate does not lead to a trusted root.
    #[error("the server's certificate is not trusted")]
    CertificateUntrusted,
    /// The server's certificate is for another name.
    #[error("the server's certificate is for another name")]
    CertificateName,
    /// The server's certificate is not valid yet, or ended just now: one of the clocks is wrong.
    #[error("the server's certificate is not valid at this computer's time")]
    CertificateTime,
    /// The server's certificate ended long ago.
    #[error("the server's certificate has expired")]
    CertificateExpired,
    /// The TLS handshake failed for another reason.
    #[error("the TLS handshake failed")]
    Tls,
    /// The connection ended in the middle.
    #[error("the connection broke")]
    Broken,
    /// The answer is not what the protocol allows, or too large.
    #[error("the answer is not understood")]
    Malformed,
    /// The address is no URL that may be used.
    #[error("the address is not usable")]
    Url,
}

impl NetFault {
    /// Reads an error of a socket or of TLS above it.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(tls) = inner {
            return Self::from_tls(tls);
        }
        match error.kind() {
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Broken,
            _ => Self::Unreachable,
        }
    }

    /// Reads an error of TLS.
    #[must_use]
    pub fn from_tls(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(reason) = error else {
            return Self::Tls;
        };
        match reason {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateName
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::CertificateTime
            }
            CertificateError::ExpiredContext { time, not_after } => {
                let age = time.as_secs().saturating_sub(not_after.as_secs());
                if age < JUST_EXPIRED_SECS {
                    Self::CertificateTime
                } else {
                    Self::CertificateExpired
                }
            }
            CertificateError::Expired => Self::CertificateExpired,
            _ => Self::CertificateUntrusted,
        }
    }

    /// Whether going on to another way in would hide a danger.
    #[must_use]
    pub fn is_trust(self) -> bool {
        matches!(
            self,
            Self::CertificateUntrusted
                | Self::CertificateName
                | Self::CertificateTime
                | Self::CertificateExpired
        )
    }

    /// The fault in words, about this server.
    #[must_use]
    pub fn problem(self, host: &str) -> Problem {
        let (fault, detail) = match self {
            Self::NameUnknown => (
                Fault::ServerNotFound,
                format!("The name {host} is not known."),
            ),
            Self::Unreachable | Self::Broken => {
                (Fault::ServerUnreachable, format!("The server is {host}."))
            }
            Self::TimedOut => (Fault::ServerTimedOut, format!("The server is {host}.")),
            Self::CertificateUntrusted => (
                Fault::ServerCertificateUntrusted,
                format!("The server is {host}."),
            ),
            Self::CertificateName => (
                Fault::ServerCertificateName,
                format!("It should be for {host}."),
            ),
            Self::CertificateTime => (
                Fault::ClockWrong,
                format!("The certificate of {host} is not valid at the time this computer shows."),
            ),
            Self::CertificateExpired => (
                Fault::ServerCertificateUntrusted,
                format!("The certificate of {host} has expired; check this computer's date, too."),
            ),
            Self::Tls => (
                Fault::ServerUnreachable,
                format!("No secure connection to {host} could be made."),
            ),
            Self::Malformed | Self::Url => {
                (Fault::DiscoveryRefused, format!("The server is {host}."))
            }
        };
        Problem::new(fault).with_detail(detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_faults_keep_their_reason_through_the_socket() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let io = io::Error::new(ErrorKind::InvalidData, tls);
        assert_eq!(NetFault::from_io(&io), NetFault::CertificateUntrusted);
        assert!(NetFault::CertificateUntrusted.is_trust());
    }

    #[test]
    fn a_certificate_of_the_future_points_to_the_clock() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::NotValidYet);
        assert!(
            NetFault::from_tls(&tls)
                .problem("lync.contoso.test")
                .is(Fault::ClockWrong)
        );
    }
}
