//! What a token must not get away with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::issuer::{SigningKey, key_set, message};
use super::*;

const ISSUER: &str = "https://login.example.com/realm";
const NOW: i64 = 1_800_000_000;

fn expected() -> Expectations {
    let algorithms = ["RS256", "ES256"].iter().filter_map(|name| SigningAlgorithm::named(name)).collect();
    Expectations {
        issuer: ISSUER.to_owned(),
        audiences: vec!["proreus".to_owned(), "other-name".to_owned()],
        algorithms,
        username_claim: "sub".to_owned(),
        groups_claim: "groups".to_owned(),
        username_prefix: "oidc:".to_owned(),
        groups_prefix: "oidc:".to_owned(),
    }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "proreus", "sub": "alice", "groups": ["sre"], "exp": NOW + 300, "nbf": NOW, "iat": NOW })
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().map(|claims| claims.remove(key))),
        value => claims[key] = value,
    }
    claims
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

fn keys(of: &[&SigningKey]) -> Keys {
    Keys::parse(key_set(of).as_bytes()).expect("keys")
}

fn checked(claims: &Value) -> Result<Claimed, Fault> {
    let key = SigningKey::new("k1");
    check(&key.sign(claims), &keys(&[&key]), &expected(), now())
}

#[test]
fn takes_a_good_token_and_prefixes_its_names() {
    let claimed = checked(&claims()).expect("good");
    assert_eq!(claimed, Claimed { user: "oidc:alice".to_owned(), groups: vec!["oidc:sre".to_owned()] });
    assert!(checked(&with("aud", json!(["x", "other-name"]))).is_ok());
    assert_eq!(checked(&with("groups", json!("sre"))).map(|claimed| claimed.groups), Ok(vec!["oidc:sre".to_owned()]));
    assert_eq!(checked(&with("groups", Value::Null)).map(|claimed| claimed.groups), Ok(Vec::new()));
}

#[test]
fn refuses_each_claim_that_does_not_hold() {
    let claim = |name: &str| Fault::Claim(name.to_owned());
    for (key, value, fault) in [
        ("iss", json!("https://login.example.com/realm/"), Fault::Issuer),
        ("iss", json!([ISSUER]), Fault::Issuer),
        ("iss", Value::Null, Fault::Issuer),
        ("aud", json!("somebody-else"), Fault::Audience),
        ("aud", json!([]), Fault::Audience),
        ("aud", json!({"proreus": 1}), claim("aud")),
        ("aud", Value::Null, claim("aud")),
        ("exp", json!(NOW - SKEW_SECONDS), Fault::Expired),
        ("exp", Value::Null, claim("exp")),
        ("exp", json!((NOW + 300).to_string()), claim("exp")),
        ("exp", json!(1e300), claim("exp")),
        ("nbf", json!(NOW + SKEW_SECONDS + 1), Fault::NotYet),
        ("nbf", json!("soon"), claim("nbf")),
        ("iat", json!(NOW + SKEW_SECONDS + 1), Fault::NotYet),
        ("sub", Value::Null, claim("sub")),
        ("sub", json!(""), claim("sub")),
        ("sub", json!("a\nb"), claim("sub")),
        ("sub", json!(7), claim("sub")),
        ("groups", json!([1]), claim("groups")),
        ("groups", json!({"a": 1}), claim("groups")),
    ] {
        assert_eq!(checked(&with(key, value.clone())), Err(fault), "{key}: {value}");
    }
}

#[test]
fn lets_clocks_differ_by_a_minute_and_no_more() {
    assert!(checked(&with("exp", json!(NOW - SKEW_SECONDS + 1))).is_ok());
    assert!(checked(&with("nbf", json!(NOW + SKEW_SECONDS))).is_ok());
    assert!(checked(&with("exp", json!(NOW as f64 + 0.5))).is_ok());
}

