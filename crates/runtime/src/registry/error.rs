//! Why an image does not come from its registry.

use std::path::PathBuf;
use std::time::Duration;

/// A variant per thing the caller does differently. None of them holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or one that broke. May work later.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The registry's host.
        host: String,
        /// What the network said.
        why: String,
    },
    /// Its certificate is signed by nobody this node trusts, or is for another host.
    #[error("{host} is not trusted: {why}; put its CA into {ca}")]
    Untrusted {
        /// The registry's host.
        host: String,
        /// What is wrong with the certificate.
        why: String,
        /// Where this node looks for the CA.
        ca: String,
    },
    /// The registry cannot answer now, or wants fewer requests. May work later.
    #[error("{host} answers {status}: {why}")]
    Busy {
        /// The registry's host.
        host: String,
        /// Its HTTP status.
        status: u16,
        /// What it said.
        why: String,
        /// How long it wants to be left alone; `None` when it did not say.
        wait: Option<Duration>,
    },
    /// There is no such image in that registry.
    #[error("{host} has no {what}")]
    NotFound {
        /// The registry's host.
        host: String,
        /// The manifest or blob.
        what: String,
    },
    /// The credentials do not suffice, or there were none.
    #[error("{host} denies {what}: {why}")]
    Denied {
        /// The registry's host.
        host: String,
        /// The manifest or blob.
        what: String,
        /// What the registry said.
        why: String,
    },
    /// Any other answer that is not what was asked for.
    #[error("{host} answers {what} with {why}")]
    Refused {
        /// The registry's host.
        host: String,
        /// The manifest or blob.
        what: String,
        /// What the registry said.
        why: String,
    },
    /// Content that is not what its digest or size says; it was thrown away.
    #[error("{what} is {found}, announced as {announced}")]
    Mismatch {
        /// What was compared.
        what: String,
        /// What it is.
        found: String,
        /// What it should be.
        announced: String,
    },
    /// A manifest of schema version 1, which says too little to be checked.
    #[error("{0} is a schema 1 image: push it again with a current tool")]
    Schema1(String),
    /// A document that cannot be used.
    #[error("{what}: {why}")]
    Document {
        /// Its name or digest.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The settings for this registry cannot be used.
    #[error("{}: {why}", file.display())]
    Settings {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Credentials that are not in the form of Docker's X-Registry-Auth.
    #[error("registry credentials: {0}")]
    Credentials(&'static str),
}

impl RegistryError {
    /// True when the same request may work later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }

    /// This, told together with how the next host was not reached either.
    #[must_use]
    pub(crate) fn nor(mut self, next: &Self) -> Self {
        if let (Self::Unreachable { why, .. }, Self::Unreachable { host, why: next }) =
            (&mut self, next)
        {
            *why = format!("{why}; nor {host}: {next}");
        }
        self
    }

    /// How long the registry wants to be left alone.
    pub(crate) fn wait(&self) -> Duration {
        match self {
            Self::Busy { wait, .. } => wait.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}
