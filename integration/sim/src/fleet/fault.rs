//! What goes wrong, and what users want meanwhile.

use std::time::Duration;

use swarm_types::spec::node::Availability;
use swarm_types::spec::service::ServiceMode;
use swarm_types::{Change, ServiceId};

use super::Fleet;
use crate::cluster::KINDS;

/// How far a clock that is wrong is wrong.
const WRONG: Duration = Duration::from_secs(2 * 3600);
/// Services there are at most.
const SERVICES: usize = 4;

impl Fleet {
    /// Something may go wrong or come back, and a user may want something.
    pub(super) fn fault(&mut self) {
        let manager = usize::try_from(self.dice.roll(self.managers.len() as u64)).unwrap();
        let agent = usize::try_from(self.dice.roll(self.agents.len() as u64)).unwrap();
        match self.dice.roll(160) {
            0..=1 => {
                self.managers[manager].crash();
                self.elect();
            }
            2..=9 => self.managers[manager].up = true,
            10..=11 => self.managers[manager].cut = true,
            12..=19 => self.managers[manager].cut = false,
            20 => self.managers[manager].ahead = WRONG,
            21..=22 => self.managers[manager].ahead = Duration::ZERO,
            23..=24 => self.unseat(),
            30 => self.agents[agent].power_off(),
            31..=34 => self.agents[agent].up = true,
            35..=36 => self.agents[agent].cut = true,
            37..=42 => self.agents[agent].cut = false,
            // The agent's process is replaced; its containers live on.
            43 => self.agents[agent].session = None,
            // The leader does nothing for a while: its machine slept.
            44 => self.boot += Duration::from_secs(30),
            50..=69 => {
                if let Some(change) = self.want(agent) {
                    let group = self.cluster.group(change);
                    self.unanswered.push(group);
                }
            }
            _ => {}
        }
    }

    fn want(&mut self, agent: usize) -> Option<Change> {
        use Availability::{Active, Drain, Pause};
        let view = self.cluster.view();
        let services: Vec<ServiceId> = view.services().map(|service| service.id).collect();
        let service = self.dice.pick(&services);
        match self.dice.roll(12) {
            0..=2 if services.len() < SERVICES => {
                let (kind, replicas) = (self.dice.roll(KINDS), self.dice.roll(6));
                Some(self.cluster.service(kind, replicas))
            }
            3 => service.filter(|_| self.dice.roll(4) == 0).map(Change::RemoveService),
            4 => {
                let to = self.dice.pick(&[Active, Active, Drain, Pause])?;
                Some(self.cluster.turn(self.agents[agent].node, to))
            }
            kind => {
                let mut spec = view.service(&service?)?.spec.clone();
                let replicas = self.dice.roll(8);
                match spec.mode {
                    ServiceMode::Replicated { .. } if kind < 9 => {
                        spec.mode = ServiceMode::Replicated { replicas };
                    }
                    _ => spec.task.force_update += 1,
                }
                Some(Change::UpdateService(service?, Box::new(spec)))
            }
        }
    }
}
