//! Users of clusters: who a token belongs to, and what its cluster lets them read.
//!
//! Hands only: the deciding is in `rights`. Answers are good for 10 s. Invariants: a token is remembered by its hash; a user of one cluster
//! is nobody in another; while a cluster does not answer its users may do nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use proreus_model::{AccessRule, ClusterId, Namespace};
use proreus_record::{Deed, ReviewError, Reviewer, Subject};
use proreus_store::Place;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::oidc::Claimed;
use super::remembered::Remembered;
use super::rights::{Answers, KnownTypes, Next, next};
use super::{Denied, Request};

/// How long an answer is good for: a right that was taken away is gone soon, and a page that asks twenty things asks once.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// Tokens remembered, good ones and others: some hundred callers, and room for those who try.
const MAX_TOKENS: usize = 4_096;
/// Users whose rights are remembered; each may have thousands of answers.
const MAX_USERS: usize = 256;
/// Further single answers remembered for a user, such as whether they may read one pod's log.
const MAX_ANSWERS: usize = 2 * super::rights::MAX_REVIEWS;
/// Reviews under way at once, all callers together: some hundred a second each, which an API server does not notice.
const MAX_REVIEWS_AT_ONCE: usize = 16;
/// Answers that are kept together: when the time is up, what was asked before is not asked again.
const ASKED_TOGETHER: usize = 256;
/// How long a caller waits for a decision before they are told that it cannot be had.
const DECIDE_WITHIN: Duration = Duration::from_secs(10);
/// Every user that a cluster accepts is in this group; it decides by it, so it has to be told.
const AUTHENTICATED: &str = "system:authenticated";
/// Names that only Kubernetes itself gives. An issuer that could give them would make anybody an administrator.
const RESERVED: &str = "system:";

/// What a cluster is asked.
pub trait Reviewing: Send + Sync {
    /// Configured name of the cluster.
    fn alias(&self) -> &str;
    /// Which cluster answers.
    fn cluster(&self) -> BoxFuture<'_, Result<ClusterId, ReviewError>>;
    /// Whose token it is.
    fn token<'a>(&'a self, token: &'a str, audiences: &'a [String]) -> BoxFuture<'a, Result<Option<Subject>, ReviewError>>;
    /// Whether somebody may do something.
    fn may<'a>(&'a self, subject: &'a Subject, deed: &'a Deed) -> BoxFuture<'a, Result<bool, ReviewError>>;
}

impl Reviewing for Reviewer {
    fn alias(&self) -> &str {
        Reviewer::alias(self)
    }

    fn cluster(&self) -> BoxFuture<'_, Result<ClusterId, ReviewError>> {
        Box::pin(Reviewer::cluster(self))
    }

    fn token<'a>(&'a self, token: &'a str, audiences: &'a [String]) -> BoxFuture<'a, Result<Option<Subject>, ReviewError>> {
        Box::pin(Reviewer::token(self, token, audiences))
    }

    fn may<'a>(&'a self, subject: &'a Subject, deed: &'a Deed) -> BoxFuture<'a, Result<bool, ReviewError>> {
        Box::pin(Reviewer::may(self, subject, deed))
    }
}

/// How users of clusters are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubernetesOptions {
    /// Configured names of the clusters that are shown tokens, in this order; none when only another issuer's users are looked up.
    pub token_clusters: Vec<String>,
    /// Audiences a token must be for; none for the API server's own.
    pub audiences: Vec<String>,
}

/// A user of one or more clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Citizen {
    pub(super) subject: Subject,
    /// Places of the clusters among the reviewers.
    clusters: Vec<usize>,
    /// The cluster that accepted the token, when one did: should the same name lead to another cluster, the user is nobody there.
    accepted_by: Option<ClusterId>,
}

/// Who a token belongs to, and which of the clusters says so.
type Accepted = Option<(usize, ClusterId, Subject)>;

/// Users of clusters.
pub struct Kubernetes {
    options: KubernetesOptions,
    reviewers: Vec<Arc<dyn Reviewing>>,
    tokens: Remembered<[u8; 32], Accepted>,
    rights: Remembered<(usize, Subject), Answers>,
    gate: Semaphore,
}

impl Kubernetes {
    /// Users of the clusters that `reviewers` ask.
    pub fn new(options: KubernetesOptions, reviewers: Vec<Arc<dyn Reviewing>>) -> Self {
        Self {
            options,
            reviewers,
            tokens: Remembered::new(GOOD_FOR, MAX_TOKENS),
            rights: Remembered::new(GOOD_FOR, MAX_USERS),
            gate: Semaphore::new(MAX_REVIEWS_AT_ONCE),
        }
    }

