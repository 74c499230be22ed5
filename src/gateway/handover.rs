//! Handing a request for our own endpoints over to the primary, on a gate that only follows it.
//!
//! Guarantees: the primary learns who the client is from a replica alone, in a note that nobody without the gates' common
//! keys can write, that fits one request, and that is soon worth nothing; whatever else such a header says is not heard.
//! Does not know: where the primary is, what the request asks for.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;

use crate::tls::ClientCertificate;
use crate::token::{Thumbprint, Timestamp};
use crate::upstream::headers::{Identity, X_PORTCULLIS, X_PORTCULLIS_VISITOR};
use crate::upstream::{Answer, Marks, Permit, Trace, Upstream, UpstreamError};

use super::{Charter, Peer, Refusal};

/// What stands in a note for what there is not.
const NONE: &str = "-";

/// What this use of the common key is called, so that no other use of it can make a note.
const PURPOSE: &[u8] = b"portcullis handover 1";

/// What a replica says of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Note {
    pub(super) address: IpAddr,
    pub(super) request_id: HeaderValue,
    /// What the client has shown to the replica.
    pub(super) certificate: Option<Box<ClientCertificate>>,
}

/// Writes and reads notes. All gates that share their keys have the same one.
pub struct Handover {
    key: hmac::Key,
    /// How far the clocks of two gates may be apart.
    pub leeway: std::time::Duration,
}

impl Handover {
    pub fn new(common_key: &[u8; 32], leeway: std::time::Duration) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, common_key), leeway }
    }

    /// The note for a request.
    pub(super) fn write(
        &self,
        note: &Note,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let (thumbprint, identity) = match &note.certificate {
            Some(shown) => (shown.thumbprint.as_str(), shown.identity.as_ref()),
            None => (NONE, None),
        };
        // It may hold spaces and more than ASCII.
        let identity = identity.map_or_else(|| NONE.to_owned(), |identity| URL_SAFE_NO_PAD.encode(identity));
        let (address, at, request_id) = (note.address, now.as_micros(), note.request_id.to_str().ok()?);
        let said = format!("{address} {at} {request_id} {thumbprint} {identity}");
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, &sealed(&said, method, uri, headers)));
        HeaderValue::try_from(format!("{said} {tag}")).ok()
    }

    /// What a request's note says, if it has one that a replica has just written for it.
    pub(super) fn read(&self, method: &Method, uri: &Uri, headers: &HeaderMap, now: Timestamp) -> Option<Note> {
        let (said, tag) = headers.get(X_PORTCULLIS_VISITOR)?.to_str().ok()?.rsplit_once(' ')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, &sealed(said, method, uri, headers), &tag).ok()?;
        let mut words = said.split(' ');
        let (address, at, request_id) = (words.next()?, words.next()?, words.next()?);
        let certificate = certificate(words.next()?, words.next()?)?;
        let at = Timestamp::from_micros(at.parse().ok()?);
        let timely = now <= at + self.leeway && at <= now + self.leeway;
        let (address, request_id) = (address.parse().ok()?, HeaderValue::from_str(request_id).ok()?);
        timely.then_some(Note { address, request_id, certificate })
    }
}

/// Asks the primary.
///
/// # Errors
/// The refusal to answer with when there is no answer of the primary's.
pub(super) async fn hand_over(
    charter: &Charter,
    primary: &Upstream,
    request: Box<Request<Incoming>>,
    note: &Note,
    trace: Option<&Trace>,
    peer: &Peer,
    now: Timestamp,
) -> Result<Response<Answer>, Refusal> {
    let (method, uri) = (request.method(), request.uri());
    let written = charter.handover.write(note, method, uri, request.headers(), now).ok_or(Refusal::AmbiguousPath)?;
    let target = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let permit = Permit::HandedOver(Identity::handed_over(&written));
    let marks = Marks { request_id: &note.request_id, trace };
    let answer = primary.forward(request, target, &permit, &peer.origin, None, marks).await;
    let mut answer = answer.map_err(|error| match error {
        UpstreamError::Upload(_) | UpstreamError::UploadTimeout => Refusal::Upstream(error),
        error => Refusal::Primary(error),
    })?;
    // The mark does not cross from any upstream, and this one's refusals are a gate's.
    if answer.status().is_client_error() || answer.status().is_server_error() {
        answer.headers_mut().insert(X_PORTCULLIS, HeaderValue::from_static("denied"));
    }
    Ok(answer)
}

/// What a client has shown, as a note has it; `None` if that is no note.
fn certificate(thumbprint: &str, identity: &str) -> Option<Option<Box<ClientCertificate>>> {
    if thumbprint == NONE {
        return Some(None);
    }
    let identity = match identity {
        NONE => None,
        identity => Some(HeaderValue::from_bytes(&URL_SAFE_NO_PAD.decode(identity).ok()?).ok()?),
    };
    Some(Some(Box::new(ClientCertificate::told(identity, Thumbprint::parse(thumbprint)?))))
}

