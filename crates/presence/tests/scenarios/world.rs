// SPDX-License-Identifier: MIT OR Apache-2.0
//! A node with people, driven by SIP texts in the shape that independent clients send.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanyard_presence::{
    ConnectionId, Effect, Effects, Hub, HubConfig, MemoryRosterStore, Now, People, PersonCard,
    PersonUri, Registration, RosterError, RosterStore, Token,
};
use lanyard_sip::{Headers, InstanceId, Message, Name};
use time::macros::datetime;

pub fn uri(text: &str) -> PersonUri {
    PersonUri::parse(text).expect("address")
}

thread_local! {
    /// What the directory says that Bob is; a test may promote him.
    pub static BOBS_TITLE: std::cell::RefCell<String> =
        std::cell::RefCell::new("Engineer".to_owned());
}

/// Alice, Bob, Carol, Dave with all fields, and whoever else is asked for as `pNNN@contoso.test`.
pub struct Directory;

impl People for Directory {
    fn person(&self, uri: &PersonUri) -> Option<PersonCard> {
        let name = match uri.user() {
            "alice" => "Alice Liddell",
            "bob" => "Bob \"the\" Builder, Sr.",
            "carol" => "Carol Ünal",
            "disabled" => "Gone",
            user if user.starts_with('p') && user[1..].parse::<u32>().is_ok() => user,
            _ => return None,
        };
        let mut card = PersonCard::new(uri.clone(), name);
        card.enabled = uri.user() != "disabled";
        if uri.user() == "bob" {
            card.title = BOBS_TITLE.with_borrow(Clone::clone);
            card.email = "robert@mail.contoso.test".to_owned();
            card.phone = "+49 30 123-45".to_owned();
        }
        (uri.domain() == "contoso.test").then_some(card)
    }

    fn search(&self, text: &str, limit: usize) -> Vec<PersonCard> {
        ["alice", "bob", "carol"]
            .into_iter()
            .filter_map(|user| self.person(&uri(&format!("{user}@contoso.test"))))
            .filter(|card| {
                card.display_name
                    .to_lowercase()
                    .contains(&text.to_lowercase())
            })
            .take(limit)
            .collect()
    }
}

pub struct World {
    pub hub: Hub,
    pub store: MemoryRosterStore,
    pub now: Now,
    pub inbox: BTreeMap<ConnectionId, Vec<Message>>,
    pub closed: Vec<ConnectionId>,
    /// Writes fail with this.
    pub store_fails: Option<RosterError>,
    /// Writes are not carried out until [`World::release`].
    pub hold: bool,
    pub held: Vec<(Token, lanyard_presence::RosterChange)>,
    next_connection: u64,
    next_call: u64,
}

pub struct Client {
    pub connection: ConnectionId,
    pub user: &'static str,
    pub epid: String,
    pub cseq: std::cell::Cell<u32>,
}

impl World {
    pub fn new() -> Self {
        let now = Now {
            instant: Instant::now(),
            utc: datetime!(2026-11-22 13:17:19 UTC),
        };
        let config = HubConfig::new("lync.contoso.test", "contoso.test", [7, 9]);
        Self {
            hub: Hub::new(config, Box::new(Directory), now),
            store: MemoryRosterStore::default(),
            now,
            inbox: BTreeMap::new(),
            closed: Vec::new(),
            store_fails: None,
            hold: false,
            held: Vec::new(),
            next_connection: 0,
            next_call: 0,
        }
    }

