//! From the evidence of one moment to where a cluster is: stages, fraction, step, services, and whether every source agrees that it is ready.
//!
//! No memory beyond what Events said, and no time: the same evidence gives the same assessment.

use super::facts::{CAPI, FLUX, Facts, K0RDENT, Replicas, SVELTOS, Status};
use super::progress::{ClusterMetadata, Phase, ServiceLine, StateWord};
use super::provider::{self, Step};
use super::summary::Summary;

/// The step of a cluster that is made without workers.
pub(super) const NO_WORKERS: &str = "no workers are asked for";

/// The objects of one target, sorted by what they are.
pub(super) struct Sight<'a> {
    pub(super) deployment: Option<&'a Facts>,
    pub(super) credential: Option<&'a Facts>,
    pub(super) management_region: &'a str,
    pub(super) cluster: Option<&'a Facts>,
    pub(super) infrastructure: Option<&'a Facts>,
    pub(super) control_plane: Option<&'a Facts>,
    pub(super) members: Vec<&'a Facts>,
    pub(super) said: &'a Said,
}

/// What Events said that objects may not say, or say later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) infrastructure_ready: bool,
    pub(super) control_plane_initialized: bool,
    pub(super) step: Step,
    /// Machines that got their Node, by name.
    pub(super) nodes: std::collections::BTreeSet<String>,
}

/// Where a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assessment {
    /// `Initializing` to `Installing`; `Ready` and `Failed` need time and are not said here.
    pub(super) phase: Phase,
    /// Thousandths of the phase.
    pub(super) permille: u32,
    /// What is being done, a few words.
    pub(super) step: String,
    /// `2 of 3`, where there is something to count.
    pub(super) count: Option<(i64, i64)>,
    /// `Err` says what does not agree.
    pub(super) ready: Result<(), String>,
    pub(super) states: Vec<StateWord>,
    pub(super) services: Vec<ServiceLine>,
    pub(super) metadata: ClusterMetadata,
    pub(super) has_services: bool,
    /// Whether Cluster API objects are to be expected at all.
    pub(super) has_machines: bool,
    pub(super) caveat: Option<String>,
}

/// How far the cluster itself is: `None` where nobody has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stages {
    infrastructure: Option<bool>,
    initialized: Option<bool>,
    available: Option<bool>,
    workers: Option<bool>,
}

/// Assesses the evidence.
pub(super) fn assess(sight: &Sight<'_>) -> Assessment {
    let summary = Summary::of(sight.deployment);
    let stages = stages(sight, &summary);
    let has_machines = !is_without_machines(sight);
    let (services, wanted) = services(sight);
    let deployed = deployed(sight, &services);
    let has_services = wanted > 0;
    let exists = sight.cluster.is_some() || summary.is_reported;
    let phase = phase_of(sight, &stages, exists, has_machines, has_services);
    let detail = match phase {
        Phase::Initializing => initializing(sight, has_machines),
        Phase::Provisioning => provisioning(sight, &summary),
        Phase::Bootstrapping => bootstrapping(sight, &stages),
        Phase::Scaling => scaling(sight),
        Phase::Installing | Phase::Ready | Phase::Failed | Phase::Unknown => {
            Detail::counted("services", deployed, i64::try_from(wanted).unwrap_or(i64::MAX))
        }
    };
    Assessment {
        phase,
        permille: detail.permille,
        step: detail.step,
        count: detail.count,
        ready: ready(sight, &summary, &stages, has_machines, (deployed, wanted)),
        states: states(sight),
        services,
        metadata: metadata(sight),
        has_services,
        has_machines,
        caveat: caveat(sight, has_machines),
    }
}

/// How far inside a phase.
struct Detail {
    permille: u32,
    step: String,
    count: Option<(i64, i64)>,
}

impl Detail {
    fn new(permille: u32, step: &str) -> Self {
        Self { permille, step: step.to_owned(), count: None }
    }

