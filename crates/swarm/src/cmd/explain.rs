//! `swarm explain TASK`
//!
//! Which node takes the task, which one refuses it and why. Of several tasks of a slot it is
//! about the newest that has not ended: while an old one runs, that is the one to be placed.

use swarm_client::{Client, NodeVerdict, Verdict};

use crate::cmd::task;
use crate::output::{List, ListKind, Printer, Row};
use crate::view::ReadArgs;

static KIND: ListKind = ListKind {
    table: "{{.Node}}\t{{.Verdict}}\t{{.Filter}}\t{{.Detail}}",
    headers: &[
        ("Node", "NODE"),
        ("Verdict", "VERDICT"),
        ("Filter", "FILTER"),
        ("Detail", "DETAIL"),
        ("ID", "ID"),
    ],
    raw: &[
        ("node", "{{.Node}}"),
        ("verdict", "{{.Verdict}}"),
        ("filter", "{{.Filter}}"),
        ("detail", "{{.Detail}}"),
    ],
    quiet: "{{.ID}}",
    config_key: "",
};

#[derive(clap::Args, Debug)]
pub(crate) struct Explain {
    #[command(flatten)]
    read: ReadArgs,
    /// Task by id, start of an id, SERVICE.SLOT or SERVICE.NODE
    task: String,
}

pub(crate) async fn run(args: Explain, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let found = client.newest_task(&args.task, args.read.consistency()).await;
    let task = task::or_service(found, "swarm service ps", client).await?;
    let verdicts = client.explain(task.id, args.read.consistency()).await?;
    out.list(&list(verdicts))
}

fn list(verdicts: Vec<NodeVerdict>) -> List {
    let row = |it: NodeVerdict| {
        let verdict = match it.verdict {
            Verdict::Fits => "fits",
            Verdict::Refused => "refused",
            Verdict::Assigned => "assigned",
        };
        Row::new([
            ("Node", if it.hostname.is_empty() { it.node.to_string() } else { it.hostname }),
            ("Verdict", verdict.to_owned()),
            ("Filter", it.filter),
            ("Detail", it.detail),
            ("ID", it.node.to_string()),
        ])
    };
    List::new(&KIND, verdicts.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;

    use super::*;
    use crate::output::tests::shown;

    #[test]
    fn each_node_says_why() {
        let verdict = |hostname: &str, verdict, filter: &str, detail: &str| NodeVerdict {
            node: IdSource::system().draw(),
            hostname: hostname.into(),
            verdict,
            filter: filter.into(),
            detail: detail.into(),
        };
        let list = list(vec![
            verdict("m1", Verdict::Assigned, "", ""),
            verdict("w2", Verdict::Refused, "constraint", "node.role==manager is not true"),
        ]);

        assert_eq!(
            shown(&list, "table"),
            "NODE      VERDICT    FILTER       DETAIL\n\
             m1        assigned\n\
             w2        refused    constraint   node.role==manager is not true\n"
        );
    }
}
