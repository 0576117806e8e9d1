//! Who may ask, and what they may read.
//!
//! Three ways to be known, each configured by itself and all of them together: a token of a file, a token of an OpenID Connect issuer, a
//! token that a cluster accepts (TokenReview). What those of a cluster may read is what that cluster lets them list now
//! (SubjectAccessReview). Invariants: whatever cannot be checked is refused; a reason never tells what a token or the journal holds; a
//! caller who may read nothing is let in and shown nothing.

mod claims;
#[cfg(test)]
mod issuer;
mod kubernetes;
mod oidc;
mod places;
mod public;
mod remembered;
mod rights;
mod ring_verifier;
mod rules;
mod token_file;

use std::collections::BTreeSet;
use std::sync::Arc;

use proreus_model::{Access, Clock, ClusterId, Group, Namespace, Resource};
use proreus_store::Place;

pub use kubernetes::{Kubernetes, KubernetesOptions, Reviewing};
pub(crate) use oidc::is_private;
pub use oidc::{Claimed, Oidc, OidcOptions, SigningAlgorithm};
pub use places::KnownPlaces;
pub use proreus_record::{Deed, ReviewError, Subject};
pub use public::{PublicNames, Resource as ProtectedResource};
pub use rules::{KindPattern, KindPatternError, StaticRule};
pub use token_file::TokenFile;

use kubernetes::Citizen;

/// Longest token that is looked at: tokens with many groups have some kilobytes.
const MAX_TOKEN_BYTES: usize = 32 * 1024;

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token came along.
    #[error("no bearer token was sent")]
    Missing,
    /// No way to be known accepts the token.
    #[error("the bearer token is not accepted")]
    Unknown,
    /// The token was good; told only after its signature was found to be.
    #[error("the bearer token has expired")]
    Expired,
    /// It cannot be checked at the moment.
    #[error("callers cannot be checked at the moment")]
    Unavailable,
}

/// What stands behind a caller's access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Who {
    /// Somebody with everything: the operator's own tokens, or a door that stands open.
    #[default]
    Trusted,
    /// A user of clusters: these decide.
    Citizen(Arc<Citizen>),
    /// Somebody of an issuer, for whom the configuration's rules decide: those that concern them, by their places in the list.
    Ruled(Arc<[usize]>),
}

/// A caller that was let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Name for the access log: the name beside the token in the file, the user's name; never the token.
    pub name: String,
    /// What the caller may read.
    pub access: Access,
    who: Who,
    /// The places that were known when `access` was decided; `None` when it does not depend on them.
    basis: Option<Arc<BTreeSet<Place>>>,
}

impl Caller {
    /// A caller who may do everything.
    pub fn trusted(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Something that a caller wants done on a cluster in their own right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// On this cluster.
    pub cluster: ClusterId,
    /// What, of what; see there.
    pub deed: Deed,
}

/// Checks callers.
pub enum Authenticator {
    /// Everybody may ask: loopback, or on the operator's word.
    Open,
    /// Those with a token from the file, which is read again when it changes.
    Tokens(TokenFile),
    /// Any of several ways.
    Ways(Box<Ways>),
}

/// The ways to be known. Those that are not there let nobody in.
pub struct Ways {
    /// Everybody may ask, on the operator's word; the others are not asked then.
    pub is_open: bool,
    /// Tokens of a file.
    pub tokens: Option<TokenFile>,
    /// Tokens of an issuer.
    pub oidc: Option<Oidc>,
    /// Tokens of clusters, and the rights of their users.
    pub kubernetes: Option<Kubernetes>,
    /// What the journal knows of.
    pub places: KnownPlaces,
    /// The time, for tokens that expire.
    pub clock: Arc<dyn Clock>,
    /// The names under which the server is reached.
    pub public: PublicNames,
}

impl Authenticator {
    /// Lets a caller in or not, by the text behind `Bearer`. `namespaces` are those that the question is narrowed to, if it is: where a
    /// caller's rights are too many to be asked for one by one, only these are.
    ///
    /// # Errors
    /// Why not.
    pub async fn authenticate(&self, bearer: Option<&str>, namespaces: &[Namespace]) -> Result<Caller, Denied> {
        match self {
            Self::Open => Ok(Caller::trusted("anonymous")),
            Self::Tokens(file) => file.authenticate(bearer.ok_or(Denied::Missing)?),
            Self::Ways(ways) => ways.authenticate(bearer, namespaces).await,
        }
    }

    /// Whether the caller may do that on a cluster now, in their own right.
    ///
    /// # Errors
    /// It cannot be found out at the moment.
    pub async fn may(&self, caller: &Caller, request: &Request) -> Result<bool, Denied> {
        match (self, &caller.who) {
            (_, Who::Trusted) => Ok(true),
            (Self::Ways(ways), Who::Citizen(citizen)) => match &ways.kubernetes {
                Some(kubernetes) => kubernetes.may(citizen, request).await,
                None => Ok(false),
            },
            (Self::Ways(ways), Who::Ruled(rules)) => match &ways.oidc {
                Some(oidc) => Ok(oidc.may(rules, request).await),
                None => Ok(false),
            },
            (Self::Open | Self::Tokens(_), Who::Citizen(_) | Who::Ruled(_)) => Ok(false),
        }
    }

