//! What the configuration's own rules let callers of an issuer read.
//!
//! Pure. Invariant: what no rule of theirs names they may not read; the words of a rule narrow each other.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use proreus_model::{Access, AccessRule, ClusterId};
use proreus_record::Deed;
use proreus_store::Place;

use super::oidc::Claimed;
use super::rights::OWN_GROUP;

/// A resource type or a crowd of them: `pods`, `deployments.apps`, `pods.core`, `*.apps`, with a subresource `pods/log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindPattern {
    resource: String,
    /// `None` for every group.
    group: Option<String>,
    subresource: String,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no resource type")]
pub struct KindPatternError(String);

impl FromStr for KindPattern {
    type Err = KindPatternError;

    fn from_str(text: &str) -> Result<Self, KindPatternError> {
        let refuse = || KindPatternError(text.to_owned());
        let (kind, subresource) = text.split_once('/').map_or((text, ""), |(kind, subresource)| (kind, subresource));
        let (resource, group) = kind.split_once('.').map_or((kind, None), |(resource, group)| (resource, Some(group)));
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let is_group = |group: &str| group.split('.').all(is_word);
        let is_fine = (resource == "*" || is_word(resource)) && group.is_none_or(is_group) && (!text.contains('/') || is_word(subresource));
        if !is_fine {
            return Err(refuse());
        }
        let group = group.map(|group| if group == "core" { String::new() } else { group.to_owned() });
        Ok(Self { resource: resource.to_owned(), group, subresource: subresource.to_owned() })
    }
}

impl fmt::Display for KindPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        match self.group.as_deref() {
            Some("") => f.write_str(".core")?,
            Some(group) => write!(f, ".{group}")?,
            None => {}
        }
        if self.subresource.is_empty() { Ok(()) } else { write!(f, "/{}", self.subresource) }
    }
}

impl KindPattern {
    fn fits(&self, group: &str, resource: &str, subresource: &str) -> bool {
        self.subresource == subresource
            && (self.resource == "*" || self.resource == resource)
            && self.group.as_ref().is_none_or(|of| of == group)
    }
}

/// One rule: for whom, and what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticRule {
    /// Users, as they are called here.
    pub users: Vec<String>,
    /// Groups; a caller of one of them, or one of the users, is meant.
    pub groups: Vec<String>,
    /// Everything, whatever the cluster; the rest is empty then.
    pub all: bool,
    /// In these clusters, by id or configured name; empty for all.
    pub clusters: Vec<String>,
    /// In these namespaces; empty for all and the cluster scope.
    pub namespaces: Vec<String>,
    /// Of these types; empty for all.
    pub kinds: Vec<KindPattern>,
}

impl StaticRule {
    pub(super) fn concerns(&self, caller: &Claimed) -> bool {
        self.users.contains(&caller.user) || self.groups.iter().any(|group| caller.groups.contains(group))
    }

    fn admits(&self, place: &Place, cluster: &dyn Fn(&str) -> Option<ClusterId>) -> bool {
        self.is_of(&place.cluster, cluster)
            && (self.namespaces.is_empty() || self.namespaces.iter().any(|namespace| namespace == place.namespace.as_str()))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.fits(place.group.as_str(), place.resource.as_str(), "")))
            // What Proreus recorded itself names objects of every namespace and type.
            && (place.group.as_str() != OWN_GROUP || (self.namespaces.is_empty() && self.kinds.is_empty()))
    }

    fn is_of(&self, id: &ClusterId, cluster: &dyn Fn(&str) -> Option<ClusterId>) -> bool {
        let is_it = |word: &String| word == id.as_str() || cluster(word).is_some_and(|of| of == *id);
        self.clusters.is_empty() || self.clusters.iter().any(is_it)
    }

    /// Whether something that only reads may be done.
    fn allows(&self, of: &ClusterId, deed: &Deed, cluster: &dyn Fn(&str) -> Option<ClusterId>) -> bool {
        if self.all {
            return true;
        }
        self.is_of(of, cluster)
            && (self.namespaces.is_empty() || (!deed.namespace.is_empty() && self.namespaces.contains(&deed.namespace)))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.fits(&deed.group, &deed.resource, &deed.subresource)))
    }
}

/// What rules together let read; `cluster` knows what a configured name stands for.
pub(super) fn access_of(rules: &[&StaticRule], places: &BTreeSet<Place>, cluster: &dyn Fn(&str) -> Option<ClusterId>) -> Access {
    if rules.iter().any(|rule| rule.all) {
        return Access::All;
    }
    let admitted = places.iter().filter(|place| rules.iter().any(|rule| rule.admits(place, cluster)));
    let rules = admitted.map(|Place { cluster, group, resource, namespace }| AccessRule {
        cluster: cluster.clone(),
        group: group.clone(),
        resource: resource.clone(),
        // Each place by itself, the cluster scope among them: the journal knows `""` as a namespace.
        namespace: Some(namespace.clone()),
    });
    Access::Only(rules.collect())
}

