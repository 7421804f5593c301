// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a change of policy means, and which ways in are open, for people.

use super::render::{count, effective, set_fields};
use crate::admin::{PolicyChangeView, WayView, WaysView};

pub(super) fn change(view: &PolicyChangeView) -> String {
    let whose = view
        .group
        .as_ref()
        .map_or("the default policy".to_owned(), |group| {
            format!("the policy of {group}")
        });
    let (verb, people) = if view.dry_run {
        ("would set", "would change")
    } else {
        ("sets", "changes")
    };
    let mut text = format!("{whose} {verb}: {}\n", set_fields(&view.policy));
    text.push_str(&format!(
        "something {people} for {}\n",
        count(view.affected.len(), "person", "people")
    ));
    for (address, policy) in &view.affected {
        text.push_str(&format!("  {address}: {}\n", effective(policy)));
    }
    let loses = if view.dry_run { "would lose" } else { "loses" };
    for loss in &view.lost {
        let last = if loss.is_last {
            "; no way in is left"
        } else {
            ""
        };
        text.push_str(&format!(
            "  {} {loses} {}{last}\n",
            loss.address,
            way(&loss.way)
        ));
    }
    if view.sessions_ended > 0 {
        text.push_str(&format!(
            "{} ended\n",
            count(view.sessions_ended, "session", "sessions")
        ));
    }
    text
}

pub(super) fn ways(view: &WaysView) -> String {
    let mut text = format!("{}: {}\n", view.address, effective(&view.policy));
    for each in &view.ways {
        let word = if each.allowed { "allowed" } else { "refused" };
        text.push_str(&format!("  {word}: {}\n", way(each)));
    }
    text
}

fn way(view: &WayView) -> String {
    match (&view.reason, &view.code) {
        (Some(reason), Some(code)) => format!("{}: {reason} ({code})", view.way),
        _ => view.way.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::LossView;
    use lanyard_directory::{CardKind, CardKinds, EffectivePolicy, GroupPolicy};

    fn refused() -> WayView {
        WayView {
            way: "password".to_owned(),
            allowed: false,
            code: Some("LY-1310".to_owned()),
            reason: Some("A password is not accepted for this account.".to_owned()),
        }
    }

    #[test]
    fn a_change_says_who_loses_what_and_why() {
        let address: lanyard_directory::SipAddress = "alice@contoso.test".parse().unwrap();
        let mut view = PolicyChangeView {
            dry_run: true,
            group: Some("sales".parse().unwrap()),
            policy: GroupPolicy {
                card_required: Some(false),
                card_kinds: Some(CardKinds::NONE.with(CardKind::Physical)),
                ..GroupPolicy::default()
            },
            affected: vec![(address.clone(), EffectivePolicy::SAFE)],
            lost: vec![LossView {
                address: address.clone(),
                way: refused(),
                is_last: true,
            }],
            sessions_ended: 0,
        };
        let mut text = change(&view);
        view.dry_run = false;
        view.sessions_ended = 2;
        text.push_str(&change(&view));
        let open = WayView {
            way: "card 0102, certificate 41".to_owned(),
            allowed: true,
            code: None,
            reason: None,
        };
        text.push_str(&ways(&WaysView {
            address,
            policy: EffectivePolicy::SAFE,
            ways: vec![open, refused()],
        }));
        insta::assert_snapshot!(text);
    }
}
