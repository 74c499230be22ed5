//! What the demo needs before anything runs: a directory of its own, a user, settings, a free port.
//!
//! Guarantees: the directory is new, readable by its owner alone, and gone when the [`Stage`] is dropped; the password
//! is random and differs in every run.
//! Does not know: what is shown with it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::dev_cert;
use super::random_text;
use crate::account::StoredHash;

/// Where the gateway listens if nothing else is asked for.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The demo's user.
pub(super) const USER: &str = "demo";

/// The demo's directory, with a users file in it.
pub(super) struct Stage {
    directory: PathBuf,
    pub(super) password: Zeroizing<String>,
}

impl Stage {
    /// Makes the directory and the user.
    pub(super) fn build() -> io::Result<Self> {
        let name = format!("portcullis-demo-{}", random_text(9).map_err(io::Error::other)?);
        let directory = std::env::temp_dir().join(name);
        let password = Zeroizing::new(random_text(15).map_err(io::Error::other)?);
        // Not recursive: a directory that exists already, or a link that somebody put there, is an error.
        DirBuilder::new().mode(0o700).create(&directory)?;
        let stage = Self { directory, password };
        let hash = StoredHash::of(stage.password.as_bytes()).map_err(io::Error::other)?;
        // It may do anything, so that whoever tries the demo may; what a token may do is asked for at sign-in.
        let user =
            format!("[[user]]\nname = \"{USER}\"\npassword_hash = '{}'\nscopes = [\"all:any\"]\n", hash.reveal());
        write_private(&stage.users(), &user)?;
        Ok(stage)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes the gateway's configuration file.
    pub(super) fn configure(&self, listen: SocketAddr, upstream: SocketAddr, tls: bool) -> io::Result<PathBuf> {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let settings = [
            ("data_dir", path(self.directory.join("data"))),
            ("users.file", path(self.users())),
            ("server.listen", listen.to_string()),
            ("admin.listen", String::new()),
            // Long enough for the walk's own calls; nobody should feel a need to press Ctrl-C twice.
            ("server.drain_timeout", "2s".to_owned()),
            ("upstream.url", format!("http://{upstream}")),
            ("routes.preset", "smsgate".to_owned()),
            ("routes.prefix", super::PREFIX.to_owned()),
        ];
        let tls =
            tls.then(|| [("tls.certificate", path(self.file("tls.crt"))), ("tls.key", path(self.file("tls.key")))]);
        let lines = settings.into_iter().chain(tls.into_iter().flatten());
        let lines: String = lines.map(|(key, value)| format!("{key} = {}\n", toml_edit::Value::from(value))).collect();
        let file = self.file("config.toml");
        write_private(&file, &lines)?;
        Ok(file)
    }

    /// Writes a certificate for the gateway, and the authority that vouches for it, which is returned (PEM).
    pub(super) fn certify(&self, listen: SocketAddr) -> io::Result<String> {
        let names = [listen.ip().to_string(), "localhost".to_owned()];
        let made = dev_cert::make(&names).map_err(io::Error::other)?;
        write_private(&self.file("tls.crt"), &made.certificate)?;
        write_private(&self.file("tls.key"), &made.key)?;
        write_private(&self.authority(), &made.authority)?;
        Ok(made.authority)
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    fn users(&self) -> PathBuf {
        self.file("users.toml")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.directory) {
            let _ = writeln!(io::stderr(), "the demo's directory {} remains: {e}", self.directory.display());
        }
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Where the gateway shall listen, and whether that is only because the usual port is taken.
pub(super) fn choose_port(wanted: Option<SocketAddr>) -> (SocketAddr, bool) {
    match wanted {
        Some(wanted) => (wanted, false),
        None if taken(USUAL) => (SocketAddr::new(USUAL.ip(), 0), true),
        None => (USUAL, false),
    }
}

fn taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|e| e.kind() == ErrorKind::AddrInUse)
}

/// An address under which a listener on `address` can be reached from this machine.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(any) if any.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, any.port()).into(),
        SocketAddr::V6(any) if any.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, any.port()).into(),
        named => named,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_directory_is_private_and_goes_with_the_stage() {
        let stage = Stage::build().unwrap();
        let directory = stage.directory().to_owned();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&stage.users())), (0o700, 0o600));
        let users = fs::read_to_string(stage.users()).unwrap();
        assert!(!users.contains(stage.password.as_str()));
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let config = stage.configure(at(1), at(2), false).unwrap();
        crate::config::load(crate::config::LoadOptions { file: Some(config), ..Default::default() }).unwrap();
        drop(stage);
        assert!(!directory.exists());
    }

    #[test]
    fn a_taken_port_is_noticed() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = holder.local_addr().unwrap();
        assert!(taken(address));
        assert_eq!(choose_port(Some(address)), (address, false));
    }

    #[test]
    fn an_unspecified_address_is_reached_over_the_loopback() {
        #[track_caller]
        fn check(address: &str, expected: &str) {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), expected);
        }
        check("0.0.0.0:80", "127.0.0.1:80");
        check("[::]:80", "[::1]:80");
        check("10.0.0.1:80", "10.0.0.1:80");
    }
}
