//! Credentials, and what registries want to see instead of them.
//!
//! Requests go out without credentials first; a registry that wants some says so with 401 and a
//! challenge: `Basic`, or `Bearer` and the place where a token is to be had.

use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::RegistryError;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Credentials for one registry. Never shown, also not by `Debug`; wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth(pub(super) Kind);

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Anonymous,
    Password {
        user: String,
        password: Zeroizing<String>,
    },
    /// A refresh token: good for getting tokens from the registry's token server.
    Identity(Zeroizing<String>),
    /// A token for the registry itself.
    Token(Zeroizing<String>),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == Kind::Anonymous { "Auth(anonymous)" } else { "Auth(..)" })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", default)]
#[derive(Default)]
struct Header {
    username: Zeroizing<String>,
    password: Zeroizing<String>,
    /// Base64 of `USER:PASSWORD`.
    auth: Zeroizing<String>,
    identitytoken: Zeroizing<String>,
    registrytoken: Zeroizing<String>,
}

impl Auth {
    /// User and password, as `docker login` takes them.
    #[must_use]
    pub fn password(user: &str, password: &str) -> Self {
        Self(Kind::Password { user: user.into(), password: password.to_owned().into() })
    }

    /// Reads Docker's X-Registry-Auth: base64 of JSON, empty for no credentials.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Credentials`] when it is anything else.
    pub fn from_header(header: &[u8]) -> Result<Self, RegistryError> {
        if header.is_empty() {
            return Ok(Self::default());
        }
        let bad = RegistryError::Credentials;
        let json = decode(header).ok_or(bad("not base64"))?;
        let header: Header =
            serde_json::from_slice(&json).map_err(|_| bad("not the JSON that is expected"))?;
        if !header.registrytoken.is_empty() {
            return Ok(Self(Kind::Token(header.registrytoken)));
        }
        if !header.identitytoken.is_empty() {
            return Ok(Self(Kind::Identity(header.identitytoken)));
        }
        if !header.username.is_empty() {
            return Ok(Self::password(&header.username, &header.password));
        }
        if header.auth.is_empty() {
            return Ok(Self::default());
        }
        let pair = decode(header.auth.as_bytes()).ok_or(bad("auth is not base64"))?;
        let pair = std::str::from_utf8(&pair).map_err(|_| bad("auth is not text"))?;
        let (user, password) = pair.split_once(':').ok_or(bad("auth is not USER:PASSWORD"))?;
        // `docker login` of old filled up with NULs.
        Ok(Self::password(user, password.trim_end_matches('\0')))
    }

    /// What stands in an `Authorization` header for user and password.
    pub(super) fn basic(&self) -> Option<Zeroizing<String>> {
        let Kind::Password { user, password } = &self.0 else { return None };
        let pair = Zeroizing::new(format!("{user}:{}", password.as_str()));
        let engine = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new());
        let encoded = Zeroizing::new(engine.encode(pair.as_bytes()));
        Some(Zeroizing::new(format!("Basic {}", encoded.as_str())))
    }
}

/// Base64 of either alphabet, padded or not.
fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let url = GeneralPurpose::new(&URL_SAFE, LENIENT).decode(text);
    let plain = || GeneralPurpose::new(&STANDARD, LENIENT).decode(text);
    url.or_else(|_| plain()).ok().map(Zeroizing::new)
}

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Reads a `WWW-Authenticate` header; `None` for schemes nobody here speaks.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        for (key, value) in parameters(rest) {
            match key.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scope = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service, scope })
    }
}

/// `a="x, y", b=z`; what cannot be read ends the list.
fn parameters(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((key, after)) = rest.split_once('=') {
        let value;
        if let Some(quoted) = after.strip_prefix('"') {
            let Some((inside, behind)) = quoted.split_once('"') else { break };
            (value, rest) = (inside, behind);
        } else {
            (value, rest) = after.split_once(',').unwrap_or((after, ""));
        }
        found.push((key.trim_matches([' ', ',']).to_owned(), value.trim().to_owned()));
    }
    found
}

/// What a token server answers; of the two names the older one is for older registries.
#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<Zeroizing<String>>,
    access_token: Option<Zeroizing<String>>,
}

impl Token {
    pub(super) fn header(self) -> Option<Zeroizing<String>> {
        let token = self.token.or(self.access_token).filter(|token| !token.is_empty())?;
        Some(Zeroizing::new(format!("Bearer {}", token.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn every_form_of_the_header_is_read() {
        let password = Auth::password("me", "p:w>?");
        let pair = BASE64_STANDARD.encode("me:p:w>?");
        for (json, expected) in [
            (
                r#"{"username":"me","password":"p:w>?","serveraddress":"r.io"}"#.to_owned(),
                &password,
            ),
            (format!(r#"{{"auth":"{pair}"}}"#), &password),
            (r#"{"identitytoken":"x"}"#.into(), &Auth(Kind::Identity("x".to_owned().into()))),
            (r#"{"registrytoken":"x"}"#.into(), &Auth(Kind::Token("x".to_owned().into()))),
            ("{}".into(), &Auth::default()),
        ] {
            for text in [BASE64_STANDARD.encode(&json), BASE64_URL_SAFE_NO_PAD.encode(&json)] {
                assert_eq!(&Auth::from_header(text.as_bytes()).unwrap(), expected, "{json}");
            }
        }
        assert_eq!(Auth::from_header(b"").unwrap(), Auth::default());
        for bad in ["{", "e30x", "bm8ganNvbg"] {
            assert!(Auth::from_header(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let auth = Auth::password("me", "hunter2");
        assert_eq!(format!("{auth:?}"), "Auth(..)");
        assert_eq!(auth.basic().unwrap().as_str(), "Basic bWU6aHVudGVyMg==");
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        };
        for (header, expected) in [
            (r#"Basic realm="a, b""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://t/x",service="r.io",scope="repository:a/b:pull,push""#,
                Some(bearer("https://t/x", Some("r.io"), Some("repository:a/b:pull,push"))),
            ),
            (
                r#"bearer service=r.io, realm="https://t""#,
                Some(bearer("https://t", Some("r.io"), None)),
            ),
            (r#"Bearer service="r.io""#, None),
            (r#"Bearer realm="open"#, None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }

    proptest::proptest! {
        /// No answer of a registry makes the parser panic or loop.
        #[test]
        fn any_challenge_is_answered(text: String) {
            let _ = Challenge::parse(&format!("Bearer {text}"));
        }
    }
}
