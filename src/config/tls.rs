//! `[tls]`: certificates, and whom to trust among clients.
//!
//! Guarantees: every certificate has a key; what has no effect without another key is a mistake; no two listeners share an
//! address.
//! Does not know: what the files hold.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::admin::Admin;
use super::kind::{Choice, TEN_YEARS};
use super::reader::Reader;
use super::server::{self, Server};

#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// None: there is no TLS. The first is the default.
    pub certificates: Vec<CertificateFiles>,
    pub min_version: TlsVersion,
    pub unknown_names: UnknownNames,
    /// How long browsers are to remember that there is only HTTPS here; zero: nothing is said.
    pub hsts: Duration,
    /// Where clients are sent from to HTTPS. `None`: nowhere.
    pub redirect_listen: Option<SocketAddr>,
    /// Where they are sent to.
    pub redirect_port: u16,
    pub client_auth: ClientAuth,
    /// There is one unless `client_auth` is off.
    pub client_ca: Option<PathBuf>,
    pub client_crl: Vec<PathBuf>,
}

/// A certificate with its chain, and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFiles {
    /// The table that names them.
    pub table: String,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ocsp: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownNames {
    Default,
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    Off,
    Optional,
    Required,
}

const TABLES: &str = "tls.certificates";

/// An address, or an empty text.
struct Listen(Option<SocketAddr>);

impl Tls {
    pub(super) fn read(r: &mut Reader, server: &Server, admin: &Admin) -> Self {
        let alone = CertificateFiles::read(r, "tls");
        let min_version = r.choice("tls.min_version", TlsVersion::Tls12);
        let unknown_names = r.choice("tls.unknown_names", UnknownNames::Default);
        let hsts = r.seconds("tls.hsts", Duration::ZERO, Duration::ZERO..=TEN_YEARS);
        let Listen(redirect_listen) = r.parsed("tls.redirect_listen", Listen(None), |text| match text {
            "" => Ok(Listen(None)),
            text => server::address(text).map(|address| Listen(Some(address))),
        });
        let redirect_port = r.number("tls.redirect_port", 443, 1..=u16::MAX);
        let client_auth = r.choice("tls.client_auth", ClientAuth::Off);
        let client_ca = r.optional_path("tls.client_ca");
        let client_crl = r.list("tls.client_crl", path).into_iter().map(PathBuf::from).collect::<Vec<_>>();

        let same = |other: SocketAddr| redirect_listen.is_some_and(|listen| listen == other && listen.port() != 0);
        let text = "must be another address than the other listeners have";
        r.contradiction_if(same(server.listen), &["tls.redirect_listen", "server.listen"], text);
        r.contradiction_if(admin.listen.is_some_and(same), &["tls.redirect_listen", "admin.listen"], text);
        let off = client_auth == ClientAuth::Off;
        r.contradiction_if(
            !off && client_ca.is_none(),
            &["tls.client_auth", "tls.client_ca"],
            "needs tls.client_ca: whose word for a client counts",
        );
        let needless = off && client_ca.is_some();
        r.contradiction_if(needless, &["tls.client_ca", "tls.client_auth"], "is used only with tls.client_auth");
        let needless = off && !client_crl.is_empty();
        r.contradiction_if(needless, &["tls.client_crl", "tls.client_auth"], "is used only with tls.client_auth");
        Self {
            certificates: alone.into_iter().collect(),
            min_version,
            unknown_names,
            hsts,
            redirect_listen,
            redirect_port,
            client_auth,
            client_ca,
            client_crl,
        }
    }

    /// Reads the `[[tls.certificates]]`, which stand behind everything that is in no table of theirs.
    pub(super) fn read_tables(&mut self, r: &mut Reader) {
        for n in 0..r.tables(TABLES) {
            let table = format!("{TABLES}.{n}");
            match CertificateFiles::read(r, &table) {
                Some(files) => self.certificates.push(files),
                None => {
                    let keys = [format!("{table}.certificate"), format!("{table}.key")];
                    let empty = !keys.iter().any(|key| r.is_given(key));
                    r.contradiction_if(empty, &[&table, &keys[0], &keys[1]], "needs a certificate and its key");
                }
            }
        }
        let none = self.certificates.is_empty();
        for (key, set) in [
            ("tls.client_auth", self.client_auth != ClientAuth::Off),
            ("tls.redirect_listen", self.redirect_listen.is_some()),
            ("tls.hsts", !self.hsts.is_zero()),
        ] {
            let keys = [key, "tls.certificate", "tls.key"];
            r.contradiction_if(none && set, &keys, "has no effect without tls.certificate and tls.key");
        }
    }
}

impl CertificateFiles {
    /// `None` if there is none, or half of one.
    fn read(r: &mut Reader, table: &str) -> Option<Self> {
        let [of_certificate, of_key, of_ocsp] = ["certificate", "key", "ocsp"].map(|word| format!("{table}.{word}"));
        let (certificate, key) = (r.optional_path(&of_certificate), r.optional_path(&of_key));
        let ocsp = r.optional_path(&of_ocsp);
        let keys = [&*of_certificate, &*of_key];
        r.contradiction_if(certificate.is_some() && key.is_none(), &keys, "needs its key");
        r.contradiction_if(certificate.is_none() && key.is_some(), &[keys[1], keys[0]], "needs its certificate");
        let needless = ocsp.is_some() && certificate.is_none();
        r.contradiction_if(needless, &[&of_ocsp, &of_certificate], "needs a certificate");
        Some(Self { table: table.to_owned(), certificate: certificate?, key: key?, ocsp })
    }
}

fn path(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must not be empty".into()),
        text if text.contains('\0') => Err("must not contain NUL".into()),
        text => Ok(text.into()),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| address.fmt(f))
    }
}

impl Choice for TlsVersion {
    const NAMES: &'static [(&'static str, Self)] = &[("1.2", Self::Tls12), ("1.3", Self::Tls13)];
}

impl Choice for UnknownNames {
    const NAMES: &'static [(&'static str, Self)] = &[("default", Self::Default), ("refuse", Self::Refuse)];
}

impl Choice for ClientAuth {
    const NAMES: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("optional", Self::Optional), ("required", Self::Required)];
}
