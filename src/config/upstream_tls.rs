//! `[upstream.tls]` and `[store.tls]`: TLS to whom the gate speaks to.
//!
//! Guarantees: nothing is set that would not count; a certificate comes with its key; that nobody is checked has to be said in
//! so many words.
//! Does not know: what is in the files.

use std::path::PathBuf;

use super::kind::Choice;
use super::reader::Reader;

/// Whom the gate believes to be the other side, and how it shows who it is itself.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamTls {
    pub trust: Trust,
    /// What the other side's certificate has to bear, and what it is asked for; else the host of the URL.
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

/// Where this stands in the file, and when it counts.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The keys of what is spoken to, and how they have to read for this to count.
    pub(super) urls: &'static [&'static str],
    pub(super) if_secure: &'static str,
    /// Whether the check of the other side's certificate can be switched off.
    pub(super) unchecked: bool,
}

impl UpstreamTls {
    /// `None` if the other side is not spoken to through TLS; then nothing may be set.
    pub(super) fn read(r: &mut Reader, table: &Table, used: bool) -> Option<Self> {
        let Table { name, urls, if_secure, unchecked } = table;
        let key = |key| format!("{name}.{key}");
        let [roots_key, file_key, name_key, certificate_key, key_key, anybody_key] =
            ["roots", "ca_file", "server_name", "certificate", "key", "insecure_accept_any_certificate"].map(key);
        let roots = r.choice(&roots_key, Roots::System);
        let ca_file = r.optional_path(&file_key);
        let server_name = r.optional_parsed(&name_key, server_name);
        let (certificate, key) = (r.optional_path(&certificate_key), r.optional_path(&key_key));
        let anybody = *unchecked && r.flag(&anybody_key, false);
        for (given, key) in [
            (roots != Roots::System, &roots_key),
            (ca_file.is_some(), &file_key),
            (server_name.is_some(), &name_key),
            (certificate.is_some(), &certificate_key),
            (key.is_some(), &key_key),
            (anybody, &anybody_key),
        ] {
            let keys: Vec<_> = [&**key].into_iter().chain(urls.iter().copied()).collect();
            r.contradiction_if(given && !used, &keys, format!("is used only if {if_secure}"));
        }
        r.contradiction_if(
            ca_file.is_some() && roots != Roots::System,
            &[&file_key, &roots_key],
            format!("only the authorities in the file count then: leave out {roots_key}"),
        );
        r.contradiction_if(
            anybody && (ca_file.is_some() || roots != Roots::System),
            &[&anybody_key, &file_key, &roots_key],
            "nobody is asked then: authorities do not count",
        );
        r.contradiction_if(
            certificate.is_some() && key.is_none(),
            &[&certificate_key, &key_key],
            format!("needs {key_key} too"),
        );
        r.contradiction_if(
            key.is_some() && certificate.is_none(),
            &[&key_key, &certificate_key],
            format!("needs {certificate_key} too"),
        );
        let trust = match (anybody, ca_file, roots) {
            (true, ..) => Trust::Anybody,
            (false, Some(file), _) => Trust::File(file),
            (false, None, Roots::System) => Trust::System,
            (false, None, Roots::Mozilla) => Trust::Mozilla,
        };
        used.then(|| Self { trust, server_name, own: certificate.zip(key) })
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
