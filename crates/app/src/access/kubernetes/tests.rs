//! Users of scripted clusters.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A cluster that knows some tokens, and lets some users list some things.
struct Scripted {
    alias: &'static str,
    id: Mutex<&'static str>,
    tokens: Vec<(&'static str, &'static str)>,
    rights: Mutex<Vec<(&'static str, &'static str, &'static str)>>,
    is_away: Mutex<bool>,
    reviews: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(alias: &'static str, id: &'static str) -> Self {
        Self {
            alias,
            id: Mutex::new(id),
            tokens: Vec::new(),
            rights: Mutex::default(),
            is_away: Mutex::new(false),
            reviews: AtomicUsize::new(0),
            seen: Mutex::default(),
        }
    }

    fn answer<T: Send + 'static>(&self, answer: T) -> BoxFuture<'static, Result<T, ReviewError>> {
        let away = *self.is_away.lock().expect("script");
        let error = ReviewError { alias: self.alias.to_owned(), review: "review", reason: "connection refused".to_owned() };
        Box::pin(async move { if away { Err(error) } else { Ok(answer) } })
    }
}

impl Reviewing for Scripted {
    fn alias(&self) -> &str {
        self.alias
    }

    fn cluster(&self) -> BoxFuture<'_, Result<ClusterId, ReviewError>> {
        self.answer(ClusterId::from(*self.id.lock().expect("script")))
    }

    fn token<'a>(&'a self, token: &'a str, _: &'a [String]) -> BoxFuture<'a, Result<Option<Subject>, ReviewError>> {
        self.reviews.fetch_add(1, Ordering::Relaxed);
        self.seen.lock().expect("script").push(token.to_owned());
        let known = self.tokens.iter().find(|(known, _)| *known == token);
        self.answer(known.map(|(_, user)| Subject { user: (*user).to_owned(), ..Subject::default() }))
    }

    fn may<'a>(&'a self, subject: &'a Subject, deed: &'a Deed) -> BoxFuture<'a, Result<bool, ReviewError>> {
        self.reviews.fetch_add(1, Ordering::Relaxed);
        let resource = if deed.subresource.is_empty() { deed.resource.clone() } else { format!("{}/{}", deed.resource, deed.subresource) };
        let rights = self.rights.lock().expect("script");
        let allowed = rights.iter().any(|(user, of, namespace)| *user == subject.user && *of == resource && *namespace == deed.namespace);
        self.answer(allowed)
    }
}

fn kubernetes(clusters: Vec<Arc<Scripted>>) -> Kubernetes {
    let token_clusters = clusters.iter().map(|cluster| cluster.alias.to_owned()).collect();
    let reviewers = clusters.into_iter().map(|cluster| cluster as Arc<dyn Reviewing>).collect();
    Kubernetes::new(KubernetesOptions { token_clusters, audiences: Vec::new() }, reviewers)
}

fn places() -> BTreeSet<Place> {
    let place = |cluster: &str, resource: &str, namespace: &str| Place {
        cluster: cluster.into(),
        group: "".into(),
        resource: resource.into(),
        namespace: namespace.into(),
    };
    [place("c1", "pods", "shop"), place("c1", "pods", "bank"), place("c2", "pods", "shop")].into_iter().collect()
}

fn told(rules: Vec<AccessRule>) -> Vec<String> {
    let place = |rule: &AccessRule| rule.namespace.as_ref().map_or("*".to_owned(), ToString::to_string);
    rules.iter().map(|rule| format!("{} {} {}", rule.cluster, rule.resource, place(rule))).collect()
}

fn shop() -> Scripted {
    Scripted {
        tokens: vec![("alices-token", "alice")],
        rights: Mutex::new(vec![("alice", "pods", "shop"), ("alice", "pods/log", "shop")]),
        ..Scripted::new("prod", "c1")
    }
}

