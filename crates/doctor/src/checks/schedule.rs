//! Cron schedules: when the next time comes.
//!
//! Pure. Time zones are those in the binary, never those of the machine.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// Days that are looked ahead: the 29th of February comes within eight years.
const DAYS_LIMIT: usize = 8 * 366 + 1;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A schedule of five fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    every: Option<i64>,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Day of month and day of week both narrow: either will do, as cron has it.
    is_either_day: bool,
    /// In which the fields are meant.
    zone: TimeZone,
}

impl Schedule {
    /// Reads five fields, or a word such as `@hourly`. Without a zone, here or before the fields, they are UTC, in which controller managers
    /// run.
    pub(super) fn parse(text: &str, zone: Option<&str>) -> Result<Self, String> {
        let text = text.trim();
        // An older way of naming a time zone.
        let (named, text) = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            Some(rest) => rest.split_once(' ').map_or((Some(rest), ""), |(named, rest)| (Some(named), rest.trim())),
            None => (None, text),
        };
        let zone = zone_of(zone.or(named))?;
        if let Some(every) = text.strip_prefix("@every ") {
            let seconds = every.trim().parse::<jiff::SignedDuration>().map_err(|_| format!("`{every}` is no duration"))?.as_secs();
            return Ok(Self {
                every: Some(seconds.max(1)),
                minutes: 0,
                hours: 0,
                days: 0,
                months: 0,
                weekdays: 0,
                is_either_day: false,
                zone,
            });
        }
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("it has {} fields, and a schedule has five", fields.len()));
        };
        let weekday_bits = field(weekdays, 0, 7, &WEEKDAYS)?;
        Ok(Self {
            every: None,
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: (weekday_bits | (weekday_bits >> 7)) & 0x7f,
            is_either_day: !days.starts_with(['*', '?']) && !weekdays.starts_with(['*', '?']),
            zone,
        })
    }

    /// The first time after `moment`; `None` when none comes.
    pub(super) fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        if let Some(seconds) = self.every {
            return moment.checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
        }
        let start = self.zone.to_datetime(moment);
        let mut date = start.date();
        for _ in 0..DAYS_LIMIT {
            if self.has_day(date)
                && let Some(found) = self.in_day(date, start, moment)
            {
                return Some(found);
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let month = has(self.months, date.month());
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        month && if self.is_either_day { day || weekday } else { day && weekday }
    }

    fn in_day(&self, date: Date, start: DateTime, moment: Timestamp) -> Option<Timestamp> {
        let times = (0..24_i8).filter(|hour| has(self.hours, *hour)).flat_map(|hour| (0..60_i8).map(move |minute| (hour, minute)));
        let times = times.filter(|(_, minute)| has(self.minutes, *minute)).map(|(hour, minute)| date.at(hour, minute, 0, 0));
        times.filter(|time| *time > start).find_map(|time| self.moment_of(time, moment))
    }

    /// The moment after another one at which a clock in the zone shows this time.
    fn moment_of(&self, time: DateTime, after: Timestamp) -> Option<Timestamp> {
        let found = self.zone.to_ambiguous_timestamp(time);
        // Where clocks are put forward there is no such time on that day, and cron starts nothing.
        if matches!(found.offset(), AmbiguousOffset::Gap { .. }) {
            return None;
        }
        [found.earlier(), found.later()].into_iter().flatten().find(|moment| *moment > after)
    }
}

/// The time zone of that name.
fn zone_of(name: Option<&str>) -> Result<TimeZone, String> {
    match name.filter(|name| !name.is_empty()) {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZoneDatabase::bundled().get(name).map_err(|_| format!("the time zone `{name}` is not known")),
    }
}

fn has(bits: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| bits & (1 << number) != 0)
}

