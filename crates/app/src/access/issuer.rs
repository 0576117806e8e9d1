//! A small issuer for tests: keys made here, tokens signed here, documents served on loopback.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A key with its id.
pub(super) struct SigningKey {
    pub(super) id: String,
    key: EcdsaKeyPair,
}

impl SigningKey {
    pub(super) fn new(id: &str) -> Self {
        let pkcs8 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key").serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new()).expect("a key");
        Self { id: id.to_owned(), key }
    }

    /// The public half as it stands in a key set.
    pub(super) fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
    }

    /// The public half as bytes, for attempts to use it as a shared secret.
    pub(super) fn public(&self) -> Vec<u8> {
        self.key.public_key().as_ref().to_vec()
    }

    /// A token of these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_under(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.id }), claims)
    }

    /// The same under any header.
    pub(super) fn sign_under(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// What is signed of a token.
pub(super) fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A key set's text.
pub(super) fn key_set(keys: &[&SigningKey]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}

/// What an issuer serves; tests change it while it runs.
#[derive(Default)]
pub(super) struct Served {
    pub(super) discovery: Option<Value>,
    pub(super) keys: String,
    /// Fetches of the key set.
    pub(super) fetched: usize,
}

/// A running issuer.
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) served: Arc<Mutex<Served>>,
    task: tokio::task::JoinHandle<()>,
}

impl Issuer {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/realm", listener.local_addr().expect("an address"));
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let served = Arc::new(Mutex::new(Served { discovery: Some(discovery), ..Served::default() }));
        let (documents, keys) = (served.clone(), served.clone());
        let unavailable = || Err(axum::http::StatusCode::SERVICE_UNAVAILABLE);
        let app = axum::Router::new()
            .route(
                "/realm/.well-known/openid-configuration",
                axum::routing::get(move || {
                    let discovery = documents.lock().expect("served").discovery.clone();
                    async move { discovery.map_or_else(unavailable, |discovery| Ok(discovery.to_string())) }
                }),
            )
            .route(
                "/realm/keys",
                axum::routing::get(move || {
                    let mut served = keys.lock().expect("served");
                    served.fetched += 1;
                    let text = served.keys.clone();
                    async move { text }
                }),
            );
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("served");
        });
        Self { url, served, task }
    }

    pub(super) fn serve_keys(&self, keys: &[&SigningKey]) {
        self.served.lock().expect("served").keys = key_set(keys);
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
