use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use swarm_types::spec::node::NodeRole;
use swarm_types::{Timestamp, defaults};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::*;
use crate::testing::{DAY, identity, issued, root};

mod files;
mod reading;
mod tokens;

const WORKER: NodeRole = NodeRole::Worker;
const MANAGER: NodeRole = NodeRole::Manager;
const HOUR: i64 = 3_600_000_000_000;

fn leaf(chain: &str) -> Vec<u8> {
    super::from_pem(chain).unwrap().remove(0)
}

fn dns_names(der: &[u8]) -> Vec<String> {
    let (_, parsed) = X509Certificate::from_der(der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let names = names.value.general_names.iter().map(|name| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        other => panic!("{other}"),
    });
    names.collect()
}

#[test]
fn a_certificate_says_who_where_and_what_and_nothing_else() {
    let who = identity(1, 2, MANAGER);
    let key = NodeKey::generate().unwrap();
    let now = Timestamp(1_790_000_000_000_000_000);

    let chain = root().issue(&key.csr().unwrap(), &who, DAY, now).unwrap();

    let found = Certificate::from_der(&leaf(&chain)).unwrap();
    assert_eq!(found.identity, who);
    assert_eq!(found.fingerprint, key.fingerprint());
    assert_eq!((found.not_before.0, found.not_after.0), (now.0 - HOUR, now.0 + 24 * HOUR));
    assert_eq!(
        dns_names(&leaf(&chain)),
        ["swarm-manager", who.node.as_str(), "swarm-ca"].map(str::to_owned)
    );
}

#[test]
fn a_worker_is_not_named_like_a_manager() {
    let who = identity(1, 2, WORKER);

    let node = issued(&root(), &who);

    assert_eq!(dns_names(&leaf(&node.chain)), ["swarm-worker", who.node.as_str()]);
}

#[test]
fn a_request_can_change_nothing_but_the_key() {
    let who = identity(1, 2, WORKER);
    let key = KeyPair::generate().unwrap();
    let mut wish = CertificateParams::new(vec!["swarm-manager".into(), "swarm-ca".into()]).unwrap();
    wish.distinguished_name = DistinguishedName::new();
    let other = identity(3, 4, MANAGER);
    wish.distinguished_name.push(DnType::CommonName, other.node.as_str());
    wish.distinguished_name.push(DnType::OrganizationalUnitName, "swarm-manager");
    wish.distinguished_name.push(DnType::OrganizationName, other.cluster.as_str());
    wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    wish.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let csr = wish.serialize_request(&key).unwrap();

    let chain = root().issue(csr.der(), &who, DAY, Timestamp::now()).unwrap();

    let der = leaf(&chain);
    assert_eq!(Certificate::from_der(&der).unwrap().identity, who);
    assert_eq!(dns_names(&der), ["swarm-worker", who.node.as_str()]);
    let (_, parsed) = X509Certificate::from_der(&der).unwrap();
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(!parsed.is_ca() && !usage.key_cert_sign() && usage.digital_signature());
}

#[test]
fn a_request_with_an_unknown_wish_is_refused() {
    let mut wish = CertificateParams::default();
    let extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    wish.custom_extensions.push(extension);
    let csr = wish.serialize_request(&KeyPair::generate().unwrap()).unwrap();

    let refused = root().issue(csr.der(), &identity(1, 2, WORKER), DAY, Timestamp::now());

    assert!(matches!(refused, Err(CaError::BadRequest(_))), "{refused:?}");
}

#[test]
fn a_request_on_another_curve_or_too_long_is_refused() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap();

    for csr in [csr.der().to_vec(), vec![0x30; 9000]] {
        let refused = root().issue(&csr, &identity(1, 2, WORKER), DAY, Timestamp::now());
        assert!(matches!(refused, Err(CaError::BadRequest(_))), "{refused:?}");
    }
}