    pub fn run(&mut self, effects: Effects) {
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    let message = Message::parse(message.to_bytes()).expect("well-formed");
                    // A refusal repeats the fields that it refuses.
                    if message.status() != Some(400) {
                        message.envelope().expect("whole");
                    }
                    self.inbox.entry(to).or_default().push(message);
                }
                Effect::Close { connection } => self.closed.push(connection),
                Effect::Load { person } => {
                    let roster = self.store.load(&person);
                    let more = self.hub.loaded(self.now, &person, roster);
                    self.run(more);
                }
                Effect::Persist { token, change } => {
                    if self.hold {
                        self.held.push((token, change));
                        continue;
                    }
                    let outcome = match self.store_fails {
                        Some(error) => Err(error),
                        None => self.store.apply(&change),
                    };
                    let more = self.hub.persisted(self.now, token, outcome);
                    self.run(more);
                }
            }
        }
    }

    pub fn release(&mut self) {
        self.hold = false;
        for (token, change) in std::mem::take(&mut self.held) {
            let outcome = self.store.apply(&change);
            let more = self.hub.persisted(self.now, token, outcome);
            self.run(more);
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.utc += time;
        let effects = self.hub.tick(self.now);
        self.run(effects);
    }

    pub fn send(&mut self, client: &Client, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let message = Message::parse(text.into_bytes()).expect("request");
        let effects = self.hub.handle(self.now, client.connection, &message);
        self.run(effects);
    }

    pub fn take(&mut self, client: &Client) -> Vec<Message> {
        self.inbox.remove(&client.connection).unwrap_or_default()
    }

    /// The only message that came.
    pub fn take_one(&mut self, client: &Client) -> Message {
        let mut all = self.take(client);
        assert_eq!(
            all.len(),
            1,
            "{:?}",
            all.iter().map(Message::start).collect::<Vec<_>>()
        );
        all.remove(0)
    }

    pub fn call_id(&mut self) -> String {
        self.next_call += 1;
        format!("call{}", self.next_call)
    }

    pub fn connect(&mut self, user: &'static str, epid: &str) -> Client {
        self.next_connection += 1;
        Client {
            connection: ConnectionId(self.next_connection),
            user,
            epid: epid.to_owned(),
            cseq: std::cell::Cell::new(1),
        }
    }

    pub fn register(&mut self, client: &Client, extra: &str) -> Message {
        let text = client.register_text(extra);
        let message = Message::parse(text.into_bytes()).expect("request");
        let registration = Registration {
            connection: client.connection,
            person: client.person(),
        };
        let effects = self.hub.register(self.now, &registration, &message);
        self.run(effects);
        self.take(client).pop().expect("answer")
    }

    /// A registered client.
    pub fn sign_in(&mut self, user: &'static str, epid: &str) -> Client {
        let client = self.connect(user, epid);
        let answer = self.register(&client, "");
        assert_eq!(answer.status(), Some(200), "{:?}", text(&answer));
        client
    }

    /// A registered client that has told that it is there.
    pub fn online(&mut self, user: &'static str, epid: &str) -> Client {
        let client = self.sign_in(user, epid);
        self.publish_machine(&client, 0, 3_500);
        self.take(&client);
        client
    }

    pub fn lose(&mut self, client: &Client) {
        let effects = self.hub.connection_lost(self.now, client.connection);
        self.run(effects);
    }

    /// A subscription of own data; gives the answer.
    pub fn subscribe_own(&mut self, client: &Client, event: &str, body: (&str, &str)) -> Message {
        let own = client.sip();
        let call = self.call_id();
        let text = client.request(
            "SUBSCRIBE",
            &own,
            &own,
            &call,
            &format!(
                "Event: {event}\nAccept: application/x\nSupported: com.microsoft.autoextend\n\
                 Supported: ms-benotify\nProxy-Require: ms-benotify\n\
                 Supported: ms-piggyback-first-notify\nContact: <{}>\n",
                client.gruu()
            ),
            body,
        );
        self.send(client, &text);
        self.take(client)
            .into_iter()
            .find(|m| m.status().is_some())
            .expect("answer")
    }

    /// A batched subscription to presence; gives the answer.
    pub fn watch(&mut self, client: &Client, people: &[&str]) -> Message {
        let resources: String = people
            .iter()
            .map(|p| format!("<resource uri=\"sip:{p}\"/>"))
            .collect();
        self.watch_resources(client, &resources)
    }

    pub fn watch_resources(&mut self, client: &Client, resources: &str) -> Message {
        let body = format!(
            "<batchSub xmlns=\"http://schemas.microsoft.com/2006/01/sip/batch-subscribe\" \
             uri=\"{}\" name=\"\"><action name=\"subscribe\" id=\"63792024\"><adhocList>{resources}\
             </adhocList><categoryList xmlns=\"http://schemas.microsoft.com/2006/09/sip/categorylist\">\
             <category name=\"calendarData\"/><category name=\"contactCard\"/>\
             <category name=\"note\"/><category name=\"state\"/></categoryList></action></batchSub>",
            client.sip()
        );
        let own = client.sip();
        let call = self.call_id();
        let text = client.request(
            "SUBSCRIBE",
            &own,
            &own,
            &call,
            &format!(
                "Event: presence\nRequire: adhoclist, categoryList\nSupported: eventlist\n\
                 Accept: application/msrtc-event-categories+xml\nSupported: ms-benotify\n\
                 Supported: ms-piggyback-first-notify\nContact: <{}>\n",
                client.gruu()
            ),
            ("application/msrtc-adrl-categorylist+xml", &body),
        );
        self.send(client, &text);
        let all = self.take(client);
        let (mut answers, more): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|m| m.status().is_some());
        // A long list goes on in notifications.
        let more: Vec<Message> = more
            .into_iter()
            .filter(|m| m.call_id() == Some(&*call))
            .collect();
        if !more.is_empty() {
            self.inbox.insert(client.connection, more);
        }
        answers.pop().expect("answer")
    }

    pub fn service(&mut self, client: &Client, kind: &str, body: &str) -> Message {
        let own = client.sip();
        self.service_to(client, &own, kind, body)
    }

    pub fn service_to(&mut self, client: &Client, to: &str, kind: &str, body: &str) -> Message {
        let call = self.call_id();
        let text = client.request("SERVICE", to, to, &call, "", (kind, body));
        self.send(client, &text);
        let all = self.take(client);
        let (mut answers, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|m| m.call_id() == Some(&*call));
        if !others.is_empty() {
            self.inbox.insert(client.connection, others);
        }
        answers.pop().expect("answer")
    }

    pub fn publish(&mut self, client: &Client, publications: &str) -> Message {
        let body = format!(
            "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\">\
             <publications uri=\"{}\">{publications}</publications></publish>",
            client.sip()
        );
        self.service(client, "application/msrtc-category-publish+xml", &body)
    }

    pub fn publish_machine(&mut self, client: &Client, version: u32, availability: u32) -> Message {
        let instance = u32::from_str_radix(&client.epid[..4], 16).unwrap_or(1) | 0x3000_0000;
        let items = [2, 3].map(|container| {
            publication(
                "state",
                instance,
                container,
                version,
                "endpoint",
                &state("machineState", availability),
            )
        });
        self.publish(client, &items.concat())
    }

    pub fn publish_user(&mut self, client: &Client, version: u32, availability: u32) -> Message {
        let items = [2, 3].map(|container| {
            publication(
                "state",
                0x2000_0000,
                container,
                version,
                "static",
                &state("userState", availability),
            )
        });
        self.publish(client, &items.concat())
    }

    /// Puts somebody into a container.
    pub fn member(&mut self, client: &Client, change: &str) -> Message {
        let body = format!(
            "<setContainerMembers xmlns=\"http://schemas.microsoft.com/2006/09/sip/container-management\">\
             {change}</setContainerMembers>"
        );
        self.service(client, "application/msrtc-setcontainermembers+xml", &body)
    }

    pub fn soap(&mut self, client: &Client, call: &str) -> Message {
        let body = soap(call);
        self.service(client, "application/SOAP+xml", &body)
    }
}

