//! Which request a proxy asks about. Its headers say so; a client's headers must not.
//!
//! Proxies pass on what clients send, so a client could add the headers of another kind of proxy and name a harmless
//! request there. Where two kinds are present and differ, nobody can say which one is true: refused.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use shared::model::image::RegistryHost;

/// The request that wants to pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) method: Method,
    /// Path and query, as the client wrote them.
    pub(super) uri: String,
    /// The registry by the name that the client used.
    pub(super) host: Option<RegistryHost>,
}

/// How one kind of proxy names the original request.
struct Family {
    uri: &'static str,
    method: &'static str,
    host: &'static str,
}

/// nginx as we configure it, and most who imitate it.
const ORIGINAL: Family =
    Family { uri: "x-original-uri", method: "x-original-method", host: "x-original-host" };
/// Traefik, Caddy.
const FORWARDED: Family =
    Family { uri: "x-forwarded-uri", method: "x-forwarded-method", host: "x-forwarded-host" };

/// The route, and what Envoy's `path_prefix` may add to it.
const ROUTE: &str = "/gates/pull";
const ENVOY: &str = "/envoy";

impl Original {
    /// The request that `request` is about, or why that cannot be said.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, String> {
        // As it was written: a decoded path would hide how the registry is going to read it.
        let uri = request.uri().path_and_query().map_or("/", |uri| uri.as_str());
        let behind = uri.strip_prefix(ROUTE).unwrap_or(uri);
        if behind.is_empty() || behind.starts_with('?') {
            return Self::from_headers(request.headers());
        }
        // Envoy sends the client's own method and host, and few of its headers. A proxy that names the request in a
        // header and asks at `/gates/pull/` all the same would be told about `/`, which always passes.
        let behind = behind.strip_prefix(ENVOY).filter(|rest| rest.starts_with('/')).unwrap_or(behind);
        for name in [ORIGINAL.uri, FORWARDED.uri] {
            if one(request.headers(), name)?.is_some_and(|named| named != behind) {
                return Err(format!(
                    "the proxy names two requests, behind /gates/pull and in {name}; have it clear one"
                ));
            }
        }
        let host = request.headers().get("host").and_then(|host| host.to_str().ok());
        Ok(Self {
            method: request.method().clone(),
            uri: behind.to_owned(),
            host: host.and_then(|host| host.parse().ok()),
        })
    }

    fn from_headers(headers: &HeaderMap) -> Result<Self, String> {
        let family = match (one(headers, ORIGINAL.uri)?, one(headers, FORWARDED.uri)?) {
            (Some(uri), None) => (uri, ORIGINAL),
            (None, Some(uri)) => (uri, FORWARDED),
            (Some(uri), Some(other)) if uri == other => (uri, ORIGINAL),
            (Some(_), Some(_)) => {
                return Err("the proxy names two requests, in X-Original-URI and in X-Forwarded-Uri; have it clear the one that it does not set".to_owned());
            }
            (None, None) => {
                return Err("the proxy does not name the request: it has to send X-Original-URI or X-Forwarded-Uri, or append the path to /gates/pull".to_owned());
            }
        };
        let (uri, family) = family;
        // Where the method is not named it is one that is judged.
        let method = one(headers, family.method)?.unwrap_or_else(|| "GET".to_owned());
        let host = one(headers, family.host)?;
        Ok(Self {
            method: Method::from_bytes(method.as_bytes()).map_err(|_| format!("{method:?} is no method"))?,
            uri,
            host: host.and_then(|host| host.parse().ok()),
        })
    }
}

/// The only value of a header.
fn one(headers: &HeaderMap, name: &str) -> Result<Option<String>, String> {
    let mut values = headers.get_all(name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("{name} is there twice; have the proxy replace what its client sends"));
    }
    let text = value.to_str().map_err(|_| format!("{name} has characters that no URI has"))?;
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}
