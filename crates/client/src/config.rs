// SPDX-License-Identifier: MIT OR Apache-2.0
//! `client.toml`: what an organisation sets on its computers. Unknown keys are errors that name the nearest key.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use lanyard_fault::Fault;
use lanyard_virtual_card::TpmDevice;

use crate::places::Places;
use crate::problem::Problem;

/// Largest configuration file, in bytes.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;
/// The organisation's file.
const SYSTEM_FILE: &str = "/etc/lanyard/client.toml";
/// Names another file.
const FILE_VARIABLE: &str = "LANYARD_CLIENT_CONFIG";
/// Overrides `tpm_device`.
const TPM_DEVICE_VARIABLE: &str = "LANYARD_TPM_DEVICE";
/// Overrides `card_path`.
const CARD_PATH_VARIABLE: &str = "LANYARD_CARD_PATH";
/// All keys, for the hint at a typing mistake.
const KEYS: &[&str] = &[
    "trust_anchors",
    "resolve",
    "card_path",
    "tpm_device",
    "allowed_domains",
    "pkcs11_modules",
    "pin_pad",
    "card_issuers",
];
/// Stands in `pkcs11_modules` for all modules that are registered with p11-kit.
const REGISTERED: &str = "p11-kit";

/// The client's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// PEM files with roots that are trusted besides the platform's.
    pub trust_anchors: Vec<PathBuf>,
    /// Addresses that stand in for host and port, as curl's `--resolve`.
    pub resolve: Vec<ResolveRule>,
    /// How cards are reached.
    pub card_path: CardPath,
    /// Where this computer's TPM is.
    pub tpm_device: TpmDevice,
    /// Domains besides the address's own that discovery may lead to.
    pub allowed_domains: Vec<String>,
    /// PKCS #11 modules for cards that are not PIV; the word `p11-kit` stands for all that are registered there.
    pub pkcs11_modules: Vec<PathBuf>,
    /// Whether the PIN is typed at the reader.
    pub pin_pad: PinPadRule,
    /// The authorities whose cards are used, by their common names; none means that the server alone decides.
    pub card_issuers: Vec<String>,
}

/// Whether the PIN is typed at the reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PinPadRule {
    /// Where the reader has keys; the person may type it at the computer as well.
    #[default]
    Auto,
    /// Nowhere else: a reader without keys is of no use.
    Require,
    /// Never, although the reader has keys.
    Never,
}

/// How cards are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CardPath {
    /// PC/SC where it runs, and the virtual cards' own sockets; a card seen twice counts once.
    #[default]
    Auto,
    /// Only PC/SC.
    Pcsc,
    /// Only the virtual cards' own sockets.
    Socket,
}

/// `host:port=address:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveRule {
    /// Host name that is asked for, lower case.
    pub host: String,
    /// Port that is asked for.
    pub port: u16,
    /// Where the connection goes.
    pub target: SocketAddr,
}

