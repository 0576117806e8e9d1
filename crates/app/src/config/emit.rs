//! The `emit` section: who is told of incidents, and how.
//!
//! Pure.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use proreus_doctor::Severity;
use proreus_doctor::emission::{EndpointRules, RetryRules, Selection};
use proreus_emit::{Address, SecretFile, Target, checked_url};
use serde::Deserialize;

use super::ConfigError;

/// Endpoints at most: each is a task and a position in the journal.
const ENDPOINTS_LIMIT: usize = 32;
/// Longest name of an endpoint: it goes into keys, metrics and the journal.
const MAX_NAME: usize = 63;
/// Seconds for one answer when nothing is said: slow receivers take a few.
const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
/// Longest wait for one answer that can be asked for.
const MAX_TIMEOUT_SECONDS: u32 = 120;
/// How often an Alertmanager hears of an open incident, when nothing is said: as Prometheus does it, well within its five minutes.
const ALERTMANAGER_REPEAT_SECONDS: u32 = 60;
/// How often an Event is brought up to date, when nothing is said: the API server forgets Events after an hour.
const EVENT_REPEAT_SECONDS: u32 = 1_800;
/// Shortest repetition that can be asked for: anything less is noise.
const MIN_REPEAT_SECONDS: u32 = 10;
/// Alerts in one request.
const ALERTS_AT_ONCE: usize = 64;

/// `emit` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmitSection {
    /// Where people reach this Proreus, for links.
    pub external_url: Option<String>,
    /// Who is told.
    pub endpoints: Vec<EndpointEntry>,
}

/// What kind of receiver it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointType {
    /// The incident as JSON.
    Webhook,
    /// Alertmanager's API v2.
    Alertmanager,
    /// Sentinel's intake.
    Sentinel,
    /// Events on the objects concerned.
    KubernetesEvents,
}

/// One endpoint as it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EndpointEntry {
    /// What it is called, in metrics, logs and the journal.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Option<EndpointType>,
    /// Where it is.
    pub url: Option<String>,
    /// A file that says where it is, where that is a secret.
    pub url_file: Option<String>,
    /// From this severity on.
    pub min_severity: Option<Severity>,
    /// Of these checks.
    pub checks: Vec<String>,
    /// About objects in these namespaces.
    pub namespaces: Vec<String>,
    /// In these clusters.
    pub clusters: Vec<String>,
    /// Whether the end is told.
    pub send_resolved: Option<bool>,
    /// How often an open incident is told again; 0 for never.
    pub repeat_seconds: Option<u32>,
    /// Longest wait for an answer.
    pub timeout_seconds: Option<u32>,
    /// How long a notice is tried.
    pub give_up_after_seconds: Option<u32>,
    /// Token for `Authorization: Bearer`.
    pub bearer_token_file: Option<String>,
    /// Key for `x-api-key`.
    pub api_key_file: Option<String>,
    /// Secret that signs requests.
    pub signing_secret_file: Option<String>,
    /// PEM authorities to trust.
    pub ca_file: Option<String>,
}

/// Who is told, parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmitSettings {
    /// Where people reach this Proreus.
    pub external_url: Option<String>,
    /// The endpoints, by the order of the file.
    pub endpoints: Vec<EndpointSettings>,
}

/// One endpoint, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSettings {
    /// Its name.
    pub name: String,
    /// What it is and where.
    pub receiver: Receiver,
    /// What it is told, and how often.
    pub rules: EndpointRules,
}

/// What an endpoint is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A webhook.
    Webhook(Target),
    /// An Alertmanager.
    Alertmanager(Target),
    /// Sentinel's intake.
    Sentinel(Target),
    /// The API servers of the watched clusters.
    KubernetesEvents,
}

/// Where a refusal is, and what is allowed there.
struct Place<'a> {
    origin: &'a str,
    index: usize,
}

impl Place<'_> {
    fn refuse(&self, key: &str, problem: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        let key = format!("emit.endpoints[{}].{key}", self.index);
        ConfigError { origin: self.origin.to_owned(), key, problem: problem.into(), hint: hint.into() }
    }
}

