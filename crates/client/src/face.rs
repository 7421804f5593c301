// SPDX-License-Identifier: MIT OR Apache-2.0
//! The face's end of the agent's socket: attach, ask, hear events. Blocking, for programs without a runtime.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lanyard_fault::Fault;
use zeroize::Zeroizing;

use crate::agent::line::LINE_BYTES_MAX;
use crate::agent::protocol::{
    FromAgent, Hello, Intent, PROTOCOL_VERSION, Reply, ReplyBody, Request, Secret, SecretKind,
};
use crate::places::{Places, Profile};
use crate::problem::Problem;
use crate::view::Event;

/// Time for the agent's first line, in milliseconds.
const HELLO_MS_MAX: u64 = 3_000;
/// Time for a fresh agent to be ready, in milliseconds.
const START_MS_MAX: u64 = 10_000;
/// Time for the answer to a request, in seconds. Sending waits for the other side.
const REPLY_SECS_MAX: u64 = 90;
/// Pause between two looks at the socket of a starting agent, in milliseconds.
const LOOK_AGAIN_MS: u64 = 20;

/// The program that runs the agent, and its arguments before `--profile`.
#[derive(Debug, Clone)]
pub struct AgentProgram {
    /// Program file.
    pub program: PathBuf,
    /// Arguments.
    pub arguments: Vec<String>,
}

type OnReply = Box<dyn FnOnce(Option<Reply>) + Send>;
type Pending = Arc<Mutex<HashMap<u64, OnReply>>>;

/// A connection to the agent.
pub struct Face {
    stream: Mutex<UnixStream>,
    pending: Pending,
    next_id: Mutex<u64>,
    /// What the agent said of itself.
    pub hello: Hello,
}

impl Face {
    /// Connects to the running agent; `None` when none runs.
    ///
    /// Every event goes to `on_event`, called on a thread of its own; `None` tells that the agent is gone.
    ///
    /// # Errors
    /// When an agent runs but does not answer, or speaks another version.
    pub fn connect(
        places: &Places,
        profile: &Profile,
        on_event: impl FnMut(Option<Event>) + Send + 'static,
    ) -> Result<Option<Self>, Problem> {
        let Ok(stream) = UnixStream::connect(places.agent_socket(profile)) else {
            return Ok(None);
        };
        let unreachable = |_| Problem::new(Fault::AgentUnreachable);
        let peer = rustix::net::sockopt::socket_peercred(&stream)
            .map_err(|_| Problem::new(Fault::AgentUnreachable))?;
        if peer.uid != rustix::process::geteuid() {
            return Err(
                Problem::new(Fault::AgentUnreachable).with_detail("It belongs to somebody else.")
            );
        }
        let limit = Duration::from_millis(HELLO_MS_MAX);
        stream.set_read_timeout(Some(limit)).map_err(unreachable)?;
        let mut reader = BufReader::new(stream.try_clone().map_err(unreachable)?);
        let hello: Hello = read_line(&mut reader)
            .and_then(|line| serde_json::from_str(&line).ok())
            .ok_or_else(|| Problem::new(Fault::AgentUnreachable))?;
        if hello.protocol != PROTOCOL_VERSION {
            return Err(Problem::new(Fault::AgentUnreachable).with_detail(format!(
                "It is of another version ({}) than this program ({}).",
                hello.version,
                env!("CARGO_PKG_VERSION")
            )));
        }
        stream.set_read_timeout(None).map_err(unreachable)?;
        let pending = Pending::default();
        let waiting = Arc::clone(&pending);
        thread::spawn(move || listen(reader, &waiting, on_event));
        let (stream, next_id) = (Mutex::new(stream), Mutex::new(1));
        Ok(Some(Self {
            stream,
            pending,
            next_id,
            hello,
        }))
    }

    /// Connects to the agent and starts one when none runs.
    ///
    /// # Errors
    /// When no agent can be reached or started.
    pub fn connect_or_start(
        places: &Places,
        profile: &Profile,
        program: &AgentProgram,
        mut on_event: impl FnMut(Option<Event>) + Send + 'static,
    ) -> Result<Self, Problem> {
        // The callback goes to the connection that succeeds, behind a channel to the ones before.
        let (events, heard): (Sender<Option<Event>>, Receiver<Option<Event>>) = channel();
        thread::spawn(move || heard.into_iter().for_each(&mut on_event));
        let forward = |events: &Sender<Option<Event>>| {
            let events = events.clone();
            move |event| drop(events.send(event))
        };
        let end = Instant::now() + Duration::from_millis(START_MS_MAX);
        loop {
            match Self::connect(places, profile, forward(&events)) {
                Ok(Some(face)) => return Ok(face),
                Ok(None) => start(program, profile)?,
                Err(problem) if Instant::now() >= end => return Err(problem),
                // An agent that is just ending does not say hello any more.
                Err(_) => thread::sleep(Duration::from_millis(LOOK_AGAIN_MS)),
            }
            if Instant::now() >= end {
                return Err(Problem::new(Fault::AgentUnreachable));
            }
        }
    }

    /// Waits until the agent of this profile is gone, after [`Intent::Exit`].
    ///
    /// # Errors
    /// When it stays.
    pub fn wait_until_gone(places: &Places, profile: &Profile) -> Result<(), Problem> {
        let end = Instant::now() + Duration::from_millis(START_MS_MAX);
        while crate::agent::lock::is_held(places, profile) {
            if Instant::now() >= end {
                return Err(Problem::new(Fault::AgentUnreachable));
            }
            thread::sleep(Duration::from_millis(LOOK_AGAIN_MS));
        }
        Ok(())
    }

