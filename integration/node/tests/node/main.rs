//! One node, from outside: the real program, a real containerd, real containers.
//!
//! Each test has a node of its own in a network of its own. Nothing sleeps; what does not come
//! within the deadline fails with what was seen last, and the logs are kept.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apps;
mod containers;
mod crashes;
mod damage;
mod figures;
mod host;
mod identity;
mod images;
mod joins;
mod leftovers;
mod locked;
mod managers;
mod options;
mod output;
mod refusals;
mod restarts;
mod roles;
mod rollback;
mod scale;
mod services;
mod storms;
mod story;
mod tasks;
mod volumes;
mod workers;
