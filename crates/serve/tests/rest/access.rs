//! What limited callers are shown, and what those who have no token are told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use futures::future::BoxFuture;
use http::Request;
use jiff::Timestamp;
use proreus_app::access::{
    Authenticator, Deed, KnownPlaces, Kubernetes, KubernetesOptions, Oidc, OidcOptions, PublicNames, ReviewError, Reviewing,
    SigningAlgorithm, Subject, Ways,
};
use proreus_app::{Clock, Questions};
use proreus_model::{ClusterId, Verb};
use proreus_store::MemoryJournal;
use serde_json::json;

use crate::shop::{Answer, Setup, Shop, pod, time};

/// A token of a user who may list pods and events of the namespace `shop`.
const ALICE: &str = "token-of-alice";
/// A token of a user who may list nothing.
const NOBODY: &str = "token-of-nobody";

type Rights = Arc<Mutex<BTreeSet<(&'static str, &'static str)>>>;

struct Cluster {
    rights: Rights,
}

impl Reviewing for Cluster {
    fn alias(&self) -> &str {
        "prod"
    }

    fn cluster(&self) -> BoxFuture<'_, Result<ClusterId, ReviewError>> {
        Box::pin(async { Ok("c1".into()) })
    }

    fn token<'a>(&'a self, token: &'a str, _: &'a [String]) -> BoxFuture<'a, Result<Option<Subject>, ReviewError>> {
        let user = [(ALICE, "alice"), (NOBODY, "nobody")].into_iter().find(|(known, _)| *known == token);
        Box::pin(async move { Ok(user.map(|(_, user)| Subject { user: user.to_owned(), ..Subject::default() })) })
    }

    fn may<'a>(&'a self, subject: &'a Subject, deed: &'a Deed) -> BoxFuture<'a, Result<bool, ReviewError>> {
        let rights = self.rights.lock().unwrap();
        let allowed = rights.iter().any(|(resource, namespace)| *resource == deed.resource && *namespace == deed.namespace);
        let allowed = allowed && subject.user == "alice";
        Box::pin(async move { Ok(allowed) })
    }
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        time(3_600)
    }
}

fn ways(journal: &Arc<MemoryJournal>, rights: &Rights) -> Ways {
    let options = KubernetesOptions { token_clusters: vec!["prod".to_owned()], audiences: Vec::new() };
    let reviewers: Vec<Arc<dyn Reviewing>> = vec![Arc::new(Cluster { rights: rights.clone() })];
    Ways {
        is_open: false,
        tokens: None,
        oidc: None,
        kubernetes: Some(Kubernetes::new(options, reviewers)),
        places: KnownPlaces::new(journal.clone()),
        clock: Arc::new(Noon),
        public: PublicNames::default(),
    }
}

fn oidc(journal: &Arc<MemoryJournal>) -> Oidc {
    let options = OidcOptions {
        issuer: "https://login.example.com".to_owned(),
        audiences: vec!["proreus".to_owned()],
        ca_file: None,
        username_claim: "sub".to_owned(),
        username_prefix: String::new(),
        groups_claim: "groups".to_owned(),
        groups_prefix: String::new(),
        algorithms: SigningAlgorithm::named("RS256").into_iter().collect(),
        scopes: vec!["openid".to_owned(), "groups".to_owned()],
        clusters: Vec::new(),
        rules: Vec::new(),
    };
    Oidc::new(options, Questions::new(journal.clone())).unwrap()
}

fn limited() -> (Shop, Rights) {
    let (journal, rights) = (Arc::new(MemoryJournal::new()), Rights::default());
    rights.lock().unwrap().extend([("pods", "shop"), ("events", "shop")]);
    let door = Authenticator::Ways(Box::new(ways(&journal, &rights)));
    let shop = Shop::empty(Setup { door, journal, ..Setup::default() });
    shop.fill();
    (shop, rights)
}

async fn ask(shop: &Shop, token: &str, uri: &str) -> Answer {
    shop.send(Request::get(uri).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()).await
}

fn items(answer: &Answer) -> Vec<String> {
    let text = |item: &serde_json::Value| format!("{}/{}/{}", item["kind"], item["namespace"], item["name"]).replace('"', "");
    answer.json()["items"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn shows_what_may_be_listed_and_nothing_else() {
    let (shop, _) = limited();
    let changes = ask(&shop, ALICE, "/api/v1/changes").await;
    let kinds: BTreeSet<String> = items(&changes).into_iter().collect();
    assert_eq!(kinds, BTreeSet::from(["Event/shop/web-1.17a".into(), "Event/shop/web-1.17b".into(), "Pod/shop/web-1".into()]));
    for uri in [
        "/api/v1/objects/core/Pod/bank/web-1",
        "/api/v1/objects/core/Secret/shop/password",
        "/api/v1/objects/core/Node/_/n1",
        "/api/v1/diff?from=2&to=3",
    ] {
        assert_eq!(ask(&shop, ALICE, uri).await.status, 404, "{uri}");
    }
    assert_eq!(ask(&shop, ALICE, "/api/v1/changes?namespace=bank").await.json()["items"], json!([]));
}

#[tokio::test]
async fn joins_no_events_to_an_object_that_may_not_be_read() {
    let (shop, rights) = limited();
    rights.lock().unwrap().remove(&("pods", "shop"));
    for uri in ["/api/v1/objects/core/Pod/shop/web-1/history?uid=p1&events=true", "/api/v1/objects/core/Pod/shop/web-1/history?events=true"]
    {
        let answer = ask(&shop, ALICE, uri).await;
        assert_eq!(answer.status, 404, "{uri}: {}", answer.text);
    }
    // By their own type they may be read.
    assert_eq!(items(&ask(&shop, ALICE, "/api/v1/changes?resource=events").await).len(), 2);
}

#[tokio::test]
async fn shows_those_without_any_right_nothing_and_tells_them_nothing() {
    let (shop, _) = limited();
    for uri in ["/api/v1/changes", "/api/v1/marks", "/api/v1/state", "/api/v1/watches", "/api/v1/clusters"] {
        let answer = ask(&shop, NOBODY, uri).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["items"]), (200, &json!([])), "{uri}");
    }
    assert_eq!(ask(&shop, NOBODY, "/api/v1/events").await.status, 404);
    for uri in ["/metrics", "/api/v1/store/stats"] {
        let refused = ask(&shop, NOBODY, uri).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["type"]), (403, &json!("urn:proreus:problem:forbidden")), "{uri}");
    }
}