/// Parses the section.
///
/// # Errors
/// The first value that will not do, by its key, with what is allowed.
pub(super) fn resolve_emit(origin: &str, section: EmitSection) -> Result<EmitSettings, ConfigError> {
    let whole = |key: &str, problem: String, hint: &str| ConfigError {
        origin: origin.to_owned(),
        key: key.to_owned(),
        problem,
        hint: hint.to_owned(),
    };
    if section.endpoints.len() > ENDPOINTS_LIMIT {
        let problem = format!("holds {} endpoints", section.endpoints.len());
        return Err(whole("emit.endpoints", problem, &format!("give at most {ENDPOINTS_LIMIT}")));
    }
    if let Some(url) = &section.external_url {
        checked_url(url).map_err(|error| whole("emit.externalUrl", error.to_string(), "write https://proreus.example.com"))?;
    }
    let mut names = BTreeSet::new();
    let mut endpoints = Vec::new();
    for (index, entry) in section.endpoints.into_iter().enumerate() {
        let place = Place { origin, index };
        let endpoint = endpoint(&place, entry)?;
        if !names.insert(endpoint.name.clone()) {
            return Err(place.refuse("name", format!("`{}` is the name of two endpoints", endpoint.name), "give each a name of its own"));
        }
        endpoints.push(endpoint);
    }
    Ok(EmitSettings { external_url: section.external_url, endpoints })
}

