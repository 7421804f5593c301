// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agent's loop: what happens goes into the core, what the core decides is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lanyard_card::{CardFault, Cards};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, timeout};

use super::core::{Asker, Core, Effect, SipEvent};
use super::faces::{self, to_line};
use super::presence;
use super::protocol::{Reply, Request, Secret};
use super::tasks::{self, CardWatch};
use crate::net::{HttpAnswer, Net, NetFault, SrvRecord};
use crate::places::{Places, Profile};
use crate::problem::Problem;
use crate::session::Now;
use crate::signin::{CardTrouble, CardsSeen, Input, Output};
use crate::view::Event;

/// Things that may wait for the loop.
const HAPPENED_MAX: usize = 1_024;
/// Faces at one time.
const FACES_MAX: usize = 32;
/// Time for the last lines to faces when the agent ends, in milliseconds.
const FAREWELL_MS_MAX: u64 = 500;

/// What happened.
pub(super) enum Happened {
    FaceCame {
        face: u64,
        lines: mpsc::Sender<String>,
    },
    FaceGone {
        face: u64,
    },
    Request {
        face: u64,
        request: Request,
    },
    Secret {
        face: u64,
        secret: Secret,
    },
    Http {
        id: u64,
        answer: Result<HttpAnswer, NetFault>,
    },
    Directory {
        id: u64,
        answer: Result<HttpAnswer, NetFault>,
    },
    Srv {
        id: u64,
        answer: Result<Vec<SrvRecord>, NetFault>,
    },
    Cards(CardsSeen),
    CardAnswer(Result<HttpAnswer, CardTrouble>),
    PinChanged(Result<(), CardFault>),
    Presence(Result<(), Problem>),
    Sip {
        generation: u64,
        event: SipEvent,
    },
}

/// The loop's own state.
pub(super) struct Driver {
    core: Core,
    net: Net,
    cards: Arc<Cards>,
    places: Places,
    profile: Profile,
    sender: mpsc::Sender<Happened>,
    queue: mpsc::Receiver<Happened>,
    faces: HashMap<u64, mpsc::Sender<String>>,
    next_face: u64,
    sip: Option<(JoinHandle<()>, mpsc::UnboundedSender<Bytes>)>,
    watch: Option<CardWatch>,
    ended: bool,
}

impl Driver {
    pub(super) fn new(
        core: Core,
        net: Net,
        cards: Arc<Cards>,
        places: Places,
        profile: Profile,
    ) -> Self {
        let (sender, queue) = mpsc::channel(HAPPENED_MAX);
        Self {
            core,
            net,
            cards,
            places,
            profile,
            sender,
            queue,
            faces: HashMap::new(),
            next_face: 0,
            sip: None,
            watch: None,
            ended: false,
        }
    }