/// Whether rules together let something be done. Only reading is ever let.
pub(super) fn may(rules: &[&StaticRule], of: &ClusterId, deed: &Deed, cluster: &dyn Fn(&str) -> Option<ClusterId>) -> bool {
    matches!(deed.verb.as_str(), "get" | "list" | "watch")
        && deed.path.is_empty()
        && rules.iter().any(|rule| rule.allows(of, deed, cluster))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(cluster: &str, group: &str, resource: &str, namespace: &str) -> Place {
        Place { cluster: cluster.into(), group: group.into(), resource: resource.into(), namespace: namespace.into() }
    }

    fn alias(word: &str) -> Option<ClusterId> {
        (word == "prod").then(|| "c1".into())
    }

    fn rule(clusters: &[&str], namespaces: &[&str], kinds: &[&str]) -> StaticRule {
        let texts = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        let kinds = kinds.iter().map(|kind| kind.parse().expect("a pattern")).collect();
        StaticRule { clusters: texts(clusters), namespaces: texts(namespaces), kinds, ..StaticRule::default() }
    }

    fn told(rules: &[&StaticRule]) -> Vec<String> {
        let places = [
            place("c1", "", "nodes", ""),
            place("c1", "", "pods", "shop"),
            place("c1", "apps", "deployments", "shop"),
            place("c1", "apps", "deployments", "bank"),
            place("c1", OWN_GROUP, "incidents", "shop"),
            place("c2", "", "pods", "shop"),
        ];
        match access_of(rules, &places.into_iter().collect(), &alias) {
            Access::All => vec!["all".to_owned()],
            Access::Only(rules) => rules
                .iter()
                .map(|rule| format!("{} {} {}", rule.cluster, rule.resource, rule.namespace.as_ref().map_or("*", |of| of.as_str())))
                .collect(),
        }
    }

    #[test]
    fn the_words_of_a_rule_narrow_each_other() {
        assert_eq!(told(&[&rule(&["prod"], &["shop"], &["deployments.apps"])]), ["c1 deployments shop"]);
        assert_eq!(told(&[&rule(&[], &["shop"], &["pods"])]), ["c1 pods shop", "c2 pods shop"]);
        assert_eq!(told(&[&rule(&["c2"], &[], &[])]), ["c2 pods shop"]);
        assert_eq!(told(&[&rule(&["prod"], &[], &["*.core"])]), ["c1 nodes ", "c1 pods shop"]);
        assert_eq!(told(&[]), Vec::<String>::new());
        assert_eq!(told(&[&StaticRule { all: true, ..StaticRule::default() }]), ["all"]);
    }

    #[test]
    fn only_a_rule_for_a_whole_cluster_shows_its_own_records() {
        assert!(told(&[&rule(&["prod"], &[], &[])]).contains(&"c1 incidents shop".to_owned()));
        assert!(!told(&[&rule(&["prod"], &["shop"], &[])]).contains(&"c1 incidents shop".to_owned()));
        assert!(!told(&[&rule(&["prod"], &[], &["*"])]).contains(&"c1 incidents shop".to_owned()));
    }

    #[test]
    fn logs_are_a_type_of_their_own() {
        let log =
            Deed { verb: "get".into(), resource: "pods".into(), subresource: "log".into(), namespace: "shop".into(), ..Deed::default() };
        let of = |rule: StaticRule| may(&[&rule], &"c1".into(), &log, &alias);
        assert!(of(rule(&["prod"], &["shop"], &["pods/log"])));
        assert!(of(rule(&["prod"], &["shop"], &[])));
        assert!(!of(rule(&["prod"], &["shop"], &["pods"])));
        assert!(!of(rule(&["prod"], &["bank"], &[])));
        assert!(!of(rule(&["c2"], &[], &[])));
        let delete = Deed { verb: "delete".into(), ..log };
        assert!(!may(&[&rule(&[], &[], &[])], &"c1".into(), &delete, &alias));
    }

    #[test]
    fn refuses_patterns_that_name_no_type() {
        for text in ["", "Pods", "pods.", ".apps", "pods/", "/log", "a b", "pods/*", "pods.*"] {
            assert!(text.parse::<KindPattern>().is_err(), "{text}");
        }
        for text in ["pods", "*", "pods.core", "deployments.apps", "*.example.com", "pods/log", "deployments.apps/scale"] {
            assert_eq!(text.parse::<KindPattern>().map(|kind| kind.to_string()), Ok(text.to_owned()));
        }
    }
}
