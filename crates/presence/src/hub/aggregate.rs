// SPDX-License-Identifier: MIT OR Apache-2.0
//! What many sources say about one person, as one state.

use time::OffsetDateTime;

use crate::model::availability::Availability;
use crate::xml::state::{State, StateKind};

/// Computes the aggregate of the states in one input container.
///
/// Machines: the most active one counts. Availability: the least available of machine, person,
/// calendar, phone and conference counts. Nobody signed in: offline, whatever was published.
pub(super) fn aggregate(
    signed_in: bool,
    states: &[(State, OffsetDateTime)],
    now: OffsetDateTime,
) -> State {
    let mut result = State::new(StateKind::Aggregate, Availability::Offline);
    if !signed_in {
        return result;
    }
    let of = |kind: StateKind| {
        states
            .iter()
            .filter(move |(state, _)| state.kind == kind && is_in_force(state, now))
    };
    let machine = of(StateKind::Machine).min_by_key(|(state, _)| state.availability);
    let others = [
        StateKind::User,
        StateKind::Calendar,
        StateKind::Phone,
        StateKind::Conference,
    ];
    let all: Vec<&State> = machine
        .into_iter()
        .chain(others.into_iter().flat_map(of))
        .map(|(state, _)| state)
        .collect();
    let Some(least) = all.iter().map(|state| state.availability).max() else {
        return result;
    };
    result.availability = least;
    let strongest = all.iter().filter(|state| state.availability == least);
    result.activity = strongest.filter_map(|state| state.activity.clone()).next();
    if let Some((machine, since)) = machine {
        result.device.clone_from(&machine.device);
        let class = Availability::from_number(machine.availability);
        if class == Availability::AvailableIdle
            && Availability::from_number(least) == Availability::Busy
        {
            result.availability = Availability::BusyIdle.number();
        }
        if class != Availability::Available {
            result.last_active = Some(machine.last_active.unwrap_or(*since));
        }
    }
    if Availability::from_number(result.availability) == Availability::Offline {
        // Somebody who wants to look offline looks exactly like somebody who is.
        return State::new(StateKind::Aggregate, Availability::Offline);
    }
    result
}

/// When the set of states in force changes next by the clock.
pub(super) fn next_change(
    states: &[(State, OffsetDateTime)],
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    states
        .iter()
        .filter(|(state, _)| state.kind == StateKind::Calendar)
        .flat_map(|(state, _)| [state.start_time, state.end_time])
        .flatten()
        .filter(|time| *time > now)
        .min()
}

fn is_in_force(state: &State, now: OffsetDateTime) -> bool {
    // Only calendars speak of the future; elsewhere the start says when the state began.
    if state.kind != StateKind::Calendar {
        return true;
    }
    state.start_time.is_none_or(|start| start <= now) && state.end_time.is_none_or(|end| now < end)
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::xml::state::Activity;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn state(kind: StateKind, availability: u32) -> (State, OffsetDateTime) {
        (
            State {
                availability,
                ..State::new(kind, Availability::Available)
            },
            NOW,
        )
    }

    fn availability(states: &[(State, OffsetDateTime)]) -> u32 {
        aggregate(true, states, NOW).availability
    }

    #[test]
    fn nobody_signed_in_is_offline_whatever_was_published() {
        let states = [state(StateKind::User, 3_500)];
        assert_eq!(aggregate(false, &states, NOW).availability, 18_500);
        assert_eq!(aggregate(true, &[], NOW).availability, 18_500);
    }

    #[test]
    fn the_most_active_machine_and_the_least_available_source_count() {
        let machines = [
            state(StateKind::Machine, 15_500),
            state(StateKind::Machine, 3_500),
        ];
        assert_eq!(availability(&machines), 3_500);
        let busy = [
            state(StateKind::Machine, 3_500),
            state(StateKind::User, 6_500),
        ];
        assert_eq!(availability(&busy), 6_500);
        let away = [
            state(StateKind::Machine, 15_500),
            state(StateKind::User, 6_500),
        ];
        assert_eq!(availability(&away), 15_500);
        let phone = [
            state(StateKind::User, 3_500),
            state(StateKind::Phone, 6_500),
        ];
        assert_eq!(availability(&phone), 6_500);
        let idle = [
            state(StateKind::Machine, 5_000),
            state(StateKind::User, 6_500),
        ];
        assert_eq!(availability(&idle), 8_000);
    }

    #[test]
    fn a_meeting_counts_only_while_it_lasts() {
        let mut meeting = state(StateKind::Calendar, 6_500);
        meeting.0.start_time = Some(NOW + Duration::hours(1));
        meeting.0.end_time = Some(NOW + Duration::hours(2));
        meeting.0.activity = Some(Activity::Token("in-a-meeting".to_owned()));
        let states = [state(StateKind::Machine, 3_500), meeting];
        assert_eq!(availability(&states), 3_500);
        assert_eq!(next_change(&states, NOW), Some(NOW + Duration::hours(1)));
        let during = aggregate(true, &states, NOW + Duration::minutes(90));
        assert_eq!(during.availability, 6_500);
        assert_eq!(
            during.activity,
            Some(Activity::Token("in-a-meeting".to_owned()))
        );
        assert_eq!(
            aggregate(true, &states, NOW + Duration::hours(2)).availability,
            3_500
        );
        assert_eq!(next_change(&states, NOW + Duration::hours(2)), None);
    }

    #[test]
    fn somebody_who_appears_offline_gives_no_sign() {
        let mut machine = state(StateKind::Machine, 5_000);
        machine.0.device = Some("computer".to_owned());
        let states = [machine, state(StateKind::User, 18_500)];
        assert_eq!(aggregate(true, &states, NOW), aggregate(false, &[], NOW));
    }
}
