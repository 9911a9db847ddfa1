//! A cluster of this machine, one method per command.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::r#become::Part;
use crate::cgroup::Cgroups;
use crate::lock::Lock;
use crate::partition::Direction;
use crate::place::{Place, ROOT};
use crate::record::{Member, Record, Shape};
use crate::status::{self, NodeStatus};
use crate::{DevError, r#become, containerd, form, keeper, node, partition, sweep, underlay};

/// What of a node is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Victim {
    /// The daemon. Tasks go on.
    Daemon,
    /// containerd. Tasks go on.
    Containerd,
    /// Everything, as when the power is cut.
    Node,
}

/// A cluster of this machine, whether it is there or not.
#[derive(Clone, Debug)]
pub struct Rig {
    place: Place,
    /// The program nodes run: this one.
    program: PathBuf,
}

impl Rig {
    /// The cluster of that name.
    ///
    /// # Errors
    ///
    /// [`DevError::BadName`], and [`DevError::NotRoot`] for who may not make namespaces.
    pub fn new(name: &str) -> Result<Self, DevError> {
        if !geteuid().is_root() {
            return Err(DevError::NotRoot);
        }
        let place = Place::new(Path::new(ROOT), name)?;
        let program = std::env::current_exe();
        let program = program.map_err(DevError::io("find", Path::new("/proc/self/exe")))?;
        Ok(Self { place, program })
    }

    /// Makes the cluster, or brings up what does not run of one with that shape.
    ///
    /// # Errors
    ///
    /// [`DevError::Exists`] when there is one of another shape; else what did not come up, with
    /// the end of its log. What was made stays, for a look; `down` removes it.
    pub async fn up(&self, shape: Shape) -> Result<(), DevError> {
        shape.check()?;
        containerd::check(&std::env::var_os("PATH").unwrap_or_default())?;
        let (_held, record) = self.blocking(move |rig| rig.raise(shape)).await?;
        form::form(&self.place, &record).await
    }

    fn raise(&self, shape: Shape) -> Result<(Lock, Record), DevError> {
        let (held, record) = self.claim(shape)?;
        underlay::make_hub(&self.place, &record)?;
        self.bring_up(&record, &shape.nodes())?;
        Ok((held, record))
    }

    /// The record of the cluster, written if there is none; nothing else is made.
    fn claim(&self, shape: Shape) -> Result<(Lock, Record), DevError> {
        let held = Lock::of_new(&self.place.dir())?;
        if let Some(record) = Record::load(&self.place.record())? {
            if record.shape != shape {
                let (name, has) = (self.place.name.clone(), record.shape.to_string());
                return Err(DevError::Exists { name, has });
            }
            return Ok((held, record));
        }
        // A `down` was killed half-way: what it left is no part of this cluster.
        self.clear()?;
        // Nobody else chooses a subnet meanwhile.
        let root = &self.place.root;
        let _choosing = Lock::of_new(root)?;
        let record = Record::new(underlay::free_subnet(&taken(root))?, shape);
        record.save(&self.place.record())?;
        Ok((held, record))
    }

    /// Brings up nodes, all at the same time.
    fn bring_up(&self, record: &Record, nodes: &[Member]) -> Result<(), DevError> {
        let one = |node: Member| node::bring_up(&self.place, record, node, &self.program);
        let outcomes: Vec<Result<(), DevError>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                nodes.iter().map(|&node| scope.spawn(move || one(node))).collect();
            threads
                .into_iter()
                .map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        outcomes.into_iter().collect()
    }

    /// Removes the cluster with everything that is or was in it. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// What could not be removed; another call goes on from there.
    pub async fn down(&self) -> Result<bool, DevError> {
        self.blocking(Self::remove).await
    }

    fn remove(&self) -> Result<bool, DevError> {
        let dir = self.place.dir();
        let Some(_held) = Lock::of(&dir)? else { return Ok(false) };
        self.clear()?;
        sweep::remove_all(&dir)?;
        // Others may have clusters in it.
        let _ = fs::remove_dir(&self.place.root);
        Ok(true)
    }

