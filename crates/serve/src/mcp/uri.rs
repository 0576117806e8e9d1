//! Addresses of resources, and what they may carry.
//!
//! Pure. Invariant: whatever cannot be read is refused with a sentence that says what can.

use std::time::Duration;

use proreus_app::monitors::{MonitorCursor, MonitorName};
use proreus_app::pod_logs::{DEFAULT_LOG_LINES, LogQuestion, WantedLog};

use super::refusal::Refusal;

/// Longest address that is read: two names of 253 characters, a cursor, and the rest.
const MAX_URI_BYTES: usize = 2_048;
/// Longest name of a Kubernetes object.
const MAX_NAME_BYTES: usize = 253;

/// What an address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A cluster that is being made.
    Monitor {
        /// Which.
        name: MonitorName,
        /// How long a subscription lasts.
        timeout: Option<Duration>,
        /// Whether to wait for one that does not exist yet.
        waits: bool,
        /// The update to go on after.
        after: Option<MonitorCursor>,
    },
    /// The Events of a namespace.
    Events {
        /// Which.
        namespace: String,
    },
    /// The log of a container.
    PodLogs(WantedLog),
    /// Changes in a namespace, as the older service gave them.
    AuditEvents {
        /// Which.
        namespace: String,
        /// Of this type only, as a lower-case plural.
        resource: Option<String>,
    },
    /// Changes in a range, as the older service gave them.
    AuditChanges {
        /// How far back.
        range: Duration,
    },
    /// Changes of a node, as the older service gave them.
    AuditNode {
        /// Which.
        name: String,
    },
}

/// What the addresses look like, for refusals.
const FORMS: &str = "write k0rdent://cluster-monitor/NAMESPACE/NAME, k0rdent://events/NAMESPACE, k0rdent://podlogs/NAMESPACE/POD/CONTAINER (or the same with \
                     proreus://), audit://events/NAMESPACE, audit://changes/1h or audit://node-events/NODE";

impl Address {
    /// Reads an address.
    pub(crate) fn read(uri: &str) -> Result<Self, Refusal> {
        if uri.len() > MAX_URI_BYTES {
            return Err(refused("the resource's address is too long", format!("{FORMS}; at most {MAX_URI_BYTES} bytes")));
        }
        let (scheme, rest) = uri.split_once("://").ok_or_else(|| refused(format!("`{uri}` is no address of a resource"), FORMS))?;
        let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, query)| (path, query));
        let mut parts: Vec<&str> = path.split('/').collect();
        // `events/shop/` is `events/shop`.
        if parts.last().is_some_and(|last| last.is_empty()) {
            parts.pop();
        }
        let host = parts.first().map(|host| host.to_ascii_lowercase()).unwrap_or_default();
        let names = parts.get(1..).unwrap_or_default();
        for name in names {
            check_name(uri, name)?;
        }
        match scheme.to_ascii_lowercase().as_str() {
            "k0rdent" | "proreus" => Self::of_cluster(uri, &host, names, query),
            "audit" => Self::of_audit(uri, &host, names),
            _ => Err(refused(format!("unsupported subscription scheme `{scheme}`"), FORMS)),
        }
    }

    fn of_cluster(uri: &str, host: &str, names: &[&str], query: &str) -> Result<Self, Refusal> {
        match (host, names) {
            ("cluster-monitor", [namespace, name]) => monitor(namespace, name, query),
            ("events", [namespace]) => no_query(uri, query).map(|()| Self::Events { namespace: (*namespace).to_owned() }),
            ("podlogs", [namespace, pod, container]) => cluster_of(uri, query).map(|cluster| {
                let log = LogQuestion {
                    namespace: (*namespace).to_owned(),
                    pod: (*pod).to_owned(),
                    container: Some((*container).to_owned()),
                    tail_lines: DEFAULT_LOG_LINES,
                    ..LogQuestion::default()
                };
                Self::PodLogs(WantedLog { cluster, log })
            }),
            ("cluster-monitor" | "events" | "podlogs", _) => Err(refused(format!("`{uri}` has too few or too many names"), FORMS)),
            _ => Err(refused(format!("no subscription handler registered for `{host}`"), FORMS)),
        }
    }

    fn of_audit(uri: &str, host: &str, names: &[&str]) -> Result<Self, Refusal> {
        match (host, names) {
            ("events", [namespace]) => Ok(Self::AuditEvents { namespace: (*namespace).to_owned(), resource: None }),
            ("events", [namespace, resource]) => {
                Ok(Self::AuditEvents { namespace: (*namespace).to_owned(), resource: Some((*resource).to_owned()) })
            }
            ("changes", []) => Ok(Self::AuditChanges { range: DAY }),
            ("changes", [range]) => audit_range(range).map(|range| Self::AuditChanges { range }),
            ("node-events", [name]) => Ok(Self::AuditNode { name: (*name).to_owned() }),
            _ => Err(refused(format!("`{uri}` is no address of a resource"), FORMS)),
        }
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn audit_range(text: &str) -> Result<Duration, Refusal> {
    match text {
        "1h" => Ok(HOUR),
        "24h" => Ok(DAY),
        "7d" => Ok(7 * DAY),
        _ => Err(refused(
            format!("`{text}` is no range of this resource"),
            "write audit://changes/1h, audit://changes/24h or audit://changes/7d",
        )),
    }
}

fn refused(problem: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal::argument(problem, hint)
}

fn no_query(uri: &str, query: &str) -> Result<(), Refusal> {
    if query.is_empty() {
        Ok(())
    } else {
        Err(refused(format!("`{uri}` carries `?{query}`"), "this resource takes nothing behind a question mark"))
    }
}

/// The one thing that the address of a log may carry.
fn cluster_of(uri: &str, query: &str) -> Result<Option<String>, Refusal> {
    let mut cluster = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key != "cluster" {
            return Err(refused(format!("`{uri}` carries `{key}`"), "this resource takes cluster alone behind a question mark"));
        }
        cluster = Some(value.into_owned()).filter(|word| !word.is_empty());
    }
    Ok(cluster)
}