/// Why a configuration was refused.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not TOML.
    #[error("line {line} is not TOML: {reason}")]
    Syntax {
        /// Line, counted from one.
        line: usize,
        /// The parser's reason.
        reason: String,
    },
    /// No such key.
    #[error("there is no key '{key}'; the nearest is '{nearest}'")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The nearest one that exists.
        nearest: &'static str,
    },
    /// A value of the wrong kind.
    #[error("'{key}' {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl ClientConfig {
    /// Reads the file that the environment names, else the person's, else the organisation's; none is no error.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid.
    pub fn load(places: &Places) -> Result<Self, Problem> {
        let named = env::var_os(FILE_VARIABLE).map(PathBuf::from);
        let mut config = match &named {
            Some(path) => Self::read(path, true)?,
            None => match Self::read(&places.config.join("client.toml"), false)? {
                Some(own) => Some(own),
                None => Self::read(Path::new(SYSTEM_FILE), false)?,
            },
        }
        .unwrap_or_default();
        if let Ok(text) = env::var(CARD_PATH_VARIABLE) {
            config.card_path = card_path(&text).ok_or_else(|| {
                Problem::new(Fault::ConfigClientInvalid).with_detail(format!(
                    "The variable {CARD_PATH_VARIABLE} must be auto, pcsc or socket."
                ))
            })?;
        }
        if let Ok(text) = env::var(TPM_DEVICE_VARIABLE) {
            config.tpm_device = text.parse().map_err(|error| {
                Problem::new(Fault::ConfigClientInvalid).with_detail(format!(
                    "The variable {TPM_DEVICE_VARIABLE} is refused: {error}."
                ))
            })?;
        }
        Ok(config)
    }

    /// Reads a configuration's text. Relative paths start at `base`.
    ///
    /// # Errors
    /// On the first line that is not understood.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            ConfigError::Syntax {
                line: before.matches('\n').count() + 1,
                reason: error.message().to_owned(),
            }
        })?;
        let mut config = Self::default();
        for (key, value) in &table {
            match key.as_str() {
                "trust_anchors" => {
                    let paths = texts(value)
                        .ok_or(value_error("trust_anchors", "must be a list of file names"))?;
                    config.trust_anchors = paths.iter().map(|path| base.join(path)).collect();
                }
                "resolve" => {
                    let expected = "must be a list of \"host:port=address:port\"";
                    let rules = texts(value).ok_or(value_error("resolve", expected))?;
                    let rules: Option<Vec<_>> = rules.iter().map(|rule| resolve(rule)).collect();
                    config.resolve = rules.ok_or(value_error("resolve", expected))?;
                }
                "card_path" => {
                    config.card_path = value
                        .as_str()
                        .and_then(card_path)
                        .ok_or(value_error("card_path", "must be auto, pcsc or socket"))?;
                }
                "tpm_device" => {
                    config.tpm_device = value.as_str().and_then(|text| text.parse().ok()).ok_or(
                        value_error(
                            "tpm_device",
                            "must be a path such as /dev/tpmrm0, swtpm:/path or swtpm:host:port",
                        ),
                    )?;
                }
                "allowed_domains" => {
                    let domains = texts(value).ok_or(value_error(
                        "allowed_domains",
                        "must be a list of domain names",
                    ))?;
                    config.allowed_domains = domains
                        .iter()
                        .map(|domain| domain.to_ascii_lowercase())
                        .collect();
                }
                "pkcs11_modules" => {
                    let expected = "must be a list of file names, or hold the word p11-kit";
                    let paths = texts(value).ok_or(value_error("pkcs11_modules", expected))?;
                    config.pkcs11_modules = modules(&paths, base);
                }
                "pin_pad" => {
                    config.pin_pad = match value.as_str() {
                        Some("auto") => PinPadRule::Auto,
                        Some("require") => PinPadRule::Require,
                        Some("never") => PinPadRule::Never,
                        _ => return Err(value_error("pin_pad", "must be auto, require or never")),
                    };
                }
                "card_issuers" => {
                    config.card_issuers = texts(value).ok_or(value_error(
                        "card_issuers",
                        "must be a list of the names of authorities",
                    ))?;
                }
                _ => return Err(unknown_key(key)),
            }
        }
        Ok(config)
    }

    /// Where a connection to this host and port goes instead of what DNS says.
    #[must_use]
    pub fn resolved(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let fits = |rule: &&ResolveRule| rule.port == port && rule.host.eq_ignore_ascii_case(host);
        self.resolve.iter().find(fits).map(|rule| rule.target)
    }

    fn read(path: &Path, required: bool) -> Result<Option<Self>, Problem> {
        let invalid = |reason: &dyn std::fmt::Display| {
            Problem::new(Fault::ConfigClientInvalid)
                .with_detail(format!("{}: {reason}.", path.display()))
        };
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() > CONFIG_BYTES_MAX => {
                return Err(invalid(&"the file is too large"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && !required => return Ok(None),
            Err(error) => return Err(invalid(&error)),
        }
        let text = fs::read_to_string(path).map_err(|error| invalid(&error))?;
        let base = path.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, base)
            .map(Some)
            .map_err(|error| invalid(&error))
    }
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    value
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(ToOwned::to_owned))
        .collect()
}

