// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound of this crate, with its unit last.

use std::time::Duration;

/// Endpoints that one person may have at the same time.
pub const ENDPOINTS_PER_PERSON_MAX: usize = 128;
/// The name of that limit in a refusal, for edges that have words of their own for it.
pub const ENDPOINTS_OF_ONE_PERSON: &str = "endpoints of one person";
/// Contacts in one person's list.
pub const CONTACTS_PER_PERSON_MAX: usize = 3_000;
/// The whole list as one document, which has to fit into one message to every client.
pub const CONTACT_LIST_BYTES_MAX: usize = 896 * 1024;
/// Groups in one person's list.
pub const GROUPS_PER_PERSON_MAX: usize = 256;
/// Groups that one contact may be in.
pub const GROUPS_PER_CONTACT_MAX: usize = 64;
/// Category instances that one person may have published, over all containers.
pub const PUBLICATIONS_PER_PERSON_MAX: usize = 512;
/// Publications in one request.
pub const PUBLICATIONS_PER_REQUEST_MAX: usize = 128;
/// Serialised size of one publication's content.
pub const PUBLICATION_BYTES_MAX: usize = 16 * 1024;
/// Serialised size of all that one person has published: a watcher gets no larger document, and a
/// change of one person costs two hundred watchers no more than that each.
pub const PUBLISHED_BYTES_PER_PERSON_MAX: usize = 256 * 1024;
/// The highest number of a container: the one of people who are blocked, above which nothing ranks.
pub const CONTAINER_ID_MAX: u32 = 32_000;
/// Containers that one person may have.
pub const CONTAINERS_PER_PERSON_MAX: usize = 64;
/// Members over all containers of one person.
pub const MEMBERS_PER_PERSON_MAX: usize = 6_000;
/// The members of all containers as they are written into the person's own document.
pub const MEMBERS_BYTES_MAX: usize = 512 * 1024;
/// Watchers waiting for one person's acknowledgement.
pub const SUBSCRIBERS_PER_PERSON_MAX: usize = 1_000;
/// Subscriptions of one endpoint.
pub const SUBSCRIPTIONS_PER_ENDPOINT_MAX: usize = 1_024;
/// Resources in one batched subscription.
pub const RESOURCES_PER_SUBSCRIPTION_MAX: usize = 3_200;
/// People that one endpoint watches, over all its subscriptions.
pub const WATCHED_PER_ENDPOINT_MAX: usize = 6_400;
/// Dialogs of one endpoint.
pub const DIALOGS_PER_ENDPOINT_MAX: usize = 512;
/// Dialogs of the same two endpoints: one of them cannot push out what the other has with third ones.
pub const DIALOGS_PER_PAIR_MAX: usize = 16;
/// Requests of one endpoint that wait for an answer of somebody else.
pub const TRANSACTIONS_PER_ENDPOINT_MAX: usize = 256;
/// Answered invitations of one endpoint that are remembered for their ACK and for late answers.
pub const LINGERING_PER_ENDPOINT_MAX: usize = 64;
/// The headers of a request that its answers repeat: Via, From, To, Call-ID, CSeq.
pub const ROUTE_BYTES_MAX: usize = 4 * 1024;
/// Messages of one connection that wait for a roster to be loaded.
pub const PARKED_PER_CONNECTION_MAX: usize = 128;
/// Requests of one person that wait for an earlier change to become durable.
pub const CHANGES_WAITING_PER_PERSON_MAX: usize = 256;
/// Body of any request that the hub reads.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Body of a message between people.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Nesting of an XML document.
pub const XML_DEPTH_MAX: usize = 32;
/// Elements of one XML document.
pub const XML_ELEMENTS_MAX: usize = 40_000;
/// Attributes of one XML element.
pub const XML_ATTRIBUTES_MAX: usize = 32;
/// The name of an XML namespace; a copied part repeats it on every element that uses it.
pub const XML_NAMESPACE_BYTES_MAX: usize = 256;
/// Namespace declarations that are in force at one place of an XML document.
pub const XML_DECLARATIONS_MAX: usize = 64;
/// A display name, a group name, the text of an attribute that we store.
pub const TEXT_CHARS_MAX: usize = 256;
/// An address with its scheme.
pub const URI_BYTES_MAX: usize = 454;
/// `Call-ID`, tags and the like, which we keep in memory.
pub const TOKEN_BYTES_MAX: usize = 256;

/// Lifetime of a registration when the client names none.
pub const REGISTER_EXPIRES_SECS_DEFAULT: u32 = 600;
/// Shortest lifetime of a registration.
pub const REGISTER_EXPIRES_SECS_MIN: u32 = 60;
/// Longest lifetime of a registration.
pub const REGISTER_EXPIRES_SECS_MAX: u32 = 7_200;
/// Lifetime of a subscription when the client names none, and the longest.
pub const SUBSCRIBE_EXPIRES_SECS_MAX: u32 = 28_800;
/// Shortest lifetime of a subscription.
pub const SUBSCRIBE_EXPIRES_SECS_MIN: u32 = 60;
/// Period in which a client must send something.
pub const KEEP_ALIVE_SECS: u32 = 30;

/// How long a lost connection's endpoint stays before watchers see it go.
pub const GRACE: Duration = Duration::from_secs(30);
/// Least time between two notifications of one person's state.
pub const COALESCE: Duration = Duration::from_millis(250);
/// How long an INVITE may ring.
pub const INVITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long any other request may stay unanswered.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(32);
/// How long a finished INVITE is remembered for its ACK and for late answers.
pub const FINISHED_LINGER: Duration = Duration::from_secs(32);
/// How long an unused roster stays in memory.
pub const ROSTER_IDLE: Duration = Duration::from_secs(300);
/// People in one part of the answer to a batched subscription; further ones follow in notifications.
pub const RESOURCES_PER_ANSWER_MAX: usize = 500;
/// Bytes of presence documents in one part of that answer.
pub const ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Different lists of categories that watchers of this node may ask for; later ones get everything.
pub const CATEGORY_FILTERS_MAX: usize = 64;
/// Searches of the directory by one connection in [`SEARCHES_PERIOD`]; the address book of the web
/// serves more.
pub const SEARCHES_MAX: u32 = 60;
/// See [`SEARCHES_MAX`].
pub const SEARCHES_PERIOD: Duration = Duration::from_secs(60);
/// People in the answer to one search of the directory.
pub const SEARCH_RESULTS_MAX: usize = 100;
