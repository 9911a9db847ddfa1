//! How objects look to people and to programs that read JSON.

pub(crate) mod json;
pub(crate) mod task_table;

use swarm_client::{Answer, Consistency};

use crate::output::Printer;

/// The option of every command that reads the cluster's state.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct ReadArgs {
    /// Read what this manager has, also when no leader can be reached
    #[arg(long)]
    stale: bool,
}

impl ReadArgs {
    pub(crate) const fn consistency(self) -> Consistency {
        if self.stale { Consistency::Stale } else { Consistency::Linearizable }
    }

    /// The answer's value; a stale one is announced with its age.
    pub(crate) fn unwrap<T>(self, answer: Answer<T>, out: &mut Printer) -> T {
        if let Some(age) = answer.age {
            out.note(format_args!(
                "stale: as of log index {}, {} ms ago",
                answer.applied_index,
                age.as_millis()
            ));
        }
        answer.value
    }
}

/// First letter upper, as Docker shows states.
pub(crate) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect()
    })
}

/// The first twelve characters of an id.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
