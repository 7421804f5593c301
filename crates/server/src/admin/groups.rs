// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on groups.

use lanyard_authority::audit::Action;
use lanyard_directory::{DirectoryStore, Group, GroupName, GroupPolicy, SipAddress, Snapshot};
use lanyard_fault::Fault;

use super::execute::Desk;
use super::protocol::Reply;
use super::view::GroupView;
use crate::problem::Problem;

/// Which way a member goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    In,
    Out,
}

pub(super) fn add(desk: &Desk<'_>, name: GroupName) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    let audit = desk.entry(Action::GroupAdded, name.as_str(), &[]);
    let in_store = name.clone();
    desk.change(audit, move |tx| tx.add_group(&in_store))?;
    desk.app
        .directory
        .change(|next| next.put_group(name.clone(), GroupPolicy::default()));
    Ok(Reply::Group(GroupView {
        name,
        members: Vec::new(),
        policy: GroupPolicy::default(),
    }))
}

pub(super) fn list(desk: &Desk<'_>) -> Result<Reply, Problem> {
    let snapshot = desk.app.directory.load();
    let groups = desk.app.store.groups().map_err(Problem::from)?;
    Ok(Reply::Groups(
        groups
            .into_iter()
            .map(|group| view(&snapshot, group))
            .collect(),
    ))
}

pub(super) fn set_member(
    desk: &Desk<'_>,
    name: &GroupName,
    address: &SipAddress,
    way: Membership,
) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    let account = desk.account(address)?;
    if desk.app.directory.load().group_policy(name).is_none() {
        return Err(Problem::with(
            Fault::NotFound,
            format_args!("there is no group {name}"),
        ));
    }
    if account.groups.contains(name) != (way == Membership::In) {
        let word = match way {
            Membership::In => "added",
            Membership::Out => "removed",
        };
        let audit = desk.entry(
            Action::GroupChanged,
            name.as_str(),
            &[(word, address.as_str().into())],
        );
        let (id, group) = (account.id.clone(), name.clone());
        let changed = desk.change(audit, move |tx| {
            match way {
                Membership::In => tx.add_member(&group, &id)?,
                Membership::Out => tx.remove_member(&group, &id)?,
            };
            tx.account(&id)
        })?;
        let before = desk.app.directory.load();
        desk.app
            .directory
            .change(|next| next.put_account(changed.clone()));
        super::ways::close_password_ways(desk, &before)?;
    }
    let groups = desk.app.store.groups().map_err(Problem::from)?;
    let group = groups.into_iter().find(|group| group.name == *name);
    let group = group.ok_or_else(|| Problem::new(Fault::NotFound))?;
    Ok(Reply::Group(view(&desk.app.directory.load(), group)))
}

fn view(snapshot: &Snapshot, group: Group) -> GroupView {
    let address = |id| {
        snapshot
            .by_id(id)
            .map(|account| account.sip_address.clone())
    };
    let mut members: Vec<SipAddress> = group.members.iter().filter_map(address).collect();
    members.sort();
    GroupView {
        name: group.name,
        members,
        policy: group.policy,
    }
}
