// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever clients do, in whatever order: nothing fails badly, memory says what the store says, the
//! blocked see nothing, and nothing is left behind.

use std::time::Duration;

use lanyard_presence::limits::COALESCE;
use lanyard_presence::xml::rlmi::PresenceUpdate;
use lanyard_presence::{Availability, RosterStore};
use lanyard_sip::{Headers, Message, Name};

use crate::world::{Client, World, note, publication, set_contact, soap, state, uri};

const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// A small generator of numbers, so that a seed gives the same run again.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let sides = u64::try_from(list.len()).expect("small");
        list[usize::try_from(self.throw(sides)).expect("small")]
    }
}

fn step(
    world: &mut World,
    dice: &mut Dice,
    clients: &mut Vec<Client>,
    heard: &mut Vec<(usize, Message)>,
) {
    if clients.is_empty() || (clients.len() < 8 && dice.throw(12) == 0) {
        let epid = format!("{:08x}", dice.throw(4) + 1);
        let client = world.connect(dice.pick(&USERS), &epid);
        world.register(&client, "");
        clients.push(client);
    }
    let at =
        usize::try_from(dice.throw(u64::try_from(clients.len()).expect("small"))).expect("small");
    let client = &clients[at];
    let (own, call) = (client.sip(), world.call_id());
    let other = format!("sip:{}@contoso.test", dice.pick(&USERS));
    let version = u32::try_from(dice.throw(4)).expect("small");
    let request = match dice.throw(14) {
        0 => {
            let lost = clients.remove(at);
            world.lose(&lost);
            world.inbox.remove(&lost.connection);
            heard.retain(|(of, _)| *of != at);
            for (of, _) in heard.iter_mut().filter(|(of, _)| *of > at) {
                *of -= 1;
            }
            return;
        }
        1 => {
            world.pass(Duration::from_millis(dice.throw(40_000)));
            return;
        }
        2 => {
            world.hub.congested(client.connection);
            return;
        }
        3 => {
            let effects = world.hub.drained(world.now, client.connection);
            world.run(effects);
            return;
        }
        4 => {
            let item = publication(
                "state",
                version,
                2,
                version,
                dice.pick(&["endpoint", "static", "user", "time"]),
                &state(
                    dice.pick(&["userState", "machineState"]),
                    dice.pick(&[3_500, 6_500, 18_500]),
                ),
            );
            service(
                client,
                &call,
                "application/msrtc-category-publish+xml",
                &published(&own, &item),
            )
        }
        5 => {
            let item = publication("note", 0, 200, version, "static", &note("x"));
            service(
                client,
                &call,
                "application/msrtc-category-publish+xml",
                &published(&own, &item),
            )
        }
        6 => {
            let roster = world.store.load(&client.person()).expect("roster");
            let delta = roster.delta.saturating_sub(u32::from(dice.throw(3) == 0));
            let body = soap(&set_contact(
                other.trim_start_matches("sip:"),
                "n",
                "1",
                delta,
            ));
            service(client, &call, "application/SOAP+xml", &body)
        }
        7 => {
            let roster = world.store.load(&client.person()).expect("roster");
            let action = dice.pick(&["add", "remove"]);
            let body = format!(
                "<setContainerMembers xmlns=\"http://schemas.microsoft.com/2006/09/sip/container-management\">\
                 <container id=\"32000\" version=\"{}\"><member action=\"{action}\" type=\"user\" value=\"{}\"/>\
                 </container></setContainerMembers>",
                roster.containers[&32_000].version,
                other.trim_start_matches("sip:")
            );
            service(
                client,
                &call,
                "application/msrtc-setcontainermembers+xml",
                &body,
            )
        }
        8 => {
            let event = dice.pick(&[
                "vnd-microsoft-roaming-self",
                "vnd-microsoft-roaming-contacts",
                "presence.wpending",
            ]);
            let extra = format!(
                "Event: {event}\nSupported: ms-benotify\nSupported: ms-piggyback-first-notify\n"
            );
            client.request("SUBSCRIBE", &own, &own, &call, &extra, ("", ""))
        }
        9 => client.request(
            "SUBSCRIBE",
            &other,
            &other,
            &call,
            dice.pick(&[
                "Event: presence\n",
                "Event: presence\nSupported: ms-benotify\n",
                "Event: presence\nExpires: 0\n",
            ]),
            ("", ""),
        ),
        10 => client.request(
            "INVITE",
            &other,
            &other,
            &call,
            "",
            ("application/sdp", "v=0\n"),
        ),
        11 => {
            world.register(
                client,
                dice.pick(&["", "Expires: 0\r\n", "Expires: 60\r\n"]),
            );
            return;
        }
        12 => {
            world.store_fails = (world.store_fails.is_none() && dice.throw(4) == 0)
                .then_some(lanyard_presence::RosterError::Busy);
            return;
        }
        _ => {
            // Answer something that was heard, in any way, also twice.
            let mine: Vec<&Message> = heard
                .iter()
                .filter(|(of, _)| *of == at)
                .map(|(_, m)| m)
                .collect();
            if mine.is_empty() {
                return;
            }
            let request = dice.pick(&mine);
            client.answer(
                request,
                dice.pick(&[180, 200, 200, 200, 302, 401, 480, 486, 603]),
                "",
                ("", ""),
            )
        }
    };
    world.send(client, &request);
    if dice.throw(6) == 0 {
        // The same again with one byte changed: whatever can be read is handled.
        let mut bytes = request.replace('\n', "\r\n").into_bytes();
        let at =
            usize::try_from(dice.throw(u64::try_from(bytes.len()).expect("small"))).expect("small");
        bytes[at] = u8::try_from(dice.throw(256)).expect("a byte");
        if let Ok(message) = Message::parse(bytes) {
            let effects = world.hub.handle(world.now, client.connection, &message);
            world.run(effects);
        }
    }
}

