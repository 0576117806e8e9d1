//! The header of a stored change: everything but its identity and its body, in some twenty bytes.
//!
//! Ids in it are of the file's own tables. Not here: what the body was coded against means (`sqlite::rows`). Invariant: any bytes either
//! parse or give `None`; nothing in here panics.

use jiff::Timestamp;
use proreus_model::{Gap, Origin, Verb};

use super::varint::{put, put_signed, put_text, take, take_bytes, take_signed, take_text, unzigzag, zigzag};

const NANOS_A_SECOND: i128 = 1_000_000_000;

/// First byte of a mark, which no change has: its body code would be out of range.
const MARK: u8 = 0xff;

/// A resourceVersion: etcd gives decimal numbers, and nothing obliges anybody to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Decimal without leading zeros.
    Number(u64),
    /// Anything else.
    Text(Box<str>),
}

impl Version {
    pub(crate) fn parse(text: &str) -> Self {
        let canonical = text.len() == 1 || !text.starts_with('0');
        match text.parse::<u64>() {
            Ok(number) if canonical && text.bytes().all(|byte| byte.is_ascii_digit()) => Self::Number(number),
            _ => Self::Text(text.into()),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What a change says of the object it regards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Regarding {
    /// What the object's own row says.
    AsObject,
    /// This instead, or none.
    Other(Option<Box<str>>),
}

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// There is no body.
    Absent,
    /// Alone.
    Alone,
    /// With a dictionary of the file.
    Dictionary(u32),
    /// Against the object's version before.
    Previous,
    /// Against another version of the object, so many rows back (negative: on).
    Earlier(i64),
    /// Against a version of another object, so many rows back (negative: on).
    Sibling(i64),
    /// Equal to the object's version before; no frame follows.
    Same,
}

/// Everything of a change but its identity and its body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// Number of (resource type, namespace) in the file.
    pub(crate) class: u32,
    pub(crate) verb: Verb,
    pub(crate) origin: Origin,
    pub(crate) recorded_at: Timestamp,
    pub(crate) event_time: Option<Timestamp>,
    pub(crate) generation: Option<i64>,
    /// Number of the manager in the file.
    pub(crate) manager: Option<u32>,
    pub(crate) gap: Option<Gap>,
    pub(crate) resource_version: Version,
    pub(crate) regarding: Regarding,
    /// Position in the journal where it is not told by the place in the file: in bases.
    pub(crate) base_seq: Option<u64>,
    pub(crate) coding: Coding,
    /// The stripped body is the body.
    pub(crate) literal: bool,
}

const EVENT_TIME: u8 = 1 << 2;
const GENERATION: u8 = 1 << 3;
const MANAGER: u8 = 1 << 4;
const LITERAL: u8 = 1 << 5;
const TEXT_VERSION: u8 = 1 << 6;
const RARE: u8 = 1 << 7;

const RARE_GAP: u8 = 1;
const RARE_REGARDING: u8 = 2;
const RARE_REGARDING_NONE: u8 = 4;
const RARE_BASE: u8 = 8;

/// Whether the bytes are a mark's.
pub(crate) fn is_mark(bytes: &[u8]) -> bool {
    bytes.first() == Some(&MARK)
}

/// Begins a mark's bytes.
pub(crate) fn begin_mark(out: &mut Vec<u8>, recorded_at: Timestamp, day_start: Timestamp) {
    out.push(MARK);
    out.push(time_unit(recorded_at, day_start));
    put_time(out, recorded_at, day_start);
}

/// Time of a mark; the rest of its bytes is left.
pub(crate) fn take_mark(input: &mut &[u8], day_start: Timestamp) -> Option<Timestamp> {
    let start = take_bytes(input, 2)?;
    take_time(input, *start.get(1)?, day_start)
}

impl Facts {
    /// Appends the header.
    pub(crate) fn put(&self, out: &mut Vec<u8>, day_start: Timestamp) {
        let rare = self.rare();
        let unit = if self.base_seq.is_some() { 0 } else { time_unit(self.recorded_at, day_start) };
        out.push(self.verb as u8 | (self.origin as u8) << 2 | coding_number(self.coding) << 4);
        let mut flags = unit;
        for (set, flag) in [
            (self.event_time.is_some(), EVENT_TIME),
            (self.generation.is_some(), GENERATION),
            (self.manager.is_some(), MANAGER),
            (self.literal, LITERAL),
            (matches!(self.resource_version, Version::Text(_)), TEXT_VERSION),
            (rare != 0, RARE),
        ] {
            flags |= if set { flag } else { 0 };
        }
        out.push(flags);
        put(out, u64::from(self.class));
        if let Some(manager) = self.manager {
            put(out, u64::from(manager));
        }
        if rare != 0 {
            out.push(rare);
        }
        match self.base_seq {
            Some(_) => put_instant(out, self.recorded_at),
            None => put_time(out, self.recorded_at, day_start),
        }
        match &self.resource_version {
            Version::Number(number) => put(out, *number),
            Version::Text(text) => put_text(out, text),
        }
        if let Some(time) = self.event_time {
            put_near(out, time, self.recorded_at);
        }
        if let Some(generation) = self.generation {
            put_signed(out, generation);
        }
        if let Coding::Earlier(value) | Coding::Sibling(value) = self.coding {
            put_signed(out, value);
        }
        if let Coding::Dictionary(generation) = self.coding {
            put(out, u64::from(generation));
        }
        self.put_rare(out);
    }

