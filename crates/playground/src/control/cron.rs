//! Cron jobs: a job at every minute that the schedule names. Minutes and hours are honoured; the days must all be `*`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::deployments::owner_reference;
use super::{Duty, Message, Step, events::status_of};
use crate::remove::DeleteOptions;
use crate::store::key_of;
use crate::{time, tree};

const COMPONENT: &str = "cronjob-controller";
const MANAGER: &str = "kube-controller-manager";
/// Minutes that are looked through for the next moment: one day, since only minutes and hours count.
const HORIZON_MINUTES: i64 = 24 * 60;

/// One field of a schedule: `*`, `*/5`, `1,2,30`, `5-10`.
fn field_holds(field: &str, value: i64) -> bool {
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap_or(1).max(1)));
        match (range, range.split_once('-')) {
            ("*", _) => value % step == 0,
            (_, Some((from, to))) => {
                let (from, to) = (from.parse().unwrap_or(i64::MAX), to.parse().unwrap_or(i64::MIN));
                value >= from && value <= to && (value - from) % step == 0
            }
            (single, None) => single.parse() == Ok(value),
        }
    })
}

/// The first scheduled minute after a moment.
fn next(schedule: &str, after: Timestamp) -> Option<Timestamp> {
    let mut fields = schedule.split_whitespace();
    let (minute, hour) = (fields.next()?, fields.next()?);
    let first = after.as_second().div_euclid(60) + 1;
    (first..=first + HORIZON_MINUTES)
        .find(|at| field_holds(minute, at.rem_euclid(60)) && field_holds(hour, at.div_euclid(60).rem_euclid(24)))
        .and_then(|at| Timestamp::from_second(at * 60).ok())
}

/// Looks at one cron job.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(cron) = step.get("batch", "cronjobs", key) else { return };
    if cron.is_terminating() {
        return;
    }
    let value = cron.value();
    let since = time::parse(tree::text(value, "/status/lastScheduleTime"))
        .or_else(|| time::parse(tree::text(value, "/metadata/creationTimestamp")))
        .unwrap_or(step.now);
    let schedule = tree::text(value, "/spec/schedule");
    let mut scheduled = None;
    if !tree::flag(value, "/spec/suspend")
        && let Some(due) = next(schedule, since)
    {
        if due <= step.now {
            start(step, value, due);
            scheduled = Some(due);
        }
        if let Some(due) = next(schedule, scheduled.unwrap_or(since)) {
            step.again(due, Duty::CronJob, key);
        }
    }
    let jobs = step.owned(cron.uid(), "batch", "jobs");
    drop_old(step, value, &jobs);
    let mut active = Vec::new();
    let mut last_success: Option<String> = None;
    for job in &jobs {
        match tree::text(job.value(), "/status/completionTime") {
            "" if !tree::items(job.value(), "/status/conditions").iter().any(|condition| tree::text(condition, "/type") == "Failed") => {
                active.push(json!({
                    "apiVersion": "batch/v1", "kind": "Job", "namespace": job.namespace(), "name": job.name(), "uid": job.uid(),
                }));
            }
            "" => {}
            done => last_success = last_success.max(Some(done.to_owned())),
        }
    }
    step.change(status_of("batch", "cronjobs", key), MANAGER, |value| {
        if let Some(at) = scheduled {
            tree::put(value, &["status", "lastScheduleTime"], time::seconds(at));
        }
        if let Some(at) = last_success {
            tree::put(value, &["status", "lastSuccessfulTime"], at);
        }
        if active.is_empty() {
            tree::take(value, &["status", "active"]);
        } else {
            tree::put(value, &["status", "active"], active);
        }
    });
}

fn start(step: &mut Step<'_>, cron: &Value, due: Timestamp) {
    let namespace = tree::text(cron, "/metadata/namespace").to_owned();
    let name = format!("{}-{}", tree::text(cron, "/metadata/name"), due.as_second() / 60);
    let template = cron.pointer("/spec/jobTemplate").cloned().unwrap_or_else(|| json!({}));
    let mut body = json!({"metadata": template.get("metadata").cloned().unwrap_or_else(|| json!({})), "spec": template.get("spec")});
    tree::put(&mut body, &["metadata", "name"], name.clone());
    tree::put(&mut body, &["metadata", "namespace"], namespace.clone());
    tree::put(&mut body, &["metadata", "annotations", "batch.kubernetes.io/cronjob-scheduled-timestamp"], time::seconds(due));
    tree::put(&mut body, &["metadata", "ownerReferences"], json!([owner_reference(cron, "batch/v1", "CronJob")]));
    if step.create("batch", "jobs", &namespace, body, MANAGER).is_ok() {
        step.tell(cron, &Message::normal(COMPONENT, "SuccessfulCreate", format!("Created job {name}")));
    }
}

fn drop_old(step: &mut Step<'_>, cron: &Value, jobs: &[std::sync::Arc<crate::store::Object>]) {
    let keep = tree::number(cron, "/spec/successfulJobsHistoryLimit").unwrap_or(3);
    let mut done: Vec<(String, String)> = jobs
        .iter()
        .filter(|job| !job.is_terminating() && !tree::text(job.value(), "/status/completionTime").is_empty())
        .map(|job| (tree::text(job.value(), "/status/completionTime").to_owned(), key_of(job.namespace(), job.name())))
        .collect();
    done.sort();
    let surplus = done.len().saturating_sub(usize::try_from(keep).unwrap_or(0));
    for (_, key) in done.into_iter().take(surplus) {
        step.delete("batch", "jobs", &key, &DeleteOptions::default());
        let (_, name) = super::split(&key);
        step.tell(cron, &Message::normal(COMPONENT, "SuccessfulDelete", format!("Deleted job {name}")));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn finds_the_next_minute_of_a_schedule() {
        let at = |schedule: &str, text: &str| next(schedule, text.parse().unwrap()).map(|at| at.to_string()).unwrap_or_default();
        assert_eq!(at("*/2 * * * *", "2026-03-02T09:00:00Z"), "2026-03-02T09:02:00Z");
        assert_eq!(at("5,35 * * * *", "2026-03-02T09:05:00Z"), "2026-03-02T09:35:00Z");
        assert_eq!(at("0 3 * * *", "2026-03-02T09:00:30Z"), "2026-03-03T03:00:00Z");
        assert_eq!(at("10-20/5 9 * * *", "2026-03-02T09:11:00Z"), "2026-03-02T09:15:00Z");
    }
}
