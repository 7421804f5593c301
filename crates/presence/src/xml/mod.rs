// SPDX-License-Identifier: MIT OR Apache-2.0
//! The XML documents of the presence wire, each read and written by the same module.
//!
//! What a client sends is read strictly (namespace of the document element, limits); what a server
//! sends is read by local names, as clients of this family do. Document types are refused always.

pub mod batch;
pub mod categories;
pub mod contact_card;
pub mod contacts;
pub mod containers;
pub mod fault;
pub mod keyboard;
pub mod node;
pub mod note;
pub mod provisioning;
pub mod publish;
pub mod rlmi;
pub mod roaming_self;
pub mod search;
pub mod service;
pub mod state;
pub mod subscribers;
pub mod wpending;
mod writer;

pub use node::{Element, XmlError};

/// Content types of the documents.
pub mod content_type {
    /// [`super::contacts`].
    pub const ROAMING_CONTACTS: &str = "application/vnd-microsoft-roaming-contacts+xml";
    /// [`super::provisioning`].
    pub const PROVISIONING: &str = "application/vnd-microsoft-roaming-provisioning-v2+xml";
    /// [`super::roaming_self`].
    pub const ROAMING_SELF: &str = "application/vnd-microsoft-roaming-self+xml";
    /// [`super::wpending`].
    pub const WPENDING: &str = "text/xml+msrtc.wpending";
    /// [`super::service`].
    pub const SOAP: &str = "application/SOAP+xml";
    /// [`super::publish`].
    pub const PUBLISH: &str = "application/msrtc-category-publish+xml";
    /// [`super::containers`].
    pub const SET_CONTAINER_MEMBERS: &str = "application/msrtc-setcontainermembers+xml";
    /// [`super::subscribers`].
    pub const SET_SUBSCRIBER: &str = "application/msrtc-presence-setsubscriber+xml";
    /// [`super::fault`].
    pub const FAULT: &str = "application/msrtc-fault+xml";
    /// [`super::batch`].
    pub const BATCH: &str = "application/msrtc-adrl-categorylist+xml";
    /// [`super::categories`].
    pub const CATEGORIES: &str = "application/msrtc-event-categories+xml";
    /// [`super::rlmi`].
    pub const RLMI: &str = "application/rlmi+xml";
    /// The reason of a server-initiated sign-out.
    pub const REGISTRATION_EVENT: &str = "text/registration-event";
    /// [`super::keyboard`].
    pub const XML: &str = "application/xml";
}

/// Namespaces of the documents.
pub mod ns {
    /// Typed content.
    pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
    /// SOAP 1.1.
    pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
    /// Contact operations.
    pub const WINRTC: &str = "http://schemas.microsoft.com/winrtc/2002/11/sip";
    /// Own data.
    pub const ROAMING_SELF: &str = "http://schemas.microsoft.com/2006/09/sip/roaming-self";
    /// Categories.
    pub const CATEGORIES: &str = "http://schemas.microsoft.com/2006/09/sip/categories";
    /// Containers.
    pub const CONTAINERS: &str = "http://schemas.microsoft.com/2006/09/sip/container-management";
    /// Watchers.
    pub const SUBSCRIBERS: &str = "http://schemas.microsoft.com/2006/09/sip/presence-subscribers";
    /// Publication.
    pub const PUBLISH: &str = "http://schemas.microsoft.com/2006/09/sip/rich-presence";
    /// Batched subscription.
    pub const BATCH: &str = "http://schemas.microsoft.com/2006/01/sip/batch-subscribe";
    /// The categories that a batched subscription asks for.
    pub const CATEGORY_LIST: &str = "http://schemas.microsoft.com/2006/09/sip/categorylist";
    /// Resource lists, RFC 4662.
    pub const RLMI: &str = "urn:ietf:params:xml:ns:rlmi";
    /// The `state` category.
    pub const STATE: &str = "http://schemas.microsoft.com/2006/09/sip/state";
    /// The `note` category.
    pub const NOTE: &str = "http://schemas.microsoft.com/2006/09/sip/note";
    /// The `contactCard` category.
    pub const CONTACT_CARD: &str = "http://schemas.microsoft.com/2006/09/sip/contactcard";
    /// The `device` category.
    pub const DEVICE: &str = "http://schemas.microsoft.com/2006/09/sip/device";
    /// Types that categories share.
    pub const COMMON_TYPES: &str = "http://schemas.microsoft.com/2006/09/sip/commontypes";
    /// Faults.
    pub const FAULT: &str = "http://schemas.microsoft.com/2006/09/sip/error/";
}
