//! Whether Services that speak HTTP answer, asked through the API server's own proxy: no pod is needed for it.
//!
//! Pure. Any answer of somebody behind the Service will do, a refusal as well; registries and the MCP platform's APIs are asked for what
//! they promise. A Service without ready endpoints is the passive check's and is not asked.

use jiff::Timestamp;
use proreus_observe::document::Node;
use proreus_observe::field;
use proreus_observe::{KindRef, Observed};

use super::{ANSWER_WITHIN, Action, Outcome, Probe, Scene, is_not_allowed, status_message};
use crate::check::{Check, Mode, Severity, Undecided, Verdict};
use crate::finding::Finding;

/// Services that are asked: a person waits, and each may take its whole time.
const SERVICES_LIMIT: usize = 30;
/// Ports that speak HTTP where nothing else says so.
const HTTP_PORTS: [i64; 3] = [80, 8080, 8000];
/// Ports that speak HTTPS where nothing else says so.
const HTTPS_PORTS: [i64; 2] = [443, 8443];

/// The definition.
pub const CHECK: Check = Check {
    id: "service-answers",
    title: "A Service with ready endpoints does not answer HTTP",
    severity: Severity::Warning,
    remediation: "look whether its pods listen on the target port, and whether a NetworkPolicy or the network keeps the API server from them",
    kinds: &[KindRef::SERVICE],
    reads: &[KindRef::ENDPOINT_SLICE],
    mode: Mode::Active,
    reasons: &["ServiceSilent", "ServiceUnhealthy"],
    ..Check::BASE
};

pub(super) fn plan(scene: &Scene<'_>) -> Vec<Probe> {
    let services = scene.view.of_kind(scene.cluster, KindRef::SERVICE).filter(|service| scene.is_wanted(service.id.namespace.as_str()));
    let asked = services.filter_map(|service| Some((service, port_of(service)?)));
    asked
        .filter(|(service, _)| has_ready_endpoints(scene, service))
        .flat_map(|(service, (scheme, port))| paths(service).iter().map(move |path| probe(service, scheme, port, path)))
        .take(SERVICES_LIMIT)
        .collect()
}

fn probe(service: &Observed, scheme: &str, port: i64, path: &str) -> Probe {
    let (namespace, name) = (&service.id.namespace, &service.id.name);
    Probe {
        check: CHECK.id,
        about: service.id.clone(),
        says: format!("ask the service {namespace}/{name} for /{path} through the API server"),
        action: Action::Ask { path: format!("/api/v1/namespaces/{namespace}/services/{scheme}:{name}:{port}/proxy/{path}") },
        within: ANSWER_WITHIN,
    }
}

/// What a Service is asked for.
fn paths(service: &Observed) -> &'static [&'static str] {
    match (service.id.namespace.as_str(), service.name()) {
        (_, name) if name.contains("registry") => &["v2/"],
        ("mcp-sentinel", "platform-api" | "runtime-api" | "analytics-api") => &["health", "ready"],
        _ => &[""],
    }
}

/// Scheme and number of the port that speaks HTTP.
fn port_of(service: &Observed) -> Option<(&'static str, i64)> {
    let text = |path: &str| service.text(path).ok().flatten();
    let selects = service.map("/spec/selector").ok().flatten().is_some_and(|selector| !selector.is_empty());
    if text("/spec/type") == Some("ExternalName") || text("/spec/clusterIP") == Some("None") || !selects {
        return None;
    }
    service.list("/spec/ports").unwrap_or_default().iter().find_map(|port| {
        let number = field::int(port, "/port").ok().flatten()?;
        let word = |path: &str| field::text(port, path).ok().flatten().unwrap_or_default().to_ascii_lowercase();
        let (protocol, name, application) = (word("/protocol"), word("/name"), word("/appProtocol"));
        if !matches!(protocol.as_str(), "" | "tcp") {
            return None;
        }
        match application.as_str() {
            "https" => return Some(("https", number)),
            "http" => return Some(("http", number)),
            "" => {}
            _ => return None,
        }
        if name.starts_with("https") || HTTPS_PORTS.contains(&number) {
            return Some(("https", number));
        }
        let is_registry = number == 5000 && service.name().contains("registry");
        (name.starts_with("http") || name == "web" || HTTP_PORTS.contains(&number) || is_registry).then_some(("http", number))
    })
}

fn has_ready_endpoints(scene: &Scene<'_>, service: &Observed) -> bool {
    let mut slices = scene.view.slices_of(service);
    let is_ready = |endpoint: Node<'_>| endpoint.pointer("/conditions/ready").and_then(Node::as_bool).unwrap_or(true);
    slices.any(|slice| slice.list("/endpoints").unwrap_or_default().iter().any(is_ready))
}

pub(super) fn judge(probe: &Probe, outcome: &Outcome, now: Timestamp) -> Verdict {
    let asked = match &probe.action {
        Action::Ask { path } => path.rsplit_once("/proxy/").map_or("", |(_, path)| path),
        _ => "",
    };
    let (status, body) = match outcome {
        Outcome::Answered { status, body } => (*status, body),
        Outcome::Silent { reason } => {
            let message = format!("/{asked} gave no answer: {reason}");
            return Ok(vec![Finding::of_probe(&CHECK, probe, "ServiceSilent", message, now)]);
        }
        Outcome::Seen { .. } | Outcome::NotDone { .. } => return Err(Undecided::Unknown("no answer to judge".to_owned())),
    };
    if let Some(message) = status_message(body) {
        if is_not_allowed(status, &message) {
            return Err(Undecided::Skipped(format!("services may not be asked through the API server: {message}")));
        }
        if message.contains("trying to reach service") || message.contains("no endpoints available") {
            let message = format!("the API server does not reach it: {message}");
            return Ok(vec![Finding::of_probe(&CHECK, probe, "ServiceSilent", message, now)]);
        }
    }
    let is_expected = match asked {
        "v2/" => matches!(status, 200 | 401),
        "health" | "ready" => status == 200,
        _ => true,
    };
    if is_expected {
        return Ok(Vec::new());
    }
    let message = format!("/{asked} answers {status}");
    Ok(vec![Finding::of_probe(&CHECK, probe, "ServiceUnhealthy", message, now)])
}