    /// Whether the caller may see the figures of the whole: `/metrics` and what the journal takes. Users of a cluster may when it lets
    /// them `get` the path `/metrics`.
    ///
    /// # Errors
    /// It cannot be found out at the moment.
    pub async fn may_see_figures(&self, caller: &Caller) -> Result<bool, Denied> {
        match (self, &caller.who) {
            (_, Who::Trusted) => Ok(true),
            (Self::Ways(ways), Who::Citizen(citizen)) => match &ways.kubernetes {
                Some(kubernetes) => kubernetes.may_get_path(citizen, "/metrics").await,
                None => Ok(false),
            },
            (_, Who::Citizen(_) | Who::Ruled(_)) => Ok(caller.access == Access::All),
        }
    }

    /// Whether the caller's access was decided with every place in view that is known now. A follower asks after it has read a page: what
    /// stands in a place that was not known yet would be passed over for good.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn is_current(&self, caller: &Caller) -> Result<bool, Denied> {
        match (self, &caller.basis) {
            (Self::Ways(ways), Some(basis)) => Ok(Arc::ptr_eq(&ways.places.now().await?, basis)),
            (_, Some(_) | None) => Ok(true),
        }
    }

    /// The names under which the server is reached, where they are configured.
    pub fn public(&self) -> Option<&PublicNames> {
        match self {
            Self::Open | Self::Tokens(_) => None,
            Self::Ways(ways) => Some(&ways.public),
        }
    }

    /// What clients are told of the way to a token, where there is an issuer to get one from.
    pub fn protected_resource(&self) -> Option<ProtectedResource> {
        match self {
            Self::Open | Self::Tokens(_) => None,
            Self::Ways(ways) => ways.oidc.as_ref().map(Oidc::protected_resource),
        }
    }
}

impl Ways {
    async fn authenticate(&self, bearer: Option<&str>, namespaces: &[Namespace]) -> Result<Caller, Denied> {
        if self.is_open {
            return Ok(Caller::trusted("anonymous"));
        }
        let token = bearer.ok_or(Denied::Missing)?;
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Denied::Unknown);
        }
        let mut refused = Denied::Unknown;
        if let Some(file) = &self.tokens {
            match file.authenticate(token) {
                Ok(caller) => return Ok(caller),
                Err(denied) => refused = denied,
            }
        }
        // A token of the issuer is for the issuer to judge; it is shown to nobody else.
        if let Some(oidc) = self.oidc.as_ref().filter(|oidc| oidc.is_issuer_of(token)) {
            return self.by_issuer(oidc, token, namespaces).await;
        }
        if let Some(kubernetes) = &self.kubernetes
            && kubernetes.reviews_tokens()
        {
            return match kubernetes.identify(token).await? {
                Some(citizen) => self.citizen(kubernetes, citizen, namespaces).await,
                None => Err(refused),
            };
        }
        Err(refused)
    }

    async fn by_issuer(&self, oidc: &Oidc, token: &str, namespaces: &[Namespace]) -> Result<Caller, Denied> {
        let claimed = oidc.identify(token, self.clock.now()).await?;
        if let Some(kubernetes) = &self.kubernetes
            && oidc.speaks_for_clusters()
        {
            let citizen = kubernetes.mapped(oidc.clusters(), claimed).ok_or(Denied::Unknown)?;
            return self.citizen(kubernetes, citizen, namespaces).await;
        }
        let places = self.places.now().await?;
        let (access, rules) = oidc.access(&claimed, &places).await;
        let basis = (access != Access::All).then_some(places);
        Ok(Caller { name: claimed.user, access, who: Who::Ruled(rules), basis })
    }

    async fn citizen(&self, kubernetes: &Kubernetes, citizen: Citizen, namespaces: &[Namespace]) -> Result<Caller, Denied> {
        let places = self.places.now().await?;
        let rules = kubernetes.rights(&citizen, &places, namespaces).await?;
        let name = citizen.subject.user.clone();
        Ok(Caller { name, access: Access::Only(rules), who: Who::Citizen(Arc::new(citizen)), basis: Some(places) })
    }
}

/// Whether the access admits a type in a namespace of a cluster, exactly as the journal judges it.
pub fn admits(access: &Access, cluster: &ClusterId, group: &Group, resource: &Resource, namespace: &Namespace) -> bool {
    match access {
        Access::All => true,
        Access::Only(rules) => rules.iter().any(|rule| {
            rule.cluster == *cluster
                && rule.group == *group
                && rule.resource == *resource
                && rule.namespace.as_ref().is_none_or(|of| of == namespace)
        }),
    }
}

/// Whether the access admits a type wherever it is.
pub fn admits_everywhere(access: &Access, cluster: &ClusterId, group: &Group, resource: &Resource) -> bool {
    match access {
        Access::All => true,
        Access::Only(rules) => rules
            .iter()
            .any(|rule| rule.cluster == *cluster && rule.group == *group && rule.resource == *resource && rule.namespace.is_none()),
    }
}
