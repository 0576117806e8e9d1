//! One simulated container: from pulling its image to its end and its next start. Pure: (state, facts, now) → (state, what is told).

use jiff::Timestamp;

use super::after;

/// First wait of a back-off; every further one doubles. The kubelet's own number.
const BACK_OFF_SECONDS: i64 = 10;
/// Longest wait of a back-off. The kubelet's own number.
const BACK_OFF_LIMIT_SECONDS: i64 = 300;
/// Seconds between the sandbox being made and the pull.
const SANDBOX_SECONDS: i64 = 1;
/// Seconds that a failed pull shows as `ErrImagePull` before it shows as `ImagePullBackOff`.
const PULL_ERROR_SECONDS: i64 = 3;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: i64,
    pub(super) reason: String,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) id: String,
}

/// Where a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Creating { pull_at: Timestamp },
    Pulling { until: Timestamp, since: Timestamp },
    PullFailed { back_off_at: Timestamp, retry_at: Timestamp, attempts: u32, waiting: bool },
    Running { since: Timestamp, ready_at: Timestamp, ends: Option<Timestamp> },
    BackOff { until: Timestamp },
    Done,
}

/// One container of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) phase: Phase,
    pub(super) restarts: i64,
    pub(super) last: Option<Ended>,
    pub(super) crashes: u32,
    pub(super) ready: bool,
    pub(super) started: bool,
    pub(super) pulled: bool,
}

/// A scripted end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) after_seconds: i64,
    pub(super) code: i64,
    pub(super) reason: String,
}

/// What a container does after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restart {
    Always,
    OnFailure,
    Never,
}

/// What is true outside the container.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) image: String,
    pub(super) image_missing: bool,
    /// The image may be taken from the node.
    pub(super) image_present: bool,
    pub(super) pull_seconds: i64,
    pub(super) ready_after_seconds: i64,
    pub(super) unready: bool,
    pub(super) exit: Option<Exit>,
    pub(super) restart: Restart,
    /// Identity of a run: pod uid and container name; the restart count is added.
    pub(super) identity: String,
    /// `web_shop(uid)`, as messages name the pod.
    pub(super) pod: String,
}

/// What the kubelet tells as an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) warning: bool,
    pub(super) reason: &'static str,
    pub(super) text: String,
}

fn normal(reason: &'static str, text: String) -> Told {
    Told { warning: false, reason, text }
}

fn warning(reason: &'static str, text: String) -> Told {
    Told { warning: true, reason, text }
}

/// 64 hex digits that belong to a text.
pub(super) fn digest(text: &str) -> String {
    (0..8).map(|part: u8| format!("{:08x}", crate::ids::fnv32(format!("{part}{text}").as_bytes()))).collect()
}

