// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service's errors as facts.

use pcsc::Error;

use crate::fault::CardFault;

pub(super) fn is_service_gone(error: Error) -> bool {
    matches!(
        error,
        Error::NoService
            | Error::ServiceStopped
            | Error::InvalidHandle
            | Error::CommError
            | Error::InternalError
    )
}

pub(super) fn fault(error: Error) -> CardFault {
    match error {
        Error::NoService | Error::ServiceStopped | Error::InvalidHandle => CardFault::NoService,
        Error::NoReadersAvailable | Error::UnknownReader => CardFault::NoReader,
        Error::NoSmartcard => CardFault::NoCard,
        Error::RemovedCard | Error::ReaderUnavailable => CardFault::Removed,
        Error::ResetCard => CardFault::Interrupted,
        Error::SharingViolation => CardFault::InUse,
        Error::Timeout
        | Error::UnresponsiveCard
        | Error::UnpoweredCard
        | Error::NotTransacted
        | Error::CommDataLost => CardFault::CardMute,
        Error::Cancelled => CardFault::Cancelled,
        error => {
            tracing::debug!(%error, "the smart-card service refused");
            CardFault::NoService
        }
    }
}
