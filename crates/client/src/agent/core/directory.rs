// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking the address book: its description, a ticket for the chat certificate, the search, a photograph.
//!
//! One question at a time; what was learned serves the next one. Nobody is asked for a PIN: the chat certificate that
//! the card earned is enough, as long as the session stands.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_fault::Fault;
use lanyard_soap::CONTENT_TYPE_SOAP;
use lanyard_soap::addressbook::{
    ACTION_SEARCH, Attribute, Entry, RESULTS_MAX, SearchRequest, SearchResponse, Term,
    VALUE_CHARS_MAX,
};
use lanyard_soap::autodiscover::web_ticket_header;
use lanyard_soap::mex::{AddressBookMex, WebTicketMex};
use lanyard_soap::names::ACTION_ISSUE;
use lanyard_soap::trust::{TicketRequest, WebTicket};
use uuid::Uuid;

use super::{Asker, Core, Effect};
use crate::address::SignInAddress;
use crate::agent::protocol::ReplyBody;
use crate::net::{HttpAnswer, HttpRequest, NetFault, authority};
use crate::people::{PHOTO_BYTES_MAX, PersonView, PhotoView, is_hash, media_type};
use crate::problem::Problem;
use crate::session::{Credential, Now};
use crate::signin::{check_url, refusal};

/// Questions that may wait.
const JOBS_MAX: usize = 64;
/// People that are shown when the face names no number.
const FOUND_DEFAULT: usize = 20;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    /// People by words.
    Find { words: String, limit: usize },
    /// One person by address.
    Person { address: SignInAddress },
    /// A person's photograph; where it is, once that is known.
    Photo {
        address: SignInAddress,
        link: Option<(String, String)>,
    },
}

#[derive(Debug)]
struct Job {
    asker: Asker,
    wish: Wish,
    /// It was refused once with a ticket that seemed good.
    retried: bool,
}

#[derive(Debug)]
enum Waiting {
    Description,
    Issuer,
    Ticket,
    Answer,
}

/// What is known of the address book, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Desk {
    jobs: VecDeque<Job>,
    waiting: Option<(u64, Waiting)>,
    next: u64,
    host: String,
    issuer: Option<String>,
    endpoint: Option<String>,
    ticket_port: Option<String>,
    ticket: Option<WebTicket>,
}

/// A request for the driver; with the chat certificate, where one is given.
#[derive(Debug)]
pub(in crate::agent) struct DirectoryRequest {
    pub(in crate::agent) id: u64,
    pub(in crate::agent) request: HttpRequest,
    pub(in crate::agent) credential: Option<Arc<Credential>>,
}

impl Core {
    /// A face looks for people.
    pub(super) fn find(&mut self, now: Now, asker: Asker, words: &str, limit: Option<usize>) {
        let words: String = words.trim().chars().take(VALUE_CHARS_MAX).collect();
        if !words.chars().any(char::is_alphanumeric) {
            return self.reply(asker, Err(Fault::SearchEmpty.into()));
        }
        let limit = limit.unwrap_or(FOUND_DEFAULT).clamp(1, RESULTS_MAX);
        self.ask_directory(now, asker, Wish::Find { words, limit });
    }

    /// A face asks who somebody is: contacts are known, others are looked up.
    pub(super) fn person(&mut self, now: Now, asker: Asker, address: SignInAddress) {
        let known = self.session.as_ref().and_then(|session| {
            // Until the card has come, the directory knows more.
            session.person(&address).filter(|one| !one.email.is_empty())
        });
        match known {
            Some(person) => {
                let person = Some(person);
                let body = ReplyBody {
                    person,
                    ..ReplyBody::default()
                };
                self.reply(asker, Ok(body));
            }
            None => self.ask_directory(now, asker, Wish::Person { address }),
        }
    }

    /// A face wants to see somebody.
    pub(super) fn photo(&mut self, now: Now, asker: Asker, address: SignInAddress) {
        let link = self.session.as_ref().and_then(|one| one.photo_of(&address));
        let link = link.map(|link| (link.uri, link.hash));
        self.ask_directory(now, asker, Wish::Photo { address, link });
    }

