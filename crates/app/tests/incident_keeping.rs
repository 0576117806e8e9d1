//! What the consumer behind the incidents holds whatever happens to it: killed at any step and begun again, it tells what an uninterrupted
//! one would have told, each thing once; and what it told is what a replay of the journal tells.
//!
//! Over the in-memory journal, with seeds: a failure names its file and its seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_app::Questions;
use proreus_app::questions::{IncidentView, IncidentsQuestion};
use proreus_app::watching::{CONSUMER, Follower, KEEPER, Portion, WatchSettings};
use proreus_doctor::DoctorSettings;
use proreus_doctor::incidents::{Effect, IncidentRecord, IncidentSettings, IncidentState, Watch};
use proreus_model::{Access, Filter, Mark, MarkKind, Order, Record, Seq, SeqRange, Verb, WatchScope};
use proreus_scenario::{Player, Scenario};
use proreus_store::{Batch, BodyDetail, ConsumerCursor, Journal, MemoryJournal, ReadQuery, RetentionPolicy, WriterEpoch};

/// Seeds of each scenario: every one kills at other steps.
const SEEDS: u64 = 6;

/// How long after the last record time goes on: longer than any hold-down.
const AFTERWARDS: SignedDuration = SignedDuration::from_hours(2);

/// Numbers that look random and are the same for a seed.
struct Chance(u64);

impl Chance {
    /// A number below `most`.
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most.max(1)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// A journal under way, and the consumer that is killed now and then.
struct World {
    journal: Arc<MemoryJournal>,
    epoch: WriterEpoch,
    settings: WatchSettings,
    follower: Option<Follower>,
    chance: Chance,
    settled: Timestamp,
    kills: u64,
}

impl World {
    fn new(settings: WatchSettings, seed: u64, start: Timestamp) -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let epoch = journal.begin_epoch().expect("the writer");
        let chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Self { journal, epoch, settings, follower: None, chance, settled: start, kills: 0 }
    }

    fn append(&self, records: Vec<Record>, cursors: Vec<ConsumerCursor>) {
        self.journal.append(self.epoch, &Batch { records, cursors, ..Batch::default() }).expect("an append");
    }

    /// Whether the process dies here.
    fn dies(&mut self) -> bool {
        let dies = self.chance.one_in(4);
        if dies {
            self.follower = None;
            self.kills += 1;
        }
        dies
    }

    /// Appends a portion, dying before it or after it now and then; says whether the consumer lives.
    fn commit(&mut self, portion: Portion) -> bool {
        if self.dies() {
            return false;
        }
        if !portion.is_empty() {
            self.append(portion.records, portion.cursors);
        }
        !self.dies()
    }

    /// One turn of the loop; says whether there is more to do.
    fn turn(&mut self) -> bool {
        let Some(follower) = self.follower.as_mut() else {
            let journal: Arc<dyn Journal> = self.journal.clone();
            let (follower, portion) = Follower::begin(journal, &self.settings, self.settled).expect("a beginning");
            self.follower = Some(follower.keeping_after(1 + self.chance.below(9)));
            self.commit(portion);
            return true;
        };
        let step = follower.step(&self.settings, self.settled).expect("a step");
        let lives = self.commit(step.portion);
        !lives || step.more
    }

    /// Lets nothing before `to` come any more, and the consumer take some turns.
    fn settle(&mut self, to: Timestamp) {
        self.settled = self.settled.max(to);
        for _ in 0..self.chance.below(4) {
            self.turn();
        }
    }

    /// Until there is nothing to do.
    fn quiet(&mut self) {
        let mut idle = 0;
        while idle < 3 {
            idle = if self.turn() { 0 } else { idle + 1 };
        }
    }

    fn play(&mut self, records: &[Record], end: Timestamp) {
        for record in records {
            // Time passes up to the next record, in one or two strides.
            let ahead = record.recorded_at().duration_since(self.settled).as_nanos().max(0);
            let part = i64::try_from(ahead / 1_000 * i128::from(self.chance.below(1_000))).unwrap_or(0);
            self.settle(self.settled.checked_add(SignedDuration::from_nanos(part)).expect("time"));
            self.settle(record.recorded_at());
            self.append(vec![record.clone()], Vec::new());
        }
        self.settle(end);
        self.settle(end.checked_add(AFTERWARDS).expect("time"));
        self.quiet();
    }