fn check_name(uri: &str, name: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    match name.bytes().all(fits) && (1..=MAX_NAME_BYTES).contains(&name.len()) {
        true => Ok(()),
        false => Err(refused(format!("`{uri}` holds `{name}`, which names nothing in Kubernetes"), FORMS)),
    }
}

fn monitor(namespace: &str, name: &str, query: &str) -> Result<Address, Refusal> {
    let (mut timeout, mut waits, mut after, mut cluster) = (None, false, None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "timeout" => {
                let seconds: u64 = value.parse().map_err(|_| {
                    refused(format!("invalid timeout `{value}`"), "give whole seconds, such as timeout=3600; without it 60 minutes")
                })?;
                timeout = Some(Duration::from_secs(seconds));
            }
            "await" => {
                waits = match value.as_ref() {
                    "true" | "" => true,
                    "false" => false,
                    _ => {
                        return Err(refused(
                            format!("`await` is `{value}`"),
                            "give await=true to wait for a cluster that does not exist yet",
                        ));
                    }
                };
            }
            "cluster" => cluster = Some(value.into_owned()).filter(|word| !word.is_empty()),
            "cursor" => after = super::tools::monitor_cursor(Some(value.as_ref()))?,
            other => return Err(refused(format!("`{other}` is not known to this resource"), "give timeout, await, cluster or cursor")),
        }
    }
    let name = MonitorName { cluster, namespace: namespace.to_owned(), name: name.to_owned() };
    Ok(Address::Monitor { name, timeout, waits, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Result<Address, String> {
        Address::read(uri).map_err(|refusal| match refusal {
            Refusal::Told { problem, .. } => problem,
            Refusal::Protocol(error) => error.message,
        })
    }

    #[test]
    fn reads_monitors_by_either_scheme_with_all_they_may_carry() {
        let name = MonitorName { cluster: Some("eu".to_owned()), namespace: "kcm-system".to_owned(), name: "prod".to_owned() };
        let expected = Address::Monitor { name, timeout: Some(Duration::from_secs(120)), waits: true, after: None };
        for scheme in ["k0rdent", "proreus", "K0RDENT"] {
            assert_eq!(
                read(&format!("{scheme}://cluster-monitor/kcm-system/prod?timeout=120&await=true&cluster=eu")),
                Ok(expected.clone())
            );
        }
        assert!(matches!(read("k0rdent://Cluster-Monitor/a/b"), Ok(Address::Monitor { timeout: None, waits: false, .. })));
    }

    #[test]
    fn reads_the_other_resources() {
        assert_eq!(read("k0rdent://events/shop"), Ok(Address::Events { namespace: "shop".to_owned() }));
        let Ok(Address::PodLogs(wanted)) = read("proreus://podlogs/shop/web-1/web?cluster=eu") else { panic!("no log") };
        assert_eq!((wanted.cluster.as_deref(), wanted.log.container.as_deref()), (Some("eu"), Some("web")));
        assert!(matches!(read("audit://events/shop/pods"), Ok(Address::AuditEvents { resource: Some(_), .. })));
        assert_eq!(read("audit://changes/7d"), Ok(Address::AuditChanges { range: 7 * DAY }));
        assert!(matches!(read("audit://node-events/worker-1"), Ok(Address::AuditNode { .. })));
    }

    #[test]
    fn refuses_the_rest_by_what_is_wrong_with_it() {
        for (uri, expected) in [
            ("", "no address"),
            ("cluster-monitor/a/b", "no address"),
            ("http://cluster-monitor/a/b", "unsupported subscription scheme `http`"),
            ("k0rdent://clusters/a/b", "no subscription handler registered for `clusters`"),
            ("k0rdent://cluster-monitor/a", "too few or too many names"),
            ("k0rdent://cluster-monitor/a/b/c", "too few or too many names"),
            ("k0rdent://cluster-monitor//b", "names nothing"),
            ("k0rdent://cluster-monitor/a/%2e%2e", "names nothing"),
            ("k0rdent://cluster-monitor/a/b?timeout=soon", "invalid timeout `soon`"),
            ("k0rdent://cluster-monitor/a/b?timeout=-1", "invalid timeout `-1`"),
            ("k0rdent://cluster-monitor/a/b?until=1", "`until` is not known"),
            ("k0rdent://cluster-monitor/a/b?cursor=x", "`cursor` is `x`"),
            ("k0rdent://events/a?x=1", "carries `?x=1`"),
            ("k0rdent://podlogs/a/b/c?tail=1", "carries `tail`"),
            ("audit://changes/2h", "`2h` is no range"),
        ] {
            let found = read(uri).expect_err(uri);
            assert!(found.contains(expected), "{uri}: {found}");
        }
        assert!(read(&format!("k0rdent://events/{}", "a".repeat(4_000))).is_err());
    }
}
