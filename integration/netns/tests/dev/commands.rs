//! Commands beside tasks of another node, as a user at a manager has them.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use netns_test::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node_test::until;

/// More than all there is between a command and who runs it.
const MUCH: usize = 30_000_000;

/// A user's terminal with a command line in it; `script` makes it.
struct Terminal {
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn run(line: &str) -> Self {
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", line, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut output, shown) = (child.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let sink = shown.clone();
        // Ends with the terminal.
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                sink.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Self { child, shown }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn shows(&self, word: &str) {
        until(&format!("{word} is shown"), || match self.shown() {
            shown if shown.contains(word) => Ok(()),
            shown => Err(shown),
        });
    }

    fn types(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    #[track_caller]
    fn ends(mut self) -> Option<i32> {
        until("it ends", || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status.code()),
            None => Err(self.shown()),
        })
    }
}

/// `swarm exec FLAGS web.1 COMMAND` at the manager; the task is on the worker.
fn exec(cluster: &Cluster, arguments: &[&str]) -> Command {
    cluster.command(&[&["exec", "m1", "--", "swarm", "exec"], arguments].concat())
}

fn typed(cluster: &Cluster, flags: &str, command: &str) -> Terminal {
    let program = node_test::program();
    let dev = format!("{} dev --name {} exec m1", program.display(), cluster.name());
    let done = cluster.dir().join("resize");
    let resize =
        format!("until [ -e {} ]; do sleep 0.05; done; stty rows 44 cols 99", done.display());
    let exec = format!("{dev} -- swarm exec {flags} web.1 {command}");
    Terminal::run(&format!("stty rows 33 cols 77; {{ {resize}; }} <&1 & {exec}"))
}

#[test]
fn a_command_on_another_node_is_as_one_here() {
    let cluster = Cluster::up(1);
    cluster.load_image();
    let create = ["service", "create", "--name", "web", "--constraint", "node.role==worker"];
    let _ = cluster.swarm("m1", &[&create[..], &["busybox:test", "sleep", "100000"]].concat()).ok();

    codes_and_streams(&cluster);
    a_terminal(&cluster);
    leaving(&cluster);
    much(&cluster);
}

fn codes_and_streams(cluster: &Cluster) {
    for (command, code) in
        [("echo out; echo err >&2; exit 7", 7), ("echo out; echo err >&2; kill -9 $$", 137)]
    {
        let ran = cluster.swarm("m1", &["exec", "web.1", "sh", "-c", command]);
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(code), "out\n", "err\n"), "{ran}");
    }
    let missing = cluster.swarm("m1", &["exec", "web.1", "no-such-command"]);
    assert_eq!(missing.code, Some(127), "{missing}");

    let mut fed = exec(cluster, &["-i", "web.1", "sh", "-c", "cat; exit 3"]);
    let mut fed = fed.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    fed.stdin.take().unwrap().write_all(b"some input\n").unwrap();
    let fed = fed.wait_with_output().unwrap();
    assert_eq!((fed.status.code(), &fed.stdout[..]), (Some(3), &b"some input\n"[..]));
}

/// Keys, the terminal's size and its changes, and an interrupt.
fn a_terminal(cluster: &Cluster) {
    let mut shell = typed(cluster, "-it", "sh");
    shell.types("tty; stty size\n");
    shell.shows("/dev/pts/");
    shell.shows("33 77");
    std::fs::write(cluster.dir().join("resize"), "").unwrap();
    shell.types("until stty size | grep 44; do usleep 50000; done\n");
    shell.shows("44 99");
    shell.types("echo be''gun; sleep 4801\n");
    shell.shows("begun");
    shell.types("\u{3}");
    shell.types("echo inter''rupted; exit 5\n");
    shell.shows("interrupted");
    assert_eq!(shell.ends(), Some(5));
}

/// Whether that runs in the task.
fn runs(cluster: &Cluster, what: &str) -> bool {
    let all = cluster.tasks("w1").into_iter();
    let mut lines = all.filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).replace('\0', " ").trim() == what)
}

fn awaits(cluster: &Cluster, what: &str, running: bool) {
    until(&format!("{what}: {running}"), || match runs(cluster, what) {
        found if found == running => Ok(()),
        _ => Err(format!("{:?}", cluster.tasks("w1"))),
    });
}

/// The keys leave a command running; a user who is gone ends it.
fn leaving(cluster: &Cluster) {
    let mut left = typed(cluster, "-it", "sleep 4802");
    awaits(cluster, "sleep 4802", true);
    left.types("\u{10}\u{11}");
    assert_eq!(left.ends(), Some(0));
    assert!(runs(cluster, "sleep 4802"));

    let mut ended = exec(cluster, &["web.1", "sleep", "4803"]).spawn().unwrap();
    awaits(cluster, "sleep 4803", true);
    kill(Pid::from_raw(ended.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(ended.wait().unwrap().code(), Some(128 + 15));
    awaits(cluster, "sleep 4803", false);
    assert!(runs(cluster, "sleep 4802"));
}

/// What nobody takes, of output or input, waits, and holds nothing else up.
fn much(cluster: &Cluster) {
    let count = MUCH.to_string();
    let mut slow = exec(cluster, &["web.1", "head", "-c", &count, "/dev/zero"]);
    let mut slow = slow.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = slow.stdout.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    let mut full = exec(cluster, &["-i", "web.1", "sleep", "4804"]);
    let mut full = full.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = full.stdin.take().unwrap();
    // Ends with the command.
    let feeder = thread::spawn(move || input.write_all(&vec![0; MUCH]));
    awaits(cluster, "sleep 4804", true);

    codes_and_streams(cluster);

    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    assert_eq!((slow.wait().unwrap().code(), rest.len()), (Some(0), MUCH - 1));
    // Both ways at once, neither loses anything.
    let sent: Vec<u8> = (0..MUCH / 10).flat_map(|at| at.to_le_bytes()).collect();
    let mut copied = exec(cluster, &["-i", "web.1", "cat"]);
    let mut copied = copied.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut copy, bytes) = (copied.stdin.take().unwrap(), sent.clone());
    let copier = thread::spawn(move || copy.write_all(&bytes));
    let copied = copied.wait_with_output().unwrap();
    copier.join().unwrap().unwrap();
    assert!(copied.stdout == sent, "{} bytes of {}", copied.stdout.len(), sent.len());

    kill(Pid::from_raw(full.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(full.wait().unwrap().code(), Some(128 + 15));
    assert!(feeder.join().unwrap().is_err());
}
