//! A small cluster that changes: objects of the sizes and habits of real ones, from a seed, on a clock of its own.
//!
//! For tests of the store and for its figures; not a model of Kubernetes. The same seed gives the same records.

#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, reason = "each test takes what it needs")]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, Gap, Mark, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};

/// The cluster of all objects.
pub const CLUSTER: &str = "0d1f7a52-5c0e-4a9e-9f0a-0c6f6f1f7a11";

/// Deterministic random numbers (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit.max(1)
    }

    pub fn uid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff
        )
    }

    fn letters(&mut self, count: usize) -> String {
        const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..count).map(|_| char::from(SAFE[self.below(SAFE.len() as u64) as usize])).collect()
    }

    fn hex(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from_digit(self.below(16) as u32, 16).unwrap()).collect()
    }
}

struct Pod {
    name: String,
    uid: String,
    node: u64,
    born: Timestamp,
    scheduled: Option<Timestamp>,
    started: Option<Timestamp>,
    ip: String,
    container: String,
    restarts: u64,
    phase: u32,
    version: u64,
}

struct App {
    name: String,
    namespace: String,
    deployment: String,
    replica_set: String,
    hash: String,
    revision: u64,
    image: String,
    replicas: u64,
    born: Timestamp,
    set_born: Timestamp,
    pods: Vec<Pod>,
}

/// A cluster under churn.
pub struct Cluster {
    pub dice: Dice,
    pub now: Timestamp,
    /// Mean time between two changes.
    pub pace: SignedDuration,
    version: u64,
    apps: Vec<App>,
    nodes: Vec<(String, String)>,
    ready: std::collections::VecDeque<Record>,
}

fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap()
}

impl Cluster {
    pub fn new(seed: u64, now: Timestamp, apps: usize) -> Self {
        let mut dice = Dice::new(seed);
        let nodes = (0..(apps / 2).max(2)).map(|index| (format!("worker-{index:03}"), dice.uid())).collect();
        let mut cluster =
            Self { dice, now, pace: SignedDuration::from_millis(40), version: 100_000, apps: Vec::new(), nodes, ready: Default::default() };
        for index in 0..apps {
            cluster.add_app(index);
        }
        cluster
    }

    fn add_app(&mut self, index: usize) {
        const NAMES: [&str; 8] = ["checkout", "catalog", "payments", "frontend", "search", "inventory", "mailer", "gateway"];
        let name = format!("{}-{}", NAMES[index % NAMES.len()], index / NAMES.len());
        let app = App {
            namespace: format!("team-{}", index % 7),
            deployment: self.dice.uid(),
            replica_set: self.dice.uid(),
            hash: self.dice.letters(10),
            revision: 1,
            image: format!("registry.example.com/shop/{name}:v1.{}.0", self.dice.below(40)),
            replicas: 2 + self.dice.below(4),
            born: second(self.now),
            set_born: second(self.now),
            pods: Vec::new(),
            name,
        };
        self.apps.push(app);
        let at = self.apps.len() - 1;
        self.deployment(at, Verb::Create);
        self.replica_set(at, Verb::Create);
        for _ in 0..self.apps[at].replicas {
            self.add_pod(at);
        }
    }

