//! What is read of a connection before HTTP. See [`crate::fuzzing`].

use super::preamble;

pub fn preamble(data: &[u8]) {
    let Ok(Some((length, client))) = preamble::parse(data) else { return };
    assert!(length <= data.len());
    // What follows it changes nothing, and it is not there before its last byte.
    assert_eq!(preamble::parse(&data[..length]).ok(), Some(Some((length, client))));
    assert!(matches!(preamble::parse(&data[..length - 1]), Ok(None)));
}
