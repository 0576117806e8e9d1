//! Certificates, keys, tokens and kubeconfigs of a bench control plane.
//!
//! All of it is made anew for each control plane and lies in its temporary directory. None of
//! it protects anything: the servers listen on loopback only.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::{Error, Result};

/// A person or program with a static bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user name that RBAC sees. Used in file names: letters, digits and dashes.
    pub name: String,
    /// The groups that RBAC sees.
    pub groups: Vec<String>,
}

impl User {
    /// A user in no group.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), groups: Vec::new() }
    }

    /// The one that may do everything; always there.
    pub(crate) fn admin() -> Self {
        Self { name: "admin".to_owned(), groups: vec!["system:masters".to_owned()] }
    }

    /// Its token. Guessable on purpose, so that a kubeconfig can be written without asking.
    pub(crate) fn token(&self) -> String {
        format!("{}-of-the-bench", self.name)
    }
}

/// Where the files are that kube-apiserver and kube-controller-manager are given.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) ca: PathBuf,
    pub(crate) server_certificate: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) service_account_key: PathBuf,
    pub(crate) service_account_public_key: PathBuf,
    pub(crate) tokens: PathBuf,
    ca_pem: String,
    dir: PathBuf,
}

impl Credentials {
    /// Makes them all in `dir`.
    pub(crate) fn create(dir: &Path, users: &[User]) -> Result<Self> {
        let ca = CertifiedIssuer::self_signed(ca_params(), KeyPair::generate()?)?;
        let server_key = KeyPair::generate()?;
        let server = server_params()?.signed_by(&server_key, &ca)?;
        let service_accounts = KeyPair::generate()?;
        let credentials = Self {
            ca: dir.join("ca.crt"),
            server_certificate: dir.join("apiserver.crt"),
            server_key: dir.join("apiserver.key"),
            service_account_key: dir.join("service-accounts.key"),
            service_account_public_key: dir.join("service-accounts.pub"),
            tokens: dir.join("tokens.csv"),
            ca_pem: ca.pem(),
            dir: dir.to_owned(),
        };
        write(&credentials.ca, &credentials.ca_pem)?;
        write(&credentials.server_certificate, &server.pem())?;
        write(&credentials.server_key, &server_key.serialize_pem())?;
        write(&credentials.service_account_key, &service_accounts.serialize_pem())?;
        write(&credentials.service_account_public_key, &service_accounts.public_key_pem())?;
        write(&credentials.tokens, &token_file(users))?;
        Ok(credentials)
    }

    /// Writes a kubeconfig for `user` that leads to 127.0.0.1:`port`, and returns its path.
    pub(crate) fn kubeconfig(&self, user: &User, port: u16) -> Result<PathBuf> {
        let path = self.dir.join(format!("{}-{port}.kubeconfig", user.name));
        let User { name, .. } = user;
        let ca = STANDARD.encode(&self.ca_pem);
        let address = Ipv4Addr::LOCALHOST;
        let token = user.token();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: bench\n\
             clusters:\n- name: bench\n  cluster:\n    server: https://{address}:{port}\n    \
             certificate-authority-data: {ca}\n\
             users:\n- name: {name}\n  user:\n    token: {token}\n\
             contexts:\n- name: bench\n  context:\n    cluster: bench\n    user: {name}\n"
        );
        write(&path, &text)?;
        Ok(path)
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "bench-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    bound(&mut params);
    params
}

fn server_params() -> Result<CertificateParams> {
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    bound(&mut params);
    Ok(params)
}

/// Dates that every X.509 reader can represent; the default's year 4096 is refused by some.
fn bound(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
}

/// The static token file: token, user, uid, groups.
fn token_file(users: &[User]) -> String {
    users.iter().map(|user| format!("{},{},{},\"{}\"\n", user.token(), user.name, user.name, user.groups.join(","))).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::{User, token_file};

    #[test]
    fn keeps_several_groups_in_one_column() {
        let user = User { name: "ann".into(), groups: vec!["a".into(), "b".into()] };
        assert_eq!(token_file(&[user]), "ann-of-the-bench,ann,ann,\"a,b\"\n");
    }
}
