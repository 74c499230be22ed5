//! `[profiles.*]`: which dialects of the token endpoints are spoken, and where.
//!
//! Guarantees: paths are canonical, no two endpoints share one, and lifetimes nest.
//! Does not know: what a dialect reads and answers.

use std::time::Duration;

use http::Uri;

use super::kind::TEN_YEARS;
use super::path;
use super::quantity::show_duration;
use super::reader::Reader;
use super::token::Token;

#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    pub smsgate: SmsgateProfile,
    pub form: FormProfile,
    pub oauth: OauthProfile,
}

/// `[profiles.smsgate]`
#[derive(Clone, Debug, PartialEq)]
pub struct SmsgateProfile {
    pub enabled: bool,
}

/// `[profiles.form]`
#[derive(Clone, Debug, PartialEq)]
pub struct FormProfile {
    pub enabled: bool,
    pub login_path: String,
    pub refresh_path: String,
    pub logout_path: String,
    /// What a 401 of these endpoints is about, to be shown to people.
    pub realm: String,
    pub access_ttl: Duration,
    /// Idle lifetime of a session.
    pub refresh_ttl: Duration,
    /// The name of the cookie that carries the refresh token; `None`: the body does.
    pub cookie: Option<String>,
}

/// `[profiles.oauth]`
#[derive(Clone, Debug, PartialEq)]
pub struct OauthProfile {
    pub enabled: bool,
    pub token_path: String,
    pub revoke_path: String,
    pub introspect_path: String,
    /// Whether clients may ask for tokens with a user's password.
    pub password_grant: bool,
    /// What clients know the gate by: scheme, host and port. Without it there is no metadata.
    pub issuer_url: Option<String>,
    pub access_ttl: Duration,
    /// Idle lifetime of a session.
    pub refresh_ttl: Duration,
}

const PATHS: [&str; 6] = [
    "profiles.form.login_path",
    "profiles.form.refresh_path",
    "profiles.form.logout_path",
    "profiles.oauth.token_path",
    "profiles.oauth.revoke_path",
    "profiles.oauth.introspect_path",
];

const LIFETIMES: [&str; 4] = [
    "profiles.form.access_ttl",
    "profiles.form.refresh_ttl",
    "profiles.oauth.access_ttl",
    "profiles.oauth.refresh_ttl",
];

impl Profiles {
    pub(super) fn read(r: &mut Reader, token: &Token) -> Self {
        let smsgate = SmsgateProfile { enabled: r.flag("profiles.smsgate.enabled", true) };
        let (lifetime, preset) = (Duration::from_secs(1)..=TEN_YEARS, token.lifetimes);
        let form = FormProfile {
            enabled: r.flag("profiles.form.enabled", false),
            login_path: r.parsed(PATHS[0], "/login".into(), endpoint),
            refresh_path: r.parsed(PATHS[1], "/refresh".into(), endpoint),
            logout_path: r.parsed(PATHS[2], "/logout".into(), endpoint),
            realm: r.parsed("profiles.form.realm", "User Login".into(), realm),
            access_ttl: r.seconds(LIFETIMES[0], preset.access(Duration::from_mins(5)), lifetime.clone()),
            refresh_ttl: r.seconds(LIFETIMES[1], preset.refresh(Duration::from_hours(168)), lifetime.clone()),
            cookie: read_cookie(r),
        };
        let oauth = OauthProfile {
            enabled: r.flag("profiles.oauth.enabled", false),
            token_path: r.parsed(PATHS[3], "/oauth/token".into(), endpoint),
            revoke_path: r.parsed(PATHS[4], "/oauth/revoke".into(), endpoint),
            introspect_path: r.parsed(PATHS[5], "/oauth/introspect".into(), endpoint),
            password_grant: r.flag("profiles.oauth.password_grant", false),
            issuer_url: r.optional_parsed("profiles.oauth.issuer_url", issuer_url),
            access_ttl: r.seconds(LIFETIMES[2], preset.access(Duration::from_mins(15)), lifetime.clone()),
            refresh_ttl: r.seconds(LIFETIMES[3], preset.refresh(Duration::from_hours(720)), lifetime),
        };
        preset.tell(r, &LIFETIMES);
        let paths = [
            &form.login_path,
            &form.refresh_path,
            &form.logout_path,
            &oauth.token_path,
            &oauth.revoke_path,
            &oauth.introspect_path,
        ];
        let beneath = |a: &str, b: &str| a.starts_with(b) && matches!(a.as_bytes().get(b.len()), None | Some(b'/'));
        let overlap = (0..6).any(|a| (0..6).any(|b| a != b && beneath(paths[a], paths[b])));
        r.contradiction_if(overlap, &PATHS, "must not lie at or beneath another path of these profiles");
        // Whoever does not speak a dialect must not be asked about its defaults.
        let session_ttl = token.session_ttl;
        let nested = [
            (form.enabled, "profiles.form", form.access_ttl, form.refresh_ttl),
            (oauth.enabled, "profiles.oauth", oauth.access_ttl, oauth.refresh_ttl),
        ];
        for (_, section, access_ttl, refresh_ttl) in nested.into_iter().filter(|(enabled, ..)| *enabled) {
            let (access, refresh) = (format!("{section}.access_ttl"), format!("{section}.refresh_ttl"));
            for (inner, shorter, outer, longer) in [
                (&*access, access_ttl, &*refresh, refresh_ttl),
                (&refresh, refresh_ttl, "token.session_ttl", session_ttl),
            ] {
                let (short, long) = (show_duration(&shorter), show_duration(&longer));
                let text = format!("{inner} ({short}) must not be longer than {outer} ({long})");
                r.contradiction_if(shorter > longer, &[inner, outer], text);
            }
        }
        Self { smsgate, form, oauth }
    }
}

