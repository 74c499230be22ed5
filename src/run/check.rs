//! A start that stops before it touches anything.
//!
//! Guarantees: looks at everything that a start would look at, and makes, locks and binds nothing; a running gate on the
//! same directory is not disturbed.
//! Does not know: exit codes.

use crate::account::{Directory, Found, Realm};
use crate::clock;
use crate::config::{Config, StoreKind};
use crate::keys::{KeyError, KeyRing, SealingKeys};
use crate::store::Remembered;
use crate::tls;

use super::StartError;
use super::terms;

/// Looks at everything that a start would look at, and makes, locks and binds nothing.
///
/// # Errors
/// All that would stop a start.
pub fn check(config: &Config) -> Result<Vec<String>, Vec<StartError>> {
    let (mut notes, mut errors) = (Vec::new(), Vec::new());
    let replica = config.store.kind != StoreKind::Memory;
    let mut users_have_sessions = false;
    let on_engine = matches!(config.store.kind, StoreKind::Redis(_));
    let sessions_exist = match Remembered::read(&config.data_dir) {
        // They are elsewhere, and nobody asks there.
        _ if on_engine => false,
        // A primary may be writing: a change on its way and a file in the making are nothing to speak of.
        Ok(remembered) if replica => !remembered.is_empty(),
        Ok(remembered) => {
            notes.extend(remembered.notices().iter().map(ToString::to_string));
            users_have_sessions = remembered.knows_users();
            !remembered.is_empty()
        }
        Err(error) => {
            errors.push(error.into());
            false
        }
    };
    // As if there were sessions, so that no key is made.
    match KeyRing::open(&config.data_dir, terms::key_source(config), true, clock::wall().as_secs()) {
        Ok((_, notices)) => notes.extend(notices.iter().map(ToString::to_string)),
        Err(KeyError::SessionsWithoutKeys { .. }) if !sessions_exist => {
            let made = if on_engine {
                "no keys here: the first of all gates on the engine makes them, and any other needs the first one's keys folder"
            } else if replica {
                "keys will be made at the first start of the primary"
            } else {
                "keys will be made at the first start"
            };
            notes.push(made.into());
        }
        Err(joining @ KeyError::Joining { .. }) => notes.push(joining.to_string()),
        Err(error) => errors.push(error.into()),
    }
    let mut anybody = false;
    for realm in terms::realms(config) {
        anybody |= realm.check.is_some();
        for (path, form) in realm.files {
            match Directory::open_as(&path, form, &Realm::prefix(&realm.name)) {
                Ok((_, Found::Nothing)) if realm.check.is_some() => {
                    notes.push(format!("{}: there is no such file; the upstream is asked", path.display()));
                }
                Ok((_, Found::Nothing)) => notes.push(format!(
                    "{}: there is no such file, so nobody can sign in; `portcullis hash-password` makes the hash of a user",
                    path.display()
                )),
                Ok((directory, Found::File)) => {
                    anybody |= !directory.users().is_empty();
                    notes.push(format!("{}: users: {}", path.display(), directory.users().len()));
                }
                Err(trouble) => {
                    anybody = true;
                    errors.push(StartError::Users { path, trouble });
                }
            }
        }
    }
    if users_have_sessions && !anybody {
        errors.push(StartError::SessionsWithoutUsers { path: config.users.file.clone() });
    }
    if terms::seals(config) {
        if let Err(error) = SealingKeys::open(&config.data_dir, terms::sealing_terms(config)) {
            errors.push(error.into());
        }
        if config.users.check.is_none() && config.users.realms.iter().all(|realm| realm.check.is_none()) {
            notes.push(
                "users.check.path is not set: when the upstream takes a sealed password no more, its 401 is passed on and \
                 the session lives"
                    .into(),
            );
        }
    }
    for trust in terms::issuers(config) {
        match trust.check(&terms::jwks_bounds(config)) {
            Ok(Some(parsed)) => {
                notes.push(format!("{}: keys of {}: {}", trust.source, trust.issuer, parsed.set.kids().count()));
                notes.extend(parsed.left_out.iter().map(|line| format!("{}: {line}: left out", trust.source)));
            }
            Ok(None) => notes.push(format!("{}: keys of {}: fetched while running", trust.source, trust.issuer)),
            Err(error) => errors.push(error.into()),
        }
    }
    match terms::tls(config).map(|terms| tls::Footing::read(&terms, clock::wall().as_secs().cast_signed())) {
        Some(Ok((footing, notices))) => {
            notes.extend(notices.iter().map(ToString::to_string));
            notes.extend(footing.note().map(|note| format!("certificates: {note}")));
        }
        Some(Err(found)) => errors.extend(found.into_iter().map(StartError::Tls)),
        None => {}
    }
    errors.extend(terms::upstream_tls(config).err().map(StartError::UpstreamTls));
    errors.extend(terms::primary_tls(config).err().map(StartError::PrimaryTls));
    if errors.is_empty() { Ok(notes) } else { Err(errors) }
}
