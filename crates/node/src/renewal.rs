//! Renews the node's certificate, and swaps it while connections run.
//!
//! At a moment of the node's own between half and four fifths of the certificate's life, so that
//! nodes that joined together do not come together. The key stays the same: whatever becomes of
//! an answer, the node has a certificate for it. Connections that are open keep the old
//! certificate; the agent opens a new session when it expires. A worker whose certificate has
//! expired calls as [`crate::expired`] says.

use std::future::Future;
use std::time::Duration;

use swarm_agent::{Agent, AgentState};
use swarm_crypto::Certificate;
use swarm_crypto::ca::{CertificateFiles, NodeCertificate};
use swarm_crypto::tls::{self, Credentials};
use swarm_manager::Authority;
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use swarm_types::{Cluster, IdSource, Timestamp};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::expired::renew_by;
use crate::local::with_causes;
use crate::managing::Managing;
use crate::member::Upkeep;
use crate::{Inner, NodeError};

/// Percent of its life after which a certificate is renewed: at least and at most.
const SHARE: (u32, u32) = (50, 80);
/// Longest sleep: the clock on the wall may be set meanwhile.
const LOOK: Duration = Duration::from_secs(10 * 60);
/// Pause after a try that failed.
const RETRY: Duration = Duration::from_secs(5 * 60);
/// The same, once nobody listens to the node any more.
const SOON: Duration = Duration::from_secs(5);
/// How long a manager may take to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Who signs.
pub(crate) enum Signer {
    /// The manager on this node.
    Own(Authority),
    /// The manager that the agent has its session with.
    Session(watch::Receiver<AgentState>, Credentials),
}

impl Inner {
    /// Renews the certificate whenever it is due.
    pub(crate) fn renew_papers(
        &self,
        credentials: Credentials,
        managing: Option<&Managing>,
        agent: &Agent,
    ) -> Upkeep {
        let signer = match managing {
            Some(managing) => Signer::Own(managing.manager.authority()),
            None => Signer::Session(agent.state(), credentials.clone()),
        };
        let files = self.certificate_files();
        Upkeep::spawn(&self.tracker, keep(files, credentials, signer, agent.state()))
    }
}

async fn keep(
    files: Result<CertificateFiles, NodeError>,
    credentials: Credentials,
    signer: Signer,
    mut agent: watch::Receiver<AgentState>,
) {
    let files = match files {
        Ok(files) => files,
        Err(error) => {
            tracing::error!(%error, "the node's certificate is not renewed");
            return;
        }
    };
    let (mut share, mut told) = (IdSource::system().between(SHARE.0, SHARE.1), String::new());
    while let Some(certificate) = credentials.certificate() {
        let left = due(&certificate, share).0.saturating_sub(Timestamp::now().0);
        if let Ok(left @ 1..) = u64::try_from(left) {
            // Whoever was asleep, or has another time now, is told so by the end of its session.
            match timeout(Duration::from_nanos(left).min(LOOK), agent.changed()).await {
                Ok(Err(_)) => return,
                Ok(Ok(())) | Err(_) => continue,
            }
        }
        match renewed(&files, &credentials, &signer).await {
            Ok(()) => {
                share = IdSource::system().between(SHARE.0, SHARE.1);
                told.clear();
                tracing::info!("the node's certificate was renewed");
            }
            Err(error) => {
                // It may go on like this for days.
                if told != error {
                    tracing::warn!(
                        error,
                        "the node's certificate was not renewed; it is tried again"
                    );
                    told = error;
                }
                sleep(if has_expired(&certificate) { SOON } else { RETRY }).await;
            }
        }
    }
}

/// Renews by whoever can: a session ends when the certificate expires, and there is no other then.
async fn renewed(
    files: &CertificateFiles,
    credentials: &Credentials,
    signer: &Signer,
) -> Result<(), String> {
    if let Signer::Session(agent, _) = signer
        && credentials.certificate().is_some_and(|it| has_expired(&it))
    {
        let managers = match &*agent.borrow() {
            AgentState::Searching { managers, .. } => managers.clone(),
            AgentState::Connected { manager, .. } => vec![manager.clone()],
            _ => Vec::new(),
        };
        return renew_by(&managers, files, credentials).await;
    }
    renew(files, credentials, |csr| signer.sign(csr)).await
}