/// The files that a list of modules means, each once.
fn modules(words: &[String], base: &Path) -> Vec<PathBuf> {
    let mut modules: Vec<PathBuf> = Vec::new();
    for word in words {
        let meant = match word.as_str() {
            REGISTERED => lanyard_card::registered_modules(),
            path => vec![base.join(path)],
        };
        for module in meant {
            if !modules.contains(&module) {
                modules.push(module);
            }
        }
    }
    modules
}

fn value_error(key: &'static str, expected: &'static str) -> ConfigError {
    ConfigError::Value { key, expected }
}

fn card_path(text: &str) -> Option<CardPath> {
    match text {
        "auto" => Some(CardPath::Auto),
        "pcsc" => Some(CardPath::Pcsc),
        "socket" => Some(CardPath::Socket),
        _ => None,
    }
}

fn resolve(text: &str) -> Option<ResolveRule> {
    let (from, to) = text.split_once('=')?;
    let (host, port) = from.rsplit_once(':')?;
    let target = match to.parse::<SocketAddr>() {
        Ok(target) => target,
        Err(_) => {
            let (address, port) = to.rsplit_once(':')?;
            SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?)
        }
    };
    let host = host.trim().to_ascii_lowercase();
    (!host.is_empty()).then_some(ResolveRule {
        host,
        port: port.parse().ok()?,
        target,
    })
}

fn unknown_key(key: &str) -> ConfigError {
    let distance = |known: &&&str| strsim::damerau_levenshtein(key, known);
    let nearest = KEYS
        .iter()
        .min_by_key(distance)
        .copied()
        .unwrap_or("trust_anchors");
    ConfigError::UnknownKey {
        key: key.to_owned(),
        nearest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClientConfig, ConfigError> {
        ClientConfig::parse(text, Path::new("/etc/lanyard"))
    }

    #[test]
    fn every_key_is_read() {
        let config = parse(
            "trust_anchors = ['root.pem', '/abs/root.pem']\n\
             resolve = ['Lync.contoso.test:443=127.0.0.1:8443', 'x:1=[::1]:2']\n\
             card_path = 'socket'\ntpm_device = 'swtpm:/run/t.sock'\nallowed_domains = ['Fabrikam.test']\n\
             pkcs11_modules = ['own.so', '/usr/lib/one.so', 'own.so']\npin_pad = 'require'\n\
             card_issuers = ['Contoso Issuing CA']\n",
        )
        .unwrap();
        assert_eq!(config.trust_anchors[0], Path::new("/etc/lanyard/root.pem"));
        assert_eq!(config.trust_anchors[1], Path::new("/abs/root.pem"));
        let target = config.resolved("lync.contoso.test", 443).unwrap();
        assert_eq!(target.to_string(), "127.0.0.1:8443");
        assert_eq!(config.resolved("lync.contoso.test", 444), None);
        assert_eq!(config.card_path, CardPath::Socket);
        assert_eq!(config.tpm_device.to_string(), "swtpm:/run/t.sock");
        assert_eq!(config.allowed_domains, ["fabrikam.test"]);
        let modules = ["/etc/lanyard/own.so", "/usr/lib/one.so"].map(PathBuf::from);
        assert_eq!(config.pkcs11_modules, modules);
        assert_eq!(config.pin_pad, PinPadRule::Require);
        assert_eq!(config.card_issuers, ["Contoso Issuing CA"]);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let error = parse("trust_anchor = []").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no key 'trust_anchor'; the nearest is 'trust_anchors'"
        );
    }

    #[test]
    fn wrong_values_say_what_is_expected() {
        assert!(matches!(
            parse("resolve = ['x']"),
            Err(ConfigError::Value { key: "resolve", .. })
        ));
        assert!(matches!(
            parse("card_path = 3"),
            Err(ConfigError::Value { .. })
        ));
        assert!(matches!(
            parse("\n=x"),
            Err(ConfigError::Syntax { line: 2, .. })
        ));
    }
}
