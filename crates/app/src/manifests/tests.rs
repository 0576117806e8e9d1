//! What the manifests promise, tried on the rendered text.
//!
//! Golden files are rewritten by `UPDATE=1 cargo test --package proreus-app manifests`.

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::config;

fn options() -> ManifestOptions {
    ManifestOptions {
        namespace: "proreus-system".parse().expect("a name"),
        creates_namespace: true,
        name: "proreus".parse().expect("a name"),
        image: "registry.example.com/proreus:0.1.0".parse().expect("an image"),
        storage: "50Gi".parse().expect("a size"),
        storage_class: None,
        retention_days: 14,
        journal_bound: None,
        redaction_key: None,
        token: Some(BearerToken::from_bytes([0x5a; 32])),
        secrets: SecretAccess::Recorded,
        callers: Callers::TokenOnly,
        events: EventAccess::None,
        logs: LogAccess::None,
    }
}

fn for_the_clusters_users() -> ManifestOptions {
    ManifestOptions { callers: Callers::KubernetesIdentities, ..options() }
}

fn guarded() -> ManifestOptions {
    ManifestOptions {
        creates_namespace: false,
        name: "watch".parse().expect("a name"),
        storage_class: Some("fast".parse().expect("a name")),
        journal_bound: Some("40Gi".parse().expect("a bound")),
        redaction_key: Some("watch-redaction".parse().expect("a name")),
        token: None,
        secrets: SecretAccess::Excluded { custom_groups: vec!["infra.example.com".parse().expect("a group")] },
        ..options()
    }
}

fn documents(options: &ManifestOptions) -> Vec<Value> {
    serde_saphyr::from_multiple(&render(options)).expect("what we render is YAML")
}

fn kinds(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|document| document["kind"].as_str().unwrap_or("none")).collect()
}

fn document<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).expect("the kind is there")
}

fn golden(name: &str, options: &ManifestOptions) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manifests/golden").join(name);
    let text = render(options);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "UPDATE=1 rewrites {name}");
}

#[test]
fn renders_the_usual_installation_as_it_is_on_record() {
    golden("usual.yaml", &options());
}

#[test]
fn renders_one_without_secrets_as_it_is_on_record() {
    golden("without-secrets.yaml", &guarded());
}

#[test]
fn renders_each_kind_in_the_order_of_application() {
    let all = ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Secret", "Service", "StatefulSet"];
    assert_eq!(kinds(&documents(&options())), all);
    let fewer = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Service", "StatefulSet"];
    assert_eq!(kinds(&documents(&guarded())), fewer);
}

#[test]
fn leaves_no_place_of_a_template_unfilled() {
    for options in [options(), guarded()] {
        let text = render(&options);
        assert!(!text.contains("${"), "{text}");
    }
}

#[test]
fn puts_every_namespaced_object_into_the_namespace() {
    for document in documents(&guarded()) {
        let cluster_wide = document["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster"));
        let namespace = document["metadata"]["namespace"].as_str();
        assert_eq!(namespace, (!cluster_wide).then_some("proreus-system"), "{}", document["kind"]);
    }
}

#[test]
fn never_asks_for_more_than_reading() {
    for options in [options(), guarded()] {
        let documents = documents(&options);
        for rule in document(&documents, "ClusterRole")["rules"].as_array().expect("rules") {
            let verbs: Vec<&str> = rule["verbs"].as_array().expect("verbs").iter().filter_map(Value::as_str).collect();
            let definitions = rule["resources"].as_array().is_some_and(|of| of.len() == 1 && of[0] == "customresourcedefinitions");
            if rule["resourceNames"].is_null() && rule["nonResourceURLs"].is_null() && !definitions {
                // `get` on everything opens nodes/proxy and pods/exec.
                assert_eq!(verbs, ["list", "watch"], "{rule}");
            } else {
                assert_eq!(verbs, ["get"], "{rule}");
            }
        }
    }
}

#[test]
fn asks_about_callers_only_when_told_to_and_then_for_two_reviews_exactly() {
    let rules = |options: &ManifestOptions| -> Vec<Value> {
        let documents = documents(options);
        document(&documents, "ClusterRole")["rules"].as_array().expect("rules").clone()
    };
    let (plain, more) = (rules(&options()), rules(&for_the_clusters_users()));
    let review = |group: &str, resource: &str| serde_json::json!({ "apiGroups": [group], "resources": [resource], "verbs": ["create"] });
    let added: Vec<Value> = more.iter().filter(|rule| !plain.contains(rule)).cloned().collect();
    let reviews = [review("authentication.k8s.io", "tokenreviews"), review("authorization.k8s.io", "subjectaccessreviews")];
    assert_eq!(added, reviews);
    assert_eq!(more.len(), plain.len() + 2);
    let config::AuthSettings::Ways(ways) = settings(&for_the_clusters_users()).auth else { unreachable!("several ways") };
    assert!(ways.kubernetes.is_some() && ways.token_file.is_some() && !ways.is_open);
}

