// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card in a reader: PC/SC, PIV sessions, insertion and removal.
