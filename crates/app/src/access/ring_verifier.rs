//! Checks signatures of tokens by the one cryptography this program has.
//!
//! Verifies only, public keys only: there is no way in here to sign, and no secret that both sides share. Invariant: an algorithm is
//! checked with a key of its own family or not at all.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature as ring_signature;

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: no_signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes the checking of tokens ready; every time but the first does nothing.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if PROVIDER.install_default().is_err() {
            tracing::error!("another part of the process set a cryptography for tokens");
        }
    });
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(new_error(ErrorKind::UnsupportedAlgorithm))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let key = match (algorithm.family(), key.family(), key.kind()) {
        (AlgorithmFamily::Rsa, AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Key::Rsa(rsa_parameters(*algorithm)?, n.clone(), e.clone())
        }
        (AlgorithmFamily::Ec, AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point))
        | (AlgorithmFamily::Ed, AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(point)) => {
            Key::Point(curve_parameters(*algorithm)?, point.clone())
        }
        _ => return Err(new_error(ErrorKind::InvalidKeyFormat)),
    };
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key }))
}

fn rsa_parameters(algorithm: Algorithm) -> Result<&'static ring_signature::RsaParameters> {
    // Keys of less than 2048 bits are refused by all of these.
    match algorithm {
        Algorithm::RS256 => Ok(&ring_signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Ok(&ring_signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Ok(&ring_signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Ok(&ring_signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Ok(&ring_signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Ok(&ring_signature::RSA_PSS_2048_8192_SHA512),
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

fn curve_parameters(algorithm: Algorithm) -> Result<&'static dyn ring_signature::VerificationAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Ok(&ring_signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Ok(&ring_signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Ok(&ring_signature::ED25519),
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

enum Key {
    Rsa(&'static ring_signature::RsaParameters, Vec<u8>, Vec<u8>),
    Point(&'static dyn ring_signature::VerificationAlgorithm, Vec<u8>),
}

struct RingVerifier {
    algorithm: Algorithm,
    key: Key,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> std::result::Result<(), Error> {
        let verified = match &self.key {
            Key::Rsa(parameters, n, e) => {
                // Leading zeros are no part of the number, and ring refuses them.
                let trimmed = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
                ring_signature::RsaPublicKeyComponents { n: trimmed(n), e: trimmed(e) }.verify(parameters, message, given)
            }
            Key::Point(parameters, point) => ring_signature::UnparsedPublicKey::new(*parameters, point).verify(message, given),
        };
        verified.map_err(|_| Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
