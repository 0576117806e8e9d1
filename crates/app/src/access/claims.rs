//! What a token of an issuer proves: the signature by one of the issuer's keys, then every claim that the answer depends on.
//!
//! Pure: keys, expectations and the time are arguments. Invariants: nothing a token says is used before its signature is found to be good;
//! the algorithm is one of those allowed and of the key's own family, so neither `none` nor a shared secret can ever be one.

use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous, decode, decode_header};
use serde_json::Value;

use super::ring_verifier;

/// Most keys of an issuer that are looked at: issuers have two or three, and twice that while they rotate.
const MAX_KEYS: usize = 64;
/// How far two clocks may be apart: a minute is what synchronised machines never reach.
pub(super) const SKEW_SECONDS: i64 = 60;
/// Longest user name, and longest name of a group.
const MAX_NAME_BYTES: usize = 1_024;
/// Most groups of one caller: each is compared with each rule, or told to an API server.
const MAX_GROUPS: usize = 1_000;

/// An algorithm that may be allowed: each checks a signature by a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningAlgorithm(Algorithm);

impl SigningAlgorithm {
    /// The names that are allowed.
    pub const NAMES: &str = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA";

    /// The algorithm of that name.
    pub fn named(name: &str) -> Option<Self> {
        let algorithm = match name {
            "RS256" => Algorithm::RS256,
            "RS384" => Algorithm::RS384,
            "RS512" => Algorithm::RS512,
            "PS256" => Algorithm::PS256,
            "PS384" => Algorithm::PS384,
            "PS512" => Algorithm::PS512,
            "ES256" => Algorithm::ES256,
            "ES384" => Algorithm::ES384,
            "EdDSA" => Algorithm::EdDSA,
            _ => return None,
        };
        Some(Self(algorithm))
    }
}

/// What a token has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expectations {
    pub(super) issuer: String,
    /// One of these.
    pub(super) audiences: Vec<String>,
    pub(super) algorithms: Vec<SigningAlgorithm>,
    pub(super) username_claim: String,
    pub(super) groups_claim: String,
    pub(super) username_prefix: String,
    pub(super) groups_prefix: String,
}

/// Who a token says its bearer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// User name, with the configured prefix.
    pub user: String,
    /// Groups, each with the configured prefix.
    pub groups: Vec<String>,
}

/// Why a token proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is no signed token of an allowed form")]
    Malformed,
    #[error("its algorithm is not allowed")]
    Algorithm,
    #[error("no key of the issuer fits it")]
    NoKey,
    #[error("its signature does not fit")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("its claim `{0}` is missing or not of an allowed form")]
    Claim(String),
}

/// An issuer's public keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    /// The algorithm that the key is for, when it says so.
    algorithm: Option<KeyAlgorithm>,
    fits: Fits,
    key: DecodingKey,
}

/// Which algorithms a key can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Fits {
    fn of(key: &AlgorithmParameters) -> Option<Self> {
        match key {
            AlgorithmParameters::RSA(_) => Some(Self::Rsa),
            AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => Some(Self::P256),
            AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P384 => Some(Self::P384),
            AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => Some(Self::Ed25519),
            // A shared secret among the keys is not for us, nor is what this program does not know.
            _ => None,
        }
    }

    fn checks(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => matches!(
                algorithm,
                Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512
            ),
            Self::P256 => algorithm == Algorithm::ES256,
            Self::P384 => algorithm == Algorithm::ES384,
            Self::Ed25519 => algorithm == Algorithm::EdDSA,
        }
    }
}

impl Keys {
    /// The usable keys of a key set's text. Those of unknown kinds are left out.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(text).map_err(|_| "the key set is no JSON".to_owned())?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("the key set has no `keys`")?;
        let usable: Vec<Key> = keys.iter().take(MAX_KEYS).filter_map(Key::usable).collect();
        if usable.is_empty() { Err("the key set has no key that could be used".to_owned()) } else { Ok(Self(usable)) }
    }

    /// The keys that may have signed.
    fn fitting<'a>(&'a self, algorithm: Algorithm, id: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            key.fits.checks(algorithm)
                && key.algorithm.is_none_or(|of| of == KeyAlgorithm::from(algorithm))
                && id.is_none_or(|id| key.id.as_deref().is_none_or(|of| of == id))
        })
    }
}

impl Key {
    fn usable(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let common = &jwk.common;
        let is_for_signatures = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let fits = Fits::of(&jwk.algorithm).filter(|_| is_for_signatures)?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: common.key_id.clone(), algorithm: common.key_algorithm, fits, key })
    }
}