    fn ask_directory(&mut self, now: Now, asker: Asker, wish: Wish) {
        if self.directory.jobs.len() >= JOBS_MAX {
            return self.reply(asker, Err(Fault::SearchTooOften.into()));
        }
        self.directory.jobs.push_back(Job {
            asker,
            wish,
            retried: false,
        });
        self.directory_step(now);
    }

    /// The session is over: nobody gets an answer any more, and nothing learned is kept.
    pub(super) fn directory_ended(&mut self, problem: &Problem) {
        let desk = std::mem::take(&mut self.directory);
        self.directory.next = desk.next;
        for job in desk.jobs {
            self.reply(job.asker, Err(problem.clone()));
        }
    }

    fn directory_step(&mut self, now: Now) {
        while self.directory.waiting.is_none() && !self.directory.jobs.is_empty() {
            if let Err(problem) = self.directory_next(now) {
                self.directory_failed(problem);
            }
        }
    }

    /// Sends what the first question needs next, or answers it.
    fn directory_next(&mut self, now: Now) -> Result<(), Problem> {
        let Some(wish) = self.directory.jobs.front().map(|job| job.wish.clone()) else {
            return Ok(());
        };
        if let Wish::Photo {
            link: Some((_, hash)),
            ..
        } = &wish
            && let Some(photo) = self.kept_photo(hash)
        {
            self.directory_answer(ReplyBody {
                photo: Some(photo),
                ..ReplyBody::default()
            });
            return Ok(());
        }
        let session = self.session.as_ref().ok_or(Fault::NoSession)?;
        let book = session
            .address_book()
            .cloned()
            .ok_or(Fault::DirectoryNotOffered)?;
        let Some(endpoint) = self.directory.endpoint.clone() else {
            let url = format!("{}/mex", book.query.trim_end_matches('/'));
            return self.directory_send(Waiting::Description, HttpRequest::get(url), None);
        };
        let Some(ticket_port) = self.directory.ticket_port.clone() else {
            let issuer = self.directory.issuer.clone().unwrap_or_default();
            let url = format!("{}/mex", issuer.trim_end_matches('/'));
            return self.directory_send(Waiting::Issuer, HttpRequest::get(url), None);
        };
        let ticket = self.directory.ticket.clone();
        let Some(ticket) = ticket.filter(|ticket| ticket.is_usable(now.wall)) else {
            let credential = session.credential().ok_or(Fault::NoSession)?;
            let request = TicketRequest {
                context: None,
                applies_to: endpoint,
                claimed_address: None,
                entropy: None,
            };
            let request = HttpRequest::post(ticket_port, CONTENT_TYPE_SOAP, request.to_xml())
                .header("soapaction", format!("\"{ACTION_ISSUE}\""));
            return self.directory_send(Waiting::Ticket, request, Some(credential));
        };
        let request = match wish {
            Wish::Find { words, limit } => {
                search(&endpoint, &SearchRequest::anywhere(&words, limit), &ticket)
            }
            Wish::Person { address }
            | Wish::Photo {
                address,
                link: None,
            } => {
                let by_address = SearchRequest {
                    terms: vec![Term {
                        on: Some(Attribute::SipAddress),
                        value: address.as_str().to_owned(),
                    }],
                    results_max: FOUND_DEFAULT,
                    wanted: Vec::new(),
                };
                search(&endpoint, &by_address, &ticket)
            }
            Wish::Photo {
                link: Some((url, _)),
                ..
            } => HttpRequest::get(url).header(
                HEADER_WEB_TICKET_NAME,
                web_ticket_header(ticket.assertion()),
            ),
        };
        self.directory_send(Waiting::Answer, request, None)
    }

    fn directory_send(
        &mut self,
        waiting: Waiting,
        request: HttpRequest,
        credential: Option<Arc<Credential>>,
    ) -> Result<(), Problem> {
        let address = self.view.address.as_ref().ok_or(Fault::NoSession)?;
        // Tickets go to the person's own organisation and nowhere else, whoever names the place.
        check_url(&request.url, address.domain(), &self.config.allowed_domains)?;
        let desk = &mut self.directory;
        desk.next = desk.next.wrapping_add(1);
        desk.host = authority(&request.url)
            .map(|(_, host, _)| host)
            .unwrap_or_default();
        desk.waiting = Some((desk.next, waiting));
        let id = desk.next;
        self.effects.push(Effect::Directory(DirectoryRequest {
            id,
            request,
            credential,
        }));
        Ok(())
    }

