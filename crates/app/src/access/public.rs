//! The names under which the server is reached from outside, and what clients are told of the way to a token (RFC 9728).
//!
//! Pure. Invariant: what a request says of its own host is taken for the server's name only when the configuration knows that name.

use serde_json::{Value, json};

/// What clients are told of the way to a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where tokens come from.
    pub issuer: String,
    /// What to ask for.
    pub scopes: Vec<String>,
}

/// The names under which the server is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicNames {
    /// The URL under which callers know it, without a slash at the end.
    pub url: Option<String>,
    /// Values of `Host` that are answered, with a port or for any port; empty for all.
    pub hosts: Vec<String>,
    /// Values of `Origin` that are answered besides the server's own.
    pub origins: Vec<String>,
}

impl PublicNames {
    /// Whether requests that name this host are answered.
    pub fn admits_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().chain(self.own_authority().as_ref()).any(|known| same_host(known, host))
    }

    /// Whether requests of pages from this origin are answered; `host` is what the request names as its host.
    pub fn admits_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let is_own = |known: &str| authority.is_some_and(|authority| authority.eq_ignore_ascii_case(known));
        self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
            || host.is_some_and(is_own)
            || self.own_authority().as_deref().is_some_and(is_own)
    }

    fn own_authority(&self) -> Option<String> {
        let (_, rest) = self.url.as_deref()?.split_once("://")?;
        rest.split('/').next().map(str::to_owned)
    }

    /// The URL under which the caller knows the server: the configured one, else what the request says, if that may be believed.
    pub fn base(&self, scheme: &str, host: Option<&str>) -> Option<String> {
        self.url.clone().or_else(|| host.map(|host| format!("{scheme}://{host}")))
    }
}

/// Whether a host is the known one: exactly, or on any port when none is known.
fn same_host(known: &str, host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (name.ends_with(']') || !name.contains(':')) => name,
        _ => host,
    };
    known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(without_port)
}

impl Resource {
    /// The metadata of the protected resource at `url`.
    pub fn metadata(&self, url: &str) -> Value {
        json!({
            "resource": url,
            "authorization_servers": [self.issuer],
            "scopes_supported": self.scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": "Proreus",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: Option<&str>, hosts: &[&str], origins: &[&str]) -> PublicNames {
        let texts = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        PublicNames { url: url.map(str::to_owned), hosts: texts(hosts), origins: texts(origins) }
    }

    #[test]
    fn answers_every_host_until_hosts_are_named() {
        assert!(names(None, &[], &[]).admits_host("whatever.example.org"));
        let named = names(Some("https://proreus.example.com"), &["inner.example.com", "10.0.0.5:8080"], &[]);
        for host in ["inner.example.com", "INNER.example.com:8080", "10.0.0.5:8080", "proreus.example.com", "proreus.example.com:443"] {
            assert!(named.admits_host(host), "{host}");
        }
        for host in ["evil.example.org", "inner.example.com.evil.org", "10.0.0.5", "10.0.0.5:80", "", "inner.example.com:80:80"] {
            assert!(!named.admits_host(host), "{host}");
        }
    }

    #[test]
    fn answers_pages_of_its_own_and_of_the_named_origins_only() {
        let named = names(Some("https://proreus.example.com"), &[], &["https://console.example.com"]);
        assert!(named.admits_origin("https://console.example.com", Some("a")));
        assert!(named.admits_origin("https://proreus.example.com", None));
        assert!(named.admits_origin("http://10.0.0.5:8080", Some("10.0.0.5:8080")));
        for origin in ["null", "https://evil.example.org", "https://console.example.com.evil.org", "http://console.example.com", ""] {
            assert!(!named.admits_origin(origin, Some("10.0.0.5:8080")), "{origin}");
        }
    }
}
