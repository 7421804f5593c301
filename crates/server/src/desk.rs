// SPDX-License-Identifier: MIT OR Apache-2.0
//! The enrolment desk: what the enrolment interface asks of this server.

use crate::web::Web;
use axum::Router;
use std::sync::Arc;

/// The handlers of the enrolment interface.
pub fn router(_web: &Arc<Web>) -> Router {
    Router::new()
}