    /// An answer of the address book or of the ticket service.
    pub(in crate::agent) fn directory_input(
        &mut self,
        now: Now,
        id: u64,
        answer: Result<HttpAnswer, NetFault>,
    ) {
        if self
            .directory
            .waiting
            .as_ref()
            .is_none_or(|(known, _)| *known != id)
        {
            return;
        }
        let Some((_, waiting)) = self.directory.waiting.take() else {
            return;
        };
        if let Err(problem) = self.directory_answered(now, waiting, answer) {
            self.directory_failed(problem);
        }
        self.directory_step(now);
    }

    fn directory_answered(
        &mut self,
        now: Now,
        waiting: Waiting,
        answer: Result<HttpAnswer, NetFault>,
    ) -> Result<(), Problem> {
        let desk = &mut self.directory;
        let answer = answer.map_err(|fault| fault.problem(&desk.host))?;
        if answer.status != 200 {
            let job = desk.jobs.front_mut();
            let fresh = matches!(waiting, Waiting::Answer) && answer.status == 401;
            if let (true, Some(job)) = (fresh, job.filter(|job| !job.retried)) {
                // A restart of the server voids tickets: once more with a new one.
                job.retried = true;
                desk.ticket = None;
                return Ok(());
            }
            return Err(refusal(&answer, &desk.host));
        }
        let unavailable = || Problem::new(Fault::DirectoryUnavailable);
        match waiting {
            Waiting::Description => {
                let mex = AddressBookMex::parse(&answer.body).map_err(|_| unavailable())?;
                desk.endpoint = Some(mex.endpoint);
                desk.issuer = Some(mex.issuer);
            }
            Waiting::Issuer => {
                let mex = WebTicketMex::parse(&answer.body).map_err(|_| unavailable())?;
                let port = mex.certificate.ok_or(Fault::DirectoryNotOffered)?;
                desk.ticket_port = Some(port);
            }
            Waiting::Ticket => {
                let ticket =
                    WebTicket::from_response(&answer.body, None).map_err(|_| unavailable())?;
                if !ticket.is_usable(now.wall) {
                    return Err(Fault::ClockWrong.into());
                }
                desk.ticket = Some(ticket);
            }
            Waiting::Answer => self.directory_found(&answer)?,
        }
        Ok(())
    }

    fn directory_found(&mut self, answer: &HttpAnswer) -> Result<(), Problem> {
        let Some(wish) = self.directory.jobs.front().map(|job| job.wish.clone()) else {
            return Ok(());
        };
        if let Wish::Photo {
            link: Some((_, hash)),
            ..
        } = &wish
        {
            let photo = self.photo_came(hash, answer)?;
            self.directory_answer(ReplyBody {
                photo: Some(photo),
                ..ReplyBody::default()
            });
            return Ok(());
        }
        let found = SearchResponse::parse(&answer.body)
            .map_err(|_| Problem::new(Fault::DirectoryUnavailable))?;
        let Some(asked) = wish.address() else {
            let people = found.entries.iter().filter_map(|one| self.person_of(one));
            let body = ReplyBody {
                people: Some(people.collect()),
                more: Some(found.more),
                ..ReplyBody::default()
            };
            self.directory_answer(body);
            return Ok(());
        };
        let mut entries = found.entries.iter();
        let entry = entries.find(|one| address_of(one).as_ref() == Some(asked));
        let Some(entry) = entry else {
            let detail = format!("The address is {asked}.");
            return Err(Problem::new(Fault::PersonUnknown).with_detail(detail));
        };
        if matches!(wish, Wish::Person { .. }) {
            let body = ReplyBody {
                person: self.person_of(entry),
                ..ReplyBody::default()
            };
            self.directory_answer(body);
            return Ok(());
        }
        let photo = entry.photo.clone().ok_or(Fault::PhotoMissing)?;
        let session = self.session.as_ref().ok_or(Fault::NoSession)?;
        let book = session.address_book().ok_or(Fault::DirectoryNotOffered)?;
        let url = format!("{}/{}", book.files.trim_end_matches('/'), photo.path);
        if let Some(job) = self.directory.jobs.front_mut() {
            job.wish = Wish::Photo {
                address: asked.clone(),
                link: Some((url, photo.hash)),
            };
        }
        Ok(())
    }

