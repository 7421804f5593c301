// SPDX-License-Identifier: MIT OR Apache-2.0
//! What others may see: the members of the own containers ([MS-PRES] 3.1.5.6), and how they are changed.

use std::collections::BTreeMap;

use lanyard_fault::Fault;
use lanyard_presence::xml::containers::{ContainerChange, MemberChange, SetContainerMembers};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::fault::Fault as WireFault;
use lanyard_presence::{Container, Member, MemberKind, PersonUri};
use lanyard_sip::{Headers, Message};

use super::registration::diagnosed;
use super::requests::Call;
use super::{Action, Now, Purpose, Session, Token};
use crate::address::SignInAddress;
use crate::problem::Problem;
use crate::view::{AccessLevel, LevelView};

/// Another endpoint may be faster: so often is a change tried before the person is told.
const TRIES_MAX: u8 = 3;

/// The own containers as the server has them.
#[derive(Debug, Default)]
pub(super) struct Access {
    containers: BTreeMap<u32, Container>,
}

/// A change that the person asked for.
#[derive(Debug, Clone)]
pub(super) struct LevelWish {
    pub(super) token: Token,
    person: PersonUri,
    level: Option<AccessLevel>,
    changes: Vec<ContainerChange>,
    tries: u8,
}

impl Access {
    /// Takes what the server says.
    pub(super) fn replace(&mut self, containers: BTreeMap<u32, Container>) {
        self.containers = containers;
    }

    /// What was decided for this person alone. In two containers, the one that hides most counts, as on the server.
    fn level(&self, address: &str) -> Option<AccessLevel> {
        let mut levels = AccessLevel::ALL;
        levels.sort_by_key(|level| std::cmp::Reverse(level.container()));
        levels
            .into_iter()
            .find(|level| self.has(level.container(), address))
    }

    fn has(&self, container: u32, address: &str) -> bool {
        let container = self.containers.get(&container);
        container.is_some_and(|known| known.members.contains(&user(address)))
    }

    /// Everybody for whom something was decided.
    pub(super) fn decided(&self) -> BTreeMap<String, AccessLevel> {
        let members = self.containers.values().flat_map(|known| &known.members);
        let users = members.filter(|member| member.kind == MemberKind::User);
        let level = |member: &Member| Some((member.value.clone(), self.level(&member.value)?));
        users.filter_map(level).collect()
    }

    /// The changes that lead to a level, from what is known.
    fn changes(&self, address: &str, wanted: Option<AccessLevel>) -> Vec<ContainerChange> {
        let change = |level: AccessLevel| {
            let id = level.container();
            let add = wanted == Some(level);
            (self.has(id, address) != add).then(|| ContainerChange {
                id,
                version: self.containers.get(&id).map_or(0, |known| known.version),
                members: vec![MemberChange {
                    add,
                    member: user(address),
                }],
            })
        };
        AccessLevel::ALL.into_iter().filter_map(change).collect()
    }

    /// The server has made these changes.
    fn accepted(&mut self, changes: &[ContainerChange]) {
        for change in changes {
            let container = self.containers.entry(change.id).or_default();
            if container.version > change.version {
                // A notification of the new state was faster.
                continue;
            }
            container.version = change.version.saturating_add(1);
            for one in &change.members {
                container.members.retain(|known| *known != one.member);
                if one.add {
                    container.members.push(one.member.clone());
                }
            }
        }
    }

    /// Some changes started from old versions.
    fn correct(&mut self, changes: &[ContainerChange], fault: &WireFault) {
        for operation in &fault.operations {
            let place = usize::try_from(operation.index).unwrap_or(0).checked_sub(1);
            if let Some(change) = place.and_then(|place| changes.get(place)) {
                self.containers.entry(change.id).or_default().version = operation.current;
            }
        }
    }
}

fn user(address: &str) -> Member {
    Member {
        kind: MemberKind::User,
        value: address.to_owned(),
    }
}

