//! Telling others of incidents, from the journal to receivers of this machine: well, badly, killed in between, and to a real Alertmanager.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proreus_doctor::emission::EndpointRules;
use telling::alertmanager::Alertmanager;
use telling::hook::{Hook, Manner};
use telling::{Bench, endpoint, impatient, quick_retries, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_hears_of_an_incident_and_of_its_end_and_of_nothing_twice() {
    let hook = Hook::start(|_| Manner::Take).await;
    let bench = Bench::new();
    let emission = bench.tell(vec![endpoint("hook", &hook.url(), EndpointRules::default())]);
    bench.record("a", "critical", "open");
    until("the opening is heard", || hook.heard().len() == 1).await;
    bench.record("a", "critical", "open");
    bench.record("a", "critical", "resolved");
    until("the end is heard", || hook.heard().len() == 2).await;
    emission.end().await;
    let heard: Vec<(String, String)> = hook.heard().into_iter().map(|heard| (heard.event, heard.incident)).collect();
    let said = |event: &str| (event.to_owned(), "a".to_owned());
    assert_eq!(heard, [said("incident.opened"), said("incident.resolved")]);
    let body = &hook.heard()[0].body;
    assert_eq!(
        (body["kind"].as_str(), body["name"].as_str(), body["severity"].as_str()),
        (Some("Deployment"), Some("web-a"), Some("critical"))
    );
    let figures = bench.figures("hook");
    assert_eq!((figures.delivered, figures.failed, figures.waiting), (2, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_endpoint_is_told_of_what_goes_on_and_not_of_what_is_over() {
    let hook = Hook::start(|_| Manner::Take).await;
    let bench = Bench::new();
    bench.record("old", "critical", "open");
    bench.record("old", "critical", "resolved");
    bench.record("now", "warning", "open");
    bench.record("low", "info", "open");
    let emission = bench.tell(vec![endpoint("hook", &hook.url(), EndpointRules::default())]);
    until("what goes on is heard", || hook.heard().len() == 1).await;
    bench.record("next", "warning", "open");
    until("what comes is heard", || hook.heard().len() == 2).await;
    emission.end().await;
    let heard: Vec<String> = hook.heard().into_iter().map(|heard| heard.incident).collect();
    assert_eq!(heard, ["now", "next"]);
}

/// Answers by chance, the same for the same number.
fn by_chance(number: u64) -> Manner {
    let mixed = (number + 1).wrapping_mul(6_364_136_223_846_793_005) >> 40;
    match mixed % 6 {
        0 => Manner::Fail,
        1 => Manner::HangUp,
        2 => Manner::TakeAndHangUp,
        3 => Manner::Hang,
        _ => Manner::Take,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_and_whenever_we_are_killed_every_incident_arrives_and_its_key_is_the_same() {
    let hook = Hook::start(by_chance).await;
    let bench = Bench::new();
    let rules = EndpointRules { retry: quick_retries(), ..EndpointRules::default() };
    let mut told: BTreeMap<String, &str> = BTreeMap::new();
    for round in 0..6 {
        // A runtime of its own, so that ending it ends everything at whatever it is doing, as a kill does.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emission = {
            let _within = runtime.enter();
            bench.tell(vec![impatient("hook", &hook.url(), rules.clone())])
        };
        let before = hook.heard().len();
        for number in 0..5 {
            let id = format!("i{}", (round * 3 + number) % 9);
            let state = if told.get(&id) == Some(&"open") { "resolved" } else { "open" };
            bench.record(&id, "critical", state);
            told.insert(id, state);
        }
        until("a few more are heard", || hook.heard().len() >= before + 3).await;
        drop(emission);
        runtime.shutdown_background();
    }
    let emission = bench.tell(vec![impatient("hook", &hook.url(), rules)]);
    let last = || -> BTreeMap<String, bool> {
        let mut last: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        for heard in hook.taken() {
            let word = (heard.seq(), heard.event != "incident.resolved");
            let entry = last.entry(heard.incident).or_default();
            *entry = (*entry).max(word);
        }
        last.into_iter().map(|(id, (_, is_open))| (id, is_open)).collect()
    };
    let wanted: BTreeMap<String, bool> = told.iter().map(|(id, state)| (id.clone(), *state == "open")).collect();
    until("the last word of every incident is heard", || last() == wanted).await;
    emission.end().await;
    let mut by_key: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for heard in hook.heard() {
        by_key.entry(heard.key).or_default().insert(heard.body.to_string());
    }
    assert!(by_key.values().all(|bodies| bodies.len() == 1), "one key stands for one thing");
    assert!(hook.heard().len() > by_key.len(), "nothing was repeated, so nothing was tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_hangs_holds_up_no_other() {
    let (stuck, quick) = (Hook::start(|_| Manner::Hang).await, Hook::start(|_| Manner::Take).await);
    let bench = Bench::new();
    let rules = EndpointRules::default();
    let endpoints = vec![endpoint("stuck", &stuck.url(), rules.clone()), endpoint("quick", &quick.url(), rules)];
    let emission = bench.tell(endpoints);
    for number in 0..20 {
        bench.record(&format!("i{number}"), "critical", "open");
    }
    until("the quick one heard everything", || quick.taken().len() == 20).await;
    // The first request to the stuck one has not been answered, nor given up, while twenty went to the other.
    until("the stuck one was asked", || !stuck.heard().is_empty()).await;
    assert_eq!((stuck.taken().len(), bench.figures("stuck").delivered), (0, 0));
    assert_eq!(bench.figures("stuck").failed, 0, "not even the first request has ended");
    bench.stop(emission).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_come_and_go_with_the_configuration() {
    let (first, second) = (Hook::start(|_| Manner::Take).await, Hook::start(|_| Manner::Take).await);
    let bench = Bench::new();
    let emission = bench.tell(vec![endpoint("first", &first.url(), EndpointRules::default())]);
    bench.record("a", "critical", "open");
    until("the first hears", || first.heard().len() == 1).await;
    bench.reconfigure(&emission, vec![endpoint("second", &second.url(), EndpointRules::default())]);
    until("the second hears what goes on", || second.heard().len() == 1).await;
    bench.record("b", "critical", "open");
    until("the second hears what comes", || second.heard().len() == 2).await;
    assert_eq!(first.heard().len(), 1);
    bench.reconfigure(&emission, vec![endpoint("first", &first.url(), EndpointRules::default())]);
    until("the first goes on where it left off", || first.heard().len() == 2).await;
    emission.end().await;
    let heard: Vec<String> = first.heard().into_iter().map(|heard| heard.incident).collect();
    assert_eq!(heard, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_alertmanager_shows_an_incident_while_it_lasts() {
    let manager = Alertmanager::start().await;
    let bench = Bench::new();
    let emission = bench.tell(vec![manager.endpoint()]);
    bench.record("a", "critical", "open");
    bench.record("b", "warning", "open");
    until_async("both are shown", || async { manager.alerts().await.len() == 2 }).await;
    let alerts = manager.alerts().await;
    let shown = alerts.iter().find(|alert| alert["labels"]["name"] == "web-a").unwrap();
    assert_eq!(shown["labels"]["alertname"], "DeploymentUnavailable");
    assert_eq!((&shown["labels"]["severity"], &shown["labels"]["cluster"]), (&"critical".into(), &"prod".into()));
    assert_eq!(shown["annotations"]["remediation"], "look at the pods");
    bench.record("b", "critical", "open");
    let severities = || async {
        let alerts = manager.alerts().await;
        let of_b = alerts.iter().filter(|alert| alert["labels"]["name"] == "web-b");
        of_b.map(|alert| alert["labels"]["severity"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    until_async("b is shown with its new severity only", || async { severities().await == ["critical"] }).await;
    bench.record("a", "critical", "resolved");
    bench.record("b", "critical", "resolved");
    until_async("none is shown any more", || async { manager.alerts().await.is_empty() }).await;
    emission.end().await;
}

/// As `until`, for what has to be asked of a server.
async fn until_async<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + telling::WITHIN;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {} s: {what}", telling::WITHIN.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
