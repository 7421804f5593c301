// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's end of the admin socket.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lanyard_authority::Actor;
use lanyard_fault::Fault;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::execute;
use super::protocol::{
    Greeting, PROTOCOL_VERSION, REQUEST_BYTES_MAX, Reply, RequestLine, ResponseLine,
};
use super::short_path::ShortPath;
use crate::app::App;
use crate::listener::stopped;
use crate::problem::Problem;

/// How many commands are served at once; more wait for a place.
const CONNECTIONS_MAX: usize = 32;
/// How long a command may take to say what it wants.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long commands under way may take when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the socket, readable and writable by the server's user alone. The caller holds the lock of
/// the data directory, so a socket that is there already is one that a killed server has left.
///
/// # Errors
/// When the socket cannot be made.
pub fn bind(path: &Path) -> Result<UnixListener, Problem> {
    let problem = |error: std::io::Error| Problem::file(path, &error);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(problem(error)),
        _ => {}
    }
    // The data directory is 0700: nobody else gets near the socket before its mode is set.
    let short = ShortPath::of(path).map_err(problem)?;
    let listener = UnixListener::bind(short.path()).map_err(problem)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(problem)?;
    Ok(listener)
}

/// Serves commands until the server stops; those under way are finished.
pub async fn serve(app: Arc<App>, listener: UnixListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = app.stopping();
    loop {
        let place = tokio::select! {
            () = stopped(&mut stop) => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let stream = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a command");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            if let Err(error) = converse(app, stream).await {
                tracing::debug!(%error, "a command went away");
            }
            drop(place);
        });
    }
    drop(listener);
    // All places free means that every command has its answer.
    let all = places.acquire_many(u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX));
    if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
        tracing::warn!("some commands were cut off");
    }
}

async fn converse(app: Arc<App>, stream: UnixStream) -> std::io::Result<()> {
    let peer = stream.peer_cred()?;
    let (read, mut write) = stream.into_split();
    let mut greeting = serde_json::to_vec(&Greeting {
        version: PROTOCOL_VERSION,
    })?;
    greeting.push(b'\n');
    write.write_all(&greeting).await?;
    let outcome = if may_administer(peer.uid()) {
        let actor = Actor::Administrator(user_name(peer.uid()));
        match read_request(read).await? {
            Some(line) => answer(app, actor, line).await,
            None => return Ok(()),
        }
    } else {
        tracing::warn!(uid = peer.uid(), "a command of another user was refused");
        Err(Problem::new(Fault::NotAllowed))
    };
    let outcome = outcome.map_err(|problem| problem.to_wire());
    let response = ResponseLine {
        version: PROTOCOL_VERSION,
        outcome,
    };
    let mut line = Zeroizing::new(serde_json::to_vec(&response)?);
    line.push(b'\n');
    write.write_all(&line).await?;
    write.shutdown().await
}

/// Reads one line; `None` when the other side says nothing or goes on for ever.
async fn read_request(
    read: tokio::net::unix::OwnedReadHalf,
) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::new());
    let mut limited = BufReader::new(read).take(REQUEST_BYTES_MAX as u64);
    let reading = limited.read_until(b'\n', &mut line);
    match tokio::time::timeout(REQUEST_TIMEOUT, reading).await {
        Ok(done) => done?,
        Err(_) => return Ok(None),
    };
    Ok(Some(line).filter(|line| !line.is_empty()))
}

async fn answer(app: Arc<App>, actor: Actor, line: Zeroizing<Vec<u8>>) -> Result<Reply, Problem> {
    if line.last() != Some(&b'\n') {
        return Err(Problem::with(
            Fault::AdminProtocol,
            "the request is too long or cut off",
        ));
    }
    // The version is looked at before anything else: another version may say anything else.
    let version = serde_json::from_slice::<Greeting>(&line)
        .map_err(|_| Problem::with(Fault::AdminProtocol, "the request is no JSON object"))?
        .version;
    if version != PROTOCOL_VERSION {
        let detail = format!("the command speaks version {version}, the server {PROTOCOL_VERSION}");
        return Err(Problem::with(Fault::AdminProtocol, detail));
    }
    let RequestLine { request, .. } = serde_json::from_slice(&line)
        .map_err(|error| Problem::with(Fault::AdminProtocol, error))?;
    metrics::counter!("lanyard_admin_requests_total").increment(1);
    let done = tokio::task::spawn_blocking(move || execute(&app, &actor, request)).await;
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "a command failed");
        Err(Problem::new(Fault::ServerInternal))
    })
}

/// The user of the server, and root.
fn may_administer(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// The name of a user of this system, for the audit trail.
pub(crate) fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}
