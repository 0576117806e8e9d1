//! What the configuration of access accepts, and what it says of what it does not.

use super::super::{Overrides, Settings, parse_file, resolve};
use super::*;

fn settle(yaml: &str) -> Result<Settings, String> {
    let file = parse_file("f.yaml", yaml).map_err(|error| error.to_string())?;
    resolve(Some(("f.yaml", file)), &Overrides::default(), &Overrides::default()).map_err(|error| error.to_string())
}

fn ways(yaml: &str) -> WaysSettings {
    match settle(yaml).expect("settled").auth {
        AuthSettings::Ways(ways) => *ways,
        other => panic!("several ways were expected, not {other:?}"),
    }
}

#[test]
fn serves_others_with_any_way_to_be_known() {
    for auth in [
        "kubernetes: {}",
        "kubernetes: {audiences: [proreus]}",
        "oidc: {issuer: 'https://login.example.com', audiences: [proreus]}",
        "tokenFile: /t, kubernetes: {}",
    ] {
        let ways = ways(&format!("listen: 0.0.0.0:8080\nauth: {{{auth}}}\n"));
        assert!(!ways.is_open, "{auth}");
    }
    let refused = settle("listen: 0.0.0.0:8080\nauth: {allowedHosts: [a.example.com]}\n").expect_err("refused");
    assert!(refused.contains("`auth.tokenFile`: is not set"), "{refused}");
}

#[test]
fn names_alone_are_no_way_to_be_known() {
    let open = ways("listen: 0.0.0.0:8080\ninsecureNoAuth: true\nauth: {allowedHosts: [a.example.com]}\n");
    assert!(open.is_open && open.is_insecure);
    let here = ways("auth: {publicUrl: 'https://a.example.com/'}\n");
    assert!(here.is_open && !here.is_insecure);
    assert_eq!(here.public.url.as_deref(), Some("https://a.example.com"));
}

#[test]
fn fills_in_what_an_issuer_usually_means() {
    let oidc = ways("auth: {oidc: {issuer: 'https://login.example.com', audiences: [proreus]}}\n").oidc.expect("an issuer");
    assert_eq!((oidc.username_claim.as_str(), oidc.groups_claim.as_str()), ("sub", "groups"));
    assert_eq!(oidc.algorithms, [SigningAlgorithm::named("RS256"), SigningAlgorithm::named("ES256")].map(|of| of.expect("known")));
    assert_eq!(oidc.scopes, ["openid"]);
}

#[test]
fn names_the_key_and_the_finding_of_each_bad_value() {
    let good = "issuer: 'https://login.example.com', audiences: [p]";
    for (yaml, said) in [
        ("auth: {oidc: {audiences: [p]}}".to_owned(), "`auth.oidc.issuer`: is not set"),
        (
            "auth: {oidc: {issuer: 'http://login.example.com', audiences: [p]}}".to_owned(),
            "`auth.oidc.issuer`: `http://login.example.com` is no URL of an issuer",
        ),
        ("auth: {oidc: {issuer: 'https://login.example.com'}}".to_owned(), "`auth.oidc.audiences`: is not set"),
        (format!("auth: {{oidc: {{{good}, algorithms: [RS256, HS256]}}}}"), "`auth.oidc.algorithms[1]`: `HS256` is not accepted"),
        (format!("auth: {{oidc: {{{good}, algorithms: [none]}}}}"), "`auth.oidc.algorithms[0]`: `none` is not accepted"),
        (format!("auth: {{oidc: {{{good}, usernamePrefix: 'system:x'}}}}"), "`auth.oidc.usernamePrefix`: begins with `system:`"),
        (format!("auth: {{oidc: {{{good}, usernameClaim: ''}}}}"), "`auth.oidc.usernameClaim`: is empty"),
        (format!("auth: {{oidc: {{{good}, scopes: ['a b']}}}}"), "`auth.oidc.scopes[0]`: `a b` is no scope"),
        (format!("auth: {{oidc: {{{good}, access: [{{all: true}}]}}}}"), "`auth.oidc.access[0]`: names nobody"),
        (format!("auth: {{oidc: {{{good}, access: [{{groups: [a]}}]}}}}"), "`auth.oidc.access[0]`: does not say what may be read"),
        (
            format!("auth: {{oidc: {{{good}, access: [{{groups: [a], all: true, kinds: [pods]}}]}}}}"),
            "`auth.oidc.access[0].all`: is set beside what narrows it",
        ),
        (
            format!("auth: {{oidc: {{{good}, access: [{{groups: [a], kinds: [pods, 'a b']}}]}}}}"),
            "`auth.oidc.access[0].kinds[1]`: `a b` is no resource type",
        ),
        (
            format!("auth: {{oidc: {{{good}, access: [{{groups: [a], all: true}}], kubernetesClusters: [x]}}}}"),
            "`auth.oidc.access`: is set beside `auth.oidc.kubernetesClusters`",
        ),
        (format!("auth: {{oidc: {{{good}, isuer: x}}}}"), "`auth.oidc.isuer`: unknown field `isuer`"),
        (
            "clusters: [{context: a, name: prod}, {context: b}]\nauth: {kubernetes: {}}".to_owned(),
            "`auth.kubernetes.clusters`: is not set, and several clusters are watched",
        ),
        (
            "clusters: [{context: a, name: prod}, {context: b}]\nauth: {kubernetes: {clusters: [test]}}".to_owned(),
            "`auth.kubernetes.clusters[0]`: `test` is no name of a cluster that is watched",
        ),
        ("auth: {kubernetes: {audiences: ['']}}".to_owned(), "`auth.kubernetes.audiences[0]`: is empty"),
        ("auth: {allowedHosts: ['https://a']}".to_owned(), "`auth.allowedHosts[0]`: `https://a` is no host"),
        ("auth: {allowedOrigins: ['*']}".to_owned(), "`auth.allowedOrigins[0]`: `*` is no origin"),
        ("auth: {publicUrl: 'proreus.example.com'}".to_owned(), "`auth.publicUrl`: `proreus.example.com` is no URL of a server"),
    ] {
        let refused = settle(&yaml).expect_err(&yaml);
        assert!(refused.starts_with(&format!("f.yaml: {said}")), "{yaml}\n{refused}");
    }
}

#[test]
fn takes_the_names_of_the_clusters_that_are_watched() {
    let yaml = "clusters: [{context: a, name: prod}, {context: b}]\nauth: {kubernetes: {clusters: [prod, b]}}\n";
    assert_eq!(ways(yaml).kubernetes.expect("clusters").token_clusters, ["prod", "b"]);
}
