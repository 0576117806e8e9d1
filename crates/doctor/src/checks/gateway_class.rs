//! GatewayClasses that no controller accepts.
//!
//! Pure. The API itself writes the condition as `Unknown`, so that a class which nobody looks at still has one.

use super::joins::{self, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "gateway-class",
    title: "A gateway class is not accepted",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "install or start the controller that spec.controllerName names, and correct the parameters it complains about",
    kinds: &[kinds::GATEWAY_CLASS],
    reasons: &["GatewayClassNotAccepted"],
    examine,
    ..Check::BASE
};

/// Looks at one GatewayClass.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let class = subject.known()?;
    if joins::is_going(class)? {
        return Ok(Vec::new());
    }
    let accepted = joins::condition(class, "Accepted")?;
    if accepted.is_true() {
        return Ok(Vec::new());
    }
    let name = class.text("/spec/controllerName")?.unwrap_or_default();
    let (cause, text) = match (accepted.is_false(), accepted.reason) {
        (true, _) => ("Refused", format!("the controller `{name}` does not accept it{}", said(accepted.message))),
        (false, "Pending" | "Waiting") => ("NoController", format!("the controller `{name}` has not answered{}", said(accepted.message))),
        (false, _) => return unknown(format!("its Accepted condition is {}", accepted.status)),
    };
    // The API's own default carries the beginning of time as its moment.
    let since = accepted.since.filter(|since| since.as_second() > 0).or_else(|| class.created_at());
    Ok(vec![subject.finding("GatewayClassNotAccepted", text, subject.since(since)).class(cause)])
}
