//! What is wrong in a cluster at this moment, without a journal: one look at it, and the same checks over what was seen.
//!
//! Nothing is stored. What objects do not prove by themselves is unknown, for there is no past: see `proreus_record::look`.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use proreus_doctor::probes::{self, Probe, ProbePlan, ProbeSettings};
use proreus_doctor::{Check, DoctorSettings, Report, checks, examine};
use proreus_model::{Clock, Seq};
use proreus_observe::{KindRef, Snapshot};
use proreus_probe::Prober;
use proreus_record::{
    ClusterSource, ConnectError, Look, LookError, LookProgress, RedactionKey, RedactionSettings, Redactor, TypeName, connect, look,
};

use tokio_util::sync::CancellationToken;

pub use proreus_record::{Connection, Looked};

use crate::AppError;
use crate::doctor::{DoctorAnswer, checks_named};

/// Kinds without which findings cannot be told by their owner, nor with the node they happen on.
const CONTEXT: [KindRef; 8] = [
    KindRef::DEPLOYMENT,
    KindRef::REPLICA_SET,
    KindRef::STATEFUL_SET,
    KindRef::DAEMON_SET,
    KindRef::JOB,
    KindRef::CRON_JOB,
    KindRef::NODE,
    KindRef::EVENT,
];

/// What is asked of a cluster itself.
#[derive(Clone, Debug, Default)]
pub struct LiveQuestion {
    /// Only these checks, by id; empty for all.
    pub checks: Vec<String>,
    /// Only objects in these namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// Graces, thresholds, silences.
    pub settings: DoctorSettings,
}

/// What the doctor says of a cluster itself.
#[derive(Clone, Debug)]
pub struct LiveAnswer {
    /// What came of the round. Its findings name no evidence, for nothing was recorded.
    pub answer: DoctorAnswer,
    /// The context, or what else the cluster is called.
    pub alias: String,
    /// What the look itself came to.
    pub looked: Looked,
}

/// Why the doctor did not see the patient.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// There is no way to a cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The cluster does not answer, or not to us.
    #[error(transparent)]
    Look(#[from] LookError),
    /// The question makes no sense.
    #[error(transparent)]
    Question(#[from] AppError),
}

impl LiveError {
    /// Whether the input was refused (as against: we failed).
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Look(_) => false,
            Self::Question(error) => error.is_refusal(),
        }
    }

    /// What the person can do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Connect(_) => "check --kubeconfig and --context; or ask a journal with --data-dir, a server with --server".to_owned(),
            Self::Look(LookError::Unreachable { .. }) => {
                "check the network and the context; what was recorded of the cluster is asked with --data-dir or --server".to_owned()
            }
            Self::Look(LookError::Refused { .. }) => "log in again, or name another context with --context".to_owned(),
            Self::Question(error) => error.hint(),
        }
    }
}

/// The way to the cluster that is to be examined.
///
/// # Errors
/// A kubeconfig, context or service account that cannot be used. An unreachable cluster is no error here.
pub async fn cluster(connection: &Connection) -> Result<ClusterSource, LiveError> {
    Ok(connect(connection, None).await?)
}

/// A cluster as it was seen once.
pub struct Seen {
    view: Snapshot,
    looked: Looked,
    source: ClusterSource,
    clock: Arc<dyn Clock>,
}

/// Looks at a cluster once, at whatever the question is about.
///
/// # Errors
/// A check that does not exist, a cluster that does not answer.
pub async fn see(
    question: &LiveQuestion,
    source: ClusterSource,
    clock: Arc<dyn Clock>,
    progress: impl FnMut(LookProgress),
) -> Result<Seen, LiveError> {
    let chosen = checks_named(&question.checks)?;
    // Of the beginning of the past only that it is not before now is known.
    let mut view = Snapshot::recorded_since(clock.now());
    let (types, everything) = types_of(|check| is_wanted(&chosen, check));
    let inputs = Look {
        source: source.clone(),
        clock: clock.clone(),
        // Tags of one look are compared with nothing, so the key lives as long as the look.
        redactor: Redactor::new(Arc::new(RedactionKey::generate()), RedactionSettings::default()),
        types,
        everything,
        namespaces: question.namespaces.iter().map(|namespace| namespace.as_str().into()).collect(),
    };
    let looked = look(inputs, |record| view.apply(&record), progress).await?;
    Ok(Seen { view, looked, source, clock })
}

