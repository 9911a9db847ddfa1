//! A history that can be played again, as a file keeps it: `seed 17 nodes 4 steps 250`.

use std::fmt;
use std::str::FromStr;

use crate::Sim;

/// A history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// What it is drawn from.
    pub seed: u64,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Things that happen before all is well again.
    pub steps: u64,
}

/// A text that is no scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidScenario;

impl Scenario {
    /// Plays it to a good end and to a bad one; says how many entries and rounds that took.
    ///
    /// # Panics
    ///
    /// When a rule is broken.
    pub fn play(&self) -> u64 {
        let endings: [fn(&mut Sim); 2] = [Sim::heal, Sim::clear];
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
        write!(f, "seed {} nodes {} steps {}", self.seed, self.nodes, self.steps)
    }
}

impl FromStr for Scenario {
    type Err = InvalidScenario;

    fn from_str(text: &str) -> Result<Self, InvalidScenario> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["seed", seed, "nodes", nodes, "steps", steps] = words[..] else {
            return Err(InvalidScenario);
        };
        let number = |text: &str| text.parse().map_err(|_| InvalidScenario);
        let nodes = usize::try_from(number(nodes)?).map_err(|_| InvalidScenario)?;
        Ok(Self { seed: number(seed)?, nodes, steps: number(steps)? })
    }
}
