//! Which resource types, namespaces and labels are watched. Pure: discovery's answer and the settings in, the choice out.
//!
//! Never decides that something is gone: what is not chosen is not watched, and nothing more is said of it. Invariant: one object is
//! watched through one type and one version only.

use std::collections::{BTreeMap, BTreeSet};

use proreus_model::{ApiVersion, Group, Kind, Namespace, Resource, ResourceType};

/// The settings of what is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Exactly these types and no others, where set; `include` is not used then.
    pub exactly: Option<Vec<ExactType>>,
    /// With `exactly`: also every custom resource, and the definitions themselves.
    pub discover_crds: bool,
    /// Only types that match one of these; empty for all.
    pub include: Vec<TypePattern>,
    /// Never types that match one of these.
    pub exclude: Vec<TypePattern>,
    /// Only objects of these namespaces and cluster-scoped ones; empty for all. With one entry the server is asked for that one only.
    pub include_namespaces: Vec<Namespace>,
    /// Never objects of these namespaces.
    pub exclude_namespaces: Vec<Namespace>,
    /// Only objects with these labels, by type; the first pattern that matches a type counts.
    pub label_selectors: Vec<(TypePattern, String)>,
}

/// One entry of `resources:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactType {
    /// API group, `""` for core.
    pub group: Group,
    /// Version to watch in; the server's preferred one if it does not serve this.
    pub version: ApiVersion,
    /// Lower-case plural.
    pub resource: Resource,
    /// Kind, where the plural is not given.
    pub kind: Kind,
}

/// A pattern for types: `pods`, `deployments.apps`, `*.example.com`, `Secret`. Without a group any group matches; `core` is the core group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypePattern {
    /// Plural or kind in any case, `*` for all.
    name: String,
    /// Group, `None` for all.
    group: Option<String>,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no resource pattern; write `pods`, `deployments.apps`, `*.example.com` or `pods.core`")]
pub struct TypePatternError(String);

impl std::str::FromStr for TypePattern {
    type Err = TypePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, group) = text.split_once('.').map_or((text, None), |(name, group)| (name, Some(group)));
        let is_plain =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        if (name != "*" && !is_plain(name)) || group.is_some_and(|group| !is_plain(group)) {
            return Err(TypePatternError(text.to_owned()));
        }
        Ok(Self { name: name.to_ascii_lowercase(), group: group.filter(|group| *group != "*").map(str::to_ascii_lowercase) })
    }
}

impl TypePattern {
    fn matches(&self, of: &ResourceType) -> bool {
        let group = if of.group.is_empty() { "core" } else { of.group.as_str() };
        self.group.as_ref().is_none_or(|wanted| wanted == group)
            && (self.name == "*" || self.name == of.resource.as_str() || self.name == of.kind.as_str().to_ascii_lowercase())
    }

    /// Whether it names this very type rather than a crowd.
    fn names(&self, of: &ResourceType) -> bool {
        self.name != "*" && self.matches(of)
    }
}

/// A type that is watched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) resource_type: ResourceType,
    pub(crate) label_selector: Option<String>,
    pub(crate) namespaces: NamespaceChoice,
}

impl Chosen {
    /// The same type in one namespace only.
    pub(crate) fn within(&self, namespace: &Namespace) -> Self {
        let namespaces = NamespaceChoice { include: BTreeSet::from([namespace.clone()]), exclude: BTreeSet::new() };
        Self { namespaces, ..self.clone() }
    }
}

/// Namespaces that are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamespaceChoice {
    include: BTreeSet<Namespace>,
    exclude: BTreeSet<Namespace>,
}

impl NamespaceChoice {
    /// Whether objects of this namespace are recorded; cluster-scoped ones always are.
    pub(crate) fn admits(&self, namespace: &Namespace) -> bool {
        namespace.is_empty() || ((self.include.is_empty() || self.include.contains(namespace)) && !self.exclude.contains(namespace))
    }

    /// The namespace that the server can be asked for, if it is a single one.
    pub(crate) fn single(&self) -> Option<&Namespace> {
        if self.include.len() == 1 { self.include.first() } else { None }
    }
}

