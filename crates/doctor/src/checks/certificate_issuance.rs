//! Certificates of cert-manager that are not issued, down to the deepest object that fails.
//!
//! Pure. A Certificate has requests, a request of ACME has an order, an order has challenges; each repeats only that the one below has
//! failed. Invariant: one chain gives one finding, about its topmost object.

use proreus_observe::Observed;

use super::joins::{self, Sight};
use super::kinds;
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "certificate-issuance",
    title: "A certificate is not issued",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "look at the object at the bottom of the chain: the issuer, the request, the order or the challenge that the message names",
    kinds: &[kinds::CERTIFICATE, kinds::CERTIFICATE_REQUEST, kinds::ORDER, kinds::CHALLENGE],
    reads: &[kinds::ISSUER, kinds::CLUSTER_ISSUER, kinds::CERTIFICATE_REQUEST, kinds::ORDER, kinds::CHALLENGE],
    reasons: &["CertificateNotReady", "CertificateRenewalFailing"],
    examine,
    ..Check::BASE
};

/// Grace of failures that do not mend themselves by waiting.
const FAILED_GRACE_SECONDS: i64 = 60;
/// Kinds of a chain that have something below them.
const CHAIN: [&str; 3] = ["Certificate", "CertificateRequest", "Order"];

/// Where a chain is stuck.
struct Cause<'a> {
    class: &'static str,
    text: String,
    remedy: &'static str,
    object: Option<&'a Observed>,
    is_final: bool,
}

/// Looks at one object of a chain.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let object = subject.known()?;
    if joins::is_going(object)? {
        return Ok(Vec::new());
    }
    match () {
        () if object.is_a(kinds::CERTIFICATE) => of_certificate(subject, object),
        // What stands above tells of the whole chain.
        () if object.controller().is_some_and(|owner| CHAIN.contains(&owner.kind.as_str())) => Ok(Vec::new()),
        () => of_orphan(subject, object),
    }
}

fn of_certificate(subject: &Subject<'_>, certificate: &Observed) -> Verdict {
    let ready = joins::condition(certificate, "Ready")?;
    let attempts = certificate.int("/status/failedIssuanceAttempts")?.unwrap_or(0);
    let failed_at = certificate.time("/status/lastFailureTime")?;
    if ready.is_true() {
        if attempts == 0 && failed_at.is_none() {
            return Ok(Vec::new());
        }
        let cause = deepest(subject, certificate)?;
        let why = cause.as_ref().map_or_else(|| said(issuing_message(certificate)), |cause| format!(": {}", cause.text));
        let text = format!("the certificate is valid, and renewing it failed{why}");
        let mut finding = subject.finding("CertificateRenewalFailing", text, subject.since(failed_at)).grace(FAILED_GRACE_SECONDS);
        if let Some(cause) = cause {
            finding = finding.class(cause.class).remedy(cause.remedy).shown_by(cause.object.map(|object| object.seq));
        }
        return Ok(vec![finding]);
    }
    let cause = deepest(subject, certificate)?;
    let why = match &cause {
        Some(cause) => format!(": {}", cause.text),
        None if issuing_message(certificate).is_empty() => said(ready.message),
        None => said(issuing_message(certificate)),
    };
    let mut finding = subject.finding("CertificateNotReady", format!("the certificate is not ready{why}"), subject.since(ready.since));
    let has_failed = certificate.condition("Issuing")?.is_some_and(|issuing| !issuing.is_true() && issuing.reason == "Failed");
    if has_failed || attempts > 0 {
        finding = finding.grace(FAILED_GRACE_SECONDS);
    }
    if let Some(cause) = cause {
        finding = finding.class(cause.class).remedy(cause.remedy).shown_by(cause.object.map(|object| object.seq));
        if cause.is_final {
            finding = finding.grace(FAILED_GRACE_SECONDS);
        }
    }
    Ok(vec![finding])
}

/// What the last attempt came to, as the Certificate repeats it.
fn issuing_message(certificate: &Observed) -> &str {
    certificate.condition("Issuing").ok().flatten().map_or("", |issuing| issuing.message)
}

/// A request, order or challenge without a Certificate above it, as other programs make them.
fn of_orphan(subject: &Subject<'_>, object: &Observed) -> Verdict {
    let is_done = match object.is_a(kinds::CERTIFICATE_REQUEST) {
        true => object.condition("Ready")?.is_some_and(|ready| ready.is_true()),
        false => matches!(object.text("/status/state")?, Some("valid" | "ready")),
    };
    if is_done {
        return Ok(Vec::new());
    }
    match at(subject, object)? {
        None if object.map("/status")?.is_none() => joins::unknown("/status is not set"),
        None => Ok(Vec::new()),
        Some(cause) => {
            let text = format!("no certificate is issued: {}", cause.text);
            let finding = subject.finding("CertificateNotReady", text, subject.since(object.created_at())).class(cause.class);
            let grace = if cause.is_final { FAILED_GRACE_SECONDS } else { CHECK.grace_seconds };
            Ok(vec![finding.remedy(cause.remedy).grace(grace).shown_by(cause.object.map(|object| object.seq))])
        }
    }
}

/// The deepest cause below a Certificate: its newest request and what stands below that, or its issuer.
fn deepest<'a>(subject: &Subject<'a>, certificate: &'a Observed) -> Result<Option<Cause<'a>>, Undecided> {
    let requests = subject.view.children(&certificate.id.uid).filter(|child| child.is_a(kinds::CERTIFICATE_REQUEST));
    let chain = match requests.max_by_key(|request| (request.created_at(), request.seq)) {
        Some(request) => at(subject, request)?,
        None => None,
    };
    // An order or a challenge shows that the issuer took the request; a request alone may wait for an issuer that cannot.
    let is_taken = |cause: &Cause<'_>| cause.object.is_some_and(|object| !object.is_a(kinds::CERTIFICATE_REQUEST));
    match chain {
        Some(cause) if is_taken(&cause) => Ok(Some(cause)),
        chain => Ok(of_issuer(subject, certificate)?.or(chain)),
    }
}

