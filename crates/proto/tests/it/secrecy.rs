//! Values that must not be shown are not, wherever their message is printed.

use std::fmt::Debug;

use prost::Message;
use swarm_proto::v1;
use swarm_types::object::cluster::{DataPathKey, RootRotation};
use swarm_types::spec::container::{ContainerSpec, PullOptions};
use swarm_types::spec::secret::SecretSpec;
use swarm_types::*;

const SECRET: &str = "correct horse";

fn secret() -> Sensitive {
    Sensitive::new(SECRET.into())
}

fn least<T: crate::draw::Draw>() -> T {
    crate::draw::Choices::new(Vec::new()).draw()
}

fn cluster() -> Cluster {
    let mut cluster: Cluster = least();
    cluster.unlock_key = secret();
    cluster.root_ca.key = secret();
    cluster.root_ca.worker_token = secret();
    cluster.root_ca.manager_token = secret();
    cluster.root_ca.rotation = Some(RootRotation { key: secret(), ..RootRotation::default() });
    cluster.data_path_keys = vec![DataPathKey { key: secret(), generation: 1 }];
    cluster.spec.ca.signing_key = secret();
    cluster
}

/// Neither as text nor as the numbers of its bytes.
fn assert_hidden(message: &impl Debug) {
    let shown = format!("{message:?}");
    let numbers = format!("{:?}", SECRET.as_bytes());
    assert!(shown.contains("Sensitive(13 bytes)"), "{shown}");
    assert!(!shown.contains(SECRET) && !shown.contains(&numbers), "{shown}");
}

#[test]
fn keys_tokens_and_credentials_are_not_printed() {
    let pull = PullOptions { registry_auth: secret() };
    let spec = SecretSpec { data: secret(), ..SecretSpec::default() };

    assert_hidden(&v1::Cluster::from(&cluster()));
    assert_hidden(&v1::SecretSpec::from(&spec));
    assert_hidden(&v1::ContainerSpec::from(&ContainerSpec { pull, ..ContainerSpec::default() }));
    let token = v1::Sensitive { value: SECRET.into() };
    assert_hidden(&v1::InitResponse { worker_token: Some(token), ..Default::default() });
}

#[test]
fn what_users_see_of_the_cluster_has_no_key_in_it() {
    let whole = v1::Cluster::from(&cluster()).encode_to_vec();
    let view = v1::ClusterView::from(&cluster()).encode_to_vec();

    let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
    assert!(holds(&whole));
    assert!(!holds(&view));
}
