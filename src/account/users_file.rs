//! The users file: TOML, one `[[user]]` per person.
//!
//! Guarantees: all mistakes are found at once, each with its line; none quotes a password hash, because what stands in
//! its place may be a password in the clear; nothing half-right is let through.
//! Does not know: where the file lies, when it is read, what the users do.

use std::collections::HashMap;

use serde_json::Value as Json;
use toml_edit::{ImDocument, Item, TableLike, Value};

use crate::token::{Scopes, TOKENS_REFRESH};

use super::hash::StoredHash;
use super::user_claims;
use super::users::User;

const KEYS: [&str; 6] = ["name", "password_hash", "scopes", "email", "roles", "claims"];

/// Names are repeated in every token, session and log line.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// One thing wrong with a users file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct UserMistake {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

/// The users of the file, in its order.
///
/// # Errors
/// All mistakes, in the order of lines.
pub(super) fn read(text: &str) -> Result<Vec<User>, Vec<UserMistake>> {
    let mut reader = Reader { line_starts: line_starts(text), mistakes: Vec::new() };
    let document = match ImDocument::parse(text) {
        Ok(document) => document,
        Err(error) => {
            // Its `Display` would show the line itself; `message` says only what was expected there.
            let line = reader.line(error.span());
            return Err(vec![UserMistake { line, message: error.message().replace('\n', ", ") }]);
        }
    };
    let mut users = Vec::new();
    let mut seen = HashMap::new();
    for (key, item) in document.iter() {
        let line = reader.line(document.key(key).and_then(|key| key.span()).or_else(|| item.span()));
        match (key, item) {
            ("user", Item::ArrayOfTables(tables)) => {
                for table in tables {
                    let line = reader.line(table.span());
                    users.extend(reader.user(table, line, &mut seen));
                }
            }
            ("user", Item::Value(Value::Array(entries))) => {
                for entry in entries {
                    let line = reader.line(entry.span());
                    match entry.as_inline_table() {
                        Some(table) => users.extend(reader.user(table, line, &mut seen)),
                        None => reader.mistake(line, "an entry of `user` must be a table"),
                    }
                }
            }
            ("user", _) => reader.mistake(line, "users are written as `[[user]]`, with two brackets on each side"),
            (other, _) => {
                reader.mistake(line, format!("unknown key `{}`; only `[[user]]` is known", other.escape_debug()))
            }
        }
    }
    reader.mistakes.sort_by_key(|mistake| mistake.line);
    if reader.mistakes.is_empty() { Ok(users) } else { Err(reader.mistakes) }
}

struct Reader {
    line_starts: Vec<usize>,
    mistakes: Vec<UserMistake>,
}

impl Reader {
    /// One entry; `None` if a part without which there is no user is missing or wrong.
    fn user(&mut self, table: &dyn TableLike, line: usize, seen: &mut HashMap<String, usize>) -> Option<User> {
        for (key, _) in table.iter().filter(|(key, _)| !KEYS.contains(key)) {
            let line = self.line_of(table, key);
            self.mistake(line, unknown_key(key));
        }
        let name = self.required(table, "name", line).map(str::to_owned);
        if let Some(name) = &name {
            let line = self.line_of(table, "name");
            if let Some(message) = name_mistake(name) {
                self.mistake(line, message);
            } else if let Some(first) = seen.insert(name.clone(), line) {
                self.mistake(line, format!("user {name:?} is already defined in line {first}"));
            }
        }
        let hash = self.required(table, "password_hash", line).map(StoredHash::parse);
        let hash = match hash {
            Some(Err(mistake)) => {
                let line = self.line_of(table, "password_hash");
                self.mistake(line, format!("`password_hash` {mistake}; make one with `portcullis hash-password`"));
                None
            }
            Some(Ok(hash)) => Some(hash),
            None => None,
        };
        let scopes = self.words(table, "scopes", scope_mistake);
        let roles = self.words(table, "roles", role_mistake);
        let email = self.text(table, "email").map(str::to_owned);
        if email.as_deref().is_some_and(|email| email.is_empty() || email.contains(char::is_control)) {
            let line = self.line_of(table, "email");
            self.mistake(line, "`email` is empty or contains control characters");
        }
        let claims = self.claims(table);
        Some(User { name: name?.into(), scopes: Scopes::new(scopes), email, roles, claims, hash: Some(hash?) })
    }

