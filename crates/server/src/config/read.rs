// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a configuration: every fault is named with its line, or with its variable.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError};
use crate::data::{CONFIG_FILE_SYSTEM, DataDir};

/// What variables of the environment begin with: `LANYARD_SECTION__KEY`.
pub const ENVIRONMENT_PREFIX: &str = "LANYARD_";

/// How alike two keys must be (0 to 1) for one to be suggested for the other.
const NEAREST_SIMILARITY_MIN: f64 = 0.6;

/// Every section with its keys. A test compares it with what [`Config`] reads.
const SCHEMA: &[(&str, &[&str])] = &[
    ("server", &["host", "domains", "organisation"]),
    ("listen", &["sip", "https", "card", "http", "metrics"]),
    ("advertise", &["sip", "https", "card", "http"]),
    ("tls", &["certificate", "key"]),
    ("sip", &["legacy_tls_dsk"]),
    (
        "limits",
        &[
            "connections_max",
            "sip_idle_secs",
            "sip_message_bytes_max",
            "sip_registration_secs",
            "sip_association_secs",
            "sip_keep_alive_secs",
            "sip_grace_secs",
            "presence_grace_secs",
            "enrolments_per_minute",
        ],
    ),
    ("log", &["level", "format"]),
];

/// Keys whose value in the environment is a list separated by commas.
const LISTS: &[(&str, &str)] = &[("server", "domains")];

/// The file that is in force: the one named, or the one of the data directory, or the system's.
///
/// # Errors
/// When nothing was named and neither of the two exists.
pub fn find_file(named: Option<&Path>, data: &DataDir) -> Result<PathBuf, ConfigError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let first = data.config_file();
    let second = PathBuf::from(CONFIG_FILE_SYSTEM);
    if first.exists() {
        Ok(first)
    } else if second.exists() {
        Ok(second)
    } else {
        Err(ConfigError::Missing { first, second })
    }
}

/// Reads a file and the environment of this process.
///
/// # Errors
/// When the file cannot be read or something in it, or in the environment, is wrong.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_from(path, &text, variables)
}

/// Reads a text, with these variables of the environment over it.
///
/// # Errors
/// When something in either is wrong.
pub fn load_from(
    path: &Path,
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let line_fault = |error: &toml::de::Error| ConfigError::Line {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: error.message().to_owned(),
    };

    let mut known = Vec::new();
    for (name, value) in variables {
        if let Some(key) = key_of_variable(&name)? {
            known.push((name, key, value));
        }
    }
    let variables = known;
    let mut document = DeTable::parse(text).map_err(|error| line_fault(&error))?;
    refuse_unknown(path, text, document.get_ref())?;

    // Values of the environment get positions behind the end of the text, so that a fault found
    // there is known to come from the n-th variable.
    let behind = text.len() + 1;
    for (nth, (_, (section, key), value)) in variables.iter().enumerate() {
        let (section, key) = (*section, *key);
        let at = behind + nth;
        let value = variable_value((section, key), value, at);
        let table = document
            .get_mut()
            .entry(Spanned::new(at..at, Cow::Borrowed(section)))
            .or_insert_with(|| Spanned::new(at..at, DeValue::Table(DeTable::new())));
        if let DeValue::Table(table) = table.get_mut() {
            let key: Spanned<Cow<'_, str>> = Spanned::new(at..at, Cow::Borrowed(key));
            table.remove(&key);
            table.insert(key, Spanned::new(at..at, value));
        }
    }

    let config = Config::deserialize(toml::Deserializer::from(document)).map_err(|error| {
        let variable = error
            .span()
            .and_then(|span| span.start.checked_sub(behind))
            .and_then(|nth| variables.get(nth));
        match variable {
            Some((name, ..)) => ConfigError::Variable {
                name: name.clone(),
                message: error.message().to_owned(),
            },
            None => line_fault(&error),
        }
    })?;
    check(&config)?;
    Ok(config)
}

