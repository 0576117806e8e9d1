//! Guarantees of filters and access: each as a table from question to positions.

use proreus_model::{Access, AccessRule, Change, Filter, MarkKind, Namespace, Order, Origin, Record, Verb};

use super::sample::{change, create, everything, mark, object, page, query, scope, seqs, write};
use super::{Workbench, in_every_condition};
use crate::{Journal, ReadQuery};

/// Positions 1..=9 over two days: changes of three kinds in two clusters (1, 2, 4, 5, 7, 9) and marks (3, 6, 8).
fn mixed(bench: &dyn Workbench) {
    let day = "2026-11-20T10:00:00Z";
    let by = |manager: &str, verb, origin, path: &str| {
        let manager = Some(manager.into());
        Record::Change(Change { manager, origin, ..change(day, verb, &object(path), Some("1")) })
    };
    let mut elsewhere = object("Pod/web/a/1");
    elsewhere.cluster = "c2".into();
    write(
        bench,
        vec![
            by("kubectl", Verb::Create, Origin::Snapshot, "Pod/web/a/1"),
            by("kubelet", Verb::Update, Origin::Watch, "Pod/web/a/1"),
            mark(day, MarkKind::Synced, scope("c1", "", "pods")),
            by("", Verb::Create, Origin::Relist, "Deployment/shop/a/2"),
            create(day, "Node//n1/3", "1"),
            mark(day, MarkKind::Stale, scope("c1", "", "")),
        ],
    );
    let next = "2026-11-21T10:00:00Z";
    let event = change(next, Verb::Create, &object("Event/web/a.1/4"), Some("1"));
    write(bench, vec![Record::Change(event), mark(next, MarkKind::ConfigChanged, scope("", "", ""))]);
    write(bench, vec![Record::Change(change(next, Verb::Delete, &elsewhere, None))]);
}

fn check(journal: &dyn Journal, filter: &Filter, wanted: &[u64]) {
    for limit in [2, 1_000] {
        let mut query = ReadQuery { limit, ..query(filter.clone()) };
        let ascending = page(journal, &query);
        assert_eq!(seqs(&ascending.records), &wanted[..limit.min(wanted.len())], "{filter:?}");
        assert_eq!(ascending.more, wanted.len() > limit, "{filter:?}");
        query.order = Order::Descending;
        let newest: Vec<u64> = wanted.iter().rev().take(limit).copied().collect();
        assert_eq!(seqs(&page(journal, &query).records), newest, "{filter:?}");
    }
}

pub(super) fn narrows_by_every_field_of_a_change(bench: &mut dyn Workbench) {
    mixed(bench);
    let all = Filter::changes;
    let nothing = Filter::default();
    let table: Vec<(Filter, &[u64])> = vec![
        (all(), &[1, 2, 4, 5, 7, 9]),
        (nothing, &[]),
        (Filter { clusters: vec!["c2".into()], ..all() }, &[9]),
        (Filter { clusters: vec!["c1".into(), "c2".into()], ..all() }, &[1, 2, 4, 5, 7, 9]),
        (Filter { clusters: vec!["unknown".into()], ..all() }, &[]),
        (Filter { groups: vec!["apps".into()], ..all() }, &[4]),
        (Filter { groups: vec!["".into()], ..all() }, &[1, 2, 5, 7, 9]),
        (Filter { kinds: vec!["Pod".into(), "Node".into()], ..all() }, &[1, 2, 5, 9]),
        (Filter { kinds: vec!["pod".into()], ..all() }, &[]),
        (Filter { resources: vec!["pods".into()], ..all() }, &[1, 2, 9]),
        (Filter { namespaces: vec!["".into()], ..all() }, &[5]),
        (Filter { namespaces: vec!["shop".into(), "web".into()], ..all() }, &[1, 2, 4, 7, 9]),
        (Filter { names: vec!["a".into()], ..all() }, &[1, 2, 4, 9]),
        (Filter { uids: vec!["1".into(), "4".into()], ..all() }, &[1, 2, 7, 9]),
        (Filter { verbs: vec![Verb::Update, Verb::Delete], ..all() }, &[2, 9]),
        (Filter { origins: vec![Origin::Snapshot, Origin::Relist], ..all() }, &[1, 4]),
        (Filter { managers: vec!["kubelet".into()], ..all() }, &[2]),
        // The empty manager is a manager; an absent one is not.
        (Filter { managers: vec!["".into()], ..all() }, &[4]),
        (Filter { regarding: vec!["uid-of-web".into()], ..all() }, &[7]),
        (Filter { regarding: vec!["1".into()], ..all() }, &[]),
        // Marks stay out unless they are wanted, whatever is said of them.
        (Filter { mark_kinds: vec![MarkKind::Synced], ..all() }, &[1, 2, 4, 5, 7, 9]),
        (Filter { names: vec!["a".into()], namespaces: vec!["web".into()], verbs: vec![Verb::Create], ..all() }, &[1]),
        (Filter { names: vec!["a".into()], kinds: vec!["Node".into()], ..all() }, &[]),
    ];
    in_every_condition(bench, |journal| {
        for (filter, wanted) in &table {
            check(journal, filter, wanted);
        }
    });
}

