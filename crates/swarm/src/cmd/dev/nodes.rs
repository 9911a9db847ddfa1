//! `swarm dev kill [--containerd | --all] NODE...`, `start`, `pause`, `resume NODE...`

use swarm_dev::Victim;

#[derive(clap::Args, Debug)]
pub(crate) struct Nodes {
    /// Nodes, as in m1 or m1,w2
    #[arg(required = true, value_name = "NODE", value_delimiter = ',')]
    pub(super) nodes: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Kill {
    #[command(flatten)]
    nodes: Nodes,
    /// Kill containerd instead; tasks go on
    #[arg(long)]
    containerd: bool,
    /// Kill everything on the node, tasks included, as when its power is cut
    #[arg(long, conflicts_with = "containerd")]
    all: bool,
}

impl Kill {
    pub(super) fn nodes(&self) -> Vec<String> {
        self.nodes.nodes.clone()
    }

    pub(super) fn victim(&self) -> Victim {
        match (self.containerd, self.all) {
            (true, _) => Victim::Containerd,
            (_, true) => Victim::Node,
            _ => Victim::Daemon,
        }
    }
}
