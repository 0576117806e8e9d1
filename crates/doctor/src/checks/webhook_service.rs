//! Admission webhooks that cannot be called.
//!
//! Pure. With `failurePolicy: Fail`, which is the default, everything that such a webhook is asked about is refused; with `Ignore` it goes
//! through unasked.

use std::collections::BTreeMap;

use proreus_observe::KindRef;
use proreus_observe::document::Node;
use proreus_observe::field;

use super::endpoints::{self, Reach};
use super::joins::{self, Gathered, unknown};
use super::kinds;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "webhook-service",
    title: "An admission webhook cannot be called",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "bring the service behind the webhook back; if its program was removed, delete the webhook configuration that it left behind",
    kinds: &[kinds::VALIDATING_WEBHOOKS, kinds::MUTATING_WEBHOOKS],
    needs: &[KindRef::SERVICE],
    reads: &[KindRef::ENDPOINT_SLICE],
    reasons: &["WebhookServiceMissing", "WebhookPortMissing", "WebhookNoEndpoints"],
    examine,
    ..Check::BASE
};

/// A service with the webhooks that it answers.
#[derive(Default)]
struct Called<'a> {
    webhooks: Vec<&'a str>,
    is_required: bool,
}

/// Looks at one webhook configuration.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let configuration = subject.known()?;
    if joins::is_going(configuration)? {
        return Ok(Vec::new());
    }
    let mut services: BTreeMap<(&str, &str, i64), Called<'_>> = BTreeMap::new();
    for webhook in configuration.list("/webhooks")? {
        let Some(name) = field::text(webhook, "/name")? else { return unknown("a webhook has no name") };
        // With a list of rules that is there and empty, it is asked about nothing.
        if field::at(webhook, "/rules")?.and_then(Node::as_array).is_some_and(|rules| rules.is_empty()) {
            continue;
        }
        let Some(service) = service_of(webhook)? else { continue };
        let called = services.entry(service).or_default();
        called.webhooks.push(name);
        called.is_required |= field::text(webhook, "/failurePolicy")?.is_none_or(|policy| policy != "Ignore");
    }
    let mut gathered = Gathered::default();
    for ((namespace, name, port), called) in services {
        tell(subject, &mut gathered, (namespace, name, port), &called)?;
    }
    gathered.verdict()
}

/// Namespace, name and port of the service that a webhook calls; none where it calls a URL.
fn service_of(webhook: Node<'_>) -> Result<Option<(&str, &str, i64)>, Undecided> {
    if field::map(webhook, "/clientConfig/service")?.is_none() {
        return match field::text(webhook, "/clientConfig/url")? {
            Some(_) => Ok(None),
            None => unknown("a webhook names neither a service nor a url"),
        };
    }
    let namespace = field::text(webhook, "/clientConfig/service/namespace")?;
    let name = field::text(webhook, "/clientConfig/service/name")?;
    // The API's default.
    const PORT: i64 = 443;
    let port = field::int(webhook, "/clientConfig/service/port")?.unwrap_or(PORT);
    match namespace.zip(name) {
        Some((namespace, name)) => Ok(Some((namespace, name, port))),
        None => unknown("a webhook's service has no name or namespace"),
    }
}

fn tell(
    subject: &Subject<'_>,
    gathered: &mut Gathered,
    (namespace, name, port): (&str, &str, i64),
    called: &Called<'_>,
) -> Result<(), Undecided> {
    let own = subject.object.recorded_at;
    let (reason, why, since, seqs) = match endpoints::reach(subject, namespace, name, Some(port))? {
        Reach::Served => return Ok(()),
        Reach::Unsure(why) => {
            gathered.doubt(why);
            return Ok(());
        }
        Reach::NoService => ("WebhookServiceMissing", "which does not exist".to_owned(), own, Vec::new()),
        Reach::NoPort { seq } => ("WebhookPortMissing", format!("which has no port {port}"), own, vec![seq]),
        Reach::NoEndpoints { since, seqs } => ("WebhookNoEndpoints", "behind which nobody answers".to_owned(), since, seqs),
    };
    let effect = match called.is_required {
        true => "what it is asked about is refused",
        false => "what it is asked about goes through unasked",
    };
    let which = match called.webhooks.as_slice() {
        [one] => format!("the webhook `{one}` calls"),
        many => format!("{} webhooks call", many.len()),
    };
    let text = format!("{which} the Service `{namespace}/{name}`, {why}: {effect}");
    let severity = if called.is_required { Severity::Critical } else { Severity::Warning };
    let class = if called.is_required { "Fail" } else { "Ignore" };
    let finding = subject.finding(reason, text, since).severity(severity).class(class);
    gathered.tell(finding.part(&format!("{namespace}/{name}")).shown_by(seqs));
    Ok(())
}
