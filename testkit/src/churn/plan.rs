//! Which writes come next: a pure function of the options and their seed.
//!
//! No client, no clock. The same options give the same writes in the same order, whatever the
//! API server answers; a write that is refused (because a definition is not served yet, say) is
//! counted by whoever sends it.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::objects::{self, GROUP};
use super::writes::{Kind, Names, Place, Step, Write};
use super::{ChurnOptions, Population};

// Enough that some come while others go, few enough that discovery stays quick.
const DEFINITIONS_AT_ONCE: usize = 3;
// Every change of one has the API server rebuild its whole schema: more of them would measure that alone.
const DEFINITION_EVERY: Duration = Duration::from_secs(5);
// A definition is served within a second or two; resources of it are not asked for before.
const DEFINITION_SETTLES_IN: Duration = Duration::from_secs(3);
// What was deleted comes back under its name this many steps later.
const BACK_AFTER_STEPS: u64 = 5;
// How many Events are still counted up, as a recorder's own cache would.
const EVENTS_REMEMBERED: usize = 64;

// How often each comes beside the others: mostly statuses, as in a cluster at work.
const MIX: [(Kind, u64); 14] = [
    (Kind::PodStatus, 30),
    (Kind::ConfigMap, 14),
    (Kind::CoreEvent, 12),
    (Kind::PodAgain, 7),
    (Kind::NewEvent, 6),
    (Kind::CountedEvent, 6),
    (Kind::CustomResource, 6),
    (Kind::Secret, 5),
    (Kind::Rollout, 4),
    (Kind::ConfigMapAgain, 4),
    (Kind::Node, 3),
    (Kind::ConfigMapTwice, 3),
    (Kind::Scale, 2),
    (Kind::Definition, 1),
];

/// An Event that may be counted up.
#[derive(Debug, Clone)]
struct Event {
    path: String,
    count: u64,
    is_core: bool,
}

/// A definition that exists, and since which step.
#[derive(Debug, Clone, Copy)]
struct Definition {
    number: u64,
    since: u64,
    resources: u64,
}

/// What has been planned so far.
#[derive(Debug)]
pub(super) struct Plan {
    names: Names,
    options: ChurnOptions,
    random: Random,
    step: u64,
    back: VecDeque<(u64, Step)>,
    definitions: Vec<Definition>,
    next_definition: u64,
    definition_due: u64,
    events: VecDeque<Event>,
}

impl Plan {
    pub(super) fn new(options: ChurnOptions) -> Self {
        Self {
            names: Names(Population::of(&options)),
            random: Random(options.seed),
            options,
            step: 0,
            back: VecDeque::new(),
            definitions: Vec::new(),
            next_definition: 0,
            definition_due: 0,
            events: VecDeque::new(),
        }
    }

    /// The next step; there is always one.
    pub(super) fn next(&mut self) -> Step {
        self.step += 1;
        if self.back.front().is_some_and(|(due, _)| *due <= self.step)
            && let Some((_, step)) = self.back.pop_front()
        {
            return step;
        }
        match self.choose() {
            Kind::PodStatus => self.pod_status(),
            Kind::PodAgain => self.pod_again(),
            kind @ (Kind::ConfigMap | Kind::ConfigMapTwice) => self.config_map(kind),
            Kind::ConfigMapAgain => self.config_map_again(),
            Kind::Secret => self.secret(),
            kind @ (Kind::Rollout | Kind::Scale) => self.deployment(kind),
            kind @ (Kind::CoreEvent | Kind::NewEvent) => self.event(kind),
            Kind::CountedEvent => self.counted_event(),
            Kind::Node => self.node(),
            Kind::Definition => self.definition(),
            Kind::CustomResource => self.custom_resource(),
        }
    }

    fn choose(&mut self) -> Kind {
        let mut drawn = self.random.below(MIX.iter().map(|(_, weight)| weight).sum());
        for (kind, weight) in MIX {
            if drawn < weight {
                return kind;
            }
            drawn -= weight;
        }
        Kind::PodStatus
    }

    fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.random.below(count as u64)).unwrap_or(0)
    }

    fn pod_index(&mut self) -> usize {
        self.index(self.names.0.pods)
    }

    fn pod_status(&mut self) -> Step {
        let index = self.pod_index();
        let pod = self.names.pod(index);
        let restarts = self.random.below(6);
        let status = objects::pod_status(self.step, restarts);
        let write = Write::merge(&format!("{}/status", pod.path), status).by("kubelet");
        Step { kind: Kind::PodStatus, key: pod.path, writes: vec![write] }
    }

    fn pod_again(&mut self) -> Step {
        let index = self.pod_index();
        let pod = self.names.pod(index);
        let mut writes = vec![Write::create(&pod.collection, self.pod_body(index))];
        if self.options.owns_statuses {
            writes.push(Write::merge(&format!("{}/status", pod.path), objects::pod_status(self.step, 0)));
        }
        self.away_and_back(Kind::PodAgain, pod, writes)
    }

    fn pod_body(&self, index: usize) -> Value {
        let Place { name, namespace, .. } = self.names.pod(index);
        objects::pod(&name, &namespace, &self.names.node(index), self.options.pod_bytes)
    }

    fn config_map(&mut self, kind: Kind) -> Step {
        let index = self.index(self.names.0.config_maps);
        let place = self.names.config_map(index);
        let times = if kind == Kind::ConfigMapTwice { 2 } else { 1 };
        let manager = ["argocd-controller", "helm", "kubectl-edit"].get(index % 3).copied().unwrap_or("helm");
        let writes = (0..times)
            .map(|time| {
                let data = objects::config_data(&place.name, self.step * 2 + time);
                Write::merge(&place.path, json!({"data": data})).by(manager)
            })
            .collect();
        Step { kind, key: place.path, writes }
    }

    fn config_map_again(&mut self) -> Step {
        let index = self.index(self.names.0.config_maps);
        let place = self.names.config_map(index);
        let body = objects::config_map(&place.name, &place.namespace, self.step, &self.options.canary);
        let writes = vec![Write::create(&place.collection, body)];
        self.away_and_back(Kind::ConfigMapAgain, place, writes)
    }

    /// Deletes an object now and has `writes` make it again some steps later.
    fn away_and_back(&mut self, kind: Kind, place: Place, writes: Vec<Write>) -> Step {
        let back = Step { kind, key: place.path.clone(), writes };
        self.back.push_back((self.step + BACK_AFTER_STEPS, back));
        Step { kind, writes: vec![Write::delete(&place.path)], key: place.path }
    }

    fn secret(&mut self) -> Step {
        let index = self.index(self.names.0.secrets);
        let place = self.names.secret(index);
        let values = objects::secret_values(index, self.step, &self.options.canary);
        let write = Write::merge(&place.path, json!({"stringData": values})).by("rotator");
        Step { kind: Kind::Secret, key: place.path, writes: vec![write] }
    }

    fn deployment(&mut self, kind: Kind) -> Step {
        let index = self.index(self.names.0.deployments);
        let place = self.names.deployment(index);
        let body = if kind == Kind::Scale {
            json!({"spec": {"replicas": 1 + self.random.below(3)}})
        } else {
            let image = format!("registry.example/shop/web:1.0.{}", self.step);
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
        };
        let write = Write::strategic(&place.path, body).by("kubectl-set");
        Step { kind, key: place.path, writes: vec![write] }
    }

    fn event(&mut self, kind: Kind) -> Step {
        let index = self.pod_index();
        let pod = self.names.pod(index);
        let is_core = kind == Kind::CoreEvent;
        let name = format!("{}.{:x}", pod.name, self.step);
        let (prefix, body) = if is_core {
            ("/api/v1", objects::core_event(&name, &pod.namespace, &pod.name, self.step))
        } else {
            ("/apis/events.k8s.io/v1", objects::new_event(&name, &pod.namespace, &pod.name, self.step))
        };
        let place = Place::new(prefix, "events", &pod.namespace, name);
        let mut write = Write::create(&place.collection, body);
        write.about = Some(pod.path);
        if self.events.len() == EVENTS_REMEMBERED {
            self.events.pop_front();
        }
        self.events.push_back(Event { path: place.path.clone(), count: 1, is_core });
        Step { kind, key: place.path, writes: vec![write] }
    }

    fn counted_event(&mut self) -> Step {
        let index = self.index(self.events.len());
        let Some(event) = self.events.get_mut(index) else {
            return self.event(Kind::CoreEvent);
        };
        event.count += 1;
        let body = if event.is_core {
            json!({"count": event.count, "lastTimestamp": objects::time(self.step)})
        } else {
            json!({"series": {"count": event.count, "lastObservedTime": objects::micro_time(self.step)}})
        };
        let write = Write::merge(&event.path, body);
        Step { kind: Kind::CountedEvent, key: event.path.clone(), writes: vec![write] }
    }

    fn node(&mut self) -> Step {
        let index = self.index(self.names.0.nodes);
        let path = format!("/api/v1/nodes/{}", self.names.node(index));
        let write = if self.random.below(2) == 0 {
            let cordoned = self.random.below(2) == 0;
            Write::strategic(&path, json!({"spec": {"unschedulable": cordoned}})).by("kubectl-cordon")
        } else {
            let condition = json!({
                "type": "KernelDeadlock", "status": if self.random.below(2) == 0 { "True" } else { "False" },
                "reason": "NodeProblem", "message": "as the bench says",
                "lastHeartbeatTime": objects::time(self.step), "lastTransitionTime": objects::time(self.step),
            });
            let body = json!({"status": {"conditions": [condition]}});
            Write::strategic(&format!("{path}/status"), body).by("node-problem-detector")
        };
        Step { kind: Kind::Node, key: path, writes: vec![write] }
    }

    fn definition(&mut self) -> Step {
        if self.step < self.definition_due {
            return self.pod_status();
        }
        self.definition_due = self.step + self.steps_in(DEFINITION_EVERY);
        let collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        if self.definitions.len() < DEFINITIONS_AT_ONCE {
            let number = self.next_definition;
            self.next_definition += 1;
            self.definitions.push(Definition { number, since: self.step, resources: 0 });
            let write = Write::create(collection, objects::definition(number));
            return Step { kind: Kind::Definition, key: collection.to_owned(), writes: vec![write] };
        }
        let oldest = self.definitions.remove(0);
        let path = format!("{collection}/things{}.{GROUP}", oldest.number);
        Step { kind: Kind::Definition, key: collection.to_owned(), writes: vec![Write::delete(&path)] }
    }

    fn custom_resource(&mut self) -> Step {
        let (step, settling) = (self.step, self.steps_in(DEFINITION_SETTLES_IN));
        let is_settled = |definition: &Definition| step - definition.since > settling;
        let settled: Vec<usize> =
            (0..self.definitions.len()).filter(|index| self.definitions.get(*index).is_some_and(is_settled)).collect();
        let index = self.index(settled.len());
        let (names, choice) = (self.names, self.random.below(3));
        let Some(definition) = settled.get(index).and_then(|index| self.definitions.get_mut(*index)) else {
            return self.definition_or_status();
        };
        let namespace = names.namespace(usize::try_from(definition.number).unwrap_or(0));
        let (prefix, resource) = (format!("/apis/{GROUP}/v1"), format!("things{}", definition.number));
        let at = |n: u64| Place::new(&prefix, &resource, &namespace, format!("thing-{n}"));
        let (place, write) = match (choice, definition.resources) {
            (0, _) | (_, 0) => {
                definition.resources += 1;
                let place = at(definition.resources);
                let body = objects::custom_resource(definition.number, &place.name, &namespace, step);
                (place.clone(), Write::create(&place.collection, body))
            }
            (1, newest) => {
                let place = at(newest);
                (place.clone(), Write::merge(&place.path, json!({"spec": {"version": step}})).by("thing-operator"))
            }
            (_, newest) => {
                definition.resources -= 1;
                let place = at(newest);
                (place.clone(), Write::delete(&place.path))
            }
        };
        Step { kind: Kind::CustomResource, key: place.path, writes: vec![write] }
    }

    /// About how many steps fall into `time`; a step with two writes takes longer, which does no harm.
    fn steps_in(&self, time: Duration) -> u64 {
        let steps = self.options.changes_per_second * time.as_secs_f64();
        // A float to integer cast saturates, so a senseless rate gives a senseless wait, not a panic.
        steps.max(0.0) as u64
    }

    /// While there is no settled definition: makes the first one, then does something else.
    fn definition_or_status(&mut self) -> Step {
        if self.definitions.is_empty() { self.definition() } else { self.pod_status() }
    }
}

