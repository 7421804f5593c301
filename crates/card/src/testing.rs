// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card made of a closure, for this crate's own tests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanyard_piv::{ApplicationTemplate, Chuid, Command, Guid, ObjectId, Response, StatusWord, ins};
use zeroize::Zeroizing;

use crate::channel::{
    CardPath, Channel, Ending, Provider, ReaderId, ReaderState, Readers, Slotted,
};
use crate::fault::CardFault;

type Answering = dyn Fn(&Command) -> Result<Response, CardFault> + Send + Sync;

pub(crate) const GUID: Guid = Guid::new([7; 16]);

/// What happened to the card, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happened {
    Begun,
    Sent(Command),
    Ended(Ending),
}

#[derive(Clone)]
pub(crate) struct FakeCard {
    path: CardPath,
    answering: Arc<Answering>,
    atr: &'static [u8],
    happened: Arc<Mutex<Vec<Happened>>>,
}

impl FakeCard {
    pub(crate) fn new(
        path: CardPath,
        answering: impl Fn(&Command) -> Result<Response, CardFault> + Send + Sync + 'static,
    ) -> Self {
        Self {
            path,
            answering: Arc::new(answering),
            atr: &[0x3B],
            happened: Arc::default(),
        }
    }

    pub(crate) fn with_atr(mut self, atr: &'static [u8]) -> Self {
        self.atr = atr;
        self
    }

    pub(crate) fn happened(&self) -> Vec<Happened> {
        self.happened.lock().unwrap().clone()
    }

    /// How many commands with this instruction and with data were sent.
    pub(crate) fn sent(&self, instruction: u8) -> usize {
        let with_data = |event: &&Happened| {
            matches!(event, Happened::Sent(command)
                if command.instruction() == instruction && !command.data().is_empty())
        };
        self.happened().iter().filter(with_data).count()
    }

    pub(crate) fn reader(&self) -> ReaderId {
        ReaderId {
            path: self.path,
            name: "fake".to_owned(),
        }
    }

    fn note(&self, event: Happened) {
        self.happened.lock().unwrap().push(event);
    }
}

impl std::fmt::Debug for FakeCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeCard")
    }
}

impl Provider for FakeCard {
    fn path(&self) -> CardPath {
        self.path
    }

    fn readers(&self) -> Result<Readers, CardFault> {
        Ok(vec![ReaderState {
            id: self.reader(),
            slotted: Slotted::Card,
            events: 1,
        }])
    }

    fn connect(&self, _reader: &str, _limit: Duration) -> Result<Box<dyn Channel>, CardFault> {
        Ok(Box::new(self.clone()))
    }

    fn pause(&self, _known: &[ReaderState], _at_most: Duration) {}
}

impl Channel for FakeCard {
    fn atr(&self) -> &[u8] {
        self.atr
    }

    fn begin(&mut self, _limit: Duration) -> Result<(), CardFault> {
        self.note(Happened::Begun);
        Ok(())
    }

    fn transmit(
        &mut self,
        command: &[u8],
        _limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, CardFault> {
        let command = Command::parse(command).unwrap();
        self.note(Happened::Sent(command.clone()));
        (self.answering)(&command).map(|answer| answer.to_bytes())
    }

    fn end(&mut self, ending: Ending) {
        self.note(Happened::Ended(ending));
    }
}

/// What every card answers to SELECT and to the question for its GUID.
pub(crate) fn usual(command: &Command) -> Option<Response> {
    match command.instruction() {
        ins::SELECT => {
            let template = ApplicationTemplate {
                label: Some("Fake".to_owned()),
                algorithms: vec![],
            };
            Some(Response::new(template.encode(), StatusWord::SUCCESS))
        }
        ins::GET_DATA if ObjectId::from_tag_list(command.data()) == Ok(ObjectId::CHUID) => {
            let chuid = Chuid { guid: GUID }.encode();
            Some(Response::new(
                ObjectId::CHUID.wrap(&chuid),
                StatusWord::SUCCESS,
            ))
        }
        _ => None,
    }
}
