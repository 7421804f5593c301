// SPDX-License-Identifier: MIT OR Apache-2.0
//! lanyard-server: listeners, configuration, administration.
