//! Quotas that are used up and refuse pods.
//!
//! Pure. A full quota is how quotas are used; it is told only while something is refused.

use proreus_observe::KindRef;
use proreus_observe::document::Node;

use super::reading::quoted;
use super::replica_failure::EVENT_HOLDS;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "quota-exhausted",
    title: "A quota is used up and something is refused",
    severity: Severity::Warning,
    grace_seconds: 0,
    remediation: "raise the quota, or lower what the namespace's workloads ask for",
    kinds: &[KindRef::RESOURCE_QUOTA],
    needs: &[KindRef::EVENT],
    reasons: &["QuotaExhausted"],
    examine,
    ..Check::BASE
};

/// Looks at one quota.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let quota = subject.known()?;
    let id = &quota.id;
    let refusal = format!("exceeded quota: {}", quota.name());
    let events = subject.view.in_namespace(&id.cluster, KindRef::EVENT, &id.namespace);
    let about = events.filter_map(|event| {
        let message = event.text("/message").ok().flatten()?;
        // The name ends where the next word begins, so that `web` is not `web-2`.
        let rest = message.split_once(&refusal)?.1;
        rest.starts_with([',', ' ', '.']).then_some((event, message)).or_else(|| rest.is_empty().then_some((event, message)))
    });
    let Some((event, message)) = about.max_by_key(|(event, _)| event.seq) else { return Ok(Vec::new()) };
    let last = event.time("/lastTimestamp")?.unwrap_or(event.recorded_at);
    let first = event.time("/firstTimestamp")?.unwrap_or(last);
    let used_up = used_up(subject)?;
    let which = if used_up.is_empty() { String::new() } else { format!(" ({} used up)", used_up.join(", ")) };
    let text = format!("it refuses what is asked for{which}: {}", quoted(message));
    let finding = subject.finding("QuotaExhausted", text, first).shown_by([event.seq]);
    Ok(vec![match last.checked_add(EVENT_HOLDS) {
        Ok(over) => finding.until(over),
        Err(_) => finding,
    }])
}

/// The resources of which nothing is left.
fn used_up(subject: &Subject<'_>) -> Result<Vec<String>, Undecided> {
    let (used, hard) = (subject.object.map("/status/used")?, subject.object.map("/status/hard")?);
    let mut found = Vec::new();
    for (name, most) in hard.into_iter().flatten() {
        let amount = |value: Option<Node<'_>>| value.and_then(Node::as_str).and_then(quantity);
        if let (Some(used), Some(most)) = (amount(used.and_then(|used| used.get(name))), amount(Some(most)))
            && used >= most
        {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// A quantity in thousandths: `500m`, `2`, `1.5`, `4Gi`, `1e3`.
fn quantity(text: &str) -> Option<i128> {
    const SUFFIXES: [(&str, i128); 13] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("", 1),
    ];
    if let Some(milli) = text.strip_suffix('m') {
        return milli.parse().ok();
    }
    let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    let number: f64 = text.strip_suffix(suffix)?.parse().ok()?;
    // Amounts are compared, not added up: the precision of a float is enough.
    Some((number * 1_000.0) as i128 * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quantities_as_the_api_writes_them() {
        for (text, expected) in
            [("500m", Some(500)), ("2", Some(2_000)), ("1.5", Some(1_500)), ("4Ki", Some(4_096_000)), ("1k", Some(1_000_000)), ("x", None)]
        {
            assert_eq!(quantity(text), expected, "{text}");
        }
    }
}
