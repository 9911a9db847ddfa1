//! The cluster: get without its keys and tokens, update, and the key that unlocks managers.

use swarm_crypto::UnlockKey;
use swarm_proto::{field, v1};
use swarm_state::Snapshot;
use swarm_types::resolve::resolve;
use swarm_types::spec::cluster::{CaConfig, ClusterSpec};
use swarm_types::{Change, Cluster, Expect, Expected, IdSource, ObjectId, RequestId, Sensitive};
use tonic::Status;

use super::{Control, invalid};

impl Control {
    pub(super) async fn cluster(
        &self,
        request: v1::GetClusterRequest,
    ) -> Result<v1::GetClusterResponse, Status> {
        let view = self.view(request.stale).await?;
        Ok(v1::GetClusterResponse {
            cluster: Some(cluster(&view.snapshot)?.into()),
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }

    pub(crate) async fn update_cluster(
        &self,
        request: RequestId,
        update: v1::UpdateClusterRequest,
    ) -> Result<v1::UpdateClusterResponse, Status> {
        let spec: ClusterSpec = field::part(update.spec, "spec").map_err(invalid)?;
        let spec = resolve(spec, &mut IdSource::system()).map_err(invalid)?;
        let snapshot = self.view(false).await?.snapshot;
        let old = cluster(&snapshot)?;
        let spec = served(&old.spec, (*spec).clone())?;
        let object = ObjectId::Cluster(old.id);
        let mut expect = vec![Expect { object, what: Expected::SpecVersion(update.spec_version) }];
        let mut changes = vec![Change::UpdateCluster(Box::new(spec.clone()))];
        let unlock_key = match (spec.autolock, old.unlock_key.expose().is_empty()) {
            (true, true) => Some(UnlockKey::generate().text()),
            (false, false) => Some(Sensitive::default()),
            (true, false) | (false, true) => None,
        };
        if let Some(unlock_key) = unlock_key {
            // One without the other would lock managers with a key nobody has.
            let what = Expected::Decided(old.meta.decided_version);
            expect.push(Expect { object, what });
            changes.push(Change::SetCluster(Box::new(Cluster { spec, unlock_key, ..old.clone() })));
        }
        self.change_all(request, expect, changes).await?;
        let snapshot = self.core.raft.snapshot();
        Ok(v1::UpdateClusterResponse { cluster: Some(cluster(&snapshot)?.into()) })
    }

    pub(crate) async fn unlock_key(&self) -> Result<v1::UnlockKeyResponse, Status> {
        let snapshot = self.view(false).await?.snapshot;
        Ok(v1::UnlockKeyResponse { key: Some((&cluster(&snapshot)?.unlock_key).into()) })
    }

    pub(crate) async fn rotate_unlock_key(
        &self,
        request: RequestId,
    ) -> Result<v1::UnlockKeyResponse, Status> {
        let snapshot = self.view(false).await?.snapshot;
        // A retry gets its first answer.
        if snapshot.request(&request).is_none() {
            let old = cluster(&snapshot)?;
            if !old.spec.autolock {
                return Err(Status::failed_precondition(
                    "cannot rotate because autolock is not turned on: \
                     `swarm update --autolock` turns it on",
                ));
            }
            let next = Cluster { unlock_key: UnlockKey::generate().text(), ..old.clone() };
            let what = Expected::Decided(old.meta.decided_version);
            let expect = vec![Expect { object: ObjectId::Cluster(old.id), what }];
            self.change(request, expect, Change::SetCluster(Box::new(next))).await?;
        }
        let snapshot = self.core.raft.snapshot();
        Ok(v1::UnlockKeyResponse { key: Some((&cluster(&snapshot)?.unlock_key).into()) })
    }
}

pub(super) fn cluster(snapshot: &Snapshot) -> Result<&Cluster, Status> {
    let cluster = snapshot.cluster().ok_or_else(|| Status::not_found("there is no cluster yet"))?;
    Ok(cluster)
}

/// Why the store's settings of Docker's are refused.
const RAFT: &str = "Raft (snapshots are made by the size of the log, elections have fixed times)";

/// The new settings, with the key that is never shown, unless they ask for more than is served.
fn served(old: &ClusterSpec, new: ClusterSpec) -> Result<ClusterSpec, Status> {
    let refused = |field: &str| Err(Status::unimplemented(format!("not supported yet: {field}")));
    let CaConfig { external_cas, signing_cert, signing_key, force_rotate, .. } = &new.ca;
    match () {
        () if *external_cas != old.ca.external_cas => refused("CAConfig.ExternalCAs"),
        () if *signing_cert != old.ca.signing_cert => refused("CAConfig.SigningCACert"),
        () if !signing_key.expose().is_empty() => refused("CAConfig.SigningCAKey"),
        () if *force_rotate != old.ca.force_rotate => refused("CAConfig.ForceRotate"),
        () if new.raft != old.raft => refused(RAFT),
        () if new.default_log_driver != old.default_log_driver => refused("TaskDefaults.LogDriver"),
        () => {
            let signing_key = old.ca.signing_key.clone();
            Ok(ClusterSpec { ca: CaConfig { signing_key, ..new.ca }, ..new })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use swarm_types::spec::cluster::ExternalCa;
    use tonic::Code;

    use super::*;
    use crate::access::Access;
    use crate::testing::World;

    fn control(world: &World) -> Control {
        Control::new(world.core.clone(), Access::Local)
    }

    fn stored(world: &World) -> Cluster {
        world.core.raft.snapshot().cluster().unwrap().as_ref().clone()
    }

    fn update(world: &World, edit: impl FnOnce(&mut ClusterSpec)) -> v1::UpdateClusterRequest {
        let Cluster { mut spec, meta, .. } = stored(world);
        edit(&mut spec);
        v1::UpdateClusterRequest {
            request_id: Vec::new(),
            spec_version: meta.spec_version,
            spec: Some((&spec).into()),
        }
    }

    #[tokio::test]
    async fn settings_change_once_and_only_on_those_that_were_seen() {
        let mut world = World::new().await;
        let control = control(&world);
        let seen = update(&world, |spec| {
            spec.task_history_limit = 2;
            spec.heartbeat_period = Duration::from_secs(3);
            spec.ca.node_cert_expiry = Duration::from_secs(7200);
        });
        let request = world.request();

        let first = control.update_cluster(request, seen.clone()).await.unwrap();
        let again = control.update_cluster(request, seen.clone()).await.unwrap();
        let late = control.update_cluster(world.request(), seen.clone()).await.unwrap_err();

        assert_eq!(first, again);
        assert_eq!(Some((&stored(&world).spec).into()), seen.spec);
        assert_eq!(late.code(), Code::FailedPrecondition);
        assert!(late.message().contains("out of sequence"), "{late}");
    }

    #[tokio::test]
    async fn autolock_draws_a_key_keeps_it_and_drops_it() {
        let mut world = World::new().await;
        let control = control(&world);
        let set = |on: bool| move |spec: &mut ClusterSpec| spec.autolock = on;
        let key = |world: &World| stored(world).unlock_key;
        assert!(key(&world).expose().is_empty());

        let on = update(&world, set(true));
        control.update_cluster(world.request(), on).await.unwrap();
        let drawn = key(&world);
        let same = update(&world, |spec| spec.task_history_limit = 1);
        control.update_cluster(world.request(), same).await.unwrap();

        assert!(UnlockKey::parse(&drawn).is_ok());
        assert_eq!(key(&world), drawn);
        assert_eq!(control.unlock_key().await.unwrap().key, Some((&drawn).into()));
        let off = update(&world, set(false));
        control.update_cluster(world.request(), off).await.unwrap();
        assert!(key(&world).expose().is_empty());
    }

    #[tokio::test]
    async fn the_unlock_key_is_replaced_once_per_request_and_only_under_autolock() {
        let mut world = World::new().await;
        let control = control(&world);
        let refused = control.rotate_unlock_key(world.request()).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let on = update(&world, |spec| spec.autolock = true);
        control.update_cluster(world.request(), on).await.unwrap();
        let before = stored(&world).unlock_key;
        let request = world.request();

        let first = control.rotate_unlock_key(request).await.unwrap();
        let again = control.rotate_unlock_key(request).await.unwrap();

        assert_eq!(first, again);
        assert_eq!(first.key, Some((&stored(&world).unlock_key).into()));
        assert_ne!(stored(&world).unlock_key, before);
    }

    #[tokio::test]
    async fn what_is_not_served_is_refused_by_name() {
        let mut world = World::new().await;
        let control = control(&world);
        let external = ExternalCa {
            protocol: "cfssl".into(),
            url: "https://ca".into(),
            ..ExternalCa::default()
        };
        let asked: [(v1::UpdateClusterRequest, &str, Code); 5] = [
            (
                update(&world, |it| it.ca.external_cas.push(external)),
                "ExternalCAs",
                Code::Unimplemented,
            ),
            (update(&world, |it| it.raft.snapshot_interval = 9), "Raft", Code::Unimplemented),
            (update(&world, |it| it.ca.force_rotate = 1), "ForceRotate", Code::Unimplemented),
            (
                update(&world, |it| it.ca.node_cert_expiry = Duration::from_secs(59)),
                "NodeCertExpiry",
                Code::InvalidArgument,
            ),
            (
                update(&world, |it| it.annotations.name = "other".into()),
                "Name",
                Code::InvalidArgument,
            ),
        ];
        let before = stored(&world);

        for (request, word, code) in asked {
            let refused = control.update_cluster(world.request(), request).await.unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
            assert!(refused.message().contains(word), "{refused}");
        }

        assert_eq!(stored(&world), before);
    }
}
