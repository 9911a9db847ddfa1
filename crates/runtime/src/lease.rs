//! Leases: what keeps new content from containerd's garbage collector until something refers to it.
//!
//! Whoever takes a lease releases it. One whose owner died, or that is kept so that a later try
//! finds what was fetched, is given up by containerd after some hours.

use std::collections::HashMap;
use std::time::Duration;

use containerd_client::services::v1::{
    AddResourceRequest, CreateRequest, DeleteRequest, ListRequest, ListResourcesRequest, Resource,
};

use crate::Error;
use crate::error::Tolerate;
use crate::rpc::{Link, QUICK, rpc};

/// After this time containerd gives up a lease; what needs one ends before.
pub(crate) const LIFE: Duration = Duration::from_secs(6 * 3600);
/// Says what a lease is for.
const PURPOSE: &str = "swarm/for";

/// Takes a lease; its name.
pub(crate) async fn take(link: &Link, purpose: &str) -> Result<String, Error> {
    let id = format!("swarm-{:016x}", rand::random::<u64>());
    let expires = jiff::Timestamp::now() + LIFE;
    let labels = HashMap::from([
        ("containerd.io/gc.expire".to_owned(), expires.to_string()),
        (PURPOSE.to_owned(), purpose.to_owned()),
    ]);
    let request = CreateRequest { id: id.clone(), labels };
    rpc("create lease", QUICK, link.leases().create(request)).await?;
    Ok(id)
}

/// Deletes a lease and waits until what only it held is gone.
pub(crate) async fn release(link: &Link, lease: &str) -> Result<(), Error> {
    let request = DeleteRequest { id: lease.into(), sync: true };
    let wait = Duration::from_secs(60);
    rpc("delete lease", wait, link.leases().delete(request)).await.or_absent().map(drop)
}

/// Puts something under a lease, whether it is there yet or not.
pub(crate) async fn hold(link: &Link, lease: &str, kind: &str, id: &str) -> Result<(), Error> {
    let resource = Some(Resource { id: id.into(), r#type: kind.into() });
    let request = AddResourceRequest { id: lease.into(), resource };
    rpc("hold", QUICK, link.leases().add_resource(request)).await.map(drop)
}

/// Puts what earlier leases of the same purpose hold under this one, and ends them.
pub(crate) async fn adopt(link: &Link, lease: &str, purpose: &str) -> Result<(), Error> {
    let filters = vec![format!("labels.\"{PURPOSE}\"=={}", quoted(purpose))];
    let found = rpc("list leases", QUICK, link.leases().list(ListRequest { filters })).await?;
    for earlier in found.leases.into_iter().filter(|earlier| earlier.id != lease) {
        let request = ListResourcesRequest { id: earlier.id.clone() };
        let held = rpc("list a lease", QUICK, link.leases().list_resources(request)).await;
        for resource in held.or_absent()?.map(|held| held.resources).unwrap_or_default() {
            hold(link, lease, &resource.r#type, &resource.id).await?;
        }
        let request = DeleteRequest { id: earlier.id, sync: false };
        rpc("delete lease", QUICK, link.leases().delete(request)).await.or_absent()?;
    }
    Ok(())
}

/// As containerd's filters want a value; names of images have no quotes and no backslashes.
fn quoted(value: &str) -> String {
    format!("\"{value}\"")
}
