//! Reads the bullet list into which Cluster API folds a cluster's conditions, and which k0rdent copies into a ClusterDeployment.
//!
//! The grammar is that of Cluster API's `summaryMessage`: lines `* Type: message`, nested lines indented; conditions that are well are left
//! out unless all are. k0rdent joins its own sentences before and behind with `. `, so a bullet need not stand at the start of a line.

use super::facts::{Condition, Facts, Status};

/// Condition types that the summary may speak of, in its order.
pub(super) const SUMMARY_TYPES: [&str; 8] = [
    "InfrastructureReady",
    "ControlPlaneInitialized",
    "ControlPlaneAvailable",
    "ControlPlaneMachinesReady",
    "WorkersAvailable",
    "WorkerMachinesReady",
    "RemoteConnectionProbe",
    "Deleting",
];

/// One bullet: a condition that is not well, with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bullet {
    /// One of `SUMMARY_TYPES`.
    pub(super) condition: &'static str,
    /// Its message, nested lines included.
    pub(super) message: String,
}

/// The bullets of a message, in order. A text without any gives an empty list.
pub(super) fn bullets(message: &str) -> Vec<Bullet> {
    let mut starts: Vec<(usize, usize, &'static str)> = Vec::new();
    for condition in SUMMARY_TYPES {
        let mark = format!("* {condition}:");
        let mut from = 0;
        // Ends because `from` grows with every hit.
        while let Some(found) = message.get(from..).and_then(|rest| rest.find(&mark)) {
            let at = from + found;
            from = at + mark.len();
            let before = message.get(..at).unwrap_or_default();
            let top_level = before.is_empty() || before.ends_with('\n') || before.ends_with(". ");
            if top_level {
                starts.push((at, from, condition));
            }
        }
    }
    starts.sort_unstable();
    let ends = starts.iter().skip(1).map(|(at, _, _)| *at).chain([message.len()]).collect::<Vec<_>>();
    starts
        .iter()
        .zip(ends)
        .map(|((_, from, condition), end)| Bullet {
            condition,
            message: message.get(*from..end).unwrap_or_default().trim().trim_end_matches(". ").to_owned(),
        })
        .collect()
}

/// What a ClusterDeployment says of its Cluster.
pub(super) struct Summary<'a> {
    pub(super) condition: Option<&'a Condition>,
    bullets: Vec<Bullet>,
    pub(super) is_reported: bool,
}

impl<'a> Summary<'a> {
    /// The summary condition; before it existed, and in older dialects, the list stood in `Ready`.
    pub(super) fn of(deployment: Option<&'a Facts>) -> Self {
        let condition = deployment.and_then(|deployment| deployment.condition("CAPIClusterSummary"));
        let from = condition.or_else(|| deployment?.condition("Ready"));
        let bullets = from.map(|from| bullets(&from.message)).unwrap_or_default();
        let is_missing = condition.is_some_and(|condition| condition.reason == "CAPIClusterMissing");
        let is_reported = (condition.is_some() && !is_missing) || !bullets.is_empty();
        Self { condition, bullets, is_reported }
    }

    /// The bullets.
    pub(super) fn bullets(&self) -> &[Bullet] {
        &self.bullets
    }

    pub(super) fn bullet(&self, kind: &str) -> Option<&Bullet> {
        self.bullets.iter().find(|bullet| bullet.condition == kind)
    }

    /// A bullet means not yet; none, while others are there, means well: the list leaves out what is well.
    pub(super) fn says(&self, kind: &str) -> Option<bool> {
        if self.condition.is_some_and(|condition| condition.status == Status::True) {
            return Some(true);
        }
        // Nothing can be available before there was a first control plane; some dialects leave it out of the list until then.
        let rests_on = matches!(kind, "ControlPlaneAvailable" | "WorkersAvailable") && self.bullet("ControlPlaneInitialized").is_some();
        let is_listed = self.bullet(kind).is_some();
        (!self.bullets.is_empty() && (is_listed || !rests_on)).then_some(!is_listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &[(&str, &str)]) {
        let found = bullets(message);
        let found: Vec<(&str, &str)> = found.iter().map(|bullet| (bullet.condition, bullet.message.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn reads_a_list() {
        check(
            "* InfrastructureReady: group creating or updating\n* ControlPlaneInitialized: Control plane not yet initialized",
            &[("InfrastructureReady", "group creating or updating"), ("ControlPlaneInitialized", "Control plane not yet initialized")],
        );
    }

    #[test]
    fn leaves_nested_lines_with_their_bullet() {
        check(
            "* ControlPlaneMachinesReady:\n  * Machine x-cp-0:\n    * InfrastructureReady: VM creating\n* WorkersAvailable: none",
            &[("ControlPlaneMachinesReady", "* Machine x-cp-0:\n    * InfrastructureReady: VM creating"), ("WorkersAvailable", "none")],
        );
    }

    #[test]
    fn finds_bullets_behind_a_sentence() {
        check(
            "Cluster is not ready. Check the provider logs for more details.\n* WorkersAvailable: a. 0/1 Services are ready.",
            &[("WorkersAvailable", "a. 0/1 Services are ready.")],
        );
        check("0/1 Services are ready. * InfrastructureReady: b", &[("InfrastructureReady", "b")]);
    }

    #[test]
    fn finds_nothing_in_other_texts() {
        check("Object is ready", &[]);
        check("", &[]);
    }
}
