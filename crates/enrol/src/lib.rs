// SPDX-License-Identifier: MIT OR Apache-2.0
//! Enrolment over HTTP: handlers, no listener.
