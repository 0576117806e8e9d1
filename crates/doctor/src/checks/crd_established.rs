//! Custom types that the API server does not serve, cannot convert, or cannot let go.
//!
//! Pure.

use proreus_observe::KindRef;
use proreus_observe::Observed;

use super::endpoints::{self, Reach};
use super::joins::{Gathered, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "crd-established",
    title: "A custom type is not served",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "read the conditions of the definition: names that others took, a schema that is refused, a conversion webhook that does not answer",
    kinds: &[kinds::CUSTOM_RESOURCE_DEFINITION],
    reads: &[KindRef::SERVICE, KindRef::ENDPOINT_SLICE],
    reasons: &["CRDNotEstablished", "CRDNamesConflict", "CRDConversionUnreachable", "CRDTerminatingStuck"],
    examine,
    ..Check::BASE
};

/// How long a definition may take to go: its objects go first.
const GOING_GRACE_SECONDS: i64 = 600;

/// Looks at one CustomResourceDefinition.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let crd = subject.known()?;
    if let Some(since) = crd.time("/metadata/deletionTimestamp")? {
        let why = crd.condition("Terminating")?.map(|going| said(going.message)).unwrap_or_default();
        let text = format!("the definition was deleted and does not go{why}");
        let remedy = "its objects must go first: see which of them are left, and which finalizers hold them";
        let finding = subject.finding("CRDTerminatingStuck", text, since).severity(Severity::Warning);
        return Ok(vec![finding.remedy(remedy).grace(GOING_GRACE_SECONDS)]);
    }
    if let Some(names) = crd.condition("NamesAccepted")?.filter(|names| names.is_false()) {
        let text = format!("its names are not accepted ({}){}", names.reason, said(names.message));
        return Ok(vec![subject.finding("CRDNamesConflict", text, subject.since(names.since))]);
    }
    let Some(established) = crd.condition("Established")? else { return unknown("it has no Established condition") };
    if !established.is_true() {
        let text = format!("the type is not served ({}){}", established.reason, said(established.message));
        return Ok(vec![subject.finding("CRDNotEstablished", text, subject.since(established.since))]);
    }
    conversion(subject, crd)
}

fn conversion(subject: &Subject<'_>, crd: &Observed) -> Result<Vec<crate::Finding>, Undecided> {
    let place = "/spec/conversion/webhook/clientConfig/service";
    if crd.text("/spec/conversion/strategy")? != Some("Webhook") || crd.map(place)?.is_none() {
        return Ok(Vec::new());
    }
    let (namespace, name) = (crd.text(&format!("{place}/namespace"))?, crd.text(&format!("{place}/name"))?);
    let Some((namespace, name)) = namespace.zip(name) else { return unknown("its conversion webhook names no service") };
    let mut gathered = Gathered::default();
    let port = crd.int(&format!("{place}/port"))?;
    let (why, since, seqs) = match endpoints::reach(subject, namespace, name, port)? {
        Reach::Served => return Ok(Vec::new()),
        Reach::Unsure(why) => {
            gathered.doubt(why);
            return gathered.verdict();
        }
        Reach::NoService => ("does not exist", crd.recorded_at, Vec::new()),
        Reach::NoPort { seq } => ("does not have the port", crd.recorded_at, vec![seq]),
        Reach::NoEndpoints { since, seqs } => ("has nobody behind it", since, seqs),
    };
    let text = format!("its versions cannot be converted: the Service `{namespace}/{name}` {why}");
    let remedy =
        "bring the conversion webhook's service back: until then objects of this type can be neither read nor written in other versions";
    gathered.tell(subject.finding("CRDConversionUnreachable", text, since).remedy(remedy).shown_by(seqs));
    gathered.verdict()
}