impl Container {
    /// A container whose pod was just bound.
    pub(super) fn new(name: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            phase: Phase::Creating { pull_at: after(now, SANDBOX_SECONDS) },
            restarts: 0,
            last: None,
            crashes: 0,
            ready: false,
            started: false,
            pulled: false,
        }
    }

    /// Id of the present run.
    pub(super) fn id(&self, facts: &Facts) -> String {
        digest(&format!("{}/{}", facts.identity, self.restarts))
    }

    /// When it is to be looked at next.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Creating { pull_at } => Some(*pull_at),
            Phase::Pulling { until, .. } | Phase::BackOff { until } => Some(*until),
            Phase::PullFailed { back_off_at, retry_at, waiting, .. } => Some(if *waiting { *retry_at } else { *back_off_at }),
            Phase::Running { ready_at, ends, .. } => {
                let ready = (!self.ready).then_some(*ready_at);
                [ready, *ends].into_iter().flatten().min()
            }
            Phase::Done => None,
        }
    }

    /// Does what is due.
    pub(super) fn step(&mut self, facts: &Facts, now: Timestamp) -> Vec<Told> {
        let mut told = Vec::new();
        // One pass goes through at most the whole cycle once.
        for _ in 0..8 {
            if !self.advance(facts, now, &mut told) {
                break;
            }
        }
        told
    }

    fn advance(&mut self, facts: &Facts, now: Timestamp, told: &mut Vec<Told>) -> bool {
        match self.phase.clone() {
            Phase::Creating { pull_at } if pull_at <= now => self.pull(facts, now, told, 0),
            Phase::Pulling { until, since } if until <= now => self.pulled(facts, since, now, told),
            Phase::PullFailed { back_off_at, retry_at, attempts, waiting: false } if back_off_at <= now => {
                told.push(normal("BackOff", format!("Back-off pulling image {:?}", facts.image)));
                told.push(warning("Failed", "Error: ImagePullBackOff".to_owned()));
                self.phase = Phase::PullFailed { back_off_at, retry_at, attempts, waiting: true };
                true
            }
            Phase::PullFailed { retry_at, attempts, waiting: true, .. } if retry_at <= now => self.pull(facts, now, told, attempts),
            Phase::Running { since, ready_at, ends } => self.run(facts, now, since, ready_at, ends),
            Phase::BackOff { until } if until <= now => {
                self.restarts += 1;
                self.start(facts, now, told);
                true
            }
            Phase::Creating { .. } | Phase::Pulling { .. } | Phase::PullFailed { .. } | Phase::BackOff { .. } | Phase::Done => false,
        }
    }

    fn pull(&mut self, facts: &Facts, now: Timestamp, told: &mut Vec<Told>, attempts: u32) -> bool {
        if facts.image_present && !facts.image_missing {
            told.push(normal("Pulled", format!("Container image {:?} already present on machine", facts.image)));
            self.start(facts, now, told);
            return true;
        }
        told.push(normal("Pulling", format!("Pulling image {:?}", facts.image)));
        if facts.image_missing {
            let why = format!("failed to resolve reference {:?}: {}: not found", facts.image, facts.image);
            told.push(warning(
                "Failed",
                format!(
                    "Failed to pull image {:?}: rpc error: code = NotFound desc = failed to pull and unpack image {:?}: {why}",
                    facts.image, facts.image
                ),
            ));
            told.push(warning("Failed", "Error: ErrImagePull".to_owned()));
            let wait = (BACK_OFF_SECONDS << attempts.min(5)).min(BACK_OFF_LIMIT_SECONDS);
            self.phase = Phase::PullFailed {
                back_off_at: after(now, PULL_ERROR_SECONDS),
                retry_at: after(now, PULL_ERROR_SECONDS + wait),
                attempts: attempts + 1,
                waiting: false,
            };
        } else {
            self.phase = Phase::Pulling { until: after(now, facts.pull_seconds), since: now };
        }
        true
    }

    fn pulled(&mut self, facts: &Facts, since: Timestamp, now: Timestamp, told: &mut Vec<Told>) -> bool {
        let took = now.duration_since(since).as_millis();
        let size = 20_000_000 + u64::from(crate::ids::fnv32(facts.image.as_bytes())) % 90_000_000;
        let text = format!(
            "Successfully pulled image {:?} in {}.{:03}s ({}.{:03}s including waiting). Image size: {size} bytes.",
            facts.image,
            took / 1000,
            took % 1000,
            took / 1000,
            took % 1000
        );
        told.push(normal("Pulled", text));
        self.start(facts, now, told);
        true
    }

    fn start(&mut self, facts: &Facts, now: Timestamp, told: &mut Vec<Told>) {
        if self.restarts > 0 {
            told.push(normal("Pulled", format!("Container image {:?} already present on machine", facts.image)));
        }
        self.pulled = true;
        told.push(normal("Created", "Container created".to_owned()));
        told.push(normal("Started", "Container started".to_owned()));
        self.started = true;
        self.phase = Phase::Running { since: now, ready_at: after(now, facts.ready_after_seconds), ends: None };
    }

    fn run(&mut self, facts: &Facts, now: Timestamp, since: Timestamp, ready_at: Timestamp, ends: Option<Timestamp>) -> bool {
        let wanted = facts.exit.as_ref().map(|exit| match after(since, exit.after_seconds) {
            due if due >= now || ends == Some(due) => due,
            // The script came later than the end it asks for: at the next moment, then.
            _ => ends.unwrap_or_else(|| after(now, 1)),
        });
        if wanted != ends {
            self.phase = Phase::Running { since, ready_at, ends: wanted };
            return true;
        }
        if let (Some(end), Some(exit)) = (ends.filter(|end| *end <= now), facts.exit.as_ref()) {
            self.end(facts, exit, since, end);
            return true;
        }
        let ready = ready_at <= now && !facts.unready;
        let changed = ready != self.ready;
        self.ready = ready;
        changed
    }

    fn end(&mut self, facts: &Facts, exit: &Exit, started: Timestamp, finished: Timestamp) {
        let id = self.id(facts);
        self.ready = false;
        self.started = false;
        self.last = Some(Ended { code: exit.code, reason: exit.reason.clone(), started, finished, id });
        let again = match facts.restart {
            Restart::Always => true,
            Restart::OnFailure => exit.code != 0,
            Restart::Never => false,
        };
        if !again {
            self.phase = Phase::Done;
            return;
        }
        // The first restart comes at once, every further one waits twice as long as the one before.
        let wait = match self.crashes {
            0 => 1,
            crashes => (BACK_OFF_SECONDS << (crashes - 1).min(5)).min(BACK_OFF_LIMIT_SECONDS),
        };
        self.crashes += 1;
        self.phase = Phase::BackOff { until: after(finished, wait) };
    }

    /// True while it waits to be restarted and says so.
    pub(super) fn is_crash_looping(&self) -> bool {
        matches!(self.phase, Phase::BackOff { .. }) && self.crashes > 1
    }

    /// The back-off that is shown, in seconds.
    pub(super) fn back_off_seconds(&self) -> i64 {
        (BACK_OFF_SECONDS << self.crashes.saturating_sub(2).min(5)).min(BACK_OFF_LIMIT_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn facts() -> Facts {
        Facts {
            image: "shop/web:1".to_owned(),
            image_missing: false,
            image_present: false,
            pull_seconds: 2,
            ready_after_seconds: 5,
            unready: false,
            exit: None,
            restart: Restart::Always,
            identity: "uid/web".to_owned(),
            pod: "web_shop(uid)".to_owned(),
        }
    }

    /// Moves from due to due and writes down when what was told.
    fn story(facts: &Facts, until: i64) -> String {
        let start: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let mut container = Container::new("web", start);
        let mut out = String::new();
        while let Some(due) = container.due().filter(|due| *due <= after(start, until)) {
            let told: Vec<&str> = container.step(facts, due).iter().map(|told| told.reason).collect();
            let seconds = due.duration_since(start).as_secs();
            out.push_str(&format!("{seconds}: {} ready={} restarts={}\n", told.join(" "), container.ready, container.restarts));
        }
        out
    }

    #[test]
    fn pulls_starts_and_gets_ready() {
        assert_eq!(
            story(&facts(), 60),
            "1: Pulling ready=false restarts=0\n3: Pulled Created Started ready=false restarts=0\n8:  ready=true restarts=0\n"
        );
    }

    #[test]
    fn backs_off_longer_after_every_crash() {
        let exit = Exit { after_seconds: 4, code: 137, reason: "OOMKilled".to_owned() };
        let told = story(&Facts { exit: Some(exit), ready_after_seconds: 1, ..facts() }, 60);
        let starts: Vec<&str> = told.lines().filter(|line| line.contains("Started")).map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(starts, ["3", "8", "22", "46"], "{told}");
    }

    #[test]
    fn retries_a_missing_image_at_doubling_distance() {
        let told = story(&Facts { image_missing: true, ..facts() }, 90);
        let pulls: Vec<&str> = told.lines().filter(|line| line.contains("Pulling")).map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(pulls, ["1", "14", "37", "80"], "{told}");
    }
}
