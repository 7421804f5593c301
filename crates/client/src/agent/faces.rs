// SPDX-License-Identifier: MIT OR Apache-2.0
//! The socket's side of faces: who may attach, lines in, lines out.

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::driver::Happened;
use super::line::LineReader;
use super::protocol::{FromFace, Hello, PROTOCOL_VERSION, Reply, ReplyBody};
use crate::places::Profile;
use crate::problem::Problem;
use lanyard_fault::Fault;

/// Lines that may wait for one face; one that does not read is dropped.
pub(super) const FACE_LINES_MAX: usize = 4_096;

/// Serves one face until it goes.
pub(super) async fn serve(
    face: u64,
    stream: UnixStream,
    profile: Profile,
    happened: mpsc::Sender<Happened>,
) {
    let ours = rustix::process::geteuid().as_raw();
    if !stream.peer_cred().is_ok_and(|peer| peer.uid() == ours) {
        return;
    }
    let (reader, mut writer) = stream.into_split();
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: profile.as_str().to_owned(),
        pid: std::process::id(),
    };
    if write_line(&mut writer, &hello).await.is_err() {
        return;
    }
    let (lines, queue) = mpsc::channel(FACE_LINES_MAX);
    if happened
        .send(Happened::FaceCame {
            face,
            lines: lines.clone(),
        })
        .await
        .is_err()
    {
        return;
    }
    let writing = tokio::spawn(write_queue(writer, queue));
    let mut reader = LineReader::new(reader);
    while let Ok(Some(line)) = reader.next().await {
        let said = match FromFace::parse(line) {
            Ok(FromFace::Request(request)) => Happened::Request { face, request },
            Ok(FromFace::Secret(secret)) => Happened::Secret { face, secret },
            Err(error) => {
                let problem = Problem::new(Fault::RequestNotUnderstood);
                let body = ReplyBody::default();
                let reply = Reply {
                    reply: error.id,
                    error: Some(problem),
                    body,
                };
                let _ = lines.send(to_line(&reply)).await;
                continue;
            }
        };
        if happened.send(said).await.is_err() {
            break;
        }
    }
    let _ = happened.send(Happened::FaceGone { face }).await;
    // What was said last may still be on its way.
    drop(lines);
    let _ = writing.await;
}

async fn write_queue(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<String>) {
    while let Some(line) = queue.recv().await {
        if writer.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn write_line(
    writer: &mut OwnedWriteHalf,
    value: &impl serde::Serialize,
) -> std::io::Result<()> {
    writer.write_all(to_line(value).as_bytes()).await
}

pub(super) fn to_line(value: &impl serde::Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}
