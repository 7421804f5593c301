// SPDX-License-Identifier: MIT OR Apache-2.0
//! Documents that are no documents: bombs, towers, wrong namespaces, in every SIP body and at every
//! SOAP port. Each is refused at once, and whoever sent it goes on as before.

use crate::roster::{change, contact, cseq, list};
use anyhow::{Context, Result, bail};
use lanyard_load::deployment::in_a_deployment;
use lanyard_load::session::{Session, words};
use lanyard_load::web::Web;
use lanyard_presence::PersonUri;
use lanyard_presence::limits::{
    PUBLICATION_BYTES_MAX, XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_NAMESPACE_BYTES_MAX,
};
use lanyard_presence::model::roster::{Member, MemberKind, PublicationKey};
use lanyard_presence::xml::batch::{BatchAction, BatchRequest, BatchResource};
use lanyard_presence::xml::containers::{ContainerChange, MemberChange, SetContainerMembers};
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::provisioning::Provisioning;
use lanyard_presence::xml::publish::{ExpireType, PublishItem, PublishRequest};
use lanyard_presence::xml::roaming_self::RoamingWanted;
use lanyard_presence::xml::search::SearchRequest;
use lanyard_presence::xml::service::ContactRequest;
use lanyard_presence::xml::subscribers::SetSubscribers;
use lanyard_sip::{Headers, Method, Name, OutMessage};
use lanyard_soap::certprov::{GetAndPublishCert, ProofTimestamp};
use lanyard_soap::passive::AutoPostForm;
use lanyard_soap::trust::{Entropy, TicketRequest};
use lanyard_x509::SoftwareKey;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use uuid::Uuid;

const ALICE: &str = "alice@contoso.test";
/// A refusal that takes longer was no refusal at once: a bomb that goes off takes minutes.
const AT_ONCE: Duration = Duration::from_secs(20);

/// A document in the shapes that no reader must take. `good` is one that is taken.
fn bad_versions(good: &str) -> Vec<(&'static str, String)> {
    let entities: String = (1..30)
        .map(|n| format!("<!ENTITY e{n} \"&e{};&e{};\">", n - 1, n - 1))
        .collect();
    let close = good.rfind("</").unwrap_or(good.len());
    let (open, end) = good.split_at(close);
    let tower = |n: usize| "<z>".repeat(n) + &"</z>".repeat(n);
    let wide: String = (0..=XML_ATTRIBUTES_MAX)
        .map(|n| format!(" z{n}=\"\""))
        .collect();
    let long = "n".repeat(XML_NAMESPACE_BYTES_MAX + 1);
    vec![
        (
            "a bomb",
            format!("<!DOCTYPE z [<!ENTITY e0 \"ha\">{entities}]>{open}&e29;{end}"),
        ),
        (
            "a file",
            format!("<!DOCTYPE z [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>{open}&f;{end}"),
        ),
        ("an entity", format!("{open}&nbsp;{end}")),
        ("a tower", format!("{open}{}{end}", tower(XML_DEPTH_MAX))),
        ("a high tower", tower(20_000)),
        ("many attributes", format!("{open}<z{wide}/>{end}")),
        ("two documents", good.repeat(2)),
        ("half a document", open.to_owned()),
        ("another root", format!("<z>{good}</z>")),
        (
            "namespaces of somebody else",
            good.replace("schemas.microsoft.com", "schemas.example.com")
                .replace("schemas.xmlsoap.org", "schemas.example.com")
                .replace("docs.oasis-open.org", "docs.example.com"),
        ),
        ("no namespaces", good.replace("xmlns", "nsxml")),
        (
            "a long namespace",
            format!("{open}<z xmlns=\"{long}\"/>{end}"),
        ),
        ("an unknown prefix", format!("{open}<zz:z/>{end}")),
        ("a control character", format!("{open}\u{1}{end}")),
        ("nothing", "x".to_owned()),
    ]
}