#[tokio::test]
async fn a_user_of_one_cluster_is_nobody_in_another() {
    let other = Scripted { rights: Mutex::new(vec![("alice", "pods", "shop")]), ..Scripted::new("test", "c2") };
    let kubernetes = kubernetes(vec![Arc::new(shop()), Arc::new(other)]);
    let alice = kubernetes.identify("alices-token").await.expect("an answer").expect("alice");
    assert_eq!(told(kubernetes.rights(&alice, &places(), &[]).await.expect("rights")), ["c1 pods shop"]);
    let elsewhere = Request { cluster: "c2".into(), deed: super::super::rights::listing("", "pods", "shop") };
    assert_eq!(kubernetes.may(&alice, &elsewhere).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn a_right_that_was_taken_away_is_gone_after_ten_seconds() {
    let cluster = Arc::new(shop());
    let kubernetes = kubernetes(vec![cluster.clone()]);
    let alice = kubernetes.identify("alices-token").await.expect("an answer").expect("alice");
    assert_eq!(kubernetes.rights(&alice, &places(), &[]).await.expect("rights").len(), 1);
    let asked = cluster.reviews.load(Ordering::Relaxed);
    assert_eq!(kubernetes.rights(&alice, &places(), &[]).await.expect("rights").len(), 1);
    assert_eq!(cluster.reviews.load(Ordering::Relaxed), asked, "asked once within ten seconds");
    cluster.rights.lock().expect("script").clear();
    tokio::time::advance(GOOD_FOR).await;
    assert_eq!(kubernetes.rights(&alice, &places(), &[]).await.expect("rights").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_reviewed_once_in_ten_seconds_and_by_its_hash() {
    let cluster = Arc::new(shop());
    let kubernetes = kubernetes(vec![cluster.clone()]);
    for _ in 0..5 {
        assert!(kubernetes.identify("alices-token").await.expect("an answer").is_some());
        assert!(kubernetes.identify("nobodys-token").await.expect("an answer").is_none());
    }
    assert_eq!(cluster.reviews.load(Ordering::Relaxed), 2);
    tokio::time::advance(GOOD_FOR).await;
    assert!(kubernetes.identify("alices-token").await.expect("an answer").is_some());
    assert_eq!(cluster.reviews.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn nobody_may_do_anything_while_the_cluster_is_away() {
    let cluster = Arc::new(shop());
    let kubernetes = kubernetes(vec![cluster.clone()]);
    let alice = kubernetes.identify("alices-token").await.expect("an answer").expect("alice");
    *cluster.is_away.lock().expect("script") = true;
    tokio::time::advance(GOOD_FOR).await;
    assert_eq!(kubernetes.identify("alices-token").await, Err(Denied::Unavailable));
    assert_eq!(kubernetes.rights(&alice, &places(), &[]).await, Err(Denied::Unavailable));
    let log = Request { cluster: "c1".into(), deed: super::super::rights::listing("", "pods", "shop") };
    assert_eq!(kubernetes.may(&alice, &log).await, Err(Denied::Unavailable));
    *cluster.is_away.lock().expect("script") = false;
    assert!(kubernetes.identify("alices-token").await.expect("an answer").is_some(), "a failure is not remembered");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_to_another_cluster_now_lets_nobody_in() {
    let cluster = Arc::new(shop());
    let kubernetes = kubernetes(vec![cluster.clone()]);
    let alice = kubernetes.identify("alices-token").await.expect("an answer").expect("alice");
    *cluster.id.lock().expect("script") = "c2";
    assert_eq!(kubernetes.rights(&alice, &places(), &[]).await, Err(Denied::Unknown));
}

#[tokio::test]
async fn a_log_is_read_by_the_right_to_logs() {
    let kubernetes = kubernetes(vec![Arc::new(shop())]);
    let alice = kubernetes.identify("alices-token").await.expect("an answer").expect("alice");
    let log = |namespace: &str| Request {
        cluster: "c1".into(),
        deed: Deed {
            verb: "get".into(),
            resource: "pods".into(),
            subresource: "log".into(),
            namespace: namespace.into(),
            name: "web-1".into(),
            ..Deed::default()
        },
    };
    assert_eq!(kubernetes.may(&alice, &log("shop")).await, Ok(true));
    assert_eq!(kubernetes.may(&alice, &log("bank")).await, Ok(false));
}

#[tokio::test]
async fn an_issuer_cannot_give_names_that_kubernetes_keeps_for_itself() {
    let kubernetes = kubernetes(vec![Arc::new(shop())]);
    let claimed = |user: &str, groups: &[&str]| Claimed { user: user.to_owned(), groups: groups.iter().map(ToString::to_string).collect() };
    let clusters = ["prod".to_owned()];
    assert_eq!(kubernetes.mapped(&clusters, claimed("system:admin", &[])), None);
    assert_eq!(kubernetes.mapped(&clusters, claimed("", &[])), None);
    assert_eq!(kubernetes.mapped(&[], claimed("alice", &[])), None);
    let alice = kubernetes.mapped(&clusters, claimed("alice", &["sre", "system:masters", ""])).expect("alice");
    assert_eq!(alice.subject.groups, ["sre", "system:authenticated"]);
    assert_eq!(told(kubernetes.rights(&alice, &places(), &[]).await.expect("rights")), ["c1 pods shop"]);
}

#[tokio::test]
async fn a_token_is_shown_only_to_the_clusters_that_may_see_it() {
    let (first, second) = (Arc::new(shop()), Arc::new(Scripted::new("test", "c2")));
    let reviewers: Vec<Arc<dyn Reviewing>> = vec![first.clone(), second.clone()];
    let kubernetes = Kubernetes::new(KubernetesOptions { token_clusters: vec!["prod".to_owned()], audiences: Vec::new() }, reviewers);
    assert!(kubernetes.identify("strange-token").await.expect("an answer").is_none());
    assert_eq!(first.seen.lock().expect("script").as_slice(), ["strange-token"]);
    assert!(second.seen.lock().expect("script").is_empty());
}