fn endpoint(place: &Place<'_>, entry: EndpointEntry) -> Result<EndpointSettings, ConfigError> {
    let is_word = |name: &str| {
        let inner = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        inner && (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
    };
    if !is_word(&entry.name) {
        let hint = format!("lower-case letters, digits and `-`, at most {MAX_NAME}, such as `pager`");
        return Err(place.refuse("name", format!("`{}` is no name", entry.name), hint));
    }
    let Some(kind) = entry.kind else {
        return Err(place.refuse("type", "is not set", "write webhook, alertmanager, sentinel or kubernetesEvents"));
    };
    Ok(EndpointSettings { rules: rules(place, kind, &entry)?, receiver: receiver(place, kind, &entry)?, name: entry.name })
}

fn rules(place: &Place<'_>, kind: EndpointType, entry: &EndpointEntry) -> Result<EndpointRules, ConfigError> {
    for (index, id) in entry.checks.iter().enumerate() {
        if proreus_doctor::checks::by_id(id).is_none() {
            return Err(place.refuse(&format!("checks[{index}]"), format!("`{id}` is no check"), "`proreus explain` lists every check"));
        }
    }
    let repeat = match (kind, entry.repeat_seconds) {
        (EndpointType::Alertmanager, None) => Some(ALERTMANAGER_REPEAT_SECONDS),
        (EndpointType::KubernetesEvents, None) => Some(EVENT_REPEAT_SECONDS),
        (EndpointType::Alertmanager, Some(0)) => {
            let hint = "an Alertmanager takes what it does not hear of for resolved; leave it out, or give seconds";
            return Err(place.refuse("repeatSeconds", "is 0", hint));
        }
        (_, None | Some(0)) => None,
        (_, Some(seconds)) if seconds < MIN_REPEAT_SECONDS => {
            let hint = format!("give at least {MIN_REPEAT_SECONDS}, or 0 for never");
            return Err(place.refuse("repeatSeconds", format!("`{seconds}` is too short"), hint));
        }
        (_, Some(seconds)) => Some(seconds),
    };
    let mut retry = RetryRules::default();
    if let Some(seconds) = entry.give_up_after_seconds {
        retry.give_up_after = SignedDuration::from_secs(seconds.into());
    }
    let is_alertmanager = kind == EndpointType::Alertmanager;
    Ok(EndpointRules {
        selection: Selection {
            min_severity: entry.min_severity.unwrap_or(Severity::Warning),
            checks: entry.checks.clone(),
            namespaces: entry.namespaces.clone(),
            clusters: entry.clusters.clone(),
        },
        send_resolved: entry.send_resolved.unwrap_or(true),
        repeat: repeat.map(|seconds| SignedDuration::from_secs(seconds.into())),
        keeps_alive: is_alertmanager,
        batch: if is_alertmanager { ALERTS_AT_ONCE } else { 1 },
        retry,
    })
}

fn receiver(place: &Place<'_>, kind: EndpointType, entry: &EndpointEntry) -> Result<Receiver, ConfigError> {
    let foreign = |key: &str, value: &Option<String>, fits: bool| match value {
        Some(_) if !fits => Err(place.refuse(key, "is for another type of endpoint", "take it out, or set `type` to what is meant")),
        _ => Ok(()),
    };
    let is_http = kind != EndpointType::KubernetesEvents;
    foreign("url", &entry.url, is_http)?;
    foreign("urlFile", &entry.url_file, is_http)?;
    foreign("bearerTokenFile", &entry.bearer_token_file, is_http)?;
    foreign("caFile", &entry.ca_file, is_http)?;
    foreign("apiKeyFile", &entry.api_key_file, kind == EndpointType::Sentinel)?;
    foreign("signingSecretFile", &entry.signing_secret_file, kind == EndpointType::Webhook)?;
    let suffix = match kind {
        EndpointType::KubernetesEvents => return Ok(Receiver::KubernetesEvents),
        EndpointType::Webhook => None,
        EndpointType::Alertmanager => Some("/api/v2/alerts"),
        EndpointType::Sentinel => Some("/events"),
    };
    let target = target(place, entry, suffix)?;
    Ok(match kind {
        EndpointType::Webhook => Receiver::Webhook(target),
        EndpointType::Alertmanager => Receiver::Alertmanager(target),
        EndpointType::Sentinel => Receiver::Sentinel(target),
        EndpointType::KubernetesEvents => Receiver::KubernetesEvents,
    })
}

fn target(place: &Place<'_>, entry: &EndpointEntry, suffix: Option<&str>) -> Result<Target, ConfigError> {
    let address = match (&entry.url, &entry.url_file) {
        (Some(_), Some(_)) => return Err(place.refuse("urlFile", "is set beside `url`", "keep one of them")),
        (None, None) => return Err(place.refuse("url", "is not set", "write http://host:port/path, or set urlFile")),
        (None, Some(path)) => Address::File(SecretFile(PathBuf::from(path))),
        (Some(text), None) => {
            let hint = "write http:// or https:// with a host; passwords and tokens belong into bearerTokenFile or urlFile";
            let mut url = checked_url(text).map_err(|error| place.refuse("url", error.to_string(), hint))?;
            if let Some(suffix) = suffix.filter(|suffix| !url.path().ends_with(suffix)) {
                let path = format!("{}{suffix}", url.path().trim_end_matches('/'));
                url.set_path(&path);
            }
            Address::Plain(url)
        }
    };
    let timeout = entry.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    if !(1..=MAX_TIMEOUT_SECONDS).contains(&timeout) {
        let hint = format!("give a whole number from 1 to {MAX_TIMEOUT_SECONDS}");
        return Err(place.refuse("timeoutSeconds", format!("`{timeout}` is out of range"), hint));
    }
    let secret = |path: &Option<String>| path.as_ref().map(|path| SecretFile(PathBuf::from(path)));
    Ok(Target {
        address,
        timeout: Duration::from_secs(timeout.into()),
        ca_file: entry.ca_file.as_ref().map(PathBuf::from),
        bearer_token: secret(&entry.bearer_token_file),
        api_key: secret(&entry.api_key_file),
        signing_secret: secret(&entry.signing_secret_file),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, parse_file, resolve};
    use super::*;

    fn settle(yaml: &str) -> Result<EmitSettings, String> {
        let file = parse_file("f.yaml", yaml).map_err(|error| error.to_string())?;
        let settings = resolve(Some(("f.yaml", file)), &Overrides::default(), &Overrides::default());
        settings.map(|settings| settings.emit).map_err(|error| error.to_string())
    }

    fn refusal(endpoint: &str) -> String {
        settle(&format!("emit:\n  endpoints:\n  - {{{endpoint}}}\n")).err().unwrap_or_else(|| "accepted".to_owned())
    }

    #[test]
    fn nobody_is_told_unless_the_configuration_says_so() {
        assert_eq!(settle("{}"), Ok(EmitSettings::default()));
    }

    #[test]
    fn fills_in_what_each_kind_of_receiver_needs() {
        let yaml = "emit:\n  externalUrl: https://p.example.com\n  endpoints:\n\
            \x20 - {name: am, type: alertmanager, url: 'http://am:9093/prefix/'}\n\
            \x20 - {name: am2, type: alertmanager, url: 'http://am:9093/api/v2/alerts'}\n\
            \x20 - {name: sentinel, type: sentinel, url: 'http://ingest:8081', apiKeyFile: /k}\n\
            \x20 - {name: hook, type: webhook, url: 'http://hook/?a=1', minSeverity: critical, sendResolved: false}\n\
            \x20 - {name: events, type: kubernetesEvents}\n";
        let settings = settle(yaml).expect("settled");
        let path = |index: usize| match &settings.endpoints[index].receiver {
            Receiver::Webhook(target) | Receiver::Alertmanager(target) | Receiver::Sentinel(target) => match &target.address {
                Address::Plain(url) => url.to_string(),
                Address::File(_) => "(file)".to_owned(),
            },
            Receiver::KubernetesEvents => "(cluster)".to_owned(),
        };
        let paths: Vec<String> = (0..5).map(path).collect();
        assert_eq!(
            paths,
            [
                "http://am:9093/prefix/api/v2/alerts",
                "http://am:9093/api/v2/alerts",
                "http://ingest:8081/events",
                "http://hook/?a=1",
                "(cluster)"
            ]
        );
        let rules: Vec<(Option<i64>, bool, usize)> = settings
            .endpoints
            .iter()
            .map(|endpoint| (endpoint.rules.repeat.map(|repeat| repeat.as_secs()), endpoint.rules.keeps_alive, endpoint.rules.batch))
            .collect();
        assert_eq!(rules, [(Some(60), true, 64), (Some(60), true, 64), (None, false, 1), (None, false, 1), (Some(1_800), false, 1)]);
        assert!(!settings.endpoints[3].rules.send_resolved);
    }

    #[test]
    fn names_the_key_and_the_finding_of_what_will_not_do() {
        let tried = [
            ("type: webhook, url: 'http://a'", "f.yaml: `emit.endpoints[0].name`: `` is no name"),
            ("name: A b, type: webhook, url: 'http://a'", "f.yaml: `emit.endpoints[0].name`: `A b` is no name"),
            ("name: a, url: 'http://a'", "f.yaml: `emit.endpoints[0].type`: is not set"),
            ("name: a, type: webhook", "f.yaml: `emit.endpoints[0].url`: is not set"),
            ("name: a, type: webhook, url: 'a:b@c'", "f.yaml: `emit.endpoints[0].url`: is no http or https URL"),
            ("name: a, type: webhook, url: 'http://u:hunter2@c'", "f.yaml: `emit.endpoints[0].url`: has a user or a password in it"),
            ("name: a, type: kubernetesEvents, url: 'http://a'", "f.yaml: `emit.endpoints[0].url`: is for another type of endpoint"),
            (
                "name: a, type: webhook, url: 'http://a', apiKeyFile: /k",
                "f.yaml: `emit.endpoints[0].apiKeyFile`: is for another type of endpoint",
            ),
            ("name: a, type: webhook, url: 'http://a', repeatSeconds: 3", "f.yaml: `emit.endpoints[0].repeatSeconds`: `3` is too short"),
            ("name: a, type: alertmanager, url: 'http://a', repeatSeconds: 0", "f.yaml: `emit.endpoints[0].repeatSeconds`: is 0"),
            (
                "name: a, type: webhook, url: 'http://a', timeoutSeconds: 0",
                "f.yaml: `emit.endpoints[0].timeoutSeconds`: `0` is out of range",
            ),
            (
                "name: a, type: webhook, url: 'http://a', checks: [nonsense]",
                "f.yaml: `emit.endpoints[0].checks[0]`: `nonsense` is no check",
            ),
        ];
        for (endpoint, said) in tried {
            assert_eq!(refusal(endpoint), said);
        }
        assert!(
            refusal("name: a, type: pager")
                .starts_with("f.yaml: `emit.endpoints[0].type`: unknown variant `pager`, expected one of `webhook`")
        );
        let twice = settle("emit: {endpoints: [{name: a, type: kubernetesEvents}, {name: a, type: kubernetesEvents}]}\n");
        assert_eq!(twice, Err("f.yaml: `emit.endpoints[1].name`: `a` is the name of two endpoints".to_owned()));
    }
}