/// When that share of the life of a certificate is over.
fn due(certificate: &Certificate, percent: u32) -> Timestamp {
    let begun = certificate.not_before.after(Cluster::CERT_BACKDATE);
    let life = certificate.not_after.0.saturating_sub(begun.0).max(0);
    Timestamp(begun.0.saturating_add(life / 100 * i64::from(percent)))
}

pub(crate) fn has_expired(certificate: &Certificate) -> bool {
    certificate.not_after < Timestamp::now()
}

/// Renews a certificate that has expired, before it is shown to anybody: when those of all managers
/// have, none of them can ask another.
pub(crate) async fn renew_expired(
    files: &CertificateFiles,
    credentials: &Credentials,
    signer: &Signer,
) -> Result<(), String> {
    if !credentials.certificate().is_some_and(|it| has_expired(&it)) {
        return Ok(());
    }
    renew(files, credentials, |csr| signer.sign(csr)).await?;
    tracing::info!("the node's certificate had expired, and was renewed");
    Ok(())
}

/// Has the key signed again, keeps the certificate, and shows it from now on.
pub(crate) async fn renew<F>(
    files: &CertificateFiles,
    credentials: &Credentials,
    sign: impl FnOnce(Vec<u8>) -> F,
) -> Result<(), String>
where
    F: Future<Output = Result<String, String>>,
{
    let old = own(files)?;
    let csr = old.key.csr().map_err(|error| with_causes(&error))?;
    let chain = sign(csr).await?;
    take(files, credentials, old, chain)
}

/// The certificate that is kept.
pub(crate) fn own(files: &CertificateFiles) -> Result<NodeCertificate, String> {
    files.load().map_err(|error| with_causes(&error))?.ok_or_else(missing)
}

/// The root that is kept.
pub(crate) fn root(files: &CertificateFiles) -> Result<String, String> {
    files.root().map_err(|error| with_causes(&error))?.ok_or_else(missing)
}

fn missing() -> String {
    "the node's certificate is missing".to_owned()
}

/// Keeps what was signed in place of the old certificate, and shows it from now on.
pub(crate) fn take(
    files: &CertificateFiles,
    credentials: &Credentials,
    old: NodeCertificate,
    chain: String,
) -> Result<(), String> {
    let root = root(files)?;
    let identity = old.certificate.identity;
    let new = NodeCertificate::new(chain, old.key).map_err(|error| with_causes(&error))?;
    let signed = new.certificate.identity;
    if (signed.node, signed.cluster) != (identity.node, identity.cluster) {
        return Err("the certificate that was signed is another node's".to_owned());
    }
    files.save(&new).map_err(|error| with_causes(&error))?;
    credentials.replace(&new, &root).map_err(|error| with_causes(&error))
}

