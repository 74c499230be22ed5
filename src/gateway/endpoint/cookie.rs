//! The refresh token in a browser's cookie: who may use it, how it is read, how it is set.
//!
//! Guarantees: only a page of the gate's own origin, or of one that the operator has named on the same site, gets
//! anything done with it (cross-site request forgery, also of a login); nothing is chosen from two; it is set for the two
//! paths that read it and no other, out of reach of scripts (RFC 6265 section 4.1.2).
//! Does not know: whether the token is good.

use http::HeaderName;
use http::header::{COOKIE, HOST, HeaderMap, HeaderValue};

use crate::upstream::headers::Forwarded;

use super::super::Refusal;
use super::super::cors::{self, Cors};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request through that a page of ours has made. `secure`: under TLS, unless a proxy says otherwise.
///
/// # Errors
/// [`Refusal::NoOrigin`] and [`Refusal::ForeignOrigin`].
pub(super) fn check_origin(
    headers: &HeaderMap,
    forwarded: Option<&Forwarded>,
    secure: bool,
    cors: Option<&Cors>,
) -> Result<(), Refusal> {
    let origin = cors::one(headers).ok_or(Refusal::NoOrigin)?;
    let host = forwarded.and_then(|forwarded| forwarded.host.as_ref()).or_else(|| headers.get(HOST));
    let scheme = forwarded.and_then(|forwarded| forwarded.scheme.as_ref());
    let scheme = scheme.map(HeaderValue::as_bytes).or(secure.then_some(b"https"));
    let own = host.is_some_and(|host| is_own(origin.as_bytes(), host.as_bytes(), scheme));
    let named = cors.is_some_and(|cors| cors.names(origin));
    // What the browser itself says of the page, where it does; more than one word is none of a browser's.
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().map(HeaderValue::as_bytes);
    let site_fits = match (sites.next(), sites.next()) {
        (None, _) | (Some(b"same-origin"), None) => own || named,
        // A sibling, whom the operator must have named: any other host of the site may belong to anybody.
        (Some(b"same-site"), None) => named,
        _ => false,
    };
    if site_fits { Ok(()) } else { Err(Refusal::ForeignOrigin) }
}

/// Whether an origin is that of the host which the request is for. A page that came in the clear may be anybody's on the
/// way, so it counts only where no way is: on this machine, which is where browsers take such a cookie without TLS.
fn is_own(origin: &[u8], host: &[u8], scheme: Option<&[u8]>) -> bool {
    let (origin, host) = (origin.to_ascii_lowercase(), host.to_ascii_lowercase());
    if let Some(authority) = origin.strip_prefix(b"https://") {
        return !authority.is_empty() && authority == host.strip_suffix(b":443").unwrap_or(&host);
    }
    let Some(authority) = origin.strip_prefix(b"http://") else { return false };
    let clear = scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case(b"http"));
    clear && is_loopback(authority) && authority == host.strip_suffix(b":80").unwrap_or(&host)
}

fn is_loopback(authority: &[u8]) -> bool {
    let port = authority.iter().rposition(|byte| *byte == b':').filter(|at| {
        // The colons of an IPv6 address stand in brackets.
        !authority.get(*at..).unwrap_or_default().contains(&b']')
    });
    let host = port.and_then(|at| authority.get(..at)).unwrap_or(authority);
    let address = str::from_utf8(host).unwrap_or_default();
    address == "localhost"
        || address == "[::1]"
        || address.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The token in the cookie of this name.
///
/// # Errors
/// [`Refusal::AmbiguousCookie`] if there are two: one may have been planted by another host of the same site.
pub(super) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let crumbs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let mut values = crumbs.filter_map(|crumb| {
        let value = crumb.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?;
        Some(value.trim_ascii_start())
    });
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Refusal::AmbiguousCookie),
        // What is not even text is no token.
        (value, None) => Ok(value.map(|value| str::from_utf8(value).unwrap_or_default())),
    }
}

/// One token at most is read, and only where there is one cookie of the name. See [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(in crate::gateway) fn try_out(headers: &HeaderMap) {
    let name = "__Secure-refresh-token";
    let named = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let named = named.filter(|crumb| crumb.trim_ascii().starts_with(name.as_bytes())).count();
    match read(headers, name) {
        Ok(Some(token)) => assert!(named >= 1 && !token.contains(';'), "{token}"),
        Ok(None) => {}
        Err(_) => assert!(named >= 2),
    }
}

