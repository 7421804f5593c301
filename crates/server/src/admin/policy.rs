// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs on policies.

use lanyard_authority::audit::Action;
use lanyard_directory::{EffectivePolicy, GroupName, GroupPolicy, SipAddress, Snapshot};
use lanyard_fault::Fault;

use super::execute::Desk;
use super::protocol::{PolicyField, Reply};
use super::view::{PolicyChangeView, PolicyView};
use super::ways;
use crate::problem::Problem;

/// A change of policy.
pub(super) struct Change {
    pub(super) group: Option<GroupName>,
    pub(super) set: GroupPolicy,
    pub(super) unset: Vec<PolicyField>,
    pub(super) dry_run: bool,
}

pub(super) fn show(
    desk: &Desk<'_>,
    address: Option<SipAddress>,
    group: Option<GroupName>,
) -> Result<Reply, Problem> {
    let snapshot = desk.app.directory.load();
    let person = match address {
        Some(address) => {
            let policy = snapshot.policy_of(&*desk.account(&address)?);
            Some((address, policy))
        }
        None => None,
    };
    let groups = match &group {
        Some(group) => vec![(group.clone(), group_policy(&snapshot, group)?)],
        None => all_groups(desk)?,
    };
    Ok(Reply::Policy(PolicyView {
        default: *snapshot.default_policy(),
        everyone: EffectivePolicy::of(snapshot.default_policy(), []),
        groups,
        person,
    }))
}

pub(super) fn set(desk: &Desk<'_>, change: Change) -> Result<Reply, Problem> {
    let _lock = desk.change_lock();
    let before = desk.app.directory.load();
    let old = match &change.group {
        Some(group) => group_policy(&before, group)?,
        None => *before.default_policy(),
    };
    let mut policy = old.changed_by(&change.set);
    for field in &change.unset {
        match field {
            PolicyField::CardRequired => policy.card_required = None,
            PolicyField::PasswordAllowed => policy.password_allowed = None,
            PolicyField::ChatCertificateHours => policy.chat_certificate_hours = None,
            PolicyField::CardKinds => policy.card_kinds = None,
            PolicyField::KeyAssurance => policy.key_assurance = None,
            PolicyField::CardRemoval => policy.card_removal = None,
            PolicyField::CardRemovalGraceSeconds => policy.card_removal_grace_seconds = None,
            PolicyField::PresenceProofMinutes => policy.presence_proof_minutes = None,
            PolicyField::MissingPresenceKey => policy.missing_presence_key = None,
        }
    }
    policy
        .check()
        .map_err(|error| Problem::with(Fault::AdminInput, error))?;

    let put = |next: &mut Snapshot| match &change.group {
        Some(group) => next.put_group(group.clone(), policy),
        None => next.put_default_policy(policy),
    };
    let mut after = Snapshot::clone(&before);
    put(&mut after);
    let affected = affected(&before, &after);
    let people: Vec<SipAddress> = affected.iter().map(|(who, _)| who.clone()).collect();
    let lost = ways::lost(desk.app, &before, &after, &people)?;
    let mut sessions_ended = 0;

    if !change.dry_run && policy != old {
        let subject = change
            .group
            .as_ref()
            .map_or("default", |group| group.as_str());
        let json = |policy: &GroupPolicy| serde_json::to_value(policy).unwrap_or_default();
        let audit = desk.entry(
            Action::PolicySet,
            subject,
            &[("before", json(&old)), ("after", json(&policy))],
        );
        let group = change.group.clone();
        desk.change(audit, move |tx| match &group {
            Some(group) => tx.set_group_policy(group, &policy),
            None => tx.set_default_policy(&policy),
        })?;
        desk.app.directory.change(put);
        sessions_ended = ways::close_password_ways(desk, &before)?;
    }
    Ok(Reply::PolicyChange(PolicyChangeView {
        dry_run: change.dry_run,
        group: change.group,
        policy,
        affected,
        lost,
        sessions_ended,
    }))
}

/// The people for whom something changes.
fn affected(before: &Snapshot, after: &Snapshot) -> Vec<(SipAddress, EffectivePolicy)> {
    let mut affected: Vec<_> = before
        .accounts()
        .filter_map(|account| {
            let then = after.policy_of(account);
            (then != before.policy_of(account)).then(|| (account.sip_address.clone(), then))
        })
        .collect();
    affected.sort_by(|one, other| one.0.cmp(&other.0));
    affected
}

fn group_policy(snapshot: &Snapshot, group: &GroupName) -> Result<GroupPolicy, Problem> {
    snapshot
        .group_policy(group)
        .copied()
        .ok_or_else(|| Problem::with(Fault::NotFound, format_args!("there is no group {group}")))
}

fn all_groups(desk: &Desk<'_>) -> Result<Vec<(GroupName, GroupPolicy)>, Problem> {
    use lanyard_directory::DirectoryStore;
    let groups = desk.app.store.groups().map_err(Problem::from)?;
    Ok(groups
        .into_iter()
        .map(|group| (group.name, group.policy))
        .collect())
}