    /// Removes what is in the cluster's directory, and what that names elsewhere.
    fn clear(&self) -> Result<(), DevError> {
        let dir = self.place.dir();
        Cgroups::find()?.end(&self.place.cgroup())?;
        // A damaged record is no reason to keep the rest; what follows from it is the host's link,
        // which goes with the hub.
        if let Ok(Some(record)) = Record::load(&self.place.record()) {
            underlay::remove_host_link(&record)?;
        }
        sweep::unmount_below(&dir)?;
        for name in fs::read_dir(&dir).into_iter().flatten().flatten().map(|it| it.file_name()) {
            let node = self.place.node(&name.to_string_lossy());
            sweep::remove_shims(&node.containerd_state())?;
        }
        // The record goes first: half of a cluster is none.
        sweep::remove_file(&self.place.record())?;
        sweep::empty(&dir)
    }

    /// What the nodes do.
    ///
    /// # Errors
    ///
    /// [`DevError::NoCluster`].
    pub fn status(&self) -> Result<Vec<NodeStatus>, DevError> {
        let record = self.place.load()?;
        let nodes = record.shape.nodes();
        Ok(nodes.into_iter().map(|node| status::of(&self.place, &record, node)).collect())
    }

    /// Kills a part of nodes, or all of it.
    ///
    /// # Errors
    ///
    /// [`DevError::NoNode`]; what cannot be killed.
    pub async fn kill(&self, nodes: Vec<String>, victim: Victim) -> Result<(), DevError> {
        self.with(nodes, move |rig, _, nodes| {
            for node in nodes {
                let place = rig.place.node(&node.name());
                match victim {
                    Victim::Daemon => node::kill(Part::Daemon, &place)?,
                    Victim::Containerd => node::kill(Part::Containerd, &place)?,
                    Victim::Node => node::cut_power(&place)?,
                }
            }
            Ok(())
        })
        .await
    }

    /// Starts what does not run of nodes, and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`DevError::NoNode`]; what did not come up, with the end of its log.
    pub async fn start(&self, nodes: Vec<String>) -> Result<(), DevError> {
        self.with(nodes, |rig, record, nodes| {
            underlay::make_hub(&rig.place, record)?;
            rig.bring_up(record, &nodes)
        })
        .await
    }

    /// Stops every process of nodes, tasks included, where it is.
    ///
    /// # Errors
    ///
    /// [`DevError::NoNode`].
    pub async fn pause(&self, nodes: Vec<String>) -> Result<(), DevError> {
        self.each_group(nodes, Cgroups::pause).await
    }

    /// Undoes [`Rig::pause`].
    ///
    /// # Errors
    ///
    /// [`DevError::NoNode`].
    pub async fn resume(&self, nodes: Vec<String>) -> Result<(), DevError> {
        self.each_group(nodes, Cgroups::resume).await
    }

    async fn each_group(
        &self,
        nodes: Vec<String>,
        change: fn(&Cgroups, &str) -> Result<(), DevError>,
    ) -> Result<(), DevError> {
        self.with(nodes, move |rig, _, nodes| {
            let cgroups = Cgroups::find()?;
            let groups = nodes.iter().map(|node| rig.place.node(&node.name()).cgroup);
            groups.into_iter().try_for_each(|group| change(&cgroups, &group))
        })
        .await
    }

    /// Cuts nodes off from others, or from all others when those are none. Adds to earlier cuts.
    ///
    /// # Errors
    ///
    /// [`DevError::NoNode`]; [`DevError::Refused`] when nothing is to be cut.
    pub async fn partition(
        &self,
        nodes: Vec<String>,
        from: Vec<String>,
        direction: Direction,
    ) -> Result<(), DevError> {
        let all = nodes.iter().chain(&from).cloned().collect();
        self.with(all, move |rig, record, _| {
            let mut record = record.clone();
            let others = match from.is_empty() {
                true => record.shape.nodes().into_iter().map(Member::name).collect(),
                false => from,
            };
            record.cuts.extend(partition::cuts(&nodes, &others, direction)?);
            rig.cut(&record)
        })
        .await
    }