    fn rare(&self) -> u8 {
        let regarding = match self.regarding {
            Regarding::AsObject => 0,
            Regarding::Other(Some(_)) => RARE_REGARDING,
            Regarding::Other(None) => RARE_REGARDING_NONE,
        };
        regarding | if self.gap.is_some() { RARE_GAP } else { 0 } | if self.base_seq.is_some() { RARE_BASE } else { 0 }
    }

    fn put_rare(&self, out: &mut Vec<u8>) {
        if let Some(gap) = self.gap {
            put_instant(out, gap.from);
            put_instant(out, gap.to);
        }
        if let Regarding::Other(Some(uid)) = &self.regarding {
            put_text(out, uid);
        }
        if let Some(seq) = self.base_seq {
            put(out, seq);
        }
    }

    /// Takes a header off the front.
    pub(crate) fn take(input: &mut &[u8], day_start: Timestamp) -> Option<Self> {
        let start = take_bytes(input, 2)?;
        let (first, flags) = (*start.first()?, *start.get(1)?);
        let has = |flag: u8| flags & flag != 0;
        let class = u32::try_from(take(input)?).ok()?;
        let manager = if has(MANAGER) { Some(u32::try_from(take(input)?).ok()?) } else { None };
        let mut facts = Self {
            class,
            verb: verb(first & 3)?,
            origin: origin(first >> 2 & 3),
            recorded_at: day_start,
            event_time: None,
            generation: None,
            manager,
            gap: None,
            resource_version: Version::Number(0),
            regarding: Regarding::AsObject,
            base_seq: None,
            coding: Coding::Absent,
            literal: has(LITERAL),
        };
        let rare = if has(RARE) { *take_bytes(input, 1)?.first()? } else { 0 };
        facts.recorded_at = if rare & RARE_BASE != 0 { take_instant(input)? } else { take_time(input, flags & 3, day_start)? };
        facts.resource_version = if has(TEXT_VERSION) { Version::Text(take_text(input)?.into()) } else { Version::Number(take(input)?) };
        if has(EVENT_TIME) {
            facts.event_time = Some(take_near(input, facts.recorded_at)?);
        }
        if has(GENERATION) {
            facts.generation = Some(take_signed(input)?);
        }
        facts.coding = take_coding(input, first >> 4)?;
        facts.take_rare(input, rare)?;
        Some(facts)
    }

