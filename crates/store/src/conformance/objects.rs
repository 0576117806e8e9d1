//! Guarantees of lists: what lived at a position, and what a fresh list is compared with.

use proreus_model::{Access, AccessRule, Filter, Manager, ObjectId, Seq, Verb};

use super::sample::{FAR, change, create, delete, object, scope, time, update, value, write};
use super::{Workbench, in_every_condition};
use crate::{BodyDetail, Journal};

/// Follows pages of `limit` objects to the end and tells `kind/name=body` of each.
fn follow(journal: &dyn Journal, at: u64, filter: &Filter, limit: usize) -> Vec<String> {
    let mut after: Option<ObjectId> = None;
    let mut all = Vec::new();
    loop {
        let page = journal.objects(Seq(at), filter, after.as_ref(), limit, BodyDetail::Body).expect("the position is kept");
        assert!(page.objects.len() <= limit);
        for change in &page.objects {
            all.push(format!("{}/{}={}", change.object.kind, change.object.name, value(change.body.as_ref())));
        }
        if !page.more {
            return all;
        }
        assert_eq!(page.objects.len(), limit, "more is told, so the page is full");
        after = page.objects.last().map(|change| change.object.clone());
    }
}

pub(super) fn lists_what_lives_in_order(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/b/2", "b"), create("2026-11-20T10:00:00Z", "Pod/web/a/1", "a")]);
    write(bench, vec![create("2026-11-20T10:00:00Z", "Deployment/web/d/3", "d"), update("2026-11-20T10:00:01Z", "Pod/web/a/1", "a+")]);
    write(bench, vec![delete("2026-11-22T10:00:00Z", "Pod/web/b/2"), create("2026-11-22T10:00:00Z", "Node//n/4", "n")]);
    let all = Filter::changes();
    let rule = AccessRule { cluster: "c1".into(), group: "".into(), resource: "pods".into(), namespace: Some("web".into()) };
    let pods_only = Filter { access: Access::Only(vec![rule]), ..Filter::changes() };
    // What a change says of itself does not narrow objects: who wrote last is not a property of the past state.
    let by_change = Filter { verbs: vec![Verb::Delete], managers: vec![Manager::from("nobody")], ..Filter::changes() };
    let named = Filter { names: vec!["a".into(), "n".into()], ..Filter::changes() };
    in_every_condition(bench, |journal| {
        for limit in [1, 2, 3, 100] {
            assert_eq!(follow(journal, 2, &all, limit), ["Pod/a=a", "Pod/b=b"]);
            assert_eq!(follow(journal, 4, &all, limit), ["Pod/a=a+", "Pod/b=b", "Deployment/d=d"]);
            assert_eq!(follow(journal, FAR.0, &all, limit), ["Node/n=n", "Pod/a=a+", "Deployment/d=d"]);
            assert_eq!(follow(journal, 5, &by_change, limit), ["Pod/a=a+", "Deployment/d=d"]);
            assert_eq!(follow(journal, 6, &pods_only, limit), ["Pod/a=a+"]);
            assert_eq!(follow(journal, 6, &named, limit), ["Node/n=n", "Pod/a=a+"]);
        }
        let bare = journal.objects(Seq(2), &all, None, 10, BodyDetail::None).expect("the position is kept");
        assert!(bare.objects.iter().all(|change| change.body.is_none()));
        let none = journal.objects(Seq(0), &all, None, 10, BodyDetail::Body).expect("before everything there is nothing");
        assert_eq!((none.objects.len(), none.more), (0, false));
    });
}

pub(super) fn leaves_events_to_their_own_day(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-20T10:00:00Z", "Event/web/e1/1", "e1"), create("2026-11-20T10:00:00Z", "Event/web/e2/2", "e2")]);
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/3", "a")]);
    write(bench, vec![update("2026-11-21T10:00:00Z", "Event/web/e2/2", "e2+"), create("2026-11-21T10:00:00Z", "Event/web/e3/4", "e3")]);
    let all = Filter::changes();
    in_every_condition(bench, |journal| {
        assert_eq!(follow(journal, 3, &all, 2), ["Event/e1=e1", "Event/e2=e2", "Pod/a=a"]);
        assert_eq!(follow(journal, 4, &all, 2), ["Event/e2=e2+", "Pod/a=a"]);
        assert_eq!(follow(journal, FAR.0, &all, 2), ["Event/e2=e2+", "Event/e3=e3", "Pod/a=a"]);
    });
}

