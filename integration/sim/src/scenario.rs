//! A history that can be played again, as a file keeps it: `seed 17 nodes 4 steps 250`, or
//! `seed 17 managers 3 nodes 4 steps 250`.

use std::fmt;
use std::str::FromStr;

use crate::{Fleet, Sim};

/// A history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// What it is drawn from.
    pub seed: u64,
    /// Managers of the cluster; 0 for the leader's driver alone, with nothing between it and
    /// the nodes.
    pub managers: usize,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Things that happen before all is well again.
    pub steps: u64,
}

/// A text that is no scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidScenario;

impl Scenario {
    /// Plays it to its ends; says how many entries and rounds that took.
    ///
    /// # Panics
    ///
    /// When a rule is broken.
    pub fn play(&self) -> u64 {
        if self.managers > 0 {
            let mut fleet = Fleet::new(self.seed, self.managers, self.nodes);
            (0..self.steps).for_each(|_| fleet.step());
            fleet.heal();
            fleet.lose();
            fleet.heal();
            return fleet.steps();
        }
        let endings: [fn(&mut Sim); 3] = [Sim::heal, Sim::lose, Sim::clear];
        let played = endings.map(|end| {
            let mut sim = Sim::new(self.seed, self.nodes);
            (0..self.steps).for_each(|_| sim.step());
            end(&mut sim);
            sim.steps()
        });
        played.iter().sum()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} ", self.seed)?;
        if self.managers > 0 {
            write!(f, "managers {} ", self.managers)?;
        }
        write!(f, "nodes {} steps {}", self.nodes, self.steps)
    }
}

impl FromStr for Scenario {
    type Err = InvalidScenario;

    fn from_str(text: &str) -> Result<Self, InvalidScenario> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (seed, managers, nodes, steps) = match words[..] {
            ["seed", seed, "nodes", nodes, "steps", steps] => (seed, "0", nodes, steps),
            ["seed", seed, "managers", managers, "nodes", nodes, "steps", steps] => {
                (seed, managers, nodes, steps)
            }
            _ => return Err(InvalidScenario),
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| InvalidScenario);
        let count = |text: &str| usize::try_from(number(text)?).map_err(|_| InvalidScenario);
        let (managers, nodes) = (count(managers)?, count(nodes)?);
        Ok(Self { seed: number(seed)?, managers, nodes, steps: number(steps)? })
    }
}
