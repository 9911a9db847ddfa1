//! The TLS side of a connection to a registry: the system's roots and those of its settings.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::RegistryError;
use super::hosts::Tls;

pub(super) fn config(tls: &Tls) -> Result<ClientConfig, RegistryError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|why| bad(Path::new("TLS"), why))?;
    let builder = if tls.skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        builder.with_root_certificates(roots(tls)?)
    };
    let Some((certificates, key)) = &tls.client else { return Ok(builder.with_no_client_auth()) };
    let chain = read(certificates)?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|why| bad(key, why))?;
    builder.with_client_auth_cert(chain, key_der).map_err(|why| bad(certificates, why))
}

fn roots(tls: &Tls) -> Result<RootCertStore, RegistryError> {
    let mut store = RootCertStore::empty();
    // A system without a store still reaches registries whose CA is in their settings.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in &tls.roots {
        for certificate in read(path)? {
            store.add(certificate).map_err(|why| bad(path, why))?;
        }
    }
    Ok(store)
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, RegistryError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|why| bad(path, why))?;
    if certificates.is_empty() { Err(bad(path, "holds no certificate")) } else { Ok(certificates) }
}

fn bad(file: &Path, why: impl std::fmt::Display) -> RegistryError {
    RegistryError::Settings { file: file.to_owned(), why: why.to_string() }
}

/// Takes any certificate, as `skip_verify` says; signatures are checked all the same.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