fn heads(journal: &dyn Journal, cluster: &str, group: &str, resource: &str) -> Vec<(String, u64)> {
    let heads = journal.heads(&scope(cluster, group, resource)).expect("heads are kept");
    heads.iter().map(|head| (format!("{} {}", head.object.name, head.resource_version), head.seq.0)).collect()
}

pub(super) fn lists_heads_for_comparison(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-18T10:00:00Z", "Pod/web/b/2", "1"), create("2026-11-18T10:00:00Z", "Pod/web/a/1", "1")]);
    write(bench, vec![create("2026-11-18T10:00:00Z", "Deployment/web/d/3", "1")]);
    write(bench, vec![update("2026-11-19T10:00:00Z", "Pod/web/a/1", "2"), create("2026-11-19T10:00:00Z", "Pod/web/gone/5", "1")]);
    write(bench, vec![delete("2026-11-21T10:00:00Z", "Pod/web/gone/5")]);
    let row = |text: &str, seq: u64| (text.to_owned(), seq);
    in_every_condition(bench, |journal| {
        assert_eq!(heads(journal, "c1", "", "pods"), [row("a rv-2", 4), row("b rv-1", 1)]);
        assert_eq!(heads(journal, "c1", "apps", "deployments"), [row("d rv-1", 3)]);
        assert_eq!(heads(journal, "c1", "", "deployments"), [], "of another group");
        assert_eq!(heads(journal, "c2", "", "pods"), [], "of another cluster");
        assert_eq!(heads(journal, "c1", "", "").len(), 3, "of the whole cluster");
        assert_eq!(heads(journal, "", "", "").len(), 3, "of the whole journal");
        let head = |path: &str| journal.head(&object(path)).expect("heads are kept").map(|head| head.seq.0);
        assert_eq!(head("Pod/web/a/1"), Some(4));
        assert_eq!(head("Pod/web/b/"), Some(1), "by name");
        assert_eq!(head("Pod/web/gone/5"), None, "deleted");
        assert_eq!(head("Pod/web/gone/"), None, "deleted, by name");
        assert_eq!(head("Pod/web/a/other"), None, "never seen");
        let told = journal.head(&object("Pod/web/a/1")).expect("heads are kept").map(|head| head.recorded_at.to_string());
        assert_eq!(told.as_deref(), Some("2026-11-19T10:00:00Z"));
    });
}

pub(super) fn keeps_heads_of_events_for_two_days(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-19T10:00:00Z", "Event/web/e1/1", "1"), create("2026-11-20T10:00:00Z", "Event/web/e2/2", "1")]);
    write(bench, vec![create("2026-11-21T10:00:00Z", "Event/web/e3/3", "1")]);
    let row = |text: &str, seq: u64| (text.to_owned(), seq);
    in_every_condition(bench, |journal| {
        assert_eq!(heads(journal, "c1", "", "events"), [row("e2 rv-1", 2), row("e3 rv-1", 3)]);
        let head = |path: &str| journal.head(&object(path)).expect("heads are kept").map(|head| head.seq.0);
        assert_eq!((head("Event/web/e1/1"), head("Event/web/e2/2"), head("Event/web/e3/")), (None, Some(2), Some(3)));
    });
}

