// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub's refusals in the words of the table of faults.

use lanyard_fault::Fault;
use lanyard_presence::RosterError;
use lanyard_presence::hub::{Explanation, Refusal};

/// What a client is told about a refusal: the sentence of the fault that a person can do something
/// about, or the hub's own words for what only a program can get wrong.
#[must_use]
pub fn explain(refusal: &Refusal) -> Explanation {
    match fault(refusal) {
        Some(fault) => Explanation {
            id: u32::from(fault.number()),
            text: format!("{} ({})", fault.sentence(), fault.code()).into(),
        },
        None => refusal.explain(),
    }
}

fn fault(refusal: &Refusal) -> Option<Fault> {
    match refusal {
        Refusal::UnknownPerson => Some(Fault::PersonUnknown),
        Refusal::Offline | Refusal::Timeout | Refusal::BadAnswer => {
            Some(Fault::MessageNotDelivered)
        }
        Refusal::Limit(lanyard_presence::limits::ENDPOINTS_OF_ONE_PERSON) => {
            Some(Fault::EndpointsTooMany)
        }
        Refusal::Store(RosterError::Busy) => Some(Fault::DatabaseBusy),
        Refusal::Store(RosterError::Full) => Some(Fault::DiskFull),
        Refusal::Store(RosterError::Damaged) => Some(Fault::DatabaseDamaged),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_can_meet_has_a_code_and_the_rest_has_words() {
        assert!(explain(&Refusal::UnknownPerson).text.contains("LY-1602"));
        assert!(
            explain(&Refusal::Store(RosterError::Full))
                .text
                .contains("LY-1707")
        );
        assert!(!explain(&Refusal::Merged).text.is_empty());
    }
}