/// What serde cannot see: values that are well formed and still cannot be.
fn check(config: &Config) -> Result<(), ConfigError> {
    let refuse = |key, reason| Err(ConfigError::Value { key, reason });
    if config.server.domains.is_empty() {
        return refuse("server.domains", "at least one domain must live here");
    }
    if !config.listen.metrics.ip().is_loopback() {
        return refuse(
            "listen.metrics",
            "metrics and health are for this computer only: use a loopback address",
        );
    }
    let limits = &config.limits;
    if limits.connections_max == 0 {
        return refuse(
            "limits.connections_max",
            "at least one connection must be possible",
        );
    }
    if !(30..=86_400).contains(&limits.sip_idle_secs) {
        return refuse("limits.sip_idle_secs", "choose 30 to 86400 seconds");
    }
    if !(4096..=16 * 1024 * 1024).contains(&limits.sip_message_bytes_max) {
        return refuse(
            "limits.sip_message_bytes_max",
            "choose 4096 to 16777216 bytes",
        );
    }
    if !(40..=7_200).contains(&limits.sip_registration_secs) {
        return refuse("limits.sip_registration_secs", "choose 40 to 7200 seconds");
    }
    if !(10..=86_400).contains(&limits.sip_association_secs) {
        return refuse("limits.sip_association_secs", "choose 10 to 86400 seconds");
    }
    if !(5..=600).contains(&limits.sip_keep_alive_secs) {
        return refuse("limits.sip_keep_alive_secs", "choose 5 to 600 seconds");
    }
    if !(5..=600).contains(&limits.presence_grace_secs) {
        return refuse("limits.presence_grace_secs", "choose 5 to 600 seconds");
    }
    if limits.sip_grace_secs > 600 {
        return refuse("limits.sip_grace_secs", "choose 0 to 600 seconds");
    }
    if limits.enrolments_per_minute == 0 {
        return refuse(
            "limits.enrolments_per_minute",
            "at least one try must be possible",
        );
    }
    if tracing_subscriber::EnvFilter::try_new(&config.log.level).is_err() {
        return refuse(
            "log.level",
            "choose error, warn, info, debug or trace, or directives such as info,lanyard_server=debug",
        );
    }
    Ok(())
}

fn refuse_unknown(path: &Path, text: &str, document: &DeTable<'_>) -> Result<(), ConfigError> {
    let unknown = |key: &Spanned<Cow<'_, str>>, written: String, nearest| ConfigError::UnknownKey {
        path: path.to_owned(),
        line: line_of(text, key.span().start),
        key: written,
        nearest,
    };
    for (section, value) in document {
        let name: &str = section.get_ref();
        let Some((_, keys)) = SCHEMA.iter().find(|(known, _)| *known == name) else {
            // A key that was written without its section is likelier than a new section.
            let nearest = nearest_section(name).or_else(|| nearest_key(name, None));
            return Err(unknown(section, name.to_owned(), nearest));
        };
        let DeValue::Table(table) = value.get_ref() else {
            continue;
        };
        for key in table.keys() {
            let written: &str = key.get_ref();
            if !keys.contains(&written) {
                let nearest = nearest_key(written, Some(name));
                return Err(unknown(key, format!("{name}.{written}"), nearest));
            }
        }
    }
    Ok(())
}

/// The key that a variable names; `None` for variables that are none of ours.
fn key_of_variable(name: &str) -> Result<Option<(&'static str, &'static str)>, ConfigError> {
    let Some((section, key)) = name
        .strip_prefix(ENVIRONMENT_PREFIX)
        .and_then(|rest| rest.split_once("__"))
    else {
        return Ok(None);
    };
    let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
    for (known, keys) in SCHEMA {
        if *known == section
            && let Some(found) = keys.iter().find(|candidate| **candidate == key)
        {
            return Ok(Some((known, found)));
        }
    }
    let nearest = nearest_of(
        &format!("{section}.{key}"),
        SCHEMA
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}"))),
    );
    let nearest = nearest.map(|key| {
        format!(
            "{ENVIRONMENT_PREFIX}{}",
            key.replace('.', "__").to_ascii_uppercase()
        )
    });
    Err(ConfigError::UnknownVariable {
        name: name.to_owned(),
        nearest,
    })
}