    fn counted(step: &str, done: i64, of: i64) -> Self {
        let permille = u32::try_from(done.clamp(0, of.max(0)).saturating_mul(1000) / of.max(1)).unwrap_or(0);
        Self { permille, step: step.to_owned(), count: (of > 0).then_some((done.min(of), of)) }
    }
}

/// Yes when anybody says yes: sources lag behind one another, and a stage once reached is reached.
fn anybody(sources: &[Option<bool>]) -> Option<bool> {
    let known: Vec<bool> = sources.iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.contains(&true))
}

fn stages(sight: &Sight<'_>, summary: &Summary<'_>) -> Stages {
    let cluster = |kind: &str| sight.cluster.and_then(|cluster| cluster.says(kind));
    // Older clusters and the words of other tools put these on the ClusterDeployment itself.
    let own = |kind: &str| sight.deployment.and_then(|deployment| deployment.says(kind));
    let yes = |said: bool| said.then_some(true);
    let network = sight.control_plane.and_then(provider::network_of_control_plane);
    let infrastructure = anybody(&[
        cluster("InfrastructureReady"),
        sight.cluster.and_then(|cluster| cluster.infrastructure_ready),
        summary.says("InfrastructureReady"),
        own("InfrastructureReady"),
        sight.infrastructure.and_then(|infrastructure| infrastructure.ready),
        yes(sight.said.infrastructure_ready),
    ]);
    let infrastructure = if network == Some(false) { Some(false) } else { infrastructure };
    let initialized = anybody(&[
        cluster("ControlPlaneInitialized"),
        sight.cluster.and_then(|cluster| cluster.control_plane_initialized),
        summary.says("ControlPlaneInitialized"),
        own("ControlPlaneInitialized"),
        sight.control_plane.and_then(|control_plane| control_plane.control_plane_initialized),
        yes(sight.said.control_plane_initialized),
    ]);
    let available = anybody(&[
        cluster("ControlPlaneAvailable"),
        cluster("ControlPlaneReady"),
        sight.cluster.and_then(|cluster| cluster.control_plane_ready),
        summary.says("ControlPlaneAvailable"),
        own("ControlPlaneAvailable"),
        sight.control_plane.and_then(|control_plane| control_plane.ready),
    ]);
    let workers = anybody(&[
        cluster("WorkersAvailable"),
        summary.says("WorkersAvailable"),
        own("WorkersAvailable"),
        worker_replicas(sight).and_then(|replicas| Some(replicas.available? >= replicas.desired)),
    ]);
    Stages { infrastructure, initialized, available, workers }
}

/// Workers as the Cluster counts them; else as their sets and pools do.
pub(super) fn worker_replicas(sight: &Sight<'_>) -> Option<Replicas> {
    if let Some(counted) = sight.cluster.and_then(|cluster| cluster.worker_replicas) {
        return Some(counted);
    }
    let sets = sight.members.iter().filter(|facts| facts.is(CAPI, "MachineDeployment") || facts.is(CAPI, "MachinePool"));
    sets.filter_map(|facts| facts.replicas).reduce(|sum, more| Replicas {
        desired: sum.desired.saturating_add(more.desired),
        // One that has not said leaves the sum unsaid: it may be anything.
        available: sum.available.zip(more.available).map(|(sum, more)| sum.saturating_add(more)),
    })
}

/// Adopted clusters are there already; no Cluster API object is ever made for them.
fn is_without_machines(sight: &Sight<'_>) -> bool {
    let Some(deployment) = sight.deployment else { return false };
    let has_sveltos = sight.members.iter().any(|facts| facts.is(SVELTOS, "SveltosCluster"));
    let adopted = provider::of_template(&deployment.deployment.template) == Some("adopted");
    sight.cluster.is_none() && (adopted || has_sveltos)
}

