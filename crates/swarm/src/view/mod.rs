//! How objects look to people and to programs that read JSON.

pub(crate) mod filter;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod json;
pub(crate) mod moment;
pub(crate) mod node_list;
pub(crate) mod ports;
pub(crate) mod pretty;
pub(crate) mod service_list;
pub(crate) mod task_filter;
pub(crate) mod task_table;

use swarm_client::{Answer, Consistency};
use swarm_types::Timestamp;
use swarm_types::image::ImageRef;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::text::human_duration;

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
            out.warn(format_args!(
                "stale: as of log index {}, {} ms ago",
                answer.applied_index,
                age.as_millis()
            ));
        }
        answer.value
    }
}

/// The spec as Docker shows it: with the updates and roll-backs that are done when none were
/// asked for.
pub(crate) fn with_defaults(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    if !spec.mode.is_job() {
        spec.update.get_or_insert_default();
        spec.rollback.get_or_insert_default();
    }
    spec
}

/// How long ago, as Docker's tables say it.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", human_duration(now.since(at)).to_lowercase())
}

/// First letter upper, as Docker shows states.
pub(crate) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect()
    })
}

/// The image as Docker's tables show it: the short name, without a digest.
pub(crate) fn familiar(image: &str) -> String {
    let bare = image.split_once('@').map_or(image, |(name, _)| name);
    bare.parse::<ImageRef>().map_or_else(|_| bare.to_owned(), |parsed| parsed.to_string())
}

/// A full name of an image as people write it, with its digest if it has one.
pub(crate) fn short_name(image: &str) -> String {
    image.parse::<ImageRef>().map_or_else(|_| image.to_owned(), |parsed| parsed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lose_their_digest_and_their_default_registry() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        for (image, shown) in [
            ("web:1", "web:1"),
            ("docker.io/library/web:1", "web:1"),
            (&format!("web:1{digest}"), "web:1"),
            (&format!("docker.io/me/web:1{digest}"), "me/web:1"),
            ("registry.local:5000/web:1", "registry.local:5000/web:1"),
        ] {
            assert_eq!(familiar(image), shown);
        }
    }
}
