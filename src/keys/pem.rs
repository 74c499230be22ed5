//! Private keys as PEM text (RFC 7468): finding the one block that matters, and writing one.
//!
//! Guarantees: exactly one private key comes out, or an error that says what the text holds instead; the copies made
//! on the way are wiped.
//! Does not know: whether the bytes inside are a valid key. Only the cryptography decides that; [`PrivateKey::kind`]
//! finds words for an error message and nothing more.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::BadKey;

/// The structure around the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// RFC 5208: any kind of key.
    Pkcs8,
    /// RFC 8017: RSA only.
    Pkcs1,
    /// RFC 5915: elliptic curves only.
    Sec1,
}

/// A private key as it stood in a PEM text.
pub(crate) struct PrivateKey {
    pub(crate) encoding: Encoding,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The private key in `text`. Other blocks are passed over: `openssl ecparam -genkey` puts curve parameters first.
pub(crate) fn read(text: &[u8]) -> Result<PrivateKey, BadKey> {
    let text = std::str::from_utf8(text).map_err(|_| BadKey::NoPem)?;
    let mut found = None;
    let mut instead = BadKey::NoPem;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(label) = line.trim().strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let encoding = match label {
            "PRIVATE KEY" => Encoding::Pkcs8,
            "RSA PRIVATE KEY" => Encoding::Pkcs1,
            "EC PRIVATE KEY" => Encoding::Sec1,
            "ENCRYPTED PRIVATE KEY" => return Err(BadKey::Encrypted),
            "OPENSSH PRIVATE KEY" => return Err(BadKey::OpenSsh),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                instead = BadKey::NotPrivate("public key");
                continue;
            }
            "CERTIFICATE" => {
                instead = BadKey::NotPrivate("certificate");
                continue;
            }
            _ => continue,
        };
        if found.is_some() {
            return Err(BadKey::SeveralKeys);
        }
        let der = body(&mut lines, label, text.len())?;
        found = Some(PrivateKey { encoding, der });
    }
    found.ok_or(instead)
}

/// `der`, a PKCS#8 structure, as PEM text.
pub(super) fn write(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() * 66 / 64 + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every index is a character boundary.
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

impl PrivateKey {
    /// What this seems to be, for an error message.
    pub(crate) fn kind(&self) -> &'static str {
        // DER object identifiers, with tag and length.
        const KINDS: [(&[u8], &str); 10] = [
            (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", RSA),
            (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "an RSA key restricted to PSS"),
            (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", EC_P256),
            (b"\x06\x05\x2b\x81\x04\x00\x22", EC_P384),
            (b"\x06\x05\x2b\x81\x04\x00\x23", "an EC key on the curve P-521"),
            (b"\x06\x05\x2b\x81\x04\x00\x0a", "an EC key on the curve secp256k1"),
            (b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", "an EC key on another curve"),
            (b"\x06\x03\x2b\x65\x70", ED25519),
            (b"\x06\x03\x2b\x65\x71", "an Ed448 key"),
            (b"\x06\x03\x2b\x65\x6e", "an X25519 key, which cannot sign"),
        ];
        let held = |oid: &[u8]| self.der.windows(oid.len()).any(|window| window == oid);
        match self.encoding {
            Encoding::Pkcs1 => RSA,
            Encoding::Pkcs8 | Encoding::Sec1 => {
                KINDS.iter().find(|(oid, _)| held(oid)).map_or("a key of an unknown type", |(_, kind)| kind)
            }
        }
    }
}

pub(super) const RSA: &str = "an RSA key";
pub(super) const EC_P256: &str = "an EC key on the curve P-256";
pub(super) const EC_P384: &str = "an EC key on the curve P-384";
pub(super) const ED25519: &str = "an Ed25519 key";

/// The bytes of the block `label`, whose first line has been taken from `lines`.
fn body(lines: &mut std::str::Lines<'_>, label: &str, capacity: usize) -> Result<Zeroizing<Vec<u8>>, BadKey> {
    // Room for the whole text, so that growing never leaves a copy behind.
    let mut base64 = Zeroizing::new(String::with_capacity(capacity));
    for line in lines {
        let line = line.trim();
        if let Some(end) = line.strip_prefix("-----END ") {
            let closes = end.strip_suffix("-----") == Some(label);
            let der = STANDARD.decode(base64.as_bytes()).map(Zeroizing::new);
            return if closes { der.map_err(|_| BadKey::DamagedPem) } else { Err(BadKey::DamagedPem) };
        }
        if line.starts_with("Proc-Type:") {
            return Err(BadKey::Encrypted);
        }
        base64.push_str(line);
    }
    Err(BadKey::DamagedPem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = read(text.as_bytes()).err().expect("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_written_reads_back() {
        for length in [1, 47, 48, 49, 300] {
            let der: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let key = read(write(&der).as_bytes()).unwrap();
            assert_eq!((key.encoding, key.der.as_slice()), (Encoding::Pkcs8, der.as_slice()));
        }
    }

    #[test]
    fn other_blocks_line_endings_and_text_around_are_passed_over() {
        let text = "some words\r\n-----BEGIN EC PARAMETERS-----\r\nBggqhkjOPQMBBw==\r\n-----END EC PARAMETERS-----\r\n\
                    -----BEGIN EC PRIVATE KEY-----\r\n  AQID\r\nBA==\r\n-----END EC PRIVATE KEY-----\r\n";
        let key = read(text.as_bytes()).unwrap();
        assert_eq!((key.encoding, key.der.as_slice()), (Encoding::Sec1, &[1, 2, 3, 4][..]));
    }

    #[test]
    fn what_is_no_plain_private_key_is_named() {
        refused("", "holds no PEM private key");
        refused("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "holds no PEM private key");
        refused("-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n", "but a public key");
        refused("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n", "but a certificate");
        refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE KEY-----\n", "openssl pkey");
        refused("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nAQID\n", "is encrypted");
        refused("-----BEGIN OPENSSH PRIVATE KEY-----\nAQID\n-----END OPENSSH PRIVATE KEY-----\n", "ssh-keygen");
    }

    #[test]
    fn a_damaged_or_doubled_key_is_refused() {
        let key = write(&[7; 40]);
        refused(&format!("{}{}", *key, *key), "more than one");
        refused(&key.replace("-----END PRIVATE KEY-----", ""), "damaged");
        refused(&key.replace("END PRIVATE", "END EC PRIVATE"), "damaged");
        refused(&key.replace("BwcH", "Bw*H"), "damaged");
    }
}
