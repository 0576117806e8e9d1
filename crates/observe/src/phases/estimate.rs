//! How long it will still take, from what earlier deployments of the same template took.
//!
//! Learning is counting: the table comes in as an argument, and what a finished deployment took goes out as an effect. Nothing is said on
//! fewer than `SAMPLES_MIN` deployments.

use serde::{Deserialize, Serialize};

use super::progress::Phase;

/// Deployments behind a median before it is told: below this one outlier is the median.
pub const SAMPLES_MIN: u32 = 3;
/// The phases that take time, in order.
pub(super) const TIMED_PHASES: [Phase; 5] =
    [Phase::Initializing, Phase::Provisioning, Phase::Bootstrapping, Phase::Scaling, Phase::Installing];

/// What a phase usually takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Median {
    /// Provider, as in the metadata.
    pub provider: String,
    /// Template; `""` for every template of the provider.
    pub template: String,
    /// Phase.
    pub phase: Phase,
    /// Seconds.
    pub seconds: u64,
    /// Deployments behind it.
    pub samples: u32,
}

/// What a finished deployment took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lesson {
    /// Provider.
    pub provider: String,
    /// Template.
    pub template: String,
    /// Seconds in each phase that it passed through.
    pub seconds: Vec<(Phase, u64)>,
}

/// Medians of lessons: by template, and by provider over all its templates.
pub fn medians(lessons: &[Lesson]) -> Vec<Median> {
    let mut taken: std::collections::BTreeMap<(String, String, Phase), Vec<u64>> = std::collections::BTreeMap::new();
    for lesson in lessons {
        for (phase, seconds) in &lesson.seconds {
            let all = if lesson.template.is_empty() { None } else { Some("") };
            for template in [lesson.template.as_str()].into_iter().chain(all) {
                taken.entry((lesson.provider.clone(), template.to_owned(), *phase)).or_default().push(*seconds);
            }
        }
    }
    taken
        .into_iter()
        .map(|((provider, template, phase), mut times)| {
            times.sort_unstable();
            let seconds = times.get((times.len().saturating_sub(1)) / 2).copied().unwrap_or_default();
            Median { provider, template, phase, seconds, samples: u32::try_from(times.len()).unwrap_or(u32::MAX) }
        })
        .collect()
}

/// Where a deployment is in time.
pub(super) struct Position<'a> {
    pub(super) provider: &'a str,
    pub(super) template: &'a str,
    pub(super) phase: Phase,
    pub(super) permille: u32,
    pub(super) seconds_in_phase: u64,
    pub(super) has_services: bool,
}

/// Seconds that are left, if enough has been learned.
pub(super) fn remaining(table: &[Median], position: &Position<'_>) -> Option<u64> {
    let at = TIMED_PHASES.iter().position(|phase| *phase == position.phase)?;
    let mut left = 0;
    for phase in TIMED_PHASES.iter().skip(at) {
        if *phase == Phase::Installing && !position.has_services {
            continue;
        }
        let usual = median(table, position, *phase)?;
        left += if *phase == position.phase { in_phase(usual, position) } else { usual };
    }
    Some(left)
}

/// By the clock and by what is done, whichever leaves more: a phase that is half done after its usual time is not nearly over.
fn in_phase(usual: u64, position: &Position<'_>) -> u64 {
    let by_clock = usual.saturating_sub(position.seconds_in_phase);
    let by_work = if position.permille == 0 { 0 } else { usual * u64::from(1000 - position.permille.min(1000)) / 2000 };
    by_clock.max(by_work)
}

fn median(table: &[Median], position: &Position<'_>, phase: Phase) -> Option<u64> {
    let of = |template: &str| {
        table.iter().find(|median| {
            median.provider == position.provider && median.template == template && median.phase == phase && median.samples >= SAMPLES_MIN
        })
    };
    of(position.template).or_else(|| of("")).map(|median| median.seconds)
}

/// Seconds as a person says them: `about 6 min left`.
pub(super) fn in_words(seconds: u64) -> String {
    format!("about {} min left", seconds.div_ceil(60).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(provisioning: u64) -> Lesson {
        let seconds = vec![(Phase::Provisioning, provisioning), (Phase::Bootstrapping, 60), (Phase::Scaling, 120)];
        Lesson { provider: "azure".to_owned(), template: "azure-standalone-cp-1-0-0".to_owned(), seconds }
    }

    fn position(template: &str) -> Position<'_> {
        Position { provider: "azure", template, phase: Phase::Provisioning, permille: 0, seconds_in_phase: 60, has_services: false }
    }

    #[test]
    fn adds_what_is_left_of_this_phase_and_the_later_ones() {
        let table = medians(&[lesson(240), lesson(200), lesson(900)]);
        assert_eq!(remaining(&table, &position("azure-standalone-cp-1-0-0")), Some(180 + 60 + 120));
        assert_eq!(in_words(360), "about 6 min left");
    }

    #[test]
    fn says_nothing_on_two_deployments() {
        let table = medians(&[lesson(240), lesson(200)]);
        assert_eq!(remaining(&table, &position("azure-standalone-cp-1-0-0")), None);
    }

    #[test]
    fn asks_the_provider_when_the_template_is_new() {
        let table = medians(&[lesson(240), lesson(200), lesson(900)]);
        assert_eq!(remaining(&table, &position("azure-standalone-cp-2-0-0")), Some(360));
    }
}
