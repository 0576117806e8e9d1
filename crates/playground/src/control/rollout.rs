//! The arithmetic of a rollout: how many pods the new and the old replica sets should have next. Pure numbers.

use serde_json::Value;

use crate::tree;

/// What a deployment allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) desired: i64,
    /// Pods that may be there beyond the desired ones.
    pub(super) surge: i64,
    /// Desired pods that may be missing.
    pub(super) unavailable: i64,
    /// All old pods go before a new one comes.
    pub(super) recreate: bool,
}

/// Pods of one replica set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetCounts {
    pub(super) desired: i64,
    pub(super) actual: i64,
    pub(super) available: i64,
}

/// Replicas that each set should have next, old ones in the order they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) new: i64,
    pub(super) old: Vec<i64>,
}

impl Budget {
    /// Reads the strategy of a deployment.
    pub(super) fn of(deployment: &Value) -> Self {
        let desired = tree::number(deployment, "/spec/replicas").unwrap_or(1);
        let recreate = tree::text(deployment, "/spec/strategy/type") == "Recreate";
        if recreate {
            return Self { desired, surge: 0, unavailable: 0, recreate };
        }
        let surge = share(deployment.pointer("/spec/strategy/rollingUpdate/maxSurge"), desired, true);
        let unavailable = share(deployment.pointer("/spec/strategy/rollingUpdate/maxUnavailable"), desired, false);
        // Both zero would never move.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable.min(desired) };
        Self { desired, surge, unavailable, recreate }
    }
}

/// A number, or a percentage of the desired ones; 25 % where nothing is said.
fn share(value: Option<&Value>, desired: i64, up: bool) -> i64 {
    let percent = |percent: i64| if up { (desired * percent + 99) / 100 } else { desired * percent / 100 };
    match value {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => text.trim_end_matches('%').parse().map_or(0, percent),
        _ => percent(25),
    }
}

/// The next step of a rollout.
pub(super) fn plan(budget: &Budget, new: SetCounts, old: &[SetCounts]) -> Plan {
    let old_desired: i64 = old.iter().map(|set| set.desired).sum();
    if budget.recreate {
        let gone = old.iter().all(|set| set.actual == 0 && set.desired == 0);
        return Plan { new: if gone { budget.desired } else { new.desired }, old: vec![0; old.len()] };
    }
    if old_desired == 0 {
        return Plan { new: budget.desired, old: vec![0; old.len()] };
    }
    let most = budget.desired + budget.surge;
    let total = new.desired + old_desired;
    let grown = if new.desired > budget.desired {
        budget.desired
    } else if total < most {
        new.desired + (most - total).min(budget.desired - new.desired)
    } else {
        new.desired
    };
    Plan { new: grown, old: shrink(budget, new, old) }
}

/// Old sets shrink as far as availability allows, pods that are not available first.
fn shrink(budget: &Budget, new: SetCounts, old: &[SetCounts]) -> Vec<i64> {
    let minimum = budget.desired - budget.unavailable;
    let new_unavailable = new.desired - new.available;
    let total: i64 = new.desired + old.iter().map(|set| set.desired).sum::<i64>();
    let mut room = total - minimum - new_unavailable;
    let mut wanted: Vec<i64> = old.iter().map(|set| set.desired).collect();
    for (replicas, set) in wanted.iter_mut().zip(old) {
        let unhealthy = (set.desired - set.available).max(0).min(room.max(0));
        *replicas -= unhealthy;
        room -= unhealthy;
    }
    let available = new.available + old.iter().map(|set| set.available).sum::<i64>();
    let mut spare = (available - minimum).max(0).min(room.max(0));
    for replicas in &mut wanted {
        let less = spare.min(*replicas);
        *replicas -= less;
        spare -= less;
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(desired: i64, available: i64) -> SetCounts {
        SetCounts { desired, actual: desired, available }
    }

    #[test]
    fn never_falls_below_the_available_minimum_while_new_pods_fail() {
        let budget = Budget { desired: 4, surge: 1, unavailable: 1, recreate: false };
        let first = plan(&budget, set(0, 0), &[set(4, 4)]);
        assert_eq!(first, Plan { new: 1, old: vec![3] });
        let stuck = plan(&budget, set(2, 0), &[set(3, 3)]);
        assert_eq!(stuck, Plan { new: 2, old: vec![3] });
    }

    #[test]
    fn moves_on_as_new_pods_become_available() {
        let budget = Budget { desired: 4, surge: 1, unavailable: 1, recreate: false };
        assert_eq!(plan(&budget, set(2, 2), &[set(3, 3)]), Plan { new: 2, old: vec![1] });
        assert_eq!(plan(&budget, set(4, 3), &[set(1, 1)]), Plan { new: 4, old: vec![0] });
    }

    #[test]
    fn recreates_only_after_the_last_old_pod_is_gone() {
        let budget = Budget { desired: 2, surge: 0, unavailable: 0, recreate: true };
        assert_eq!(plan(&budget, set(0, 0), &[set(2, 2)]), Plan { new: 0, old: vec![0] });
        assert_eq!(plan(&budget, set(0, 0), &[set(0, 0)]), Plan { new: 2, old: vec![0] });
    }
}