impl Session {
    /// Everybody for whom it was decided what they may see.
    #[must_use]
    pub fn levels(&self) -> Vec<LevelView> {
        let view = |(address, level): (String, AccessLevel)| {
            let address = address.parse().ok()?;
            Some(LevelView { address, level })
        };
        self.access.decided().into_iter().filter_map(view).collect()
    }

    /// Decides what somebody may see; `None` takes a decision back.
    pub fn set_level(
        &mut self,
        now: Now,
        address: &SignInAddress,
        level: Option<AccessLevel>,
        token: Token,
    ) {
        let Ok(person) = PersonUri::parse(address.as_str()) else {
            return self.tell(Some(token), Err(Fault::AddressMalformed.into()));
        };
        let wish = LevelWish {
            token,
            person,
            level,
            changes: Vec::new(),
            tries: 0,
        };
        self.try_level(now, wish);
    }

    fn try_level(&mut self, now: Now, mut wish: LevelWish) {
        wish.tries = wish.tries.saturating_add(1);
        wish.changes = self.access.changes(wish.person.address(), wish.level);
        if wish.changes.is_empty() {
            return self.tell(Some(wish.token), Ok(()));
        }
        let body = SetContainerMembers {
            containers: wish.changes.clone(),
        };
        let mut call = Call::new();
        let kind = content_type::SET_CONTAINER_MEMBERS;
        let request = self.me.service(kind, body.to_xml(), &mut call);
        self.send_request(now, request, Purpose::Level(wish));
    }

    pub(super) fn level_answered(&mut self, now: Now, wish: LevelWish, answer: Option<&Message>) {
        let Some(answer) = answer else {
            return self.tell(Some(wish.token), Err(Fault::ServerTimedOut.into()));
        };
        match answer.status().unwrap_or_default() {
            200..300 => {
                self.access.accepted(&wish.changes);
                self.levels_changed();
                self.tell(Some(wish.token), Ok(()));
            }
            409 if wish.tries < TRIES_MAX => {
                if let Ok(fault) = WireFault::parse(answer.body()) {
                    self.access.correct(&wish.changes, &fault);
                }
                self.try_level(now, wish);
            }
            _ => {
                let problem = diagnosed(answer).unwrap_or(Problem::new(Fault::LevelRefused));
                self.tell(Some(wish.token), Err(problem));
            }
        }
    }