pub fn soap(call: &str) -> String {
    format!(
        "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <SOAP-ENV:Body>{call}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
}

pub fn set_contact(who: &str, name: &str, groups: &str, delta: u32) -> String {
    format!(
        "<m:setContact xmlns:m=\"http://schemas.microsoft.com/winrtc/2002/11/sip\">\
         <m:displayName>{name}</m:displayName><m:groups>{groups}</m:groups>\
         <m:subscribed>true</m:subscribed><m:URI>sip:{who}</m:URI><m:externalURI/>\
         <m:deltaNum>{delta}</m:deltaNum></m:setContact>"
    )
}

pub fn publication(
    category: &str,
    instance: u32,
    container: u32,
    version: u32,
    expire: &str,
    content: &str,
) -> String {
    format!(
        "<publication categoryName=\"{category}\" instance=\"{instance}\" container=\"{container}\" \
         version=\"{version}\" expireType=\"{expire}\">{content}</publication>"
    )
}

pub fn state(kind: &str, availability: u32) -> String {
    format!(
        "<state xmlns=\"http://schemas.microsoft.com/2006/09/sip/state\" manual=\"false\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\">\
         <availability>{availability}</availability></state>"
    )
}

pub fn note(text: &str) -> String {
    format!(
        "<note xmlns=\"http://schemas.microsoft.com/2006/09/sip/note\"><body type=\"personal\" \
         uri=\"\">{text}</body></note>"
    )
}

pub fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.bytes()).replace("\r\n", "\n")
}

