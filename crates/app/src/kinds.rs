//! From the word a person types (`po`, `Deployment`, `deployments.apps`) to resource types.
//!
//! Pure.

use proreus_model::{Group, Kind, Resource, ResourceType};

/// Short names of the built-in types, as `kubectl api-resources` prints them.
const SHORT_NAMES: [(&str, &str); 26] = [
    ("cm", "configmaps"),
    ("cj", "cronjobs"),
    ("crd", "customresourcedefinitions"),
    ("crds", "customresourcedefinitions"),
    ("csr", "certificatesigningrequests"),
    ("deploy", "deployments"),
    ("ds", "daemonsets"),
    ("ep", "endpoints"),
    ("ev", "events"),
    ("hpa", "horizontalpodautoscalers"),
    ("ing", "ingresses"),
    ("limits", "limitranges"),
    ("netpol", "networkpolicies"),
    ("no", "nodes"),
    ("ns", "namespaces"),
    ("pc", "priorityclasses"),
    ("pdb", "poddisruptionbudgets"),
    ("po", "pods"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("quota", "resourcequotas"),
    ("rc", "replicationcontrollers"),
    ("rs", "replicasets"),
    ("sa", "serviceaccounts"),
    ("sc", "storageclasses"),
    ("svc", "services"),
];

/// Which kinds a word stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindQuery {
    /// Groups, empty for any.
    pub groups: Vec<Group>,
    /// Kinds, exact.
    pub kinds: Vec<Kind>,
    /// Resource plurals, exact.
    pub resources: Vec<Resource>,
}

/// Resolves `word` (kind, plural, singular or short name, in any case, optionally with `.group` behind it) among the `types` of which
/// anything is kept. A word that none of them answers to is taken literally, so that it simply matches nothing.
pub fn resolve_kind(word: &str, types: &[ResourceType]) -> KindQuery {
    if let Some(found) = matching(word, None, types) {
        return found;
    }
    if let Some((kind, group)) = word.split_once('.')
        && let Some(found) = matching(kind, Some(group), types)
    {
        return found;
    }
    let literal_kind = word.starts_with(|first: char| first.is_ascii_uppercase());
    KindQuery {
        groups: Vec::new(),
        kinds: if literal_kind { vec![word.into()] } else { Vec::new() },
        resources: if literal_kind { Vec::new() } else { vec![word.into()] },
    }
}

fn matching(word: &str, group: Option<&str>, types: &[ResourceType]) -> Option<KindQuery> {
    let lower = word.to_ascii_lowercase();
    let plural = SHORT_NAMES.iter().find(|(short, _)| *short == lower).map_or(lower.as_str(), |(_, plural)| plural);
    let found: Vec<&ResourceType> = types
        .iter()
        .filter(|of| of.resource.as_str() == plural || of.kind.as_str().eq_ignore_ascii_case(&lower))
        .filter(|of| group.is_none_or(|group| of.group.as_str() == group))
        .collect();
    if found.is_empty() {
        return None;
    }
    let mut groups: Vec<Group> = found.iter().map(|of| of.group.clone()).collect();
    let mut kinds: Vec<Kind> = found.iter().map(|of| of.kind.clone()).collect();
    groups.sort();
    groups.dedup();
    kinds.sort();
    kinds.dedup();
    Some(KindQuery { groups, kinds, resources: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Vec<ResourceType> {
        let of = |group: &str, kind: &str, resource: &str| ResourceType {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            resource: resource.into(),
            namespaced: true,
        };
        vec![
            of("", "Pod", "pods"),
            of("apps", "Deployment", "deployments"),
            of("networking.k8s.io", "Ingress", "ingresses"),
            of("extensions", "Ingress", "ingresses"),
        ]
    }

    fn check(word: &str, expected: &str) {
        let found = resolve_kind(word, &types());
        assert_eq!(format!("{:?} {:?} {:?}", found.groups, found.kinds, found.resources), expected, "{word}");
    }

    #[test]
    fn knows_kinds_plurals_and_short_names_in_any_case() {
        for word in ["Deployment", "deployment", "deployments", "deploy", "DEPLOY", "deployments.apps", "deploy.apps"] {
            check(word, r#"["apps"] ["Deployment"] []"#);
        }
        check("po", r#"[""] ["Pod"] []"#);
    }

    #[test]
    fn a_plural_of_two_groups_means_both_unless_the_group_is_named() {
        check("ing", r#"["extensions", "networking.k8s.io"] ["Ingress"] []"#);
        check("ingresses.networking.k8s.io", r#"["networking.k8s.io"] ["Ingress"] []"#);
    }

    #[test]
    fn an_unknown_word_is_taken_literally() {
        check("Widget", r#"[] ["Widget"] []"#);
        check("widgets", r#"[] [] ["widgets"]"#);
    }
}
