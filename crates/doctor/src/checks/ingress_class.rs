//! Ingresses that no controller takes: their class does not exist, or they have none and there is no default.
//!
//! Pure. Only `spec.ingressClassName` names an object; the older annotation is a word that a controller may know without one.

use proreus_observe::{KindRef, Observed};

use super::joins::{self, Sight, skipped, unknown};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "ingress-class",
    title: "No controller takes an ingress",
    severity: Severity::Warning,
    grace_seconds: 60,
    remediation: "name an IngressClass that exists, or install the controller that brings it",
    kinds: &[KindRef::INGRESS],
    reads: &[KindRef::INGRESS_CLASS],
    reasons: &["IngressClassMissing", "IngressClassNotSet"],
    examine,
    ..Check::BASE
};

/// The annotation from before there were classes.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";
/// The annotation that makes a class the one of ingresses without a class.
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

/// By whom an ingress is taken.
pub(super) enum Class<'a> {
    /// By the controller of this class.
    Of(&'a Observed),
    /// By whoever knows the word in the annotation.
    Word(&'a str),
    /// By some controller, which has left its mark, although no class is named and none is the default.
    Taken,
    /// By nobody: a class is named that does not exist.
    Missing(&'a str),
    /// By nobody: no class is named, and none is the default.
    NotSet,
    /// Nobody can tell.
    Unsure(String),
}

/// Finds the class of an ingress.
pub(super) fn class_of<'a>(subject: &Subject<'a>, ingress: &'a Observed) -> Result<Class<'a>, Undecided> {
    if let Some(name) = ingress.text("/spec/ingressClassName")? {
        return Ok(match joins::look(subject, KindRef::INGRESS_CLASS, "", name) {
            Sight::There(class) => Class::Of(class),
            Sight::Missing => Class::Missing(name),
            Sight::Unsure(why) => Class::Unsure(why),
        });
    }
    if let Some(word) = ingress.annotation(OLD_CLASS) {
        return Ok(Class::Word(word));
    }
    let mut classes = subject.view.of_kind(&subject.object.id.cluster, KindRef::INGRESS_CLASS);
    if let Some(default) = classes.find(|class| class.annotation(IS_DEFAULT) == Some("true")) {
        return Ok(Class::Of(default));
    }
    Ok(match joins::is_watched(subject, KindRef::INGRESS_CLASS) {
        Ok(()) if is_taken(subject, ingress)? => Class::Taken,
        Ok(()) => Class::NotSet,
        Err(why) => Class::Unsure(why),
    })
}

/// Whether a controller has taken an ingress without a class, as that of GKE does: its finalizer shows it, and the event of its work.
fn is_taken(subject: &Subject<'_>, ingress: &Observed) -> Result<bool, Undecided> {
    // Finalizers of Kubernetes itself have no name of an owner.
    let is_of_controller = |finalizer: &str| finalizer.contains('/');
    let finalizers = ingress.list("/metadata/finalizers")?;
    if finalizers.iter().any(|finalizer| finalizer.as_str().is_some_and(is_of_controller)) {
        return Ok(true);
    }
    let events = subject.view.events_of(&ingress.id.uid);
    Ok(events.iter().any(|event| event.reason == "Sync" && !event.is_warning()))
}

/// Looks at one Ingress.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let ingress = subject.known()?;
    if joins::is_going(ingress)? {
        return Ok(Vec::new());
    }
    if ingress.map("/spec")?.is_none() {
        return unknown("/spec is not set");
    }
    let has_address = !ingress.list("/status/loadBalancer/ingress")?.is_empty();
    match class_of(subject, ingress)? {
        Class::Of(_) | Class::Taken => Ok(Vec::new()),
        Class::Word(word) => skipped(format!("the annotation {OLD_CLASS} names the class `{word}`, which need not be an object")),
        Class::Unsure(why) => unknown(why),
        Class::Missing(name) => {
            let text = format!("there is no IngressClass `{name}`, so no controller takes the ingress{}", others(subject));
            Ok(vec![subject.finding("IngressClassMissing", text, ingress.recorded_at).part(name)])
        }
        // Some controllers take what has no class; an address shows that one did.
        Class::NotSet if has_address => Ok(Vec::new()),
        Class::NotSet => {
            let text = format!("the ingress names no class, and none is the default{}", others(subject));
            let remedy = format!("set spec.ingressClassName, or mark one IngressClass with {IS_DEFAULT}: \"true\"");
            Ok(vec![subject.finding("IngressClassNotSet", text, ingress.recorded_at).remedy(remedy)])
        }
    }
}

fn others(subject: &Subject<'_>) -> String {
    let classes = subject.view.of_kind(&subject.object.id.cluster, KindRef::INGRESS_CLASS);
    let names: Vec<&str> = classes.map(|class| class.name()).collect();
    if names.is_empty() { "; the cluster has none".to_owned() } else { format!("; there is {}", names.join(", ")) }
}
