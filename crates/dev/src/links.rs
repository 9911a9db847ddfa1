//! Links, addresses and neighbours of one network namespace: the kernel's verbs, no policy.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use futures::TryStreamExt;
use ipnetwork::Ipv4Network;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::{
    Error, Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder, new_connection,
};
use swarm_net::netns;

use crate::DevError;

/// How long one piece of work in a namespace may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A link's hardware address.
pub(crate) type Mac = [u8; 6];

/// A connection to the kernel, in one namespace.
#[derive(Debug)]
pub(crate) struct Links {
    handle: Handle,
}

/// Runs `work` on a thread inside a namespace, or in the caller's for `None`.
pub(crate) fn inside<T: Send>(
    netns: Option<&File>,
    work: impl AsyncFnOnce(&Links) -> Result<T, DevError> + Send,
) -> Result<T, DevError> {
    let run = || {
        if let Some(netns) = netns {
            netns::enter(netns).map_err(DevError::network("enter a namespace"))?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(DevError::network("start a runtime"))?;
        runtime.block_on(async {
            let (connection, handle, _) =
                new_connection().map_err(DevError::network("open a netlink socket"))?;
            let connection = tokio::spawn(connection);
            let done = tokio::time::timeout(DEADLINE, work(&Links { handle })).await;
            connection.abort();
            done.map_err(DevError::network("the kernel does not answer"))?
        })
    };
    match thread::scope(|scope| scope.spawn(run).join()) {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Links {
    /// A link's index; `None` when there is no such link.
    pub(crate) async fn index(&self, name: &str) -> Result<Option<u32>, DevError> {
        let mut found = Box::pin(self.handle.link().get().match_name(name.to_owned()).execute());
        match found.try_next().await {
            Ok(link) => Ok(link.map(|link| link.header.index)),
            Err(error) if is(&error, nix::Error::ENODEV) => Ok(None),
            Err(error) => Err(failed("look for the link", name, &error)),
        }
    }

    async fn known(&self, name: &str) -> Result<u32, DevError> {
        let missing = || DevError::network(format!("find the link {name}"))("there is none");
        self.index(name).await?.ok_or_else(missing)
    }

    /// Makes a bridge and brings it up; one that is there is fine.
    pub(crate) async fn add_bridge(&self, name: &str) -> Result<(), DevError> {
        let made = self.handle.link().add(LinkBridge::new(name).build()).execute().await;
        made.or_else(fine(nix::Error::EEXIST))
            .map_err(|error| failed("make the bridge", name, &error))
    }

    /// Makes a pair of links, one here, the other in the namespace `there`.
    pub(crate) async fn add_pair(&self, here: &str, there: &Far<'_>) -> Result<(), DevError> {
        let mut far = LinkUnspec::new_with_name(there.name).setns_by_fd(there.netns.as_raw_fd());
        if let Some(mac) = there.mac {
            far = far.address(mac.to_vec());
        }
        let pair = LinkVeth::new(here, there.name);
        let pair = pair.set_info_data(InfoData::Veth(InfoVeth::Peer(far.build())));
        let made = self.handle.link().add(pair.build()).execute().await;
        made.map_err(|error| failed("make the link", here, &error))
    }

    /// Brings a link up, as a port of a bridge if one is given.
    pub(crate) async fn raise(&self, name: &str, bridge: Option<&str>) -> Result<(), DevError> {
        let mut wish = LinkUnspec::new_with_index(self.known(name).await?).up();
        if let Some(bridge) = bridge {
            wish = wish.controller(self.known(bridge).await?);
        }
        let done = self.handle.link().set(wish.build()).execute().await;
        done.map_err(|error| failed("bring up the link", name, &error))
    }

    /// Gives a link an address; one it has already is fine.
    pub(crate) async fn address(
        &self,
        name: &str,
        address: Ipv4Addr,
        bits: u8,
    ) -> Result<(), DevError> {
        let index = self.known(name).await?;
        let done = self.handle.address().add(index, IpAddr::V4(address), bits).execute().await;
        done.or_else(fine(nix::Error::EEXIST))
            .map_err(|error| failed("give an address to", name, &error))
    }

    /// Removes a link, and with it the other end of a pair; none is fine.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), DevError> {
        let Some(index) = self.index(name).await? else { return Ok(()) };
        let done = self.handle.link().del(index).execute().await;
        done.or_else(fine(nix::Error::ENODEV))
            .map_err(|error| failed("remove the link", name, &error))
    }

    /// Destinations of the namespace's routes of IPv4, but the default one.
    pub(crate) async fn routes(&self) -> Result<Vec<Ipv4Network>, DevError> {
        let wish = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let routes: Vec<_> = Box::pin(self.handle.route().get(wish).execute())
            .try_collect()
            .await
            .map_err(|error| failed("list routes", "", &error))?;
        let destination = |route: &rtnetlink::packet_route::route::RouteMessage| {
            let address = route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
                _ => None,
            })?;
            Ipv4Network::new(address, route.header.destination_prefix_length).ok()
        };
        Ok(routes.iter().filter_map(destination).collect())
    }

    /// Neighbours of a link that are fixed to `mac`.
    pub(crate) async fn fixed(&self, name: &str, mac: Mac) -> Result<Vec<Ipv4Addr>, DevError> {
        let index = self.known(name).await?;
        let all: Vec<_> = Box::pin(
            self.handle.neighbours().get().set_address_family(AddressFamily::Inet).execute(),
        )
        .try_collect()
        .await
        .map_err(|error| failed("list the neighbours of", name, &error))?;
        let of_link = all.into_iter().filter(|neighbour| neighbour.header.ifindex == index);
        let fixed = of_link.filter(|neighbour| {
            let lladdr = NeighbourAttribute::LinkLayerAddress(mac.to_vec());
            neighbour.attributes.contains(&lladdr)
        });
        let address = |attribute: &NeighbourAttribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(*address),
            _ => None,
        };
        Ok(fixed.filter_map(|it| it.attributes.iter().find_map(address)).collect())
    }

    /// Fixes the hardware address of a neighbour, whatever the neighbour says.
    pub(crate) async fn fix(&self, name: &str, to: Ipv4Addr, mac: Mac) -> Result<(), DevError> {
        let index = self.known(name).await?;
        let entry = self.handle.neighbours().add(index, IpAddr::V4(to)).link_layer_address(&mac);
        let done = entry.state(NeighbourState::Permanent).replace().execute().await;
        done.map_err(|error| failed("fix a neighbour of", name, &error))
    }

    /// Forgets what [`Links::fix`] did.
    pub(crate) async fn unfix(&self, name: &str, to: Ipv4Addr) -> Result<(), DevError> {
        let index = self.known(name).await?;
        // The request to add one carries the message that names it.
        let mut entry = self.handle.neighbours().add(index, IpAddr::V4(to));
        let message = entry.message_mut().clone();
        let done = self.handle.neighbours().del(message).execute().await;
        done.or_else(fine(nix::Error::ENOENT))
            .map_err(|error| failed("free a neighbour of", name, &error))
    }
}

/// The other end of a pair.
#[derive(Debug)]
pub(crate) struct Far<'a> {
    pub(crate) name: &'a str,
    pub(crate) netns: &'a File,
    /// Drawn by the kernel when `None`.
    pub(crate) mac: Option<Mac>,
}

fn is(error: &Error, number: nix::Error) -> bool {
    matches!(error, Error::NetlinkError(refusal)
        if refusal.to_io().raw_os_error() == Some(number as i32))
}

/// For `or_else`: what is so already counts as done.
fn fine(number: nix::Error) -> impl FnOnce(Error) -> Result<(), Error> {
    move |error| if is(&error, number) { Ok(()) } else { Err(error) }
}

fn failed(action: &str, name: &str, error: &Error) -> DevError {
    let action = format!("{action} {name}");
    match error {
        Error::NetlinkError(refusal) => DevError::network(action)(refusal.to_io()),
        other => DevError::network(action)(other),
    }
}