fn service(client: &Client, call: &str, kind: &str, body: &str) -> String {
    client.request(
        "SERVICE",
        &client.sip(),
        &client.sip(),
        call,
        "",
        (kind, body),
    )
}

fn published(own: &str, item: &str) -> String {
    format!(
        "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\">\
         <publications uri=\"{own}\">{item}</publications></publish>"
    )
}

/// Nobody hears of somebody who has blocked them, except that they look offline.
fn check_blocked(world: &World, client: &Client, message: &Message) {
    let Some(media) = message.content_type() else {
        return;
    };
    let Ok(update) = PresenceUpdate::parse(&media, message.body()) else {
        return;
    };
    for document in update.documents {
        let owner = world.store.load(&document.uri).expect("roster");
        let blocked = owner.containers[&32_000]
            .members
            .iter()
            .any(|m| m.value == client.person().address());
        if blocked && document.uri != client.person() {
            assert_eq!(
                document.availability().unwrap_or(Availability::Offline),
                Availability::Offline
            );
            assert_eq!(document.note().unwrap_or_default().text, "");
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new();
    let mut dice = Dice(seed);
    let mut clients: Vec<Client> = Vec::new();
    let mut heard: Vec<(usize, Message)> = Vec::new();
    for _ in 0..400 {
        step(&mut world, &mut dice, &mut clients, &mut heard);
        for (at, client) in clients.iter().enumerate() {
            for message in world.take(client) {
                check_blocked(&world, client, &message);
                if message.status().is_none() && message.header(Name::CSeq).is_some() {
                    heard.push((at, message));
                }
            }
        }
        if heard.len() > 50 {
            heard.drain(..25);
        }
        for user in USERS {
            let person = uri(&format!("{user}@contoso.test"));
            let stored = world.store.load(&person).expect("roster");
            if let Some(memory) = world.hub.roster(&person) {
                assert_eq!(
                    (memory.delta, &memory.contacts),
                    (stored.delta, &stored.contacts)
                );
                assert_eq!(memory.containers, stored.containers);
            }
        }
    }
    for client in &clients {
        world.lose(client);
    }
    // Grace times, rings and the memory of them are over.
    for _ in 0..10 {
        world.pass(Duration::from_secs(60) + COALESCE);
    }
    assert_eq!(world.hub.remembered(), [0; 6], "seed {seed}");
}

#[test]
fn nothing_fails_badly_and_nothing_is_left_behind() {
    for seed in 0..40 {
        run(seed);
    }
}
