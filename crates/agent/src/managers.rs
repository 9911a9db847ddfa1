//! Which manager to try next.
//!
//! All known managers are tried one after the other without a pause; only when none of them
//! served does the node wait. The list is replaced by what each session says, and never becomes
//! empty: a node that is told of no manager keeps the ones it knew. A manager on the node itself
//! stays in it, whatever the sessions say.

use std::collections::VecDeque;

/// The managers a node knows, as `HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Managers {
    /// The one on this node.
    own: Option<String>,
    /// Not tried in this round; the next one first.
    untried: VecDeque<String>,
    /// Tried without success in this round, in that order.
    tried: Vec<String>,
}

impl Managers {
    /// Starts with those, the preferred first, and with one on this node before them.
    pub(crate) fn new(own: Option<String>, known: Vec<String>) -> Self {
        let mut all: VecDeque<String> = own.iter().cloned().collect();
        for manager in known {
            if !all.contains(&manager) {
                all.push_back(manager);
            }
        }
        Self { own, untried: all, tried: Vec::new() }
    }

    /// Whether there is one on this node.
    pub(crate) const fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether there is one to try in this round.
    pub(crate) fn has_next(&self) -> bool {
        !self.untried.is_empty()
    }

    /// The manager to try; `None` when all of this round were. Then a new round begins.
    pub(crate) fn next(&mut self) -> Option<String> {
        let next = self.untried.pop_front();
        match &next {
            Some(manager) => self.tried.push(manager.clone()),
            None => self.untried = std::mem::take(&mut self.tried).into(),
        }
        next
    }

    /// `manager` had no time to answer in this round: it is the next to be tried.
    pub(crate) fn again(&mut self, manager: String) {
        self.tried.retain(|tried| *tried != manager);
        self.untried.push_front(manager);
    }

    /// `manager` served: when its session ends it is the first to be tried, the others follow.
    pub(crate) fn served(&mut self, manager: &str) {
        let mut all = self.known();
        if let Some(at) = all.iter().position(|known| known == manager) {
            all.swap(0, at);
        }
        *self = Self::new(self.own.take(), all);
    }

    /// `manager` asked to go elsewhere, or fell silent: it is the last to be tried.
    pub(crate) fn avoid(&mut self, manager: &str) {
        let mut all = self.known();
        if let Some(at) = all.iter().position(|known| known == manager) {
            let avoided = all.remove(at);
            self.untried = all.into();
            self.tried = vec![avoided];
        }
    }

    /// The managers there are now, according to the present session; true when they are others
    /// than before.
    pub(crate) fn replace(&mut self, mut managers: Vec<String>) -> bool {
        let sorted = |mut managers: Vec<String>| {
            managers.sort();
            managers
        };
        if managers.is_empty() {
            return false;
        }
        if let Some(own) = self.own.as_ref().filter(|own| !managers.contains(own)) {
            managers.insert(0, own.clone());
        }
        if sorted(managers.clone()) == sorted(self.known()) {
            return false;
        }
        self.tried.retain(|manager| managers.contains(manager));
        let fresh = managers.into_iter().filter(|manager| !self.tried.contains(manager));
        self.untried = fresh.collect();
        true
    }

    /// All of them.
    pub(crate) fn known(&self) -> Vec<String> {
        self.tried.iter().chain(&self.untried).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managers(known: &[&str]) -> Managers {
        Managers::new(None, known.iter().map(ToString::to_string).collect())
    }

    fn round(managers: &mut Managers) -> Vec<String> {
        std::iter::from_fn(|| managers.next()).collect()
    }

    #[test]
    fn a_round_tries_every_manager_once() {
        let mut managers = managers(&["a", "b", "c"]);

        assert_eq!(round(&mut managers), ["a", "b", "c"]);
        assert_eq!(round(&mut managers), ["a", "b", "c"]);
    }

    #[test]
    fn a_manager_that_had_no_time_is_tried_again_in_the_same_round() {
        let mut managers = managers(&["a", "b", "c"]);
        let [slow, fast] = [managers.next(), managers.next()].map(Option::unwrap);

        managers.again(slow);

        assert_eq!(
            (fast.as_str(), round(&mut managers)),
            ("b", ["a", "c"].map(str::to_owned).into())
        );
        assert_eq!(round(&mut managers), ["b", "a", "c"]);
    }

    #[test]
    fn a_manager_that_served_is_first_and_one_to_leave_is_not_tried() {
        let mut managers = managers(&["a", "b", "c"]);

        managers.served("b");
        assert_eq!(round(&mut managers), ["b", "a", "c"]);
        managers.avoid("b");
        assert_eq!(round(&mut managers), ["a", "c"]);
        assert_eq!(round(&mut managers), ["b", "a", "c"]);
    }

    #[test]
    fn the_list_follows_the_session_and_never_gets_empty() {
        let mut managers = managers(&["a", "b"]);
        assert_eq!(managers.next().as_deref(), Some("a"));

        assert!(managers.replace(vec!["c".to_owned(), "a".to_owned()]));
        assert_eq!(round(&mut managers), ["c"]);
        assert!(!managers.replace(Vec::new()));
        assert!(!managers.replace(vec!["a".to_owned(), "c".to_owned()]), "the same ones");

        assert_eq!(round(&mut managers), ["a", "c"]);
    }

    #[test]
    fn a_manager_on_the_node_itself_is_first_and_stays() {
        let known = ["a", "own", "b"].map(str::to_owned).to_vec();
        let mut managers = Managers::new(Some("own".to_owned()), known);
        assert_eq!(managers.known(), ["own", "a", "b"]);

        assert!(managers.replace(vec!["c".to_owned()]));
        assert_eq!(round(&mut managers), ["own", "c"]);
        managers.served("c");
        assert_eq!(round(&mut managers), ["own", "c"]);
        assert!(!managers.replace(vec!["c".to_owned()]));
    }
}
