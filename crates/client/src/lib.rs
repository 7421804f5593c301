// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sign-in, roster and conversations as a machine, and the session agent that runs it.
