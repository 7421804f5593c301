// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions to the address book: what is asked in which order, what is asked again, and what never is.

use lanyard_presence::xml::provisioning::AddressBook;
use lanyard_soap::addressbook::{Entry, PhotoReference, SearchRequest, SearchResponse};
use lanyard_soap::mex::{AddressBookMex, WebTicketMex};
use lanyard_soap::ticket::{Audience, Grant, TicketId, TicketKey, TicketKeyRing, TicketSource};
use lanyard_soap::trust::{TicketRequest, TicketResponse};

use super::*;
use crate::net::HttpAnswer;
use crate::people::PersonView;

const HOST: &str = "https://lync.contoso.test";
const PICTURE: &[u8] = b"\xFF\xD8\xFF\xE0 a picture";

/// A server of the address book, as far as the client sees it.
struct Book {
    ring: TicketKeyRing,
    /// Requests so far: the last part of their path, and whether the chat certificate was shown.
    asked: Vec<(String, bool)>,
    /// Searches are refused so often with 401.
    refuse: usize,
    /// Where the tickets come from, as the description says.
    issuer: String,
}

impl Book {
    fn new() -> Self {
        Self {
            ring: TicketKeyRing::new(TicketKey::random().unwrap()),
            asked: Vec::new(),
            refuse: 0,
            issuer: format!("{HOST}/WebTicket/WebTicketService.svc"),
        }
    }

    fn answer(&mut self, request: &super::super::DirectoryRequest) -> HttpAnswer {
        let url = request.request.url.clone();
        let with_certificate = request.credential.is_some();
        let path = url.trim_start_matches(HOST).to_owned();
        self.asked.push((path.clone(), with_certificate));
        let ok = |body: String| HttpAnswer {
            status: 200,
            headers: Vec::new(),
            body,
            raw: bytes::Bytes::new(),
        };
        match path.as_str() {
            "/GroupExpansion/Service.svc/mex" => ok(AddressBookMex {
                issuer: self.issuer.clone(),
                endpoint: format!("{HOST}/GroupExpansion/Service.svc/Bearer"),
            }
            .to_xml()),
            "/WebTicket/WebTicketService.svc/mex" => ok(WebTicketMex {
                certificate: Some(format!("{HOST}:49443/Cert")),
                ..WebTicketMex::default()
            }
            .to_xml()),
            ":49443/Cert" => {
                let wanted = TicketRequest::parse(&request.request.body).unwrap();
                let grant = Grant {
                    account: "S-1-5-21-1-2-3-1000".parse().unwrap(),
                    address: lanyard_soap::Address::parse("alice@contoso.test").unwrap(),
                    audience: Audience::from_url(&wanted.applies_to).unwrap(),
                    source: TicketSource::Password {
                        epoch: lanyard_soap::ticket::CredentialEpoch([7; 16]),
                    },
                    lifetime: Duration::minutes(5),
                };
                let id = TicketId([u8::try_from(self.asked.len()).unwrap(); 16]);
                let now = OffsetDateTime::now_utc();
                let issuer = self.ring.issuer();
                let ticket = issuer.web_ticket(&grant, None, HOST, id, now).unwrap();
                ok(TicketResponse::new(&wanted, &ticket, None).to_xml())
            }
            "/GroupExpansion/Service.svc/Bearer" if self.refuse > 0 => {
                self.refuse -= 1;
                HttpAnswer {
                    status: 401,
                    ..ok(String::new())
                }
            }
            "/GroupExpansion/Service.svc/Bearer" => {
                SearchRequest::parse(&request.request.body).expect("a search with a ticket");
                ok(SearchResponse {
                    entries: vec![zoe()],
                    more: false,
                }
                .to_xml(&[]))
            }
            "/abs/photos/0123456789.jpg" => HttpAnswer {
                raw: PICTURE.into(),
                ..ok(String::new())
            },
            other => panic!("nobody asks for {other}"),
        }
    }
}

fn zoe() -> Entry {
    Entry {
        sip_uri: "sip:zoe@contoso.test".into(),
        display_name: "Zoë".into(),
        title: "Head".into(),
        photo: Some(PhotoReference {
            path: "photos/0123456789.jpg".into(),
            hash: "0123456789".into(),
        }),
        ..Entry::default()
    }
}

fn signed_in(dir: &Path) -> World {
    let mut world = World::signed_in(dir, Duration::hours(12));
    let session = world.core.session.as_mut().unwrap();
    session.set_address_book(AddressBook {
        query: format!("{HOST}/GroupExpansion/Service.svc"),
        files: format!("{HOST}/abs"),
    });
    world.settle();
    world
}

/// Asks, and lets the server answer until there is a reply.
fn ask(world: &mut World, book: &mut Book, intent: Intent) -> Result<Box<ReplyBody>, Problem> {
    world.core.intent(world.now, TERMINAL, intent);
    loop {
        let mut moved = false;
        for effect in world.settle() {
            match effect {
                Effect::Directory(request) => {
                    let answer = book.answer(&request);
                    world
                        .core
                        .directory_input(world.now, request.id, Ok(answer));
                    moved = true;
                }
                Effect::Reply { result, .. } => return result,
                _ => {}
            }
        }
        assert!(moved, "nothing happens any more");
    }
}

