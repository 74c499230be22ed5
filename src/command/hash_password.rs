//! `portcullis hash-password`: makes the `password_hash` of a users file.
//!
//! Guarantees: the password is never an argument (other processes see those) and never echoed; what could not be used
//! to sign in is refused here already; only the hash goes to standard output.
//! Does not know: users files. It prints one line for a person or a script to put there.

use std::io::{self, IsTerminal, Read, Write};

use zeroize::Zeroizing;

use crate::account::{HashFailed, MAX_PASSWORD_BYTES, StoredHash};

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum HashPasswordError {
    #[error("cannot read the password: {0}")]
    Read(#[source] io::Error),
    #[error("cannot print the hash: {0}")]
    Print(#[source] io::Error),
    #[error("the two passwords differ")]
    Differ,
    #[error("the password is empty")]
    Empty,
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    #[error("the password is not UTF-8")]
    NotUtf8,
    #[error("the password contains a line break or another control character, which Basic authentication cannot carry")]
    ControlCharacter,
    #[error("cannot hash the password: {0}")]
    Hash(#[from] HashFailed),
}

/// Asks twice on a terminal, else reads standard input to its end; prints the hash and a line feed.
///
/// # Errors
/// [`HashPasswordError`], each one clear line.
pub fn run() -> Result<(), HashPasswordError> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() { ask()? } else { read(stdin.lock())? };
    let hash = hash(&password)?;
    writeln!(io::stdout(), "{}", hash.reveal()).map_err(HashPasswordError::Print)
}

fn ask() -> Result<Zeroizing<String>, HashPasswordError> {
    let prompt = |text| rpassword::prompt_password(text).map(Zeroizing::new).map_err(HashPasswordError::Read);
    let password = prompt("Password: ")?;
    check(&password)?;
    if *prompt("Once more: ")? != *password {
        return Err(HashPasswordError::Differ);
    }
    Ok(password)
}

/// One line feed at the end, with or without a carriage return, is the shell's and not the password's.
fn read(input: impl Read) -> Result<Zeroizing<String>, HashPasswordError> {
    // So much that a longer password shows; all at once, as a buffer that grows leaves copies behind.
    let limit = MAX_PASSWORD_BYTES + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    input.take(limit as u64).read_to_end(&mut bytes).map_err(HashPasswordError::Read)?;
    let line = bytes.strip_suffix(b"\n").map_or(&**bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
    // Before the look at UTF-8: the limit may have cut a character.
    if line.len() > MAX_PASSWORD_BYTES {
        return Err(HashPasswordError::TooLong);
    }
    let text = std::str::from_utf8(line).map_err(|_| HashPasswordError::NotUtf8)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn check(password: &str) -> Result<(), HashPasswordError> {
    if password.is_empty() {
        return Err(HashPasswordError::Empty);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(HashPasswordError::TooLong);
    }
    if password.contains(char::is_control) {
        return Err(HashPasswordError::ControlCharacter);
    }
    Ok(())
}

fn hash(password: &str) -> Result<StoredHash, HashPasswordError> {
    check(password)?;
    Ok(StoredHash::of(password.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(input: &str, expected: &str) {
        assert_eq!(**read(input.as_bytes()).unwrap(), *expected);
    }

    #[track_caller]
    fn refused(input: &str, part: &str) {
        let message = read(input.as_bytes()).and_then(|password| hash(&password)).unwrap_err().to_string();
        assert!(message.contains(part) && !message.contains('\n'), "{message}");
    }

    #[test]
    fn exactly_one_line_end_is_trimmed() {
        reads("secret", "secret");
        reads("secret\n", "secret");
        reads("secret\r\n", "secret");
        reads("secret\n\n", "secret\n");
        reads(" secret ", " secret ");
    }

    #[test]
    fn passwords_that_could_not_sign_in_are_refused() {
        refused("", "empty");
        refused("\n", "empty");
        refused("two\nlines\n", "control character");
        refused("tab\there", "control character");
        refused(&"x".repeat(MAX_PASSWORD_BYTES + 1), "longer than");
        refused(&"€".repeat(MAX_PASSWORD_BYTES), "longer than");
        assert!(matches!(read(&b"\xff\n"[..]), Err(HashPasswordError::NotUtf8)));
    }

    #[test]
    fn what_is_printed_is_taken_back() {
        let hash = hash("correct horse").unwrap();
        assert!(StoredHash::parse(hash.reveal()).unwrap().fits(b"correct horse").unwrap());
    }
}
