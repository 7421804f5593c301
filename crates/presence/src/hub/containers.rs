// SPDX-License-Identifier: MIT OR Apache-2.0
//! Container members: who may see what.

use std::collections::BTreeMap;

use super::Hub;
use super::effect::{Effects, Now};
use super::persist::{Origin, Plan, Then};
use super::refusal::Refusal;
use crate::limits;
use crate::model::roster::{Container, Roster, RosterEdit};
use crate::model::uri::PersonUri;
use crate::xml::containers::{ContainerChange, SetContainerMembers};
use crate::xml::fault::{Fault, FaultOperation};

impl Hub {
    pub(super) fn plan_containers(
        &mut self,
        now: Now,
        uri: &PersonUri,
        origin: Origin,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let request = SetContainerMembers::parse(origin.request.body()).map_err(Refusal::Body)?;
        let roster = self.persons.get(uri).and_then(|person| person.roster());
        let roster = roster.ok_or(Refusal::NotRegistered)?;
        let mut result: BTreeMap<u32, Container> = BTreeMap::new();
        let mut faults = Vec::new();
        for (index, change) in (1_u32..).zip(&request.containers) {
            let known = result
                .get(&change.id)
                .or_else(|| roster.containers.get(&change.id));
            let mut container = known.cloned().unwrap_or_default();
            if container.version != change.version {
                faults.push(FaultOperation {
                    index,
                    version: Some(change.version),
                    current: container.version,
                });
                continue;
            }
            apply(&mut container, change);
            result.insert(change.id, container);
        }
        if !faults.is_empty() {
            let fault = Fault {
                code: Fault::WRONG_DELTA.to_owned(),
                operations: faults,
            };
            self.answer_fault(&origin, &fault, fx);
            return Ok(());
        }
        check_limits(roster, &result)?;
        let edits = result
            .into_iter()
            .map(|(id, container)| RosterEdit::SetContainer { id, container });
        let plan = Plan {
            origin: Some(origin),
            edits: edits.collect(),
            live: Vec::new(),
            then: Then::ContainersSet,
        };
        self.submit(now, uri, plan, fx);
        Ok(())
    }
}

fn apply(container: &mut Container, change: &ContainerChange) {
    container.version = container.version.saturating_add(1);
    for member in &change.members {
        container.members.retain(|known| *known != member.member);
        if member.add {
            container.members.push(member.member.clone());
        }
    }
}

/// More than the marks around one member.
const MEMBER_BYTES: usize = 40;

/// How long the members are in the person's own document. Addresses and domains need no marks.
fn written_bytes(container: &Container) -> usize {
    let members = container.members.iter();
    members
        .map(|member| member.value.len().saturating_add(MEMBER_BYTES))
        .fold(0, usize::saturating_add)
}

fn check_limits(roster: &Roster, result: &BTreeMap<u32, Container>) -> Result<(), Refusal> {
    let untouched = roster
        .containers
        .iter()
        .filter(|(id, _)| !result.contains_key(*id));
    let mut containers = result.len();
    let mut members: usize = result.values().map(|c| c.members.len()).sum();
    let mut bytes = result.values().map(written_bytes).sum::<usize>();
    for (_, container) in untouched {
        containers = containers.saturating_add(1);
        members = members.saturating_add(container.members.len());
        bytes = bytes.saturating_add(written_bytes(container));
    }
    if containers > limits::CONTAINERS_PER_PERSON_MAX {
        return Err(Refusal::Limit("containers of one person"));
    }
    if members > limits::MEMBERS_PER_PERSON_MAX {
        return Err(Refusal::Limit("members of containers"));
    }
    if bytes > limits::MEMBERS_BYTES_MAX {
        return Err(Refusal::Limit("size of the members of containers"));
    }
    Ok(())
}
