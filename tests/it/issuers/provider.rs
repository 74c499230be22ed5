//! Another identity provider: keys of every algorithm, tokens by them, and a server that tells the keys and counts who
//! asks.
//!
//! Guarantees: what it answers can be changed at any time; it counts a fetch before it answers it.
//! Does not know: gates.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::support::forge::encode;
use crate::support::ok;

pub struct Key {
    pub kid: String,
    pub algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub fn new(kid: &str, algorithm: &'static str) -> Self {
        let pair = match algorithm {
            "ES256" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "ES384" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            "EdDSA" => Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
            "RS256" | "PS256" => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            other => panic!("no keys for {other}"),
        };
        Self { kid: kid.into(), algorithm, pair }
    }

    /// Its public half, as a JWK.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Pair::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key()) }),
            Pair::Rsa(pair) => {
                let n = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
                json!({ "kty": "RSA", "n": encode(n), "e": "AQAB" })
            }
        };
        for (name, value) in [("kid", self.kid.as_str()), ("alg", self.algorithm), ("use", "sig")] {
            jwk[name] = value.into();
        }
        jwk
    }

    /// The public half as bytes, of which somebody might make a secret.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.algorithm, "typ": "at+jwt", "kid": self.kid }), claims)
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let (random, bytes) = (SystemRandom::new(), message.as_bytes());
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = if self.algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, bytes, &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", encode(signature))
    }
}

/// A set of the keys.
pub fn set(keys: &[&Key]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

/// The claims of a token for `api` that is good for an hour.
pub fn claims(issuer: &str, subject: &str, scope: &str) -> Value {
    let now = portcullis::clock::wall().as_secs();
    json!({ "iss": issuer, "sub": subject, "aud": "api", "iat": now, "exp": now + 3600, "scope": scope })
}

/// What a provider does with whoever asks for its keys.
#[derive(Clone)]
pub enum Reply {
    /// Raw bytes; then it closes the connection.
    Raw(Vec<u8>),
    /// It never answers, and waits for the other side to close.
    Silence,
    /// A good beginning, then a byte now and then, and no end.
    Drip,
    /// A good head, and a body without end.
    Endless,
}

impl Reply {
    pub fn keys(keys: &[&Key]) -> Self {
        Self::Raw(ok(&set(keys)))
    }
}

/// A provider at work, on a port of its own.
pub struct Provider {
    pub address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    fetches: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
}

impl Provider {
    pub fn start(reply: Reply) -> Self {
        Self::serving(reply, |stream| Some(Box::new(stream)))
    }

    /// The same behind TLS.
    pub fn start_tls(
        reply: Reply,
        accept: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        Self::serving(reply, accept)
    }

    fn serving(reply: Reply, accept: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (reply, fetches) = (Arc::new(Mutex::new(reply)), Arc::new(AtomicUsize::new(0)));
        let (at_once, accept) = (Arc::new(AtomicUsize::new(0)), Arc::new(accept));
        let provider = Self { address, reply, fetches, at_once };
        let (reply, fetches) = (Arc::clone(&provider.reply), Arc::clone(&provider.fetches));
        let (at_once, now) = (Arc::clone(&provider.at_once), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, fetches, accept) = (Arc::clone(&reply), Arc::clone(&fetches), Arc::clone(&accept));
                let (at_once, now) = (Arc::clone(&at_once), Arc::clone(&now));
                thread::spawn(move || {
                    let Some(stream) = accept(stream) else { return };
                    at_once.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    fetches.fetch_add(1, Ordering::SeqCst);
                    let reply = reply.lock().unwrap().clone();
                    answer(stream, &reply);
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        provider
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn reply(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// The most connections that were open at one time.
    pub fn most_at_once(&self) -> usize {
        self.at_once.load(Ordering::SeqCst)
    }
}

/// A connection, of whatever kind.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

fn answer(stream: Box<dyn Stream>, reply: &Reply) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let stream = stream.get_mut();
    match reply {
        Reply::Raw(bytes) => {
            let _ = stream.write_all(bytes).and_then(|()| stream.flush());
        }
        Reply::Silence => {
            let _ = stream.read(&mut [0]);
        }
        Reply::Drip => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"keys\":[");
            while stream.write_all(b" ").is_ok() {
                thread::park_timeout(Duration::from_millis(50));
            }
        }
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            let chunk = [b"10000\r\n", [b' '; 0x10000].as_slice(), b"\r\n"].concat();
            while stream.write_all(&chunk).is_ok() {}
        }
    }
}