/// The issuer that a token names, unproven: only good for finding out who is to judge it.
pub(super) fn named_issuer(token: &str) -> Option<String> {
    let claims: Value = dangerous::insecure_decode_claims(token).ok()?;
    claims.get("iss").and_then(Value::as_str).map(str::to_owned)
}

/// Who the token says its bearer is, when everything holds at `now`.
pub(super) fn check(token: &str, keys: &Keys, expected: &Expectations, now: Timestamp) -> Result<Claimed, Fault> {
    ring_verifier::install();
    let header = decode_header(token).map_err(|_| Fault::Malformed)?;
    if !expected.algorithms.contains(&SigningAlgorithm(header.alg)) {
        return Err(Fault::Algorithm);
    }
    // `at+jwt` is RFC 9068's; a token of another type was made for something else.
    if header.typ.as_deref().is_some_and(|of| !["jwt", "at+jwt", "application/at+jwt"].contains(&of.to_ascii_lowercase().as_str())) {
        return Err(Fault::Malformed);
    }
    let claims = proven(token, header.alg, header.kid.as_deref(), keys)?;
    judge(&claims, expected, now)
}

/// The claims, once a key of the issuer is found to have signed them. Everything else is left to `judge`.
fn proven(token: &str, algorithm: Algorithm, id: Option<&str>, keys: &Keys) -> Result<Value, Fault> {
    let mut signature_only = Validation::new(algorithm);
    signature_only.required_spec_claims.clear();
    (signature_only.validate_exp, signature_only.validate_nbf, signature_only.validate_aud) = (false, false, false);
    let mut fault = Fault::NoKey;
    for key in keys.fitting(algorithm, id) {
        match decode::<Value>(token, &key.key, &signature_only) {
            Ok(proven) => return Ok(proven.claims),
            Err(_) => fault = Fault::Signature,
        }
    }
    Err(fault)
}

fn judge(claims: &Value, expected: &Expectations, now: Timestamp) -> Result<Claimed, Fault> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer.as_str()) {
        return Err(Fault::Issuer);
    }
    let audiences = texts(claims.get("aud")).ok_or_else(|| Fault::Claim("aud".to_owned()))?;
    if !audiences.iter().any(|audience| expected.audiences.contains(audience)) {
        return Err(Fault::Audience);
    }
    let now = now.as_second();
    let expires = seconds(claims, "exp")?.ok_or_else(|| Fault::Claim("exp".to_owned()))?;
    if now.saturating_sub(SKEW_SECONDS) >= expires {
        return Err(Fault::Expired);
    }
    for claim in ["nbf", "iat"] {
        if seconds(claims, claim)?.is_some_and(|from| from > now.saturating_add(SKEW_SECONDS)) {
            return Err(Fault::NotYet);
        }
    }
    let user = claims.get(&expected.username_claim).and_then(Value::as_str).filter(|name| is_name(name));
    let user = user.ok_or_else(|| Fault::Claim(expected.username_claim.clone()))?;
    // Only what the issuer vouches for: an address that it has not verified may be anybody's.
    if expected.username_claim == "email" && claims.get("email_verified").is_some_and(|verified| *verified != Value::Bool(true)) {
        return Err(Fault::Claim("email_verified".to_owned()));
    }
    let groups = match claims.get(&expected.groups_claim) {
        None | Some(Value::Null) => Vec::new(),
        Some(found) => texts(Some(found)).ok_or_else(|| Fault::Claim(expected.groups_claim.clone()))?,
    };
    if groups.len() > MAX_GROUPS || !groups.iter().all(|group| is_name(group)) {
        return Err(Fault::Claim(expected.groups_claim.clone()));
    }
    let groups = groups.into_iter().map(|group| format!("{}{group}", expected.groups_prefix)).collect();
    Ok(Claimed { user: format!("{}{user}", expected.username_prefix), groups })
}

/// Names go into logs and into questions to API servers.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control)
}

/// A text or a list of texts; anything else is none.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// A time in seconds, cut to whole ones; one that is there and no time is a fault.
fn seconds(claims: &Value, claim: &str) -> Result<Option<i64>, Fault> {
    let fault = || Fault::Claim(claim.to_owned());
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds)),
            // Beyond this a float no longer tells seconds apart, and no token lives that long.
            (None, Some(seconds)) if seconds.abs() < 1e15 => Ok(Some(seconds as i64)),
            _ => Err(fault()),
        },
        Some(_) => Err(fault()),
    }
}

#[cfg(test)]
mod tests;