impl Client {
    pub fn person(&self) -> PersonUri {
        uri(&format!("{}@contoso.test", self.user))
    }

    pub fn sip(&self) -> String {
        format!("sip:{}@contoso.test", self.user)
    }

    pub fn gruu(&self) -> String {
        lanyard_sip::gruu(self.person().address(), InstanceId::of_epid(&self.epid))
    }

    pub fn number(&self) -> u32 {
        self.cseq.set(self.cseq.get() + 1);
        self.cseq.get()
    }

    pub fn contact(&self) -> String {
        format!(
            "sip:127.0.0.1:{};transport=tls;ms-opaque=d3",
            50_000 + self.connection.0
        )
    }

    pub fn register_text(&self, extra: &str) -> String {
        let (sip, epid, number) = (self.sip(), &self.epid, self.number());
        let instance = InstanceId::of_epid(epid).to_contact_value();
        format!(
            "REGISTER sip:contoso.test SIP/2.0\r\nVia: SIP/2.0/tls 127.0.0.1:5;branch=z9hG4bKA8\r\n\
             From: <{sip}>;tag={number};epid={epid}\r\nTo: <{sip}>\r\nMax-Forwards: 70\r\n\
             CSeq: {number} REGISTER\r\nUser-Agent: Purple/2.14.12 Sipe/1.25.0 (linux-x86_64)\r\n\
             Call-ID: reg{epid}\r\nContact: <{}>;methods=\"INVITE, MESSAGE, INFO\";proxy=replace;\
             +sip.instance=\"{instance}\"\r\nEvent: registration\r\n{extra}Content-Length: 0\r\n\r\n",
            self.contact()
        )
    }

    /// A request without branch in Via, as independent clients send it.
    pub fn request(
        &self,
        method: &str,
        uri: &str,
        to: &str,
        call: &str,
        extra: &str,
        body: (&str, &str),
    ) -> String {
        let tag = format!("from{}", self.connection.0);
        self.request_in(method, uri, to, (call, &tag), self.number(), extra, body)
    }

    #[allow(clippy::too_many_arguments)]
    pub fn request_in(
        &self,
        method: &str,
        uri: &str,
        to: &str,
        (call, tag): (&str, &str),
        number: u32,
        extra: &str,
        (kind, body): (&str, &str),
    ) -> String {
        let to = if to.starts_with('<') {
            to.to_owned()
        } else {
            format!("<{to}>")
        };
        let kind = if kind.is_empty() {
            String::new()
        } else {
            format!("Content-Type: {kind}\n")
        };
        let head = format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/tls 127.0.0.1:5\n\
             From: <{}>;tag={tag};epid={}\nTo: {to}\nMax-Forwards: 70\nCSeq: {number} {method}\n\
             User-Agent: Sipe\nCall-ID: {call}\n{extra}Authorization: TLS-DSK qop=\"auth\"\n\
             {kind}Content-Length: {}\n\n",
            self.sip(),
            self.epid,
            body.len()
        );
        format!("{}{body}", head)
    }

    /// An answer to a request of the server.
    pub fn answer(&self, request: &Message, code: u16, extra: &str, body: (&str, &str)) -> String {
        let get = |name| request.header(name).unwrap_or_default().to_owned();
        let mut to = get(Name::To);
        if !to.contains("tag=") {
            to.push_str(&format!(";tag=to{}", self.connection.0));
        }
        let kind = if body.0.is_empty() {
            String::new()
        } else {
            format!("Content-Type: {}\n", body.0)
        };
        format!(
            "SIP/2.0 {code} Whatever\nVia: {}\nFrom: {}\nTo: {to};epid={}\nCall-ID: {}\nCSeq: {}\n\
             {extra}Authorization: TLS-DSK x=\"y\"\n{kind}Content-Length: {}\n\n{}",
            get(Name::Via),
            get(Name::From),
            self.epid,
            get(Name::CallId),
            get(Name::CSeq),
            body.1.len(),
            body.1
        )
    }
}