/// Types that are not watched unless named: Leases are renewed every few seconds and say nothing else; `events.k8s.io` serves the very
/// Events that the core group serves, and the core shape is the one that older clients of ours read.
const NOT_BY_DEFAULT: &[(&str, &str)] = &[("coordination.k8s.io", "leases"), ("events.k8s.io", "events")];

/// Chooses among the served types, which come in the server's order of preference. `custom` names the custom resources as
/// (group, plural).
pub(crate) fn choose(
    served: &[ResourceType],
    selection: &Selection,
    custom: &BTreeSet<(Group, Resource)>,
) -> BTreeMap<(Group, Resource), Chosen> {
    let mut chosen = BTreeMap::new();
    for candidate in served {
        let key = (candidate.group.clone(), candidate.resource.clone());
        if chosen.contains_key(&key) || !is_wanted(candidate, selection, custom) {
            continue;
        }
        let resource_type = in_configured_version(candidate, served, selection);
        let label_selector =
            selection.label_selectors.iter().find(|(pattern, _)| pattern.matches(candidate)).map(|(_, selector)| selector.clone());
        let namespaces = if candidate.namespaced {
            NamespaceChoice {
                include: selection.include_namespaces.iter().cloned().collect(),
                exclude: selection.exclude_namespaces.iter().cloned().collect(),
            }
        } else {
            NamespaceChoice::default()
        };
        chosen.insert(key, Chosen { resource_type, label_selector, namespaces });
    }
    // Both APIs serve the same objects.
    if chosen.contains_key(&("".into(), "events".into())) {
        chosen.remove(&("events.k8s.io".into(), "events".into()));
    }
    chosen
}

/// Exact types that the server does not serve.
pub(crate) fn missing(served: &[ResourceType], selection: &Selection) -> Vec<String> {
    let exact = selection.exactly.as_deref().unwrap_or_default();
    exact
        .iter()
        .filter(|wanted| !served.iter().any(|of| is_exactly(of, wanted)))
        .map(|wanted| format!("{}/{} {}{}", wanted.group, wanted.version, wanted.kind, wanted.resource))
        .collect()
}

fn is_exactly(of: &ResourceType, wanted: &ExactType) -> bool {
    of.group == wanted.group && if wanted.resource.is_empty() { of.kind == wanted.kind } else { of.resource == wanted.resource }
}

fn is_wanted(of: &ResourceType, selection: &Selection, custom: &BTreeSet<(Group, Resource)>) -> bool {
    if selection.exclude.iter().any(|pattern| pattern.matches(of)) {
        return false;
    }
    if let Some(exact) = &selection.exactly {
        let is_definition = of.group.as_str() == "apiextensions.k8s.io" && of.resource.as_str() == "customresourcedefinitions";
        let is_discovered = selection.discover_crds && (is_definition || custom.contains(&(of.group.clone(), of.resource.clone())));
        return is_discovered || exact.iter().any(|wanted| is_exactly(of, wanted));
    }
    if NOT_BY_DEFAULT.contains(&(of.group.as_str(), of.resource.as_str())) {
        return selection.include.iter().any(|pattern| pattern.group.is_some() && pattern.names(of));
    }
    selection.include.is_empty() || selection.include.iter().any(|pattern| pattern.matches(of))
}

