//! From what a cluster allows to what may be read of its past: which questions to ask, and the rules that follow from the answers.
//!
//! Pure: the answers come as an argument. Asked is, in this order and no further than needed: everything; each type that the journal
//! knows, in all namespaces; each type that was denied there, in each namespace in which the journal knows it. Where nothing is known
//! nothing can be shown, so no other question matters. Invariant: a rule stands only on an answer that allowed just that.
//!
//! What Proreus itself recorded names objects of every namespace, so it is for those who may list everything; who may see an incident is
//! decided by its object where incidents are told.

use std::collections::{BTreeMap, BTreeSet};

use proreus_model::{AccessRule, ClusterId, Group, Namespace, Resource};
use proreus_record::Deed;
use proreus_store::Place;

/// The group of what Proreus itself did.
pub(super) const OWN_GROUP: &str = "proreus.dev";

/// Questions about one user of one cluster that are asked for one decision: a cluster of a hundred namespaces with a dozen types each has
/// 1,200 places. Beyond it only the namespaces that the question names are asked for, and what is not asked for is not shown.
pub(super) const MAX_REVIEWS: usize = 4_000;

/// Answers got so far: what was not asked is not in it.
pub(super) type Answers = BTreeMap<Deed, bool>;

/// Where the journal knows each type of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownTypes(BTreeMap<(Group, Resource), BTreeSet<Namespace>>);

impl KnownTypes {
    pub(super) fn of(places: &BTreeSet<Place>, cluster: &ClusterId) -> Self {
        let mut types: BTreeMap<(Group, Resource), BTreeSet<Namespace>> = BTreeMap::new();
        for place in places.iter().filter(|place| place.cluster == *cluster) {
            types.entry((place.group.clone(), place.resource.clone())).or_default().insert(place.namespace.clone());
        }
        Self(types)
    }
}

/// What is to be done next for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask these.
    Ask(Vec<Deed>),
    /// The decision, and how many places were left out because there were too many.
    Decided(Vec<AccessRule>, usize),
}

/// The question whether a type may be listed.
pub(super) fn listing(group: &str, resource: &str, namespace: &str) -> Deed {
    Deed {
        verb: "list".to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        ..Deed::default()
    }
}

