//! Tools: which there are, and that each says what REST says.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::shop::Shop;

/// Every tool that clients may count on, by who made the promise.
const PROMISED: [&str; 36] = [
    "changes",
    "history",
    "object",
    "state",
    "diff",
    "watch_changes",
    "clusters",
    "what_changed_before",
    "doctor",
    "incidents",
    "incident",
    "checks",
    "monitor_list",
    "monitor_get",
    "monitor_wait",
    "check_node_health",
    "check_pod_issues",
    "check_volume_issues",
    "analyze_recent_changes",
    "investigate_pod_startup",
    "check_resource_limits",
    "k0rdent.mgmt.namespaces.list",
    "k0rdent.mgmt.events.list",
    "k0rdent.mgmt.podLogs.get",
    "k0rdent.mgmt.serviceTemplates.list",
    "k0rdent.mgmt.clusterDeployments.listAll",
    "k0rdent.mgmt.clusterDeployments.list",
    "k0rdent.mgmt.clusterDeployments.getState",
    "k0rdent.mgmt.multiClusterServices.list",
    "k0rdent.mgmt.providers.list",
    "k0rdent.mgmt.providers.listCredentials",
    "k0rdent.mgmt.providers.listIdentities",
    "k0rdent.mgmt.clusterTemplates.list",
    "k0rdent.provider.aws.clusterDeployments.detail",
    "k0rdent.provider.azure.clusterDeployments.detail",
    "k0rdent.provider.gcp.clusterDeployments.detail",
];

#[tokio::test]
async fn all_tools_are_in_the_first_page_in_both_eras_and_say_that_they_read() {
    let shop = Shop::open();
    for agent in [Agent::newer(&shop), Agent::older(&shop).await] {
        let result = Agent::result(agent.ask("tools/list", json!({})).await);
        assert!(result.get("nextCursor").is_none_or(Value::is_null));
        let tools = result["tools"].as_array().unwrap();
        let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        for promised in PROMISED {
            assert!(names.contains(&promised), "{promised} is missing among {names:?}");
        }
        for tool in tools {
            assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
            assert_eq!(tool["annotations"]["destructiveHint"], false, "{tool}");
            assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        }
    }
}