    /// What was recorded of incidents, in order.
    fn told(&self) -> Vec<(Verb, IncidentRecord)> {
        let query = ReadQuery {
            range: SeqRange { first: Seq(0), last: self.journal.watermark() },
            filter: Filter { groups: vec!["proreus.dev".into()], ..Filter::changes() },
            after: None,
            order: Order::Ascending,
            limit: 100_000,
            detail: BodyDetail::Body,
        };
        let page = self.journal.read(&query).expect("a page");
        let read = page.records.into_iter().filter_map(|recorded| match recorded.record {
            Record::Change(change) => Some((change.verb, IncidentRecord::from_body(change.body.as_deref()?).expect("an incident"))),
            Record::Mark(_) => None,
        });
        read.collect()
    }

    /// What a watch that was never interrupted tells of the same journal.
    fn uninterrupted(&self) -> Vec<IncidentRecord> {
        let mut watch = Watch::new(self.settings.doctor.clone(), self.settings.incidents.clone());
        let query = ReadQuery {
            range: SeqRange { first: Seq(0), last: self.journal.watermark() },
            filter: Filter { marks: true, ..Filter::changes() },
            after: None,
            order: Order::Ascending,
            limit: 100_000,
            detail: BodyDetail::Body,
        };
        let mut effects: Vec<Effect> = Vec::new();
        for recorded in self.journal.read(&query).expect("a page").records {
            effects.extend(watch.fold(&recorded.record));
        }
        effects.extend(watch.advance(self.settled.checked_sub(SignedDuration::from_nanos(1)).expect("time")));
        effects.into_iter().map(|effect| effect.incident().clone()).collect()
    }
}

fn played(text: &str) -> (Vec<Record>, Timestamp, Timestamp) {
    let scenario = Scenario::parse(text).expect("a scenario");
    let mut player = Player::new(&scenario);
    let mut all = player.begin();
    for step in &scenario.steps {
        all.extend(player.play(step).expect("a step that can be played"));
    }
    (all, scenario.start, scenario.end())
}

fn scenario_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => scenario_files(&path, found),
            false => found.push(path),
        }
    }
}

fn texts() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["doctor", "incidents"] {
        scenario_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios").join(folder), &mut files);
    }
    files.sort();
    files.into_iter().map(|file| (file.display().to_string(), std::fs::read_to_string(&file).expect("a file"))).collect()
}

fn quick() -> WatchSettings {
    let incidents = IncidentSettings { hold_down_seconds: 7, ..IncidentSettings::default() };
    WatchSettings { doctor: DoctorSettings::default(), incidents }
}

fn as_json(incidents: &[IncidentRecord]) -> Vec<String> {
    incidents.iter().map(|incident| String::from_utf8(incident.body()).expect("text")).collect()
}

/// Created once, and before anything else is told of it.
fn assert_opened_once(told: &[(Verb, IncidentRecord)], what: &str) {
    let mut creates: BTreeMap<&str, usize> = BTreeMap::new();
    for (verb, incident) in told {
        let created = creates.entry(&incident.id).or_default();
        *created += usize::from(*verb == Verb::Create);
        assert_eq!(*created, 1, "{what}: {} was created {created} times", incident.id);
    }
}

#[test]
fn a_consumer_that_is_killed_anywhere_tells_what_an_uninterrupted_one_tells() {
    let (mut kills, mut told_in_all) = (0, 0);
    for (file, text) in texts() {
        let (records, start, end) = played(&text);
        for seed in 1..=SEEDS {
            let mut world = World::new(quick(), seed, start);
            world.play(&records, end);
            let told = world.told();
            assert_opened_once(&told, &file);
            let told: Vec<IncidentRecord> = told.into_iter().map(|(_, incident)| incident).collect();
            assert_eq!(as_json(&told), as_json(&world.uninterrupted()), "{file}, seed {seed}");
            kills += world.kills;
            told_in_all += told.len();
        }
    }
    assert!(kills > 1_000, "only {kills} kills");
    assert!(told_in_all > 200, "only {told_in_all} records of incidents");
}

#[test]
fn what_is_recorded_is_what_a_replay_gives_to_the_byte() {
    let mut compared = 0;
    for (file, text) in texts() {
        let (records, start, end) = played(&text);
        let mut world = World::new(quick(), 3, start);
        world.play(&records, end);
        // A record after everything that was due, so that a replay up to the last record has it all behind it.
        let last = Mark {
            seq: Seq(0),
            recorded_at: world.settled,
            kind: MarkKind::Gap,
            scope: WatchScope::default(),
            reason: String::new(),
            detail: serde_json::Value::Null,
        };
        world.append(vec![Record::Mark(last)], Vec::new());
        let questions = Questions::new(world.journal.clone());
        let listed = |replay: Option<WatchSettings>| -> Vec<String> {
            let question = IncidentsQuestion { replay, ..IncidentsQuestion::default() };
            let items: Vec<IncidentView> = questions.incidents(&question, &Access::All).expect("an answer").items;
            as_json(&items.into_iter().map(|view| view.incident).collect::<Vec<_>>())
        };
        let recorded = listed(None);
        assert_eq!(recorded, listed(Some(quick())), "{file}");
        compared += recorded.len();
    }
    assert!(compared > 60, "only {compared} incidents were compared");
}

