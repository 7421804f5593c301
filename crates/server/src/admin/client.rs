// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command's end of the admin socket. Without a server, the command does the work itself.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lanyard_fault::Fault;
use zeroize::Zeroizing;

use super::protocol::{
    Greeting, PROTOCOL_VERSION, RESPONSE_BYTES_MAX, Reply, Request, ResponseLine,
};
use super::short_path::ShortPath;
use crate::data::DataDir;
use crate::problem::{Problem, WireProblem};

/// How long the server may take to answer: checking a long audit trail takes its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// What asking the server came to.
#[derive(Debug)]
pub enum ServerAnswer {
    /// It did what was asked.
    Done(Box<Reply>),
    /// It did not, and says why.
    Refused(WireProblem),
    /// No server is running; the request was not sent.
    NotRunning,
}

/// Asks the server of this data directory.
///
/// # Errors
/// When a server is there and the conversation with it fails.
pub fn ask_server(data: &DataDir, request: &Request) -> Result<ServerAnswer, Problem> {
    let path = data.admin_socket();
    let connected = ShortPath::of(&path).and_then(|short| UnixStream::connect(short.path()));
    let stream = match connected {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(ServerAnswer::NotRunning);
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Problem::new(Fault::NotAllowed));
        }
        Err(error) => return Err(Problem::file(&path, &error)),
    };
    let lost = |error: std::io::Error| Problem::with(Fault::AdminAnswerLost, error);
    stream
        .set_read_timeout(Some(ANSWER_TIMEOUT))
        .map_err(lost)?;
    let mut write = stream.try_clone().map_err(lost)?;
    let mut read = BufReader::new(stream).take(RESPONSE_BYTES_MAX as u64);

    // A server that is stopping closes without a greeting. Nothing was sent then, and the command
    // can try again without doing its work twice.
    let mut greeting = Vec::new();
    let greeted = read.read_until(b'\n', &mut greeting);
    if greeted.is_err() || greeting.last() != Some(&b'\n') {
        return Ok(ServerAnswer::NotRunning);
    }
    let understood = serde_json::from_slice::<Greeting>(&greeting)
        .map_err(|error| Problem::with(Fault::AdminProtocol, error))?;
    if understood.version != PROTOCOL_VERSION {
        let theirs = understood.version;
        let detail = format!("the server speaks version {theirs}, the command {PROTOCOL_VERSION}");
        return Err(Problem::with(Fault::AdminProtocol, detail));
    }

    let mut line = Zeroizing::new(Vec::new());
    serde_json::to_writer(
        &mut *line,
        &Envelope {
            version: PROTOCOL_VERSION,
            request,
        },
    )
    .map_err(|error| Problem::with(Fault::AdminProtocol, error))?;
    line.push(b'\n');
    write.write_all(&line).map_err(lost)?;
    write.shutdown(Shutdown::Write).map_err(lost)?;

    let mut answer = Zeroizing::new(Vec::new());
    read.read_until(b'\n', &mut answer).map_err(lost)?;
    if answer.last() != Some(&b'\n') {
        return Err(Problem::new(Fault::AdminAnswerLost));
    }
    let response: ResponseLine = serde_json::from_slice(&answer)
        .map_err(|error| Problem::with(Fault::AdminProtocol, error))?;
    Ok(match response.outcome {
        Ok(reply) => ServerAnswer::Done(Box::new(reply)),
        Err(problem) => ServerAnswer::Refused(problem),
    })
}

/// [`RequestLine`] by reference.
#[derive(serde::Serialize)]
struct Envelope<'a> {
    version: u32,
    request: &'a Request,
}