    fn required<'t>(&mut self, table: &'t dyn TableLike, key: &str, line: usize) -> Option<&'t str> {
        if !table.contains_key(key) {
            self.mistake(line, format!("this user has no `{key}`"));
        }
        self.text(table, key)
    }

    fn text<'t>(&mut self, table: &'t dyn TableLike, key: &str) -> Option<&'t str> {
        let item = table.get(key)?;
        if item.as_str().is_none() {
            let line = self.line_of(table, key);
            self.mistake(line, format!("`{key}` must be a string, not {}", kind(item.type_name())));
        }
        item.as_str()
    }

    /// A list of strings, each judged by `check`.
    fn words(&mut self, table: &dyn TableLike, key: &str, check: fn(&str) -> Option<String>) -> Vec<String> {
        let Some(item) = table.get(key) else { return Vec::new() };
        let Some(array) = item.as_array() else {
            let line = self.line_of(table, key);
            self.mistake(line, format!("`{key}` must be a list of strings, not {}", kind(item.type_name())));
            return Vec::new();
        };
        let mut words = Vec::new();
        for value in array {
            let line = self.line(value.span());
            match value.as_str() {
                None => self.mistake(line, format!("`{key}` holds {}, not a string", kind(value.type_name()))),
                Some(word) => match check(word) {
                    Some(message) => self.mistake(line, message),
                    None => words.push(word.to_owned()),
                },
            }
        }
        words
    }

    fn claims(&mut self, table: &dyn TableLike) -> serde_json::Map<String, Json> {
        let Some(item) = table.get("claims") else {
            return serde_json::Map::new();
        };
        let Some(claims) = item.as_table_like() else {
            let line = self.line_of(table, "claims");
            self.mistake(line, format!("`claims` must be a table, not {}", kind(item.type_name())));
            return serde_json::Map::new();
        };
        user_claims::read(claims, &mut |span, message| {
            let line = self.line(span);
            self.mistake(line, message);
        })
    }

    fn mistake(&mut self, line: usize, message: impl Into<String>) {
        self.mistakes.push(UserMistake { line, message: message.into() });
    }

    fn line_of(&self, table: &dyn TableLike, key: &str) -> usize {
        self.line(table.key(key).and_then(|key| key.span()).or_else(|| table.get(key).and_then(Item::span)))
    }

    fn line(&self, span: Option<std::ops::Range<usize>>) -> usize {
        span.map_or(1, |span| self.line_starts.partition_point(|start| *start <= span.start))
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn unknown_key(key: &str) -> String {
    let near = KEYS.iter().map(|known| (strsim::damerau_levenshtein(key, known), known)).min();
    match near {
        Some((distance, known)) if distance <= 3 => {
            format!("unknown key `{}` (did you mean `{known}`?)", key.escape_debug())
        }
        _ => format!("unknown key `{}`; known are {}", key.escape_debug(), KEYS.join(", ")),
    }
}

/// What keeps a text from being a name.
pub(super) fn name_mistake(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("`name` is empty".to_owned())
    } else if name.len() > MAX_NAME_BYTES {
        Some(format!("`name` is longer than {MAX_NAME_BYTES} bytes"))
    } else if name.contains(':') {
        // RFC 7617 section 2: the first colon ends the name, so this user could never sign in.
        Some(format!("the name {name:?} contains a colon, which Basic authentication cannot carry"))
    } else if name.contains(char::is_control) {
        Some(format!("the name {name:?} contains control characters"))
    } else {
        None
    }
}

/// RFC 6749 section 3.3: a scope is visible ASCII without quote and backslash.
fn scope_mistake(scope: &str) -> Option<String> {
    if scope == TOKENS_REFRESH {
        Some(format!("`{TOKENS_REFRESH}` belongs to refresh tokens alone and cannot be granted"))
    } else if scope.is_empty() || !scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        Some(format!("{scope:?} is no scope: only visible ASCII without spaces, quotes and backslashes"))
    } else {
        None
    }
}

fn role_mistake(role: &str) -> Option<String> {
    (role.trim().is_empty() || role.contains(char::is_control))
        .then(|| format!("{role:?} is no role: blank or with control characters"))
}