/// The signature's algorithm does not tell the curve: this key is on P-384, its request signed
/// with SHA-256 (`openssl req -new -sha256`).
#[test]
fn a_request_on_another_curve_is_refused_whatever_hash_it_is_signed_with() {
    let pem = "-----BEGIN CERTIFICATE REQUEST-----\n\
        MIIBAzCBiwIBADAMMQowCAYDVQQDDAF4MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE\n\
        vPQEh874ikHDNczfQeUJkpdQJO8WMnNqqgtZWc56tUQD2p2ikOtHLvyhJmJ/TKSO\n\
        /Xa7wl9bxquFOFgPgE7Sq3W9vpkbg1FlLecJZF4SG6rCWONBVUosKcIbW7LfkTH/\n\
        oAAwCgYIKoZIzj0EAwIDZwAwZAIwGOVr+scIGABizsLW6YvcP9V/SfreW4KfuTxb\n\
        TDRHAf+Hyva8Y4VamJnmVIH9H2OWAjBIP9R2jhWOMKHBklPUfZdT4CU3VbxQzlxb\n\
        UbCWDH96MqxTKIqRtUiHzGn5fqcx37E=\n\
        -----END CERTIFICATE REQUEST-----\n";
    let csr = pem::parse(pem).unwrap();

    let refused = root().issue(csr.contents(), &identity(1, 2, WORKER), DAY, Timestamp::now());

    assert!(matches!(refused, Err(CaError::BadRequest(_))), "{refused:?}");
}

#[test]
fn a_request_proves_possession_of_its_key() {
    let (mine, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let (csr, foreign) = (mine.csr().unwrap(), other.pair().public_key_raw().to_vec());
    let own = mine.pair().public_key_raw();
    let at = csr.windows(own.len()).position(|part| part == own).unwrap();
    let mut stolen = csr.clone();

    stolen[at..at + foreign.len()].copy_from_slice(&foreign);

    let refused = root().issue(&stolen, &identity(1, 2, WORKER), DAY, Timestamp::now());
    assert!(matches!(refused, Err(CaError::BadRequest(_))), "{refused:?}");
}

#[test]
fn a_life_under_an_hour_is_the_default_and_none_outlives_the_root() {
    let now = Timestamp(1_790_000_000_000_000_000);
    let ca = RootCa::generate(now).unwrap();
    let csr = NodeKey::generate().unwrap().csr().unwrap();
    let end = |life| {
        let chain = ca.issue(&csr, &identity(1, 2, WORKER), life, now).unwrap();
        Certificate::from_der(&leaf(&chain)).unwrap().not_after
    };

    assert_eq!(end(DAY / 25), now.after(defaults::NODE_CERT_EXPIRY));
    assert_eq!(end(DAY / 24), now.after(DAY / 24));
    assert_eq!(end(DAY * 365 * 100), now.after(DAY * 7300));
    let late = ca.issue(&csr, &identity(1, 2, WORKER), DAY, now.after(DAY * 7300));
    assert!(matches!(late, Err(CaError::BadRoot(_))), "{late:?}");
}

#[test]
fn two_certificates_never_share_a_serial_number() {
    let (ca, key) = (root(), NodeKey::generate().unwrap());
    let serial = || {
        let csr = key.csr().unwrap();
        let chain = ca.issue(&csr, &identity(1, 2, WORKER), DAY, Timestamp::now()).unwrap();
        X509Certificate::from_der(&leaf(&chain)).unwrap().1.raw_serial().to_vec()
    };

    assert_ne!(serial(), serial());
}

#[test]
fn a_root_survives_its_text_form_and_still_signs() {
    let ca = root();
    let again = RootCa::from_pem(ca.cert_pem(), &ca.key_pem()).unwrap();

    assert_eq!(again.digest(), ca.digest());
    assert_eq!(again.digest(), digest_of(ca.cert_pem()).unwrap());
    assert_eq!(issued(&again, &identity(1, 2, WORKER)).certificate.identity.role, WORKER);
}

#[test]
fn what_is_no_root_is_refused() {
    let (ca, other) = (root(), root());
    let node = issued(&ca, &identity(1, 2, WORKER));
    let two = format!("{}{}", ca.cert_pem(), other.cert_pem());

    let from = |pem: &str, key| RootCa::from_pem(pem, &key).unwrap_err();

    assert!(matches!(from(ca.cert_pem(), other.key_pem()), CaError::Mismatch));
    assert!(matches!(from(&two, ca.key_pem()), CaError::BadRoot(_)));
    assert!(matches!(from("", ca.key_pem()), CaError::BadRoot(_)));
    assert!(matches!(from(&node.chain, node.key.to_pem()), CaError::BadRoot(_)));
    assert!(matches!(from(ca.cert_pem(), Default::default()), CaError::BadKey));
}

#[test]
fn debug_shows_no_key() {
    let ca = root();
    let node = issued(&ca, &identity(1, 2, WORKER));

    let shown = format!("{ca:?} {node:?} {:?}", node.key.to_pem());

    for secret in [ca.key_pem(), node.key.to_pem()] {
        let text = String::from_utf8(secret.expose().to_vec()).unwrap();
        let line = text.lines().nth(1).unwrap();
        assert!(!shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
