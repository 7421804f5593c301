// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conversations that end because one side is not there any more: the other one is told.

use lanyard_sip::{Method, Name, OutMessage};

use super::dialogs::Parted;
use crate::hub::Hub;
use crate::hub::effect::Effects;
use crate::hub::state::EndpointId;
use crate::model::uri::PersonUri;

/// What the goodbye of a server gives as its reason (RFC 3326): the same for somebody who left, who
/// vanished, and who blocks the other.
const REASON: &str = "SIP;cause=480;text=\"The other side is no longer signed in.\"";

impl Hub {
    /// An endpoint is gone: whoever it spoke with hears goodbye.
    pub(in crate::hub) fn relay_endpoint_gone(
        &mut self,
        endpoint: EndpointId,
        person: &PersonUri,
        fx: &mut Effects,
    ) {
        for parted in self.relay.dialogs.remove_endpoint(endpoint) {
            self.goodbye(&parted, person, fx);
        }
    }

    /// A person has blocked people: conversations with them end as if both had left.
    pub(in crate::hub) fn part_from_blocked(&mut self, uri: &PersonUri, fx: &mut Effects) {
        let Some(person) = self.persons.get(uri) else {
            return;
        };
        for endpoint in person.endpoints.clone() {
            let mut dialogs = std::mem::take(&mut self.relay.dialogs);
            let parted = dialogs.part(endpoint, |peer| {
                let peer = self.endpoints.get(&peer);
                peer.is_some_and(|peer| peer.person != *uri && self.blocks(uri, &peer.person))
            });
            self.relay.dialogs = dialogs;
            for one in parted {
                let gone = self.endpoints.get(&one.gone.endpoint);
                if let Some(who) = gone.map(|gone| gone.person.clone()) {
                    self.goodbye(&one, &who, fx);
                }
            }
        }
    }

    /// BYE in the name of whoever is gone.
    fn goodbye(&mut self, parted: &Parted, gone: &PersonUri, fx: &mut Effects) {
        let branch = self.ids.branch();
        let Some(left) = self.endpoints.get(&parted.left.endpoint) else {
            return;
        };
        let Some(connection) = left.connection else {
            return;
        };
        let number = parted.number.saturating_add(1);
        let mut out = OutMessage::request(Method::Bye, &left.contact);
        out.push(Name::Via, self.via(&branch));
        out.push(Name::MaxForwards, 70);
        out.push(
            Name::From,
            format_args!("<{}>;tag={}", gone.sip(), parted.gone.tag),
        );
        out.push(
            Name::To,
            format_args!("<{}>;tag={}", left.person.sip(), parted.left.tag),
        );
        out.push(Name::CallId, &parted.call_id);
        out.push(Name::CSeq, format_args!("{number} BYE"));
        out.push(Name::PAssertedIdentity, self.identity(gone));
        out.push("Reason", REASON);
        fx.send(connection, out);
    }
}