#[tokio::test]
async fn tells_of_a_type_that_it_is_watched_and_not_what_it_holds_elsewhere() {
    let (shop, _) = limited();
    let watches = ask(&shop, ALICE, "/api/v1/watches").await.json();
    assert_eq!(watches["items"].as_array().unwrap().len(), 1, "{watches}");
    assert_eq!((&watches["items"][0]["resource"], &watches["items"][0]["state"]), (&json!("pods"), &json!("synced")));
    assert_eq!((&watches["items"][0]["recorded"], watches["items"][0].get("reason")), (&json!(0), None));
    let marks = ask(&shop, ALICE, "/api/v1/marks").await.json();
    assert_eq!((&marks["items"][0]["kind"], &marks["items"][0]["reason"]), (&json!("synced"), &json!("")));
}

#[tokio::test]
async fn shows_a_place_that_came_to_be_known_a_moment_ago() {
    let (shop, rights) = limited();
    rights.lock().unwrap().insert(("pods", "depot"));
    assert_eq!(ask(&shop, ALICE, "/api/v1/changes?namespace=depot").await.json()["items"], json!([]));
    shop.record(pod(Verb::Create, "depot", "first", "p77"));
    assert_eq!(items(&ask(&shop, ALICE, "/api/v1/changes?namespace=depot").await), ["Pod/depot/first"]);
}

#[tokio::test]
async fn tells_where_a_token_is_to_be_had() {
    let (journal, rights) = (Arc::new(MemoryJournal::new()), Rights::default());
    let ways = Ways { oidc: Some(oidc(&journal)), ..ways(&journal, &rights) };
    let shop = Shop::empty(Setup { door: Authenticator::Ways(Box::new(ways)), journal, ..Setup::default() });
    let at = |uri: &str| Request::get(uri).header("host", "proreus.example.com").body(Body::empty()).unwrap();
    let refused = shop.send(at("/api/v1/changes")).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("www-authenticate"),
        "Bearer realm=\"proreus\", resource_metadata=\"http://proreus.example.com/.well-known/oauth-protected-resource\", scope=\"openid groups\""
    );
    for (path, resource) in [("", "http://proreus.example.com"), ("/mcp", "http://proreus.example.com/mcp")] {
        let metadata = shop.send(at(&format!("/.well-known/oauth-protected-resource{path}"))).await;
        assert_eq!(metadata.status, 200, "{}", metadata.text);
        let metadata = metadata.json();
        assert_eq!((&metadata["resource"], &metadata["authorization_servers"]), (&json!(resource), &json!(["https://login.example.com"])));
    }
    let (plain, _) = limited();
    assert_eq!(plain.get("/.well-known/oauth-protected-resource").await.status, 404, "no issuer, no way to a token");
}

#[tokio::test]
async fn answers_under_its_own_names_and_to_its_own_pages() {
    let (journal, rights) = (Arc::new(MemoryJournal::new()), Rights::default());
    let public = PublicNames {
        url: Some("https://proreus.example.com".to_owned()),
        hosts: vec!["inner.example.com".to_owned()],
        origins: vec!["https://console.example.com".to_owned()],
    };
    let ways = Ways { is_open: true, kubernetes: None, public, ..ways(&journal, &rights) };
    let shop = Shop::empty(Setup { door: Authenticator::Ways(Box::new(ways)), journal, ..Setup::default() });
    let status = async |uri: &str, host: &str, origin: Option<&str>| {
        let request = Request::get(uri).header("host", host);
        let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
        shop.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    for host in ["inner.example.com:8080", "proreus.example.com"] {
        assert_eq!(status("/api/v1/clusters", host, None).await, 200, "{host}");
    }
    assert_eq!(status("/api/v1/clusters", "rebound.example.org", None).await, 403);
    assert_eq!(status("/livez", "10.0.0.7:8080", None).await, 200, "a probe names the pod's address");
    assert_eq!(status("/api/v1/clusters", "inner.example.com", Some("https://console.example.com")).await, 200);
    assert_eq!(status("/api/v1/clusters", "inner.example.com", Some("https://evil.example.org")).await, 403);
    assert_eq!(status("/livez", "inner.example.com", Some("https://evil.example.org")).await, 403);
}