fn of_issuer<'a>(subject: &Subject<'a>, certificate: &'a Observed) -> Result<Option<Cause<'a>>, Undecided> {
    let Some(name) = certificate.text("/spec/issuerRef/name")? else { return Ok(None) };
    if certificate.text("/spec/issuerRef/group")?.is_some_and(|group| !group.is_empty() && group != kinds::ISSUER.group) {
        return Ok(None);
    }
    let (kind, namespace) = match certificate.text("/spec/issuerRef/kind")? {
        Some("ClusterIssuer") => (kinds::CLUSTER_ISSUER, ""),
        _ => (kinds::ISSUER, certificate.id.namespace.as_str()),
    };
    Ok(match joins::look(subject, kind, namespace, name) {
        Sight::Missing => Some(Cause {
            class: "IssuerMissing",
            text: format!("there is no {} `{name}`", kind.kind),
            remedy: "create the issuer, or correct spec.issuerRef: an Issuer is looked for in the certificate's own namespace",
            object: None,
            is_final: true,
        }),
        Sight::There(issuer) => issuer.condition("Ready")?.filter(|ready| ready.is_false()).map(|ready| Cause {
            class: "IssuerNotReady",
            text: format!("the {} `{name}` is not ready{}", kind.kind, said(ready.message)),
            remedy: "mend the issuer: its own condition says what it lacks",
            object: Some(issuer),
            is_final: true,
        }),
        Sight::Unsure(_) => None,
    })
}

/// The cause at or below a request, an order or a challenge; none while it may still go well.
fn at<'a>(subject: &Subject<'a>, object: &'a Observed) -> Result<Option<Cause<'a>>, Undecided> {
    let below = subject.view.children(&object.id.uid).filter(|child| child.is_a(kinds::ORDER) || child.is_a(kinds::CHALLENGE));
    let mut pending = None;
    for child in below {
        match at(subject, child)? {
            Some(cause) if cause.is_final => return Ok(Some(cause)),
            cause => pending = pending.or(cause),
        }
    }
    let own = if object.is_a(kinds::CERTIFICATE_REQUEST) { of_request(object)? } else { of_acme(object)? };
    Ok(match (own, pending) {
        // A challenge says more than the order that waits for it.
        (_, Some(pending)) => Some(pending),
        (own, None) => own,
    })
}

fn of_request(request: &Observed) -> Result<Option<Cause<'_>>, Undecided> {
    let name = request.name();
    let cause = |class, text, remedy, is_final| Some(Cause { class, text, remedy, object: Some(request), is_final });
    for (of, class, remedy) in [
        ("Denied", "RequestDenied", "an approval policy refuses this certificate: change the certificate or the policy"),
        ("InvalidRequest", "RequestInvalid", "correct the certificate's specification: the issuer cannot sign such a request"),
    ] {
        if let Some(met) = request.condition(of)?.filter(|met| met.is_true()) {
            return Ok(cause(class, format!("CertificateRequest `{name}` was refused{}", said(met.message)), remedy, true));
        }
    }
    let Some(ready) = request.condition("Ready")? else { return Ok(None) };
    Ok(match (ready.is_true(), ready.reason) {
        (true, _) => None,
        (_, "Failed" | "Denied") => {
            let text = format!("CertificateRequest `{name}` failed{}", said(ready.message));
            cause(class_of(ready.message, "RequestFailed"), text, "read what the issuer said of the request, and mend that", true)
        }
        _ => {
            let text = format!("CertificateRequest `{name}` waits{}", said(ready.message));
            cause("RequestPending", text, "see that the issuer's controller runs, and whether the request needs an approval", false)
        }
    })
}

fn of_acme(object: &Observed) -> Result<Option<Cause<'_>>, Undecided> {
    let what = if object.is_a(kinds::ORDER) { "Order" } else { "Challenge" };
    let (failed, pending, remedy) = match object.text("/spec/type")? {
        Some("DNS-01") => {
            ("ChallengeFailed", "ChallengePending", "see that the DNS record can be written and is seen by public name servers")
        }
        _ if what == "Order" => ("OrderFailed", "OrderPending", "read the order's reason: the certificate authority refused it"),
        _ => {
            let remedy =
                "see that http://HOST/.well-known/acme-challenge/ reaches the solver from outside: DNS of the host, ingress class, port 80";
            ("ChallengeFailed", "ChallengePending", remedy)
        }
    };
    let why = object.text("/status/reason")?.unwrap_or_default();
    let state = object.text("/status/state")?.unwrap_or_default();
    let text = format!("{what} `{}` is {}{}", object.name(), if state.is_empty() { "not begun" } else { state }, said(why));
    Ok(match state {
        "valid" | "ready" => None,
        "invalid" | "errored" | "expired" => {
            Some(Cause { class: class_of(why, failed), text, remedy, object: Some(object), is_final: true })
        }
        _ => Some(Cause { class: class_of(why, pending), text, remedy, object: Some(object), is_final: false }),
    })
}

/// What a message of the authority means beyond the state of the object that carries it.
fn class_of(message: &str, otherwise: &'static str) -> &'static str {
    const WORDS: &[(&str, &[&str])] = &[
        ("RateLimited", &["ratelimited", "rate limit", "too many certificates", "429"]),
        ("CaaRefused", &["caa record", "urn:ietf:params:acme:error:caa"]),
    ];
    reading::class_of(message, WORDS).copied().unwrap_or(otherwise)
}