impl Signer {
    pub(crate) async fn sign(&self, csr: Vec<u8>) -> Result<String, String> {
        match self {
            Self::Own(authority) => {
                authority.renew(&csr).map_err(|refusal| refusal.message().to_owned())
            }
            Self::Session(agent, credentials) => {
                let manager = match &*agent.borrow() {
                    AgentState::Connected { manager, .. } => manager.clone(),
                    _ => return Err("there is no session with a manager".to_owned()),
                };
                let channel = tls::channel(&manager, credentials);
                let mut ca = CaClient::new(channel.map_err(|error| error.to_string())?);
                let request = v1::RenewNodeCertificateRequest { csr };
                match timeout(ANSWER, ca.renew_node_certificate(request)).await {
                    Ok(Ok(answer)) => Ok(answer.into_inner().chain),
                    Ok(Err(refusal)) => Err(format!("{manager}: {}", refusal.message())),
                    Err(_) => Err(format!("{manager}: no answer in time")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use swarm_crypto::ca::{NodeKey, RootCa};
    use swarm_crypto::{Identity, KeyFile};
    use swarm_raft::{Dial, Raft};
    use swarm_types::spec::cluster::ClusterSpec;
    use swarm_types::spec::node::{Availability, NodeRole};

    use super::*;
    use crate::found::found;

    const NANOS_A_DAY: i64 = 24 * 3_600_000_000_000;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    struct World {
        root: RootCa,
        identity: Identity,
        files: CertificateFiles,
        credentials: Credentials,
        _dir: tempfile::TempDir,
    }

    /// A worker whose certificate was signed at that time for a day.
    fn world(at: Timestamp) -> World {
        let (dir, mut ids) = (tempfile::tempdir().unwrap(), IdSource::seeded(1));
        let identity = Identity { node: ids.draw(), role: NodeRole::Worker, cluster: ids.draw() };
        let (root, key) = (RootCa::generate(at).unwrap(), NodeKey::generate().unwrap());
        let chain = root.issue(&key.csr().unwrap(), &identity, DAY, at).unwrap();
        let node = NodeCertificate::new(chain, key).unwrap();
        let files = CertificateFiles::open(dir.path()).unwrap();
        files.save_root(root.cert_pem()).unwrap();
        files.save(&node).unwrap();
        let credentials = Credentials::node(&node, root.cert_pem()).unwrap();
        World { root, identity, files, credentials, _dir: dir }
    }

    #[test]
    fn a_certificate_is_due_between_half_and_four_fifths_of_its_life() {
        let now = Timestamp(1_790_000_000_000_000_000);
        let certificate = world(now).credentials.certificate().unwrap();

        assert_eq!(due(&certificate, SHARE.0), now.after(DAY / 2));
        assert_eq!(due(&certificate, SHARE.1), now.after(DAY * 4 / 5));
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_kept_and_shown_and_its_key_is_the_same() {
        let now = Timestamp::now();
        let world = world(Timestamp(now.0 - 20 * 3_600_000_000_000));
        let before = world.credentials.certificate().unwrap();

        let signed = renew(&world.files, &world.credentials, async |csr: Vec<u8>| {
            Ok(world.root.issue(&csr, &world.identity, DAY, now).unwrap())
        });
        signed.await.unwrap();

        let shown = world.credentials.certificate().unwrap();
        assert!(shown.not_after > before.not_after);
        assert_eq!((shown.identity, shown.fingerprint), (before.identity, before.fingerprint));
        assert_eq!(world.files.load().unwrap().unwrap().certificate, shown);
    }

    #[tokio::test]
    async fn a_manager_signs_what_has_expired_with_its_own_store() {
        let (dir, long_ago) =
            (tempfile::tempdir().unwrap(), Timestamp::now().0 - 100 * NANOS_A_DAY);
        let (ids, spec) = (&mut IdSource::seeded(3), ClusterSpec::default());
        let founding = found(Availability::Active, spec, ids, Timestamp(long_ago)).unwrap();
        let files = CertificateFiles::open(&dir.path().join("certificates")).unwrap();
        files.save_root(&founding.root_pem).unwrap();
        files.save(&founding.certificate).unwrap();
        let credentials = Credentials::node(&founding.certificate, &founding.root_pem).unwrap();
        let before = credentials.certificate().unwrap();
        let options = swarm_raft::Options {
            dial: Dial::nowhere(),
            ..swarm_raft::Options::new(dir.path().join("raft"), founding.node, "a:1".into())
        };
        let key = KeyFile::load_or_create(&dir.path().join("key")).unwrap().sealer();
        let raft = Raft::bootstrap(options, key, founding.first).await.unwrap();
        let signer = Signer::Own(Authority::new(founding.node, raft.clone()));
        assert!(has_expired(&before));

        renew_expired(&files, &credentials, &signer).await.unwrap();
        let shown = credentials.certificate().unwrap();
        renew_expired(&files, &credentials, &signer).await.unwrap();
        raft.shutdown().await;

        assert!(!has_expired(&shown));
        assert_eq!((shown.identity, shown.fingerprint), (before.identity, before.fingerprint));
        assert_eq!(credentials.certificate().unwrap(), shown, "only what has expired");
        assert_eq!(files.load().unwrap().unwrap().certificate, shown);
    }

    #[tokio::test]
    async fn what_was_not_signed_or_is_another_nodes_changes_nothing() {
        let world = world(Timestamp::now());
        let before = world.credentials.certificate();
        let other = Identity { node: IdSource::seeded(9).draw(), ..world.identity };

        let refused = renew(&world.files, &world.credentials, async |_| Err("no".to_owned()));
        assert_eq!(refused.await, Err("no".to_owned()));
        let foreign = renew(&world.files, &world.credentials, async |csr: Vec<u8>| {
            Ok(world.root.issue(&csr, &other, DAY, Timestamp::now()).unwrap())
        });
        assert!(foreign.await.unwrap_err().contains("another node's"));
        let garbage = renew(&world.files, &world.credentials, async |_| Ok(String::new()));
        assert!(garbage.await.is_err());

        assert_eq!(world.credentials.certificate(), before);
        assert_eq!(world.files.load().unwrap().map(|it| it.certificate), before);
    }
}
