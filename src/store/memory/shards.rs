//! Which shard a session id or a subject lives in.
//!
//! Guarantees: shards have shares of different size, up to a factor of two apart. A hash table doubles when it is seven
//! eighths full; shards of one size all double at once, and just above such a step (a million is one) every entry would
//! pay for 2.1 slots. Of unequal ones some have just doubled while others are nearly full: 1.6 slots at any count, and
//! never do all of them stop to grow together.
//! Does not know: what is kept in a shard.

use std::hash::Hasher;

use crate::token::SessionId;

/// Many, so that copying or growing one takes well under a millisecond, also with ten million sessions.
pub(super) const SHARDS: usize = 1024;

/// Where DashMap looks for the number of the shard: below the seven bits that tell entries of one place apart.
const SHARD_AT: u32 = u64::BITS - 7 - SHARDS.ilog2();

/// The shard for an evenly spread `place`: x (4 - x) / 3, so the last shard is twice as dense as the first.
pub(super) fn shard(place: u16) -> usize {
    let place = usize::from(place);
    (place * ((4 << 16) - place) / 3) >> (32 - SHARDS.ilog2())
}

/// Session ids are random bits that only we hand out, and are looked up only after a signature held: they are their own
/// hash.
pub(super) fn bits(id: &SessionId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// The shard of `id`, by bits that decide neither its place in a table nor its tag there.
pub(super) fn of_id(id: &SessionId) -> usize {
    shard((bits(id) >> 24) as u16)
}

/// The hash of a session id, for the map: its bits, with the shard where the map looks for it.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        // The length that is written before the bytes is overwritten by them.
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        let shard = shard((self.0 >> 24) as u16) as u64;
        (self.0 & !((SHARDS as u64 - 1) << SHARD_AT)) | shard << SHARD_AT
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::*;

    #[test]
    fn shares_differ_by_a_factor_of_two_and_cover_every_shard() {
        let mut shares = vec![0_u32; SHARDS];
        for place in 0..=u16::MAX {
            shares[shard(place)] += 1;
        }
        assert!(shares.is_sorted_by(|a, b| a <= &(b + 1)), "they grow from the first to the last");
        assert_eq!((shares.iter().min(), shares.iter().max()), (Some(&48), Some(&96)));
    }

    #[test]
    fn the_map_finds_the_shard_where_it_looks_and_the_rest_of_the_id_beside_it() {
        let id = SessionId::from_bytes([0xff, 0x01, 0x80, 0x7a, 0x2c, 0x55, 0xa9, 0x13, 1, 2, 3, 4]);
        let hash = BuildHasherDefault::<IdHasher>::default().hash_one(id);
        assert_eq!((hash << 7) >> (u64::BITS - SHARDS.ilog2()), of_id(&id) as u64);
        assert_eq!(hash << (u64::BITS - SHARD_AT), bits(&id) << (u64::BITS - SHARD_AT));
        assert_eq!(hash >> 57, bits(&id) >> 57);
    }
}
