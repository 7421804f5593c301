// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directory in memory, so that a registration never waits for the database.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::search::{Listed, Search};
use crate::{
    Account, AccountId, DomainName, EffectivePolicy, Group, GroupName, GroupPolicy, SipAddress, Upn,
};

/// All people, groups and policies at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    domains: Vec<DomainName>,
    default_policy: GroupPolicy,
    policies: HashMap<GroupName, GroupPolicy>,
    by_id: HashMap<AccountId, Arc<Account>>,
    by_address: HashMap<SipAddress, AccountId>,
    by_upn: HashMap<String, AccountId>,
    /// Enabled people as a search looks at them.
    listed: HashMap<AccountId, Arc<Listed>>,
}

impl Snapshot {
    /// Makes a snapshot of what the store holds.
    #[must_use]
    pub fn new(
        domains: Vec<DomainName>,
        default_policy: GroupPolicy,
        groups: impl IntoIterator<Item = Group>,
        accounts: impl IntoIterator<Item = Account>,
    ) -> Self {
        let mut snapshot = Self {
            domains,
            default_policy,
            policies: groups
                .into_iter()
                .map(|group| (group.name, group.policy))
                .collect(),
            ..Self::default()
        };
        for account in accounts {
            snapshot.put_account(account);
        }
        snapshot
    }

    /// Adds an account or replaces the one with the same id.
    pub fn put_account(&mut self, account: Account) {
        if let Some(old) = self.by_id.get(&account.id) {
            self.by_address.remove(&old.sip_address);
            self.by_upn.remove(old.upn.key());
        }
        self.by_address
            .insert(account.sip_address.clone(), account.id.clone());
        self.by_upn
            .insert(account.upn.key().to_owned(), account.id.clone());
        if account.enabled {
            let listed = Arc::new(Listed::new(&account));
            self.listed.insert(account.id.clone(), listed);
        } else {
            self.listed.remove(&account.id);
        }
        self.by_id.insert(account.id.clone(), Arc::new(account));
    }

    /// Enabled people whom a search finds, at most `limit`: those whose name begins with what is
    /// looked for first, then those who have it all in their name, then the others; each in the
    /// order of names. The second value says whether there are more.
    #[must_use]
    pub fn search(&self, search: &Search, limit: usize) -> (Vec<Arc<Account>>, bool) {
        let search = search.prepare();
        let mut found: Vec<(u8, &Listed, &AccountId)> = self
            .listed
            .iter()
            .filter_map(|(id, listed)| Some((listed.rank(&search)?, &**listed, id)))
            .collect();
        let more = found.len() > limit;
        found.sort_unstable_by(|(one, a, x), (other, b, y)| {
            (one, a.order(), x).cmp(&(other, b.order(), y))
        });
        found.truncate(limit);
        let accounts = found.into_iter();
        let accounts = accounts.filter_map(|(.., id)| self.by_id.get(id).cloned());
        (accounts.collect(), more)
    }

    /// Sets what a group's policy says; a group that is new is added.
    pub fn put_group(&mut self, name: GroupName, policy: GroupPolicy) {
        self.policies.insert(name, policy);
    }

    /// Sets the default policy.
    pub fn put_default_policy(&mut self, policy: GroupPolicy) {
        self.default_policy = policy;
    }

    /// Whether addresses of this domain live here.
    #[must_use]
    pub fn serves(&self, domain: &DomainName) -> bool {
        self.domains.contains(domain)
    }

    /// The domains that live here.
    #[must_use]
    pub fn domains(&self) -> &[DomainName] {
        &self.domains
    }

    /// The account with this id.
    #[must_use]
    pub fn by_id(&self, id: &AccountId) -> Option<&Arc<Account>> {
        self.by_id.get(id)
    }

    /// The account with this sign-in address.
    #[must_use]
    pub fn by_address(&self, address: &SipAddress) -> Option<&Arc<Account>> {
        self.by_id.get(self.by_address.get(address)?)
    }

    /// The account with this principal name.
    #[must_use]
    pub fn by_upn(&self, upn: &Upn) -> Option<&Arc<Account>> {
        self.by_id.get(self.by_upn.get(upn.key())?)
    }

    /// All accounts, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_id.values()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is no account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What the default policy sets.
    #[must_use]
    pub fn default_policy(&self) -> &GroupPolicy {
        &self.default_policy
    }

    /// What a group's policy sets; `None` when there is no such group.
    #[must_use]
    pub fn group_policy(&self, group: &GroupName) -> Option<&GroupPolicy> {
        self.policies.get(group)
    }

    /// What holds for this person.
    #[must_use]
    pub fn policy_of(&self, account: &Account) -> EffectivePolicy {
        let groups = account
            .groups
            .iter()
            .filter_map(|group| self.policies.get(group));
        EffectivePolicy::of(&self.default_policy, groups)
    }
}

/// The current snapshot, shared by the whole server. Reading takes no lock.
#[derive(Debug, Default)]
pub struct Directory {
    current: ArcSwap<Snapshot>,
}

impl Directory {
    /// A directory that starts with this snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            current: ArcSwap::from_pointee(snapshot),
        }
    }

    /// The snapshot of this moment. It does not change while it is held.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts a changed snapshot in force. Changes that run at the same time are not lost: the
    /// closure is run again on what the other one left.
    pub fn change(&self, mut apply: impl FnMut(&mut Snapshot)) {
        self.current.rcu(|current| {
            let mut next = Snapshot::clone(current);
            apply(&mut next);
            next
        });
    }

    /// Replaces the whole snapshot.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountDomain, NewAccount};
    use time::OffsetDateTime;

    fn account(nth: u32, address: &str, upn: &str) -> Account {
        let new = NewAccount::new(address.parse().unwrap());
        Account {
            id: AccountDomain::from_random([9; 12]).account(nth).unwrap(),
            sip_address: new.sip_address,
            upn: upn.parse().unwrap(),
            email: new.email,
            display_name: new.display_name,
            title: None,
            phone: None,
            photo: None,
            enabled: true,
            groups: vec!["sales".parse().unwrap()],
            password_hash: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_account_is_found_by_each_of_its_names_and_not_by_old_ones() {
        let directory = Directory::default();
        directory.change(|next| next.put_account(account(0, "a@x.test", "A.Smith@corp.test")));
        directory.change(|next| next.put_account(account(0, "b@x.test", "b.smith@corp.test")));
        let now = directory.load();
        assert!(now.by_address(&"a@x.test".parse().unwrap()).is_none());
        assert!(now.by_upn(&"a.smith@corp.test".parse().unwrap()).is_none());
        let found = now.by_upn(&"B.SMITH@corp.test".parse().unwrap()).unwrap();
        assert_eq!(now.by_id(&found.id), Some(found));
        assert_eq!(now.by_address(&found.sip_address), Some(found));
        assert_eq!(now.len(), 1);
    }

    #[test]
    fn a_policy_change_holds_for_the_members_of_the_group() {
        let mut snapshot = Snapshot::default();
        let alice = account(0, "a@x.test", "a@x.test");
        assert!(snapshot.policy_of(&alice).card_required);
        let relaxed = GroupPolicy {
            card_required: Some(false),
            ..GroupPolicy::default()
        };
        snapshot.put_group("sales".parse().unwrap(), relaxed);
        assert!(!snapshot.policy_of(&alice).card_required);
    }
}
