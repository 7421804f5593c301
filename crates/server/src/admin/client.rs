// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command's end of the admin socket. Without a server, the command does the work itself.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lanyard_fault::Fault;
use zeroize::Zeroizing;

use super::protocol::{PROTOCOL_VERSION, RESPONSE_BYTES_MAX, Reply, Request, ResponseLine};
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
    let mut stream = match connected {
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
    let lost = |error: std::io::Error| {
        Problem::with(
            Fault::AdminProtocol,
            format_args!("the server went away: {error}"),
        )
    };
    stream
        .set_read_timeout(Some(ANSWER_TIMEOUT))
        .map_err(lost)?;
    let mut line = Zeroizing::new(Vec::new());
    let envelope = Envelope {
        version: PROTOCOL_VERSION,
        request,
    };
    serde_json::to_writer(&mut *line, &envelope)
        .map_err(|error| Problem::with(Fault::AdminProtocol, error))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(lost)?;
    stream.shutdown(Shutdown::Write).map_err(lost)?;

    let mut answer = Zeroizing::new(Vec::new());
    BufReader::new(stream)
        .take(RESPONSE_BYTES_MAX as u64)
        .read_until(b'\n', &mut answer)
        .map_err(lost)?;
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
