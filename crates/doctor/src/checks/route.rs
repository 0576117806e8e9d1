//! Routes of the Gateway API that their gateway does not accept, or that lead nowhere.
//!
//! Pure. Each parent judges a route by itself; what it said of an older generation is no news.

use proreus_observe::KindRef;
use proreus_observe::document::Node;
use proreus_observe::field;

use super::joins::{self, Gathered, Sight, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "route",
    title: "A route is not served by its gateway",
    severity: Severity::Warning,
    grace_seconds: 60,
    remediation: "read what the gateway says of the route: its listener, its host names, its backends and the grants between namespaces",
    kinds: &[kinds::HTTP_ROUTE, kinds::GRPC_ROUTE, kinds::TLS_ROUTE, kinds::TCP_ROUTE, kinds::UDP_ROUTE],
    reads: &[kinds::GATEWAY, KindRef::SERVICE],
    reasons: &["RouteParentMissing", "RouteNotAccepted", "RouteBackendNotFound", "RouteRefNotPermitted", "RouteRefsNotResolved"],
    examine,
    ..Check::BASE
};

/// Looks at one route.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let route = subject.known()?;
    if joins::is_going(route)? {
        return Ok(Vec::new());
    }
    let mut gathered = Gathered::default();
    let answers = route.list("/status/parents")?;
    for parent in answers {
        of_parent(subject, &mut gathered, parent)?;
    }
    // What a gateway has said of it counts; before that, what can be seen. One that does not exist never says anything.
    silent_parents(subject, &mut gathered)?;
    if gathered.is_clean() && answers.is_empty() {
        backends(subject, &mut gathered)?;
        if gathered.is_clean() && !route.list("/spec/parentRefs")?.is_empty() {
            gathered.doubt("no gateway has said anything of it yet");
        }
    }
    gathered.verdict()
}

fn of_parent(subject: &Subject<'_>, gathered: &mut Gathered, parent: Node<'_>) -> Result<(), Undecided> {
    let route = subject.object;
    let name = field::text(parent, "/parentRef/name")?.unwrap_or_default();
    for of in ["Accepted", "ResolvedRefs"] {
        let Some(condition) = joins::condition_in(parent, "/conditions", of)? else { continue };
        if joins::is_outdated(route, &condition)? {
            gathered.doubt(format!("what the gateway `{name}` says is about an older specification"));
            continue;
        }
        if !condition.is_false() {
            continue;
        }
        let reason = match (of, condition.reason) {
            ("Accepted", _) => "RouteNotAccepted",
            (_, "BackendNotFound") => "RouteBackendNotFound",
            (_, "RefNotPermitted") => "RouteRefNotPermitted",
            _ => "RouteRefsNotResolved",
        };
        let what = if of == "Accepted" { "does not accept the route" } else { "cannot resolve what the route refers to" };
        let text = format!("the gateway `{name}` {what} ({}){}", condition.reason, said(condition.message));
        gathered.tell(subject.finding(reason, text, subject.since(condition.since)).part(name));
        return Ok(());
    }
    Ok(())
}

/// Gateways that the route names, that have said nothing of it, and that do not exist.
fn silent_parents(subject: &Subject<'_>, gathered: &mut Gathered) -> Result<(), Undecided> {
    let route = subject.object;
    let own = route.id.namespace.as_str();
    let mut answered = Vec::new();
    for parent in route.list("/status/parents")? {
        let namespace = field::text(parent, "/parentRef/namespace")?.unwrap_or(own);
        answered.extend(field::text(parent, "/parentRef/name")?.map(|name| (namespace, name)));
    }
    for parent in route.list("/spec/parentRefs")? {
        if field::text(parent, "/kind")?.is_some_and(|kind| kind != "Gateway") {
            continue;
        }
        let Some(name) = field::text(parent, "/name")? else { return unknown("a parent has no name") };
        let namespace = field::text(parent, "/namespace")?.unwrap_or(own);
        if answered.contains(&(namespace, name)) {
            continue;
        }
        // Named twice, for two of its listeners, it is still one gateway.
        answered.push((namespace, name));
        if let Sight::Missing = joins::look(subject, kinds::GATEWAY, namespace, name) {
            let text = format!("the route names the gateway `{namespace}/{name}`, which does not exist");
            gathered.tell(subject.finding("RouteParentMissing", text, route.recorded_at).part(name));
        }
    }
    Ok(())
}

/// Services to which the route leads and that do not exist: seen before the gateway's controller has looked.
fn backends(subject: &Subject<'_>, gathered: &mut Gathered) -> Result<(), Undecided> {
    let route = subject.object;
    let mut told: Vec<&str> = Vec::new();
    for rule in route.list("/spec/rules")? {
        for backend in field::list(rule, "/backendRefs")? {
            let is_service = field::text(backend, "/kind")?.is_none_or(|kind| kind == "Service")
                && field::text(backend, "/group")?.is_none_or(str::is_empty);
            let Some(name) = field::text(backend, "/name")? else { return unknown("a backend has no name") };
            let namespace = field::text(backend, "/namespace")?.unwrap_or(route.id.namespace.as_str());
            if !is_service || told.contains(&name) {
                continue;
            }
            if missing(subject, namespace, name) {
                told.push(name);
                let text = format!("the route leads to the Service `{namespace}/{name}`, which does not exist");
                gathered.tell(subject.finding("RouteBackendNotFound", text, route.recorded_at).part(name));
            }
        }
    }
    Ok(())
}

fn missing(subject: &Subject<'_>, namespace: &str, name: &str) -> bool {
    matches!(joins::look(subject, KindRef::SERVICE, namespace, name), Sight::Missing)
}
