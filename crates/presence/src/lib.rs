// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registrations, subscriptions, categories, contacts and conversations.
