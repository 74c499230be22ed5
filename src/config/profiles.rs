//! `[profiles.*]`: which dialects of the token endpoints are spoken, and where.
//!
//! Guarantees: paths are canonical, no two endpoints share one, and lifetimes nest.
//! Does not know: what a dialect reads and answers.

use std::time::Duration;

use super::kind::TEN_YEARS;
use super::path;
use super::quantity::show_duration;
use super::reader::Reader;
use super::token::Token;

#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    pub smsgate: SmsgateProfile,
    pub form: FormProfile,
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

const PATHS: [&str; 3] = ["profiles.form.login_path", "profiles.form.refresh_path", "profiles.form.logout_path"];

impl Profiles {
    pub(super) fn read(r: &mut Reader, token: &Token) -> Self {
        let smsgate = SmsgateProfile { enabled: r.flag("profiles.smsgate.enabled", true) };
        let lifetime = Duration::from_secs(1)..=TEN_YEARS;
        let form = FormProfile {
            enabled: r.flag("profiles.form.enabled", false),
            login_path: r.parsed(PATHS[0], "/login".into(), endpoint),
            refresh_path: r.parsed(PATHS[1], "/refresh".into(), endpoint),
            logout_path: r.parsed(PATHS[2], "/logout".into(), endpoint),
            realm: r.parsed("profiles.form.realm", "User Login".into(), realm),
            access_ttl: r.seconds("profiles.form.access_ttl", Duration::from_mins(5), lifetime.clone()),
            refresh_ttl: r.seconds("profiles.form.refresh_ttl", Duration::from_hours(168), lifetime),
            cookie: read_cookie(r),
        };
        let paths = [&form.login_path, &form.refresh_path, &form.logout_path];
        let beneath = |a: &str, b: &str| a.starts_with(b) && matches!(a.as_bytes().get(b.len()), None | Some(b'/'));
        let overlap = (0..3).any(|a| (0..3).any(|b| a != b && beneath(paths[a], paths[b])));
        r.contradiction_if(overlap, &PATHS, "must not lie at or beneath another path of this profile");
        let nested = [
            ("profiles.form.access_ttl", form.access_ttl, "profiles.form.refresh_ttl", form.refresh_ttl),
            ("profiles.form.refresh_ttl", form.refresh_ttl, "token.session_ttl", token.session_ttl),
        ];
        for (inner, shorter, outer, longer) in nested {
            let (short, long) = (show_duration(&shorter), show_duration(&longer));
            let text = format!("{inner} ({short}) must not be longer than {outer} ({long})");
            // Where it is not spoken, its defaults must not stand in the way of a short session_ttl.
            r.contradiction_if(form.enabled && shorter > longer, &[inner, outer], text);
        }
        Self { smsgate, form }
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
    fn a_realm_fits_between_quotes() {
        assert_eq!(realm("User Login"), Ok("User Login".into()));
        for wrong in ["", "a\"b", "a\\", "ü", "a\nb"] {
            assert!(realm(wrong).is_err(), "{wrong}");
        }
    }
}
