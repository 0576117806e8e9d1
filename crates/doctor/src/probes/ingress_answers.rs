//! Whether what an ingress promises is answered at its address, as a client outside of the cluster asks for it.
//!
//! Pure. Where the doctor runs the address may be out of reach, so silence is unknown and no finding; an answer that says that nobody knows
//! the route, or that nobody is behind it, is.

use jiff::Timestamp;
use proreus_observe::field;
use proreus_observe::{KindRef, Observed};

use super::{ANSWER_WITHIN, Action, Outcome, Probe, Scene};
use crate::check::{Check, Mode, Severity, Undecided, Verdict};
use crate::finding::Finding;

/// Routes that are asked for: a person waits.
const ROUTES_LIMIT: usize = 20;
/// What controllers say, whole, of a host or path that they do not know.
const UNKNOWN_ROUTE: [&str; 2] = ["404 page not found", "default backend - 404"];

/// The definition.
pub const CHECK: Check = Check {
    id: "ingress-answers",
    title: "An ingress does not answer for a host and path that it promises",
    severity: Severity::Warning,
    remediation: "look whether the controller of its class has taken the ingress up, and whether its backend answers",
    kinds: &[KindRef::INGRESS],
    mode: Mode::Active,
    reasons: &["IngressRouteUnknown", "IngressBackendFailed"],
    ..Check::BASE
};

pub(super) fn plan(scene: &Scene<'_>) -> Vec<Probe> {
    let ingresses = scene.view.of_kind(scene.cluster, KindRef::INGRESS);
    ingresses
        .filter(|ingress| scene.is_wanted(ingress.id.namespace.as_str()))
        .flat_map(|ingress| routes(ingress))
        .take(ROUTES_LIMIT)
        .collect()
}

fn routes(ingress: &Observed) -> Vec<Probe> {
    let addresses = ingress.list("/status/loadBalancer/ingress").unwrap_or_default();
    let text = |value, path: &str| field::text(value, path).ok().flatten().filter(|text| !text.is_empty());
    let Some(address) = addresses.iter().find_map(|one| text(one, "/ip").or_else(|| text(one, "/hostname"))) else { return Vec::new() };
    let tls = ingress.list("/spec/tls").unwrap_or_default();
    let is_tls = |host: &str| {
        tls.iter().flat_map(|entry| field::list(entry, "/hosts").unwrap_or_default()).any(|secured| secured.as_str() == Some(host))
    };
    let rules = ingress.list("/spec/rules").unwrap_or_default();
    // A wildcard names no host that one could ask for.
    let named = rules.iter().filter_map(|rule| Some((rule, text(rule, "/host").filter(|host| !host.contains('*'))?)));
    named
        .filter_map(|(rule, host)| {
            let first = field::list(rule, "/http/paths").unwrap_or_default().first();
            let path = first.and_then(|entry| text(entry, "/path")).unwrap_or("/").to_owned();
            let is_pattern = path.contains(['(', '*', '$', '[']);
            (!is_pattern && path.starts_with('/')).then(|| probe(ingress, address, host, path, is_tls(host)))
        })
        .collect()
}

fn probe(ingress: &Observed, address: &str, host: &str, path: String, is_tls: bool) -> Probe {
    let scheme = if is_tls { "https" } else { "http" };
    Probe {
        check: CHECK.id,
        about: ingress.id.clone(),
        says: format!("ask {address} for {scheme}://{host}{path}"),
        action: Action::Call { address: address.to_owned(), is_tls, host: host.to_owned(), path },
        within: ANSWER_WITHIN,
    }
}

pub(super) fn judge(probe: &Probe, outcome: &Outcome, now: Timestamp) -> Verdict {
    let Action::Call { address, host, path, .. } = &probe.action else { return Ok(Vec::new()) };
    match outcome {
        Outcome::Answered { status: 404, body } if UNKNOWN_ROUTE.contains(&body.trim()) => {
            let message = format!("{address} knows no route for {host}{path}: {}", body.trim());
            Ok(vec![Finding::of_probe(&CHECK, probe, "IngressRouteUnknown", message, now)])
        }
        Outcome::Answered { status: status @ 502..=504, .. } => {
            let message = format!("{address} answers {status} for {host}{path}: nobody is behind the route");
            Ok(vec![Finding::of_probe(&CHECK, probe, "IngressBackendFailed", message, now)])
        }
        Outcome::Answered { .. } => Ok(Vec::new()),
        Outcome::Silent { reason } => Err(Undecided::Unknown(format!("{address} does not answer from here: {reason}"))),
        Outcome::Seen { .. } | Outcome::NotDone { .. } => Err(Undecided::Unknown("no answer to judge".to_owned())),
    }
}