#[test]
fn asks_for_writing_events_and_nothing_else_when_they_are_switched_on() {
    let rules = |options: &ManifestOptions| {
        let documents = documents(options);
        document(&documents, "ClusterRole")["rules"].as_array().expect("rules").clone()
    };
    let on = ManifestOptions { events: EventAccess::Written, ..options() };
    let more: Vec<Value> = rules(&on).into_iter().filter(|rule| !rules(&options()).contains(rule)).collect();
    assert_eq!(more, [serde_json::json!({ "apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"] })]);
    assert_eq!(rules(&on).len(), rules(&options()).len() + 1);
    assert_eq!(settings(&options()).emit, config::EmitSettings::default());
    let endpoints: Vec<config::Receiver> = settings(&on).emit.endpoints.into_iter().map(|endpoint| endpoint.receiver).collect();
    assert_eq!(endpoints, [config::Receiver::KubernetesEvents]);
}

#[test]
fn sees_no_secret_when_they_are_excluded() {
    let documents = documents(&guarded());
    let rules = document(&documents, "ClusterRole")["rules"].as_array().expect("rules");
    for rule in rules {
        let core = rule["apiGroups"].as_array().is_some_and(|groups| groups.iter().any(|group| group == "" || group == "*"));
        let wide = rule["resources"].as_array().is_some_and(|resources| resources.iter().any(|of| of == "secrets" || of == "*"));
        assert!(!(core && wide), "{rule}");
    }
    assert_eq!(settings(&guarded()).record.exclude_kinds, ["secrets"]);
}

fn settings(options: &ManifestOptions) -> config::Settings {
    let documents = documents(options);
    let text = document(&documents, "ConfigMap")["data"]["proreus.yaml"].as_str().expect("the file");
    let file = config::parse_file("proreus.yaml", text).expect("our own configuration is valid");
    let none = config::Overrides::default();
    config::resolve(Some(("proreus.yaml", file)), &none, &none).expect("our own configuration can be run")
}

#[test]
fn configures_what_the_program_itself_accepts() {
    let settings = settings(&options());
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.retention_days, 14);
    assert_eq!(settings.max_disk_bytes, Some((50 << 30) / 100 * 90));
    assert_eq!(settings.auth, config::AuthSettings::TokenFile("/etc/proreus/tokens/tokens".into()));
    assert!(settings.clusters.iter().all(|cluster| cluster.in_cluster));
}

#[test]
fn mounts_what_the_configuration_names() {
    let documents = documents(&options());
    let container = &document(&documents, "StatefulSet")["spec"]["template"]["spec"]["containers"][0];
    let mounts: Vec<&str> =
        container["volumeMounts"].as_array().expect("mounts").iter().filter_map(|mount| mount["mountPath"].as_str()).collect();
    let settings = settings(&options());
    let config::AuthSettings::TokenFile(tokens) = &settings.auth else { unreachable!("tried above") };
    for needed in [settings.data_dir.as_path(), tokens, Path::new(container["args"][2].as_str().expect("the --config"))] {
        assert!(mounts.iter().any(|mount| needed.starts_with(mount)), "{} is in none of {mounts:?}", needed.display());
    }
}

#[test]
fn mounts_the_redaction_key_where_the_configuration_looks_for_it_and_so_that_it_is_accepted() {
    let documents = documents(&guarded());
    let pod = &document(&documents, "StatefulSet")["spec"]["template"]["spec"];
    let volume = pod["volumes"].as_array().expect("volumes").iter().find(|volume| volume["name"] == "redaction-key").expect("the key");
    assert_eq!(volume["secret"]["secretName"], "watch-redaction");
    assert_eq!(volume["secret"]["defaultMode"], 0o440);
    let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts");
    let mount = mounts.iter().find(|mount| mount["name"] == "redaction-key").expect("it is mounted");
    let path = Path::new(mount["mountPath"].as_str().expect("a path")).join("redaction.key");
    assert_eq!(settings(&guarded()).record.redaction_key_file, Some(path));
    assert_eq!(settings(&options()).record.redaction_key_file, None);
}

#[test]
fn bounds_the_journal_as_asked_and_never_beyond_the_volume() {
    assert_eq!(settings(&guarded()).max_disk_bytes, Some(40 << 30));
    assert_eq!(guarded().bound_beyond_volume(), None);
    let beyond = ManifestOptions { journal_bound: Some("60Gi".parse().expect("a bound")), ..guarded() };
    assert!(beyond.bound_beyond_volume().is_some());
    assert!("1Mi".parse::<JournalBound>().is_err());
}

#[test]
fn fits_the_strictest_pod_security_standard() {
    let documents = documents(&options());
    let pod = &document(&documents, "StatefulSet")["spec"]["template"]["spec"];
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["capabilities"]["drop"][0], "ALL");
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert!(pod["hostNetwork"].is_null() && pod["hostPID"].is_null());
}

#[test]
fn shows_the_token_in_its_secret_only() {
    let token = BearerToken::from_bytes([0x5a; 32]);
    let showing: Vec<Value> = documents(&options()).into_iter().filter(|document| document.to_string().contains(token.reveal())).collect();
    assert_eq!(kinds(&showing), ["Secret"]);
}

#[test]
fn asks_for_logs_and_nothing_else_when_they_are_switched_on() {
    let rules = |options: &ManifestOptions| {
        let documents = documents(options);
        document(&documents, "ClusterRole")["rules"].as_array().expect("rules").clone()
    };
    let on = ManifestOptions { logs: LogAccess::Asked, ..options() };
    let more: Vec<Value> = rules(&on).into_iter().filter(|rule| !rules(&options()).contains(rule)).collect();
    assert_eq!(more, [serde_json::json!({ "apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"] })]);
    assert_eq!(rules(&on).len(), rules(&options()).len() + 1);
}
