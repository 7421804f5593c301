// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who invites: members agree on it by INFO. We let everybody have it who asks.

use lanyard_presence::PersonUri;
use lanyard_presence::xml::{Element, XmlError};
use lanyard_sip::{Message, Name, OutMessage};

use crate::session::dialog::Dialog;
use crate::session::requests::USER_AGENT;
use crate::session::{Now, Session, fresh_id};

/// The type of these documents.
pub(in crate::session) const ROSTER_ACTION: &str = "application/x-ms-mim";
/// Their namespace.
const NAMESPACE: &str = "http://schemas.microsoft.com/sip/multiparty/";

/// What a member says about who invites.
#[derive(Debug, PartialEq, Eq)]
enum RosterAction {
    /// Somebody wants to be the one.
    Request,
    /// Somebody is the one from now on.
    Set(PersonUri),
}

impl RosterAction {
    fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if root.local != "action" {
            return Err(XmlError::Unexpected("action"));
        }
        if root.child("RequestRM").is_some() {
            return Ok(Self::Request);
        }
        let set = root
            .child("SetRM")
            .ok_or(XmlError::MissingElement("SetRM"))?;
        let uri = PersonUri::parse(set.attribute("uri").unwrap_or_default())
            .map_err(|_| XmlError::Value("uri"))?;
        Ok(Self::Set(uri))
    }
}

impl Session {
    pub(in crate::session) fn roster_action(
        &mut self,
        now: Now,
        request: &Message,
        dialog: &Dialog,
    ) {
        let Ok(action) = RosterAction::parse(request.body()) else {
            return self.answer(now, request, 400);
        };
        let own = self.me.uri.sip().to_owned();
        let Some(group) = self.conversations.groups.get_mut(&dialog.call_id) else {
            return self.answer(now, request, 403);
        };
        let said = match action {
            RosterAction::Request => format!("<RequestRMResponse uri=\"{own}\" allow=\"true\"/>"),
            // Nobody appoints somebody else.
            RosterAction::Set(uri) if uri != dialog.with => {
                return self.answer(now, request, 403);
            }
            RosterAction::Set(uri) => {
                group.manager = Some(uri);
                format!("<SetRMResponse uri=\"{own}\"/>")
            }
        };
        let body =
            format!("<?xml version=\"1.0\"?>\r\n<action xmlns=\"{NAMESPACE}\">{said}</action>\r\n");
        let answer = OutMessage::response_to(request, 200, "OK")
            .with_to_tag(&fresh_id())
            .with(Name::UserAgent, USER_AGENT)
            .with_body(ROSTER_ACTION, body);
        self.send(now, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documents_are_read_and_others_are_not() {
        let request = b"<?xml version=\"1.0\"?>\r\n<action xmlns=\"http://schemas.microsoft.com/sip/multiparty/\">\
            <RequestRM uri=\"sip:erin@contoso.test\" bid=\"77\"/></action>\r\n";
        assert_eq!(RosterAction::parse(request).unwrap(), RosterAction::Request);
        let set = b"<action xmlns=\"http://schemas.microsoft.com/sip/multiparty/\"><SetRM uri=\"sip:Erin@contoso.test\"/></action>";
        let erin = PersonUri::parse("erin@contoso.test").unwrap();
        assert_eq!(RosterAction::parse(set).unwrap(), RosterAction::Set(erin));
        for wrong in [
            &b"<action/>"[..],
            b"<x><SetRM uri='sip:a@b.c'/></x>",
            b"<action><SetRM/></action>",
            b"",
        ] {
            assert!(RosterAction::parse(wrong).is_err());
        }
    }
}