fn in_configured_version(preferred: &ResourceType, served: &[ResourceType], selection: &Selection) -> ResourceType {
    let exact = selection.exactly.iter().flatten().find(|wanted| is_exactly(preferred, wanted));
    let configured = exact.and_then(|wanted| {
        served.iter().find(|of| of.group == preferred.group && of.resource == preferred.resource && of.version == wanted.version)
    });
    configured.unwrap_or(preferred).clone()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn served() -> Vec<ResourceType> {
        [
            "/v1 pods Pod",
            "/v1 events Event",
            "/v1 secrets Secret",
            "/v1 nodes Node",
            "apps/v1 deployments Deployment",
            "events.k8s.io/v1 events Event",
            "coordination.k8s.io/v1 leases Lease",
            "autoscaling/v2 horizontalpodautoscalers HorizontalPodAutoscaler",
            "autoscaling/v1 horizontalpodautoscalers HorizontalPodAutoscaler",
            "apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition",
            "shop.example/v1 carts Cart",
        ]
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(['/', ' ']).collect();
            let [group, version, resource, kind] = words.as_slice() else { unreachable!("four words") };
            ResourceType {
                group: (*group).into(),
                version: (*version).into(),
                kind: (*kind).into(),
                resource: (*resource).into(),
                namespaced: *resource != "nodes",
            }
        })
        .collect()
    }

    fn patterns(text: &[&str]) -> Vec<TypePattern> {
        text.iter().map(|pattern| pattern.parse().unwrap()).collect()
    }

    fn chosen(selection: &Selection) -> String {
        let custom = BTreeSet::from([("shop.example".into(), "carts".into())]);
        let names: Vec<String> = choose(&served(), selection, &custom)
            .values()
            .map(|chosen| format!("{}/{}", chosen.resource_type.resource, chosen.resource_type.version))
            .collect();
        names.join(" ")
    }

    #[test]
    fn watches_everything_once_but_leases_by_default() {
        assert_eq!(
            chosen(&Selection::default()),
            "events/v1 nodes/v1 pods/v1 secrets/v1 customresourcedefinitions/v1 deployments/v1 horizontalpodautoscalers/v2 carts/v1"
        );
    }

    #[test]
    fn includes_and_excludes_by_plural_kind_and_group() {
        let selection =
            Selection { include: patterns(&["pod", "*.apps", "secrets"]), exclude: patterns(&["secrets.core"]), ..Selection::default() };
        assert_eq!(chosen(&selection), "pods/v1 deployments/v1");
    }

    #[test]
    fn watches_leases_when_they_are_named_with_their_group() {
        assert_eq!(chosen(&Selection { include: patterns(&["leases.coordination.k8s.io"]), ..Selection::default() }), "leases/v1");
        assert_eq!(chosen(&Selection { include: patterns(&["*.coordination.k8s.io"]), ..Selection::default() }), "");
    }

    fn exact(group: &str, version: &str, resource: &str) -> ExactType {
        ExactType { group: group.into(), version: version.into(), resource: resource.into(), kind: Kind::default() }
    }

    #[test]
    fn exact_types_are_these_and_no_others_in_the_version_asked_for() {
        let exactly =
            Some(vec![exact("", "v1", "pods"), exact("autoscaling", "v1", "horizontalpodautoscalers"), exact("apps", "v9", "deployments")]);
        assert_eq!(
            chosen(&Selection { exactly: exactly.clone(), ..Selection::default() }),
            "pods/v1 deployments/v1 horizontalpodautoscalers/v1"
        );
        assert_eq!(
            chosen(&Selection { exactly, discover_crds: true, ..Selection::default() }),
            "pods/v1 customresourcedefinitions/v1 deployments/v1 horizontalpodautoscalers/v1 carts/v1"
        );
    }

    #[test]
    fn events_are_watched_through_one_api_even_if_both_are_named() {
        let exactly = Some(vec![exact("", "v1", "events"), exact("events.k8s.io", "v1", "events")]);
        assert_eq!(chosen(&Selection { exactly, ..Selection::default() }), "events/v1");
    }

    #[test]
    fn names_exact_types_that_are_not_served() {
        let selection =
            Selection { exactly: Some(vec![exact("", "v1", "pods"), exact("x.example", "v1", "things")]), ..Selection::default() };
        assert_eq!(missing(&served(), &selection), ["x.example/v1 things"]);
    }

    #[test]
    fn admits_namespaces_that_are_included_and_not_excluded_and_the_cluster_scope() {
        let choice = NamespaceChoice { include: BTreeSet::from(["a".into(), "b".into()]), exclude: BTreeSet::from(["b".into()]) };
        assert_eq!(["", "a", "b", "c"].map(|namespace| choice.admits(&namespace.into())), [true, true, false, false]);
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_refused() {
        for text in ["", ".apps", "pods.", "po ds", "a/b"] {
            assert!(text.parse::<TypePattern>().is_err(), "{text}");
        }
    }
}
