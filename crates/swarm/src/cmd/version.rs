//! `swarm version`
//!
//! What this program is, and what the node is made of. Without a node it tells the first, and
//! then fails, as Docker does.

use serde_json::{Value, json};
use swarm_client::{Client, Versions};

use crate::output::Printer;

const CLIENT: &str = env!("CARGO_PKG_VERSION");

#[derive(clap::Args, Debug)]
pub(crate) struct Version {
    /// Go template, as with --format
    #[arg(short = 'f', value_name = "TEMPLATE")]
    template: Option<String>,
}

pub(crate) async fn run(args: Version, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let server = client.versions().await;
    let object = object(server.as_ref().ok());
    if let Some(template) = &args.template {
        out.inspect(&[object], Some(template))?;
    } else if !out.object(&object)? {
        out.line(format_args!("Client:\n Version:  {CLIENT}"))?;
        if let Ok(server) = &server {
            out.line(text(server))?;
        }
    }
    Ok(server.map(drop)?)
}

fn text(server: &Versions) -> String {
    let parts =
        components(server).map(|(name, version)| format!(" {name}:\n  Version:  {version}"));
    format!("\nServer:\n{}", parts.join("\n"))
}

fn components(server: &Versions) -> [(&str, &str); 3] {
    let runc = if server.runc.is_empty() { "unknown" } else { &server.runc };
    [("Engine", &server.daemon), ("containerd", &server.containerd), ("runc", runc)]
}

/// Under Docker's keys.
fn object(server: Option<&Versions>) -> Value {
    let server = server.map(|server| {
        let part = |(name, version)| json!({ "Name": name, "Version": version });
        json!({ "Version": server.daemon, "Components": components(server).map(part) })
    });
    json!({ "Client": { "Version": CLIENT }, "Server": server })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_told() {
        let server =
            Versions { daemon: "1.2.3".into(), containerd: "1.6.20".into(), runc: String::new() };

        let expected = "
Server:
 Engine:
  Version:  1.2.3
 containerd:
  Version:  1.6.20
 runc:
  Version:  unknown";
        assert_eq!(text(&server), expected);
        assert_eq!(object(Some(&server))["Server"]["Components"][1]["Version"], "1.6.20");
        assert_eq!(object(None)["Server"], Value::Null);
    }
}