pub(super) fn narrows_marks_by_their_scope_only(bench: &mut dyn Workbench) {
    mixed(bench);
    let marks = Filter::marks;
    let table: Vec<(Filter, &[u64])> = vec![
        (marks(), &[3, 6, 8]),
        (everything(), &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Filter { mark_kinds: vec![MarkKind::Stale, MarkKind::ConfigChanged], ..marks() }, &[6, 8]),
        (Filter { clusters: vec!["c1".into()], ..marks() }, &[3, 6]),
        (Filter { clusters: vec!["".into()], ..marks() }, &[8]),
        (Filter { resources: vec!["pods".into()], ..marks() }, &[3]),
        (Filter { resources: vec!["pods".into(), "".into()], clusters: vec!["c1".into()], ..marks() }, &[3, 6]),
        (Filter { groups: vec!["apps".into()], ..marks() }, &[]),
        (Filter { kinds: vec!["Pod".into()], ..everything() }, &[1, 2, 9]),
        (Filter { namespaces: vec!["".into()], ..everything() }, &[5]),
        (Filter { names: vec!["a".into()], ..marks() }, &[]),
        (Filter { uids: vec!["1".into()], ..everything() }, &[1, 2, 9]),
        (Filter { verbs: vec![Verb::Delete], ..everything() }, &[9]),
        (Filter { origins: vec![Origin::Relist], ..everything() }, &[4]),
        (Filter { managers: vec!["kubelet".into()], ..everything() }, &[2]),
        (Filter { regarding: vec!["uid-of-web".into()], ..everything() }, &[7]),
        (Filter { resources: vec!["pods".into()], ..everything() }, &[1, 2, 3, 9]),
        (Filter { mark_kinds: vec![MarkKind::Synced], ..everything() }, &[1, 2, 3, 4, 5, 7, 9]),
    ];
    in_every_condition(bench, |journal| {
        for (filter, wanted) in &table {
            check(journal, filter, wanted);
        }
    });
}

fn rule(cluster: &str, group: &str, resource: &str, namespace: Option<&str>) -> AccessRule {
    AccessRule { cluster: cluster.into(), group: group.into(), resource: resource.into(), namespace: namespace.map(Namespace::from) }
}

pub(super) fn admits_only_what_a_rule_admits(bench: &mut dyn Workbench) {
    mixed(bench);
    let only = |rules: Vec<AccessRule>| Filter { access: Access::Only(rules), ..everything() };
    let pods_of_web = || rule("c1", "", "pods", Some("web"));
    let table: Vec<(Filter, &[u64])> = vec![
        (only(vec![]), &[]),
        // Whoever may read anything of a scope may know how its watch fares.
        (only(vec![pods_of_web()]), &[1, 2, 3, 6, 8]),
        (only(vec![rule("c1", "", "pods", Some("shop"))]), &[3, 6, 8]),
        (only(vec![rule("c1", "", "nodes", Some(""))]), &[5, 6, 8]),
        (only(vec![rule("c1", "", "deployments", None)]), &[6, 8]),
        (only(vec![rule("c1", "apps", "deployments", None), pods_of_web()]), &[1, 2, 3, 4, 6, 8]),
        (only(vec![rule("c2", "", "pods", None)]), &[8, 9]),
        (only(vec![rule("c3", "", "pods", None)]), &[8]),
        (Filter { verbs: vec![Verb::Update], ..only(vec![pods_of_web()]) }, &[2]),
        (Filter { clusters: vec!["c2".into()], ..only(vec![pods_of_web()]) }, &[]),
    ];
    in_every_condition(bench, |journal| {
        for (filter, wanted) in &table {
            check(journal, filter, wanted);
        }
    });
}
