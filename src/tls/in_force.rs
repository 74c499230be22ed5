//! What new handshakes see.
//!
//! Guarantees: it is replaced whole or not at all, and a handshake that has begun ends as it began.
//! Does not know: when to look at the files again.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::ServerConfig;

use super::certificate::Certificate;
use super::expiry::Expiry;
use super::file::{Fingerprint, Reading};
use super::names::Names;
use super::{Notice, Terms, TlsError, UnknownNames, error::Problem, offer, trust};

/// All that a handshake rests on.
pub struct Footing {
    config: Arc<ServerConfig>,
    names: Arc<Names>,
    refuses_unknown: bool,
    fingerprint: Fingerprint,
    expiries: Vec<Expiry>,
}

/// The one of now, for all workers.
pub struct InForce(ArcSwap<Footing>);

impl Footing {
    /// Reads all files. `now` is in seconds since 1970. Blocks on the disk.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(terms: &Terms, now: i64) -> Result<(Self, Vec<Notice>), Vec<TlsError>> {
        let (mut reading, mut notices, mut errors) = (Reading::new(), Vec::new(), Vec::new());
        let (mut certificates, mut expiries) = (Vec::new(), Vec::new());
        for files in &terms.certificates {
            match Certificate::read(files, now, &mut reading, &mut notices) {
                Ok(certificate) => {
                    let (not_before, not_after) = (certificate.not_before, certificate.not_after);
                    expiries.push(Expiry { path: files.certificate.clone(), not_before, not_after });
                    certificates.push(certificate);
                }
                Err(found) => errors.extend(found),
            }
        }
        let provider = offer::provider();
        let clients = trust::verifier(&terms.clients, &provider, now, &mut reading, &mut notices);
        let clients = match clients {
            Ok(clients) if errors.is_empty() => clients,
            clients => {
                errors.extend(clients.err().into_iter().flatten());
                return Err(errors);
            }
        };
        let names = Arc::new(Names::new(&certificates));
        let config = offer::config(provider, terms.min_version, clients, Arc::clone(&names) as _);
        let config = config.map_err(|error| {
            let path = terms.certificates.first().map(|files| files.certificate.clone()).unwrap_or_default();
            vec![TlsError { key: "tls".into(), path, problem: Problem::Unusable(error) }]
        })?;
        let refuses_unknown = terms.unknown_names == UnknownNames::Refuse;
        let fingerprint = reading.fingerprint();
        Ok((Self { config: Arc::new(config), names, refuses_unknown, fingerprint, expiries }, notices))
    }

    /// What a connection is made with.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Whether a client that asks for this name gets an alert instead.
    pub fn refuses(&self, name: Option<&str>) -> bool {
        self.refuses_unknown && !self.names.know(name)
    }

    pub(super) fn is_made_from_the_same_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// Of each certificate, in the order of the configuration.
    pub fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }

    fn first_expiry(&self) -> Option<&Expiry> {
        self.expiries.iter().min_by_key(|expiry| expiry.not_after)
    }

    /// The line on the certificate that expires first.
    pub fn note(&self) -> Option<String> {
        self.first_expiry().map(|first| format!("first to expire: {first}"))
    }

    /// When the first certificate expires, in seconds since 1970.
    pub fn expires_at(&self) -> Option<i64> {
        self.first_expiry().map(|first| first.not_after)
    }

    /// What an operator should mind at `now`.
    pub fn trouble(&self, now: i64) -> Option<String> {
        let first = self.first_expiry()?;
        first.urgency(now).map(|_| first.words(now))
    }
}

impl InForce {
    pub fn new(footing: Footing) -> Self {
        Self(ArcSwap::from_pointee(footing))
    }

    pub fn footing(&self) -> Arc<Footing> {
        self.0.load_full()
    }

    /// For the handshakes to come.
    pub fn replace(&self, footing: Footing) {
        self.0.store(Arc::new(footing));
    }
}

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InForce").finish_non_exhaustive()
    }
}
