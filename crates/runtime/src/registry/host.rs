//! One host: a connection pool, and the `Authorization` it wants.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::auth::{Challenge, Kind, Token};
use super::hosts::{Endpoint, is_loopback};
use super::{Auth, RegistryError, tls};

const CONNECT: Duration = Duration::from_secs(15);
/// A registry may be silent for so long.
const STALL: Duration = Duration::from_secs(30);
/// Bytes of a refusal or of a token that are read.
const ANSWER: usize = 256 << 10;
/// Characters of a refusal that are shown.
const SHOWN: usize = 300;
const REDIRECTS: usize = 5;
/// A document may take so long, however steadily it comes.
const DOCUMENT: Duration = Duration::from_secs(120);

pub(super) struct Host {
    endpoint: Endpoint,
    /// The registry this is a mirror of.
    domain: String,
    scope: String,
    auth: Auth,
    client: Client,
    /// What the last challenge led to.
    authorization: Mutex<Option<Zeroizing<String>>>,
}

/// Without what authorizes: a client's or a mutex's own form shows it.
impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Host {
    pub(super) fn new(
        endpoint: Endpoint,
        domain: &str,
        scope: &str,
        auth: &Auth,
    ) -> Result<Self, RegistryError> {
        let auth = if endpoint.is_mirror { Auth::default() } else { auth.clone() };
        let origin = endpoint.url.split_once("://").map_or("", |(_, origin)| origin);
        let mut client = Client::builder()
            .user_agent(concat!("swarm/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(STALL)
            .redirect(Policy::custom(redirect))
            .tls_backend_preconfigured(tls::config(&endpoint.tls)?);
        if is_loopback(origin) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|why| broken(&endpoint.url, &why))?;
        let authorization = match &auth.0 {
            Kind::Token(token) => Some(Zeroizing::new(format!("Bearer {}", token.as_str()))),
            _ => None,
        };
        let (domain, scope) = (domain.to_owned(), scope.to_owned());
        let authorization = Mutex::new(authorization);
        Ok(Self { endpoint, domain, scope, auth, client, authorization })
    }

    pub(super) const fn resolves(&self) -> bool {
        self.endpoint.resolves
    }

    pub(super) const fn is_mirror(&self) -> bool {
        self.endpoint.is_mirror
    }

    /// Gets `/v2/<path>`, with credentials when they are asked for.
    pub(super) async fn get(
        &self,
        path: &str,
        headers: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let mut url = format!("{}/v2/{path}", self.endpoint.url);
        if self.endpoint.is_mirror {
            url = format!("{url}?ns={}", self.domain);
        }
        let mut used = self.authorization.lock().await.clone();
        let mut response = self.send(headers(self.client.get(&url)), used.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            used = Some(self.authorize(path, &response, used).await?);
            response = self.send(headers(self.client.get(&url)), used.as_ref()).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(path, response).await)
    }

    async fn send(
        &self,
        request: RequestBuilder,
        authorization: Option<&Zeroizing<String>>,
    ) -> Result<Response, RegistryError> {
        let value = authorization.and_then(|value| HeaderValue::from_str(value).ok());
        let request = match value {
            Some(mut value) => {
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            None => request,
        };
        // The client's own deadline begins with the answer's first byte.
        let sent = tokio::time::timeout(CONNECT + STALL, request.send()).await;
        let host = self.endpoint.url.clone();
        let late = || RegistryError::Unreachable { host, why: "no answer in time".into() };
        let answered = sent.map_err(|_| late())?;
        answered.map_err(|why| match distrust(&why) {
            Some(why) => RegistryError::Untrusted {
                host: self.endpoint.url.clone(),
                why,
                ca: format!("registries.d/{}/ca.crt", self.domain),
            },
            None => broken(&self.endpoint.url, &why),
        })
    }

    /// Meets a challenge; of several requests that were challenged at once, one does.
    async fn authorize(
        &self,
        path: &str,
        challenged: &Response,
        used: Option<Zeroizing<String>>,
    ) -> Result<Zeroizing<String>, RegistryError> {
        let mut authorization = self.authorization.lock().await;
        if let Some(fresh) = authorization.as_ref().filter(|fresh| Some(*fresh) != used.as_ref()) {
            return Ok(fresh.clone());
        }
        let denied = |why: &str| self.denied(path, why.to_owned());
        let headers = challenged.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = headers.filter_map(|value| Challenge::parse(value.to_str().ok()?)).next();
        let met = match challenge.ok_or_else(|| denied("it wants a login nobody here knows"))? {
            Challenge::Basic if used.is_some() => return Err(denied("wrong user or password")),
            Challenge::Basic => self.auth.basic().ok_or_else(|| denied("log in first"))?,
            Challenge::Bearer { realm, service, scope } => {
                let scope = scope.unwrap_or_else(|| self.scope.clone());
                self.token(path, &realm, service.as_deref(), &scope).await?
            }
        };
        *authorization = Some(met.clone());
        Ok(met)
    }

    async fn token(
        &self,
        path: &str,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Zeroizing<String>, RegistryError> {
        let denied = |why: &str| self.denied(path, why.to_owned());
        let mut url = Url::parse(realm).map_err(|_| denied("its token server is no URL"))?;
        let plain = self.endpoint.url.starts_with("http://")
            || url.host_str().is_some_and(is_loopback) && url.scheme() == "http";
        if url.scheme() != "https" && !plain {
            return Err(denied("its token server would see the credentials in plain text"));
        }
        let mut fields = vec![("scope", scope)];
        fields.extend(service.map(|service| ("service", service)));
        let request = if let Kind::Identity(token) = &self.auth.0 {
            fields.extend([("grant_type", "refresh_token"), ("client_id", "swarm")]);
            fields.push(("refresh_token", token));
            let body = form(url.clone(), &fields);
            let kind = "application/x-www-form-urlencoded";
            self.client.post(url).header(CONTENT_TYPE, kind).body(body)
        } else {
            url.query_pairs_mut().extend_pairs(fields);
            self.client.get(url)
        };
        let response = self.send(request, self.auth.basic().as_ref()).await?;
        if !response.status().is_success() {
            let refusal = self.refusal(path, response).await;
            return Err(if refusal.is_transient() { refusal } else { denied("it gives no token") });
        }
        let bytes = Zeroizing::new(bounded(response, ANSWER, "token").await?);
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        token.and_then(Token::header).ok_or_else(|| denied("its token server answers without one"))
    }

    async fn refusal(&self, path: &str, response: Response) -> RegistryError {
        let status = response.status();
        let (host, what) = (self.endpoint.url.clone(), path.to_owned());
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
        let said = bounded(response, ANSWER, path).await.unwrap_or_default();
        let why = match explained(&said) {
            Some(why) => format!("{} ({why})", status.as_u16()),
            None => status.to_string(),
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                RegistryError::Busy { host, status: status.as_u16(), why, wait }
            }
            status if status.is_server_error() => {
                RegistryError::Busy { host, status: status.as_u16(), why, wait }
            }
            StatusCode::NOT_FOUND => RegistryError::NotFound { host, what },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                RegistryError::Denied { host, what, why }
            }
            _ => RegistryError::Refused { host, what, why },
        }
    }

    fn denied(&self, path: &str, why: String) -> RegistryError {
        RegistryError::Denied { host: self.endpoint.url.clone(), what: path.into(), why }
    }
}

/// The fields as a form; `url` is only there to encode them.
fn form(mut url: Url, fields: &[(&str, &str)]) -> String {
    url.set_query(None);
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// Blobs are often elsewhere; but never where everybody can read along.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let secure = |url: &Url| url.scheme() == "https";
    let weaker = attempt.previous().iter().any(secure) && !secure(attempt.url());
    if weaker || attempt.previous().len() > REDIRECTS { attempt.stop() } else { attempt.follow() }
}

/// The whole body, refused when it is longer than `most`.
pub(super) async fn bounded(
    mut response: Response,
    most: usize,
    what: &str,
) -> Result<Vec<u8>, RegistryError> {
    let host = response.url().host_str().unwrap_or_default().to_owned();
    let read = async {
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|why| broken(&host, &why))? {
            if bytes.len() + piece.len() > most {
                let why = format!("has more than {most} bytes");
                return Err(RegistryError::Document { what: what.into(), why });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    let late = || RegistryError::Unreachable { host: host.clone(), why: "too slow".into() };
    tokio::time::timeout(DOCUMENT, read).await.unwrap_or_else(|_| Err(late()))
}

/// What is wrong with the host's certificate, when that is why there is no connection.
fn distrust(failure: &reqwest::Error) -> Option<String> {
    let mut cause = failure.source();
    while let Some(error) = cause {
        if let Some(refusal @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return Some(refusal.to_string());
        }
        // What an I/O error wraps is not its source, but its source's.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// A connection that failed. Without its URL: that of a redirect may carry a signature.
pub(crate) fn broken(host: &str, why: &reqwest::Error) -> RegistryError {
    let mut text = String::new();
    let mut cause = why.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if text.is_empty() {
        text = if why.is_timeout() { "no answer in time".into() } else { "broken off".into() };
    }
    RegistryError::Unreachable { host: host.into(), why: text }
}

/// What the registry says for people, cut and without control characters.
fn explained(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = body.get("errors")?.get(0)?.get("message")?.as_str()?;
    let clean: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    Some(clean).filter(|clean| !clean.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_shown() {
        let header = base64::Engine::encode(
            &base64::prelude::BASE64_STANDARD,
            r#"{"registrytoken":"hunter2"}"#,
        );
        let auth = Auth::from_header(header.as_bytes()).unwrap();
        let endpoint = Endpoint {
            url: "https://r.io".into(),
            resolves: true,
            is_mirror: false,
            tls: super::super::hosts::Tls::default(),
        };
        let host = Host::new(endpoint, "r.io", "repository:a:pull", &auth).unwrap();

        let shown = format!("{host:?}");

        assert!(shown.contains("https://r.io") && !shown.contains("hunter2"), "{shown}");
    }
}
