//! `swarm service logs [OPTIONS] SERVICE|TASK`

use swarm_client::{Client, ClientError, Consistency};

use crate::cmd::logs::{self, Source};
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Logs {
    #[command(flatten)]
    options: logs::Options,
    /// Service, or one of its tasks
    #[arg(value_name = "SERVICE|TASK")]
    name: String,
}

pub(crate) async fn run(args: Logs, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let source = match client.service(&args.name, Consistency::Linearizable).await {
        Ok(service) => Source::Service(service.value.id),
        Err(ClientError::NotFound { name, .. }) => {
            let task = client.task(&name, Consistency::Linearizable).await;
            let task = task.map_err(|_| anyhow::anyhow!("no such task or service: {name}"))?;
            Source::Task(Box::new(task))
        }
        Err(error) => return Err(error.into()),
    };
    logs::show(&args.options, source, client, out).await
}
