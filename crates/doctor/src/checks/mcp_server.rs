//! MCP servers that do not come up: which enabled part is not ready, and the owned object that is the cause.
//!
//! Pure. The conditions of an MCPServer repeat its phase, so that the cause is looked for in what it owns. Parts that are not enabled report
//! false for ever and are not waited for; while the operator does not run, a status is old and says nothing.

use jiff::Timestamp;
use proreus_observe::KindRef;
use proreus_observe::Observed;

use super::joins::{self, unknown, worsening};
use super::kinds;
use super::mcp_operator;
use super::mcp_parts::{self, Cause, Part};
use super::reading::{class_of, said};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-server",
    title: "An MCP server is not ready",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "mend the object that the message names: the server follows by itself",
    kinds: &[kinds::MCP_SERVER],
    reads: &[
        KindRef::DEPLOYMENT,
        KindRef::REPLICA_SET,
        KindRef::POD,
        KindRef::SERVICE,
        KindRef::INGRESS,
        KindRef::INGRESS_CLASS,
        KindRef::CONFIG_MAP,
        KindRef::SECRET,
        kinds::INGRESS_ROUTE_TCP,
    ],
    reasons: &["MCPServerError", "MCPServerPending", "MCPServerPartiallyReady"],
    examine,
    ..Check::BASE
};

/// Grace of an error: the operator tries again every ten seconds.
const ERROR_GRACE_SECONDS: i64 = 30;
/// Grace while nothing is ready yet.
const PENDING_GRACE_SECONDS: i64 = 180;
/// After so long, a server of which nothing is ready is down rather than late.
const PENDING_CRITICAL_SECONDS: i64 = 600;

/// What the operator writes before the part that it could not reconcile; the part ends at a colon.
const LEAD: &str = "Failed to reconcile ";
/// Classes of the operator's errors, by the part that it could not reconcile.
const ERRORS: &[(&str, &[&str])] = &[
    ("Policy", &["gateway policy", "policy configmap", "policy config map"]),
    ("Canary", &["canary"]),
    ("Deployment", &["deployment"]),
    ("Certificate", &["certificate"]),
    ("NetworkPolicy", &["networkpolicy", "network policy", "trust bundle", "mtls"]),
    ("Ingress", &["ingress", "traefik"]),
    ("Service", &["service"]),
];

/// Looks at one MCPServer.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let server = subject.known()?;
    if joins::is_going(server)? {
        return Ok(Vec::new());
    }
    let Some(phase) = server.text("/status/phase")? else { return unknown("/status/phase is not set") };
    if phase != "Ready"
        && let Some(why) = mcp_operator::hindered(subject)?
    {
        return unknown(format!("{why}, so that the status is old"));
    }
    if is_outdated(server)? {
        return unknown("the operator has not seen the newest specification yet");
    }
    match phase {
        "Ready" => Ok(Vec::new()),
        "Error" => Ok(vec![error(subject, server)?]),
        "Pending" | "PartiallyReady" => not_ready(subject, server, phase),
        other => unknown(format!("its phase is `{other}`")),
    }
}

/// Whether the status speaks of an older specification, by its own word or that of its conditions.
fn is_outdated(server: &Observed) -> Result<bool, Undecided> {
    if !server.is_observed()? {
        return Ok(true);
    }
    for (_, condition) in proreus_observe::field::conditions(server.body())? {
        if joins::is_outdated(server, &condition)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn error(subject: &Subject<'_>, server: &Observed) -> Result<Finding, Undecided> {
    let message = server.text("/status/message")?.unwrap_or_default();
    // Names and what others said follow after the colon, and may hold any of the words.
    let part = message.split_once(LEAD).and_then(|(_, rest)| rest.split_once(':')).map(|(part, _)| part);
    let class = part.and_then(|part| class_of(part, ERRORS)).copied().unwrap_or("Validation");
    let remedy = match class {
        "Validation" => "correct the server's specification: the operator refuses it as it is",
        _ => {
            "read the message: the operator could not write the object that it names (rights, quota, a webhook, a field that cannot change)"
        }
    };
    let since = stuck_since(subject, server, &mcp_parts::enabled(server)?, "phase")?;
    let finding = subject.finding("MCPServerError", format!("the operator failed{}", said(message)), since);
    Ok(finding.severity(Severity::Critical).class(class).remedy(remedy).grace(ERROR_GRACE_SECONDS))
}

fn not_ready(subject: &Subject<'_>, server: &Observed, phase: &str) -> Verdict {
    let mut missing = Vec::new();
    for part in mcp_parts::enabled(server)? {
        if !server.flag(part.flag())?.unwrap_or(false) {
            missing.push(part);
        }
    }
    if missing.is_empty() {
        return unknown(format!("every enabled part is ready, and its phase is `{phase}`"));
    }
    let names: Vec<&str> = missing.iter().map(|part| part.name()).collect();
    let cause = mcp_parts::cause(subject, server, &missing)?;
    let why = cause.as_ref().map_or_else(
        || said(server.text("/status/message").ok().flatten().filter(|text| *text != "All resources reconciled").unwrap_or_default()),
        |cause| format!("; {}", cause.text),
    );
    let text = format!("not ready: {}{why}", names.join(", "));
    let since = stuck_since(subject, server, &missing, "notReady")?;
    let reason = if phase == "Pending" { "MCPServerPending" } else { "MCPServerPartiallyReady" };
    let finding = with_cause(subject.finding(reason, text, since), cause);
    Ok(match phase {
        "Pending" => worsening(finding.grace(PENDING_GRACE_SECONDS), PENDING_CRITICAL_SECONDS, Severity::Critical),
        _ => vec![finding],
    })
}

fn with_cause(finding: Finding, cause: Option<Cause>) -> Finding {
    match cause {
        None => finding,
        Some(cause) => finding.class(cause.class).shown_by(cause.seqs).consequence(),
    }
}

/// The earliest moment from which one of these parts has not been ready. Where no condition says it, since what is followed under this name
/// was seen to change, for a server may have been ready for long before; else since the server is there.
fn stuck_since(subject: &Subject<'_>, server: &Observed, parts: &[Part], followed: &str) -> Result<Timestamp, Undecided> {
    let mut since: Option<Timestamp> = None;
    for part in parts {
        let Some(condition) = server.condition(part.condition())?.filter(|condition| !condition.is_true()) else { continue };
        if let Some(moment) = condition.since {
            since = Some(since.map_or(moment, |known| known.min(moment)));
        }
    }
    let changed = subject.view.trail(&server.id.uid).and_then(|trail| trail.fact(followed)).filter(|fact| fact.is_exact);
    let made = server.created_at().unwrap_or(server.first_seen);
    let fallback = changed.map_or(made, |fact| made.max(fact.since));
    Ok(since.unwrap_or(fallback).min(server.recorded_at))
}