/// SplitMix64: the same numbers from a seed on every machine and with every version of a crate.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    /// A number below `bound`; 0 if there is none.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;

    use super::*;

    fn steps(seed: u64, count: usize) -> Vec<Step> {
        let mut plan = Plan::new(ChurnOptions { seed, ..ChurnOptions::default() });
        (0..count).map(|_| plan.next()).collect()
    }

    #[test]
    fn plans_the_same_steps_from_the_same_seed_and_others_from_another() {
        assert_eq!(steps(7, 500), steps(7, 500));
        assert_ne!(steps(7, 500), steps(8, 500));
    }

    #[test]
    fn does_everything_of_its_mix() {
        let seen: BTreeSet<Kind> = steps(1, 3000).iter().map(|step| step.kind).collect();
        assert_eq!(seen.len(), MIX.len());
    }

    #[test]
    fn makes_again_under_the_same_name_what_it_deletes() {
        let steps = steps(3, 3000);
        let pods = || steps.iter().filter(|step| step.kind == Kind::PodAgain);
        let gone: Vec<&str> = pods().filter(|s| s.writes[0].method == Method::DELETE).map(|s| s.key.as_str()).collect();
        let made: Vec<&str> = pods().filter(|s| s.writes[0].method == Method::POST).map(|s| s.key.as_str()).collect();
        assert!(!gone.is_empty());
        assert_eq!(gone[..made.len()], made[..]);
        assert!(gone.len() - made.len() < 10, "the rest are still to come");
    }

    #[test]
    fn writes_nothing_outside_the_api() {
        for write in steps(5, 3000).iter().flat_map(|step| &step.writes) {
            assert!(write.path.starts_with("/api"), "{}", write.path);
        }
    }
}
