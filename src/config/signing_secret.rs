//! What an HMAC signing secret must be before anything is signed with it.
//!
//! Guarantees: it is at least as long as the hash (RFC 7518 section 3.2), and none of the defaults that attackers try
//! first, padded or not.
//! Does not know: where it comes from. It repeats no part of what it refuses, beyond a default's public name.

use crate::keys::Algorithm;

/// Defaults of tutorials, examples and frameworks, in lower case.
const WELL_KNOWN: &[&str] = &[
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "my-32-character-ultra-secure-and-ultra-long-secret",
    "your-secret-key",
    "your-secret-here",
    "your-secret",
    "your_jwt_secret",
    "my-secret-key",
    "my-secret",
    "my_secret",
    "mysecret",
    "secret-key",
    "secret_key",
    "secretkey",
    "secret",
    "super-secret",
    "supersecret",
    "jwt-secret",
    "jwt_secret",
    "jwtsecret",
    "changeme",
    "change-me",
    "change_me",
    "changeit",
    "replace-me",
    "replaceme",
    "password",
    "insecure",
    "default",
    "example",
    "portcullis",
    "test",
];

const REMEDY: &str = "make one with `portcullis keygen`";

/// Refuses a secret that protects nothing.
pub(super) fn check(secret: &[u8], algorithm: Algorithm) -> Result<(), String> {
    if let Some(name) = well_known(secret) {
        return Err(format!("the secret is the well-known default `{name}`: {REMEDY}"));
    }
    if secret.iter().all(|byte| Some(byte) == secret.first()) {
        return Err(format!("the secret is one character repeated: {REMEDY}"));
    }
    match algorithm.min_secret_bytes() {
        Some(shortest) if secret.len() < shortest => {
            let length = secret.len();
            Err(format!("the secret is {length} bytes long, and {algorithm} needs at least {shortest}: {REMEDY}"))
        }
        _ => Ok(()),
    }
}

/// The default that `secret` begins with, if what follows only pads it: the same again, blanks, digits, or one other
/// character repeated.
fn well_known(secret: &[u8]) -> Option<&'static str> {
    let secret = secret.trim_ascii().to_ascii_lowercase();
    WELL_KNOWN.iter().copied().find(|name| {
        secret.strip_prefix(name.as_bytes()).is_some_and(|padding| {
            let (mut again, first) = (padding, padding.first());
            while let Some(rest) = again.strip_prefix(name.as_bytes()) {
                again = rest;
            }
            name.as_bytes().starts_with(again)
                || again.iter().all(|byte| !byte.is_ascii_alphabetic())
                || padding.iter().all(|byte| Some(byte) == first)
                || repeats_with_separator(&secret, name)
        })
    })
}

/// `name-name-name`, the last one possibly cut short.
fn repeats_with_separator(secret: &[u8], name: &str) -> bool {
    secret.get(name.len()).is_some_and(|separator| {
        let unit: Vec<u8> = name.bytes().chain([*separator]).collect();
        !separator.is_ascii_alphanumeric() && secret.iter().zip(unit.iter().cycle()).all(|(a, b)| a == b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(secret: &str, part: &str) {
        let mistake = check(secret.as_bytes(), Algorithm::HS256).unwrap_err();
        assert!(mistake.contains(part), "{secret}: {mistake}");
        assert!(mistake.contains("portcullis keygen"), "{mistake}");
    }

    #[test]
    fn well_known_defaults_are_refused_even_if_padded() {
        for secret in [
            "my-secret",
            "My-Secret",
            "your-256-bit-secret",
            "a-string-secret-at-least-256-bits-long",
            "changeme00000000000000000000000000000000",
            "changeme12345678901234567890123456789012",
            "secretsecretsecretsecretsecretsecretsec",
            "my-secret-my-secret-my-secret-my-secret-my",
            "secretxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "my-secret                               ",
            "password!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
        ] {
            refuses(secret, "well-known default");
        }
        refuses(&"a".repeat(64), "one character repeated");
    }

    #[test]
    fn short_secrets_are_refused_with_the_needed_length() {
        refuses("0123456789abcdef0123456789abcde", "31 bytes long, and HS256 needs at least 32");
        for (algorithm, shortest) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
            let secret: Vec<u8> = (0..shortest).collect();
            assert_eq!(check(&secret, algorithm), Ok(()));
            assert!(check(&secret[1..], algorithm).is_err());
        }
    }

    #[test]
    fn random_secrets_pass_even_if_they_begin_like_a_default() {
        for secret in ["testYnVq3mZkP0sT7xLr9cWfE2uJhA5oD8gB", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"] {
            assert_eq!(check(secret.as_bytes(), Algorithm::HS256), Ok(()));
        }
    }
}
