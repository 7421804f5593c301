// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person whose card is a key in memory: what the server does is the same, and the load stays light.

use crate::net::{Answer, Net, exchange};
use crate::web::Web;
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_soap::Address;
use lanyard_soap::certprov::{CertResponse, GetAndPublishCert, ProofTimestamp};
use lanyard_x509::{CsrBuilder, DistinguishedName, Signer, SoftwareKey};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use uuid::Uuid;

/// A person with an enrolled card.
#[derive(Debug)]
pub struct Person {
    /// Sign-in address.
    pub address: Address,
    credential: Credential,
}

/// A certificate, those above it, and its key.
#[derive(Debug)]
pub struct Credential {
    /// The certificate, and the issuing authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: SoftwareKey,
}

/// What a request for enrolment says, apart from the code.
#[derive(Debug)]
pub struct Applicant {
    /// The address.
    pub address: String,
    /// The key that shall be certified.
    pub key: SoftwareKey,
    /// The number of the card.
    pub guid: String,
    /// The kind of the card.
    pub kind: &'static str,
    /// Whether the holder has chosen a PIN.
    pub pin_changed: bool,
}

/// A certificate request for a key.
///
/// # Errors
/// The key does not sign.
pub fn request(address: &str, key: &SoftwareKey) -> Result<Vec<u8>> {
    let subject = DistinguishedName::from_common_name(address)?;
    Ok(CsrBuilder::new(subject, key.public_key().clone())
        .sign(key)?
        .der()
        .to_vec())
}

impl Applicant {
    /// A fresh card whose holder has chosen a PIN.
    ///
    /// # Errors
    /// No key can be made.
    pub fn new(address: &str) -> Result<Self> {
        Ok(Self {
            address: address.into(),
            key: SoftwareKey::generate()?,
            guid: Uuid::new_v4().simple().to_string(),
            kind: "physical",
            pin_changed: true,
        })
    }

    /// Sends the request.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn ask(&self, stream: &mut TlsStream<TcpStream>, code: &str) -> Result<Answer> {
        let body = json!({
            "code": code,
            "address": self.address,
            "template": "SmartcardUser",
            "csr": STANDARD.encode(request(&self.address, &self.key)?),
            "card": { "kind": self.kind, "guid": self.guid, "label": "load" },
            "pin_changed": self.pin_changed,
        });
        let headers = [("Content-Type", "application/json")];
        let path = "/api/v1/enrolments";
        exchange(stream, "POST", path, &headers, &body.to_string()).await
    }

    /// The holder of the card that came of it.
    ///
    /// # Errors
    /// The server refused.
    pub fn enrolled(self, answer: Answer) -> Result<Person> {
        let value: Value = serde_json::from_str(&answer.expect(201)?.body)?;
        let mut chain = vec![der(&value["certificate"])?];
        chain.push(der(value["chain"].get(0).context("chain")?)?);
        Ok(Person {
            address: Address::parse(&self.address)?,
            credential: Credential {
                chain,
                key: self.key,
            },
        })
    }
}

impl Person {
    /// Somebody who shows this certificate as a card.
    ///
    /// # Errors
    /// That is no address.
    pub fn with(address: &str, credential: Credential) -> Result<Self> {
        Ok(Self {
            address: Address::parse(address)?,
            credential,
        })
    }

    /// Enrols with a one-time code, on a connection that others use as well.
    ///
    /// # Errors
    /// The server refused.
    pub async fn enrol(
        stream: &mut TlsStream<TcpStream>,
        address: &str,
        code: &str,
    ) -> Result<Self> {
        let applicant = Applicant::new(address)?;
        let answer = applicant.ask(stream, code).await?;
        applicant.enrolled(answer)
    }

    /// What stands on the card.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Asks the card listener for something, with the card.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn show_card(&self, net: &Net, method: &str, path: &str) -> Result<Answer> {
        let mut card = net
            .connect_with(net.ports.card, &self.credential)
            .await
            .context("handshake with the card")?;
        exchange(&mut card, method, path, &[], "").await
    }

    /// The whole way from the card to a chat certificate, as the client goes it.
    ///
    /// # Errors
    /// The server refused.
    pub async fn chat_certificate(&self, net: &Net) -> Result<Credential> {
        let mut web = Web::connect(net).await?;
        let address = self.address.as_str();
        let root = format!("/?sipuri={address}");
        web.get(&root).await?.expect(200)?;
        let path = web.federation_path(address).await?;
        let page = self.show_card(net, "GET", &path).await?.expect(200)?;
        let cookie = web.cookie(&page).await?;
        let endpoint = web.provisioning().await?;
        web.get("/WebTicket/WebTicketService.svc/mex")
            .await?
            .expect(200)?;
        let ticket = web.ticket(&cookie, &self.address, &endpoint).await?;
        let key = SoftwareKey::generate()?;
        let wanted = GetAndPublishCert {
            device_id: Uuid::new_v4(),
            entity: self.address.clone(),
            csr_der: request(address, &key)?,
        };
        let timestamp = ProofTimestamp::fresh(OffsetDateTime::now_utc() + net.ahead());
        let body = wanted.to_xml(&endpoint, Uuid::new_v4(), &ticket, &timestamp)?;
        let answer = web.publish(&body).await?.expect(200)?;
        let certificate = CertResponse::parse(&answer.body)?;
        let issuing = self.credential.chain.get(1).cloned().context("chain")?;
        Ok(Credential {
            chain: vec![certificate.into(), issuing],
            key,
        })
    }
}

fn der(value: &Value) -> Result<CertificateDer<'static>> {
    Ok(STANDARD
        .decode(value.as_str().context("no certificate")?)?
        .into())
}