    /// Sends an intent and waits for the reply.
    ///
    /// # Errors
    /// What the agent refuses, or that it is gone.
    pub fn request(&self, intent: Intent) -> Result<ReplyBody, Problem> {
        let (answer, heard) = channel();
        self.post(intent, move |result| drop(answer.send(result)));
        let gone = |_| Problem::new(Fault::AgentUnreachable);
        heard
            .recv_timeout(Duration::from_secs(REPLY_SECS_MAX))
            .map_err(gone)?
    }

    /// Sends an intent; the reply is handed over later, on a thread of its own.
    pub fn post(
        &self,
        intent: Intent,
        on_reply: impl FnOnce(Result<ReplyBody, Problem>) + Send + 'static,
    ) {
        let id = self.next_id();
        match serde_json::to_vec(&Request { id, intent }) {
            Ok(line) if line.len() <= LINE_BYTES_MAX => {
                self.exchange(id, &Zeroizing::new(line), on_reply);
            }
            Ok(_) => on_reply(Err(Problem::new(Fault::TextTooLong))),
            Err(_) => on_reply(Err(Problem::new(Fault::AgentUnreachable))),
        }
    }

    /// Hands over a secret and waits until the agent took it.
    ///
    /// # Errors
    /// When the agent does not want it now, or it is no PIN.
    pub fn secret(
        &self,
        kind: SecretKind,
        value: Zeroizing<String>,
        last_try: bool,
    ) -> Result<(), Problem> {
        let id = self.next_id();
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        let secret = Secret {
            id,
            kind: match kind {
                SecretKind::Pin if !is_number => SecretKind::CardPin,
                kind => kind,
            },
            value,
            last_try,
        };
        let line = secret
            .to_line()
            .map_err(|_| crate::cards::pin_format_problem())?;
        let (answer, heard) = channel();
        self.exchange(id, &line, move |result| drop(answer.send(result.map(drop))));
        let gone = |_| Problem::new(Fault::AgentUnreachable);
        heard
            .recv_timeout(Duration::from_secs(REPLY_SECS_MAX))
            .map_err(gone)?
    }

    fn next_id(&self) -> u64 {
        let mut next = self.next_id.lock().unwrap_or_else(PoisonError::into_inner);
        *next = next.wrapping_add(1);
        *next
    }

    fn exchange(
        &self,
        id: u64,
        line: &Zeroizing<Vec<u8>>,
        on_reply: impl FnOnce(Result<ReplyBody, Problem>) + Send + 'static,
    ) {
        let take = |reply: Option<Reply>| match reply {
            Some(Reply {
                error: Some(problem),
                ..
            }) => Err(problem),
            Some(reply) => Ok(reply.body),
            None => Err(Problem::new(Fault::AgentUnreachable)),
        };
        let on_reply: OnReply = Box::new(move |reply| on_reply(take(reply)));
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, on_reply);
        let sent = {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            stream
                .write_all(line)
                .and_then(|()| stream.write_all(b"\n"))
        };
        if sent.is_err() {
            let waiting = self
                .pending
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
            if let Some(on_reply) = waiting {
                on_reply(None);
            }
        }
    }
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Face({})", self.hello.profile)
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        // The listening thread holds the other half; this ends it and lets the agent know.
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let limit = u64::try_from(LINE_BYTES_MAX).ok()?.saturating_add(2);
    reader.take(limit).read_line(&mut line).ok()?;
    line.ends_with('\n').then_some(line)
}

fn listen(
    mut reader: BufReader<UnixStream>,
    pending: &Pending,
    mut on_event: impl FnMut(Option<Event>),
) {
    while let Some(line) = read_line(&mut reader) {
        match serde_json::from_str(&line) {
            Ok(FromAgent::Reply(reply)) => {
                let waiting = pending
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&reply.reply);
                if let Some(on_reply) = waiting {
                    on_reply(Some(*reply));
                }
            }
            Ok(FromAgent::Event(event)) => on_event(Some(*event)),
            Err(_) => {}
        }
    }
    let left: Vec<OnReply> = pending
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain()
        .map(|(_, one)| one)
        .collect();
    for on_reply in left {
        on_reply(None);
    }
    on_event(None);
}

/// Starts the agent and waits for its word that it is ready, or why not.
fn start(program: &AgentProgram, profile: &Profile) -> Result<(), Problem> {
    let unreachable = || Problem::new(Fault::AgentUnreachable);
    let mut child = Command::new(&program.program)
        .args(&program.arguments)
        .args(["--profile", profile.as_str()])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| unreachable().with_detail(format!("It cannot be started: {error}.")))?;
    let stdout = child.stdout.take().ok_or_else(unreachable)?;
    let (told, heard) = channel();
    thread::spawn(move || {
        let _ = told.send(read_line(&mut BufReader::new(stdout)));
        // The agent goes on without us; waiting here only keeps it from becoming a zombie.
        let _ = child.wait();
    });
    match heard.recv_timeout(Duration::from_millis(START_MS_MAX)) {
        Ok(Some(line)) if line.trim() == crate::agent::READY => Ok(()),
        Ok(Some(line)) => Err(serde_json::from_str(&line).unwrap_or_else(|_| unreachable())),
        Ok(None) | Err(_) => Err(unreachable()),
    }
}
