// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps between the card and the chat certificate, each by itself.

use crate::net::{Answer, Net, exchange};
use anyhow::{Context, Result};
use lanyard_soap::Address;
use lanyard_soap::names;
use lanyard_soap::passive::{AutoPostForm, cookie_of_set_cookie};
use lanyard_soap::trust::{Entropy, TicketRequest, WebTicket};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const SOAP: (&str, &str) = ("Content-Type", lanyard_soap::CONTENT_TYPE_SOAP);
const PROVISIONING: &str = "/CertProv/CertProvisioningService.svc";

/// A connection to the HTTPS listener.
#[derive(Debug)]
pub struct Web {
    stream: TlsStream<TcpStream>,
}

impl Web {
    /// Connects.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn connect(net: &Net) -> Result<Self> {
        Ok(Self {
            stream: net.connect(net.ports.https).await?,
        })
    }

    /// The connection, for requests that have no step here.
    pub fn stream(&mut self) -> &mut TlsStream<TcpStream> {
        &mut self.stream
    }

    /// Gets a document.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        exchange(&mut self.stream, "GET", path, &[], "").await
    }

    /// Posts something.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        exchange(&mut self.stream, "POST", path, headers, body).await
    }

    /// Where the passive sign-in of this address sends a person with a card.
    ///
    /// # Errors
    /// The server does not redirect.
    pub async fn federation_path(&mut self, address: &str) -> Result<String> {
        let passive = format!("/PassiveAuth/PassiveAuth.aspx?sipuri={address}");
        let redirect = self.get(&passive).await?.expect(302)?;
        let target = redirect.header("location").context("no redirect")?;
        let path = target.splitn(4, '/').nth(3).context("path")?;
        Ok(format!("/{path}"))
    }

    /// Posts the form of the federation endpoint's page.
    ///
    /// # Errors
    /// There is no form, or the server did not answer.
    pub async fn post_form(&mut self, page: &Answer) -> Result<Answer> {
        let posted = AutoPostForm::parse(&page.body)?.response.to_form_body();
        self.post("/PassiveAuth/PassiveAuth.aspx", &[FORM], &posted)
            .await
    }

    /// The value of the header `Cookie` that the federation endpoint's page earns.
    ///
    /// # Errors
    /// It earns none.
    pub async fn cookie(&mut self, page: &Answer) -> Result<String> {
        let answer = self.post_form(page).await?.expect(200)?;
        let cookie = answer.header("set-cookie").and_then(cookie_of_set_cookie);
        Ok(format!("RPSAuth={}", cookie.context("no cookie")?))
    }

    /// Where certificates come from.
    ///
    /// # Errors
    /// The server does not say.
    pub async fn provisioning(&mut self) -> Result<String> {
        let mex = self
            .get(&format!("{PROVISIONING}/mex"))
            .await?
            .expect(200)?;
        Ok(lanyard_soap::mex::CertProvMex::parse(&mex.body)?.endpoint)
    }

    /// Asks for a ticket with a cookie.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn ask_ticket(&mut self, cookie: &str, wanted: &TicketRequest) -> Result<Answer> {
        let headers = [
            SOAP,
            ("SOAPAction", names::ACTION_ISSUE),
            ("Cookie", cookie),
        ];
        let port = "/WebTicket/WebTicketService.svc/Passive";
        self.post(port, &headers, &wanted.to_xml()).await
    }

    /// A ticket of a person for a service, with a key for proofs.
    ///
    /// # Errors
    /// The server refused.
    pub async fn ticket(
        &mut self,
        cookie: &str,
        address: &Address,
        service: &str,
    ) -> Result<WebTicket> {
        let entropy = Entropy::random()?;
        let wanted = TicketRequest {
            context: None,
            applies_to: service.to_owned(),
            claimed_address: Some(address.clone()),
            entropy: Some(entropy.clone()),
        };
        let answer = self.ask_ticket(cookie, &wanted).await?.expect(200)?;
        Ok(WebTicket::from_response(&answer.body, Some(&entropy))?)
    }

    /// Sends a request for a certificate as it is.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn publish(&mut self, body: &str) -> Result<Answer> {
        let headers = [SOAP, ("SOAPAction", names::ACTION_GET_AND_PUBLISH)];
        let port = format!("{PROVISIONING}/WebTicket_Proof");
        self.post(&port, &headers, body).await
    }
}
