//! TLS settings of our own: rustls with ring, never a process-wide default, platform roots plus embedded ones.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::dial;
use crate::error::{Error, Result};

/// Settings for one client. Reads the platform's certificates; called once, when the first https request is made.
///
/// # Errors
/// `invalid_config` when `ca_file` cannot be read or holds no certificate.
pub(super) fn config(ca_file: Option<&str>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    // Unreadable platform certificates are no error: slim containers have none, and the embedded roots remain.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let fault = |why: String| Error::invalid_config("network.ca_file", format!("{path}: {why}"));
        let certs: Vec<_> =
            CertificateDer::pem_file_iter(path).and_then(|certs| certs.collect()).map_err(|e| fault(e.to_string()))?;
        if certs.is_empty() {
            return Err(fault("holds no PEM certificate".into()));
        }
        for cert in certs {
            roots.add(cert).map_err(|e| fault(e.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::invalid_config("network", e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = dial::sessions();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Settings without any root, for a client that is never asked for https: reqwest wants some.
///
/// # Errors
/// Never with ring's protocol versions.
pub(super) fn none() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::invalid_config("network", e))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}
