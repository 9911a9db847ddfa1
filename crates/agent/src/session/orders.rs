//! Which assignment messages are obeyed.
//!
//! A message is obeyed when it follows the one before it (or starts anew), and when it is not
//! older than anything obeyed before, in this session or an earlier one: a manager whose replica
//! lags, or that belongs to a cluster before a forced new one, gives no orders.

use swarm_proto::shared::TemplateReader;
use swarm_proto::v1::assignment_update::Update;
use swarm_proto::v1::assignments_message::Kind;
use swarm_proto::v1::task::Template;
use swarm_proto::{DecodeError, field, v1};
use swarm_types::Task;

use crate::worker::{Assignment, Extent, Unreadable};

/// The newest orders this node obeyed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Obeyed {
    /// Epoch of the cluster; 0 before the first orders.
    pub epoch: u64,
    /// Highest log index obeyed in that epoch.
    pub index: u64,
}

/// Why a message is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum Disobeyed {
    /// A message is missing between this one and the one before it.
    #[error("an assignment is missing: this one applies to {applies_to:?}, the last was {last:?}")]
    Gap {
        /// Version it applies to.
        applies_to: String,
        /// Version of the one before; `None` before the first.
        last: Option<String>,
    },
    /// It is older than what this node obeyed already.
    #[error("orders of {given:?} after those of {obeyed:?}")]
    Stale {
        /// When it was computed.
        given: Obeyed,
        /// What was obeyed.
        obeyed: Obeyed,
    },
    /// It is of a kind this version does not know.
    #[error("an assignment of an unknown kind: this node may have to be upgraded")]
    Unknown,
    /// It does not even name its tasks.
    #[error("unreadable assignment: {0}")]
    Unreadable(#[from] DecodeError),
}

/// One stream of assignments.
#[derive(Debug, Default)]
pub struct Orders {
    last: Option<String>,
}

impl Orders {
    /// Checks a message and reads it; raises `obeyed` to it.
    ///
    /// # Errors
    ///
    /// Nothing of the message is to be obeyed.
    pub fn read(
        &mut self,
        message: v1::AssignmentsMessage,
        obeyed: &mut Obeyed,
    ) -> Result<Assignment, Disobeyed> {
        let given = Obeyed { epoch: message.epoch, index: message.applied_index };
        if given < *obeyed {
            return Err(Disobeyed::Stale { given, obeyed: *obeyed });
        }
        let kind = message.kind();
        if kind == Kind::Incremental && self.last.as_ref() != Some(&message.applies_to) {
            let (applies_to, last) = (message.applies_to, self.last.clone());
            return Err(Disobeyed::Gap { applies_to, last });
        }
        let results_in = message.results_in.clone();
        let mut assignment = assignment(kind, message)?;
        // Epoch 0 is that of a node which never obeyed anybody.
        if assignment.extent == Extent::Everything
            && obeyed.epoch != 0
            && given.epoch > obeyed.epoch
        {
            assignment.extent = Extent::Anew;
        }
        self.last = Some(results_in);
        *obeyed = given;
        Ok(assignment)
    }
}

fn assignment(kind: Kind, message: v1::AssignmentsMessage) -> Result<Assignment, Disobeyed> {
    let extent = match kind {
        Kind::Complete => Extent::Everything,
        Kind::Incremental => Extent::Changes,
        Kind::Unspecified => return Err(Disobeyed::Unknown),
    };
    let (mut tasks, mut unreadable, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    let templates: Vec<_> = message.templates.into_iter().map(template).collect();
    for update in message.updates {
        match update.update.ok_or(Disobeyed::Unknown)? {
            Update::Removed(task) => removed.push(field::id(&task, "removed")?),
            Update::Task(task) => {
                let id = field::id(&task.id, "task.id")?;
                match read(&templates, task) {
                    Ok(task) => tasks.push(task),
                    Err(error) => unreadable.push(Unreadable { task: id, why: error.to_string() }),
                }
            }
        }
    }
    Ok(Assignment { extent, tasks, unreadable, removed })
}

/// A reader for one template: what is wrong with one is no reason to refuse tasks of another.
fn template(template: v1::Template) -> Result<TemplateReader, DecodeError> {
    TemplateReader::new(vec![template])
}

fn read(
    templates: &[Result<TemplateReader, DecodeError>],
    mut task: v1::Task,
) -> Result<Task, DecodeError> {
    let Some(Template::Shared(position)) = &mut task.template else {
        return Task::try_from(task);
    };
    let at = usize::try_from(std::mem::take(position)).ok();
    match at.and_then(|at| templates.get(at)) {
        Some(Ok(template)) => template.task(task),
        Some(Err(error)) => Err(error.clone()),
        None => TemplateReader::default().task(task),
    }
}

#[cfg(test)]
mod tests;
