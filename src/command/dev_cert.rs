//! `portcullis dev-cert`: an authority and a certificate of one's own, for trying TLS out.
//!
//! Guarantees: the authority's key is thrown away, so that nobody who finds the files can vouch for anything else; an
//! existing file is never overwritten; the private key is readable by its owner only.
//! Does not know: the configuration. It says which lines belong there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::keys;

/// Mozilla's profiles want less than 90.
const VALID_FOR: Duration = Duration::days(89);
/// For clocks that are a little behind.
const SINCE: Duration = Duration::hours(1);

/// Make an authority and a certificate for trying TLS out; not for production
#[derive(Debug, clap::Args)]
pub struct DevCertArgs {
    /// Where ca.pem, tls.crt and tls.key are written; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Names and addresses to be reached by [default: localhost 127.0.0.1 ::1]
    names: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum DevCertError {
    #[error("no certificate can be made for these names")]
    Make(#[from] rcgen::Error),
    #[error("{}: there is a file of this name already, and it is kept", .0.display())]
    Exists(PathBuf),
    #[error("{}: cannot be written", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// What is made, in PEM.
pub(super) struct DevCert {
    pub(super) authority: String,
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
}

/// Runs the command.
pub(super) fn run(args: DevCertArgs) -> Result<(), DevCertError> {
    let made = make(&args.names)?;
    fs::create_dir_all(&args.out).map_err(|source| DevCertError::File { path: args.out.clone(), source })?;
    let [authority, certificate, key] = ["ca.pem", "tls.crt", "tls.key"].map(|name| args.out.join(name));
    // Before anything is written: an authority that does not fit the certificate beside it helps nobody.
    if let Some(path) = [&authority, &certificate, &key].into_iter().find(|path| path.exists()) {
        return Err(DevCertError::Exists(path.clone()));
    }
    written(&key, keys::create_private(&key, made.key.as_bytes()))?;
    written(&certificate, create(&certificate, &made.certificate))?;
    written(&authority, create(&authority, &made.authority))?;
    let (ca, crt, key) = (authority.display(), certificate.display(), key.display());
    let words = format!(
        "{ca}   the authority: have clients trust it, as in: curl --cacert {ca} https://localhost:8080/\n\
         {crt}  the certificate, good for 89 days\n\
         {key}  its private key\n\n\
         In the configuration:\n  [tls]\n  certificate = \"{crt}\"\n  key = \"{key}\"\n"
    );
    io::stdout().lock().write_all(words.as_bytes()).map_err(DevCertError::Output)
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn written(path: &Path, outcome: io::Result<()>) -> Result<(), DevCertError> {
    outcome.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => DevCertError::Exists(path.to_owned()),
        _ => DevCertError::File { path: path.to_owned(), source },
    })
}

/// For `names`, or this machine's own if there are none.
pub(super) fn make(names: &[String]) -> Result<DevCert, rcgen::Error> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let names = if names.is_empty() { &own } else { names };
    let now = OffsetDateTime::now_utc();
    let params = |names: &[String], common: &str| {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        (params.not_before, params.not_after) = (now - SINCE, now + VALID_FOR);
        Ok::<_, rcgen::Error>(params)
    };
    let mut authority = params(&[], "portcullis development authority")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut leaf = params(names, "portcullis development")?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &authority)?;
    Ok(DevCert { authority: authority.pem(), certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}
