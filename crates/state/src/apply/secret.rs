//! Secrets and configs: what they hold never changes, only their labels.

use swarm_types::spec::secret::{ConfigSpec, SecretSpec};
use swarm_types::{Config, ConfigId, ObjectId, Refusal, Secret, SecretId};

use super::{Txn, Writer, invalid};

impl Txn {
    pub(super) fn create_secret(&mut self, secret: &Secret) -> Result<(), Refusal> {
        self.create(secret.clone())
    }

    pub(super) fn update_secret(&mut self, id: SecretId, spec: &SecretSpec) -> Result<(), Refusal> {
        let mut secret = Secret::clone(self.need::<Secret>(id)?);
        secret.spec.annotations.labels.clone_from(&spec.annotations.labels);
        if secret.spec != *spec {
            return invalid("only updates to labels are allowed on a secret");
        }
        self.update(secret, Writer::User)
    }

    pub(super) fn remove_secret(&mut self, id: SecretId) -> Result<(), Refusal> {
        self.need::<Secret>(id)?;
        self.need_unused(ObjectId::Secret(id))?;
        self.remove::<Secret>(id)
    }

    pub(super) fn create_config(&mut self, config: &Config) -> Result<(), Refusal> {
        self.create(config.clone())
    }

    pub(super) fn update_config(&mut self, id: ConfigId, spec: &ConfigSpec) -> Result<(), Refusal> {
        let mut config = Config::clone(self.need::<Config>(id)?);
        config.spec.annotations.labels.clone_from(&spec.annotations.labels);
        if config.spec != *spec {
            return invalid("only updates to labels are allowed on a config");
        }
        self.update(config, Writer::User)
    }

    pub(super) fn remove_config(&mut self, id: ConfigId) -> Result<(), Refusal> {
        self.need::<Config>(id)?;
        self.need_unused(ObjectId::Config(id))?;
        self.remove::<Config>(id)
    }
}