/// One field as bits: `*`, `*/5`, `1-5`, `1-20/3`, `mon`, lists of these.
fn field(text: &str, least: u32, most: u32, names: &[&str]) -> Result<u64, String> {
    let number = |word: &str| -> Result<u32, String> {
        let by_name = names.iter().position(|name| word.eq_ignore_ascii_case(name)).and_then(|index| u32::try_from(index).ok());
        // Names of months count from one, those of days from zero.
        let by_name = by_name.map(|index| if names.len() == MONTHS.len() { index + 1 } else { index });
        let number = by_name.or_else(|| word.parse().ok()).filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("`{word}` is not within {least}-{most}"))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                (range, step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(|| format!("`{step}` is no step"))?)
            }
            None => (part, 1),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (least, most),
            (_, Some((from, to))) => (number(from)?, number(to)?),
            (one, None) if part.contains('/') => (number(one)?, most),
            (one, None) => (number(one)?, number(one)?),
        };
        let mut here = from;
        while here <= to {
            bits |= 1_u64 << here;
            here = here.saturating_add(step);
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: &str, after: &str, expected: &str) {
        check_in(None, schedule, after, expected);
    }

    fn check_in(zone: Option<&str>, schedule: &str, after: &str, expected: &str) {
        let schedule = Schedule::parse(schedule, zone).expect("schedule");
        let found = schedule.after(after.parse().expect("time")).map(|time| time.to_string());
        assert_eq!(found.as_deref(), Some(expected), "{schedule:?}");
    }

    #[test]
    fn finds_the_next_time_of_every_form() {
        check("*/15 * * * *", "2026-03-02T09:00:00Z", "2026-03-02T09:15:00Z");
        check("0 3 * * *", "2026-03-02T09:00:00Z", "2026-03-03T03:00:00Z");
        check("30 2 * * mon-fri", "2026-03-06T09:00:00Z", "2026-03-09T02:30:00Z");
        check("0 0 1 jan *", "2026-03-02T09:00:00Z", "2027-01-01T00:00:00Z");
        check("0 0 13 * 5", "2026-03-02T09:00:00Z", "2026-03-06T00:00:00Z");
        check("0 0 29 2 *", "2026-03-02T09:00:00Z", "2028-02-29T00:00:00Z");
        check("0 0 * * 7", "2026-03-02T09:00:00Z", "2026-03-08T00:00:00Z");
        check("5/4294967295 * * * *", "2026-03-02T09:00:00Z", "2026-03-02T09:05:00Z");
        check("@hourly", "2026-03-02T09:59:59Z", "2026-03-02T10:00:00Z");
        check("@every 90s", "2026-03-02T09:00:00Z", "2026-03-02T09:01:30Z");
    }

    #[test]
    fn means_the_clock_of_its_zone() {
        let (angeles, berlin) = (Some("America/Los_Angeles"), Some("Europe/Berlin"));
        check_in(angeles, "*/10 8-18 * * 1-5", "2026-03-03T02:50:00Z", "2026-03-03T16:00:00Z");
        check("CRON_TZ=America/Los_Angeles */10 8-18 * * 1-5", "2026-03-03T02:50:00Z", "2026-03-03T16:00:00Z");
        check("TZ=Europe/Berlin 0 3 * * *", "2026-07-01T09:00:00Z", "2026-07-02T01:00:00Z");
        // Clocks are put forward from two to three, and back from three to two.
        check_in(berlin, "30 2 * * *", "2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z");
        check_in(berlin, "30 2 * * *", "2026-10-24T09:00:00Z", "2026-10-25T00:30:00Z");
        check_in(berlin, "*/30 * * * *", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z");
    }

    #[test]
    fn refuses_what_is_no_schedule() {
        for text in ["", "* * * *", "61 * * * *", "*/0 * * * *", "a b c d e", "5-90 * * * *"] {
            assert!(Schedule::parse(text, None).is_err(), "{text}");
        }
        assert!(Schedule::parse("* * * * *", Some("Atlantis/Capital")).is_err());
    }
}
