// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open files: every connection is one, and a process starts with room for few.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are no connections: database, logs, cards of administration.
const OTHERS: u64 = 128;
/// Of the rest, sessions get one part in this many.
const SIP_PART: u64 = 2;
/// And each of the other three listeners one in this many: their connections are brief.
const BRIEF_PART: u64 = 6;

/// Asks for as many open files as the system allows, and says how many there may be.
pub fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Connections that the SIP listener may have, and each of the others, so that none takes the
/// descriptors of the rest.
#[must_use]
pub fn connections() -> (usize, usize) {
    let all = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let part = |part: u64| {
        let each = all.saturating_sub(OTHERS) / part;
        usize::try_from(each.max(16)).unwrap_or(usize::MAX)
    };
    (part(SIP_PART), part(BRIEF_PART))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let all = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(limit.current.unwrap_or(u64::MAX), all);
        let (sip, brief) = connections();
        assert!(sip as u64 + 3 * brief as u64 <= all || all < 1024);
    }
}