/// The value of a variable: a TOML value where it is one, else the text itself. Every position in
/// it becomes that of its variable.
fn variable_value<'v>(key: (&str, &str), text: &'v str, at: usize) -> DeValue<'v> {
    if LISTS.contains(&key) && !text.trim_start().starts_with('[') {
        let items = text.split(',');
        return DeValue::Array(
            items
                .map(|item| Spanned::new(at..at, DeValue::String(item.trim().into())))
                .collect(),
        );
    }
    match DeValue::parse(text).map(Spanned::into_inner) {
        Ok(DeValue::Array(items)) => DeValue::Array(
            items
                .into_iter()
                .map(|item| Spanned::new(at..at, item.into_inner()))
                .collect(),
        ),
        Ok(value) => value,
        Err(_) => DeValue::String(text.into()),
    }
}

/// The known key nearest to the one written, with its section unless that is the same.
fn nearest_key(written: &str, section: Option<&str>) -> Option<String> {
    if let Some(section) = section {
        let keys = SCHEMA
            .iter()
            .filter(|(known, _)| *known == section)
            .flat_map(|(_, keys)| *keys);
        if let Some(nearest) = nearest_of(written, keys.map(ToString::to_string)) {
            return Some(nearest);
        }
    }
    // Perhaps the right key in the wrong section.
    let all = SCHEMA
        .iter()
        .flat_map(|(section, keys)| keys.iter().map(move |key| (*section, *key)));
    let (section, key) = all
        .map(|pair| (strsim::jaro_winkler(pair.1, written), pair))
        .filter(|(similarity, _)| *similarity >= NEAREST_SIMILARITY_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))?
        .1;
    Some(format!("{section}.{key}"))
}

fn nearest_section(written: &str) -> Option<String> {
    let nearest = nearest_of(
        written,
        SCHEMA.iter().map(|(section, _)| (*section).to_owned()),
    )?;
    // Otherwise every short word would be "like" a section.
    (strsim::jaro_winkler(&nearest, written) >= 0.8).then_some(nearest)
}

