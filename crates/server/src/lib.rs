// SPDX-License-Identifier: MIT OR Apache-2.0
//! lanyard-server: listeners, configuration, administration.

pub mod admin;
pub mod app;
pub(crate) mod attestation;
mod card_life;
pub mod chat;
pub mod cli;
pub mod config;
pub mod credential;
pub mod data;
pub mod descriptors;
pub mod desk;
pub mod doctor;
pub mod federation;
pub mod guests;
pub mod health;
pub mod init;
pub mod listener;
pub mod logging;
pub mod open;
pub mod photo;
pub mod problem;
pub mod serve;
pub mod sessions;
pub mod sip;
pub mod tls;
pub mod web;
pub mod wire;