/// A cluster whose pods fail and recover, for as long as wanted.
fn restless(rounds: usize) -> String {
    let mut text = "guarantee: restless\n---\napply:\n".to_owned();
    let pod = |index: usize, bad: bool| {
        let state = if bad { "{waiting: {reason: ErrImagePull, message: \"manifest unknown\"}}" } else { "{running: {}}" };
        format!(
            "- {{kind: Pod, metadata: {{name: pod-{index}, namespace: ns}}, spec: {{containers: [{{name: a, image: \"r.example/a:{index}\"}}]}}, \
             status: {{phase: Running, containerStatuses: [{{name: a, ready: {}, restartCount: 0, state: {state}}}]}}}}\n",
            !bad
        )
    };
    (0..5).for_each(|index| text.push_str(&pod(index, false)));
    for round in 0..rounds {
        text.push_str("---\nat: +600s\napply:\n");
        (0..5).for_each(|index| text.push_str(&pod(index, (round + index) % 3 == 0)));
    }
    text
}

#[test]
fn a_consumer_whose_position_retention_took_begins_anew_and_opens_nothing_twice() {
    for seed in 1..=20 {
        let (records, start, end) = played(&restless(400));
        let mut world = World::new(quick(), seed, start);
        let half = records.len() / 2;
        let (early, late) = records.split_at(half);
        for record in early {
            world.settle(record.recorded_at());
            world.append(vec![record.clone()], Vec::new());
        }
        world.quiet();
        world.follower = None;
        // Nobody follows for days, and retention goes on.
        for record in late {
            world.settled = world.settled.max(record.recorded_at());
            world.append(vec![record.clone()], Vec::new());
        }
        let policy = RetentionPolicy { max_age: Some(SignedDuration::from_hours(1)), max_bytes: None };
        let removed = world.journal.retain(&policy, end.checked_add(SignedDuration::from_hours(30)).expect("time")).expect("retention");
        assert!(!removed.removed.is_empty(), "nothing was removed");
        world.settled = world.settled.max(end);
        world.quiet();
        let open: Vec<IncidentRecord> = listed_open(&world);
        let mut keys: Vec<(String, String)> = open.iter().map(|one| (one.object.name.to_string(), one.reason.clone())).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "seed {seed}: one trouble is open twice: {keys:?}");
    }
}

fn listed_open(world: &World) -> Vec<IncidentRecord> {
    let question = IncidentsQuestion { states: vec![IncidentState::Open], ..IncidentsQuestion::default() };
    let answer = Questions::new(world.journal.clone()).incidents(&question, &Access::All).expect("an answer");
    answer.items.into_iter().map(|view| view.incident).collect()
}

#[test]
fn a_state_that_cannot_be_read_is_folded_anew_and_opens_nothing_twice() {
    for spoil in [CONSUMER, KEEPER] {
        for state in [&b"no state"[..], br#"{"version": 99}"#] {
            let (records, start, end) = played(&restless(30));
            let mut world = World::new(quick(), 5, start);
            world.play(&records, end);
            let before = as_json(&listed_open(&world));
            let count = world.told().len();
            let seq = world.journal.cursor(spoil).expect("a cursor").expect("a position").seq;
            world.append(Vec::new(), vec![ConsumerCursor { consumer: spoil.to_owned(), seq, state: state.to_vec() }]);
            world.follower = None;
            world.quiet();
            assert_opened_once(&world.told(), spoil);
            assert_eq!(as_json(&listed_open(&world)), before);
            assert_eq!(world.told().len(), count, "nothing is told anew");
        }
    }
}

#[test]
fn other_settings_are_put_in_force_once_whether_it_was_running_or_not() {
    for seed in 1..=10 {
        let (records, start, end) = played(&restless(20));
        let mut world = World::new(quick(), seed, start);
        world.play(&records, end);
        assert!(!listed_open(&world).is_empty(), "nothing is open at the end");
        let off = proreus_doctor::CheckSettings { enabled: Some(false), ..proreus_doctor::CheckSettings::default() };
        world.settings.doctor.checks = proreus_doctor::checks::CHECKS.iter().map(|check| (check.id.to_owned(), off.clone())).collect();
        world.quiet();
        world.settle(world.settled.checked_add(AFTERWARDS).expect("time"));
        world.quiet();
        assert_eq!(as_json(&listed_open(&world)), Vec::<String>::new(), "seed {seed}");
        assert_opened_once(&world.told(), "reconfigured");
    }
}
