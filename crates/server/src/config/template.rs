// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration that `init` writes: what was chosen, and every default with its meaning.

use lanyard_directory::DomainName;

/// What `init` was told.
#[derive(Debug, Clone)]
pub struct TemplateValues<'a> {
    /// The name that clients connect to.
    pub host: &'a DomainName,
    /// The domain of the sign-in addresses.
    pub domain: &'a DomainName,
    /// The organisation.
    pub organisation: &'a str,
}

/// The text of `server.toml`.
#[must_use]
pub fn file_text(values: &TemplateValues<'_>) -> String {
    let TemplateValues {
        host,
        domain,
        organisation,
    } = values;
    let organisation = toml::Value::String((*organisation).to_owned());
    format!(
        r#"# Configuration of lanyard-server. Lines that begin with # show the defaults.
# A single key can be overridden by the environment: LANYARD_SECTION__KEY, for example
# LANYARD_LISTEN__SIP=192.0.2.7:5061. After a change: kill -HUP (log level, certificates) or restart.

[server]
# The name that clients connect to; it must stand in the certificate below.
host = "{host}"
# The domains of the sign-in addresses that live here.
domains = ["{domain}"]
# Shown to people.
organisation = {organisation}

[listen]
# SIP over TLS.
#sip = "0.0.0.0:5061"
# HTTPS: discovery, tickets, chat certificates, enrolment.
#https = "0.0.0.0:443"
# HTTPS with the certificate of the card.
#card = "0.0.0.0:49443"
# Plain HTTP: discovery redirect, revocation list, issuing certificate.
#http = "0.0.0.0:80"
# Metrics (/metrics) and health (/healthz); loopback addresses only.
#metrics = "127.0.0.1:9464"

[advertise]
# The ports that clients are told, where a forwarder stands between them and the listeners.
#sip = 5061
#https = 443
#card = 49443
#http = 80

[tls]
# Chain (leaf first) and key of the listeners, PEM; relative paths are meant from the data directory.
#certificate = "tls/server.pem"
#key = "tls/server.key"

[sip]
# Accepts clients such as Pidgin with SIPE, whose sign-in is sealed by TLS 1.0 with RSA key transport
# and whose messages are signed with HMAC-SHA1. The connection around it stays TLS 1.2 or 1.3. Needs
# a lanyard-server that was built with the feature "legacy". Leave it off unless you need it.
#legacy_tls_dsk = false

[limits]
#connections_max = 65536
#sip_idle_secs = 900
#sip_message_bytes_max = 262144
# How long a registration lasts when the client names no time, and after what time it must prove its
# key again.
#sip_registration_secs = 600
#sip_association_secs = 28800
# Clients are asked for a sign of life this often; who promises one and gives none for four times as
# long has lost its connection.
#sip_keep_alive_secs = 30
# How long somebody whose connection was lost counts as signed in.
#sip_grace_secs = 30
# A card that has to show that it is there (policy: presence-proof-minutes) may be so late.
#presence_grace_secs = 60
# Enrolments that one network address may try in a minute.
#enrolments_per_minute = 30

[log]
# error, warn, info, debug, trace, or directives such as "info,lanyard_server=debug".
#level = "info"
# "text" for people, "json" for machines.
#format = "text"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, load_from};
    use std::path::Path;

    #[test]
    fn the_written_file_reads_back_and_its_comments_show_the_true_defaults() {
        let (host, domain) = ("lync.x.test".parse().unwrap(), "x.test".parse().unwrap());
        let values = TemplateValues {
            host: &host,
            domain: &domain,
            organisation: "\"Quoted\" & Söhne",
        };
        let text = file_text(&values);
        let plain = load_from(Path::new("server.toml"), &text, []).unwrap();
        assert_eq!(
            plain.server.organisation.as_deref(),
            Some("\"Quoted\" & Söhne")
        );

        let is_default = |line: &&str| {
            line.strip_prefix('#')
                .is_some_and(|rest| rest.starts_with(char::is_lowercase))
                && line.contains(" = ")
        };
        let uncommented: String = text
            .lines()
            .map(|line| if is_default(&line) { &line[1..] } else { line })
            .flat_map(|line| [line, "\n"])
            .collect();
        let full = load_from(Path::new("server.toml"), &uncommented, []).unwrap();
        let ports = |config: &Config| {
            (
                config.sip_port(),
                config.https_port(),
                config.card_port(),
                config.http_port(),
            )
        };
        assert_eq!(ports(&full), ports(&plain));
        assert_eq!((&full.listen, &full.tls), (&plain.listen, &plain.tls));
        assert_eq!(full.sip, plain.sip);
        assert_eq!((&full.limits, &full.log), (&plain.limits, &plain.log));
    }
}