    pub(super) async fn run(mut self, listener: UnixListener) {
        let second = Duration::from_secs(1);
        let mut clock = interval_at(Instant::now() + second, second);
        let mut terminate = signal(SignalKind::terminate()).ok();
        while !self.ended {
            tokio::select! {
                happened = self.queue.recv() => {
                    if let Some(happened) = happened {
                        self.happened(happened);
                    }
                }
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted
                        && self.faces.len() < FACES_MAX
                    {
                        self.next_face = self.next_face.wrapping_add(1);
                        let (face, sender) = (self.next_face, self.sender.clone());
                        tokio::spawn(faces::serve(face, stream, self.profile.clone(), sender));
                    }
                }
                _ = clock.tick(), if self.core.needs_ticks() => {
                    self.core.tick(Now::from_system());
                }
                () = received(&mut terminate) => self.core.terminate(Now::from_system()),
            }
            self.effects();
        }
        self.farewell().await;
    }

    fn happened(&mut self, happened: Happened) {
        let now = Now::from_system();
        match happened {
            Happened::FaceCame { face, lines } => drop(self.faces.insert(face, lines)),
            Happened::FaceGone { face } => self.drop_face(face),
            Happened::Request { face, request } => {
                let asker = Asker {
                    face,
                    request: request.id,
                };
                self.core.intent(now, asker, request.intent);
            }
            Happened::Secret { face, secret } => self.core.secret(now, face, &secret),
            Happened::Http { id, answer } => {
                self.core.sign_in_input(now, Input::Http { id, answer });
            }
            Happened::Directory { id, answer } => self.core.directory_input(now, id, answer),
            Happened::Srv { id, answer } => {
                self.core.sign_in_input(now, Input::Srv { id, answer });
            }
            Happened::Cards(seen) => {
                // A watch that was stopped may have one more look on its way.
                if self.watch.is_some() {
                    self.core.cards_seen(now, &seen);
                    self.core.sign_in_input(now, Input::Cards(seen));
                }
            }
            Happened::CardAnswer(answer) => {
                self.core.sign_in_input(now, Input::CardAnswer(answer));
            }
            Happened::Presence(outcome) => self.core.presence_proved(now, outcome),
            Happened::PinChanged(result) => {
                self.core.sign_in_input(now, Input::PinChanged(result));
            }
            Happened::Sip { generation, event } => self.core.sip_event(now, generation, event),
        }
    }

    fn effects(&mut self) {
        for effect in self.core.take_effects() {
            match effect {
                Effect::SignIn(output) => self.sign_in(output),
                Effect::SipConnect {
                    generation,
                    host,
                    port,
                } => {
                    self.close_sip();
                    let (bytes, queue) = mpsc::unbounded_channel();
                    let (net, sender) = (self.net.clone(), self.sender.clone());
                    let task = tasks::registrar(net, generation, host, port, queue, sender);
                    self.sip = Some((tokio::spawn(task), bytes));
                }
                Effect::SipSend(bytes) => {
                    if let Some((_, sending)) = &self.sip {
                        let _ = sending.send(bytes);
                    }
                }
                Effect::Directory(request) => {
                    let (net, sender) = (self.net.clone(), self.sender.clone());
                    tokio::spawn(async move {
                        let id = request.id;
                        let answer = tasks::directory_exchange(&net, request).await;
                        let _ = sender.send(Happened::Directory { id, answer }).await;
                    });
                }
                Effect::ProvePresence { card, service } => {
                    let (net, cards) = (self.net.clone(), Arc::clone(&self.cards));
                    let sender = self.sender.clone();
                    tokio::spawn(async move {
                        let outcome = presence::prove(net, cards, *card, &service).await;
                        let _ = sender.send(Happened::Presence(outcome)).await;
                    });
                }
                Effect::SipClose => self.close_sip(),
                Effect::Event(event) => self.event(&event),
                Effect::EventTo(face, event) => self.line(face, to_line(&event)),
                Effect::Reply { asker, result } => {
                    let reply = match result {
                        Ok(body) => Reply {
                            reply: asker.request,
                            error: None,
                            body: *body,
                        },
                        Err(problem) => Reply {
                            reply: asker.request,
                            error: Some(problem),
                            body: Default::default(),
                        },
                    };
                    self.line(asker.face, to_line(&reply));
                }
                Effect::Exit => self.ended = true,
            }
        }
    }

    fn sign_in(&mut self, output: Output) {
        match output {
            Output::Http { id, request } => {
                tracing::debug!(id, ?request, "http");
                let (net, sender) = (self.net.clone(), self.sender.clone());
                tokio::spawn(async move {
                    let tls = net.trust().web();
                    let answer = crate::net::exchange(&net, request, tls).await;
                    if let Err(fault) = &answer {
                        tracing::debug!(id, %fault, "http failed");
                    }
                    let _ = sender.send(Happened::Http { id, answer }).await;
                });
            }
            Output::Srv { id, name } => {
                let (net, sender) = (self.net.clone(), self.sender.clone());
                tokio::spawn(async move {
                    let answer = net.dns().srv(&name).await;
                    let _ = sender.send(Happened::Srv { id, answer }).await;
                });
            }
            Output::WatchCards => {
                let (cards, places) = (Arc::clone(&self.cards), self.places.clone());
                self.watch = Some(CardWatch::begin(cards, places, self.sender.clone()));
            }
            Output::StopWatching => self.watch = None,
            Output::CardExchange {
                card,
                pin,
                last_try,
                request,
            } => {
                let (net, cards) = (self.net.clone(), Arc::clone(&self.cards));
                let sender = self.sender.clone();
                tokio::spawn(async move {
                    let answer = tasks::card_exchange(net, cards, *card, pin, last_try, request);
                    let _ = sender.send(Happened::CardAnswer(answer.await)).await;
                });
            }
            Output::ChangePin {
                card,
                old,
                new,
                last_try,
            } => {
                let (cards, sender) = (Arc::clone(&self.cards), self.sender.clone());
                tokio::spawn(async move {
                    let result = tasks::change_pin(cards, *card, old, new, last_try).await;
                    let _ = sender.send(Happened::PinChanged(result)).await;
                });
            }
            // The core keeps these for itself.
            Output::Sip { .. } | Output::Show(_) | Output::Credential(_) | Output::Failed(_) => {}
        }
    }

    fn event(&mut self, event: &Event) {
        let line = to_line(event);
        let attached: Vec<u64> = self
            .faces
            .keys()
            .copied()
            .filter(|face| self.core.is_attached(*face))
            .collect();
        for face in attached {
            self.line(face, line.clone());
        }
    }

    fn line(&mut self, face: u64, line: String) {
        let full = self
            .faces
            .get(&face)
            .is_some_and(|lines| lines.try_send(line).is_err());
        if full {
            tracing::info!(face, "a face that does not read was dropped");
            self.drop_face(face);
        }
    }

    fn drop_face(&mut self, face: u64) {
        self.faces.remove(&face);
        self.core.face_gone(Now::from_system(), face);
    }

    fn close_sip(&mut self) {
        if let Some((task, bytes)) = self.sip.take() {
            // Dropping the queue lets what is in it go out; a peer that takes nothing is not waited for.
            drop(bytes);
            let end = task.abort_handle();
            tokio::spawn(async move {
                let limit = Duration::from_secs(tasks::CLOSE_SECS_MAX + 1);
                if timeout(limit, task).await.is_err() {
                    end.abort();
                }
            });
        }
    }

    async fn farewell(&mut self) {
        self.watch = None;
        let sip = self.sip.take().map(|(task, bytes)| {
            drop(bytes);
            task
        });
        // Faces see their last line before the socket goes.
        self.faces.clear();
        let limit = Duration::from_millis(FAREWELL_MS_MAX);
        let _ = timeout(limit, async {
            if let Some(task) = sip {
                let _ = task.await;
            }
            tokio::time::sleep(limit / 5).await;
        })
        .await;
    }
}

async fn received(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            let _ = signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