fn phase_of(sight: &Sight<'_>, stages: &Stages, exists: bool, has_machines: bool, has_services: bool) -> Phase {
    let installing = |before: Phase| if has_services { Phase::Installing } else { before };
    if !has_machines {
        let connected = sight.deployment.and_then(|deployment| deployment.says("HelmReleaseReady")) == Some(true);
        return if connected { installing(Phase::Initializing) } else { Phase::Initializing };
    }
    let unborn = sight.deployment.is_none()
        && sight.cluster.is_some_and(|cluster| matches!(cluster.phase.as_str(), "" | "Pending") && cluster.conditions.is_empty())
        && stages.infrastructure != Some(true);
    if !exists && *stages == Stages::default() || unborn {
        return Phase::Initializing;
    }
    if stages.infrastructure != Some(true) {
        return Phase::Provisioning;
    }
    let controlled = match stages.available {
        Some(available) => available,
        None => stages.initialized == Some(true),
    };
    if !controlled {
        return Phase::Bootstrapping;
    }
    if stages.workers == Some(true) { installing(Phase::Scaling) } else { Phase::Scaling }
}

fn initializing(sight: &Sight<'_>, has_machines: bool) -> Detail {
    let Some(deployment) = sight.deployment else { return Detail::new(0, "waiting for the cluster's infrastructure") };
    let says = |kind: &str| deployment.says(kind) == Some(true);
    let is_refused = ["TemplateReady", "HelmChartReady"].iter().any(|kind| deployment.says(kind) == Some(false));
    let credential = says("CredentialReady") || (deployment.deployment.credential.is_empty() && says("TemplateReady"));
    let credential = credential && !is_refused;
    let installed = says("HelmReleaseReady");
    match (credential, installed) {
        (_, true) if has_machines => Detail::new(800, "waiting for the Cluster"),
        (_, true) if says("Ready") => Detail::new(900, "confirming that it stays ready"),
        (_, true) => Detail::new(700, "connecting to the cluster"),
        (true, false) => Detail::new(400, "Helm release"),
        (false, false) => Detail::new(0, "credential validation"),
    }
}

fn provisioning(sight: &Sight<'_>, summary: &Summary<'_>) -> Detail {
    let makers = [sight.infrastructure, sight.control_plane.filter(|facts| facts.id.kind.as_str() == "AWSManagedControlPlane")];
    let mut step = makers.into_iter().flatten().map(provider::by_conditions).fold(sight.said.step.clone(), Step::further);
    let mirrored = sight.cluster.and_then(|cluster| cluster.condition("InfrastructureReady")).map(|condition| condition.message.as_str());
    let copied = summary.bullet("InfrastructureReady").map(|bullet| bullet.message.as_str());
    let own = sight.infrastructure.and_then(|facts| facts.condition("Ready")).map(|condition| condition.message.as_str());
    for message in [mirrored, copied, own].into_iter().flatten() {
        step = step.further(provider::by_message(message));
    }
    match step.text.is_empty() {
        true => Detail::new(0, "infrastructure"),
        false => Detail::new(step.permille.min(999), &step.text),
    }
}

fn bootstrapping(sight: &Sight<'_>, stages: &Stages) -> Detail {
    let machines = sight.members.iter().filter(|facts| facts.is(CAPI, "Machine") && facts.is_control_plane);
    let started = machines.clone().any(|machine| machine.has_provider_id || machine.says("InfrastructureReady") == Some(true));
    let counted = sight.cluster.and_then(|cluster| cluster.control_plane_replicas);
    let counted = counted.or_else(|| sight.control_plane.and_then(|control_plane| control_plane.replicas));
    let part = counted.and_then(|replicas| Some((replicas.available?, replicas.desired))).filter(|(_, desired)| *desired > 1);
    match (stages.initialized == Some(true), part) {
        (true, Some((available, desired))) => {
            let rest = Detail::counted("control plane machines", available, desired);
            Detail { permille: 600 + rest.permille * 399 / 1000, ..rest }
        }
        (true, None) => Detail::new(600, "control plane is answering"),
        (false, _) if started => Detail::new(300, "first control plane machine has started"),
        (false, _) => Detail::new(0, first_of_control_plane(sight)),
    }
}

