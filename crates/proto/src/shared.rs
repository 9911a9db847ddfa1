//! Many tasks in one message with each template once.
//!
//! A [`TemplateWriter`] gives templates positions, in order of appearance; the message carries
//! them as `templates` and its tasks name them. A [`TemplateReader`] puts the two together
//! again, with one `Arc` per template. Templates are told apart by their `Arc`.

use std::collections::HashMap;
use std::sync::Arc;

use swarm_types::{Task, Template};

use crate::convert::task::{resolve, with_template};
use crate::v1::task::Template as WireTemplate;
use crate::{DecodeError, v1};

/// Writes tasks that share templates.
#[derive(Debug, Default)]
pub struct TemplateWriter {
    positions: HashMap<usize, u32>,
    // Held, so that no address in `positions` is given to another template meanwhile.
    templates: Vec<Arc<Template>>,
}

impl TemplateWriter {
    /// A writer for one message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The task, with the position of its template.
    pub fn task(&mut self, task: &Task) -> v1::Task {
        self.place(task).0
    }

    /// The templates of the tasks written, in order of their positions.
    #[must_use]
    pub fn into_templates(self) -> Vec<v1::Template> {
        self.templates.iter().map(|template| template.as_ref().into()).collect()
    }

    /// The task, and its template if no task before had it.
    pub(crate) fn place<'a>(&mut self, task: &'a Task) -> (v1::Task, Option<&'a Template>) {
        let address = Arc::as_ptr(&task.template) as usize;
        // A position that does not fit in 32 bits would take more templates than fit in memory.
        let next = u32::try_from(self.templates.len()).unwrap_or(u32::MAX);
        let position = *self.positions.entry(address).or_insert(next);
        let new = (position == next).then(|| {
            self.templates.push(Arc::clone(&task.template));
            task.template.as_ref()
        });
        (with_template(task, WireTemplate::Shared(position)), new)
    }
}

/// Reads tasks that share templates.
#[derive(Debug, Default)]
pub struct TemplateReader {
    templates: Vec<Arc<Template>>,
}

impl TemplateReader {
    /// A reader for the message that carries these templates.
    ///
    /// # Errors
    ///
    /// The first template that cannot be read, as `templates[N]...`.
    pub fn new(templates: Vec<v1::Template>) -> Result<Self, DecodeError> {
        let mut reader = Self::default();
        for (position, template) in templates.into_iter().enumerate() {
            reader.add(template).map_err(|error| error.within_list("templates", position))?;
        }
        Ok(reader)
    }

    /// Reads a task of the message.
    ///
    /// # Errors
    ///
    /// The first field that cannot be read; `shared` when there is no template at the position.
    pub fn task(&self, task: v1::Task) -> Result<Task, DecodeError> {
        resolve(task, |position| self.templates.get(usize::try_from(position).ok()?).cloned())
    }

    pub(crate) fn add(&mut self, template: v1::Template) -> Result<(), DecodeError> {
        self.templates.push(Arc::new(template.try_into()?));
        Ok(())
    }
}