/// The next questions, or the rules when there are none. `concerned`: the namespaces that the question is narrowed to; none for all.
pub(super) fn next(cluster: &ClusterId, known: &KnownTypes, answers: &Answers, concerned: &[Namespace]) -> Next {
    let rule = |key: &(Group, Resource), namespace: Option<Namespace>| AccessRule {
        cluster: cluster.clone(),
        group: key.0.clone(),
        resource: key.1.clone(),
        namespace,
    };
    let everything = listing("*", "*", "");
    match answers.get(&everything) {
        None => return Next::Ask(vec![everything]),
        Some(true) => return Next::Decided(known.0.keys().map(|key| rule(key, None)).collect(), 0),
        Some(false) => {}
    }
    let foreign = || known.0.iter().filter(|((group, _), _)| group.as_str() != OWN_GROUP);
    let everywhere = |(group, resource): &(Group, Resource)| listing(group.as_str(), resource.as_str(), "");
    let open: Vec<Deed> = foreign().map(|(key, _)| everywhere(key)).filter(|deed| !answers.contains_key(deed)).collect();
    if !open.is_empty() {
        return Next::Ask(open);
    }
    let mut rules = Vec::new();
    let mut places: Vec<(&(Group, Resource), &Namespace)> = Vec::new();
    for (key, namespaces) in foreign() {
        match answers.get(&everywhere(key)) {
            Some(true) => rules.push(rule(key, None)),
            Some(false) | None => places.extend(namespaces.iter().filter(|of| !of.is_empty()).map(|namespace| (key, namespace))),
        }
    }
    let all = places.len();
    if all > MAX_REVIEWS {
        places.retain(|(_, namespace)| concerned.contains(namespace));
        places.truncate(MAX_REVIEWS);
    }
    let left_out = all - places.len();
    let there = |key: &(Group, Resource), namespace: &Namespace| listing(key.0.as_str(), key.1.as_str(), namespace.as_str());
    let open: Vec<Deed> = places.iter().map(|(key, namespace)| there(key, namespace)).filter(|deed| !answers.contains_key(deed)).collect();
    if !open.is_empty() {
        return Next::Ask(open);
    }
    let allowed = places.into_iter().filter(|(key, namespace)| answers.get(&there(key, namespace)) == Some(&true));
    rules.extend(allowed.map(|(key, namespace)| rule(key, Some(namespace.clone()))));
    Next::Decided(rules, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(cluster: &str, group: &str, resource: &str, namespace: &str) -> Place {
        Place { cluster: cluster.into(), group: group.into(), resource: resource.into(), namespace: namespace.into() }
    }

    /// Asks an oracle until decided; gives the rules as text, and every question that was asked.
    fn decide(places: &[Place], concerned: &[&str], may: impl Fn(&Deed) -> bool) -> (Vec<AccessRule>, Vec<Deed>, usize) {
        let places: BTreeSet<Place> = places.iter().cloned().collect();
        let concerned: Vec<Namespace> = concerned.iter().map(|namespace| Namespace::from(*namespace)).collect();
        let cluster = ClusterId::from("c1");
        let known = KnownTypes::of(&places, &cluster);
        let (mut answers, mut asked) = (Answers::new(), Vec::new());
        loop {
            match next(&cluster, &known, &answers, &concerned) {
                Next::Decided(rules, left_out) => return (rules, asked, left_out),
                Next::Ask(deeds) => {
                    assert!(!deeds.is_empty(), "a decision that asks nothing never ends");
                    for deed in deeds {
                        assert!(!answers.contains_key(&deed), "asked twice: {deed:?}");
                        answers.insert(deed.clone(), may(&deed));
                        asked.push(deed);
                    }
                }
            }
        }
    }

    fn told(rules: &[AccessRule]) -> Vec<String> {
        let place = |rule: &AccessRule| rule.namespace.as_ref().map_or("everywhere".to_owned(), |namespace| format!("in {namespace}"));
        rules.iter().map(|rule| format!("{} {}.{} {}", rule.cluster, rule.resource, rule.group, place(rule))).collect()
    }

    fn shop() -> Vec<Place> {
        vec![
            place("c1", "", "pods", "shop"),
            place("c1", "", "pods", "bank"),
            place("c1", "", "nodes", ""),
            place("c1", "apps", "deployments", "shop"),
            place("c1", "proreus.dev", "incidents", "shop"),
            place("c2", "", "pods", "shop"),
        ]
    }

    #[test]
    fn asks_one_question_for_those_who_may_list_everything() {
        let (rules, asked, _) = decide(&shop(), &[], |_| true);
        assert_eq!(asked, [listing("*", "*", "")]);
        let expected =
            ["c1 nodes. everywhere", "c1 pods. everywhere", "c1 deployments.apps everywhere", "c1 incidents.proreus.dev everywhere"];
        assert_eq!(told(&rules), expected);
    }

    #[test]
    fn asks_for_a_namespace_only_what_was_denied_everywhere_and_is_known_there() {
        let (rules, asked, _) = decide(&shop(), &[], |deed| deed.resource == "deployments" || deed.namespace == "shop");
        assert_eq!(told(&rules), ["c1 deployments.apps everywhere", "c1 pods. in shop"]);
        let namespaced: Vec<&Deed> = asked.iter().filter(|deed| !deed.namespace.is_empty()).collect();
        assert_eq!(namespaced, [&listing("", "pods", "bank"), &listing("", "pods", "shop")]);
    }

    #[test]
    fn shows_nothing_of_its_own_records_to_those_who_may_not_list_everything() {
        let (rules, asked, _) = decide(&shop(), &[], |deed| deed.resource != "*");
        assert!(rules.iter().all(|rule| rule.group.as_str() != OWN_GROUP));
        assert!(asked.iter().all(|deed| deed.group != OWN_GROUP), "nor is anybody asked");
    }

    #[test]
    fn a_user_without_rights_gets_no_rule() {
        assert_eq!(decide(&shop(), &[], |_| false).0, []);
        assert_eq!(decide(&[], &[], |_| true).0, []);
    }

    #[test]
    fn asks_for_the_named_namespaces_only_where_there_are_too_many() {
        let many: Vec<Place> = (0..=MAX_REVIEWS).map(|index| place("c1", "", "pods", &format!("n{index}"))).collect();
        let (rules, asked, left_out) = decide(&many, &["n7"], |deed| !deed.namespace.is_empty());
        assert_eq!(told(&rules), ["c1 pods. in n7"]);
        assert_eq!((asked.len(), left_out), (3, MAX_REVIEWS));
        assert_eq!(decide(&many, &[], |deed| !deed.namespace.is_empty()).0, []);
    }

    fn any_places() -> impl Strategy<Value = Vec<Place>> {
        let word = |words: &'static [&'static str]| proptest::sample::select(words);
        let one = (word(&["c1", "c2"]), word(&["", "apps", OWN_GROUP]), word(&["pods", "nodes", "secrets"]), word(&["", "shop", "bank"]));
        proptest::collection::vec(one.prop_map(|(cluster, group, resource, namespace)| place(cluster, group, resource, namespace)), 0..24)
    }

    /// All questions that can be asked about such places.
    fn all_deeds() -> Vec<Deed> {
        let mut deeds = vec![listing("*", "*", "")];
        for group in ["", "apps", OWN_GROUP] {
            for resource in ["pods", "nodes", "secrets"] {
                deeds.extend(["", "shop", "bank"].map(|namespace| listing(group, resource, namespace)));
            }
        }
        deeds
    }

    proptest! {
        /// Whatever is answered, a rule admits a place only if it, or all of its type, or everything, was allowed; and never of another
        /// cluster.
        #[test]
        fn never_admits_what_was_denied(places in any_places(), mask in any::<u64>()) {
            let deeds = all_deeds();
            let may = |deed: &Deed| deeds.iter().position(|known| known == deed).is_some_and(|index| mask >> index & 1 == 1);
            let (rules, _, _) = decide(&places, &[], may);
            for place in &places {
                let admitted = super::super::admits(
                    &proreus_model::Access::Only(rules.clone()),
                    &place.cluster,
                    &place.group,
                    &place.resource,
                    &place.namespace,
                );
                let (group, resource, namespace) = (place.group.as_str(), place.resource.as_str(), place.namespace.as_str());
                let everything = may(&listing("*", "*", ""));
                let its_own = may(&listing(group, resource, "")) || (!namespace.is_empty() && may(&listing(group, resource, namespace)));
                let allowed = place.cluster.as_str() == "c1" && (everything || (group != OWN_GROUP && its_own));
                prop_assert_eq!(admitted, allowed, "{:?}", place);
            }
        }

        /// Fewer rights, no more access: what is denied in addition takes away and adds nothing.
        #[test]
        fn denying_more_never_admits_more(places in any_places(), mask in any::<u64>(), also_denied in any::<u64>()) {
            let deeds = all_deeds();
            let by = |mask: u64| {
                let may = |deed: &Deed| deeds.iter().position(|known| known == deed).is_some_and(|index| mask >> index & 1 == 1);
                proreus_model::Access::Only(decide(&places, &[], may).0)
            };
            let (more, less) = (by(mask), by(mask & !also_denied));
            for place in &places {
                let admits = |access| super::super::admits(access, &place.cluster, &place.group, &place.resource, &place.namespace);
                prop_assert!(!admits(&less) || admits(&more), "{:?}", place);
            }
        }
    }
}
