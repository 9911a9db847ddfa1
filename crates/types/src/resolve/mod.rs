//! Turns a spec as a user typed it into one that is complete and allowed.
//!
//! [`resolve`] fills in what was left out (`fill`), then asks every rule of `rules`. All
//! broken rules are reported at once. Only a [`Resolved`] spec may be proposed, and nothing else
//! makes one, so there is no check that could be forgotten.
//!
//! What needs the cluster is left to `apply`: that names are free, that references exist, that
//! ports do not collide with another service. What this version cannot do yet is no rule; see
//! [`crate::unsupported`].

mod fill;
mod names;
mod rules;

use std::fmt;
use std::ops::Deref;

use crate::IdSource;

/// A spec with its defaults filled in that keeps every rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved<S>(S);

impl<S> Resolved<S> {
    /// The spec, to be stored.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S> Deref for Resolved<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

/// Name of a rule, such as `mount-target-twice`; never changes once released.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(pub &'static str);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// A rule that a spec breaks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Violation {
    /// Where, in the words of Docker's API, such as `TaskTemplate.ContainerSpec.Image`.
    pub field: &'static str,
    /// Which rule.
    pub rule: RuleId,
    /// What the rule says and what was found instead; never holds a secret.
    pub message: String,
}

/// Why a spec cannot be stored: the rules it breaks, at least one. Fix them and ask again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invalid {
    /// Every broken rule, in the order of the table.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, violation) in self.violations.iter().enumerate() {
            write!(f, "{}{violation}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// A kind of spec: its defaults and its rules.
pub trait Spec: Sized {
    /// Fills in what was left out and brings what was typed into its stored form.
    fn fill(&mut self, ids: &mut IdSource);
    /// The rules it breaks as it stands.
    fn broken(&self) -> Vec<Violation>;
    /// The least a user has to type; keeps every rule.
    fn least() -> Self;
    /// For every rule, the least spec with one change that breaks it.
    fn negatives() -> Vec<(RuleId, Self)>;
}

/// Completes and checks a spec. `ids` is drawn from only for a name the user left out.
///
/// Resolving a resolved spec again changes nothing.
///
/// # Errors
///
/// [`Invalid`] lists every rule that is broken.
pub fn resolve<S: Spec>(mut spec: S, ids: &mut IdSource) -> Result<Resolved<S>, Invalid> {
    spec.fill(ids);
    let violations = spec.broken();
    if violations.is_empty() { Ok(Resolved(spec)) } else { Err(Invalid { violations }) }
}

#[cfg(test)]
mod tests;
