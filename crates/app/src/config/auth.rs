//! The part of the configuration that says who may ask: parsed once, then trusted.
//!
//! Pure. Invariant: an address that others can reach is served only with a way to be known, or on the operator's word.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;
use super::file::ClusterEntry;
use crate::access::{KindPattern, KubernetesOptions, OidcOptions, PublicNames, SigningAlgorithm, StaticRule, is_private};

/// Most rules, and most words of one list: each is compared with each place that the journal knows.
const MAX_WORDS: usize = 1_000;
/// Algorithms when none are named: what every issuer offers, and what the newer ones prefer.
const DEFAULT_ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// Who may ask.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthSection {
    /// Bearer tokens, one a line.
    pub token_file: Option<String>,
    /// Tokens of an OpenID Connect issuer.
    pub oidc: Option<OidcSection>,
    /// Tokens of clusters.
    pub kubernetes: Option<KubernetesSection>,
    /// Values of `Host` that are answered.
    pub allowed_hosts: Option<Vec<String>>,
    /// Values of `Origin` that are answered.
    pub allowed_origins: Option<Vec<String>>,
    /// The URL under which callers know the server.
    pub public_url: Option<String>,
}

/// Tokens of an OpenID Connect issuer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OidcSection {
    /// The issuer, exactly as tokens name it.
    pub issuer: Option<String>,
    /// What tokens must be for.
    pub audiences: Option<Vec<String>>,
    /// Authorities that the issuer's certificate is checked by.
    pub ca_file: Option<String>,
    /// Claim that names the user.
    pub username_claim: Option<String>,
    /// What goes before the name.
    pub username_prefix: Option<String>,
    /// Claim that lists the groups.
    pub groups_claim: Option<String>,
    /// What goes before each group.
    pub groups_prefix: Option<String>,
    /// Algorithms that are accepted.
    pub algorithms: Option<Vec<String>>,
    /// Scopes that clients ask for.
    pub scopes: Option<Vec<String>>,
    /// The callers are users of these clusters.
    pub kubernetes_clusters: Option<Vec<String>>,
    /// What callers may read otherwise.
    pub access: Option<Vec<RuleSection>>,
}

/// One rule of access.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuleSection {
    /// For these users.
    pub users: Option<Vec<String>>,
    /// For members of these groups.
    pub groups: Option<Vec<String>>,
    /// Everything.
    pub all: bool,
    /// In these clusters.
    pub clusters: Option<Vec<String>>,
    /// In these namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Of these types.
    pub kinds: Option<Vec<String>>,
}

/// Tokens of clusters.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubernetesSection {
    /// What tokens must be for; left out, the API server's own audience.
    pub audiences: Option<Vec<String>>,
    /// Clusters that are shown the tokens; left out, the only one.
    pub clusters: Option<Vec<String>>,
}

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthSettings {
    /// Everybody: we listen on loopback.
    Loopback,
    /// Everybody, on any address, on the operator's word.
    InsecureOpen,
    /// Bearer tokens of this file.
    TokenFile(PathBuf),
    /// Several ways, or names that are answered.
    Ways(Box<WaysSettings>),
}

impl AuthSettings {
    /// Whether everybody who reaches an address beyond this machine is answered.
    pub fn is_insecure(&self) -> bool {
        match self {
            Self::InsecureOpen => true,
            Self::Loopback | Self::TokenFile(_) => false,
            Self::Ways(ways) => ways.is_insecure,
        }
    }
}

/// The ways to be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaysSettings {
    /// No way is configured, and everybody is let in.
    pub is_open: bool,
    /// The same, on an address that others reach.
    pub is_insecure: bool,
    /// Bearer tokens of this file.
    pub token_file: Option<PathBuf>,
    /// Tokens of an issuer.
    pub oidc: Option<OidcOptions>,
    /// Tokens of clusters.
    pub kubernetes: Option<KubernetesOptions>,
    /// The names under which the server is reached.
    pub public: PublicNames,
}

