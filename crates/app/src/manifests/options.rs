//! The options of the manifests as types: each holds only what Kubernetes accepts and YAML cannot misread.
//!
//! Pure.

use std::fmt;
use std::str::FromStr;

use crate::config::{MIN_DISK_BYTES, parse_bytes};

/// Longest DNS label, by RFC 1123.
const MAX_LABEL: usize = 63;
/// Longest name of a StatefulSet: it goes into a label of its pods, which is a DNS label, with eleven more signs behind it.
const MAX_WORKLOAD: usize = 52;
/// Longest DNS name that Kubernetes takes.
const MAX_DNS_NAME: usize = 253;
/// Longest image reference taken: registries allow 255 for the name, and a digest has 71.
const MAX_IMAGE: usize = 400;
/// Smallest volume: the smallest journal bound is 64 MiB, and 90 % of the volume has to reach it.
const MIN_STORAGE_BYTES: u64 = 128 * 1024 * 1024;
/// Shortest token: 32 random bytes are 43 signs in base64, and 32 signs leave no room for a word.
const MIN_TOKEN: usize = 32;
/// Longest token: HTTP servers take headers of 8 KiB.
const MAX_TOKEN: usize = 1024;

/// Why an option is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {what}; give {allowed}")]
pub struct OptionError {
    /// What was given; a token is never repeated.
    pub found: String,
    /// What it was meant to be.
    pub what: &'static str,
    /// What may be given.
    pub allowed: &'static str,
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = OptionError;

            fn from_str(text: &str) -> Result<Self, OptionError> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(text) { Ok(Self(text.to_owned())) } else { Err(OptionError { found: text.to_owned(), what: $what, allowed: $allowed }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// Name of a namespace: a DNS label.
    NamespaceName,
    "name of a namespace",
    "up to 63 lower-case letters, digits and inner hyphens",
    |text| text.len() <= MAX_LABEL && is_dns_label(text)
);
checked_text!(
    /// Name of the StatefulSet and its Service: a DNS label that begins with a letter.
    WorkloadName,
    "name of a StatefulSet with its Service",
    "up to 52 lower-case letters, digits and inner hyphens, beginning with a letter",
    |text| text.len() <= MAX_WORKLOAD && is_dns_label(text) && text.starts_with(|first: char| first.is_ascii_lowercase())
);
checked_text!(
    /// Name of a StorageClass or of an API group: DNS labels with dots between them.
    DnsName,
    "name of a StorageClass or API group",
    "up to 253 lower-case letters, digits, inner hyphens and dots",
    |text| text.len() <= MAX_DNS_NAME && text.split('.').all(is_dns_label)
);
checked_text!(
    /// An image as a container runtime takes it: `registry/path:tag` or with a digest.
    ImageReference,
    "image",
    "a reference such as registry.example.com/proreus:0.1.0, with a tag or a digest",
    |text| {
        let inner = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_' | '-' | '/' | ':' | '@');
        text.len() <= MAX_IMAGE
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.ends_with(|last: char| last.is_ascii_alphanumeric())
            && text.chars().all(inner)
    }
);

/// A size of a volume, such as `50Gi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageQuantity {
    text: String,
    bytes: u64,
}

/// Bytes the journal may take, such as `40Gi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalBound(u64);

/// A bearer token. It cannot be printed; `reveal` says on purpose what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

fn is_dns_label(text: &str) -> bool {
    let inner = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

impl StorageQuantity {
    /// The size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl JournalBound {
    /// The bound in bytes.
    pub fn bytes(&self) -> u64 {
        self.0
    }
}

impl BearerToken {
    /// A token of 32 random bytes, as 64 hexadecimal digits.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The token itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for StorageQuantity {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let allowed = "a whole number of bytes with a suffix, such as 50Gi, of at least 128Mi";
        let refuse = || OptionError { found: text.to_owned(), what: "size of a volume", allowed };
        let bytes = parse_bytes(text).filter(|bytes| *bytes >= MIN_STORAGE_BYTES).ok_or_else(refuse)?;
        Ok(Self { text: text.to_owned(), bytes })
    }
}

impl FromStr for JournalBound {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let allowed = "a whole number of bytes, with a suffix if you like, such as 40Gi, of at least 64Mi";
        let refuse = || OptionError { found: text.to_owned(), what: "bound for a journal", allowed };
        parse_bytes(text).filter(|bytes| *bytes >= MIN_DISK_BYTES).map(Self).ok_or_else(refuse)
    }
}

impl FromStr for BearerToken {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        // What RFC 6750 allows in the header.
        let inner = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '.' | '_' | '~' | '+' | '/' | '=');
        let valid = (MIN_TOKEN..=MAX_TOKEN).contains(&text.len()) && text.chars().all(inner);
        let allowed = "32 to 1024 letters, digits and any of - . _ ~ + / =";
        if valid { Ok(Self(text.to_owned())) } else { Err(OptionError { found: "(hidden)".to_owned(), what: "bearer token", allowed }) }
    }
}

impl fmt::Display for StorageQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_kubernetes_or_yaml_would_misread() {
        for text in ["", "Proreus", "-a", "a-", "a.b", "a b", "a\"b", "a\nb", "ä", &"a".repeat(64)] {
            assert!(text.parse::<NamespaceName>().is_err(), "{text}");
            assert!(text.parse::<WorkloadName>().is_err(), "{text}");
        }
        for text in ["1st", &"a".repeat(53)] {
            assert!(text.parse::<NamespaceName>().is_ok(), "{text}");
            assert!(text.parse::<WorkloadName>().is_err(), "{text}");
        }
        for text in ["", ".", "a..b", "a.b.", "A.b", "*"] {
            assert!(text.parse::<DnsName>().is_err(), "{text}");
        }
        assert_eq!("infra.example.com".parse::<DnsName>().map(|name| name.to_string()), Ok("infra.example.com".to_owned()));
    }

    #[test]
    fn refuses_images_that_could_break_out_of_their_quotes() {
        for text in ["", "a\"b", "a b", "a:", "/a", "a\n- b", "${name}"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
        for text in ["proreus", "registry.example.com:5000/team/proreus:0.1.0", "a/b@sha256:0123abcd"] {
            assert!(text.parse::<ImageReference>().is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_a_volume_too_small_for_a_journal() {
        for text in ["", "50", "127Mi", "5 Gi", "lots"] {
            assert!(text.parse::<StorageQuantity>().is_err(), "{text}");
        }
        assert_eq!("50Gi".parse::<StorageQuantity>().map(|storage| storage.bytes()), Ok(50 << 30));
    }

    #[test]
    fn never_prints_a_token() {
        let token = BearerToken::from_bytes([0xab; 32]);
        assert_eq!(format!("{token:?}"), "BearerToken(hidden)");
        let refused = "short-secret".parse::<BearerToken>().expect_err("too short");
        assert!(!refused.to_string().contains("short-secret"), "{refused}");
    }

    #[test]
    fn makes_a_token_that_it_would_accept() {
        let token = BearerToken::from_bytes([7; 32]);
        assert_eq!(token.reveal().parse(), Ok(token.clone()));
    }
}