#[tokio::test]
async fn tools_of_history_say_what_rest_says() {
    let shop = Shop::open();
    for agent in [Agent::newer(&shop), Agent::older(&shop).await] {
        let all = agent.call("changes", json!({"order": "asc", "limit": 1000})).await;
        assert_eq!(all["items"], shop.json("/api/v1/changes?order=asc&limit=1000").await["items"]);
        assert!(all["summary"].as_str().unwrap().starts_with("10 changes"), "{}", all["summary"]);
        let narrowed = agent.call("changes", json!({"kind": "deploy", "namespace": "shop,bank", "verb": "update"})).await;
        assert_eq!(narrowed["items"][0]["changed"][0]["path"], "spec.image");

        let history = agent.call("history", json!({"kind": "Pod", "name": "web-1", "namespace": "shop", "order": "asc"})).await;
        assert_eq!(history["items"], shop.json("/api/v1/objects/core/Pod/shop/web-1/history?events=true&order=asc").await["items"]);
        let object = agent.call("object", json!({"kind": "deploy", "name": "web", "namespace": "shop"})).await;
        assert_eq!(object["result"], shop.json("/api/v1/objects/apps/deploy/shop/web").await);
        let part = agent.call("object", json!({"kind": "deploy", "name": "web", "path": "/spec/image"})).await;
        assert_eq!(part["result"]["object"], "web:2");
        let state = agent.call("state", json!({"namespace": "shop"})).await;
        assert_eq!(state["items"], shop.json("/api/v1/state?namespace=shop").await["items"]);
        let diff = agent.call("diff", json!({"from": 2, "to": 3})).await;
        assert_eq!(diff["result"], shop.json("/api/v1/diff?from=2&to=3").await);
        let before = agent.call("what_changed_before", json!({"kind": "Pod", "name": "web-1", "namespace": "shop"})).await;
        let kinds: Vec<&str> = before["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"Deployment") && kinds.contains(&"Node") && !kinds.contains(&"Event"), "{kinds:?}");
        let clusters = agent.call("clusters", json!({})).await;
        assert_eq!(clusters["items"][0], json!({"id": "c1", "name": "prod"}));
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let shop = Shop::open();
    let agent = Agent::newer(&shop);
    for (tool, mut arguments) in
        [("changes", json!({"order": "asc", "limit": 3})), ("state", json!({"limit": 2})), ("checks", json!({"limit": 30}))]
    {
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = agent.call(tool, arguments.clone()).await;
            found.extend(page["items"].as_array().unwrap().clone());
            pages += 1;
            match page["nextCursor"].as_str() {
                Some(next) => arguments["cursor"] = json!(next),
                None => break,
            }
        }
        assert!(pages > 2, "{tool}");
        arguments["limit"] = json!(1000);
        arguments.as_object_mut().unwrap().remove("cursor");
        let whole = agent.call(tool, arguments.clone()).await;
        if whole["nextCursor"].is_null() {
            assert_eq!(Value::Array(found), whole["items"], "{tool}");
        } else {
            assert!(found.len() > whole["items"].as_array().unwrap().len(), "{tool}");
        }
    }
}

#[tokio::test]
async fn waiting_ends_with_what_was_recorded_and_goes_on_behind_it() {
    let shop = Shop::open();
    let agent = Agent::newer(&shop);
    let nothing = agent.call("watch_changes", json!({"timeoutSeconds": 0})).await;
    assert_eq!(nothing["items"], json!([]));
    let cursor = nothing["nextCursor"].clone();
    let waiting = agent.call("watch_changes", json!({"cursor": cursor, "timeoutSeconds": 60, "kind": "Pod"}));
    let writing = async {
        tokio::task::yield_now().await;
        shop.record(crate::shop::pod(proreus_model::Verb::Create, "shop", "new", "n9"))
    };
    let (came, seq) = tokio::join!(waiting, writing);
    assert_eq!(came["items"][0]["seq"], seq.0);
    let after = agent.call("watch_changes", json!({"cursor": came["nextCursor"], "timeoutSeconds": 0})).await;
    assert_eq!(after["items"], json!([]), "nothing comes twice");
}

#[tokio::test]
async fn the_older_services_tools_answer_within_their_range() {
    let shop = Shop::open();
    let agent = Agent::newer(&shop);
    let range = json!({"start_time": "2026-11-21T07:00:00Z", "end_time": "2026-11-21T09:00:00Z"});
    for tool in ["check_node_health", "check_pod_issues", "check_volume_issues", "check_resource_limits"] {
        let said = agent.call(tool, range.clone()).await;
        assert!(said["issues"].is_array() && said["timeRange"]["start"] == "2026-11-21T07:00:00Z", "{tool}: {said}");
    }
    let recent = agent.call("analyze_recent_changes", range.clone()).await;
    assert_eq!(recent["counts"]["deployments"], json!({"create": 1, "update": 1}));
    assert!(recent["latest"].as_array().unwrap().iter().all(|change| change["resource"] != "pods"));
    let mut of_pods = range.clone();
    of_pods["resource_types"] = json!("pods");
    assert_eq!(agent.call("analyze_recent_changes", of_pods).await["counts"], json!({"pods": {"create": 3, "delete": 1}}));
    let mut startup = range.clone();
    (startup["pod_name"], startup["namespace"]) = (json!("web-1"), json!("shop"));
    let startup = agent.call("investigate_pod_startup", startup).await;
    assert!(startup["timeline"].to_string().contains("Successfully pulled image"), "{startup}");
    let turned = json!({"start_time": "2026-11-21T09:00:00Z", "end_time": "2026-11-21T07:00:00Z"});
    assert!(agent.refused("check_node_health", turned).await.contains("lies before"));
}

#[tokio::test]
async fn what_cannot_be_answered_is_told_in_a_sentence_that_helps() {
    let shop = Shop::open();
    let agent = Agent::newer(&shop);
    for (tool, arguments, expected) in [
        ("changes", json!({"limit": 0}), "from 1 to 1000"),
        ("changes", json!({"limit": "many"}), "do not fit"),
        ("changes", json!({"colour": "red"}), "unknown field `colour`"),
        ("changes", json!({"cursor": "x"}), "`cursor` is `x`"),
        ("changes", json!({"verb": "patch"}), "create, update or delete"),
        ("changes", json!({"since": "yesterday"}), "RFC 3339"),
        ("history", json!({"kind": "Pod"}), "missing field `name`"),
        ("object", json!({"kind": "Pod", "name": "nobody"}), "not found"),
        ("object", json!({"kind": "Pod", "name": "web-1"}), "name the namespace"),
        ("object", json!({"kind": "deploy", "name": "web", "path": "/nothing"}), "JSON Pointer"),
        ("diff", json!({"from": 2, "to": 999}), "not found"),
        ("diff", json!({"from": -1, "to": 2}), "do not fit"),
        ("doctor", json!({"check": "no-such-check"}), "not found"),
        ("doctor", json!({"severity": "grave"}), "info, warning or critical"),
        ("incident", json!({"id": "nothing"}), "not found"),
        ("watch_changes", json!({"timeoutSeconds": 100_000}), "0 to 600"),
        ("monitor_get", json!({"namespace": "kcm-system", "name": "nobody"}), "not found"),
        ("monitor_wait", json!({"namespace": "kcm-system", "name": "nobody"}), "not found"),
        ("what_changed_before", json!({"kind": "Pod"}), "belong together"),
        ("k0rdent.mgmt.clusterDeployments.getState", json!({"name": "nobody"}), "not found"),
    ] {
        let said = agent.refused(tool, arguments.clone()).await;
        assert!(said.contains(expected), "{tool} {arguments}: {said}");
    }
    let absent = agent.ask("tools/call", json!({"name": "k0rdent.mgmt.clusterDeployments.delete", "arguments": {}})).await;
    assert_eq!(absent["error"]["code"], -32_602);
    assert!(absent["error"]["message"].as_str().unwrap().contains("only reads"), "{absent}");
    let unknown = agent.ask("tools/call", json!({"name": "nothing"})).await;
    assert_eq!(unknown["error"]["code"], -32_602);
    let logs =
        agent.ask("tools/call", json!({"name": "k0rdent.mgmt.podLogs.get", "arguments": {"namespace": "shop", "pod": "web-1"}})).await;
    assert!(logs["error"]["message"].as_str().unwrap().contains("live cluster"), "{logs}");
}

#[tokio::test]
async fn prompts_and_completions_know_what_is_recorded() {
    let shop = Shop::open();
    for agent in [Agent::newer(&shop), Agent::older(&shop).await] {
        let prompts = Agent::result(agent.ask("prompts/list", json!({})).await)["prompts"].as_array().unwrap().len();
        assert_eq!(prompts, 4);
        let given = json!({"name": "investigate_pod_failure", "arguments": {"pod_name": "web-1", "namespace": "shop"}});
        let prompt = Agent::result(agent.ask("prompts/get", given).await);
        assert!(prompt["messages"][0]["content"]["text"].as_str().unwrap().contains("web-1"));
        let missing = agent.ask("prompts/get", json!({"name": "investigate_pod_failure", "arguments": {}})).await;
        assert_eq!(missing["error"]["code"], -32_602, "{missing}");
        let asked = json!({
            "ref": {"type": "ref/prompt", "name": "investigate_pod_failure"},
            "argument": {"name": "pod_name", "value": "we"},
            "context": {"arguments": {"namespace": "bank"}},
        });
        let found = Agent::result(agent.ask("completion/complete", asked).await);
        assert_eq!(found["completion"]["values"], json!(["web-1"]));
    }
}
