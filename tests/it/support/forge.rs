//! Tokens as a forger makes them: taken apart, altered, signed anew.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::SECRET;

/// Base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims of a token.
#[track_caller]
pub fn parts(token: &str) -> (Value, Value) {
    let mut segments = token.split('.').map(|segment| URL_SAFE_NO_PAD.decode(segment).unwrap());
    let mut next = || serde_json::from_slice(&segments.next().unwrap()).unwrap();
    (next(), next())
}

/// A token of this header and payload, whatever they are, signed as HS256 with the secret of a gate that was started
/// [`super::Start::with_known_secret`].
pub fn forge(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    signed(hmac::HMAC_SHA256, SECRET.as_bytes(), header, payload)
}

/// The same with another hash or secret.
pub fn signed(hash: hmac::Algorithm, secret: &[u8], header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = hmac::sign(&hmac::Key::new(hash, secret), message.as_bytes());
    format!("{message}.{}", encode(signature))
}

/// `object` with one member set.
#[track_caller]
pub fn with(object: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().insert(name.into(), value.into());
    object
}

/// `object` without one member.
#[track_caller]
pub fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(name).expect("it was there");
    object
}