    /// The next record.
    pub fn next(&mut self) -> Record {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return record;
            }
            self.step();
        }
    }

    /// So many records.
    pub fn take(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.next()).collect()
    }

    fn step(&mut self) {
        let app = self.dice.below(self.apps.len() as u64) as usize;
        match self.dice.below(100) {
            0..12 => self.add_pod(app),
            12..20 => {
                if self.apps[app].pods.len() > 1 {
                    self.delete_pod(app);
                }
            }
            20..24 => self.rollout(app),
            24..34 => self.node(),
            34..60 => self.advance(app),
            60..85 => self.crash(app),
            85..92 => self.deployment(app, Verb::Update),
            _ => self.replica_set(app, Verb::Update),
        }
    }

    fn tick(&mut self) -> (Timestamp, u64) {
        let nanos = self.pace.as_nanos() as u64;
        let step = nanos / 2 + self.dice.below(nanos.max(1));
        self.now = self.now.saturating_add(SignedDuration::from_nanos(step as i64)).unwrap();
        self.version += 1 + self.dice.below(4);
        (self.now, self.version)
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        of: [&str; 4],
        namespace: &str,
        name: &str,
        uid: &str,
        verb: Verb,
        manager: &str,
        event: Option<Timestamp>,
        generation: Option<i64>,
        regarding: Option<&str>,
        body: String,
    ) {
        let (recorded_at, version) = (self.now, self.version);
        self.ready.push_back(Record::Change(Change {
            seq: Seq(0),
            recorded_at,
            event_time: event,
            verb,
            origin: Origin::Watch,
            gap: None,
            object: ObjectId {
                cluster: CLUSTER.into(),
                group: of[0].into(),
                kind: of[2].into(),
                namespace: namespace.into(),
                name: name.into(),
                uid: uid.into(),
            },
            version: of[1].into(),
            resource: of[3].into(),
            resource_version: version.to_string().into(),
            generation,
            manager: Some(manager.into()),
            regarding: regarding.map(Into::into),
            body: Some(Arc::from(body.into_bytes())),
        }));
    }

    fn add_pod(&mut self, app: usize) {
        let (now, _) = self.tick();
        let name = format!("{}-{}-{}", self.apps[app].name, self.apps[app].hash, self.dice.letters(5));
        let pod = Pod {
            name: name.clone(),
            uid: self.dice.uid(),
            node: self.dice.below(self.nodes.len() as u64),
            born: second(now),
            scheduled: None,
            started: None,
            ip: format!("10.{}.{}.{}", self.dice.below(64), self.dice.below(256), self.dice.below(256)),
            container: self.dice.hex(64),
            restarts: 0,
            phase: 0,
            version: 0,
        };
        self.apps[app].pods.push(pod);
        let at = self.apps[app].pods.len() - 1;
        self.pod(app, at, Verb::Create, "kube-controller-manager");
        let message = format!("Created pod: {name}");
        self.event_on_set(app, "SuccessfulCreate", &message);
    }

    fn advance(&mut self, app: usize) {
        if self.apps[app].pods.is_empty() {
            return self.add_pod(app);
        }
        let at = self.dice.below(self.apps[app].pods.len() as u64) as usize;
        let (now, _) = self.tick();
        let (phase, name) = (self.apps[app].pods[at].phase, self.apps[app].pods[at].name.clone());
        let pod = &mut self.apps[app].pods[at];
        pod.phase += 1;
        match phase {
            0 => pod.scheduled = Some(second(now)),
            2 => pod.started = Some(second(now)),
            _ => {}
        }
        let node = self.nodes[self.apps[app].pods[at].node as usize].0.clone();
        let image = self.apps[app].image.clone();
        let namespace = self.apps[app].namespace.clone();
        self.pod(app, at, Verb::Update, if phase == 0 { "kube-scheduler" } else { "kubelet" });
        match phase {
            0 => self.event(
                app,
                at,
                "Scheduled",
                "Normal",
                &format!("Successfully assigned {namespace}/{name} to {node}"),
                "default-scheduler",
            ),
            1 => self.event(app, at, "Pulled", "Normal", &format!("Container image \"{image}\" already present on machine"), "kubelet"),
            2 => {
                self.event(app, at, "Created", "Normal", "Created container: app", "kubelet");
                self.event(app, at, "Started", "Normal", "Started container app", "kubelet");
            }
            3 => self.deployment(app, Verb::Update),
            _ => {}
        }
    }

    fn crash(&mut self, app: usize) {
        if self.apps[app].pods.is_empty() {
            return;
        }
        let at = self.dice.below(self.apps[app].pods.len() as u64) as usize;
        if self.apps[app].pods[at].phase < 3 {
            return self.advance(app);
        }
        let (now, _) = self.tick();
        let container = self.dice.hex(64);
        let pod = &mut self.apps[app].pods[at];
        pod.restarts += 1;
        pod.started = Some(second(now));
        pod.container = container;
        let restarts = pod.restarts;
        self.pod(app, at, Verb::Update, "kubelet");
        let name = self.apps[app].pods[at].name.clone();
        let message =
            format!("Back-off restarting failed container app in pod {name}_{}({})", self.apps[app].namespace, self.apps[app].pods[at].uid);
        if restarts.is_multiple_of(2) {
            self.event(app, at, "BackOff", "Warning", &message, "kubelet");
        }
    }

    fn delete_pod(&mut self, app: usize) {
        self.tick();
        let at = self.dice.below(self.apps[app].pods.len() as u64) as usize;
        self.event(app, at, "Killing", "Normal", "Stopping container app", "kubelet");
        self.tick();
        self.pod(app, at, Verb::Delete, "kubelet");
        self.apps[app].pods.swap_remove(at);
    }

    fn rollout(&mut self, app: usize) {
        let (now, _) = self.tick();
        let hash = self.dice.letters(10);
        let uid = self.dice.uid();
        let minor = self.dice.below(90);
        let name = self.apps[app].name.clone();
        let it = &mut self.apps[app];
        it.revision += 1;
        it.image = format!("registry.example.com/shop/{name}:v2.{minor}.{}", it.revision);
        (it.hash, it.replica_set, it.set_born) = (hash, uid, second(now));
        self.deployment(app, Verb::Update);
        self.replica_set(app, Verb::Create);
        for _ in 0..2 {
            self.add_pod(app);
        }
        for _ in 0..2 {
            if self.apps[app].pods.len() > 2 {
                self.delete_pod(app);
            }
        }
    }

    fn node(&mut self) {
        let (now, version) = self.tick();
        let index = self.dice.below(self.nodes.len() as u64) as usize;
        let (name, uid) = self.nodes[index].clone();
        let beat = second(now);
        let free = 16_000_000 + self.dice.below(900_000);
        let images: String = (0..12).map(|image| format!(r#"{{"names":["registry.example.com/shop/image-{image}@sha256:{:064x}","registry.example.com/shop/image-{image}:v1.{image}.0"],"sizeBytes":{}}},"#, image * 7919, 10_000_000 + image * 13)).collect();
        let conditions: String = ["MemoryPressure", "DiskPressure", "PIDPressure"].iter().map(|of| format!(r#"{{"lastHeartbeatTime":"{beat}","lastTransitionTime":"2026-11-01T00:00:00Z","message":"kubelet has sufficient resources available","reason":"KubeletHas{of}","status":"False","type":"{of}"}},"#)).collect();
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"annotations":{{"csi.volume.kubernetes.io/nodeid":"{{\"disk.csi\":\"{name}\"}}","node.alpha.kubernetes.io/ttl":"0","volumes.kubernetes.io/controller-managed-attach-detach":"true"}},"creationTimestamp":"2026-11-01T00:00:00Z","labels":{{"beta.kubernetes.io/arch":"amd64","kubernetes.io/hostname":"{name}","kubernetes.io/os":"linux","topology.kubernetes.io/zone":"zone-{}"}},"name":"{name}","resourceVersion":"{version}","uid":"{uid}"}},"spec":{{"podCIDR":"10.{index}.0.0/24","podCIDRs":["10.{index}.0.0/24"]}},"status":{{"addresses":[{{"address":"192.168.0.{index}","type":"InternalIP"}},{{"address":"{name}","type":"Hostname"}}],"allocatable":{{"cpu":"7910m","ephemeral-storage":"47093746742","memory":"{free}Ki","pods":"110"}},"capacity":{{"cpu":"8","ephemeral-storage":"51098420Ki","memory":"32783816Ki","pods":"110"}},"conditions":[{conditions}{{"lastHeartbeatTime":"{beat}","lastTransitionTime":"2026-11-01T00:00:30Z","message":"kubelet is posting ready status","reason":"KubeletReady","status":"True","type":"Ready"}}],"daemonEndpoints":{{"kubeletEndpoint":{{"Port":10250}}}},"images":[{}],"nodeInfo":{{"architecture":"amd64","bootID":"{:016x}","containerRuntimeVersion":"containerd://1.7.27","kernelVersion":"6.8.0-60-generic","kubeletVersion":"v1.34.2","machineID":"{:032x}","operatingSystem":"linux","osImage":"Ubuntu 24.04.2 LTS"}}}}}}"#,
            index % 3,
            images.trim_end_matches(','),
            index * 77,
            index * 1313,
        );
        self.push(["", "v1", "Node", "nodes"], "", &name, &uid, Verb::Update, "kubelet", Some(beat), None, None, body);
    }

    fn deployment(&mut self, app: usize, verb: Verb) {
        let (now, version) = self.tick();
        let it = &self.apps[app];
        let ready = it.pods.iter().filter(|pod| pod.phase > 2).count();
        let (name, namespace, image, born, replicas, revision) =
            (it.name.clone(), it.namespace.clone(), it.image.clone(), it.born, it.replicas, it.revision);
        let uid = it.deployment.clone();
        let template = template(&name, &image);
        let changed = second(now);
        let body = format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"annotations":{{"deployment.kubernetes.io/revision":"{revision}","team":"{namespace}"}},"creationTimestamp":"{born}","generation":{revision},"labels":{{"app.kubernetes.io/name":"{name}","app.kubernetes.io/part-of":"shop"}},"name":"{name}","namespace":"{namespace}","resourceVersion":"{version}","uid":"{uid}"}},"spec":{{"progressDeadlineSeconds":600,"replicas":{replicas},"revisionHistoryLimit":10,"selector":{{"matchLabels":{{"app.kubernetes.io/name":"{name}"}}}},"strategy":{{"rollingUpdate":{{"maxSurge":"25%","maxUnavailable":"25%"}},"type":"RollingUpdate"}},"template":{template}}},"status":{{"availableReplicas":{ready},"conditions":[{{"lastTransitionTime":"{born}","lastUpdateTime":"{changed}","message":"ReplicaSet \"{name}-{}\" has successfully progressed.","reason":"NewReplicaSetAvailable","status":"True","type":"Progressing"}},{{"lastTransitionTime":"{changed}","lastUpdateTime":"{changed}","message":"Deployment has minimum availability.","reason":"MinimumReplicasAvailable","status":"True","type":"Available"}}],"observedGeneration":{revision},"readyReplicas":{ready},"replicas":{replicas},"updatedReplicas":{ready}}}}}"#,
            self.apps[app].hash
        );
        let event = if verb == Verb::Create { born } else { changed };
        self.push(
            ["apps", "v1", "Deployment", "deployments"],
            &namespace,
            &name,
            &uid,
            verb,
            "kube-controller-manager",
            Some(event),
            Some(revision as i64),
            None,
            body,
        );
    }

    fn replica_set(&mut self, app: usize, verb: Verb) {
        let (now, version) = self.tick();
        let it = &self.apps[app];
        let ready = it.pods.iter().filter(|pod| pod.phase > 2).count();
        let (name, namespace, image, born, replicas, revision) =
            (it.name.clone(), it.namespace.clone(), it.image.clone(), it.set_born, it.replicas, it.revision);
        let (uid, owner, hash) = (it.replica_set.clone(), it.deployment.clone(), it.hash.clone());
        let template = template(&name, &image);
        let set = format!("{name}-{hash}");
        let body = format!(
            r#"{{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{{"annotations":{{"deployment.kubernetes.io/desired-replicas":"{replicas}","deployment.kubernetes.io/max-replicas":"{}","deployment.kubernetes.io/revision":"{revision}"}},"creationTimestamp":"{born}","generation":{revision},"labels":{{"app.kubernetes.io/name":"{name}","pod-template-hash":"{hash}"}},"name":"{set}","namespace":"{namespace}","ownerReferences":[{{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"Deployment","name":"{name}","uid":"{owner}"}}],"resourceVersion":"{version}","uid":"{uid}"}},"spec":{{"replicas":{replicas},"selector":{{"matchLabels":{{"app.kubernetes.io/name":"{name}","pod-template-hash":"{hash}"}}}},"template":{template}}},"status":{{"availableReplicas":{ready},"fullyLabeledReplicas":{replicas},"observedGeneration":{revision},"readyReplicas":{ready},"replicas":{replicas}}}}}"#,
            replicas + 1
        );
        let event = if verb == Verb::Create { born } else { second(now) };
        self.push(
            ["apps", "v1", "ReplicaSet", "replicasets"],
            &namespace,
            &set,
            &uid,
            verb,
            "kube-controller-manager",
            Some(event),
            Some(revision as i64),
            None,
            body,
        );
    }

    fn pod(&mut self, app: usize, at: usize, verb: Verb, manager: &str) {
        self.version += 1 + self.dice.below(3);
        let version = self.version;
        let now = second(self.now);
        let it = &self.apps[app];
        let pod = &it.pods[at];
        let node = &self.nodes[pod.node as usize].0;
        let (name, namespace, image) = (&it.name, &it.namespace, &it.image);
        let token: String = pod.uid[..5].into();
        let spec = template_spec(name, image, Some((&token, pod.scheduled.map(|_| node.as_str()))));
        let mut conditions = Vec::new();
        let mut condition = |of: &str, since: Timestamp, status: &str| {
            conditions.push(format!(r#"{{"lastProbeTime":null,"lastTransitionTime":"{since}","status":"{status}","type":"{of}"}}"#))
        };
        if let Some(scheduled) = pod.scheduled {
            condition("PodReadyToStartContainers", pod.started.unwrap_or(scheduled), if pod.started.is_some() { "True" } else { "False" });
            condition("Initialized", scheduled, "True");
            condition("Ready", pod.started.unwrap_or(scheduled), if pod.started.is_some() { "True" } else { "False" });
            condition("ContainersReady", pod.started.unwrap_or(scheduled), if pod.started.is_some() { "True" } else { "False" });
            condition("PodScheduled", scheduled, "True");
        }
        let statuses = match pod.started {
            Some(started) => format!(
                r#"[{{"containerID":"containerd://{}","image":"{image}","imageID":"registry.example.com/shop/{name}@sha256:{:064x}","lastState":{},"name":"app","ready":true,"restartCount":{},"started":true,"state":{{"running":{{"startedAt":"{started}"}}}},"volumeMounts":[{{"mountPath":"/etc/config","name":"config"}},{{"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","name":"kube-api-access-{token}","readOnly":true,"recursiveReadOnly":"Disabled"}}]}}]"#,
                pod.container,
                it.revision * 977,
                if pod.restarts == 0 {
                    "{}".to_owned()
                } else {
                    format!(
                        r#"{{"terminated":{{"containerID":"containerd://{}","exitCode":137,"finishedAt":"{started}","reason":"OOMKilled","startedAt":"{}"}}}}"#,
                        pod.container, pod.born
                    )
                },
                pod.restarts
            ),
            None => "[]".to_owned(),
        };
        let deleted =
            if verb == Verb::Delete { format!(r#""deletionGracePeriodSeconds":30,"deletionTimestamp":"{now}","#) } else { String::new() };
        let status_ip = if pod.phase > 1 {
            format!(
                r#""hostIP":"192.168.0.{}","hostIPs":[{{"ip":"192.168.0.{}"}}],"podIP":"{}","podIPs":[{{"ip":"{}"}}],"#,
                pod.node, pod.node, pod.ip, pod.ip
            )
        } else {
            String::new()
        };
        let started = pod.scheduled.map(|at| format!(r#","startTime":"{at}""#)).unwrap_or_default();
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"annotations":{{"checksum/config":"{:064x}","prometheus.io/port":"8080","prometheus.io/scrape":"true"}},"creationTimestamp":"{}",{deleted}"generateName":"{name}-{}-","labels":{{"app.kubernetes.io/name":"{name}","app.kubernetes.io/part-of":"shop","pod-template-hash":"{}"}},"name":"{}","namespace":"{namespace}","ownerReferences":[{{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"ReplicaSet","name":"{name}-{}","uid":"{}"}}],"resourceVersion":"{version}","uid":"{}"}},"spec":{spec},"status":{{"conditions":[{}],"containerStatuses":{statuses},{status_ip}"phase":"{}","qosClass":"Burstable"{started}}}}}"#,
            it.revision * 31,
            pod.born,
            it.hash,
            it.hash,
            pod.name,
            it.hash,
            it.replica_set,
            pod.uid,
            conditions.join(","),
            if pod.started.is_some() { "Running" } else { "Pending" },
        );
        let (namespace, pod_name, uid) = (namespace.clone(), pod.name.clone(), pod.uid.clone());
        let event = if verb == Verb::Create { pod.born } else { now };
        self.push(["", "v1", "Pod", "pods"], &namespace, &pod_name, &uid, verb, manager, Some(event), None, None, body);
    }

    fn event(&mut self, app: usize, at: usize, reason: &str, of: &str, message: &str, source: &str) {
        let pod = &self.apps[app].pods[at];
        let (name, uid, namespace) = (pod.name.clone(), pod.uid.clone(), self.apps[app].namespace.clone());
        let host = self.nodes[pod.node as usize].0.clone();
        self.regard("Pod", "v1", &namespace, &name, &uid, reason, of, message, source, &host, r#","fieldPath":"spec.containers{app}""#);
    }

    fn event_on_set(&mut self, app: usize, reason: &str, message: &str) {
        let it = &self.apps[app];
        let (name, uid, namespace) = (format!("{}-{}", it.name, it.hash), it.replica_set.clone(), it.namespace.clone());
        self.regard("ReplicaSet", "apps/v1", &namespace, &name, &uid, reason, "Normal", message, "replicaset-controller", "", "");
    }

    #[allow(clippy::too_many_arguments)]
    fn regard(
        &mut self,
        kind: &str,
        api: &str,
        namespace: &str,
        name: &str,
        uid: &str,
        reason: &str,
        of: &str,
        message: &str,
        source: &str,
        host: &str,
        path: &str,
    ) {
        let (now, version) = self.tick();
        let at = second(now);
        let event_uid = self.dice.uid();
        let event_name = format!("{name}.{:016x}", now.as_nanosecond() as u64);
        let host = if host.is_empty() { String::new() } else { format!(r#","host":"{host}""#) };
        let message = message.replace('"', "\\\"");
        let body = format!(
            r#"{{"apiVersion":"v1","count":1,"eventTime":null,"firstTimestamp":"{at}","involvedObject":{{"apiVersion":"{api}"{path},"kind":"{kind}","name":"{name}","namespace":"{namespace}","resourceVersion":"{}","uid":"{uid}"}},"kind":"Event","lastTimestamp":"{at}","message":"{message}","metadata":{{"creationTimestamp":"{at}","name":"{event_name}","namespace":"{namespace}","resourceVersion":"{version}","uid":"{event_uid}"}},"reason":"{reason}","reportingComponent":"{source}","reportingInstance":"","source":{{"component":"{source}"{host}}},"type":"{of}"}}"#,
            version - 2
        );
        self.push(["", "v1", "Event", "events"], namespace, &event_name, &event_uid, Verb::Create, source, Some(at), None, Some(uid), body);
    }
}

fn template(name: &str, image: &str) -> String {
    format!(
        r#"{{"metadata":{{"annotations":{{"prometheus.io/port":"8080","prometheus.io/scrape":"true"}},"labels":{{"app.kubernetes.io/name":"{name}","app.kubernetes.io/part-of":"shop"}}}},"spec":{}}}"#,
        template_spec(name, image, None)
    )
}

fn template_spec(name: &str, image: &str, placed: Option<(&str, Option<&str>)>) -> String {
    let environment: String = ["DATABASE_URL", "CACHE_URL", "LOG_LEVEL", "FEATURES", "REGION", "TRACE_ENDPOINT", "QUEUE", "SHARD"]
        .iter()
        .enumerate()
        .map(|(index, key)| {
            format!(r#"{{"name":"{key}","value":"{name}-{}-{index}.svc.cluster.local:{}"}},"#, key.to_lowercase(), 5000 + index)
        })
        .collect();
    let (mount, volume, node) = match placed {
        Some((token, node)) => (
            format!(r#",{{"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","name":"kube-api-access-{token}","readOnly":true}}"#),
            format!(
                r#",{{"name":"kube-api-access-{token}","projected":{{"defaultMode":420,"sources":[{{"serviceAccountToken":{{"expirationSeconds":3607,"path":"token"}}}},{{"configMap":{{"items":[{{"key":"ca.crt","path":"ca.crt"}}],"name":"kube-root-ca.crt"}}}},{{"downwardAPI":{{"items":[{{"fieldRef":{{"apiVersion":"v1","fieldPath":"metadata.namespace"}},"path":"namespace"}}]}}}}]}}}}"#
            ),
            node.map(|node| format!(r#""nodeName":"{node}","#)).unwrap_or_default(),
        ),
        None => Default::default(),
    };
    format!(
        r#"{{"affinity":{{"podAntiAffinity":{{"preferredDuringSchedulingIgnoredDuringExecution":[{{"podAffinityTerm":{{"labelSelector":{{"matchLabels":{{"app.kubernetes.io/name":"{name}"}}}},"topologyKey":"kubernetes.io/hostname"}},"weight":100}}]}}}},"containers":[{{"env":[{}],"image":"{image}","imagePullPolicy":"IfNotPresent","livenessProbe":{{"failureThreshold":3,"httpGet":{{"path":"/healthz","port":"http","scheme":"HTTP"}},"initialDelaySeconds":10,"periodSeconds":10,"successThreshold":1,"timeoutSeconds":1}},"name":"app","ports":[{{"containerPort":8080,"name":"http","protocol":"TCP"}}],"readinessProbe":{{"failureThreshold":3,"httpGet":{{"path":"/ready","port":"http","scheme":"HTTP"}},"periodSeconds":5,"successThreshold":1,"timeoutSeconds":1}},"resources":{{"limits":{{"memory":"512Mi"}},"requests":{{"cpu":"100m","memory":"256Mi"}}}},"securityContext":{{"allowPrivilegeEscalation":false,"capabilities":{{"drop":["ALL"]}},"readOnlyRootFilesystem":true,"runAsNonRoot":true}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","volumeMounts":[{{"mountPath":"/etc/config","name":"config"}}{mount}]}}],"dnsPolicy":"ClusterFirst","enableServiceLinks":true,{node}"preemptionPolicy":"PreemptLowerPriority","priority":0,"restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{{"fsGroup":2000}},"serviceAccount":"{name}","serviceAccountName":"{name}","terminationGracePeriodSeconds":30,"tolerations":[{{"effect":"NoExecute","key":"node.kubernetes.io/not-ready","operator":"Exists","tolerationSeconds":300}},{{"effect":"NoExecute","key":"node.kubernetes.io/unreachable","operator":"Exists","tolerationSeconds":300}}],"volumes":[{{"configMap":{{"defaultMode":420,"name":"{name}-config"}},"name":"config"}}{volume}]}}"#,
        environment.trim_end_matches(',')
    )
}

/// A mark of the whole cluster.
pub fn mark(at: Timestamp, kind: MarkKind) -> Record {
    Record::Mark(Mark {
        seq: Seq(0),
        recorded_at: at,
        kind,
        scope: WatchScope { cluster: CLUSTER.into(), group: "".into(), resource: "pods".into() },
        reason: "for a test".to_owned(),
        detail: serde_json::json!({"count": 3}),
    })
}

/// A gap of some seconds before a time.
pub fn gap(to: Timestamp) -> Gap {
    Gap { from: to.saturating_sub(SignedDuration::from_secs(9)).unwrap(), to }
}

/// Appends records in batches of 256 as a new writer.
pub fn append_all(journal: &dyn proreus_store::Journal, records: &[Record]) {
    let epoch = journal.begin_epoch().unwrap();
    for chunk in records.chunks(256) {
        journal.append(epoch, &proreus_store::Batch { records: chunk.to_vec(), ..Default::default() }).unwrap();
    }
}

/// Does background work until there is none.
pub fn settle(journal: &proreus_store::SqliteJournal) {
    while journal.tend(std::time::Duration::from_secs(60)).unwrap().more {}
}

/// Records with the positions they get in a journal that begins at `first`.
pub fn numbered(mut records: Vec<Record>, first: u64) -> Vec<Record> {
    for (record, seq) in records.iter_mut().zip(first..) {
        match record {
            Record::Change(change) => change.seq = Seq(seq),
            Record::Mark(mark) => mark.seq = Seq(seq),
        }
    }
    records
}

/// A question for everything, bodies included.
pub fn everything(limit: usize) -> proreus_store::ReadQuery {
    proreus_store::ReadQuery {
        range: proreus_model::SeqRange { first: Seq(0), last: Seq(1 << 52) },
        filter: proreus_model::Filter { marks: true, ..proreus_model::Filter::changes() },
        after: None,
        order: proreus_model::Order::Ascending,
        limit,
        detail: proreus_store::BodyDetail::Body,
    }
}

/// Every record, page by page.
pub fn read_all(journal: &dyn proreus_store::Journal) -> Result<Vec<Record>, proreus_store::StoreError> {
    let mut records = Vec::new();
    let mut query = everything(700);
    loop {
        let page = journal.read(&query)?;
        records.extend(page.records.into_iter().map(|found| found.record));
        if !page.more {
            return Ok(records);
        }
        query.after = records.last().map(Record::seq);
    }
}

/// Copies the files of a directory.
pub fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
