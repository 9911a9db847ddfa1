//! Starting and ending one node. Every step finds what an earlier one did.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use swarm_net::netns;

use crate::r#become::{Part, daemon_config, start, tail};
use crate::cgroup::Cgroups;
use crate::place::{NodePlace, Place};
use crate::process::Process;
use crate::record::{Member, Record};
use crate::{DevError, containerd, sweep, underlay, wait};

/// How long containerd or a daemon may take until it answers.
const START: Duration = Duration::from_secs(30);

/// Brings up what does not run: network, containerd, daemon. The hub must be there.
pub(crate) fn bring_up(
    cluster: &Place,
    record: &Record,
    node: Member,
    program: &Path,
) -> Result<(), DevError> {
    let name = node.name();
    let place = cluster.node(&name);
    fs::create_dir_all(&place.dir).map_err(DevError::io("make", &place.dir))?;
    let cgroups = Cgroups::find()?;
    if is_off(&place)? {
        // As after a boot: what ran then left its traces.
        cgroups.end(&place.cgroup)?;
        sweep::forget_boot(&place)?;
    }
    cgroups.make(&place.system_cgroup())?;
    // What stands still answers no one.
    cgroups.resume(&place.cgroup)?;
    underlay::make_node(cluster, record, node)?;
    write_config(&place)?;
    for part in [Part::Containerd, Part::Daemon] {
        ensure(part, &place, [&cluster.name, &name], program)?;
    }
    Ok(())
}

/// Whether a node has no network, as before its first start and after a power cut.
pub(crate) fn is_off(place: &NodePlace) -> Result<bool, DevError> {
    let path = place.netns();
    Ok(netns::find(&path).map_err(DevError::io("open", &path))?.is_none())
}

/// Ends a node as a power cut does: every process at once, and what a boot forgets.
pub(crate) fn cut_power(place: &NodePlace) -> Result<(), DevError> {
    Cgroups::find()?.end(&place.cgroup)?;
    sweep::forget_boot(place)?;
    let path = place.netns();
    netns::remove(&path).map_err(DevError::io("remove", &path))
}

/// Kills one part; what it left running goes on.
pub(crate) fn kill(part: Part, place: &NodePlace) -> Result<(), DevError> {
    Process::find(&part.pid_file(place)).map_or(Ok(()), |process| process.kill())
}

/// Starts a part that does not run, and waits until it answers.
fn ensure(part: Part, place: &NodePlace, words: [&str; 2], program: &Path) -> Result<(), DevError> {
    let file = part.pid_file(place);
    let mut child = match Process::find(&file) {
        Some(_) => None,
        None => Some(start(part, place, words, program)?),
    };
    let wanted = format!("{} of {} answers", part.name(), words[1]);
    let socket = part.socket(place);
    let end = || tail(part, place);
    wait::until(&wanted, START, || {
        // A socket of an earlier one may still be there, but nobody listens to it.
        let Err(refusal) = UnixStream::connect(&socket) else { return Ok(Ok(())) };
        // It gives way to one that a killed command had begun to start.
        let ended = child.as_mut().and_then(|it| it.try_wait().ok().flatten());
        if let (Some(status), None) = (ended, Process::find(&file)) {
            let why = format!("{} of {} ended ({status}); {}", part.name(), words[1], end());
            return Err(DevError::Refused(why));
        }
        Ok(Err(refusal.to_string()))
    })
    .map_err(|error| match error {
        DevError::TooLate { wanted, seconds, seen } => {
            DevError::TooLate { wanted, seconds, seen: format!("{seen}; {}", end()) }
        }
        other => other,
    })
}

/// The files both programs read. The daemon's is for who wants to try other settings.
fn write_config(place: &NodePlace) -> Result<(), DevError> {
    containerd::write_config(place)?;
    let path = daemon_config(place);
    let there = File::options().create(true).append(true).open(&path);
    there.map(drop).map_err(DevError::io("make", &path))
}
