//! Join tokens and the digest in them.

use proptest::prelude::*;

use super::super::token::base36;
use super::*;

fn text(token: &JoinToken) -> String {
    String::from_utf8(token.text().expose().to_vec()).unwrap()
}

#[test]
fn base_36_is_the_number_padded_to_its_length() {
    assert_eq!(base36(&[0; 32], 50), "0".repeat(50));
    assert_eq!(base36(&[0xff; 32], 50), MAX_DIGEST);
    assert_eq!(base36(&[0xff; 16], 25), MAX_SECRET);
    assert_eq!(base36(&[1, 0], 4), "0074");
}

const MAX_DIGEST: &str = "6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof";
const MAX_SECRET: &str = "f5lxx1zz5pnorynqglhzmsp33";

#[test]
fn a_token_has_the_form_everyone_knows() {
    let ca = root();

    let token = JoinToken::generate(&ca.digest()).unwrap();

    let text = text(&token);
    let parts: Vec<&str> = text.split('-').collect();
    assert_eq!(parts[..2], ["SWMTKN", "1"]);
    assert_eq!(parts[2], ca.digest());
    assert_eq!((parts.len(), parts[2].len(), parts[3].len()), (4, 50, 25));
}

#[test]
fn a_token_survives_its_text_form_and_differs_from_the_next() {
    let digest = root().digest();
    let (token, other) =
        (JoinToken::generate(&digest).unwrap(), JoinToken::generate(&digest).unwrap());

    let again = JoinToken::parse(&text(&token)).unwrap();

    assert!(again.is(&token));
    assert!(!again.is(&other));
}

#[test]
fn a_token_names_its_root_only() {
    let (ca, other) = (root(), root());
    let token = JoinToken::generate(&ca.digest()).unwrap();

    assert!(token.names_root(ca.cert_pem()).unwrap());
    assert!(!token.names_root(other.cert_pem()).unwrap());
    let both = format!("{}{}", ca.cert_pem(), other.cert_pem());
    assert!(matches!(token.names_root(&both), Err(CaError::BadRoot(_))));
}

#[test]
fn the_digest_does_not_depend_on_how_the_root_was_written() {
    let ca = root();
    let windows = ca.cert_pem().replace('\n', "\r\n");

    assert_eq!(digest_of(&windows).unwrap(), ca.digest());
    assert_eq!(digest_of(&format!("the root:\n{windows}\n")).unwrap(), ca.digest());
}

#[test]
fn what_is_no_token_is_refused_without_being_repeated() {
    let good = text(&JoinToken::generate(&root().digest()).unwrap());
    let bad = [
        String::new(),
        good.replace("SWMTKN-1", "SWMTKN-2"),
        good.to_uppercase(),
        good[..good.len() - 1].to_owned(),
        format!("{good}0"),
        format!(" {good}"),
        good.replacen("SWMTKN-1-", "SWMTKN-1", 1),
    ];

    for text in bad {
        let refused = JoinToken::parse(&text).unwrap_err();
        assert!(text.is_empty() || !refused.to_string().contains(&text), "{text}");
    }
    assert!(JoinToken::generate("short").is_err());
}

#[test]
fn debug_shows_the_digest_and_not_the_secret() {
    let token = JoinToken::generate(&root().digest()).unwrap();
    let secret = text(&token).rsplit_once('-').unwrap().1.to_owned();

    let shown = format!("{token:?}");

    assert!(shown.contains(token.digest()) && !shown.contains(&secret), "{shown}");
}

proptest! {
    #[test]
    fn a_mutated_token_never_panics_and_is_another(at in 0..85usize, to: char) {
        let token = JoinToken::parse(&format!("SWMTKN-1-{MAX_DIGEST}-{MAX_SECRET}")).unwrap();
        let mut chars: Vec<char> = text(&token).chars().collect();
        prop_assume!(chars[at] != to);

        chars[at] = to;

        let mutated: String = chars.into_iter().collect();
        prop_assert!(!JoinToken::parse(&mutated).is_ok_and(|other| other.is(&token)));
    }

    #[test]
    fn any_text_is_a_token_or_refused(any: String, digest in "[0-9a-z]{49,51}", secret in "[0-9a-z]{24,26}") {
        let _ = JoinToken::parse(&any);
        let made = format!("SWMTKN-1-{digest}-{secret}");
        let right = digest.len() == 50 && secret.len() == 25;
        prop_assert_eq!(JoinToken::parse(&made).is_ok(), right);
        if let Ok(token) = JoinToken::parse(&made) {
            prop_assert_eq!(text(&token), made);
        }
    }
}
