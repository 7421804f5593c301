// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups of the contact list, by the names that people give them.

use lanyard_fault::Fault;
use lanyard_presence::PersonUri;
use lanyard_presence::xml::service::ContactOperation;

use super::roster::{ContactWish, UNNAMED_GROUP};
use super::{Now, Session, Token};
use crate::address::SignInAddress;
use crate::problem::Problem;

/// Longest name of a group, in characters.
pub const GROUP_NAME_CHARS_MAX: usize = 64;

/// A change of groups that the person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// Make a group.
    Add {
        /// Its name.
        group: String,
    },
    /// Give a group another name.
    Rename {
        /// Its name.
        group: String,
        /// Its new name.
        to: String,
    },
    /// Delete a group; its contacts stay.
    Delete {
        /// Its name.
        group: String,
    },
    /// Put a contact into a group as well.
    Put {
        /// Who.
        address: SignInAddress,
        /// Into which.
        group: String,
    },
    /// Take a contact out of a group.
    Take {
        /// Who.
        address: SignInAddress,
        /// Out of which.
        group: String,
    },
    /// Put a contact into a group and out of all others.
    Move {
        /// Who.
        address: SignInAddress,
        /// Into which.
        group: String,
    },
}

impl Session {
    /// All groups by name, in the order of their names.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        self.roster.group_names()
    }

    /// Changes groups. The outcome comes as [`super::Action::Done`].
    pub fn change_groups(&mut self, now: Now, change: &GroupChange, token: Token) {
        match self.operation(change) {
            Ok(Some(operation)) => {
                self.change_contacts(now, ContactWish::new(token, operation));
            }
            Ok(None) => self.tell(Some(token), Ok(())),
            Err(problem) => self.tell(Some(token), Err(problem)),
        }
    }

    /// What to ask of the server; `None` when all is as it should be.
    fn operation(&self, change: &GroupChange) -> Result<Option<ContactOperation>, Problem> {
        Ok(Some(match change {
            GroupChange::Add { group } => ContactOperation::AddGroup {
                name: self.free_name(group)?,
                external_uri: String::new(),
            },
            GroupChange::Rename { group, to } if group.trim() == to.trim() => {
                self.group_id(group)?;
                return Ok(None);
            }
            GroupChange::Rename { group, to } => {
                let id = self.group_id(group)?;
                // Another spelling of its own name is no other group.
                let name = match self.roster.group_id(to) {
                    Some(same) if same == id => valid_name(to)?,
                    _ => self.free_name(to)?,
                };
                ContactOperation::ModifyGroup {
                    id,
                    name,
                    external_uri: self.roster.group_external_uri(id),
                }
            }
            GroupChange::Delete { group } => ContactOperation::DeleteGroup {
                id: self.group_id(group)?,
            },
            GroupChange::Put { address, group } => {
                let id = self.group_id(group)?;
                let others = self.roster.group_of_others();
                let groups = |known: &[u32]| {
                    let kept = known.iter().copied();
                    let kept = kept.filter(|known| *known != id && !others.contains(known));
                    kept.chain([id]).collect()
                };
                return self.regroup(address, groups);
            }
            GroupChange::Take { address, group } => {
                let id = self.group_id(group)?;
                let groups = |known: &[u32]| {
                    let others = known.iter().copied();
                    others.filter(|known| *known != id).collect()
                };
                return self.regroup(address, groups);
            }
            GroupChange::Move { address, group } => {
                let id = self.group_id(group)?;
                return self.regroup(address, |_| vec![id]);
            }
        }))
    }

    fn regroup(
        &self,
        address: &SignInAddress,
        groups: impl Fn(&[u32]) -> Vec<u32>,
    ) -> Result<Option<ContactOperation>, Problem> {
        let contact = PersonUri::parse(address.as_str())
            .ok()
            .and_then(|uri| self.roster.contact(&uri))
            .ok_or_else(|| {
                let detail = format!("{address} is not in your contact list.");
                Problem::new(Fault::PersonUnknown).with_detail(detail)
            })?;
        let mut wanted = groups(&contact.groups);
        if wanted.is_empty() {
            // Other clients take somebody in no group for deleted.
            wanted = self.roster.group_of_others();
        }
        if wanted == contact.groups {
            return Ok(None);
        }
        Ok(Some(ContactOperation::SetContact {
            uri: contact.uri.clone(),
            name: contact.name.clone(),
            groups: wanted,
            subscribed: contact.subscribed,
            external_uri: contact.external_uri.clone(),
        }))
    }

    pub(super) fn group_id(&self, name: &str) -> Result<u32, Problem> {
        self.roster.group_id(name).ok_or_else(|| {
            let detail = format!("The name is “{}”.", crate::problem::printable(name));
            Problem::new(Fault::GroupUnknown).with_detail(detail)
        })
    }

    fn free_name(&self, name: &str) -> Result<String, Problem> {
        let name = valid_name(name)?;
        match self.roster.group_id(&name) {
            Some(_) => Err(Problem::new(Fault::GroupExists)),
            None => Ok(name),
        }
    }
}

fn valid_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    let fits = !name.is_empty()
        && name.chars().count() <= GROUP_NAME_CHARS_MAX
        && !name.starts_with(UNNAMED_GROUP)
        && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(Problem::new(Fault::GroupNameInvalid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_are_short_and_plain() {
        assert_eq!(valid_name("  Team Süd ").unwrap(), "Team Süd");
        let long = "x".repeat(GROUP_NAME_CHARS_MAX + 1);
        for wrong in ["", "  ", "~", "~others", "a\nb", &long] {
            assert!(
                valid_name(wrong).unwrap_err().is(Fault::GroupNameInvalid),
                "{wrong}"
            );
        }
    }
}
