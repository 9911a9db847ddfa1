//! How strictly a certificate is read.

use proptest::prelude::*;

use super::*;

/// A certificate with this subject, signed by itself.
fn with_subject(subject: &[(DnType, &str)]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn only_a_node_a_role_and_a_cluster_make_an_identity() {
    use InvalidCertificate::{Subject, UnknownRole};
    let who = identity(1, 2, MANAGER);
    let (cn, ou, o) =
        (DnType::CommonName, DnType::OrganizationalUnitName, DnType::OrganizationName);
    let node = (cn.clone(), who.node.as_str());
    let role = (ou.clone(), "swarm-manager");
    let cluster = (o, who.cluster.as_str());
    let read = |subject: &[_]| Certificate::from_der(&with_subject(subject)).map(|it| it.identity);

    assert_eq!(read(&[node.clone(), role.clone(), cluster.clone()]), Ok(who));
    assert!(matches!(read(&[node.clone(), cluster.clone()]), Err(Subject(_))));
    assert!(matches!(read(&[node.clone(), role.clone()]), Err(Subject(_))));
    assert!(matches!(read(&[role.clone(), cluster.clone()]), Err(Subject(_))));
    assert!(matches!(read(&[(cn, "swarm-ca"), role, cluster.clone()]), Err(Subject(_))));
    for unit in ["", "swarm-root", "SWARM-MANAGER", "swarm-manager "] {
        assert_eq!(read(&[node.clone(), (ou.clone(), unit), cluster.clone()]), Err(UnknownRole));
    }
}

#[test]
fn two_values_where_one_belongs_are_refused() {
    let who = identity(1, 2, WORKER);
    // rcgen keeps one value of a kind, so a second one is written over another kind's number:
    // country (2.5.4.6) becomes organizational unit (2.5.4.11), and so on.
    for (kind, number, value) in
        [("common name", 3, who.node.as_str()), ("organization ", 10, who.cluster.as_str())]
    {
        let der = doubled(&who, number, value);
        let refused = Certificate::from_der(&der);
        let Err(InvalidCertificate::Subject(text)) = refused else { panic!("{refused:?}") };
        assert!(text.starts_with(kind), "{text}");
    }
    let refused = Certificate::from_der(&doubled(&who, 11, "swarm-manager"));
    assert_eq!(refused, Err(InvalidCertificate::Subject("organizational unit")));
}

/// A certificate of `who` whose subject has one more attribute 2.5.4.`number`.
fn doubled(who: &Identity, number: u8, value: &str) -> Vec<u8> {
    let mut der = with_subject(&[
        (DnType::CommonName, who.node.as_str()),
        (DnType::OrganizationalUnitName, "swarm-worker"),
        (DnType::OrganizationName, who.cluster.as_str()),
        (DnType::LocalityName, value),
    ]);
    const LOCALITY: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x07];
    let mut from = 0;
    while let Some(at) = der[from..].windows(5).position(|part| part == LOCALITY) {
        from += at + 5;
        der[from - 1] = number;
    }
    assert_ne!(from, 0, "no locality in the certificate");
    der
}

#[test]
fn bytes_after_a_certificate_are_refused() {
    let mut der = leaf(&issued(&root(), &identity(1, 2, WORKER)).chain);
    der.push(0);

    assert_eq!(Certificate::from_der(&der), Err(InvalidCertificate::Malformed));
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>, text in "[ -~\n]*") {
        let _ = Certificate::from_der(&bytes);
        let _ = digest_of(&text);
        prop_assert!(NodeKey::from_pem(&swarm_types::Sensitive::new(bytes)).is_err());
    }
}

#[test]
fn a_mutated_certificate_never_panics() {
    let der = leaf(&issued(&root(), &identity(1, 2, WORKER)).chain);

    for at in 0..der.len() {
        let mut mutated = der.clone();
        mutated[at] ^= 0xff;
        let _ = Certificate::from_der(&mutated);
        assert!(Certificate::from_der(&der[..at]).is_err(), "cut at {at}");
    }
}

/// Parsers are lax about some bytes that are not signed; what they let through changes nothing.
#[test]
fn a_mutated_request_is_refused_or_gets_the_same_certificate() {
    let (ca, who, key) = (root(), identity(1, 2, WORKER), NodeKey::generate().unwrap());
    let csr = key.csr().unwrap();
    let issue = |csr: &[u8]| ca.issue(csr, &who, DAY, Timestamp::now());

    for at in 0..csr.len() {
        let mut mutated = csr.clone();
        mutated[at] ^= 1;
        if let Ok(chain) = issue(&mutated) {
            let found = Certificate::from_der(&leaf(&chain)).unwrap();
            assert_eq!((found.identity, found.fingerprint), (who, key.fingerprint()), "byte {at}");
        }
        assert!(issue(&csr[..at]).is_err(), "cut at {at}");
    }
}