    /// Shows the levels in the contact list.
    pub(super) fn levels_changed(&mut self) {
        let changed = self.roster.set_levels(&self.access.decided());
        for view in changed {
            self.actions.push(Action::Contact(view));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::session::rig::{Authority, Registrar, pump};

    const BOB: &str = "bob@contoso.test";

    fn with(containers: &[(u32, u32, &[&str])]) -> Access {
        let container = |(id, version, users): &(u32, u32, &[&str])| {
            let members = users.iter().map(|address| user(address)).collect();
            let version = *version;
            (*id, Container { version, members })
        };
        Access {
            containers: containers.iter().map(container).collect(),
        }
    }

    #[test]
    fn a_level_is_one_container_and_no_other() {
        let mut access = with(&[(300, 4, &[BOB]), (400, 7, &[]), (32_000, 2, &[])]);
        assert_eq!(access.level(BOB), Some(AccessLevel::Team));
        let changes = access.changes(BOB, Some(AccessLevel::Personal));
        let told: Vec<_> = changes
            .iter()
            .map(|change| (change.id, change.version, change.members[0].add))
            .collect();
        assert_eq!(told, [(400, 7, true), (300, 4, false)]);
        access.accepted(&changes);
        assert_eq!(access.level(BOB), Some(AccessLevel::Personal));
        assert_eq!(access.containers[&300].version, 5);
        assert!(access.changes(BOB, Some(AccessLevel::Personal)).is_empty());
        let back = access.changes(BOB, None);
        access.accepted(&back);
        assert_eq!(access.level(BOB), None);
        assert!(access.decided().is_empty());
    }

    #[test]
    fn blocked_counts_before_every_other_level() {
        let access = with(&[(400, 1, &[BOB]), (32_000, 1, &[BOB])]);
        assert_eq!(access.level(BOB), Some(AccessLevel::Blocked));
    }

    #[test]
    fn versions_are_taken_from_the_servers_fault() {
        let mut access = with(&[(32_000, 0, &[])]);
        let changes = access.changes(BOB, Some(AccessLevel::Blocked));
        let fault = WireFault {
            code: WireFault::WRONG_DELTA.to_owned(),
            operations: vec![lanyard_presence::xml::fault::FaultOperation {
                index: 1,
                version: Some(0),
                current: 9,
            }],
        };
        access.correct(&changes, &fault);
        assert_eq!(
            access.changes(BOB, Some(AccessLevel::Blocked))[0].version,
            9
        );
    }

    /// Alice signed in, with containers of her own, and the registrar.
    fn signed_in() -> (Session, Registrar, Now) {
        let authority = Authority::new();
        let alice = "alice@contoso.test".parse().unwrap();
        let mut session = Session::new(&alice, Uuid::from_u128(1)).unwrap();
        let mut registrar = Registrar::new(&authority);
        let body = "<roamingData xmlns=\"http://schemas.microsoft.com/2006/09/sip/roaming-self\">\
            <containers xmlns=\"http://schemas.microsoft.com/2006/09/sip/container-management\">\
            <container id=\"200\" version=\"1\"><member type=\"sameEnterprise\"/></container>\
            <container id=\"400\" version=\"3\"><member type=\"user\" value=\"bob@contoso.test\"/>\
            </container></containers></roamingData>";
        let own = (content_type::ROAMING_SELF, body.to_owned());
        registrar.bodies.insert("vnd-microsoft-roaming-self", own);
        let now = Now {
            at: std::time::Instant::now(),
            wall: time::OffsetDateTime::now_utc(),
        };
        session.connect();
        pump(&mut session, &mut registrar, now);
        session.provide(now, authority.credential(time::Duration::hours(12)));
        pump(&mut session, &mut registrar, now);
        (session, registrar, now)
    }

    /// How a change of Bob's level ends, and how often it was tried.
    fn block(faults: usize) -> (Result<(), Problem>, usize, Session) {
        let (mut session, mut registrar, now) = signed_in();
        let fault = "<Fault xmlns=\"http://schemas.microsoft.com/2006/09/sip/error\">\
            <Faultcode>Client.BadCall.WrongDelta</Faultcode><details>\
            <operation index=\"2\" version=\"0\" curVersion=\"8\"/></details></Fault>";
        registrar.service_faults = vec![(409, fault.to_owned()); faults];
        let bob = BOB.parse().unwrap();
        session.set_level(now, &bob, Some(AccessLevel::Blocked), Token(1));
        let said = pump(&mut session, &mut registrar, now);
        let outcome = said.into_iter().find_map(|action| match action {
            Action::Done { outcome, .. } => Some(outcome),
            _ => None,
        });
        let text = |message: &Message| String::from_utf8_lossy(message.body()).into_owned();
        let tries: Vec<String> = registrar.heard.iter().map(text).collect();
        let tries: Vec<&String> = tries
            .iter()
            .filter(|text| text.contains("setContainerMembers"))
            .collect();
        if faults > 0 {
            assert!(
                tries[1].contains("id=\"32000\" version=\"8\""),
                "{}",
                tries[1]
            );
        }
        (outcome.unwrap(), tries.len(), session)
    }

    #[test]
    fn a_change_that_another_endpoint_overtook_is_tried_again_but_not_for_ever() {
        let (outcome, tries, session) = block(0);
        assert_eq!((outcome, tries), (Ok(()), 1));
        let levels = session.levels();
        assert_eq!(levels.len(), 1);
        assert_eq!(levels[0].level, AccessLevel::Blocked);
        let (outcome, tries, _) = block(1);
        assert_eq!((outcome, tries), (Ok(()), 2));
        let (outcome, tries, session) = block(9);
        assert!(outcome.unwrap_err().is(Fault::LevelRefused));
        assert_eq!(tries, usize::from(TRIES_MAX));
        assert_eq!(session.levels()[0].level, AccessLevel::Personal);
    }
}
