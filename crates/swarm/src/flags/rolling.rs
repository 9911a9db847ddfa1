//! Flags of updates and roll-backs. Both have the same six; any of them makes a whole block of
//! the defaults first.

use std::time::Duration;

use swarm_types::spec::service::{FailureAction, ServiceSpec, UpdateConfig, UpdateOrder};

use super::grammar::{self, word};

#[derive(clap::Args, Debug, Default)]
pub(crate) struct Rolling {
    #[command(flatten)]
    update: UpdateFlags,
    #[command(flatten)]
    rollback: RollbackFlags,
}

#[derive(clap::Args, Debug, Default)]
struct UpdateFlags {
    /// Slots changed at a time; 0 means all at once [default: 1]
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    update_parallelism: Option<u64>,
    /// Pause between slots [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    update_delay: Option<Duration>,
    /// How long a new task is watched [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    update_monitor: Option<Duration>,
    /// What follows too many failures: pause, continue, rollback [default: pause]
    #[arg(long, value_name = "ACTION", value_parser = update_action)]
    update_failure_action: Option<FailureAction>,
    /// Share of failed tasks that is tolerated, 0 to 1 [default: 0]
    #[arg(long, value_name = "RATIO", value_parser = grammar::ratio, allow_hyphen_values = true)]
    update_max_failure_ratio: Option<u32>,
    /// stop-first or start-first [default: stop-first]
    #[arg(long, value_name = "ORDER", value_parser = order)]
    update_order: Option<UpdateOrder>,
}

#[derive(clap::Args, Debug, Default)]
struct RollbackFlags {
    /// Slots changed at a time; 0 means all at once [default: 1]
    #[arg(long, value_name = "N", value_parser = grammar::count::<u64>, allow_hyphen_values = true)]
    rollback_parallelism: Option<u64>,
    /// Pause between slots [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    rollback_delay: Option<Duration>,
    /// How long a new task is watched [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = grammar::duration, allow_hyphen_values = true)]
    rollback_monitor: Option<Duration>,
    /// What follows too many failures: pause, continue [default: pause]
    #[arg(long, value_name = "ACTION", value_parser = rollback_action)]
    rollback_failure_action: Option<FailureAction>,
    /// Share of failed tasks that is tolerated, 0 to 1 [default: 0]
    #[arg(long, value_name = "RATIO", value_parser = grammar::ratio, allow_hyphen_values = true)]
    rollback_max_failure_ratio: Option<u32>,
    /// stop-first or start-first [default: stop-first]
    #[arg(long, value_name = "ORDER", value_parser = order)]
    rollback_order: Option<UpdateOrder>,
}

/// What was given of either.
struct Given {
    parallelism: Option<u64>,
    delay: Option<Duration>,
    monitor: Option<Duration>,
    failure_action: Option<FailureAction>,
    max_failure_millionths: Option<u32>,
    order: Option<UpdateOrder>,
}

impl Rolling {
    /// True when any of the flags was given.
    pub(crate) fn is_given(&self) -> bool {
        self.update.given().is_any() || self.rollback.given().is_any()
    }

    /// Sets what was given.
    pub(crate) fn apply(self, spec: &mut ServiceSpec) {
        self.update.given().apply(&mut spec.update);
        self.rollback.given().apply(&mut spec.rollback);
    }
}

impl UpdateFlags {
    const fn given(&self) -> Given {
        Given {
            parallelism: self.update_parallelism,
            delay: self.update_delay,
            monitor: self.update_monitor,
            failure_action: self.update_failure_action,
            max_failure_millionths: self.update_max_failure_ratio,
            order: self.update_order,
        }
    }
}

impl RollbackFlags {
    const fn given(&self) -> Given {
        Given {
            parallelism: self.rollback_parallelism,
            delay: self.rollback_delay,
            monitor: self.rollback_monitor,
            failure_action: self.rollback_failure_action,
            max_failure_millionths: self.rollback_max_failure_ratio,
            order: self.rollback_order,
        }
    }
}

impl Given {
    const fn is_any(&self) -> bool {
        self.parallelism.is_some()
            || self.delay.is_some()
            || self.monitor.is_some()
            || self.failure_action.is_some()
            || self.max_failure_millionths.is_some()
            || self.order.is_some()
    }

    fn apply(self, config: &mut Option<UpdateConfig>) {
        if !self.is_any() {
            return;
        }
        let old = config.take().unwrap_or_default();
        *config = Some(UpdateConfig {
            parallelism: self.parallelism.unwrap_or(old.parallelism),
            delay: self.delay.unwrap_or(old.delay),
            monitor: self.monitor.unwrap_or(old.monitor),
            failure_action: self.failure_action.unwrap_or(old.failure_action),
            max_failure_millionths: self
                .max_failure_millionths
                .unwrap_or(old.max_failure_millionths),
            order: self.order.unwrap_or(old.order),
        });
    }
}

const ACTIONS: [(&str, FailureAction); 3] = [
    ("pause", FailureAction::Pause),
    ("continue", FailureAction::Continue),
    ("rollback", FailureAction::Rollback),
];

fn update_action(text: &str) -> Result<FailureAction, String> {
    word(text, &ACTIONS)
}

/// A roll-back cannot be rolled back.
fn rollback_action(text: &str) -> Result<FailureAction, String> {
    word(text, &ACTIONS[..2])
}

fn order(text: &str) -> Result<UpdateOrder, String> {
    word(text, &[("stop-first", UpdateOrder::StopFirst), ("start-first", UpdateOrder::StartFirst)])
}
