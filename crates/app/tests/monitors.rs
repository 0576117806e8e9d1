//! What must hold for the monitor of every scenario, whatever it expects: few updates, one end, no way back; and the same bytes whether time
//! passed in steps or at once.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use proreus_model::Record;
use proreus_observe::phases::{Effect, Phase, PhaseOptions, Phases, Progress, Severity, StateWord, step};
use proreus_scenario::{Player, Scenario};

/// Updates that nobody exceeds in one course.
const UPDATES_LIMIT: usize = 14;

fn scenarios() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/monitor");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &Path| Scenario::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(path))).collect()
}

/// Folds a scenario; between records time passes in steps of `every`, or at once.
fn told(scenario: &Scenario, every: Option<SignedDuration>) -> Vec<Progress> {
    let options = match scenario.config.get("monitor") {
        Some(config) => serde_json::from_value(config.clone()).unwrap(),
        None => PhaseOptions::default(),
    };
    let (mut phases, mut player, mut effects) = (Phases::new(options), Player::new(scenario), Vec::new());
    let mut clock = scenario.start;
    let pass = |phases: &mut Phases, clock: &mut Timestamp, to: Timestamp| {
        let mut effects = Vec::new();
        while let Some(every) = every
            && *clock + every < to
        {
            *clock += every;
            effects.extend(phases.advance(*clock));
        }
        *clock = to;
        effects
    };
    let fold = |phases: &mut Phases, records: &[Record]| -> Vec<Effect> {
        records.iter().flat_map(|record| step(phases, record, record.recorded_at()).0).collect()
    };
    effects.extend(fold(&mut phases, &player.begin()));
    for step in &scenario.steps {
        effects.extend(pass(&mut phases, &mut clock, step.at));
        effects.extend(fold(&mut phases, &player.play(step).unwrap()));
    }
    effects.extend(phases.advance(scenario.end()));
    let updates = effects.into_iter().filter_map(|effect| match effect {
        Effect::Update(update) => Some(*update),
        Effect::Learned(_) => None,
    });
    updates.collect()
}

fn courses(updates: &[Progress]) -> BTreeMap<(String, u32), Vec<&Progress>> {
    let mut courses: BTreeMap<(String, u32), Vec<&Progress>> = BTreeMap::new();
    for update in updates {
        courses.entry((format!("{}/{}", update.namespace, update.name), update.course)).or_default().push(update);
    }
    courses
}

#[test]
fn a_course_has_few_updates_and_ends_once() {
    for (file, scenario) in scenarios() {
        let updates = told(&scenario, None);
        assert!(!updates.is_empty(), "{file}: nothing was told");
        for ((name, course), updates) in courses(&updates) {
            let place = format!("{file}: {name}, course {course}");
            assert!(updates.len() <= UPDATES_LIMIT, "{place}: {} updates", updates.len());
            let terminal: Vec<usize> = (0..updates.len()).filter(|index| updates[*index].terminal).collect();
            assert!(terminal.is_empty() || terminal == [updates.len() - 1], "{place}: ends at {terminal:?}");
            let undisturbed =
                updates.iter().all(|update| update.severity == Severity::Info && !update.state.contains(&StateWord::Deleting));
            let came_up = updates.first().is_some_and(|first| first.phase == Phase::Initializing)
                && updates.last().is_some_and(|last| last.phase == Phase::Ready);
            if undisturbed && came_up && !file.starts_with("ready-too-early") {
                assert!((5..=10).contains(&updates.len()), "{place}: {} updates", updates.len());
            }
        }
    }
}

#[test]
fn neither_phase_nor_percentage_goes_back() {
    for (file, scenario) in scenarios() {
        for ((name, course), updates) in courses(&told(&scenario, None)) {
            let mut former: Option<&Progress> = None;
            for update in updates.iter().filter(|update| !matches!(update.phase, Phase::Unknown | Phase::Failed)) {
                if let Some(former) = former {
                    assert!(update.phase >= former.phase, "{file}: {name}, course {course}: {:?} after {:?}", update.phase, former.phase);
                    assert!(update.progress >= former.progress, "{file}: {name}: {} after {}", update.progress, former.progress);
                    assert!(update.timestamp >= former.timestamp, "{file}: {name}: time goes back");
                }
                former = Some(update);
            }
        }
    }
}

#[test]
fn a_replay_gives_the_bytes_of_the_live_run() {
    for (file, scenario) in scenarios() {
        let at_once = serde_json::to_string(&told(&scenario, None)).unwrap();
        for seconds in [1, 7] {
            let in_steps = serde_json::to_string(&told(&scenario, Some(SignedDuration::from_secs(seconds)))).unwrap();
            assert_eq!(at_once, in_steps, "{file}, every {seconds} s");
        }
    }
}

#[test]
fn the_log_of_a_monitor_is_numbered_without_a_gap() {
    for (file, scenario) in scenarios() {
        let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
        for update in told(&scenario, None) {
            let number = numbers.entry(format!("{}/{}", update.namespace, update.name)).or_default();
            *number += 1;
            assert_eq!(update.number, *number, "{file}: {}", update.name);
        }
    }
}
