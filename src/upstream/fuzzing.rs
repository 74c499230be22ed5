//! What is read of an upstream's answer. See [`crate::fuzzing`].

use bytes::Bytes;
use http::HeaderMap;

use super::framing::{Chunk, Framing, Piece};
use super::head;

pub fn answer(data: &[u8]) {
    let (mut whole, mut spare) = (Bytes::copy_from_slice(data), HeaderMap::new());
    let read = head::read(&mut whole, false, None, &mut spare);
    let Ok(Some((head, sequel))) = read else { return };
    assert!(!head.status.is_informational());
    // Cut off before its end it is not there, and is no other one either.
    let used = data.len() - whole.len();
    let (mut cut, mut spare) = (Bytes::copy_from_slice(&data[..used - 1]), HeaderMap::new());
    assert!(matches!(head::read(&mut cut, false, None, &mut spare), Ok(None)));
    follow(sequel.framing, whole);
}

pub fn body(data: &[u8]) {
    let taken = |piece: usize| {
        let mut framing = Framing::Chunked(Chunk::Size);
        let (mut arrived, mut body) = (Bytes::new(), Vec::new());
        let mut coming = data.chunks(piece.max(1));
        loop {
            match framing.take(&mut arrived) {
                Ok(Piece::Data(data)) => body.extend_from_slice(&data),
                Ok(Piece::Trailers(_)) => {}
                Ok(Piece::End) => return Some(body),
                Ok(Piece::Wanting) => {
                    let more = coming.next()?;
                    arrived = [&arrived, more].concat().into();
                }
                Err(_) => return None,
            }
        }
    };
    // However it comes, it is the same, or nothing.
    assert_eq!(taken(data.len()), taken(1));
}

fn follow(mut framing: Framing, mut arrived: Bytes) {
    for _ in 0..=arrived.len() {
        match framing.take(&mut arrived) {
            Ok(Piece::Data(data)) => assert!(!data.is_empty()),
            Ok(Piece::Trailers(_)) => {}
            Ok(Piece::Wanting | Piece::End) | Err(_) => return,
        }
    }
}