#[test]
fn refuses_other_algorithms_whatever_they_are_signed_with() {
    let key = SigningKey::new("k1");
    let keys = keys(&[&key]);
    let shared = |algorithm: &str| {
        let message = message(&json!({ "alg": algorithm, "kid": "k1" }), &claims());
        // Key confusion: the public key, which everybody has, as the shared secret.
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key.public());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, message.as_bytes()).as_ref()))
    };
    assert_eq!(check(&shared("HS256"), &keys, &expected(), now()), Err(Fault::Algorithm));
    let none = |algorithm: &str| format!("{}.", message(&json!({ "alg": algorithm }), &claims()));
    for name in ["none", "None", "NONE", ""] {
        assert_eq!(check(&none(name), &keys, &expected(), now()), Err(Fault::Malformed), "{name}");
    }
    let es384 = key.sign_under(&json!({ "alg": "ES384", "kid": "k1" }), &claims());
    assert_eq!(check(&es384, &keys, &expected(), now()), Err(Fault::Algorithm));
    let rs256 = key.sign_under(&json!({ "alg": "RS256", "kid": "k1" }), &claims());
    assert_eq!(check(&rs256, &keys, &expected(), now()), Err(Fault::NoKey), "a key of another family is no key for it");
}

#[test]
fn refuses_what_nobody_or_somebody_else_has_signed() {
    let (ours, theirs) = (SigningKey::new("k1"), SigningKey::new("k1"));
    let keys = keys(&[&ours]);
    assert_eq!(check(&theirs.sign(&claims()), &keys, &expected(), now()), Err(Fault::Signature));
    let unknown = SigningKey::new("k2").sign(&claims());
    assert_eq!(check(&unknown, &keys, &expected(), now()), Err(Fault::NoKey));
    let token = ours.sign(&claims());
    let (signed, signature) = token.rsplit_once('.').expect("a token");
    let (header, _) = signed.split_once('.').expect("a token");
    let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(with("sub", json!("root")).to_string()));
    assert_eq!(check(&forged, &keys, &expected(), now()), Err(Fault::Signature));
    for broken in [signed, "", "..", "a.b.c", &format!("{signed}."), &format!("{token}.x")] {
        assert!(check(broken, &keys, &expected(), now()).is_err(), "{broken}");
    }
}

#[test]
fn takes_no_key_from_the_token_itself() {
    let (ours, theirs) = (SigningKey::new("k1"), SigningKey::new("k1"));
    let header = json!({ "alg": "ES256", "kid": "k1", "jwk": theirs.jwk(), "jku": "http://127.0.0.1:1/keys" });
    assert_eq!(check(&theirs.sign_under(&header, &claims()), &keys(&[&ours]), &expected(), now()), Err(Fault::Signature));
}

#[test]
fn refuses_headers_that_ask_for_more_than_is_understood() {
    let key = SigningKey::new("k1");
    let under = |header: Value| check(&key.sign_under(&header, &claims()), &keys(&[&key]), &expected(), now());
    assert!(under(json!({ "alg": "ES256", "kid": "k1", "crit": ["exp"], "exp": 1 })).is_err());
    assert!(under(json!({ "alg": "ES256", "kid": "k1", "typ": "logout+jwt" })).is_err());
    assert!(under(json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" })).is_ok());
    assert!(under(json!({ "alg": "ES256" })).is_ok(), "without an id every key is tried");
}

#[test]
fn leaves_keys_out_that_are_not_for_checking_signatures() {
    let key = SigningKey::new("k1");
    for (field, value) in
        [("use", json!("enc")), ("key_ops", json!(["sign"])), ("crv", json!("P-521")), ("kty", json!("oct")), ("x", json!("!!"))]
    {
        let mut jwk = key.jwk();
        jwk[field] = value;
        assert!(Keys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).is_err(), "{field}");
    }
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#] {
        assert!(Keys::parse(text.as_bytes()).is_err(), "{text}");
    }
    let mut for_another = key.jwk();
    for_another["alg"] = json!("ES384");
    let keys = Keys::parse(json!({ "keys": [for_another] }).to_string().as_bytes()).expect("a key");
    assert_eq!(check(&key.sign(&claims()), &keys, &expected(), now()), Err(Fault::NoKey));
}

#[test]
fn knows_no_algorithm_with_a_shared_secret() {
    for name in ["none", "HS256", "HS384", "HS512", "rs256", ""] {
        assert_eq!(SigningAlgorithm::named(name), None, "{name}");
    }
    for name in SigningAlgorithm::NAMES.split(", ") {
        assert!(SigningAlgorithm::named(name).is_some(), "{name}");
    }
}
