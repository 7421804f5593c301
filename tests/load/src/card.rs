// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person whose card is a key in memory: what the server does is the same, and the load stays light.

use crate::net::{Net, exchange};
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_soap::Address;
use lanyard_soap::certprov::{CertResponse, GetAndPublishCert, ProofTimestamp};
use lanyard_soap::names;
use lanyard_soap::passive::{AutoPostForm, cookie_of_set_cookie};
use lanyard_soap::trust::{Entropy, TicketRequest, WebTicket};
use lanyard_x509::{CsrBuilder, DistinguishedName, Signer, SoftwareKey};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use uuid::Uuid;

/// A person with an enrolled card.
pub struct Person {
    /// Sign-in address.
    pub address: Address,
    key: SoftwareKey,
    chain: Vec<CertificateDer<'static>>,
}

/// A chat certificate and its key.
pub struct Credential {
    /// The certificate.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: SoftwareKey,
}

fn request(address: &str, key: &SoftwareKey) -> Result<Vec<u8>> {
    let subject = DistinguishedName::from_common_name(address)?;
    Ok(CsrBuilder::new(subject, key.public_key().clone())
        .sign(key)?
        .der()
        .to_vec())
}

impl Person {
    /// Enrols with a one-time code, on a connection that others use as well.
    ///
    /// # Errors
    /// The server refused.
    pub async fn enrol(
        stream: &mut TlsStream<TcpStream>,
        address: &str,
        code: &str,
    ) -> Result<Self> {
        let key = SoftwareKey::generate()?;
        let body = json!({
            "code": code,
            "address": address,
            "template": "SmartcardUser",
            "csr": STANDARD.encode(request(address, &key)?),
            "card": {
                "kind": "physical",
                "guid": Uuid::new_v4().simple().to_string(),
                "label": "load",
            },
            "pin_changed": true,
        });
        let body = body.to_string();
        let headers = [("Content-Type", "application/json")];
        let answer = exchange(stream, "POST", "/api/v1/enrolments", &headers, &body);
        let value: Value = serde_json::from_str(&answer.await?.expect(201)?.body)?;
        let mut chain = vec![der(&value["certificate"])?];
        chain.push(der(value["chain"].get(0).context("chain")?)?);
        Ok(Self {
            address: Address::parse(address)?,
            key,
            chain,
        })
    }

    /// The whole way from the card to a chat certificate, as the client goes it.
    ///
    /// # Errors
    /// The server refused.
    pub async fn chat_certificate(&self, net: &Net) -> Result<Credential> {
        let mut https = net.connect(net.ports.https).await?;
        let address = self.address.as_str();
        let root = format!("/?sipuri={address}");
        exchange(&mut https, "GET", &root, &[], "")
            .await?
            .expect(200)?;
        let passive = format!("/PassiveAuth/PassiveAuth.aspx?sipuri={address}");
        let redirect = exchange(&mut https, "GET", &passive, &[], "")
            .await?
            .expect(302)?;
        let target = redirect.header("location").context("no redirect")?;
        let path = target
            .splitn(4, '/')
            .nth(3)
            .map(|path| format!("/{path}"))
            .context("path")?;
        let mut card = net
            .connect_with(net.ports.card, self.chain.clone(), self.key.to_rustls())
            .await?;
        let page = exchange(&mut card, "GET", &path, &[], "")
            .await?
            .expect(200)?;
        let form = AutoPostForm::parse(&page.body)?;
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let posted = form.response.to_form_body();
        let answer = exchange(
            &mut https,
            "POST",
            "/PassiveAuth/PassiveAuth.aspx",
            &headers,
            &posted,
        )
        .await?
        .expect(200)?;
        let cookie = answer.header("set-cookie").and_then(cookie_of_set_cookie);
        let cookie = format!("RPSAuth={}", cookie.context("no cookie")?);
        let service = "/CertProv/CertProvisioningService.svc";
        let mex = exchange(&mut https, "GET", &format!("{service}/mex"), &[], "").await?;
        let mex = lanyard_soap::mex::CertProvMex::parse(&mex.expect(200)?.body)?;
        let ticket_mex = "/WebTicket/WebTicketService.svc/mex";
        exchange(&mut https, "GET", ticket_mex, &[], "")
            .await?
            .expect(200)?;
        let entropy = Entropy::random()?;
        let wanted = TicketRequest {
            context: None,
            applies_to: mex.endpoint.clone(),
            claimed_address: Some(self.address.clone()),
            entropy: Some(entropy.clone()),
        };
        let soap = [
            ("Content-Type", lanyard_soap::CONTENT_TYPE_SOAP),
            ("SOAPAction", names::ACTION_ISSUE),
            ("Cookie", cookie.as_str()),
        ];
        let port = "/WebTicket/WebTicketService.svc/Passive";
        let answer = exchange(&mut https, "POST", port, &soap, &wanted.to_xml()).await?;
        let ticket = WebTicket::from_response(&answer.expect(200)?.body, Some(&entropy))?;
        let key = SoftwareKey::generate()?;
        let wanted = GetAndPublishCert {
            device_id: Uuid::new_v4(),
            entity: self.address.clone(),
            csr_der: request(address, &key)?,
        };
        let timestamp = ProofTimestamp::fresh(OffsetDateTime::now_utc());
        let body = wanted.to_xml(&mex.endpoint, Uuid::new_v4(), &ticket, &timestamp)?;
        let soap = [
            ("Content-Type", lanyard_soap::CONTENT_TYPE_SOAP),
            ("SOAPAction", names::ACTION_GET_AND_PUBLISH),
        ];
        let port = format!("{service}/WebTicket_Proof");
        let answer = exchange(&mut https, "POST", &port, &soap, &body)
            .await?
            .expect(200)?;
        let certificate = CertResponse::parse(&answer.body)?;
        let issuing = self.chain.get(1).cloned().context("chain")?;
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
