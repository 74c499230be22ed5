//! Whose a session is, and what that one may have at this moment.
//!
//! Guarantees: nobody is granted more than the user may have, nor a Bearer caller more than its token, nor anybody by way
//! of an OAuth client more than that client.
//! Does not know: how callers are proven.

use std::sync::Arc;

use crate::account::{Client, User};
use crate::token::{CredentialVersion, Person, Scopes, Standing, Subject};

use super::{Caller, Refused, Sessions};

/// Whose a session is.
pub(super) enum Owner {
    User(Arc<User>),
    Client(Arc<Client>),
}

impl Sessions {
    /// What a subject may have now, and by way of `client` if one is named: never more than that client either.
    pub fn standing(&self, subject: &Subject, client: Option<&str>) -> Option<Standing> {
        let owner = self.owner(subject)?;
        let scopes = match client {
            Some(client) => owner.scopes().within(&self.accounts.clients().find(client)?.scopes),
            None => owner.scopes().clone(),
        };
        Some(Standing { scopes, credential: self.credential_of(&owner) })
    }

    pub(super) fn owner_of(&self, caller: &Caller) -> Result<Owner, Refused> {
        match caller {
            Caller::User(user, _) => Ok(Owner::User(Arc::clone(user))),
            Caller::Client(client) => Ok(Owner::Client(Arc::clone(client))),
            Caller::Bearer(token) if token.subject.client().is_some() => Err(Refused::NoUser),
            Caller::Bearer(token) => self.owner(&token.subject).ok_or(Refused::Overtaken),
        }
    }

    pub(super) fn owner(&self, subject: &Subject) -> Option<Owner> {
        match subject.client() {
            Some(id) => self.accounts.clients().find(id).cloned().map(Owner::Client),
            None => self.accounts.find(subject.as_str()).map(Owner::User),
        }
    }

    pub(super) fn grant(&self, caller: &Caller, ceiling: &Scopes, requested: &Scopes) -> Result<Scopes, Refused> {
        if requested.is_empty() {
            return Err(Refused::NoScopes);
        }
        let known = Scopes::new(requested.iter().filter(|scope| self.known_scopes.contains(scope)));
        if known.is_empty() {
            return Err(Refused::NoKnownScope);
        }
        if !ceiling.cover(&known) {
            return Err(Refused::BeyondUser);
        }
        let Caller::Bearer(token) = caller else {
            return Ok(known);
        };
        let granted = known.within(&token.scopes);
        if granted.is_empty() { Err(Refused::BeyondCaller) } else { Ok(granted) }
    }

    pub(super) fn credential_of(&self, owner: &Owner) -> CredentialVersion {
        let ring = self.keys.ring();
        let key = ring.fingerprint_key();
        match owner {
            Owner::User(user) => user.credential_version(key),
            Owner::Client(client) => client.credential_version(key),
        }
    }
}

impl Owner {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::User(user) => Subject::new(Arc::clone(&user.name)),
            Self::Client(client) => Subject::of_client(&client.id),
        }
    }

    pub(super) fn scopes(&self) -> &Scopes {
        match self {
            Self::User(user) => &user.scopes,
            Self::Client(client) => &client.scopes,
        }
    }

    pub(super) fn person(&self) -> Person<'_> {
        match self {
            Self::User(user) => Person { email: user.email.as_deref(), roles: &user.roles, claims: Some(&user.claims) },
            Self::Client(_) => Person { email: None, roles: &[], claims: None },
        }
    }
}