    fn photo_came(&self, hash: &str, answer: &HttpAnswer) -> Result<PhotoView, Problem> {
        let kind = media_type(&answer.raw).filter(|_| answer.raw.len() <= PHOTO_BYTES_MAX);
        let kind = kind.ok_or(Fault::DirectoryUnavailable)?;
        if let (Some(files), true) = (&self.files, is_hash(hash))
            && let Err(problem) = files.write_photo(hash, &answer.raw)
        {
            tracing::warn!(%problem, "a photo was not kept");
        }
        Ok(PhotoView {
            hash: hash.to_owned(),
            media_type: kind.to_owned(),
            data: STANDARD.encode(&answer.raw),
        })
    }

    fn kept_photo(&self, hash: &str) -> Option<PhotoView> {
        let bytes = self.files.as_ref().filter(|_| is_hash(hash))?.photo(hash)?;
        Some(PhotoView {
            hash: hash.to_owned(),
            media_type: media_type(&bytes)?.to_owned(),
            data: STANDARD.encode(&bytes),
        })
    }

    /// What the directory says, with the presence that is known.
    fn person_of(&self, entry: &Entry) -> Option<PersonView> {
        let address = address_of(entry)?;
        let known = self.session.as_ref().and_then(|one| one.person(&address));
        let mut person = PersonView::unknown(address);
        if let Some(known) = known {
            person.availability = known.availability;
            person.note = known.note;
            person.contact = known.contact;
        }
        if !entry.display_name.is_empty() {
            person.name.clone_from(&entry.display_name);
        }
        person.title.clone_from(&entry.title);
        person.phone.clone_from(&entry.telephone);
        person.email.clone_from(&entry.mail);
        person.company.clone_from(&entry.company);
        person.photo = entry.photo.as_ref().map(|photo| photo.hash.clone());
        Some(person)
    }

    fn directory_answer(&mut self, body: ReplyBody) {
        if let Some(job) = self.directory.jobs.pop_front() {
            self.reply(job.asker, Ok(body));
        }
    }

    /// The first question fails. What was learned is learned anew: it may be what was wrong.
    fn directory_failed(&mut self, problem: Problem) {
        let desk = &mut self.directory;
        (desk.endpoint, desk.issuer, desk.ticket_port) = (None, None, None);
        if let Some(job) = desk.jobs.pop_front() {
            self.reply(job.asker, Err(problem));
        }
    }
}

/// The header that carries a ticket, as HTTP libraries want names.
const HEADER_WEB_TICKET_NAME: &str = "x-ms-webticket";

impl Wish {
    /// Whose card or photograph it is about.
    fn address(&self) -> Option<&SignInAddress> {
        match self {
            Self::Find { .. } => None,
            Self::Person { address } | Self::Photo { address, .. } => Some(address),
        }
    }
}

fn search(endpoint: &str, request: &SearchRequest, ticket: &WebTicket) -> HttpRequest {
    let xml = request.to_xml(endpoint, Uuid::new_v4(), ticket);
    HttpRequest::post(endpoint, CONTENT_TYPE_SOAP, xml)
        .header("soapaction", format!("\"{ACTION_SEARCH}\""))
}

fn address_of(entry: &Entry) -> Option<SignInAddress> {
    entry.sip_uri.parse().ok()
}

#[cfg(test)]
mod tests {
    use lanyard_soap::autodiscover::HEADER_WEB_TICKET;

    use super::*;

    #[test]
    fn the_two_spellings_of_the_ticket_header_are_one() {
        assert!(HEADER_WEB_TICKET.eq_ignore_ascii_case(HEADER_WEB_TICKET_NAME));
    }
}
