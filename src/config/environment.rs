//! The environment as a layer of the configuration: `PORTCULLIS_SECTION__KEY`.
//!
//! Guarantees: values are handed on untouched, as text; every `PORTCULLIS_*` variable is a known key, has another known
//! use, comes from Kubernetes, or is a mistake.
//! Does not know: what the keys mean or which values they take.

use super::mistake::{self, Mistake, Place};

const PREFIX: &str = "PORTCULLIS_";

/// A name by which programs of this kind take their signing secret, and the key that it stands for here.
pub(super) const ALIAS: (&str, &str) = ("JWT_SECRET_KEY", "token.secret");

/// The variables of this process that may concern the configuration.
///
/// A value that is not UTF-8 carries U+FFFD and is reported as a mistake when it is read.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX) || name == ALIAS.0)
        .collect()
}

/// The variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The key that a variable's name stands for, whether or not there is such a key.
pub(super) fn key(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase().replace("__", ".")
}

/// The settings among `environment`, by key; a variable that is none is a mistake.
pub(super) fn settings(
    environment: Vec<(String, String)>,
    known: &[&str],
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (name, value) in environment {
        if !name.starts_with(PREFIX) || has_another_use(&name, &value) {
            continue;
        }
        let place = Place::Variable(name.clone());
        let key = key(&name);
        if !known.contains(&key.as_str()) || variable(&key) != name {
            let nearest = mistake::nearest_variable(&name, known);
            mistakes.push(Mistake::new(place, key, "unknown variable").suggesting(nearest));
        } else if value.contains(char::REPLACEMENT_CHARACTER) {
            mistakes.push(Mistake::new(place, key, "is not valid UTF-8"));
        } else {
            settings.push((key, value));
        }
    }
    settings
}

/// The value of [`ALIAS`], if it is there. Given a second time under our own name it must be the same.
pub(super) fn alias(environment: &[(String, String)], mistakes: &mut Vec<Mistake>) -> Option<String> {
    let value = |wanted: &str| environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (name, key) = ALIAS;
    let (alias, own) = (value(name)?, variable(key));
    let mut wrong = |text: String| mistakes.push(Mistake::new(Place::Variable(name.into()), key, text));
    if alias.contains(char::REPLACEMENT_CHARACTER) {
        wrong("is not valid UTF-8".into());
    } else if value(&own).is_some_and(|value| value != alias) {
        wrong(format!("differs from {own}: leave one of them out"));
    } else {
        return Some(alias.clone());
    }
    None
}

/// Variables of our prefix that are not settings.
fn has_another_use(name: &str, value: &str) -> bool {
    matches!(name, "PORTCULLIS_CONFIG" | "PORTCULLIS_LOG")
        || name.starts_with("PORTCULLIS_TEST_")
        || is_service_link(name, value)
}

/// Whether Kubernetes put this variable there: for a Service called `portcullis` it injects `PORTCULLIS_PORT=tcp://…`
/// and more into every pod of the namespace, for one called `portcullis-edge` `PORTCULLIS_EDGE_PORT` and so on.
fn is_service_link(name: &str, value: &str) -> bool {
    let own = name.strip_prefix(PREFIX).unwrap_or(name);
    if own.starts_with("SERVICE_") || own == "PORT" || own.starts_with("PORT_") {
        return true;
    }
    if own.ends_with("_SERVICE_HOST") || own.contains("_SERVICE_PORT") {
        return true;
    }
    // `PORTCULLIS_EDGE_PORT` alone could be a person's guess at a setting's name; the value tells.
    let protocol = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let numbered = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| own.contains(protocol)) && own.contains("_PORT_");
    (own.ends_with("_PORT") && protocol) || numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn unknown(name: &str, value: &str, expected: Option<&str>) {
        let mut mistakes = Vec::new();
        let known = ["data_dir", "server.listen", "token.secret", "token.secret_file"];
        let settings = settings(vec![(name.into(), value.into())], &known, &mut mistakes);
        assert!(settings.is_empty(), "{name} was taken for a setting");
        assert_eq!(mistakes.first().map(Mistake::to_string).as_deref(), expected);
    }

    #[test]
    fn names_and_keys_translate_both_ways() {
        for (key_, name) in [
            ("data_dir", "PORTCULLIS_DATA_DIR"),
            ("token.secret_file", "PORTCULLIS_TOKEN__SECRET_FILE"),
            ("limits.signin.user_burst", "PORTCULLIS_LIMITS__SIGNIN__USER_BURST"),
        ] {
            assert_eq!(variable(key_), name);
            assert_eq!(key(name), key_);
        }
    }

    #[test]
    fn values_pass_untouched() {
        let written = vec![("PORTCULLIS_TOKEN__SECRET".to_owned(), " 007\n".to_owned())];
        assert_eq!(
            settings(written, &["token.secret"], &mut Vec::new()),
            [("token.secret".to_owned(), " 007\n".to_owned())]
        );
    }

    #[test]
    fn other_uses_of_the_prefix_are_left_alone() {
        for (name, value) in [
            ("HOME", "/root"),
            ("PORTCULLIS_CONFIG", "/etc/portcullis.toml"),
            ("PORTCULLIS_LOG", "debug"),
            ("PORTCULLIS_TEST_REQUIRE", "all"),
            ("PORTCULLIS_PORT", "tcp://10.0.0.1:8080"),
            ("PORTCULLIS_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("PORTCULLIS_SERVICE_HOST", "10.0.0.1"),
            ("PORTCULLIS_SERVICE_PORT_HTTP", "8080"),
            ("PORTCULLIS_EDGE_PORT", "tcp://10.0.0.2:8443"),
            ("PORTCULLIS_EDGE_PORT_8443_TCP", "tcp://10.0.0.2:8443"),
            ("PORTCULLIS_EDGE_PORT_8443_TCP_PROTO", "tcp"),
            ("PORTCULLIS_EDGE_SERVICE_HOST", "10.0.0.2"),
            ("PORTCULLIS_EDGE_SERVICE_PORT", "8443"),
        ] {
            unknown(name, value, None);
        }
    }

    #[test]
    fn unknown_variables_are_mistakes_that_suggest_and_do_not_repeat_the_value() {
        for (name, suggested) in [
            ("PORTCULLIS_SERVER__LISEN", "PORTCULLIS_SERVER__LISTEN"),
            ("PORTCULLIS_SERVER_LISTEN", "PORTCULLIS_SERVER__LISTEN"),
            ("PORTCULLIS_LISTEN", "PORTCULLIS_SERVER__LISTEN"),
            ("PORTCULLIS_server__listen", "PORTCULLIS_SERVER__LISTEN"),
            ("PORTCULLIS_TOKEN__SECRT", "PORTCULLIS_TOKEN__SECRET"),
        ] {
            unknown(name, "hush", Some(&format!("{name}: unknown variable (did you mean `{suggested}`?)")));
        }
        unknown("PORTCULLIS_EDGE_PORT", "8443", Some("PORTCULLIS_EDGE_PORT: unknown variable"));
        unknown("PORTCULLIS_SERVER", "x", Some("PORTCULLIS_SERVER: unknown variable"));
    }

    #[test]
    fn a_value_that_is_not_utf8_is_a_mistake() {
        let expected = "PORTCULLIS_TOKEN__SECRET: is not valid UTF-8";
        unknown("PORTCULLIS_TOKEN__SECRET", "a\u{fffd}b", Some(expected));
    }
}
