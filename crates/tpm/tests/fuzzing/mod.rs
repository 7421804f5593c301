// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzer does with its bytes; the ordinary tests replay its corpus the same way.
//!
//! The bytes are what a chip answers. The first one says to which command.

use std::collections::VecDeque;
use std::time::Duration;

use lanyard_tpm::wire::Answer;
use lanyard_tpm::{
    Auth, AuthValue, Connect, Hierarchy, NvPublic, Public, SessionKind, Template, Tpm, TpmError,
    Transport, attestation,
};
use zeroize::Zeroizing;

/// A chip that gives these answers one after the other, and then none.
struct Liar(Vec<u8>);

struct Line(VecDeque<Vec<u8>>);

impl Connect for Liar {
    fn transport(&self) -> Result<Box<dyn Transport>, TpmError> {
        // Answers are told apart by the length in their headers, as a stream tells them.
        let mut answers = VecDeque::new();
        let mut rest = &self.0[..];
        while let Some(size) = rest.get(2..6) {
            let size = u32::from_be_bytes(size.try_into().unwrap_or_default());
            let size = usize::try_from(size)
                .unwrap_or(usize::MAX)
                .clamp(1, rest.len());
            let (answer, more) = rest.split_at(size);
            answers.push_back(answer.to_vec());
            rest = more;
        }
        answers.push_back(rest.to_vec());
        Ok(Box::new(Line(answers)))
    }
}

impl Transport for Line {
    fn exchange(&mut self, _: &[u8], _: Duration) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let answer = self.0.pop_front().map(Zeroizing::new);
        answer.ok_or(TpmError::TimedOut)
    }
}

/// Has the crate believe, or better not believe, what a chip answers.
pub fn run(bytes: &[u8]) {
    let Some((which, answers)) = bytes.split_first() else {
        return;
    };
    for (handles, sessions) in [(0, 0), (1, 0), (0, 1), (1, 2), (0, 3)] {
        let _ = Answer::parse(answers, handles, sessions);
    }
    if let Ok(public) = Public::parse(answers) {
        let _ = (public.key(), public.name(), public.policy());
    }
    let _ = NvPublic::parse(answers);
    let Ok(mut tpm) = Liar(answers.to_vec()).connect() else {
        return;
    };
    converse(&mut tpm, *which);
}

fn converse(tpm: &mut Tpm, which: u8) {
    match which % 6 {
        0 => {
            let _ = tpm.capabilities();
        }
        1 => {
            let _ = tpm.read_index(0x0180_0000);
        }
        2 => {
            let index = NvPublic::pin_counter(0x0180_0000, &[7; 32]);
            let _ = tpm.read_contents(&index, 64);
        }
        3 => {
            let _ = attestation::certified_endorsement_key(tpm);
        }
        4 => {
            let _ = tpm.random(&mut [0; 40], None);
        }
        _ => {
            let Ok(storage) = tpm.create_primary(Hierarchy::Owner, &Template::storage()) else {
                return;
            };
            // An unsalted session: the liar cannot be found out by its proof.
            let Ok(mut session) = tpm.start_session(SessionKind::Policy, None) else {
                return;
            };
            let _ = tpm.policy_secret(&Hierarchy::Owner.handle(), Auth::Nothing, &session);
            let _ = tpm.unseal(&storage, Auth::Policy(&mut session, None), None);
            let _ = tpm.agree(
                &storage,
                Auth::Password(&AuthValue::empty()),
                None,
                &[1],
                &[2],
            );
        }
    }
}
