// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where everything lives: the addresses that the server tells its clients.

/// The public addresses of the listeners.
#[derive(Debug, Clone)]
pub struct Urls {
    host: String,
    https_port: u16,
    card_port: u16,
    http_port: u16,
}

/// Path of the autodiscover root document ([MS-OCDISCWS] 3.1.5.2).
pub const ROOT_PATH: &str = "/autodiscover/autodiscoverservice.svc/root";
/// Path of the autodiscover user document.
pub const USER_PATH: &str = "/autodiscover/autodiscoverservice.svc/root/user";
/// Path of the web ticket service.
pub const WEB_TICKET_PATH: &str = "/WebTicket/WebTicketService.svc";
/// Path of the ticket port that takes the cookie of a passive sign-in.
pub const WEB_TICKET_PASSIVE_PATH: &str = "/WebTicket/WebTicketService.svc/Passive";
/// Path of the ticket port that takes a password.
pub const WEB_TICKET_PASSWORD_PATH: &str = "/WebTicket/WebTicketService.svc/WinNegotiate";
/// Path of the ticket port that takes a chat certificate, on the card listener.
pub const WEB_TICKET_CERTIFICATE_PATH: &str = "/WebTicket/WebTicketService.svc/Cert";
/// Path of the address book web query.
pub const ADDRESS_BOOK_PATH: &str = "/GroupExpansion/Service.svc";
/// Path of the address book's port that takes a ticket.
pub const ADDRESS_BOOK_BEARER_PATH: &str = "/GroupExpansion/Service.svc/WebTicket_Bearer";
/// Path below which the files of the address book are.
pub const ADDRESS_BOOK_FILES_PATH: &str = "/abs/handler";
/// Photographs, below [`ADDRESS_BOOK_FILES_PATH`].
pub const PHOTOS: &str = "photos";
/// Path of the OAuth form of the web ticket.
pub const OAUTH_PATH: &str = "/WebTicket/oauthtoken";
/// Path of the passive sign-in's page.
pub const PASSIVE_AUTH_PATH: &str = "/PassiveAuth/PassiveAuth.aspx";
/// Path of the federation endpoint on the card listener.
pub const FEDERATION_PATH: &str = "/adfs/ls/";
/// Path of the certificate provisioning service.
pub const CERT_PROV_PATH: &str = "/CertProv/CertProvisioningService.svc";
/// Path of the port that takes a ticket with proof of possession.
pub const CERT_PROV_PROOF_PATH: &str = "/CertProv/CertProvisioningService.svc/WebTicket_Proof";
/// Path of the enrolment interface.
pub const ENROLMENTS_PATH: &str = "/api/v1/enrolments";
/// Path at which the holder of a card reports the first PIN change, on the card listener.
pub const PIN_CHANGED_PATH: &str = "/api/v1/card/pin-changed";
/// Path of the list of our own services.
pub const SERVICES_PATH: &str = "/api/v1/services";
/// Path at which a card that may be renewed gets its management key, on the card listener.
pub const CARD_KEYS_PATH: &str = "/api/v1/card/keys";
/// Path at which the holder of a card renews it, on the card listener.
pub const RENEWAL_PATH: &str = "/api/v1/card/renewal";
/// Path at which a renewed certificate reports that it is on the card, on the card listener.
pub const RENEWED_PATH: &str = "/api/v1/card/renewed";
/// Path of a person's own cards, on the card listener.
pub const MY_CARDS_PATH: &str = "/api/v1/my/cards";
/// Path at which a person reports a card of theirs lost, on the card listener.
pub const MY_CARD_LOST_PATH: &str = "/api/v1/my/cards/lost";
/// Path at which a person gives a card of theirs another name, on the card listener.
pub const MY_CARD_NAME_PATH: &str = "/api/v1/my/cards/name";
/// Path at which a card proves that it is there, on the card listener.
pub const PRESENCE_PATH: &str = "/api/v1/card/presence";
/// Path at which a blocked card's holder fetches its PUK with a code of the desk.
pub const UNBLOCKINGS_PATH: &str = "/api/v1/card-unblockings";
/// Path at which the holder's program reports that the PUK was replaced.
pub const UNBLOCKING_DONE_PATH: &str = "/api/v1/card-unblockings/done";
/// Path of the revocation list, on the plain HTTP listener.
pub const CRL_PATH: &str = "/crl/issuing.crl";
/// Path of the issuing authority's certificate.
pub const AIA_PATH: &str = "/aia/issuing.cer";
/// Path of the root certificate.
pub const ROOT_CERTIFICATE_PATH: &str = "/aia/root.cer";

impl Urls {
    /// The addresses of a server with this host name and these ports.
    #[must_use]
    pub fn new(host: &str, https_port: u16, card_port: u16, http_port: u16) -> Self {
        Self {
            host: host.to_lowercase(),
            https_port,
            card_port,
            http_port,
        }
    }

    /// The host name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// An address on the HTTPS listener.
    #[must_use]
    pub fn https(&self, path: &str) -> String {
        base("https", &self.host, self.https_port, 443) + path
    }

    /// An address on the card listener.
    #[must_use]
    pub fn card(&self, path: &str) -> String {
        base("https", &self.host, self.card_port, 443) + path
    }

    /// An address on the plain HTTP listener.
    #[must_use]
    pub fn http(&self, path: &str) -> String {
        base("http", &self.host, self.http_port, 80) + path
    }
}

fn base(scheme: &str, host: &str, port: u16, default: u16) -> String {
    if port == default {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_port_is_not_written() {
        let urls = Urls::new("Lync.contoso.test", 443, 49443, 8080);
        assert_eq!(
            urls.https(OAUTH_PATH),
            "https://lync.contoso.test/WebTicket/oauthtoken"
        );
        assert_eq!(
            urls.card(FEDERATION_PATH),
            "https://lync.contoso.test:49443/adfs/ls/"
        );
        assert_eq!(
            urls.http(CRL_PATH),
            "http://lync.contoso.test:8080/crl/issuing.crl"
        );
    }
}