fn nearest_of(written: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|known| (strsim::jaro_winkler(&known, written), known))
        .filter(|(similarity, _)| *similarity >= NEAREST_SIMILARITY_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "[server]\nhost = \"lync.contoso.test\"\ndomains = [\"contoso.test\"]\n";

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        load_from(Path::new("server.toml"), text, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn the_smallest_configuration_has_the_usual_ports() {
        let config = read(SMALLEST, &[]).unwrap();
        assert_eq!(config.listen.sip.port(), 5061);
        assert_eq!((config.https_port(), config.card_port()), (443, 49443));
        assert_eq!(config.listen.metrics.to_string(), "127.0.0.1:9464");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
        let text =
            format!("{SMALLEST}\n[listen]\nsip = \"0.0.0.0:5061\"\nhtps = \"0.0.0.0:443\"\n");
        assert_eq!(
            read(&text, &[]).unwrap_err(),
            "server.toml, line 7: unknown key 'listen.htps'; did you mean 'https'?"
        );
        let text = format!("{SMALLEST}[lisen]\n");
        assert_eq!(
            read(&text, &[]).unwrap_err(),
            "server.toml, line 4: unknown key 'lisen'; did you mean 'listen'?"
        );
        let text = format!("host = \"x.test\"\n{SMALLEST}");
        assert_eq!(
            read(&text, &[]).unwrap_err(),
            "server.toml, line 1: unknown key 'host'; did you mean 'server.host'?"
        );
    }

    #[test]
    fn the_environment_overrides_single_keys() {
        let config = read(
            SMALLEST,
            &[
                ("LANYARD_LISTEN__SIP", "127.0.0.1:15061"),
                ("LANYARD_SERVER__DOMAINS", "a.test, b.test"),
                ("LANYARD_LIMITS__SIP_IDLE_SECS", "60"),
                ("LANYARD_LOG__FORMAT", "json"),
                ("LANYARD_DATA", "/elsewhere"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(config.listen.sip.to_string(), "127.0.0.1:15061");
        assert_eq!(config.server.domains.len(), 2);
        assert_eq!(config.limits.sip_idle_secs, 60);
        assert_eq!(config.log.format, super::super::LogFormat::Json);
    }

    #[test]
    fn the_environment_can_stand_in_for_the_file() {
        let config = read(
            "",
            &[
                ("LANYARD_SERVER__HOST", "h.x.test"),
                ("LANYARD_SERVER__DOMAINS", "x.test"),
            ],
        );
        assert_eq!(config.unwrap().server.host.as_str(), "h.x.test");
    }

    #[test]
    fn faults_of_the_environment_name_the_variable() {
        assert_eq!(
            read(SMALLEST, &[("LANYARD_LISTEN__SIPS", "x")]).unwrap_err(),
            "unknown environment variable 'LANYARD_LISTEN__SIPS'; did you mean 'LANYARD_LISTEN__SIP'?"
        );
        let error = read(SMALLEST, &[("LANYARD_LISTEN__SIP", "nowhere")]).unwrap_err();
        assert!(
            error.starts_with("environment variable LANYARD_LISTEN__SIP: "),
            "{error}"
        );
    }

    #[test]
    fn faults_of_the_file_name_the_line() {
        let error = read("[server]\nhost = \"a.test\"\ndomains = 7\n", &[]).unwrap_err();
        assert!(error.starts_with("server.toml, line 3: "), "{error}");
        let error = read("[server]\nhost = \"lync..test\"\n", &[]).unwrap_err();
        assert!(
            error.starts_with("server.toml, line 2: ") && error.contains("domain name"),
            "{error}"
        );
        let error = read("[server\n", &[]).unwrap_err();
        assert!(error.starts_with("server.toml, line 1: "), "{error}");
        let error = read("[server]\nhost = \"a.test\"\n", &[]).unwrap_err();
        assert!(error.contains("missing field `domains`"), "{error}");
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        let error = read(SMALLEST, &[("LANYARD_LISTEN__METRICS", "0.0.0.0:9464")]).unwrap_err();
        assert!(error.contains("loopback"), "{error}");
        let error = read(SMALLEST, &[("LANYARD_LOG__LEVEL", "=chatty=")]).unwrap_err();
        assert!(error.starts_with("log.level: "), "{error}");
        let error = read(SMALLEST, &[("LANYARD_LIMITS__SIP_IDLE_SECS", "29")]).unwrap_err();
        assert!(error.starts_with("limits.sip_idle_secs: "), "{error}");
    }

    #[test]
    fn the_schema_names_exactly_the_keys_that_are_read() {
        let full = Config {
            server: super::super::Server {
                host: "h.x.test".parse().unwrap(),
                domains: vec!["x.test".parse().unwrap()],
                organisation: Some("X".into()),
            },
            listen: Default::default(),
            advertise: super::super::Advertise {
                sip: Some(1),
                https: Some(2),
                card: Some(3),
                http: Some(4),
            },
            tls: Default::default(),
            sip: Default::default(),
            limits: Default::default(),
            log: Default::default(),
        };
        let written = toml::Table::try_from(&full).unwrap();
        for (section, keys) in SCHEMA {
            let mut written: Vec<&str> = written[*section]
                .as_table()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let mut keys = keys.to_vec();
            written.sort_unstable();
            keys.sort_unstable();
            assert_eq!(written, keys, "{section}");
        }
        assert_eq!(written.len(), SCHEMA.len());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,120}", value in "\\PC{0,20}") {
            let _ = read(&text, &[]);
            let _ = read(SMALLEST, &[("LANYARD_SERVER__HOST", value.as_str())]);
        }
    }
}
