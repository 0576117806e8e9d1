//! How a webhook is signed: by the Standard Webhooks scheme, for which receivers find ready code in most languages.
//!
//! Pure. HMAC-SHA-256 over `id.timestamp.body`, in base64 behind `v1,`. The receiver checks the time too, so an old request cannot be sent again
//! by somebody who listened.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// In front of a secret that is written in base64, by the scheme.
const ENCODED: &str = "whsec_";

/// The value of `webhook-signature`.
pub(crate) fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let text = secret.reveal();
    let decoded = text.strip_prefix(ENCODED).and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = decoded.as_deref().unwrap_or(text.as_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::secret::SecretFile;

    async fn secret(text: &str) -> Secret {
        let directory = tempfile::tempdir().unwrap();
        let file = SecretFile(directory.path().join("secret"));
        std::fs::write(&file.0, text).unwrap();
        file.read().await.unwrap()
    }

    #[tokio::test]
    async fn signs_as_the_scheme_says() {
        // The example of the scheme's own specification.
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").await;
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[tokio::test]
    async fn a_secret_in_plain_text_is_its_own_key() {
        let plain = sign(&secret("it is a secret").await, "a", 1, b"{}");
        let encoded = sign(&secret(&format!("whsec_{}", STANDARD.encode("it is a secret"))).await, "a", 1, b"{}");
        assert_eq!(plain, encoded);
        assert_ne!(plain, sign(&secret("it is a secret").await, "a", 2, b"{}"));
    }
}