/// The `Set-Cookie` that keeps `token` for so many seconds for the requests to `path`; none of either forgets it.
pub(super) fn write(name: &str, path: &str, token: &str, max_age: u64) -> Option<HeaderValue> {
    let text = format!("{name}={token}; Path={path}; Max-Age={max_age}; HttpOnly; Secure; SameSite=Strict");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn own(origin: &str, host: &str, scheme: Option<&str>, expected: bool) {
        assert_eq!(is_own(origin.as_bytes(), host.as_bytes(), scheme.map(str::as_bytes)), expected, "{origin} {host}");
    }

    #[test]
    fn an_origin_is_ours_if_its_host_is_and_nobody_can_have_changed_the_page() {
        own("https://gate.example", "gate.example", None, true);
        own("https://gate.example", "GATE.example:443", Some("https"), true);
        own("https://gate.example:8443", "gate.example:8443", None, true);
        for foreign in [
            "null",
            "",
            "https://",
            "https://gate.example:8443",
            "https://gate.example.evil",
            "https://evil.gate.example",
            "https://gate.example/",
            "https://evil@gate.example",
            "http://gate.example",
            "ftp://gate.example",
        ] {
            own(foreign, "gate.example", None, false);
        }
        own("https://", "", None, false);
        for local in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]", "localhost", "127.9.9.9"] {
            own(&format!("http://{local}"), local, None, true);
            own(&format!("http://{local}"), local, Some("https"), false);
        }
        own("http://localhost", "localhost:80", Some("http"), true);
        own("http://localhost:8080", "localhost:8081", None, false);
        own("http://localhost.evil:8080", "localhost.evil:8080", None, false);
    }

    #[track_caller]
    fn checks(fields: &[(&'static str, &'static str)], expected: &str) {
        let fields =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers: HeaderMap = fields.collect();
        headers.insert(HOST, HeaderValue::from_static("gate.example"));
        let cors = Cors::new(&["https://app.example".into()], &[], &[], Duration::ZERO, true);
        let found = match check_origin(&headers, None, false, Some(&cors)) {
            Ok(()) => "ok",
            Err(refusal) => refusal.reason(),
        };
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn a_page_is_of_our_origin_or_named_and_on_our_site() {
        let (own, named, foreign) =
            (("origin", "https://gate.example"), ("origin", "https://app.example"), ("origin", "https://evil.example"));
        checks(&[], "origin_missing");
        checks(&[own, own], "origin_missing");
        checks(&[own], "ok");
        checks(&[named], "ok");
        checks(&[foreign], "origin_foreign");
        for (site, of_own, of_named) in [
            ("same-origin", "ok", "ok"),
            ("same-site", "origin_foreign", "ok"),
            ("cross-site", "origin_foreign", "origin_foreign"),
            ("none", "origin_foreign", "origin_foreign"),
            ("", "origin_foreign", "origin_foreign"),
        ] {
            let site = ("sec-fetch-site", site);
            checks(&[own, site], of_own);
            checks(&[named, site], of_named);
            checks(&[foreign, site], "origin_foreign");
        }
        let same = ("sec-fetch-site", "same-origin");
        checks(&[own, same, same], "origin_foreign");
    }

    #[track_caller]
    fn reads(fields: &[&'static str], expected: Result<Option<&str>, ()>) {
        let headers = fields.iter().map(|field| (COOKIE, HeaderValue::from_static(field))).collect();
        assert_eq!(read(&headers, "rt").map_err(drop), expected, "{fields:?}");
    }

    #[test]
    fn one_cookie_is_read_and_of_two_none() {
        reads(&[], Ok(None));
        reads(&["a=b; rt2=x; xrt=y; RT=z; rt"], Ok(None));
        reads(&["a=b; rt=t; c=d"], Ok(Some("t")));
        reads(&["a=b", "rt = t"], Ok(Some("t")));
        reads(&["rt="], Ok(Some("")));
        for two in [&["rt=t; rt=u"][..], &["rt=t;rt=t"], &["rt=t", "rt=u"]] {
            reads(two, Err(()));
        }
    }
}