/// toml_edit's names of types, with an article.
fn kind(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

#[cfg(test)]
mod tests {
    use super::super::hash::cheap;
    use super::*;

    fn hash() -> String {
        cheap::argon2id("x")
    }

    /// `HASH` in `text` stands for a sound hash.
    fn users(text: &str) -> Result<Vec<User>, Vec<UserMistake>> {
        read(&text.replace("HASH", &hash()))
    }

    #[track_caller]
    fn mistakes(text: &str, expected: &[(usize, &str)]) {
        let found = users(text).unwrap_err();
        let short: Vec<_> = found.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
        assert_eq!(short.len(), expected.len(), "{short:#?}");
        for ((line, message), (expected_line, part)) in short.iter().zip(expected) {
            assert_eq!(line, expected_line, "{message}");
            assert!(message.contains(part), "{message:?} does not say {part:?}");
        }
    }

    #[test]
    fn a_full_entry_is_read() {
        let user = users(
            r#"
[[user]]
name = "anna"
password_hash = "HASH"
scopes = ["messages:send", "messages:list"]
email = "anna@example.org"
roles = ["admin"]
[user.claims]
tenant = 7
plan = "gold"
limits = { day = 1.5, flags = [true, false] }
"#,
        )
        .unwrap()
        .remove(0);
        assert_eq!(&*user.name, "anna");
        assert_eq!(user.scopes.to_string(), "messages:send messages:list");
        assert_eq!(user.email.as_deref(), Some("anna@example.org"));
        assert_eq!(user.roles, ["admin"]);
        let expected = serde_json::json!({"tenant": 7, "plan": "gold", "limits": {"day": 1.5, "flags": [true, false]}});
        assert_eq!(Json::Object(user.claims), expected);
    }

    #[test]
    fn the_least_entry_and_the_inline_form_are_read() {
        let user = users("[[user]]\nname = \"a\"\npassword_hash = \"HASH\"\n").unwrap().remove(0);
        assert!(user.scopes.is_empty() && user.roles.is_empty() && user.claims.is_empty() && user.email.is_none());
        let inline =
            "user = [\n  { name = \"a\", password_hash = \"HASH\" },\n  { name = \"b\", password_hash = \"HASH\" },\n]";
        assert_eq!(users(inline).unwrap().len(), 2);
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        mistakes(
            r#"
[[user]]
name = "anna"
pasword_hash = "HASH"

[[user]]
name = "b:b"
password_hash = "hunter2"
scopes = ["ok:yes", "not ok"]

[[user]]
password_hash = 5
roles = "admin"

[settings]
"#,
            &[
                (2, "has no `password_hash`"),
                (4, "did you mean `password_hash`?"),
                (7, "colon"),
                (8, "is not a password hash"),
                (9, "\"not ok\" is no scope"),
                (11, "has no `name`"),
                (12, "must be a string, not an integer"),
                (13, "must be a list of strings, not a string"),
                (15, "unknown key `settings`"),
            ],
        );
    }

    #[test]
    fn no_mistake_quotes_the_hash() {
        for text in ["password_hash = \"hunter2\"", "password_hash = \"hunter2", "password_hash = hunter2"] {
            let found = users(&format!("[[user]]\nname = \"a\"\n{text}\n")).unwrap_err();
            assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
            assert_eq!(found[0].line, 3, "{found:?}");
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let entry = "[[user]]\nname = \"a\"\npassword_hash = \"HASH\"\n";
        mistakes(&entry.repeat(2), &[(5, "already defined in line 2")]);
    }

    #[test]
    fn names_that_could_never_sign_in_are_mistakes() {
        for (name, part) in [
            ("", "is empty"),
            ("a:b", "colon"),
            ("a\\nb", "control"),
            ("a\\u0000", "control"),
            (&"x".repeat(256), "longer than 255"),
        ] {
            mistakes(&format!("[[user]]\nname = \"{name}\"\npassword_hash = \"HASH\""), &[(2, part)]);
        }
        assert!(users(&format!("[[user]]\nname = \"{}\"\npassword_hash = \"HASH\"", "x".repeat(255))).is_ok());
    }

    #[test]
    fn scopes_are_words_and_nobody_is_granted_refresh() {
        for scope in ["", "a b", "a\\\"b", "a\\\\b", "a\\tb", "ä:x", "tokens:refresh"] {
            mistakes(&format!("[[user]]\nname=\"a\"\npassword_hash=\"HASH\"\nscopes=[\"{scope}\"]"), &[(4, "")]);
        }
    }

    #[test]
    fn shapes_that_are_not_users_are_mistakes() {
        mistakes("[user]\nname = \"a\"", &[(1, "[[user]]")]);
        mistakes("user = [\"a\"]", &[(1, "must be a table")]);
        mistakes("user.name = \"a\"", &[(1, "[[user]]")]);
        mistakes("[[user]]\nname = \"a\"\nname = \"b\"\npassword_hash = \"HASH\"", &[(3, "duplicate")]);
        mistakes("[[user]", &[(1, "")]);
    }
}
