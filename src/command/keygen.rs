//! `portcullis keygen`: a fresh secret or private key, for the configuration.
//!
//! Guarantees: what it prints is accepted as it stands by `token.secret` or `token.key_file`; an existing file is never
//! overwritten; a file that it writes is readable by its owner only.
//! Does not know: the key ring. Keys there are made by the gateway itself.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use zeroize::Zeroizing;

use crate::keys::{self, Algorithm, GenerateError};

/// Make a secret (HS256, HS384, HS512) or a private key (all other algorithms)
#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// What the key will sign with
    #[arg(long, value_name = "NAME", default_value_t = Algorithm::HS256, value_parser = algorithm_parser())]
    algorithm: Algorithm,
    /// Write to a new FILE, readable by its owner only, instead of the terminal
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum KeygenError {
    #[error(transparent)]
    Generate(#[from] GenerateError),
    #[error("{}: there is a file of this name already, and it is kept", .0.display())]
    Exists(PathBuf),
    #[error("{}: cannot be written: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// Runs the command.
pub fn run(args: KeygenArgs) -> Result<(), KeygenError> {
    let text = text(args.algorithm)?;
    match args.out {
        None => io::stdout().lock().write_all(text.as_bytes()).map_err(KeygenError::Output),
        Some(path) => keys::create_private(&path, text.as_bytes()).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeygenError::Exists(path),
            _ => KeygenError::File { path, source },
        }),
    }
}

/// A fresh key, ending in a line break. The configuration takes that off again.
fn text(algorithm: Algorithm) -> Result<Zeroizing<String>, GenerateError> {
    let key = keys::generate(algorithm)?;
    Ok(Zeroizing::new(format!("{}\n", key.trim_end())))
}

pub(super) fn algorithm_parser() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::as_str)).try_map(|name| name.parse::<Algorithm>())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::*;
    use crate::keys::{KeyRing, KeySource};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: KeygenArgs,
    }

    fn args(words: &[&str]) -> Result<KeygenArgs, clap::Error> {
        Line::try_parse_from([&["keygen"], words].concat()).map(|line| line.args)
    }

    #[test]
    fn what_is_written_is_accepted_by_the_configuration() {
        for algorithm in Algorithm::ALL {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("key");
            let words = ["--algorithm", algorithm.as_str(), "--out", path.to_str().unwrap()];
            run(args(&words).unwrap()).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let mut secret = Zeroizing::new(fs::read(&path).unwrap());
            assert_eq!(secret.pop(), Some(b'\n'));
            let source = match algorithm.is_hmac() {
                true => KeySource::Secret { algorithm, secret },
                false => KeySource::File { algorithm, path },
            };
            let (ring, _) = KeyRing::open(root.path(), source, false, 0).unwrap();
            assert_eq!(ring.current().algorithm(), algorithm);
        }
    }

    #[test]
    fn an_existing_file_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("key");
        fs::write(&path, "precious").unwrap();
        let error = run(args(&["--out", path.to_str().unwrap()]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("already, and it is kept"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn the_default_is_hs256_and_an_unknown_name_is_a_usage_error() {
        assert_eq!(args(&[]).unwrap().algorithm, Algorithm::HS256);
        let error = args(&["--algorithm", "none"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("[possible values: HS256, HS384, HS512, RS256, RS384,"));
    }
}