/// What the tag vouches for. The credentials are part of it: else a note that was seen could be put on guesses of another
/// client's making.
fn sealed(said: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Vec<u8> {
    let credentials = headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    // None of the parts holds a line break, so none can be read as another.
    [PURPOSE, said.as_bytes(), method.as_str().as_bytes(), uri.path().as_bytes(), credentials].join(&b'\n')
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").field("leeway", &self.leeway).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const LEEWAY: Duration = Duration::from_secs(30);

    fn note() -> Note {
        Note {
            address: "2001:db8::7".parse().unwrap(),
            request_id: HeaderValue::from_static("abc-7"),
            certificate: None,
        }
    }

    /// A request with `credentials` that carries the note written for one with `alice`.
    fn request(credentials: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("alice"))]);
        let written = Handover::new(&[7; 32], LEEWAY).write(&note(), &Method::POST, &uri("/auth?a"), &headers, NOW);
        headers.insert(X_PORTCULLIS_VISITOR, written.unwrap());
        headers.insert(AUTHORIZATION, HeaderValue::from_static(credentials));
        headers
    }

    fn uri(text: &'static str) -> Uri {
        Uri::from_static(text)
    }

    #[test]
    fn a_note_is_read_by_who_has_the_same_key_and_soon() {
        let handover = Handover::new(&[7; 32], LEEWAY);
        let read = |now| handover.read(&Method::POST, &uri("/auth"), &request("alice"), now);
        for now in [NOW, NOW + LEEWAY, Timestamp::from_micros(NOW.as_micros() - 30_000_000)] {
            assert_eq!(read(now), Some(note()));
        }
        let moment = Duration::from_micros(1);
        for now in [NOW + LEEWAY + moment, Timestamp::from_micros(NOW.as_micros() - 30_000_001)] {
            assert_eq!(read(now), None);
        }
        assert_eq!(Handover::new(&[8; 32], LEEWAY).read(&Method::POST, &uri("/auth"), &request("alice"), NOW), None);
    }

    #[test]
    fn a_note_fits_one_request_only() {
        let handover = Handover::new(&[7; 32], LEEWAY);
        assert_eq!(handover.read(&Method::GET, &uri("/auth"), &request("alice"), NOW), None);
        assert_eq!(handover.read(&Method::POST, &uri("/other"), &request("alice"), NOW), None);
        assert_eq!(handover.read(&Method::POST, &uri("/auth"), &request("bob"), NOW), None);
    }

    #[test]
    fn a_note_of_somebodys_own_making_is_not_heard() {
        let handover = Handover::new(&[7; 32], LEEWAY);
        let (mut headers, written) = (request("alice"), request("alice")[X_PORTCULLIS_VISITOR].clone());
        let written = written.to_str().unwrap();
        let other_address = written.replacen("2001:db8::7", "2001:db8::8", 1);
        let untagged = written.rsplit_once(' ').unwrap().0.to_owned();
        for said in ["", " ", "   ", "192.0.2.1 0 x", &other_address, &untagged] {
            headers.insert(X_PORTCULLIS_VISITOR, HeaderValue::from_str(said).unwrap());
            assert_eq!(handover.read(&Method::POST, &uri("/auth"), &headers, NOW), None, "{said:?}");
        }
    }

    #[track_caller]
    fn carries(identity: Option<&str>) {
        let identity = identity.map(|text| HeaderValue::from_bytes(text.as_bytes()).unwrap());
        let shown = ClientCertificate::told(identity, Thumbprint::of(b"a certificate"));
        let note = Note { certificate: Some(Box::new(shown)), ..note() };
        let (handover, mut headers) = (Handover::new(&[7; 32], LEEWAY), HeaderMap::new());
        let written = handover.write(&note, &Method::POST, &uri("/auth"), &headers, NOW).unwrap();
        let (said, tag) = written.to_str().unwrap().rsplit_once(' ').unwrap();
        let stripped = format!("{} - - {tag}", said.splitn(4, ' ').take(3).collect::<Vec<_>>().join(" "));
        headers.insert(X_PORTCULLIS_VISITOR, written.clone());
        assert_eq!(handover.read(&Method::POST, &uri("/auth"), &headers, NOW), Some(note));
        headers.insert(X_PORTCULLIS_VISITOR, stripped.parse().unwrap());
        assert_eq!(handover.read(&Method::POST, &uri("/auth"), &headers, NOW), None);
    }

    #[test]
    fn a_note_carries_what_the_client_has_shown_and_nobody_can_take_it_out() {
        carries(None);
        carries(Some("URI=spiffe://e/f"));
        carries(Some("CN=s\u{f6}me \u{f6}ne - - "));
        carries(Some("CN=-"));
    }
}