/// Settles who may ask. `token_file` is the one of the layer that won; `clusters` are those that are watched.
pub(super) fn resolve(
    origin: &str,
    listen: SocketAddr,
    token_file: Option<String>,
    insecure: bool,
    section: &AuthSection,
    clusters: &[ClusterEntry],
) -> Result<AuthSettings, ConfigError> {
    let place = Place { origin };
    let oidc = section.oidc.as_ref().map(|section| oidc(&place, section, clusters)).transpose()?;
    let kubernetes = section.kubernetes.as_ref().map(|section| kubernetes(&place, section, clusters)).transpose()?;
    let public = public(&place, section)?;
    if oidc.is_none() && kubernetes.is_none() && public == PublicNames::default() {
        return simple(listen, token_file, insecure);
    }
    let mut ways = WaysSettings { oidc, kubernetes, public, ..WaysSettings::default() };
    if token_file.is_none() && ways.oidc.is_none() && ways.kubernetes.is_none() {
        let settled = simple(listen, None, insecure)?;
        ways.is_open = true;
        ways.is_insecure = settled == AuthSettings::InsecureOpen;
    }
    ways.token_file = token_file.map(PathBuf::from);
    Ok(AuthSettings::Ways(Box::new(ways)))
}

fn simple(listen: SocketAddr, token_file: Option<String>, insecure: bool) -> Result<AuthSettings, ConfigError> {
    match (token_file, listen.ip().is_loopback(), insecure) {
        (Some(path), _, _) => Ok(AuthSettings::TokenFile(PathBuf::from(path))),
        (None, true, _) => Ok(AuthSettings::Loopback),
        (None, false, true) => Ok(AuthSettings::InsecureOpen),
        (None, false, false) => Err(ConfigError {
            origin: "configuration".to_owned(),
            key: "auth.tokenFile".to_owned(),
            problem: format!("is not set, and {listen} can be reached by others"),
            hint: "set auth.tokenFile (--token-file), auth.oidc or auth.kubernetes, listen on 127.0.0.1, or say --insecure-no-auth"
                .to_owned(),
        }),
    }
}

/// Where a value was found.
struct Place<'a> {
    origin: &'a str,
}

impl Place<'_> {
    fn refuse(&self, key: impl Into<String>, problem: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { origin: self.origin.to_owned(), key: key.into(), problem: problem.into(), hint: hint.into() }
    }

    /// A list without empty words; `None` and an empty list are the same.
    fn words(&self, key: &str, list: Option<&Vec<String>>) -> Result<Vec<String>, ConfigError> {
        let list = list.cloned().unwrap_or_default();
        if list.len() > MAX_WORDS {
            return Err(self.refuse(key, format!("has {} entries", list.len()), format!("give at most {MAX_WORDS}")));
        }
        match list.iter().position(|word| word.trim().is_empty()) {
            Some(index) => Err(self.refuse(format!("{key}[{index}]"), "is empty", "leave it out")),
            None => Ok(list),
        }
    }

    /// A list of configured clusters.
    fn clusters(&self, key: &str, list: Option<&Vec<String>>, known: &[ClusterEntry]) -> Result<Vec<String>, ConfigError> {
        let names: Vec<String> = known.iter().filter_map(|entry| entry.name.clone().or_else(|| entry.context.clone())).collect();
        let words = self.words(key, list)?;
        // A cluster that is watched without a name is called by its context, which only the kubeconfig tells.
        let all_named = !known.is_empty() && names.len() == known.len();
        match words.iter().position(|word| all_named && !names.contains(word)) {
            Some(index) => Err(self.refuse(
                format!("{key}[{index}]"),
                format!("`{}` is no name of a cluster that is watched", words[index]),
                format!("give one of {}", names.join(", ")),
            )),
            None => Ok(words),
        }
    }
}