    pub(super) fn reviews_tokens(&self) -> bool {
        !self.options.token_clusters.is_empty()
    }

    /// Whose token it is, if a cluster accepts it.
    pub(super) async fn identify(&self, token: &str) -> Result<Option<Citizen>, Denied> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let slot = self.tokens.slot(&key);
        let mut held = slot.lock().await;
        let accepted = match held.as_ref().filter(|(asked, _)| self.tokens.is_good(*asked)) {
            Some((_, accepted)) => accepted.clone(),
            None => {
                let asked = Instant::now();
                let accepted = within(self.review_token(token)).await?;
                *held = Some((asked, accepted.clone()));
                accepted
            }
        };
        Ok(accepted.map(|(index, cluster, subject)| Citizen { subject, clusters: vec![index], accepted_by: Some(cluster) }))
    }

    async fn review_token(&self, token: &str) -> Result<Accepted, Denied> {
        let mut failed = None;
        for alias in &self.options.token_clusters {
            let Some((index, reviewer)) = self.reviewers.iter().enumerate().find(|(_, reviewer)| reviewer.alias() == alias) else {
                continue;
            };
            let _place = self.gate.acquire().await.map_err(|_| Denied::Unavailable)?;
            // Before and after: the subject is one of the cluster that accepted the token, whatever the connection leads to a moment later.
            let reviewed = async {
                let before = reviewer.cluster().await?;
                let subject = reviewer.token(token, &self.options.audiences).await?;
                Ok::<_, ReviewError>((before, subject))
            };
            match reviewed.await {
                Ok((cluster, Some(subject))) => return Ok(Some((index, cluster, subject))),
                Ok((_, None)) => {}
                Err(error) => {
                    tell(&error);
                    failed = Some(Denied::Unavailable);
                }
            }
        }
        // The cluster that did not answer may be the one whose token it is.
        failed.map_or(Ok(None), Err)
    }

    /// The user that an issuer's claims stand for; nobody when the names are reserved or no cluster is named.
    pub(super) fn mapped(&self, clusters: &[String], claimed: Claimed) -> Option<Citizen> {
        if claimed.user.is_empty() || claimed.user.starts_with(RESERVED) {
            return None;
        }
        let mut groups: Vec<String> =
            claimed.groups.into_iter().filter(|group| !group.is_empty() && !group.starts_with(RESERVED)).collect();
        groups.push(AUTHENTICATED.to_owned());
        let place = |alias: &String| self.reviewers.iter().position(|reviewer| reviewer.alias() == alias);
        let clusters: Vec<usize> = clusters.iter().filter_map(place).collect();
        let subject = Subject { user: claimed.user, groups, ..Subject::default() };
        (!clusters.is_empty()).then_some(Citizen { subject, clusters, accepted_by: None })
    }

    /// What the user may read of the past.
    pub(super) async fn rights(
        &self,
        citizen: &Citizen,
        places: &BTreeSet<Place>,
        concerned: &[Namespace],
    ) -> Result<Vec<AccessRule>, Denied> {
        let (mut rules, mut answered, mut failed) = (Vec::new(), false, None);
        for index in &citizen.clusters {
            let Some(reviewer) = self.reviewers.get(*index) else { continue };
            match within(self.rights_in(*index, reviewer, citizen, places, concerned)).await {
                Ok(more) => {
                    answered = true;
                    rules.extend(more);
                }
                Err(denied) => failed = Some(denied),
            }
        }
        match failed {
            // Another cluster that is away takes away only what is its own.
            Some(denied) if !answered => Err(denied),
            Some(_) | None => Ok(rules),
        }
    }

    async fn rights_in(
        &self,
        index: usize,
        reviewer: &Arc<dyn Reviewing>,
        citizen: &Citizen,
        places: &BTreeSet<Place>,
        concerned: &[Namespace],
    ) -> Result<Vec<AccessRule>, Denied> {
        let cluster = self.cluster_of(reviewer, citizen).await?;
        let known = KnownTypes::of(places, &cluster);
        let slot = self.rights.slot(&(index, citizen.subject.clone()));
        let mut held = slot.lock().await;
        if held.as_ref().is_none_or(|(asked, _)| !self.rights.is_good(*asked)) {
            *held = Some((Instant::now(), Answers::new()));
        }
        let Some((_, answers)) = held.as_mut() else { return Err(Denied::Unavailable) };
        // Ends because each round answers what it asks, and there are three: everything, each type, each place.
        loop {
            match next(&cluster, &known, answers, concerned) {
                Next::Ask(deeds) => {
                    for portion in deeds.chunks(ASKED_TOGETHER) {
                        answers.extend(self.ask(reviewer, &citizen.subject, portion.to_vec()).await?);
                    }
                }
                Next::Decided(rules, left_out) => {
                    if left_out > 0 {
                        tracing::warn!(user = citizen.subject.user, left_out, "a user's rights are too many to be asked for one by one");
                    }
                    return Ok(rules);
                }
            }
        }
    }

    /// Whether the user may do something now.
    pub(super) async fn may(&self, citizen: &Citizen, request: &Request) -> Result<bool, Denied> {
        for index in &citizen.clusters {
            let Some(reviewer) = self.reviewers.get(*index) else { continue };
            let here = within(async {
                let cluster = self.cluster_of(reviewer, citizen).await?;
                if cluster != request.cluster {
                    return Ok(None);
                }
                self.single(*index, reviewer, citizen, &request.deed).await.map(Some)
            });
            match here.await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(denied) => return Err(denied),
            }
        }
        Ok(false)
    }

    /// Whether any of the user's clusters lets them get a path.
    pub(super) async fn may_get_path(&self, citizen: &Citizen, path: &str) -> Result<bool, Denied> {
        let deed = Deed { verb: "get".to_owned(), path: path.to_owned(), ..Deed::default() };
        for index in &citizen.clusters {
            let Some(reviewer) = self.reviewers.get(*index) else { continue };
            let here = async {
                self.cluster_of(reviewer, citizen).await?;
                self.single(*index, reviewer, citizen, &deed).await
            };
            if within(here).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The cluster behind a reviewer; refused when it is not the one that accepted the user.
    async fn cluster_of(&self, reviewer: &Arc<dyn Reviewing>, citizen: &Citizen) -> Result<ClusterId, Denied> {
        let cluster = reviewer.cluster().await.map_err(|error| tell(&error))?;
        match citizen.accepted_by.as_ref().is_none_or(|accepted| *accepted == cluster) {
            true => Ok(cluster),
            false => Err(Denied::Unknown),
        }
    }

    async fn single(&self, index: usize, reviewer: &Arc<dyn Reviewing>, citizen: &Citizen, deed: &Deed) -> Result<bool, Denied> {
        let slot = self.rights.slot(&(index, citizen.subject.clone()));
        let mut held = slot.lock().await;
        if held.as_ref().is_none_or(|(asked, answers)| !self.rights.is_good(*asked) || answers.len() >= MAX_ANSWERS) {
            *held = Some((Instant::now(), Answers::new()));
        }
        let Some((_, answers)) = held.as_mut() else { return Err(Denied::Unavailable) };
        if let Some(answer) = answers.get(deed) {
            return Ok(*answer);
        }
        let found = self.ask(reviewer, &citizen.subject, vec![deed.clone()]).await?;
        let answer = found.get(deed).copied().unwrap_or(false);
        answers.extend(found);
        Ok(answer)
    }

    async fn ask(&self, reviewer: &Arc<dyn Reviewing>, subject: &Subject, deeds: Vec<Deed>) -> Result<BTreeMap<Deed, bool>, Denied> {
        let asking = deeds.into_iter().map(|deed| async move {
            let _place = self.gate.acquire().await.map_err(|_| Denied::Unavailable)?;
            let answer = reviewer.may(subject, &deed).await.map_err(|error| tell(&error))?;
            Ok::<_, Denied>((deed, answer))
        });
        futures::stream::iter(asking).buffer_unordered(MAX_REVIEWS_AT_ONCE).try_collect().await
    }
}

/// Logs why a cluster gave no answer; the caller is told only that it did not.
fn tell(error: &ReviewError) -> Denied {
    tracing::warn!(%error, "a caller cannot be checked");
    Denied::Unavailable
}

async fn within<T>(deciding: impl Future<Output = Result<T, Denied>>) -> Result<T, Denied> {
    match tokio::time::timeout(DECIDE_WITHIN, deciding).await {
        Ok(decided) => decided,
        Err(_) => {
            tracing::warn!(seconds = DECIDE_WITHIN.as_secs(), "a caller was not checked in time");
            Err(Denied::Unavailable)
        }
    }
}

#[cfg(test)]
mod tests;
