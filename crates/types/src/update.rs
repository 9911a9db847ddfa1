//! What an update of a service may not change, whatever else it changes.

use std::mem::discriminant;

use crate::Resolved;
use crate::spec::service::ServiceSpec;

/// Why a service cannot become what an update asks for. Make another service instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotUpdatable {
    /// The name is another one.
    #[error("Name: renaming services is not supported")]
    Name,
    /// The mode is another one. Its numbers may change.
    #[error("Mode: service mode change is not allowed")]
    Mode,
}

/// Says whether a service can be changed from `old` to `new`: everything but name and mode may
/// differ.
///
/// # Errors
///
/// The first part that may not change. Nothing may be stored then.
pub fn may_update(old: &ServiceSpec, new: &Resolved<ServiceSpec>) -> Result<(), NotUpdatable> {
    if old.annotations.name != new.annotations.name {
        return Err(NotUpdatable::Name);
    }
    if discriminant(&old.mode) != discriminant(&new.mode) {
        return Err(NotUpdatable::Mode);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::Spec;
    use crate::spec::service::ServiceMode::{self, Global, GlobalJob, Replicated, ReplicatedJob};
    use crate::{IdSource, resolve};

    fn spec(name: &str, mode: ServiceMode) -> Resolved<ServiceSpec> {
        let mut spec = ServiceSpec { mode, ..ServiceSpec::least() };
        name.clone_into(&mut spec.annotations.name);
        resolve(spec, &mut IdSource::seeded(1)).unwrap()
    }

    #[test]
    fn a_service_keeps_its_name_to_the_letter() {
        let web = spec("web", Global);

        assert_eq!(may_update(&web, &spec("web", Global)), Ok(()));
        for other in ["Web", "web2"] {
            assert_eq!(may_update(&web, &spec(other, Global)), Err(NotUpdatable::Name));
        }
    }

    #[test]
    fn a_service_keeps_its_mode_and_may_change_its_numbers() {
        let job = |total_completions| ReplicatedJob { max_concurrent: 1, total_completions };
        let modes = [Replicated { replicas: 1 }, Global, job(1), GlobalJob];
        for (before, old) in modes.into_iter().enumerate() {
            for (after, new) in modes.into_iter().enumerate() {
                let expected = if before == after { Ok(()) } else { Err(NotUpdatable::Mode) };
                assert_eq!(may_update(&spec("web", old), &spec("web", new)), expected);
            }
        }
        let scaled = spec("web", Replicated { replicas: 7 });
        assert_eq!(may_update(&spec("web", modes[0]), &scaled), Ok(()));
        assert_eq!(may_update(&spec("web", job(1)), &spec("web", job(2))), Ok(()));
    }

    #[test]
    fn everything_else_may_change() {
        let web = spec("web", Replicated { replicas: 1 });
        let mut other = ServiceSpec::least();
        "web".clone_into(&mut other.annotations.name);
        other.annotations.labels.insert("a".to_owned(), "b".to_owned());
        other.task.force_update = 1;
        other.update = Some(Default::default());
        other.endpoint.mode = crate::spec::service::EndpointMode::DnsRr;
        let other = resolve(other, &mut IdSource::seeded(1)).unwrap();

        assert_eq!(may_update(&web, &other), Ok(()));
    }
}
