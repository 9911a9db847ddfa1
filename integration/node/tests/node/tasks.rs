//! What users do with a task's container, over the daemon's socket.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use node_test::{Node, until};
use swarm_proto::v1;
use swarm_proto::v1::exec_request::Part as Ask;
use swarm_proto::v1::exec_response::Part as Told;
use swarm_proto::v1::tasks_client::TasksClient;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

const PATIENCE: Duration = Duration::from_secs(30);

/// A node with one task that runs, and its id.
fn node() -> (Node, String) {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "web", "--network", "host", "busybox:test"];
    let _ = node.swarm(&[&line[..], &["sleep", "100000"]].concat()).ok();
    let task = node.running("web", 1)[0].id.clone();
    (node, task)
}

fn client(node: &Node) -> TasksClient<Channel> {
    let socket = node.socket();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://swarm").connect_with_connector_lazy(connector);
    TasksClient::new(channel)
}

/// A command's call: what is asked of it, and what it tells.
struct Command {
    asked: mpsc::Sender<v1::ExecRequest>,
    told: Streaming<v1::ExecResponse>,
}

impl Command {
    async fn start(node: &Node, start: v1::ExecStart) -> Result<Self, Status> {
        let (asked, requests) = mpsc::channel(8);
        let part = Some(Ask::Start(start));
        asked.send(v1::ExecRequest { part }).await.unwrap();
        let told = client(node).exec(ReceiverStream::new(requests)).await?.into_inner();
        Ok(Self { asked, told })
    }

    async fn ask(&self, part: Ask) {
        self.asked.send(v1::ExecRequest { part: Some(part) }).await.unwrap();
    }

    async fn next(&mut self) -> Result<Told, Status> {
        let told = timeout(PATIENCE, self.told.message()).await.unwrap()?;
        Ok(told.unwrap().part.unwrap())
    }

    /// Everything it tells, and its exit.
    async fn rest(mut self) -> (String, v1::ExecExit) {
        // Nothing more is asked: that ends its input.
        drop(self.asked);
        let mut output = Vec::new();
        loop {
            let told = timeout(PATIENCE, self.told.message()).await.unwrap().unwrap().unwrap();
            match told.part.unwrap() {
                Told::Started(started) => assert!(started.pid > 0),
                Told::Stdout(bytes) | Told::Stderr(bytes) => output.extend(bytes),
                Told::Exit(exit) => return (String::from_utf8(output).unwrap(), exit),
                Told::Done(count) => panic!("{count} is for managers"),
            }
        }
    }
}

fn sh(task: &str, script: &str) -> v1::ExecStart {
    v1::ExecStart {
        task: task.as_bytes().to_vec(),
        args: ["sh", "-c", script].map(String::from).into(),
        ..v1::ExecStart::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_beside_a_task() {
    let (node, task) = node();

    let plain = Command::start(&node, sh(&task, "echo out; exit 6")).await.unwrap().rest().await;
    assert_eq!((plain.0.as_str(), plain.1.code), ("out\n", 6));

    let start = v1::ExecStart { stdin: true, ..sh(&task, "cat; echo end") };
    let fed = Command::start(&node, start).await.unwrap();
    fed.ask(Ask::Input(b"some input\n".to_vec())).await;
    assert_eq!(fed.rest().await.0, "some input\nend\n");

    let size = Some(v1::TerminalSize { rows: 20, columns: 70 });
    let start = v1::ExecStart { tty: true, size, ..sh(&task, "tty; read x; stty size; exit 2") };
    let mut shown = Command::start(&node, v1::ExecStart { stdin: true, ..start }).await.unwrap();
    while !matches!(shown.next().await.unwrap(), Told::Stdout(_)) {}
    shown.ask(Ask::Resize(v1::TerminalSize { rows: 21, columns: 71 })).await;
    shown.ask(Ask::Input(b"\n".to_vec())).await;
    let (output, exit) = shown.rest().await;
    assert!(output.contains("21 71"), "{output:?}");
    assert_eq!(exit.code, 2);

    let mut missing = sh(&task, "");
    missing.args = vec!["no-such-command".into()];
    let (_, exit) = Command::start(&node, missing).await.unwrap().rest().await;
    assert_eq!(exit.code, 127);
    assert!(exit.why.contains("no-such-command"), "{}", exit.why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_left_runs_on_and_is_cleaned_up() {
    let (node, task) = node();
    // More output than pipes hold, and that with nobody left to read it.
    let script = "read x; yes | head -c 2000000; sleep 1; echo done >/tmp/left; exec sleep 1";
    let start = v1::ExecStart { stdin: true, ..sh(&task, script) };
    let mut left = Command::start(&node, start).await.unwrap();
    assert!(matches!(left.next().await.unwrap(), Told::Started(_)));

    left.ask(Ask::Input(b"\n".to_vec())).await;
    left.ask(Ask::Detach(v1::ExecDetach {})).await;
    while let Some(told) = timeout(PATIENCE, left.told.message()).await.unwrap().unwrap() {
        assert!(matches!(told.part, Some(Told::Stdout(_))), "{told:?}");
    }
    drop(left);

    let exec = node.dir().join("run/exec").join(&task);
    assert!(exec.exists(), "it does not run on");
    until("the command has ended", || match exec.exists() {
        true => Err("its pipes are there".into()),
        false => Ok(()),
    });
    let written = Command::start(&node, sh(&task, "cat /tmp/left")).await.unwrap().rest().await;
    assert_eq!(written.0, "done\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_ends_its_command() {
    let (node, task) = node();
    let start = sh(&task, "echo begun; exec sleep 4801");
    let mut command = Command::start(&node, start).await.unwrap();
    while !matches!(command.next().await.unwrap(), Told::Stdout(_)) {}

    drop(command);

    let exec = node.dir().join("run/exec").join(&task);
    until("the command is gone", || match exec.exists() {
        false => Ok(()),
        true => Err("its pipes are there".into()),
    });
    assert!(node.running("web", 1)[0].id == task);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_told() {
    let (node, task) = node();
    let code = async |start| match Command::start(&node, start).await {
        Err(status) => status.code(),
        Ok(mut begun) => begun.next().await.unwrap_err().code(),
    };
    let nobody = "0000000000000000000000000";

    assert_eq!(code(sh("x", "true")).await, Code::InvalidArgument);
    assert_eq!(code(sh(nobody, "true")).await, Code::NotFound);
    assert_eq!(
        code(v1::ExecStart { args: Vec::new(), ..sh(&task, "") }).await,
        Code::InvalidArgument
    );
    let mut fed = Command::start(&node, sh(&task, "exec sleep 100")).await.unwrap();
    fed.ask(Ask::Input(b"x".to_vec())).await;
    let refusal = async {
        loop {
            if let Err(refusal) = fed.next().await {
                return refusal.code();
            }
        }
    };
    assert_eq!(refusal.await, Code::InvalidArgument);

    let tasks = vec![nobody.as_bytes().to_vec()];
    let request = v1::LogsRequest { tasks, stdout: true, stderr: true, ..Default::default() };
    let mut logs = client(&node).logs(request).await.unwrap().into_inner();
    let first = logs.message().await.unwrap().unwrap().what.unwrap();
    assert!(matches!(first, v1::logs_response::What::Failure(_)), "{first:?}");
    assert!(logs.message().await.unwrap().is_none());
}
