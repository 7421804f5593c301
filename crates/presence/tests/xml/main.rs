// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every document: as others write it, as we write it, and that what is written reads back.

mod corpus;
mod documents;
mod people;
mod round_trip;
