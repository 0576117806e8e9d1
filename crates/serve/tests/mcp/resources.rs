//! Resources: templates, reading, and addresses that lead nowhere.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::shop::Shop;

fn text(result: &Value) -> Value {
    serde_json::from_str(result["contents"][0]["text"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn every_promised_template_is_listed() {
    let shop = Shop::open();
    for agent in [Agent::newer(&shop), Agent::older(&shop).await] {
        let result = Agent::result(agent.ask("resources/templates/list", json!({})).await);
        let uris: Vec<&str> =
            result["resourceTemplates"].as_array().unwrap().iter().map(|of| of["uriTemplate"].as_str().unwrap()).collect();
        for promised in [
            "k0rdent://events/{namespace}",
            "k0rdent://podlogs/{namespace}/{pod}/{container}",
            "audit://events/{namespace}",
            "audit://events/{namespace}/{resource_type}",
            "audit://changes/{time_range}",
            "audit://node-events/{node_name}",
        ] {
            assert!(uris.contains(&promised), "{promised} among {uris:?}");
        }
        for scheme in ["k0rdent", "proreus"] {
            assert!(uris.iter().any(|uri| uri.starts_with(&format!("{scheme}://cluster-monitor/{{namespace}}/{{name}}"))));
        }
        assert!(Agent::result(agent.ask("resources/list", json!({})).await)["resources"].is_array());
    }
}

#[tokio::test]
async fn the_older_services_resources_keep_their_envelope() {
    let shop = Shop::open();
    let agent = Agent::newer(&shop);
    let events = text(&Agent::result(agent.ask("resources/read", json!({"uri": "audit://events/shop/pods"})).await));
    assert_eq!((&events["namespace"], &events["resourceType"]), (&json!("shop"), &json!("pods")));
    assert_eq!(events["eventCount"], 3);
    assert_eq!(events["events"][0]["resourceType"], "pods");
    assert!(events["timeRange"]["start"].is_string());
    let node = text(&Agent::result(agent.ask("resources/read", json!({"uri": "audit://node-events/n1"})).await));
    assert_eq!((&node["nodeName"], &node["eventCount"]), (&json!("n1"), &json!(1)));
    let events = text(&Agent::result(agent.ask("resources/read", json!({"uri": "k0rdent://events/shop"})).await));
    let reasons: Vec<&Value> = events["events"].as_array().unwrap().iter().map(|event| &event["reason"]).collect();
    assert_eq!(reasons, [&json!("Killing"), &json!("Pulled")], "both Event APIs, newest first");
    assert_eq!(events["events"][0]["message"], "Stopping container web");
}

#[tokio::test]
async fn addresses_that_lead_nowhere_are_errors_of_the_protocol() {
    let shop = Shop::open();
    for (agent, missing) in [(Agent::newer(&shop), -32_602), (Agent::older(&shop).await, -32_002)] {
        for (uri, code, said) in [
            ("nonsense", -32_602, "no address"),
            ("ftp://cluster-monitor/a/b", -32_602, "unsupported subscription scheme"),
            ("k0rdent://nothing/a", -32_602, "no subscription handler"),
            ("k0rdent://cluster-monitor/a", -32_602, "too few or too many"),
            ("k0rdent://cluster-monitor/a/b?timeout=x", -32_602, "invalid timeout"),
            ("k0rdent://cluster-monitor/kcm-system/nobody", missing, "not found"),
            ("k0rdent://podlogs/shop/web-1/web", -32_600, "live cluster"),
        ] {
            let message = agent.ask("resources/read", json!({"uri": uri})).await;
            assert_eq!(message["error"]["code"], code, "{uri}: {message}");
            let text = message["error"]["message"].as_str().unwrap();
            assert!(text.contains(said) && text.contains("hint:"), "{uri}: {text}");
        }
    }
    let agent = Agent::older(&shop).await;
    for (uri, said) in [
        ("k0rdent://cluster-monitor/kcm-system/nobody", "not found"),
        ("k0rdent://cluster-monitor/kcm-system/nobody?await=true&timeout=0", "timeout"),
        ("k0rdent://cluster-monitor/kcm-system/nobody?await=true&timeout=999999999", "timeout"),
        ("audit://events/shop", "not subscribed to"),
        ("x://y", "unsupported"),
    ] {
        let message = agent.ask("resources/subscribe", json!({"uri": uri})).await;
        assert!(message["error"]["message"].as_str().is_some_and(|text| text.contains(said)), "{uri}: {message}");
    }
    let awaited = agent.ask("resources/subscribe", json!({"uri": "k0rdent://cluster-monitor/kcm-system/nobody?await=true"})).await;
    assert!(awaited.get("result").is_some(), "{awaited}");
}
