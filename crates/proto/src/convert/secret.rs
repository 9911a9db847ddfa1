//! Secrets and configs.

use swarm_types::spec::secret::{ConfigSpec, SecretSpec};
use swarm_types::{Config, Secret};

use crate::codec::mirror;

mirror!(SecretSpec { annotations: need, data: need, templating: maybe, driver: maybe });
mirror!(Secret { id: id, meta: need, spec: need, internal: same });
mirror!(ConfigSpec { annotations: need, data: same, templating: maybe });
mirror!(Config { id: id, meta: need, spec: need });