/// What is awaited of a control plane. For one that the provider runs, or that runs as pods, no machine is ever made.
fn first_of_control_plane(sight: &Sight<'_>) -> &'static str {
    match sight.control_plane.map_or("", |facts| facts.id.kind.as_str()) {
        "K0smotronControlPlane" => "hosted control plane",
        kind if kind.contains("Managed") => "managed control plane",
        _ => "first control plane machine",
    }
}

fn scaling(sight: &Sight<'_>) -> Detail {
    let Some(replicas) = worker_replicas(sight) else { return Detail::new(0, "workers") };
    let workers = sight.members.iter().filter(|facts| facts.is(CAPI, "Machine") && !facts.is_control_plane);
    let joined = workers.filter(|machine| machine.has_node || sight.said.nodes.contains(machine.id.name.as_str())).count();
    let joined = i64::try_from(joined).unwrap_or(i64::MAX);
    if replicas.desired == 0 {
        return Detail::new(1000, NO_WORKERS);
    }
    Detail::counted("workers", replicas.available.unwrap_or(0).max(joined), replicas.desired)
}

/// Services and how many are wanted: the ClusterDeployment's own list, else those of its ServiceSets.
fn services(sight: &Sight<'_>) -> (Vec<ServiceLine>, usize) {
    let Some(deployment) = sight.deployment else { return (Vec::new(), 0) };
    let mut services = deployment.deployment.services.clone();
    if services.is_empty() {
        let sets = sight.members.iter().filter(|facts| facts.is(K0RDENT, "ServiceSet"));
        services = sets.flat_map(|set| set.deployment.services.clone()).collect();
    }
    let told = ratio(deployment).map_or(0, |(_, of)| usize::try_from(of).unwrap_or(0));
    let wanted = deployment.deployment.services_wanted.max(services.len()).max(told);
    (services, wanted)
}

/// `2/3` in the condition that counts services.
fn ratio(deployment: &Facts) -> Option<(i64, i64)> {
    let message = &deployment.condition("ServicesInReadyState")?.message;
    let (ready, of) = message.split_whitespace().find_map(|word| word.split_once('/'))?;
    Some((ready.parse().ok()?, of.parse().ok()?))
}

fn deployed(sight: &Sight<'_>, services: &[ServiceLine]) -> i64 {
    let listed = services.iter().filter(|service| service.state == "Deployed").count();
    let listed = i64::try_from(listed).unwrap_or(i64::MAX);
    if services.is_empty() { sight.deployment.and_then(ratio).map_or(0, |(ready, _)| ready) } else { listed }
}

/// Whether every source agrees that the cluster is ready now.
fn ready(sight: &Sight<'_>, summary: &Summary<'_>, stages: &Stages, has_machines: bool, services: (i64, usize)) -> Result<(), String> {
    let refuse = |reason: &str| Err(reason.to_owned());
    let root = sight.deployment.or(sight.cluster);
    if root.is_none_or(|root| root.is_deleting) {
        return refuse("it is gone or going");
    }
    if let Some(cluster) = sight.cluster
        && cluster.is_deleting
    {
        return refuse("its Cluster is going");
    }
    let contradicted = contradictions(sight, summary);
    if let Some(stage) = contradicted.first().filter(|_| has_machines) {
        return Err(not_well(stage, sight));
    }
    let Some(deployment) = sight.deployment else { return plain_ready(sight, stages) };
    if deployment.deployment.dry_run {
        return refuse("it is a dry run");
    }
    if summary.condition.is_some_and(|condition| condition.reason == "CAPIClusterMissing") {
        return refuse("its Cluster is missing");
    }
    let (deployed, wanted) = services;
    if deployed < i64::try_from(wanted).unwrap_or(i64::MAX) || deployment.says("ServicesInReadyState") == Some(false) {
        return Err(format!("{deployed} of {wanted} services are deployed"));
    }
    if deployment.says("Ready") != Some(true) {
        return refuse("the ClusterDeployment is not ready");
    }
    if deployment.observed_generation.zip(deployment.generation).is_some_and(|(seen, now)| seen < now) {
        return refuse("the ClusterDeployment's newest change is not yet seen");
    }
    if !has_machines {
        let sveltos = sight.members.iter().find(|facts| facts.is(SVELTOS, "SveltosCluster"));
        return if sveltos.and_then(|facts| facts.ready) == Some(false) { refuse("the cluster does not answer") } else { Ok(()) };
    }
    let summarised = summary.condition.map(|condition| condition.status);
    match (summarised, sight.cluster) {
        (Some(Status::True), _) => Ok(()),
        (Some(Status::False | Status::Unknown), _) => refuse("the Cluster's summary is not well"),
        (None, None) => refuse("no Cluster is known"),
        (None, Some(_)) if stages.infrastructure == Some(true) && is_controlled(stages) => Ok(()),
        (None, Some(_)) => refuse("the Cluster is not well"),
    }
}

/// A stage that is not well, in a person's words.
fn not_well(stage: &str, sight: &Sight<'_>) -> String {
    match stage {
        "InfrastructureReady" => "the infrastructure is not ready".to_owned(),
        "WorkersAvailable" => match worker_replicas(sight) {
            Some(Replicas { desired, available: Some(available) }) => format!("{available} of {desired} workers are available"),
            Some(Replicas { available: None, .. }) | None => "workers are missing".to_owned(),
        },
        _ => "the control plane is not available".to_owned(),
    }
}

fn is_controlled(stages: &Stages) -> bool {
    stages.available.or(stages.initialized) == Some(true)
}

/// Sources that say no of a stage now, whatever others say.
fn contradictions(sight: &Sight<'_>, summary: &Summary<'_>) -> Vec<&'static str> {
    let says_no = |kind: &str| sight.cluster.and_then(|cluster| cluster.says(kind)) == Some(false);
    let mut found = Vec::new();
    for kind in ["InfrastructureReady", "ControlPlaneInitialized", "ControlPlaneAvailable", "WorkersAvailable"] {
        let listed = summary.condition.is_some_and(|condition| condition.status != Status::True) && summary.bullet(kind).is_some();
        if says_no(kind) || listed {
            found.push(kind);
        }
    }
    if worker_replicas(sight).is_some_and(|replicas| replicas.available.is_some_and(|available| available < replicas.desired)) {
        found.push("WorkersAvailable");
    }
    found
}