fn oidc(place: &Place<'_>, section: &OidcSection, clusters: &[ClusterEntry]) -> Result<OidcOptions, ConfigError> {
    let issuer = section.issuer.clone().filter(|issuer| !issuer.is_empty());
    let issuer = issuer.ok_or_else(|| place.refuse("auth.oidc.issuer", "is not set", "give the issuer's URL, as its tokens name it"))?;
    if !is_private(&issuer) || issuer.contains(['?', '#']) {
        let hint = "give an https URL without query; http is taken for this machine only";
        return Err(place.refuse("auth.oidc.issuer", format!("`{issuer}` is no URL of an issuer"), hint));
    }
    let audiences = place.words("auth.oidc.audiences", section.audiences.as_ref())?;
    if audiences.is_empty() {
        let hint = "name what tokens for this server are made for, such as the client id; else every token of the issuer would do";
        return Err(place.refuse("auth.oidc.audiences", "is not set", hint));
    }
    let rules =
        section.access.iter().flatten().enumerate().map(|(index, section)| rule(place, index, section)).collect::<Result<Vec<_>, _>>()?;
    let kubernetes_clusters = place.clusters("auth.oidc.kubernetesClusters", section.kubernetes_clusters.as_ref(), clusters)?;
    if !rules.is_empty() && !kubernetes_clusters.is_empty() {
        let hint = "keep kubernetesClusters to let the clusters decide, or access to let these rules decide";
        return Err(place.refuse("auth.oidc.access", "is set beside `auth.oidc.kubernetesClusters`", hint));
    }
    let username_prefix = section.username_prefix.clone().unwrap_or_default();
    for (key, prefix) in [("auth.oidc.usernamePrefix", Some(&username_prefix)), ("auth.oidc.groupsPrefix", section.groups_prefix.as_ref())]
    {
        if prefix.is_some_and(|prefix| prefix.starts_with("system:")) {
            return Err(place.refuse(key, "begins with `system:`", "Kubernetes keeps these names for itself; give another prefix"));
        }
    }
    let claim = |key: &str, claim: &Option<String>, default: &str| match claim.as_deref() {
        Some("") => Err(place.refuse(key, "is empty", "leave it out for the default")),
        claim => Ok(claim.unwrap_or(default).to_owned()),
    };
    let scopes = match &section.scopes {
        None => vec!["openid".to_owned()],
        Some(scopes) => place.words("auth.oidc.scopes", Some(scopes))?,
    };
    // RFC 6749: what a scope may hold, so that it can stand in a header.
    if let Some(index) = scopes.iter().position(|scope| !scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'))
    {
        return Err(place.refuse(
            format!("auth.oidc.scopes[{index}]"),
            format!("`{}` is no scope", scopes[index]),
            "give words such as openid",
        ));
    }
    Ok(OidcOptions {
        issuer,
        audiences,
        ca_file: section.ca_file.clone().map(PathBuf::from),
        username_claim: claim("auth.oidc.usernameClaim", &section.username_claim, "sub")?,
        username_prefix,
        groups_claim: claim("auth.oidc.groupsClaim", &section.groups_claim, "groups")?,
        groups_prefix: section.groups_prefix.clone().unwrap_or_default(),
        algorithms: algorithms(place, section.algorithms.as_ref())?,
        scopes,
        clusters: kubernetes_clusters,
        rules,
    })
}

fn algorithms(place: &Place<'_>, list: Option<&Vec<String>>) -> Result<Vec<SigningAlgorithm>, ConfigError> {
    let key = "auth.oidc.algorithms";
    let mut names = place.words(key, list)?;
    if names.is_empty() {
        names = DEFAULT_ALGORITHMS.map(str::to_owned).to_vec();
    }
    let one = |(index, name): (usize, &String)| {
        SigningAlgorithm::named(name).ok_or_else(|| {
            let problem = format!("`{name}` is not accepted");
            place.refuse(format!("{key}[{index}]"), problem, format!("give some of {}", SigningAlgorithm::NAMES))
        })
    };
    names.iter().enumerate().map(one).collect()
}

fn rule(place: &Place<'_>, index: usize, section: &RuleSection) -> Result<StaticRule, ConfigError> {
    let key = |name: &str| format!("auth.oidc.access[{index}]{name}");
    let words = |name: &str, list: &Option<Vec<String>>| place.words(&key(name), list.as_ref());
    let kinds = words(".kinds", &section.kinds)?;
    let kinds: Result<Vec<KindPattern>, ConfigError> = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| {
            let hint = "write `pods`, `deployments.apps`, `*.example.com`, `pods.core` or `pods/log`";
            kind.parse::<KindPattern>().map_err(|error| place.refuse(key(&format!(".kinds[{at}]")), format!("{error}"), hint))
        })
        .collect();
    let rule = StaticRule {
        users: words(".users", &section.users)?,
        groups: words(".groups", &section.groups)?,
        all: section.all,
        clusters: words(".clusters", &section.clusters)?,
        namespaces: words(".namespaces", &section.namespaces)?,
        kinds: kinds?,
    };
    if rule.users.is_empty() && rule.groups.is_empty() {
        return Err(place.refuse(key(""), "names nobody", "give `users` or `groups`"));
    }
    let narrows = !(rule.clusters.is_empty() && rule.namespaces.is_empty() && rule.kinds.is_empty());
    match (rule.all, narrows) {
        (true, true) => Err(place.refuse(key(".all"), "is set beside what narrows it", "keep `all`, or clusters, namespaces and kinds")),
        (false, false) => Err(place.refuse(key(""), "does not say what may be read", "give clusters, namespaces or kinds, or `all: true`")),
        (true, false) | (false, true) => Ok(rule),
    }
}

