//! Callers with a token of an OpenID Connect issuer.
//!
//! Hands: fetches the issuer's discovery document and keys, and keeps them for a while; what a token proves is decided in `claims`.
//! Invariants: keys come from the issuer itself, over TLS unless it is on this machine; what is fetched is bounded in bytes and time; keys
//! that could not be fetched again for an hour are not used any more; a token can make us fetch at most every few seconds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use proreus_model::{Access, ClusterId};
use proreus_store::Place;
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use super::claims::{Claimed, SigningAlgorithm};

use super::claims::{Expectations, Fault, Keys, check, named_issuer};
use super::public::Resource;
use super::rules::{self, StaticRule};
use super::{Denied, Request};
use crate::application::blocking;
use crate::questions::Questions;

/// Largest document that an issuer is let send: discovery documents and key sets have some kilobytes.
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;
/// How long one document may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// After this the keys are fetched again, so that a key that was taken back is not accepted for longer.
const KEYS_FRESH: Duration = Duration::from_secs(300);
/// After this, keys that could not be fetched again are not used: an issuer that was away for an hour may have lost a key.
const KEYS_USABLE: Duration = Duration::from_secs(3_600);
/// Between two fetches that tokens with unknown keys, or an issuer that fails, make us do.
const FETCH_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How callers of an issuer are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcOptions {
    /// The issuer, exactly as its tokens name it.
    pub issuer: String,
    /// What tokens must be for; one of them.
    pub audiences: Vec<String>,
    /// PEM file of the authorities that its certificate is checked by, instead of the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Claim that names the user.
    pub username_claim: String,
    /// What goes before the name.
    pub username_prefix: String,
    /// Claim that lists the groups.
    pub groups_claim: String,
    /// What goes before each group.
    pub groups_prefix: String,
    /// Algorithms that are accepted.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Scopes that clients ask the issuer for.
    pub scopes: Vec<String>,
    /// The callers are users of these clusters, whose RBAC decides; none: the rules decide.
    pub clusters: Vec<String>,
    /// What callers may read when no cluster decides.
    pub rules: Vec<StaticRule>,
}

/// How patient fetching is.
#[derive(Clone, Copy, Debug)]
struct Pace {
    fresh: Duration,
    usable: Duration,
    again_after: Duration,
}

/// Callers of one issuer.
pub struct Oidc {
    options: OidcOptions,
    expected: Expectations,
    client: Client,
    pace: Pace,
    questions: Questions,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    keys: Option<(Instant, Arc<Keys>)>,
    /// When the last fetch began, whatever came of it.
    tried: Option<Instant>,
}

impl Oidc {
    /// Callers of the issuer. Nothing is fetched yet: an issuer that is away must not keep the recording from starting.
    ///
    /// # Errors
    /// A sentence when the authorities' file cannot be used.
    pub fn new(options: OidcOptions, questions: Questions) -> Result<Self, String> {
        let pace = Pace { fresh: KEYS_FRESH, usable: KEYS_USABLE, again_after: FETCH_AGAIN_AFTER };
        Self::with_pace(options, questions, pace)
    }

    fn with_pace(options: OidcOptions, questions: Questions, pace: Pace) -> Result<Self, String> {
        let expected = Expectations {
            issuer: options.issuer.clone(),
            audiences: options.audiences.clone(),
            algorithms: options.algorithms.clone(),
            username_claim: options.username_claim.clone(),
            groups_claim: options.groups_claim.clone(),
            username_prefix: options.username_prefix.clone(),
            groups_prefix: options.groups_prefix.clone(),
        };
        let client = client(&options)?;
        Ok(Self { options, expected, client, pace, questions, held: Mutex::default() })
    }

    /// Whether the token says that it is of this issuer.
    pub(super) fn is_issuer_of(&self, token: &str) -> bool {
        named_issuer(token).is_some_and(|issuer| issuer == self.options.issuer)
    }

    /// Whether the callers are users of clusters.
    pub(super) fn speaks_for_clusters(&self) -> bool {
        !self.options.clusters.is_empty()
    }

    pub(super) fn clusters(&self) -> &[String] {
        &self.options.clusters
    }

    /// What clients are told of the way to a token.
    pub(super) fn protected_resource(&self) -> Resource {
        Resource { issuer: self.options.issuer.clone(), scopes: self.options.scopes.clone() }
    }

    /// Whose token it is.
    pub(super) async fn identify(&self, token: &str, now: Timestamp) -> Result<Claimed, Denied> {
        let keys = self.keys(None).await?;
        let fault = match check(token, &keys, &self.expected, now) {
            Ok(claimed) => return Ok(claimed),
            Err(fault) => fault,
        };
        // The issuer may have a new key, under a new id or under the old one.
        if !matches!(fault, Fault::NoKey | Fault::Signature) {
            return Err(refuse(&fault));
        }
        let newer = self.keys(Some(&keys)).await?;
        if Arc::ptr_eq(&newer, &keys) {
            return Err(refuse(&fault));
        }
        check(token, &newer, &self.expected, now).map_err(|fault| refuse(&fault))
    }

