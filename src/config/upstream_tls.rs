//! `[upstream.tls]`: TLS to the API behind the gate.
//!
//! Guarantees: nothing is set that would not count; a certificate comes with its key; that nobody is checked has to be said in
//! so many words.
//! Does not know: what is in the files.

use std::path::PathBuf;

use super::kind::Choice;
use super::reader::Reader;

/// Whom the gate believes to be the upstream, and how it shows who it is itself.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamTls {
    pub trust: Trust,
    /// What the upstream's certificate has to bear, and what it is asked for; else the host of the URL.
    pub server_name: Option<String>,
    /// The files of the gate's own certificate and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    System,
    Mozilla,
    File(PathBuf),
    Anybody,
}

#[derive(Clone, Copy, PartialEq)]
enum Roots {
    System,
    Mozilla,
}

const ROOTS: &str = "upstream.tls.roots";
const CA_FILE: &str = "upstream.tls.ca_file";
const SERVER_NAME: &str = "upstream.tls.server_name";
const CERTIFICATE: &str = "upstream.tls.certificate";
const KEY: &str = "upstream.tls.key";
const ANYBODY: &str = "upstream.tls.insecure_accept_any_certificate";

impl UpstreamTls {
    /// `None` if the upstream is not spoken to through TLS; then nothing may be set.
    pub(super) fn read(r: &mut Reader, https: bool) -> Option<Self> {
        let roots = r.choice(ROOTS, Roots::System);
        let ca_file = r.optional_path(CA_FILE);
        let server_name = r.optional_parsed(SERVER_NAME, server_name);
        let (certificate, key) = (r.optional_path(CERTIFICATE), r.optional_path(KEY));
        let anybody = r.flag(ANYBODY, false);
        for (given, key) in [
            (roots != Roots::System, ROOTS),
            (ca_file.is_some(), CA_FILE),
            (server_name.is_some(), SERVER_NAME),
            (certificate.is_some(), CERTIFICATE),
            (key.is_some(), KEY),
            (anybody, ANYBODY),
        ] {
            let needless = "is used only with an upstream.url that begins with https://";
            r.contradiction_if(given && !https, &[key, "upstream.url"], needless);
        }
        r.contradiction_if(
            ca_file.is_some() && roots != Roots::System,
            &[CA_FILE, ROOTS],
            format!("only the authorities in the file count then: leave out {ROOTS}"),
        );
        r.contradiction_if(
            anybody && (ca_file.is_some() || roots != Roots::System),
            &[ANYBODY, CA_FILE, ROOTS],
            "nobody is asked then: authorities do not count",
        );
        r.contradiction_if(certificate.is_some() && key.is_none(), &[CERTIFICATE, KEY], format!("needs {KEY} too"));
        r.contradiction_if(
            key.is_some() && certificate.is_none(),
            &[KEY, CERTIFICATE],
            format!("needs {CERTIFICATE} too"),
        );
        let trust = match (anybody, ca_file, roots) {
            (true, ..) => Trust::Anybody,
            (false, Some(file), _) => Trust::File(file),
            (false, None, Roots::System) => Trust::System,
            (false, None, Roots::Mozilla) => Trust::Mozilla,
        };
        https.then(|| Self { trust, server_name, own: certificate.zip(key) })
    }
}

/// What `ServerName` of the certificate checker takes is a name or an address.
fn server_name(text: &str) -> Result<String, String> {
    let name = !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        });
    if name || text.parse::<std::net::IpAddr>().is_ok() {
        Ok(text.into())
    } else {
        Err("must be a host name or an address, as certificates bear them".into())
    }
}

impl Choice for Roots {
    const NAMES: &'static [(&'static str, Self)] = &[("system", Self::System), ("mozilla", Self::Mozilla)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_are_names_or_addresses() {
        for right in ["api.example.com", "sms_gate", "10.0.0.5", "::1"] {
            assert_eq!(server_name(right), Ok(right.into()));
        }
        for wrong in ["", "https://api", "api:443", "*.example.com", "a..b", "a b"] {
            assert!(server_name(wrong).is_err(), "{wrong}");
        }
    }
}