fn kubernetes(place: &Place<'_>, section: &KubernetesSection, clusters: &[ClusterEntry]) -> Result<KubernetesOptions, ConfigError> {
    let token_clusters = place.clusters("auth.kubernetes.clusters", section.clusters.as_ref(), clusters)?;
    if token_clusters.is_empty() && clusters.len() > 1 {
        let hint = "name those that may see callers' tokens: a cluster that sees a token can use it";
        return Err(place.refuse("auth.kubernetes.clusters", "is not set, and several clusters are watched", hint));
    }
    Ok(KubernetesOptions { token_clusters, audiences: place.words("auth.kubernetes.audiences", section.audiences.as_ref())? })
}

fn public(place: &Place<'_>, section: &AuthSection) -> Result<PublicNames, ConfigError> {
    let url = section.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    if let Some(url) = &url {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if !rest.is_some_and(|rest| is_authority(rest.split('/').next().unwrap_or_default()) && is_plain(rest)) {
            let hint = "give a URL such as https://proreus.example.com";
            return Err(place.refuse("auth.publicUrl", format!("`{url}` is no URL of a server"), hint));
        }
    }
    let hosts = place.words("auth.allowedHosts", section.allowed_hosts.as_ref())?;
    if let Some(index) = hosts.iter().position(|host| !is_authority(host)) {
        let problem = format!("`{}` is no host", hosts[index]);
        return Err(place.refuse(
            format!("auth.allowedHosts[{index}]"),
            problem,
            "give a name or address, with a port if only that one is meant",
        ));
    }
    let origins = place.words("auth.allowedOrigins", section.allowed_origins.as_ref())?;
    let is_origin = |origin: &String| {
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        rest.is_some_and(is_authority)
    };
    if let Some(index) = origins.iter().position(|origin| !is_origin(origin)) {
        let problem = format!("`{}` is no origin", origins[index]);
        return Err(place.refuse(
            format!("auth.allowedOrigins[{index}]"),
            problem,
            "give a scheme and a host, such as https://console.example.com",
        ));
    }
    Ok(PublicNames { url, hosts, origins })
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'?' | b'#' | b'@'))
}

fn is_authority(text: &str) -> bool {
    !text.is_empty() && is_plain(text) && !text.contains('/') && !text.contains('*')
}

#[cfg(test)]
mod tests;
