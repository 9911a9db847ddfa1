//! Finding the object a user means: by full id, by name, or by the unique start of an id.

use crate::ClientError;

/// The one candidate that `wanted` means. An id wins over a name, a name over the start of an id.
pub(crate) fn pick<'a, T>(
    kind: &'static str,
    wanted: &str,
    candidates: &'a [T],
    id: impl Fn(&T) -> &str,
    name: impl Fn(&T) -> &str,
) -> Result<&'a T, ClientError> {
    if let Some(exact) = candidates.iter().find(|it| id(it) == wanted) {
        return Ok(exact);
    }
    if let Some(named) = candidates.iter().find(|it| name(it).eq_ignore_ascii_case(wanted)) {
        return Ok(named);
    }
    let starts: Vec<&T> =
        candidates.iter().filter(|it| !wanted.is_empty() && id(it).starts_with(wanted)).collect();
    match starts.as_slice() {
        [only] => Ok(only),
        [] => Err(ClientError::NotFound { kind, name: wanted.to_owned() }),
        many => Err(ClientError::Ambiguous { kind, name: wanted.to_owned(), count: many.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANDIDATES: [(&str, &str); 4] =
        [("abc1", "web"), ("abc2", "db"), ("xyz", "abc2"), ("q", "abc1")];

    fn meant(wanted: &str) -> Result<&'static str, ClientError> {
        pick("service", wanted, &CANDIDATES, |it| it.0, |it| it.1).map(|it| it.0)
    }

    #[test]
    fn an_id_wins_over_a_name_and_a_name_over_a_start() {
        assert_eq!(meant("abc1").unwrap(), "abc1");
        assert_eq!(meant("WEB").unwrap(), "abc1");
        assert_eq!(meant("xy").unwrap(), "xyz");
    }

    #[test]
    fn what_means_nothing_or_several_is_refused() {
        assert!(matches!(meant("abc"), Err(ClientError::Ambiguous { count: 2, .. })));
        assert!(matches!(meant("nope"), Err(ClientError::NotFound { .. })));
        assert!(matches!(meant(""), Err(ClientError::NotFound { .. })));
    }
}