/// A request of every kind that the server itself reads, with its good body.
fn requests(
    session: &mut Session,
) -> Result<Vec<(&'static str, OutMessage, &'static str, String)>> {
    let own = session.uri.clone();
    let me = PersonUri::parse(&own)?;
    let member = Member {
        kind: MemberKind::User,
        value: "bob@contoso.test".into(),
    };
    let publish = PublishRequest {
        uri: me.clone(),
        items: vec![PublishItem {
            key: PublicationKey {
                category: "note".into(),
                instance: 0,
                container: 200,
            },
            version: 0,
            expire_type: ExpireType::Static,
            expires: None,
            content: "<note xmlns=\"http://schemas.microsoft.com/2006/09/sip/note\"/>".into(),
        }],
    };
    let containers = SetContainerMembers {
        containers: vec![ContainerChange {
            id: 400,
            version: 0,
            members: vec![MemberChange { add: true, member }],
        }],
    };
    let batch = BatchRequest {
        uri: me.clone(),
        action: BatchAction::Subscribe,
        resources: vec![BatchResource {
            uri: me.clone(),
            newly_added: false,
        }],
        categories: vec!["state".into()],
    };
    let contact = ContactRequest {
        delta: 1,
        operation: contact("bob@contoso.test")?,
    };
    let search = SearchRequest {
        text: "bob".into(),
        limit: 10,
    };
    let subscribers = SetSubscribers {
        list: vec![(me, true)],
    };
    let mut all = Vec::new();
    for (what, kind, body) in [
        ("publication", content_type::PUBLISH, publish.to_xml()),
        (
            "containers",
            content_type::SET_CONTAINER_MEMBERS,
            containers.to_xml(),
        ),
        (
            "watchers",
            content_type::SET_SUBSCRIBER,
            subscribers.to_xml(),
        ),
        ("contact", content_type::SOAP, contact.to_xml()),
        ("search", content_type::SOAP, search.to_xml()),
    ] {
        let service = session.request(Method::Service, &own, what);
        all.push((what, service, kind, body));
    }
    let provisioning = Provisioning::request(&["ServerConfiguration"]);
    for (what, event, kind, body) in [
        ("people", "presence", content_type::BATCH, batch.to_xml()),
        (
            "own-data",
            "vnd-microsoft-roaming-self",
            "application/vnd-microsoft-roaming-self+xml",
            RoamingWanted::ALL.to_xml(),
        ),
        (
            "provisioning",
            "vnd-microsoft-provisioning-v2",
            "application/vnd-microsoft-roaming-provisioning-v2+xml",
            provisioning,
        ),
    ] {
        let mut subscribe = session.request(Method::Subscribe, &own, what);
        subscribe.push(Name::Event, event);
        all.push((what, subscribe, kind, body));
    }
    Ok(all)
}

#[test]
fn no_body_of_a_request_is_a_bomb() {
    in_a_deployment("documents::no_body_of_a_request_is_a_bomb", async |d| {
        d.server.must(&["user", "add", "bob@contoso.test"])?;
        let alice = d.enrolled(ALICE).await?;
        let mut session = d.session(&alice).await?;
        let before = list(&mut session).await?;
        let count = requests(&mut session)?.len();
        for number in 0..count {
            let versions = {
                let (.., good) = &requests(&mut session)?[number];
                bad_versions(good)
            };
            for (how, body) in versions {
                // A request of its own each time: numbers only grow.
                let (what, request, kind, _) = requests(&mut session)?.remove(number);
                let request = request.with_body(kind, body);
                let asked = cseq(&request);
                let begun = Instant::now();
                session.send(request).await?;
                let answer = session.answer(&asked).await?;
                let code = answer.status().context("status")?;
                if !(400..500).contains(&code) || begun.elapsed() > AT_ONCE {
                    bail!(
                        "{how} as {what}: {} after {:?}",
                        words(&answer),
                        begun.elapsed()
                    );
                }
            }
        }
        if list(&mut session).await? != before {
            bail!("something was changed");
        }
        // What is good is taken, from the same client on the same connection.
        for number in 0..count {
            let (what, request, kind, body) = requests(&mut session)?.remove(number);
            let request = request.with_body(kind, body);
            session.ask(request).await.context(what)?;
        }
        Ok(())
    });
}

#[test]
fn a_body_that_is_copied_does_not_multiply() {
    let name = "documents::a_body_that_is_copied_does_not_multiply";
    in_a_deployment(name, async |d| {
        let alice = d.enrolled(ALICE).await?;
        let mut session = d.session(&alice).await?;
        let own = session.uri.clone();
        let pid = d.server.running()?.pid();
        let before = peak_kib(pid)?;
        // Each child would repeat the name of its namespace: 200 KiB would become gigabytes.
        let children = "<p:a/>".repeat(14_000);
        for length in [XML_NAMESPACE_BYTES_MAX, 100_000] {
            let body = format!(
                "<publish xmlns=\"http://schemas.microsoft.com/2006/09/sip/rich-presence\" \
                 xmlns:p=\"{}\"><publications uri=\"{own}\"><publication categoryName=\"note\" \
                 instance=\"0\" container=\"200\" version=\"0\" expireType=\"static\"><x>{children}\
                 </x></publication></publications></publish>",
                "n".repeat(length)
            );
            let request = session.request(Method::Service, &own, "copies");
            let request = request.with_body(content_type::PUBLISH, body);
            let asked = cseq(&request);
            session.send(request).await?;
            let answer = session.answer(&asked).await?;
            if answer.status() != Some(400) {
                bail!("{length}: {}", words(&answer));
            }
        }
        let grown = peak_kib(pid)?.saturating_sub(before);
        if grown > 64 * 1024 {
            bail!("two refusals took {grown} KiB");
        }
        assert!(PUBLICATION_BYTES_MAX < children.len());
        let delta = list(&mut session).await?.delta;
        let good = change(&mut session, delta, crate::roster::group("good"));
        session.ask(good).await?;
        Ok(())
    });
}