fn find() -> Intent {
    Intent::Find {
        words: "zoe".into(),
        limit: None,
    }
}

fn steps(book: &Book) -> Vec<&str> {
    book.asked.iter().map(|(path, _)| path.as_str()).collect()
}

const ALL_STEPS: [&str; 4] = [
    "/GroupExpansion/Service.svc/mex",
    "/WebTicket/WebTicketService.svc/mex",
    ":49443/Cert",
    "/GroupExpansion/Service.svc/Bearer",
];

#[test]
fn what_was_learned_serves_the_next_question_and_the_certificate_is_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut book) = (signed_in(dir.path()), Book::new());
    let found = ask(&mut world, &mut book, find()).unwrap();
    let people: Vec<PersonView> = found.people.unwrap();
    assert_eq!(
        (people[0].name.as_str(), people[0].title.as_str()),
        ("Zoë", "Head")
    );
    assert_eq!(steps(&book), ALL_STEPS);
    let shown: Vec<bool> = book.asked.iter().map(|(_, shown)| *shown).collect();
    assert_eq!(shown, [false, false, true, false]);
    ask(&mut world, &mut book, find()).unwrap();
    assert_eq!(book.asked.len(), 5, "only the search itself");
}

#[test]
fn a_ticket_that_is_void_is_replaced_once_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut book) = (signed_in(dir.path()), Book::new());
    ask(&mut world, &mut book, find()).unwrap();
    book.asked.clear();
    book.refuse = 1;
    ask(&mut world, &mut book, find()).unwrap();
    assert_eq!(steps(&book), [ALL_STEPS[3], ALL_STEPS[2], ALL_STEPS[3]]);
    book.refuse = 2;
    assert!(ask(&mut world, &mut book, find()).is_err());
    assert!(
        ask(&mut world, &mut book, find()).is_ok(),
        "the next one is not harmed"
    );
}

#[test]
fn no_ticket_and_no_certificate_goes_to_a_foreign_domain() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut book) = (signed_in(dir.path()), Book::new());
    book.issuer = "https://contoso.test.evil.test/WebTicket".into();
    let refused = ask(&mut world, &mut book, find()).unwrap_err();
    assert!(refused.is(Fault::DiscoveryForeignDomain), "{refused}");
    assert_eq!(steps(&book), ALL_STEPS[..1]);
    for query in ["https://evil.test/x", "http://lync.contoso.test/x"] {
        let session = world.core.session.as_mut().unwrap();
        session.set_address_book(AddressBook {
            query: query.into(),
            files: query.into(),
        });
        assert!(ask(&mut world, &mut book, find()).is_err());
    }
    assert_eq!(book.asked.len(), 1);
}

#[test]
fn a_photo_is_fetched_once_and_kept_with_the_account() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut book) = (signed_in(dir.path()), Book::new());
    let wish = Intent::Photo {
        address: "zoe@contoso.test".parse().unwrap(),
    };
    let photo = ask(&mut world, &mut book, wish.clone())
        .unwrap()
        .photo
        .unwrap();
    assert_eq!(photo.media_type, "image/jpeg");
    let fetched = |book: &Book| steps(book).iter().filter(|s| s.ends_with(".jpg")).count();
    assert_eq!(fetched(&book), 1);
    assert_eq!(ask(&mut world, &mut book, wish).unwrap().photo, Some(photo));
    assert_eq!(fetched(&book), 1);
    let alice = "alice@contoso.test".parse().unwrap();
    let places = world.core.places.clone();
    let files = crate::files::AccountFiles::new(&places, &Profile::default(), &alice);
    assert_eq!(files.photo("0123456789").as_deref(), Some(PICTURE));
    let done = crate::files::forget(&places, &Profile::default(), &alice);
    assert!(
        done.removed
            .iter()
            .any(|line| line.starts_with("photos of people"))
    );
    assert_eq!(files.photo("0123456789"), None);
}

#[test]
fn without_words_or_an_address_book_nothing_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut book) = (signed_in(dir.path()), Book::new());
    for words in ["", " ", "%", "***"] {
        let words = words.to_owned();
        let refused = ask(&mut world, &mut book, Intent::Find { words, limit: None });
        assert!(refused.unwrap_err().is(Fault::SearchEmpty));
    }
    let mut world = World::signed_in(dir.path(), Duration::hours(12));
    world.settle();
    let refused = ask(&mut world, &mut book, find()).unwrap_err();
    assert!(refused.is(Fault::DirectoryNotOffered), "{refused}");
    assert!(book.asked.is_empty());
}

#[test]
fn the_end_of_a_session_answers_who_still_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = signed_in(dir.path());
    world.core.intent(world.now, TERMINAL, find());
    let asked = world.settle();
    let Some(Effect::Directory(request)) = asked.first() else {
        panic!("{asked:?}");
    };
    world.core.end_session(world.now, None);
    let said = world.settle();
    let is_refusal = |effect: &Effect| matches!(effect, Effect::Reply { result: Err(_), .. });
    assert!(said.iter().any(is_refusal), "{said:?}");
    // An answer that comes afterwards changes nothing.
    let late = Book::new().answer(request);
    world.core.directory_input(world.now, request.id, Ok(late));
    assert!(world.settle().is_empty());
}