fn read_cookie(r: &mut Reader) -> Option<String> {
    let wanted = r.flag("profiles.form.cookies", false);
    let name = r.parsed("profiles.form.cookie_name", "__Secure-refresh-token".into(), cookie_name);
    wanted.then_some(name)
}

/// RFC 6265 section 4.1.1: a token.
fn cookie_name(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(fits) {
        return Err("must be letters, digits and `-_.` and the like".into());
    }
    // Browsers want the path `/` for these, and would drop the cookie without a word.
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("__host-")) {
        return Err("must not begin with `__Host-`: such a cookie would be sent to every path".into());
    }
    Ok(text.into())
}

fn endpoint(text: &str) -> Result<String, String> {
    match path::prefix(text)? {
        written if written.is_empty() => Err("must name a path of its own, such as `/login`".into()),
        _ => Ok(text.into()),
    }
}

/// RFC 8414 section 2, without a path: what stands behind the host is the gate's own.
fn issuer_url(text: &str) -> Result<String, String> {
    let shape = || "must be a URL such as `https://gate.example.org`, without a path";
    let uri: Uri = text.parse().map_err(|_| shape())?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(shape().into());
    };
    let written = text.strip_suffix('/').unwrap_or(text);
    let port_is_sound = authority.as_str().len() == authority.host().len() || authority.port_u16().is_some();
    // Neither user name, path, query nor fragment: then nothing is left but these.
    if authority.as_str().contains('@') || !port_is_sound || !written.ends_with(&format!("://{authority}")) {
        return Err(shape().into());
    }
    Ok(written.into())
}

/// RFC 9110 section 5.6.4 would have quotes escaped, and not every client undoes that.
pub(super) fn realm(text: &str) -> Result<String, String> {
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    if !text.is_empty() && text.chars().all(plain) {
        Ok(text.into())
    } else {
        Err("must be printable ASCII without quotes and backslashes".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_path_of_its_own() {
        assert_eq!(endpoint("/api/login"), Ok("/api/login".into()));
        for wrong in ["", "/", "login", "/login/", "/a/../b", "/a%2f"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cookie_has_a_name_that_browsers_take() {
        assert_eq!(cookie_name("__Secure-a"), Ok("__Secure-a".into()));
        for wrong in ["", "a b", "a=b", "a;b", "a,b", "\"a\"", "ü", "__Host-a", "__HOST-a"] {
            assert!(cookie_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_issuer_is_scheme_host_and_port() {
        for right in ["https://gate.example.org", "http://localhost:8080", "https://[::1]:8443"] {
            assert_eq!(issuer_url(right), Ok(right.into()));
        }
        assert_eq!(issuer_url("https://gate/"), Ok("https://gate".into()));
        for wrong in
            ["", "gate", "gate:8080", "/a", "ftp://gate", "https://", "https://g/a", "https://g?a", "https://g#a"]
        {
            assert!(issuer_url(wrong).is_err(), "{wrong}");
        }
        for wrong in ["https://u@g", "https://g:", "https://g:x", "https://g//", "https://g/?", "https://g/#"] {
            assert!(issuer_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_realm_fits_between_quotes() {
        assert_eq!(realm("User Login"), Ok("User Login".into()));
        for wrong in ["", "a\"b", "a\\", "ü", "a\nb"] {
            assert!(realm(wrong).is_err(), "{wrong}");
        }
    }
}