/// A Cluster that no ClusterDeployment made: its own conditions decide.
fn plain_ready(sight: &Sight<'_>, stages: &Stages) -> Result<(), String> {
    let Some(cluster) = sight.cluster else { return Err("no Cluster is known".to_owned()) };
    let available = match cluster.says("Available") {
        Some(available) => available,
        // Before v1beta2 `Ready` spoke of infrastructure and control plane only; workers must be seen by themselves.
        None => cluster.says("Ready") == Some(true) && stages.infrastructure == Some(true) && is_controlled(stages),
    };
    let observed = cluster.observed_generation.zip(cluster.generation).is_none_or(|(seen, now)| seen >= now);
    if !available || !observed {
        return Err("the Cluster is not available".to_owned());
    }
    let has_workers = sight.members.iter().any(|facts| facts.is(CAPI, "MachineDeployment") || facts.is(CAPI, "MachinePool"));
    let unseen = has_workers && stages.workers.is_none() && cluster.says("Available").is_none();
    if stages.workers == Some(false) || unseen { Err("workers are missing".to_owned()) } else { Ok(()) }
}

fn states(sight: &Sight<'_>) -> Vec<StateWord> {
    let deployment = sight.deployment;
    let paused = deployment.is_some_and(|facts| facts.says("Paused") == Some(true) || facts.is_paused)
        || sight.cluster.is_some_and(|cluster| cluster.is_paused || cluster.says("Paused") == Some(true));
    let dry_run = deployment.is_some_and(|facts| facts.deployment.dry_run);
    let deleting = deployment.or(sight.cluster).is_some_and(|facts| facts.is_deleting);
    [(paused, StateWord::Paused), (dry_run, StateWord::DryRun), (deleting, StateWord::Deleting)]
        .into_iter()
        .filter_map(|(holds, word)| holds.then_some(word))
        .collect()
}

