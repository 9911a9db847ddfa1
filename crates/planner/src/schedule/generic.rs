//! User-defined resources: a service asks for a number of a kind, a node has units with names or
//! just a number.
//!
//! Units with names are given one by one, the lowest names first, so that two tasks never share
//! one. What a task was given is stored in the task; what is left follows from that.

use swarm_types::spec::task::GenericResource;

use super::ledger::Account;

/// What a task that wants these is given on a node that has those; `None` when not enough is
/// left.
pub(super) fn claim(
    wanted: &[GenericResource],
    has: &[GenericResource],
    account: &Account,
) -> Option<Vec<GenericResource>> {
    let mut given = Vec::new();
    for wanted in wanted {
        // The API takes numbers only.
        let GenericResource::Discrete { kind, value } = wanted else { return None };
        let left = left(kind, has, account);
        match left {
            Left::Units(names) => {
                let count = usize::try_from(*value).ok().filter(|count| *count <= names.len())?;
                let named = |name: &str| GenericResource::Named {
                    kind: kind.clone(),
                    value: name.to_owned(),
                };
                given.extend(names.into_iter().take(count).map(named));
            }
            Left::Number(left) if *value <= left => given.push(wanted.clone()),
            Left::Number(_) => return None,
        }
    }
    Some(given)
}

/// What is left of a kind on a node.
pub(super) enum Left<'n> {
    /// Units with names, in order.
    Units(Vec<&'n str>),
    /// So many.
    Number(i64),
}

impl Left<'_> {
    /// How many there are.
    pub(super) fn count(&self) -> i64 {
        match self {
            Self::Units(names) => i64::try_from(names.len()).unwrap_or(i64::MAX),
            Self::Number(number) => *number,
        }
    }
}

/// What is left of a kind on a node that has those.
pub(super) fn left<'n>(kind: &str, has: &'n [GenericResource], account: &Account) -> Left<'n> {
    let (mut names, mut number, mut named) = (Vec::new(), 0_i64, false);
    for resource in has {
        match resource {
            GenericResource::Named { kind: of, value } if of == kind => {
                named = true;
                if account.units(kind, value) == 0 {
                    names.push(value.as_str());
                }
            }
            GenericResource::Discrete { kind: of, value } if of == kind => {
                number = number.saturating_add(*value);
            }
            _ => {}
        }
    }
    if named {
        names.sort_unstable();
        return Left::Units(names);
    }
    Left::Number(number.saturating_sub(account.units(kind, "")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(kind: &str, value: i64) -> GenericResource {
        GenericResource::Discrete { kind: kind.to_owned(), value }
    }

    fn unit(kind: &str, value: &str) -> GenericResource {
        GenericResource::Named { kind: kind.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn numbers_are_counted_and_names_are_handed_out() {
        let has = [number("ssd", 3), unit("gpu", "b"), unit("gpu", "a"), unit("gpu", "c")];
        let mut account = Account::default();

        let first = claim(&[number("gpu", 2), number("ssd", 2)], &has, &account).unwrap();
        assert_eq!(first, [unit("gpu", "a"), unit("gpu", "b"), number("ssd", 2)]);

        account.give(&first, 1);
        assert_eq!(claim(&[number("gpu", 1)], &has, &account), Some(vec![unit("gpu", "c")]));
        assert_eq!(claim(&[number("gpu", 2)], &has, &account), None);
        assert_eq!(claim(&[number("ssd", 2)], &has, &account), None);
        assert_eq!(claim(&[number("fpga", 1)], &has, &account), None);
        assert_eq!(claim(&[unit("gpu", "c")], &has, &account), None);
    }

    proptest! {
        /// However tasks come and go, no unit is given twice and no number is exceeded; what is
        /// taken back can be given again.
        #[test]
        fn nothing_is_given_twice(steps in proptest::collection::vec((0..4_i64, any::<bool>()), 0..40)) {
            let has = [number("ssd", 5), unit("gpu", "a"), unit("gpu", "b"), unit("gpu", "c")];
            let (mut account, mut held) = (Account::default(), Vec::new());
            for (count, take) in steps {
                let wanted = [number("gpu", count), number("ssd", count)];
                match claim(&wanted, &has, &account) {
                    Some(given) if take => {
                        account.give(&given, 1);
                        held.push(given);
                    }
                    _ => held.pop().into_iter().for_each(|given| account.give(&given, -1)),
                }
                let mut units: Vec<_> = held.iter().flatten()
                    .filter(|it| matches!(it, GenericResource::Named { .. })).collect();
                let given = units.len();
                units.sort();
                units.dedup();
                prop_assert_eq!(units.len(), given);
                let ssds: i64 = held.iter().flatten()
                    .map(|it| match it { GenericResource::Discrete { value, .. } => *value, GenericResource::Named { .. } => 0 })
                    .sum();
                prop_assert!(ssds <= 5 && given <= 3);
            }
            held.iter().for_each(|given| account.give(given, -1));
            prop_assert_eq!(account, Account::default());
        }
    }
}