/// The most memory that a process has had in use.
fn peak_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("VmHWM")?.parse()?)
}

/// A port, the headers that belong to it, and a document that it takes.
type Port<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn no_soap_port_takes_a_bomb() {
    in_a_deployment("documents::no_soap_port_takes_a_bomb", async |d| {
        let alice = d.enrolled(ALICE).await?;
        let mut web = Web::connect(&d.net).await?;
        let path = web.federation_path(ALICE).await?;
        let page = alice.show_card(&d.net, "GET", &path).await?.expect(200)?;
        let form = AutoPostForm::parse(&page.body)?;
        let cookie = web.cookie(&page).await?;
        let service = web.provisioning().await?;
        let wanted = TicketRequest {
            context: None,
            applies_to: service.clone(),
            claimed_address: Some(alice.address.clone()),
            entropy: Some(Entropy::random()?),
        }
        .to_xml();
        let ticket = web.ticket(&cookie, &alice.address, &service).await?;
        let key = SoftwareKey::generate()?;
        let publish = GetAndPublishCert {
            device_id: Uuid::new_v4(),
            entity: alice.address.clone(),
            csr_der: lanyard_load::card::request(ALICE, &key)?,
        };
        let timestamp = ProofTimestamp::fresh(OffsetDateTime::now_utc());
        let publish = publish.to_xml(&service, Uuid::new_v4(), &ticket, &timestamp)?;
        let soap = ("Content-Type", "text/xml; charset=utf-8");
        let with_cookie = ("Cookie", cookie.as_str());
        let ports: [Port<'_>; 4] = [
            (
                "/WebTicket/WebTicketService.svc/Passive",
                &[soap, with_cookie],
                &wanted,
            ),
            (
                "/WebTicket/WebTicketService.svc/WinNegotiate",
                &[soap],
                &wanted,
            ),
            (
                "/CertProv/CertProvisioningService.svc/WebTicket_Proof",
                &[soap],
                &publish,
            ),
            (
                "/GroupExpansion/Service.svc/WebTicket_Bearer",
                &[soap],
                &publish,
            ),
        ];
        for (port, headers, good) in ports {
            for (how, body) in bad_versions(good) {
                // A refusal that comes before the body is read ends the connection.
                let mut web = Web::connect(&d.net).await?;
                let begun = Instant::now();
                let Ok(answer) = web.post(port, headers, &body).await else {
                    // Refused while it was still being sent.
                    continue;
                };
                let earned = answer.body.contains("saml:Assertion ");
                if !(400..500).contains(&answer.status) || earned || begun.elapsed() > AT_ONCE {
                    bail!("{how} at {port}: {} {}", answer.status, answer.body);
                }
            }
        }
        // The same in the form of the passive endpoint.
        for (how, body) in bad_versions(&form.response.wresult) {
            let mut bent = form.response.clone();
            bent.wresult = body;
            let kind = ("Content-Type", "application/x-www-form-urlencoded");
            let posted = bent.to_form_body();
            let mut web = Web::connect(&d.net).await?;
            let path = "/PassiveAuth/PassiveAuth.aspx";
            let Ok(answer) = web.post(path, &[kind], &posted).await else {
                continue;
            };
            if !(400..500).contains(&answer.status) || answer.header("set-cookie").is_some() {
                bail!("{how} as a token: {} {}", answer.status, answer.body);
            }
        }
        // The good ones are still good.
        let mut web = Web::connect(&d.net).await?;
        web.post(ports[0].0, ports[0].1, &wanted)
            .await?
            .expect(200)?;
        web.publish(&publish).await?.expect(200)?;
        d.session(&alice).await?;
        Ok(())
    });
}