fn metadata(sight: &Sight<'_>) -> ClusterMetadata {
    let deployment = sight.deployment.map(|facts| facts.deployment.clone()).unwrap_or_default();
    let by_kind = sight.cluster.and_then(|cluster| cluster.refs.iter().find_map(|reference| provider::of_kind(reference.kind.as_str())));
    let provider = by_kind.or_else(|| provider::of_template(&deployment.template)).unwrap_or_default();
    ClusterMetadata {
        provider: provider.to_owned(),
        template: deployment.template,
        credential: deployment.credential,
        region: deployment.place,
        management_region: sight.management_region.to_owned(),
        created_at: sight.deployment.or(sight.cluster).and_then(|facts| facts.created),
    }
}

/// What limits what we can say.
fn caveat(sight: &Sight<'_>, has_machines: bool) -> Option<String> {
    let deployment = sight.deployment?;
    let is_elsewhere = has_machines && !sight.management_region.is_empty() && sight.cluster.is_none();
    let is_deployed = deployment.says("HelmReleaseReady") == Some(true) || deployment.condition("CAPIClusterSummary").is_some();
    (is_elsewhere && is_deployed).then(|| {
        format!(
            "the Cluster API objects live in region {}, which is not recorded here; this is told from the ClusterDeployment's own conditions",
            sight.management_region
        )
    })
}

impl<'a> Sight<'a> {
    /// Sorts the members of a target.
    pub(super) fn of(deployment: Option<&'a Facts>, members: Vec<&'a Facts>, said: &'a Said) -> Self {
        let cluster = members.iter().copied().find(|facts| facts.is(CAPI, "Cluster"));
        let referenced = |index: usize| {
            let key = cluster?.refs.get(index)?;
            members.iter().copied().find(|facts| super::facts::Key::of(&facts.id) == *key)
        };
        let is_control_plane = |facts: &&Facts| facts.id.group.as_str().starts_with("controlplane.");
        let is_infrastructure = |facts: &&Facts| {
            let kind = facts.id.kind.as_str();
            facts.id.group.as_str().starts_with("infrastructure.") && kind.ends_with("Cluster") && !kind.contains("Identity")
        };
        let by_ref = [referenced(0), referenced(1)];
        let infrastructure =
            by_ref.into_iter().flatten().find(is_infrastructure).or_else(|| members.iter().copied().find(is_infrastructure));
        let control_plane = by_ref.into_iter().flatten().find(is_control_plane).or_else(|| members.iter().copied().find(is_control_plane));
        // GKE and AKS keep their control planes in the infrastructure group.
        let control_plane =
            control_plane.or_else(|| members.iter().copied().find(|facts| facts.id.kind.as_str().ends_with("ControlPlane")));
        Self { deployment, credential: None, management_region: "", cluster, infrastructure, control_plane, members, said }
    }

    /// The Helm release of the ClusterDeployment.
    pub(super) fn helm_release(&self) -> Option<&'a Facts> {
        self.members.iter().copied().find(|facts| facts.is(FLUX, "HelmRelease"))
    }
}
