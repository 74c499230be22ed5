//! htpasswd files: one `name:hash` per line, as Apache and nginx read them.
//!
//! Guarantees: all mistakes are found at once, each with its line and without what stands there; only bcrypt and argon2id
//! are taken, whatever else such files hold is refused by its name.
//! Does not know: where the file lies, what its people may do.

use std::collections::HashMap;

use crate::token::Scopes;

use super::hash::StoredHash;
use super::users::User;
use super::users_file::{UserMistake, name_mistake};

/// The users of the file, in its order. Each may have `scopes`.
///
/// # Errors
/// All mistakes, in the order of lines.
pub(super) fn read(text: &str, scopes: &Scopes) -> Result<Vec<User>, Vec<UserMistake>> {
    let (mut users, mut mistakes, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    for (line, entry) in (1..).zip(text.lines().map(str::trim)) {
        if entry.is_empty() || entry.starts_with('#') {
            continue;
        }
        match user(entry, scopes) {
            Ok(user) => match seen.insert(user.name.clone(), line) {
                None => users.push(user),
                Some(first) => {
                    let message = format!("user {:?} is already defined in line {first}", user.name);
                    mistakes.push(UserMistake { line, message });
                }
            },
            Err(message) => mistakes.push(UserMistake { line, message }),
        }
    }
    if mistakes.is_empty() { Ok(users) } else { Err(mistakes) }
}

fn user(entry: &str, scopes: &Scopes) -> Result<User, String> {
    let (name, hash) = entry.split_once(':').ok_or("this is no `name:hash`")?;
    if let Some(mistake) = name_mistake(name) {
        return Err(mistake);
    }
    let hash = StoredHash::parse(hash).map_err(|mistake| {
        format!("the hash of {name:?} {mistake}; make one with `htpasswd -B` or `portcullis hash-password`")
    })?;
    let claims = serde_json::Map::new();
    Ok(User { name: name.into(), scopes: scopes.clone(), email: None, roles: Vec::new(), claims, hash: Some(hash) })
}

#[cfg(test)]
mod tests {
    use super::super::hash::cheap;
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        read(text, &Scopes::default()).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn entries_blank_lines_and_comments_are_read() {
        let text = format!("# staff\n\nanna:{}\r\n bob:{}\n", cheap::bcrypt("x"), cheap::argon2id("y"));
        let users = read(&text, &Scopes::new(["a:x"])).unwrap();
        let told: Vec<_> = users.iter().map(|user| (&*user.name, user.scopes.to_string())).collect();
        assert_eq!(told, [("anna", "a:x".to_owned()), ("bob", "a:x".to_owned())]);
    }

    #[test]
    fn weak_kinds_are_refused_by_name_with_their_line_and_shown_nowhere() {
        let weak = [
            ("rqXexS6ZhobKA", "DES crypt"),
            ("$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00", "$apr1$ (Apache MD5)"),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{SHA} (SHA-1 without salt)"),
            ("$1$abc$def", "crypt (MD5)"),
            ("$6$abc$def", "crypt (SHA-2)"),
            ("hunter2", "in the clear"),
        ];
        for (n, (hash, name)) in weak.into_iter().enumerate() {
            let told = mistakes(&format!("{}anna:{hash}\n", "\n".repeat(n)));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(&format!("line {}:", n + 1)) && told[0].contains(name), "{told:?}");
            assert!(!told[0].contains(hash), "{told:?}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let hash = cheap::bcrypt("x");
        let told = mistakes(&format!("anna\n:{hash}\nbob:{hash}\nbob:{hash}\nzoe:x\n"));
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[2].contains("already defined in line 3"), "{told:?}");
    }
}