    /// Undoes every [`Rig::partition`].
    ///
    /// # Errors
    ///
    /// [`DevError::NoCluster`].
    pub async fn heal(&self) -> Result<(), DevError> {
        self.with(Vec::new(), |rig, record, _| {
            let mut record = record.clone();
            record.cuts.clear();
            rig.cut(&record)
        })
        .await
    }

    /// Writes the cuts down, then makes them. Nodes that are off get theirs when they start.
    fn cut(&self, record: &Record) -> Result<(), DevError> {
        record.save(&self.place.record())?;
        for node in record.shape.nodes() {
            let place = self.place.node(&node.name());
            if !node::is_off(&place)? {
                partition::apply(record, node, &underlay::opened(&place.netns())?)?;
            }
        }
        Ok(())
    }

    /// Becomes a command in the network of a node: returns only when that cannot be.
    ///
    /// # Errors
    ///
    /// [`DevError::NoNode`], [`DevError::Off`], [`DevError::Io`] with what cannot be run.
    pub fn exec(&self, node: &str, words: &[OsString]) -> Result<Infallible, DevError> {
        let place = self.place.node(&self.node(node)?.name());
        if node::is_off(&place)? {
            let (cluster, node) = (self.place.name.clone(), node.to_owned());
            return Err(DevError::Off { cluster, node });
        }
        r#become::command(&place, node, &self.program, words)
    }

    /// Becomes a part of a node: returns only when that cannot be.
    ///
    /// # Errors
    ///
    /// As [`Rig::exec`].
    pub fn run(&self, node: &str, part: Part) -> Result<Infallible, DevError> {
        let place = self.place.node(&self.node(node)?.name());
        r#become::part(part, &place, node, &self.program)
    }

    /// The files of a part's log, the older one first; neither need be there.
    ///
    /// # Errors
    ///
    /// [`DevError::NoNode`].
    pub fn logs(&self, node: &str, part: Part) -> Result<[PathBuf; 2], DevError> {
        let log = part.log(&self.place.node(&self.node(node)?.name()));
        Ok([keeper::older(&log), log])
    }

    fn node(&self, name: &str) -> Result<Member, DevError> {
        self.found(&self.place.load()?, name)
    }

    fn found(&self, record: &Record, name: &str) -> Result<Member, DevError> {
        record.node(name).ok_or_else(|| {
            let there: Vec<String> = record.shape.nodes().into_iter().map(Member::name).collect();
            let (cluster, node) = (self.place.name.clone(), name.to_owned());
            DevError::NoNode { cluster, node, there: there.join(", ") }
        })
    }

    /// Does something to nodes while no other command works on the cluster.
    async fn with(
        &self,
        nodes: Vec<String>,
        work: impl FnOnce(&Self, &Record, Vec<Member>) -> Result<(), DevError> + Send + 'static,
    ) -> Result<(), DevError> {
        self.blocking(move |rig| {
            let none = || DevError::NoCluster(rig.place.name.clone());
            let _held = Lock::of(&rig.place.dir())?.ok_or_else(none)?;
            let record = rig.place.load()?;
            let nodes = nodes.iter().map(|name| rig.found(&record, name));
            let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
            work(rig, &record, nodes)
        })
        .await
    }

    /// Runs what waits for processes and the kernel where it holds up nobody.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, DevError> + Send + 'static,
    ) -> Result<T, DevError> {
        if Cgroups::is_in_node()? {
            let why = "this shell is in a node itself: leave it first, with `exit`";
            return Err(DevError::Refused(why.to_owned()));
        }
        let rig = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&rig)).await;
        done.unwrap_or_else(|error| Err(DevError::network("work on the cluster")(error)))
    }
}

/// Subnets of all clusters there are; one whose record cannot be read has its link still.
fn taken(root: &Path) -> Vec<u8> {
    let clusters = fs::read_dir(root).into_iter().flatten().flatten();
    let record = |dir: PathBuf| Record::load(&dir.join("cluster.json")).ok().flatten();
    clusters.filter_map(|dir| record(dir.path())).map(|record| record.subnet).collect()
}
