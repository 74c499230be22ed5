//! `[cors]`: pages of which other origins may call through the gate.
//!
//! Guarantees: an origin is written as browsers send it, so that it is compared as it is; anybody's page never comes with
//! credentials.
//! Does not know: requests and answers.

use std::time::Duration;

use http::HeaderName;

use super::reader::Reader;

/// Without a single origin nothing is done for pages elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Cors {
    /// Such as `https://app.example.org`; `*` for anybody's.
    pub allowed_origins: Vec<String>,
    /// What a page may send besides `Authorization` and `Content-Type`.
    pub allowed_headers: Vec<String>,
    /// What a page may read besides the gate's own.
    pub exposed_headers: Vec<String>,
    /// How long a browser may remember what it was told of this.
    pub max_age: Duration,
    /// Whether a browser may add its cookies.
    pub credentials: bool,
}

const ORIGINS: &str = "cors.allowed_origins";
const CREDENTIALS: &str = "cors.credentials";
const ANY: &str = "*";

impl Cors {
    pub(super) fn read(r: &mut Reader) -> Self {
        let cors = Self {
            allowed_origins: r.list(ORIGINS, origin),
            allowed_headers: r.list("cors.allowed_headers", header),
            exposed_headers: r.list("cors.exposed_headers", header),
            max_age: r.seconds("cors.max_age", Duration::from_mins(10), Duration::ZERO..=Duration::from_hours(24)),
            credentials: r.flag(CREDENTIALS, false),
        };
        let any = cors.allowed_origins.iter().any(|origin| origin == ANY);
        r.contradiction_if(any && cors.allowed_origins.len() > 1, &[ORIGINS], "\"*\" stands alone: it is everybody");
        let text = "\"*\" and credentials do not go together: name the origins";
        r.contradiction_if(any && cors.credentials, &[ORIGINS, CREDENTIALS], text);
        cors
    }
}

/// Browsers write an origin in one way (RFC 6454 section 6.2), and any other would never be met.
pub(super) fn origin(text: &str) -> Result<String, String> {
    if text == ANY {
        return Ok(text.into());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("must be an origin such as `https://app.example.org`".into());
    };
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    if !usual.is_empty() && rest.ends_with(usual) {
        return Err(format!("must leave out `{usual}`, as browsers do"));
    }
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let host = rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b));
    if !scheme_fits || !host || rest.is_empty() || rest.ends_with(':') {
        return Err("must be scheme, host and perhaps port in lower case, without a path or a slash at its end".into());
    }
    Ok(text.into())
}

fn header(text: &str) -> Result<String, String> {
    HeaderName::from_bytes(text.as_bytes()).map(|_| text.into()).map_err(|_| "must be the name of a header".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for right in ["*", "https://a.example", "http://localhost:3000", "http://[::1]:8", "capacitor://localhost"] {
            assert_eq!(origin(right), Ok(right.into()));
        }
        for wrong in [
            "",
            "null",
            "a.example",
            "https://",
            "https://A.example",
            "HTTPS://a.example",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example:443",
            "http://a.example:80",
            "https://a.example:",
            "https://*.example",
            "https://u@a.example",
            "https://a.example ",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_has_a_name() {
        assert!(header("X-Total-Count").is_ok());
        assert!(header("").is_err() && header("a b").is_err() && header("a\nb").is_err());
    }
}