    fn take_rare(&mut self, input: &mut &[u8], rare: u8) -> Option<()> {
        if rare & RARE_GAP != 0 {
            self.gap = Some(Gap { from: take_instant(input)?, to: take_instant(input)? });
        }
        if rare & RARE_REGARDING != 0 {
            self.regarding = Regarding::Other(Some(take_text(input)?.into()));
        } else if rare & RARE_REGARDING_NONE != 0 {
            self.regarding = Regarding::Other(None);
        }
        if rare & RARE_BASE != 0 {
            self.base_seq = Some(take(input)?);
        }
        Some(())
    }
}

pub(crate) fn verb(code: u8) -> Option<Verb> {
    [Verb::Create, Verb::Update, Verb::Delete].get(usize::from(code)).copied()
}

pub(crate) fn origin(code: u8) -> Origin {
    match code {
        0 => Origin::Watch,
        1 => Origin::Snapshot,
        2 => Origin::Relist,
        _ => Origin::Gap,
    }
}

fn coding_number(coding: Coding) -> u8 {
    match coding {
        Coding::Absent => 0,
        Coding::Alone => 1,
        Coding::Dictionary(_) => 2,
        Coding::Previous => 3,
        Coding::Earlier(_) => 4,
        Coding::Sibling(_) => 5,
        Coding::Same => 6,
    }
}

fn take_coding(input: &mut &[u8], number: u8) -> Option<Coding> {
    Some(match number {
        0 => Coding::Absent,
        1 => Coding::Alone,
        2 => Coding::Dictionary(u32::try_from(take(input)?).ok()?),
        3 => Coding::Previous,
        4 => Coding::Earlier(take_signed(input)?),
        5 => Coding::Sibling(take_signed(input)?),
        6 => Coding::Same,
        _ => return None,
    })
}

/// Nanoseconds since the start of the file's day; a clock of coarser steps is stored in fewer bytes.
fn offset(time: Timestamp, day_start: Timestamp) -> i128 {
    time.as_nanosecond() - day_start.as_nanosecond()
}

/// Units of an offset, the finest first, each with the bytes that hold a day of it.
const UNITS: [(i128, usize); 4] = [(1, 6), (1_000, 5), (1_000_000, 4), (NANOS_A_SECOND, 3)];

fn time_unit(time: Timestamp, day_start: Timestamp) -> u8 {
    let offset = offset(time, day_start);
    UNITS.iter().rposition(|(nanos, _)| offset % nanos == 0).unwrap_or(0) as u8
}

fn put_time(out: &mut Vec<u8>, time: Timestamp, day_start: Timestamp) {
    let (nanos, width) = UNITS[usize::from(time_unit(time, day_start))];
    let value = (offset(time, day_start) / nanos) as u64;
    out.extend(value.to_le_bytes().into_iter().take(width));
}

fn take_time(input: &mut &[u8], unit: u8, day_start: Timestamp) -> Option<Timestamp> {
    let (nanos, width) = *UNITS.get(usize::from(unit))?;
    let value = take_bytes(input, width)?.iter().rev().fold(0_i128, |value, byte| value << 8 | i128::from(*byte));
    Timestamp::from_nanosecond(day_start.as_nanosecond() + value * nanos).ok()
}

/// Any time at all, apart from days.
pub(crate) fn put_instant(out: &mut Vec<u8>, time: Timestamp) {
    let nanos = time.as_nanosecond();
    put_signed(out, nanos.div_euclid(NANOS_A_SECOND) as i64);
    put(out, nanos.rem_euclid(NANOS_A_SECOND) as u64);
}

pub(crate) fn take_instant(input: &mut &[u8]) -> Option<Timestamp> {
    let seconds = i128::from(take_signed(input)?);
    let nanos = i128::from(take(input)?);
    Timestamp::from_nanosecond(seconds.checked_mul(NANOS_A_SECOND)?.checked_add(nanos)?).ok()
}

/// A time close to another one: whole seconds between them, doubled, with one more when a fraction follows.
pub(crate) fn put_near(out: &mut Vec<u8>, time: Timestamp, near: Timestamp) {
    let (time, near) = (time.as_nanosecond(), near.as_nanosecond());
    let seconds = time.div_euclid(NANOS_A_SECOND) - near.div_euclid(NANOS_A_SECOND);
    let fraction = time.rem_euclid(NANOS_A_SECOND) as u64;
    put(out, zigzag(seconds as i64) << 1 | u64::from(fraction != 0));
    if fraction != 0 {
        put(out, fraction);
    }
}

pub(crate) fn take_near(input: &mut &[u8], near: Timestamp) -> Option<Timestamp> {
    let coded = take(input)?;
    let seconds = near.as_nanosecond().div_euclid(NANOS_A_SECOND) + i128::from(unzigzag(coded >> 1));
    let fraction = if coded & 1 == 1 { take(input)? } else { 0 };
    Timestamp::from_nanosecond(seconds.checked_mul(NANOS_A_SECOND)?.checked_add(i128::from(fraction))?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn start() -> Timestamp {
        "2026-11-21T00:00:00Z".parse().unwrap()
    }

    fn instants() -> impl Strategy<Value = Timestamp> {
        prop_oneof![
            (0..86_400_000_000_000_i64).prop_map(|nanos| Timestamp::from_nanosecond(start().as_nanosecond() + i128::from(nanos)).unwrap()),
            (0..86_400_i64).prop_map(|second| Timestamp::from_second(start().as_second() + second).unwrap()),
            (-62_000_000_000_i64..200_000_000_000).prop_map(|second| Timestamp::from_second(second).unwrap()),
        ]
    }

    fn today() -> impl Strategy<Value = Timestamp> {
        (0..86_400_000_000_i64, prop_oneof![Just(1_i128), Just(1_000), Just(1_000_000)]).prop_map(|(value, unit)| {
            Timestamp::from_nanosecond(start().as_nanosecond() + i128::from(value) * 1_000 / unit * unit).unwrap()
        })
    }

    fn codings() -> impl Strategy<Value = Coding> {
        prop_oneof![
            Just(Coding::Absent),
            Just(Coding::Alone),
            Just(Coding::Previous),
            Just(Coding::Same),
            any::<u32>().prop_map(Coding::Dictionary),
            any::<i64>().prop_map(Coding::Earlier),
            any::<i64>().prop_map(Coding::Sibling),
        ]
    }

    fn facts() -> impl Strategy<Value = Facts> {
        let regarding =
            prop_oneof![Just(Regarding::AsObject), Just(Regarding::Other(None)), ".*".prop_map(|uid| Regarding::Other(Some(uid.into()))),];
        let near = (any::<u32>(), 0_u8..3, 0_u8..4, today(), prop::option::of(instants()), prop::option::of(any::<i64>()));
        let far = (
            prop::option::of(any::<u32>()),
            prop::option::of((instants(), instants())),
            ".*",
            regarding,
            prop::option::of(any::<u64>()),
            codings(),
            any::<bool>(),
        );
        (near, far).prop_map(|(near, far)| Facts {
            class: near.0,
            verb: verb(near.1).unwrap(),
            origin: origin(near.2),
            recorded_at: near.3,
            event_time: near.4,
            generation: near.5,
            manager: far.0,
            gap: far.1.map(|(from, to)| Gap { from, to }),
            resource_version: Version::parse(&far.2),
            regarding: far.3,
            base_seq: far.4,
            coding: far.5,
            literal: far.6,
        })
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(facts in facts()) {
            let mut bytes = Vec::new();
            facts.put(&mut bytes, start());
            let mut rest = &bytes[..];
            prop_assert_eq!(Facts::take(&mut rest, start()), Some(facts));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn refuses_or_reads_any_bytes_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            drop(Facts::take(&mut &bytes[..], start()));
            let _ = take_mark(&mut &bytes[..], start());
        }
    }

    #[test]
    fn an_ordinary_update_takes_fifteen_bytes() {
        let now: Timestamp = "2026-11-21T10:30:00.123456789Z".parse().unwrap();
        let facts = Facts {
            class: 7,
            verb: Verb::Update,
            origin: Origin::Watch,
            recorded_at: now,
            event_time: Some("2026-11-21T10:30:00Z".parse().unwrap()),
            generation: Some(3),
            manager: Some(2),
            gap: None,
            resource_version: Version::parse("1234567"),
            regarding: Regarding::AsObject,
            base_seq: None,
            coding: Coding::Previous,
            literal: false,
        };
        let mut bytes = Vec::new();
        facts.put(&mut bytes, start());
        assert_eq!(bytes.len(), 15);
    }

    #[test]
    fn keeps_versions_that_are_no_numbers() {
        for text in ["", "0", "1", "007", "+5", "18446744073709551616", "abc"] {
            assert_eq!(Version::parse(text).to_string(), text);
        }
    }
}
