// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PIV data model and APDUs, for both edges of the card.
