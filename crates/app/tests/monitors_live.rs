//! Monitors as a live service: no update is lost, none is told twice, whatever is restarted when, and however many listen.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proreus_app::monitors::{
    ClientKey, MonitorCursor, MonitorInputs, MonitorLimits, MonitorName, MonitorUpdate, Monitors, Position, SubscribeOptions,
};
use proreus_app::questions::{PhaseOptions, Progress, Questions, Target, Told};
use proreus_app::{AppError, Clock};
use proreus_model::{Access, AccessRule, Record, Seq};
use proreus_scenario::{Player, Scenario};
use proreus_store::{Batch, Journal, MemoryJournal, WriterEpoch};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most waiting for something that must happen.
const DEADLINE: Duration = Duration::from_secs(60);

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A journal that is written record by record.
struct Bench {
    journal: Arc<MemoryJournal>,
    epoch: WriterEpoch,
    moved: watch::Sender<Seq>,
}

impl Bench {
    fn new() -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let epoch = journal.begin_epoch().unwrap();
        Self { journal, epoch, moved: watch::Sender::new(Seq(0)) }
    }

    fn append(&self, records: Vec<Record>) {
        let appended = self.journal.append(self.epoch, &Batch { records, ..Batch::default() }).unwrap();
        self.moved.send_replace(appended.watermark);
    }

    fn questions(&self) -> Questions {
        Questions::new(self.journal.clone())
    }

    /// As a process that has just started.
    fn monitors(&self, limits: MonitorLimits) -> Arc<Monitors> {
        Arc::new(Monitors::new(MonitorInputs { limits, ..MonitorInputs::new(self.questions(), Arc::new(NoClock)) }))
    }

    /// What anybody derives from the journal alone.
    fn replay(&self) -> Vec<Told> {
        let (mut monitoring, mut told) = self.questions().monitoring(PhaseOptions::default()).unwrap();
        told.extend(monitoring.catch_up(None).unwrap());
        told
    }
}

