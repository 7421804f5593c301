// SPDX-License-Identifier: MIT OR Apache-2.0
//! A node full of people for benches: everything is loaded, registered and watched. Not for use by
//! other crates' products.

use std::time::Instant;

use lanyard_sip::{InstanceId, Message};
use time::OffsetDateTime;

use crate::hub::{ConnectionId, Effect, Effects, Hub, HubConfig, Now, Registration};
use crate::model::people::{People, PersonCard};
use crate::model::roster::Roster;
use crate::model::uri::PersonUri;

/// Knows `p0@bench.test`, `p1@bench.test`, …
#[derive(Debug)]
struct Crowd;

impl People for Crowd {
    fn person(&self, uri: &PersonUri) -> Option<PersonCard> {
        (uri.domain() == "bench.test").then(|| PersonCard::new(uri.clone(), uri.user()))
    }

    fn search(&self, _: &str, _: usize) -> Vec<PersonCard> {
        Vec::new()
    }
}

/// A node with people who are signed in; person `n` is on connection `n`.
#[derive(Debug)]
pub struct Bench {
    /// The node.
    pub hub: Hub,
    /// The time, which stands unless the bench moves it.
    pub now: Now,
    version: u32,
    number: u32,
}

impl Bench {
    /// Signs in that many people.
    #[must_use]
    pub fn signed_in(people: u32) -> Self {
        let now = Now {
            instant: Instant::now(),
            utc: OffsetDateTime::UNIX_EPOCH,
        };
        let config = HubConfig::new("bench.test", "bench.test", [1, 2]);
        let hub = Hub::new(config, Box::new(Crowd), now);
        let mut bench = Self {
            hub,
            now,
            version: 0,
            number: 10,
        };
        for n in 0..people {
            let request = bench.request(n, "REGISTER", "Expires: 600\r\n", "");
            let (Ok(person), Ok(message)) = (
                PersonUri::parse(&address(n)),
                Message::parse(request.into_bytes()),
            ) else {
                continue;
            };
            let registration = Registration {
                connection: ConnectionId(n.into()),
                person,
            };
            let effects = bench.hub.register(bench.now, &registration, &message);
            bench.settle(effects);
        }
        bench
    }

    /// Gives the hub one request of a person and everything that it asks for; the number of messages
    /// that go out.
    pub fn send(&mut self, n: u32, request: String) -> usize {
        let Ok(message) = Message::parse(request.into_bytes()) else {
            return 0;
        };
        let effects = self.hub.handle(self.now, ConnectionId(n.into()), &message);
        self.settle(effects)
    }

    /// Everybody watches person 0.
    pub fn watch_first(&mut self, people: u32) {
        for n in 0..people {
            let body = format!(
                "<batchSub xmlns=\"http://schemas.microsoft.com/2006/01/sip/batch-subscribe\" \
                 uri=\"sip:{}\"><action name=\"subscribe\"><adhocList><resource uri=\"sip:{}\"/>\
                 </adhocList></action></batchSub>",
                address(n),
                address(0)
            );
            let extra = "Event: presence\r\nSupported: ms-benotify, ms-piggyback-first-notify\r\n\
                         Content-Type: application/msrtc-adrl-categorylist+xml\r\n";
            let request = self.request(n, "SUBSCRIBE", extra, &body);
            self.send(n, request);
        }
    }

    /// The request with which person 0 changes its state: each call gives another one.
    pub fn publication(&mut self) -> String {
        let availability = if self.version.is_multiple_of(2) {
            3_500
        } else {
            6_500
        };
        let body = format!(
            "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\">\
             <publications uri=\"sip:{}\"><publication categoryName=\"state\" instance=\"1\" \
             container=\"2\" version=\"{}\" expireType=\"endpoint\">\
             <state xmlns=\"http://schemas.microsoft.com/2006/09/sip/state\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"machineState\">\
             <availability>{availability}</availability></state></publication></publications></publish>",
            address(0),
            self.version
        );
        self.version = self.version.saturating_add(1);
        let extra = "Content-Type: application/msrtc-category-publish+xml\r\n";
        self.request(0, "SERVICE", extra, &body)
    }

    /// A request of a person to itself.
    pub fn request(&mut self, n: u32, method: &str, extra: &str, body: &str) -> String {
        self.number = self.number.saturating_add(1);
        let (who, number, epid) = (address(n), self.number, format!("{n:08x}"));
        let instance = InstanceId::of_epid(&epid).to_contact_value();
        format!(
            "{method} sip:{who} SIP/2.0\r\nVia: SIP/2.0/tls 127.0.0.1:{n}\r\n\
             From: <sip:{who}>;tag=t{n};epid={epid}\r\nTo: <sip:{who}>\r\nMax-Forwards: 70\r\n\
             CSeq: {number} {method}\r\nCall-ID: c{n}-{number}\r\n\
             Contact: <sip:127.0.0.1:5;transport=tls>;+sip.instance=\"{instance}\"\r\n{extra}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn settle(&mut self, effects: Effects) -> usize {
        let mut sent = 0_usize;
        for effect in effects {
            let more = match effect {
                Effect::Send { .. } => {
                    sent = sent.saturating_add(1);
                    continue;
                }
                Effect::Close { .. } => continue,
                Effect::Load { person } => self.hub.loaded(self.now, &person, Ok(Roster::fresh())),
                Effect::Persist { token, .. } => self.hub.persisted(self.now, token, Ok(())),
            };
            sent = sent.saturating_add(self.settle(more));
        }
        sent
    }
}

fn address(n: u32) -> String {
    format!("p{n}@bench.test")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::COALESCE;

    #[test]
    fn a_publication_reaches_every_watcher() {
        let mut bench = Bench::signed_in(20);
        bench.watch_first(20);
        for _ in 0..3 {
            bench.now.instant += COALESCE;
            let request = bench.publication();
            assert_eq!(bench.send(0, request), 21, "the answer and twenty watchers");
        }
    }
}
