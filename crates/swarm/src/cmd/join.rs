//! `swarm join --token TOKEN [--advertise-addr ...] [--availability ...] HOST[:PORT]`
//!
//! Says which part the node has in the swarm; with `-q` its id.

use std::net::{IpAddr, SocketAddr};

use swarm_client::{Client, Joining};
use swarm_types::Sensitive;
use swarm_types::spec::node::Availability;

use crate::flags::grammar;
use crate::output::Printer;

/// Where managers listen.
const PORT: u16 = 2377;

#[derive(clap::Args, Debug)]
pub(crate) struct Join {
    /// What `swarm join-token` on a manager printed
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    token: Sensitive,
    /// Address the other nodes reach this one at; the one the managers see when left out
    #[arg(long, default_value = "", value_name = "IP|INTERFACE[:PORT]", hide_default_value = true)]
    advertise_addr: String,
    /// Address to listen on as a manager (not taken here: `swarm daemon --listen-addr` sets it)
    #[arg(long, default_value = "", value_name = "IP:PORT", hide_default_value = true)]
    listen_addr: String,
    /// Address or interface of the traffic between nodes (not supported yet)
    #[arg(long, value_name = "IP|INTERFACE")]
    data_path_addr: Option<String>,
    /// active, pause (takes no tasks) or drain (the same, and gives up those it has)
    #[arg(
        long,
        default_value = "active",
        value_name = "AVAILABILITY",
        value_parser = grammar::availability
    )]
    availability: Availability,
    /// A manager of the swarm; its port is 2377 if none is given
    #[arg(value_name = "HOST[:PORT]")]
    manager: String,
}

pub(crate) async fn run(args: Join, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    anyhow::ensure!(args.data_path_addr.is_none(), "not supported yet: --data-path-addr");
    let joined = client
        .join(&Joining {
            token: args.token,
            managers: vec![with_port(args.manager)],
            advertise: args.advertise_addr,
            listen: args.listen_addr,
            availability: args.availability,
        })
        .await?;
    if out.quiet() {
        return Ok(out.line(joined.node)?);
    }
    Ok(out.line(format_args!("This node joined a swarm as a {}.", joined.role.as_str()))?)
}

fn secret(text: &str) -> Result<Sensitive, std::convert::Infallible> {
    Ok(Sensitive::new(text.as_bytes().to_vec()))
}

/// What Docker makes of an address: managers listen there unless they are told otherwise.
fn with_port(address: String) -> String {
    match address.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, PORT).to_string(),
        Err(_) if address.contains(':') && !address.ends_with(']') => address,
        Err(_) => format!("{address}:{PORT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_without_a_port_is_at_the_usual_one() {
        for (typed, meant) in [
            ("192.0.2.1", "192.0.2.1:2377"),
            ("192.0.2.1:99", "192.0.2.1:99"),
            ("manager", "manager:2377"),
            ("manager:99", "manager:99"),
            ("2001:db8::1", "[2001:db8::1]:2377"),
            ("[2001:db8::1]", "[2001:db8::1]:2377"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
        ] {
            assert_eq!(with_port(typed.to_owned()), meant);
        }
    }
}