fn scenario_text(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/monitor");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

fn records_of(text: &str) -> Vec<Record> {
    let scenario = Scenario::parse(text).unwrap();
    let mut player = Player::new(&scenario);
    let mut records = player.begin();
    for step in &scenario.steps {
        records.extend(player.play(step).unwrap());
    }
    records
}

/// The same again after an hour: time passes with records here, and what settles has settled by then.
fn much_later(record: &Record) -> Record {
    let mut later = record.clone();
    let at = record.recorded_at() + SignedDuration::from_hours(1);
    match &mut later {
        Record::Change(change) => change.recorded_at = at,
        Record::Mark(mark) => mark.recorded_at = at,
    }
    later
}

fn name_of(target: &Target) -> MonitorName {
    MonitorName { cluster: None, namespace: target.namespace.to_string(), name: target.name.to_string() }
}

fn of_target(told: &[Told], target: &Target) -> Vec<(Position, Progress)> {
    told.iter().filter(|told| told.progress.target() == *target).map(|told| (told.position, told.progress.clone())).collect()
}

/// Everything after a cursor, page by page.
fn rest(monitors: &Monitors, name: &MonitorName, mut after: Option<MonitorCursor>) -> Vec<MonitorUpdate> {
    let mut items = Vec::new();
    loop {
        let page = match monitors.log(name, after.as_ref(), 3, &Access::All) {
            Err(AppError::NotFound { .. }) => return items,
            page => page.unwrap(),
        };
        assert_eq!(page.missed, 0);
        items.extend(page.items);
        after = Some(page.cursor);
        if !page.more {
            return items;
        }
    }
}

const RESTARTED: [&str; 7] = [
    "deletion.yaml",
    "aws-quota-revoked.yaml",
    "degraded-and-back.yaml",
    "watch-lost.yaml",
    "created-again.yaml",
    "three-names-alike.yaml",
    "services-grow-within-the-settle-window.yaml",
];

#[test]
fn a_process_killed_at_any_record_loses_nothing_and_tells_nothing_twice() {
    for file in RESTARTED {
        let bench = Bench::new();
        let records = records_of(&scenario_text(file));
        let whole = {
            let all = Bench::new();
            all.append(records.clone());
            all.replay()
        };
        let mut targets: Vec<Target> = whole.iter().map(|told| told.progress.target()).collect();
        targets.sort();
        targets.dedup();
        let mut seen: Vec<Vec<(Position, Progress)>> = vec![Vec::new(); targets.len()];
        for record in records {
            bench.append(vec![record]);
            // A new process at every record; the clients come back with their cursors.
            let monitors = bench.monitors(MonitorLimits::default());
            for (target, seen) in targets.iter().zip(&mut seen) {
                let cursor = seen.last().map(|(position, _)| MonitorCursor { journal: bench.journal.id(), position: *position });
                let new = rest(&monitors, &name_of(target), cursor);
                seen.extend(new.into_iter().map(|update| (update.cursor.position, update.progress)));
            }
        }
        for (target, seen) in targets.iter().zip(seen) {
            assert_eq!(seen, of_target(&whole, target), "{file}: {}", target.name);
        }
    }
}

#[test]
fn an_update_has_one_place_whether_time_or_a_record_brought_it_out() {
    for file in RESTARTED {
        let bench = Bench::new();
        let records = records_of(&scenario_text(file));
        let (mut monitoring, mut live) = bench.questions().monitoring(PhaseOptions::default()).unwrap();
        for pair in records.windows(2) {
            bench.append(vec![pair[0].clone()]);
            let (from, to) = (pair[0].recorded_at(), pair[1].recorded_at());
            for quarter in 1..4 {
                let passed = SignedDuration::from_nanos(i64::try_from(to.duration_since(from).as_nanos()).unwrap() / 4 * quarter);
                live.extend(monitoring.catch_up(Some(from + passed)).unwrap());
            }
        }
        bench.append(records.last().cloned().into_iter().collect());
        live.extend(monitoring.catch_up(None).unwrap());
        assert_eq!(live, bench.replay(), "{file}");
        assert!(live.windows(2).all(|pair| pair[0].position < pair[1].position), "{file}: positions rise");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_listeners_on_twenty_monitors_see_every_update_once_and_in_order() {
    const MONITORS: usize = 20;
    const LISTENERS: usize = 200;
    let bench = Bench::new();
    let text = scenario_text("gke.yaml");
    let mut records: Vec<Record> = (0..MONITORS).flat_map(|index| records_of(&text.replace("gke-1", &format!("dev-{index:02}")))).collect();
    records.sort_by_key(Record::recorded_at);
    records.push(much_later(records.last().unwrap()));
    let expected = {
        let all = Bench::new();
        all.append(records.clone());
        all.replay()
    };
    let monitors = bench.monitors(MonitorLimits { in_all: LISTENERS, ..MonitorLimits::default() });
    let ending = CancellationToken::new();
    let following = tokio::spawn(Arc::clone(&monitors).follow(bench.moved.subscribe(), ending.clone()));
    let listeners: Vec<_> = (0..LISTENERS)
        .map(|index| {
            let name = MonitorName { cluster: None, namespace: "kcm-system".to_owned(), name: format!("dev-{:02}", index % MONITORS) };
            let options = SubscribeOptions { await_existence: true, ..SubscribeOptions::default() };
            let client = ClientKey(format!("client-{}", index / 10));
            let mut subscription = monitors.subscribe(name.clone(), options, &client, Access::All).unwrap();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Some(notice) = subscription.next().await {
                    assert!(!notice.is_own, "{:?}", notice.update.progress.message);
                    seen.push((notice.update.cursor.position, notice.update.progress));
                }
                (name, seen)
            })
        })
        .collect();
    assert_eq!(monitors.subscriptions(), LISTENERS);
    for portion in records.chunks(7) {
        bench.append(portion.to_vec());
        tokio::task::yield_now().await;
    }
    for listener in listeners {
        let (name, seen) = tokio::time::timeout(DEADLINE, listener).await.expect("an end in time").unwrap();
        let of_name: Vec<(Position, Progress)> = expected
            .iter()
            .filter(|told| told.progress.name.as_str() == name.name)
            .map(|told| (told.position.to_owned(), told.progress.clone()))
            .collect();
        assert!(seen.len() >= 5 && seen.last().unwrap().1.terminal);
        assert_eq!(seen, of_name, "{}", name.name);
    }
    assert_eq!(monitors.subscriptions(), 0, "whoever came to the end has left its place");
    ending.cancel();
    following.await.unwrap();
}

fn named(name: &str) -> MonitorName {
    MonitorName { cluster: None, namespace: "kcm-system".to_owned(), name: name.to_owned() }
}

fn client() -> ClientKey {
    ClientKey("somebody".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_warned_and_ended_by_its_timeout_and_leaves_its_place() {
    let bench = Bench::new();
    let monitors = bench.monitors(MonitorLimits { per_client: 1, ..MonitorLimits::default() });
    let options = SubscribeOptions { timeout: Some(Duration::from_secs(120)), await_existence: true, after: None };
    let mut subscription = monitors.subscribe(named("nobody"), options.clone(), &client(), Access::All).unwrap();
    let refused = monitors.subscribe(named("nobody"), options.clone(), &client(), Access::All).map(|_| ()).unwrap_err();
    assert_eq!(refused.to_string(), "per-client subscription limit exceeded (max: 1)");
    let begun = tokio::time::Instant::now();
    let warning = subscription.next().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 96, "a fifth of two minutes before the end");
    assert_eq!(warning.update.progress.message, "Provisioning timeout approaching (24s remaining)");
    assert!(warning.is_own && !warning.is_last && !warning.update.progress.terminal);
    let end = subscription.next().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 120);
    assert_eq!(end.update.progress.message, "Monitoring timeout exceeded, subscription terminated");
    assert!(end.is_last && end.update.progress.terminal);
    assert_eq!(subscription.next().await, None);
    drop(subscription);
    assert!(monitors.subscribe(named("nobody"), options, &client(), Access::All).is_ok());
}

#[test]
fn refuses_what_is_not_there_and_what_is_out_of_range() {
    let bench = Bench::new();
    let monitors = bench.monitors(MonitorLimits::default());
    let with = |options: SubscribeOptions| monitors.subscribe(named("nobody"), options, &client(), Access::All).map(|_| ()).unwrap_err();
    assert_eq!(with(SubscribeOptions::default()).to_string(), "monitor kcm-system/nobody not found");
    for seconds in [0, 24 * 60 * 60 + 1] {
        let error = with(SubscribeOptions { timeout: Some(Duration::from_secs(seconds)), await_existence: true, after: None });
        assert_eq!(error.hint(), "give whole seconds from 1 to 86400");
    }
    let elsewhere = MonitorCursor { journal: Bench::new().journal.id(), position: Position::default() };
    let error = with(SubscribeOptions { after: Some(elsewhere), await_existence: true, timeout: None });
    assert!(matches!(error, AppError::CursorGone { .. }), "{error}");
    assert_eq!(monitors.subscriptions(), 0);
}

#[tokio::test]
async fn a_new_subscription_begins_with_the_newest_and_one_that_comes_back_with_what_follows_its_cursor() {
    let bench = Bench::new();
    bench.append(records_of(&scenario_text("degraded-and-back.yaml")));
    let told = bench.replay();
    let target = told.first().unwrap().progress.target();
    let monitors = bench.monitors(MonitorLimits::default());
    let newest = told.last().unwrap();
    let mut fresh = monitors.subscribe(name_of(&target), SubscribeOptions::default(), &client(), Access::All).unwrap();
    let first = fresh.next().await.unwrap();
    assert_eq!((first.update.cursor.position, first.is_last), (newest.position, newest.progress.terminal));
    // From the beginning: it ends with the first end, and what was told later is for the next subscription.
    let mut after = MonitorCursor { journal: bench.journal.id(), position: Position::default() };
    let mut seen = Vec::new();
    while after.position < newest.position {
        let options = SubscribeOptions { after: Some(after.clone()), ..SubscribeOptions::default() };
        let mut subscription = monitors.subscribe(name_of(&target), options, &client(), Access::All).unwrap();
        while let Some(notice) = subscription.next().await {
            after = notice.update.cursor.clone();
            assert_eq!(notice.is_last, notice.update.progress.terminal);
            seen.push(notice.update.progress);
            if after.position == newest.position {
                break;
            }
        }
    }
    let all: Vec<Progress> = told.into_iter().map(|told| told.progress).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_listener_that_reads_too_late_is_told_how_much_it_missed() {
    let bench = Bench::new();
    let records = records_of(&scenario_text("aws-quota-revoked.yaml"));
    let (first, later) = records.split_at(12);
    bench.append(first.to_vec());
    let monitors = bench.monitors(MonitorLimits { log: 3, ..MonitorLimits::default() });
    let target = bench.replay().first().unwrap().progress.target();
    let mut subscription = monitors.subscribe(name_of(&target), SubscribeOptions::default(), &client(), Access::All).unwrap();
    let begun = subscription.next().await.unwrap();
    bench.append(later.to_vec());
    let page = monitors.log(&name_of(&target), Some(&begun.update.cursor), 50, &Access::All).unwrap();
    let told = bench.replay();
    let after = told.iter().filter(|told| told.position > begun.update.cursor.position).count();
    assert_eq!((page.items.len(), usize::try_from(page.missed).unwrap()), (3, after - 3));
    let missed = subscription.next().await.unwrap();
    assert!(missed.is_own && !missed.is_last);
    assert_eq!(
        missed.update.progress.message,
        format!("{} updates fell out of the log before they were read; what follows is what is kept", after - 3)
    );
    assert_eq!(subscription.next().await.unwrap().update, page.items[0]);
}

#[test]
fn shows_a_monitor_to_who_may_read_its_object_and_what_it_speaks_of_apart() {
    let bench = Bench::new();
    bench.append(records_of(&scenario_text("aws-quota-fails.yaml")));
    let monitors = bench.monitors(MonitorLimits::default());
    let target = bench.replay().first().unwrap().progress.target();
    let rule = |group: &str, resource: &str, namespace: &str| AccessRule {
        cluster: target.cluster.clone(),
        group: group.into(),
        resource: resource.into(),
        namespace: Some(namespace.into()),
    };
    let own = rule("k0rdent.mirantis.com", "clusterdeployments", target.namespace.as_str());
    for access in [
        Access::Only(Vec::new()),
        Access::Only(vec![rule("k0rdent.mirantis.com", "clusterdeployments", "other"), rule("", "pods", "kcm-system")]),
    ] {
        assert!(monitors.list(&access).unwrap().is_empty());
        let refused = monitors.log(&name_of(&target), None, 50, &access).unwrap_err();
        assert!(matches!(refused, AppError::NotFound { .. }), "{refused}");
        let options = SubscribeOptions { await_existence: true, ..SubscribeOptions::default() };
        assert!(monitors.subscribe(named("nobody"), options, &client(), access).is_err());
    }
    let access = Access::Only(vec![own]);
    assert_eq!(monitors.list(&access).unwrap().len(), 1);
    let page = monitors.log(&name_of(&target), None, 50, &access).unwrap();
    let quota: Vec<_> = page.items.iter().filter(|update| update.progress.cause_class.is_some()).collect();
    assert!(!quota.is_empty());
    for update in quota {
        assert!(update.is_related_hidden && update.progress.related_object.is_none());
        assert!(!update.progress.message.contains("Vcpu"), "{}", update.progress.message);
    }
    let whole = monitors.log(&name_of(&target), None, 50, &Access::All).unwrap();
    assert!(whole.items.iter().any(|update| update.progress.message.contains("Vcpu")));
}
