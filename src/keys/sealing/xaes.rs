//! XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM with a nonce of 192 bits.
//!
//! Guarantees: as the specification has it, held to its vectors; with random nonces one key is good for as many messages as
//! anybody makes, where the 96 bits of AES-GCM end at 2^32 (NIST SP 800-38D section 8.3).
//! Does not know: keys' names, and what is sealed.
//!
//! For each message a key is derived from the first half of the nonce by the KDF of NIST SP 800-108r1 in counter mode over
//! CMAC, and AES-256-GCM runs under it with the other half. So nothing but aws-lc's own primitives is used.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cmac;
use aws_lc_rs::error::Unspecified;
use zeroize::Zeroizing;

pub(super) const NONCE: usize = 24;
const HALF: usize = NONCE / 2;

/// A key, ready to derive others.
pub(super) struct Xaes(cmac::Key);

impl Xaes {
    pub(super) fn new(key: &[u8; 32]) -> Result<Self, Unspecified> {
        cmac::Key::new(cmac::AES_256, key).map(Self)
    }

    /// Turns `text` into its ciphertext with the tag behind it.
    pub(super) fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], text: &mut Vec<u8>) -> Result<(), Unspecified> {
        let (key, nonce) = self.derive(nonce)?;
        key.seal_in_place_append_tag(nonce, Aad::from(aad), text)
    }

    /// Turns a ciphertext with its tag back into the text.
    pub(super) fn open<'a>(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Unspecified> {
        let (key, nonce) = self.derive(nonce)?;
        key.open_in_place(nonce, Aad::from(aad), sealed)
    }

    fn derive(&self, nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), Unspecified> {
        let (first, second) = nonce.split_at(HALF);
        let mut derived = Zeroizing::new([0; 32]);
        for (counter, half) in (1..).zip(derived.chunks_exact_mut(16)) {
            let block = [&[0, counter, b'X', 0], first].concat();
            half.copy_from_slice(cmac::sign(&self.0, &block)?.as_ref());
        }
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*derived)?);
        Ok((key, Nonce::try_assume_unique_for_key(second)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: u8, aad: &[u8], expected: &str) {
        let (xaes, nonce) = (Xaes::new(&[key; 32]).unwrap(), b"ABCDEFGHIJKLMNOPQRSTUVWX");
        let mut text = b"XAES-256-GCM".to_vec();
        xaes.seal(nonce, aad, &mut text).unwrap();
        assert_eq!(text.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
        assert_eq!(xaes.open(nonce, aad, &mut text).unwrap(), b"XAES-256-GCM");
    }

    #[test]
    fn the_vectors_of_the_specification_hold() {
        check(1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
        check(3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
    }
}