    /// The keys; newer ones than `not_these`, if they may be fetched again already.
    async fn keys(&self, not_these: Option<&Arc<Keys>>) -> Result<Arc<Keys>, Denied> {
        // Held while fetching: all who come meanwhile wait for the one fetch.
        let mut held = self.held.lock().await;
        let may_fetch = held.tried.is_none_or(|tried| tried.elapsed() >= self.pace.again_after);
        let usable = held.keys.clone().filter(|(fetched, _)| fetched.elapsed() < self.pace.usable);
        let is_wanted = match &usable {
            None => true,
            Some((fetched, keys)) => fetched.elapsed() >= self.pace.fresh || not_these.is_some_and(|known| Arc::ptr_eq(known, keys)),
        };
        if !is_wanted || !may_fetch {
            return usable.map(|(_, keys)| keys).ok_or(Denied::Unavailable);
        }
        held.tried = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                held.keys = Some((Instant::now(), keys.clone()));
                Ok(keys)
            }
            Err(reason) => {
                tracing::warn!(issuer = self.options.issuer, reason, "the issuer's keys cannot be fetched");
                match (usable, not_these) {
                    // With the keys that are there the token fits none, and whether it would fit a newer one cannot be said.
                    (Some(_), Some(_)) | (None, _) => Err(Denied::Unavailable),
                    (Some((_, keys)), None) => Ok(keys),
                }
            }
        }
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let discovery = format!("{}/.well-known/openid-configuration", self.options.issuer.trim_end_matches('/'));
        let document = self.document(&discovery).await?;
        let document: Value = serde_json::from_slice(&document).map_err(|_| "its discovery document is no JSON".to_owned())?;
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        // The specification's own check: else a document of one issuer could be shown as another's.
        if text("issuer") != Some(self.options.issuer.as_str()) {
            return Err(format!("its discovery document names the issuer `{}`", clipped(text("issuer").unwrap_or_default())));
        }
        let place = text("jwks_uri").ok_or("its discovery document names no `jwks_uri`")?;
        if !is_private(place) {
            return Err(format!("its keys are at `{}`, which is not https", clipped(place)));
        }
        Keys::parse(&self.document(place).await?)
    }

    async fn document(&self, url: &str) -> Result<Vec<u8>, String> {
        let fetch = async {
            let answer = self.client.get(url).header("accept", "application/json").send().await.map_err(|error| innermost(&error))?;
            if !answer.status().is_success() {
                return Err(format!("`{}` answered {}", clipped(url), answer.status().as_u16()));
            }
            let (mut whole, mut body) = (Vec::new(), answer.bytes_stream());
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|error| innermost(&error))?;
                if whole.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                    return Err(format!("`{}` sent more than {MAX_DOCUMENT_BYTES} bytes", clipped(url)));
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(whole)
        };
        let late = || format!("`{}` did not answer within {} s", clipped(url), FETCH_TIMEOUT.as_secs());
        tokio::time::timeout(FETCH_TIMEOUT, fetch).await.unwrap_or_else(|_| Err(late()))
    }

    /// What the rules let a caller read, and which rules those are.
    pub(super) async fn access(&self, caller: &Claimed, places: &BTreeSet<Place>) -> (Access, Arc<[usize]>) {
        let theirs: Vec<usize> =
            self.options.rules.iter().enumerate().filter(|(_, rule)| rule.concerns(caller)).map(|(index, _)| index).collect();
        let names = self.names().await;
        (rules::access_of(&self.rules(&theirs), places, &|word| id_of(&names, word)), theirs.into())
    }

    /// Whether the rules let something be done.
    pub(super) async fn may(&self, theirs: &[usize], request: &Request) -> bool {
        let names = self.names().await;
        rules::may(&self.rules(theirs), &request.cluster, &request.deed, &|word| id_of(&names, word))
    }

    fn rules(&self, theirs: &[usize]) -> Vec<&StaticRule> {
        theirs.iter().filter_map(|index| self.options.rules.get(*index)).collect()
    }

    /// What configured names of clusters stand for; where that cannot be found out they stand for none.
    async fn names(&self) -> Vec<(String, ClusterId)> {
        let questions = self.questions.clone();
        blocking(move || questions.aliases()).await.unwrap_or_default()
    }
}

fn id_of(names: &[(String, ClusterId)], name: &str) -> Option<ClusterId> {
    names.iter().find(|(alias, _)| alias == name).map(|(_, cluster)| cluster.clone())
}

/// The log is told the fault, the caller only what they can do something about.
fn refuse(fault: &Fault) -> Denied {
    tracing::debug!(%fault, "a token of the issuer was refused");
    match fault {
        Fault::Expired => Denied::Expired,
        Fault::Malformed
        | Fault::Algorithm
        | Fault::NoKey
        | Fault::Signature
        | Fault::Issuer
        | Fault::Audience
        | Fault::NotYet
        | Fault::Claim(_) => Denied::Unknown,
    }
}

/// Whether nobody on the way can read or change what a URL gives: https, or this machine.
pub(crate) fn is_private(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = || match url.host_str() {
        Some(host) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    };
    url.username().is_empty()
        && url.password().is_none()
        && (url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_here())
}

fn client(options: &OidcOptions) -> Result<Client, String> {
    // One provider for the process, whoever sets it first.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    // No redirects: keys come from where the issuer says they are.
    let mut builder = Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(FETCH_TIMEOUT).timeout(FETCH_TIMEOUT);
    if let Some(path) = &options.ca_file {
        let fail = |reason: String| format!("cannot use auth.oidc.caFile `{}`: {reason}", path.display());
        let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| fail(innermost(&error)))?;
        if authorities.is_empty() {
            return Err(fail("it holds no certificate".to_owned()));
        }
        builder = builder.tls_certs_only(authorities);
    }
    builder.build().map_err(|error| format!("cannot make a client for the issuer: {}", innermost(&error)))
}

fn clipped(text: &str) -> String {
    const MOST: usize = 200; // A URL that can be read in a line of the log.
    text.chars().take(MOST).collect()
}

/// The cause at the bottom: "connection refused" says more than "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