pub(super) fn names_clusters_and_types(bench: &mut dyn Workbench) {
    let elsewhere = |at: &str, verb: Verb, path: &str, version: &str| {
        let mut object = object(path);
        object.cluster = "a-second-one".into();
        proreus_model::Record::Change(proreus_model::Change { version: version.into(), ..change(at, verb, &object, Some("1")) })
    };
    write(bench, vec![create("2026-11-19T10:00:00Z", "Pod/web/a/1", "1"), create("2026-11-19T10:00:00Z", "Event/web/e/2", "1")]);
    write(bench, vec![elsewhere("2026-11-19T10:00:01Z", Verb::Create, "Deployment/web/d/3", "v1beta1")]);
    write(
        bench,
        vec![elsewhere("2026-11-21T10:00:00Z", Verb::Delete, "Deployment/web/d/3", "v1"), create("2026-11-21T10:00:00Z", "Node//n/4", "1")],
    );
    bench.settle();
    let told = |journal: &dyn Journal| {
        let clusters = journal.clusters().expect("clusters are known");
        let types = journal.types().expect("types are known");
        let clusters: Vec<String> = clusters.iter().map(ToString::to_string).collect();
        let types = types.iter().map(|of| format!("{}/{} {} {} {}", of.group, of.version, of.kind, of.resource, of.namespaced));
        (clusters, types.collect::<Vec<_>>())
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    in_every_condition(bench, |journal| {
        let types = names(&["/v1 Event events true", "/v1 Node nodes false", "/v1 Pod pods true", "apps/v1 Deployment deployments true"]);
        assert_eq!(told(journal), (names(&["c1", "a-second-one"]), types));
    });
    let keep_the_open_day = crate::RetentionPolicy { max_age: None, max_bytes: Some(0) };
    bench.journal().retain(&keep_the_open_day, time("2026-11-22T10:00:00Z")).expect("retention works");
    in_every_condition(bench, |journal| {
        let types = names(&["/v1 Node nodes false", "/v1 Pod pods true", "apps/v1 Deployment deployments true"]);
        assert_eq!(told(journal), (names(&["c1", "a-second-one"]), types), "the pod is in the base, the Event is gone");
    });
}

pub(super) fn knows_every_place_of_what_it_tells(bench: &mut dyn Workbench) {
    let told = |journal: &dyn Journal| -> Vec<String> {
        let places = journal.places().expect("places are known");
        places.iter().map(|of| format!("{} {}/{}", of.cluster, of.resource, of.namespace)).collect()
    };
    in_every_condition(bench, |journal| assert!(told(journal).is_empty()));
    write(bench, vec![create("2026-11-19T10:00:00Z", "Pod/web/a/1", "1"), create("2026-11-19T10:00:00Z", "Event/web/e/2", "1")]);
    let generation = |bench: &dyn Workbench| bench.journal().places_generation().expect("it is known");
    let first = generation(bench);
    write(bench, vec![create("2026-11-19T10:00:01Z", "Node//n/4", "1")]);
    let second = generation(bench);
    assert_ne!(first, second, "another place moves the generation");
    write(bench, vec![create("2026-11-21T10:00:00Z", "Pod/bank/b/5", "1"), delete("2026-11-21T10:00:01Z", "Node//n/4")]);
    assert_ne!(second, generation(bench), "another day may hold another place");
    in_every_condition(bench, |journal| {
        let all = told(journal);
        for place in ["c1 pods/web", "c1 events/web", "c1 nodes/", "c1 pods/bank"] {
            assert!(all.iter().any(|told| told == place), "{place} is not among {all:?}");
        }
    });
    let keep_the_open_day = crate::RetentionPolicy { max_age: None, max_bytes: Some(0) };
    bench.journal().retain(&keep_the_open_day, time("2026-11-22T10:00:00Z")).expect("retention works");
    in_every_condition(bench, |journal| assert!(told(journal).contains(&"c1 pods/web".to_owned()), "the pod is in the base"));
}

pub(super) fn counts_each_object_once(bench: &mut dyn Workbench) {
    in_every_condition(bench, |journal| assert_eq!(journal.changed_objects().expect("it can be counted"), 0));
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "a"), create("2026-11-20T10:00:00Z", "Event/web/e/2", "e")]);
    write(bench, vec![create("2026-11-20T10:00:00Z", "Node//quiet/3", "q"), update("2026-11-20T10:00:01Z", "Pod/web/a/1", "a+")]);
    write(bench, vec![update("2026-11-21T10:00:00Z", "Pod/web/a/1", "a2"), update("2026-11-21T10:00:00Z", "Event/web/e/2", "e2")]);
    write(bench, vec![delete("2026-11-22T10:00:00Z", "Pod/web/a/1"), create("2026-11-22T10:00:00Z", "Pod/web/a/4", "again")]);
    // The pod and its successor, the Event of two days, the node that never changed again.
    in_every_condition(bench, |journal| assert_eq!(journal.changed_objects().expect("it can be counted"), 4));
}
