//! By what the operator came in, and what may be done there.
//!
//! Guarantees: nothing is changed or told of anybody but over the socket, or with the token, which is compared in a time
//! that tells nothing; where neither is configured it is nobody's to do.
//! Does not know: what is asked for.

use std::net::SocketAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// What whoever shows it may do is anything. Kept as a digest: that has one length, and cannot be shown.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// By what a connection came.
#[derive(Clone)]
pub(super) enum Door {
    /// Only the gate's own user can connect.
    Socket,
    Network(Option<Token>),
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Socket,
    Network(SocketAddr),
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// No token is configured, so none is right.
    Nobody,
    NoToken,
    WrongToken,
}

impl Token {
    pub fn new(text: &[u8]) -> Self {
        Self(sha256(text))
    }

    fn is(&self, presented: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, &sha256(presented)).is_ok()
    }
}

impl Door {
    /// Whether a request with these headers may do what only an operator may.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Shut> {
        let token = match self {
            Self::Socket => return Ok(()),
            Self::Network(None) => return Err(Shut::Nobody),
            Self::Network(Some(token)) => token,
        };
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return Err(Shut::NoToken) };
        match field.as_bytes().split_at_checked(b"bearer ".len()) {
            Some((scheme, presented)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
                if token.is(presented.trim_ascii()) { Ok(()) } else { Err(Shut::WrongToken) }
            }
            _ => Err(Shut::NoToken),
        }
    }
}

impl Asker {
    /// A word for the trail.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Network(_) => "token",
        }
    }

    pub(super) fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Socket => None,
            Self::Network(address) => Some(address),
        }
    }
}

fn sha256(text: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    // Both have the length of this digest.
    bytes.copy_from_slice(digest(&SHA256, text).as_ref());
    bytes
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(door: &Door, fields: &[&str], expected: Result<(), Shut>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, field.parse().unwrap());
        }
        assert_eq!(door.admit(&headers), expected, "{headers:?}");
    }

    #[test]
    fn the_socket_is_proof_enough() {
        check(&Door::Socket, &[], Ok(()));
        check(&Door::Socket, &["Bearer x"], Ok(()));
    }

    #[test]
    fn without_a_token_of_its_own_the_network_has_no_say() {
        for presented in [&[][..], &["Bearer "], &["Bearer x"], &[&*format!("Bearer {TOKEN}")]] {
            check(&Door::Network(None), presented, Err(Shut::Nobody));
        }
    }

    #[test]
    fn only_the_whole_token_will_do() {
        let door = Door::Network(Some(Token::new(TOKEN.as_bytes())));
        for right in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN} ")] {
            check(&door, &[&right], Ok(()));
        }
        let wrong =
            [TOKEN[1..].to_owned(), format!("{TOKEN}0"), TOKEN.to_uppercase(), String::new(), format!("x {TOKEN}")];
        for wrong in wrong {
            check(&door, &[&format!("Bearer {wrong}")], Err(Shut::WrongToken));
        }
        let right = format!("Bearer {TOKEN}");
        for none in [&[][..], &[TOKEN], &["Basic eDp5"], &[&right, &right], &["Bearer"]] {
            check(&door, none, Err(Shut::NoToken));
        }
    }
}
