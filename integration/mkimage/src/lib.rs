//! Makes small container images from Debian packages and files, without any registry.
//!
//! A [`Tree`] is the content of one layer, held in memory in path order; an [`Image`] is its
//! layers, configuration and manifest as bytes. The same input always gives the same archive:
//! paths are sorted, times are zero, owners are root.
//!
//! It serves tests, demo and benchmarks; it is no general image builder.

mod apps;
mod image;
mod push;
mod tree;

pub use apps::App;
pub use image::{Config, Format, Image, Layers};
pub use tree::Tree;

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("{doing} {path}")]
    Io {
        /// The verb.
        doing: &'static str,
        /// Its object.
        path: String,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// A program this needs (apt-get, dpkg-deb, busybox) failed.
    #[error("{program} failed: {stderr}")]
    Program {
        /// Its command line.
        program: String,
        /// What it said.
        stderr: String,
    },
    /// A registry refused.
    #[error("push {path}: {answer}")]
    Registry {
        /// What was pushed where.
        path: String,
        /// What it said.
        answer: String,
    },
    /// The configuration could not be encoded.
    #[error("encode the image")]
    Encode(#[from] serde_json::Error),
}

impl Error {
    pub(crate) fn io(
        doing: &'static str,
        path: impl std::fmt::Display,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Io { doing, path, source }
    }
}