fn is_wanted(chosen: &[&'static str], check: &Check) -> bool {
    chosen.is_empty() || chosen.contains(&check.id)
}

impl Seen {
    /// What is wrong with what was seen.
    ///
    /// # Errors
    /// A check that does not exist.
    pub fn examine(&self, question: &LiveQuestion) -> Result<LiveAnswer, LiveError> {
        let chosen = checks_named(&question.checks)?;
        let mut report = examine(&self.view, &question.settings, self.looked.now, |check| is_wanted(&chosen, check));
        if !question.namespaces.is_empty() {
            report.keep(|object| question.namespaces.iter().any(|namespace| namespace == object.namespace.as_str()));
        }
        forget_positions(&mut report);
        let answer = DoctorAnswer { time: self.looked.now, seq: Seq(0), objects: self.view.len(), report };
        Ok(LiveAnswer { answer, alias: self.source.alias.clone(), looked: self.looked.clone() })
    }

    /// What the active checks would do.
    ///
    /// # Errors
    /// A check that does not exist.
    pub fn plan(&self, question: &LiveQuestion, options: &ProbeOptions) -> Result<ProbePlan, LiveError> {
        let chosen = checks_named(&question.checks)?;
        let settings = ProbeSettings {
            // Unique enough to tell one run's namespace from another's: the moment in microseconds.
            run: format!("{:x}", self.clock.now().as_microsecond() & 0xff_ffff_ffff),
            namespace: options.namespace.clone(),
            namespaces: question.namespaces.clone(),
            image: options.image.clone(),
            within: options.within,
        };
        Ok(probes::plan(&self.view, &self.looked.cluster, &settings, self.looked.now, |check| is_wanted(&chosen, check)))
    }

    /// Removes what interrupted runs left, and gives what that was.
    pub async fn clear_leftovers(&self) -> Vec<String> {
        Prober::new(&self.source, self.clock.clone()).clear().await
    }

    /// Does what is planned and takes the outcomes into the answer; gives what could not be cleared away.
    pub async fn probe(
        &self,
        plan: ProbePlan,
        cancel: &CancellationToken,
        tell: impl FnMut(&Probe),
        answer: &mut LiveAnswer,
    ) -> Vec<String> {
        let probed = Prober::new(&self.source, self.clock.clone()).run(plan, cancel, tell).await;
        let now = self.clock.now();
        for (probe, outcome) in &probed.outcomes {
            answer.answer.report.probed(probe, probes::judge(probe, outcome, now));
        }
        probed.left_behind
    }
}

/// How active checks are made.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Where pods are made; `None` for a namespace of the run's own.
    pub namespace: Option<String>,
    /// The image of the pod that is made.
    pub image: String,
    /// How long the pod may take to run.
    pub within: SignedDuration,
}

/// The types that checks look at, and whether one looks at every type there is.
fn types_of(wanted: impl Fn(&Check) -> bool) -> (Vec<TypeName>, bool) {
    let checks = checks::CHECKS.iter().filter(|check| wanted(check));
    let kinds: BTreeSet<KindRef> =
        checks.flat_map(|check| check.kinds.iter().chain(check.needs).chain(check.reads)).copied().chain(CONTEXT).collect();
    let everything = kinds.contains(&KindRef::ANY);
    // The API server itself is asked by probes and is no type.
    let named = kinds.into_iter().filter(|kind| *kind != KindRef::ANY && !kind.resource.is_empty());
    (named.map(|kind| (kind.group.into(), kind.resource.into())).collect(), everything)
}

/// Positions within a look lead nowhere once it is over.
fn forget_positions(report: &mut Report) {
    let silenced = report.silenced.iter_mut().map(|(finding, _)| finding);
    for finding in report.findings.iter_mut().chain(&mut report.held).chain(silenced) {
        finding.evidence.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_needs_its_own_types_and_those_that_name_the_owner() {
        let (types, everything) = types_of(|check| check.id == "ingress-class");
        let has = |group: &str, resource: &str| types.contains(&(group.into(), resource.into()));
        assert!(!everything);
        assert!(has("networking.k8s.io", "ingresses") && has("networking.k8s.io", "ingressclasses") && has("apps", "deployments"));
        assert!(!has("", "secrets"), "a check that reads no secret lists none");
    }

    #[test]
    fn checks_of_every_kind_need_every_type() {
        assert!(types_of(|check| check.id == "condition-ready").1);
    }
}
