//! What stands under the keys and in the log: one session, or its end.
//!
//! Guarantees: one state has one spelling, so that comparing bytes is comparing states; what is read is what was written.
//! Does not know: keys, scripts, what a session may do.
//!
//! A value is the number of this format (u8) and a record as the files have it: its kind (u8) and a payload (postcard).

use crate::token::{Session, SessionId, Timestamp};

use super::super::files::{Entry, Flaw, Record, read_record, write_record};

const FORMAT: u8 = 1;

pub(in crate::store) fn session(session: &Session) -> Vec<u8> {
    spell(Entry::Session(session))
}

pub(in crate::store) fn tombstone(id: SessionId, until: Timestamp) -> Vec<u8> {
    spell(Entry::Tombstone { id, until })
}

fn spell(entry: Entry<'_>) -> Vec<u8> {
    let mut value = vec![FORMAT];
    // Into memory nothing can fail but a value that refuses to be written, of which there is none among these.
    let _ = write_record(entry, &mut value);
    value
}

/// # Errors
/// Of what is damaged, or was written by a newer portcullis or by something else.
pub(in crate::store) fn read(value: &[u8]) -> Result<Record, Flaw> {
    match value {
        [FORMAT, kind, payload @ ..] => read_record(*kind, payload),
        _ => Err(Flaw::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use crate::token::tests::{T0, policy, session as sample};

    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        let known = Session { answered_at: Timestamp::default(), ..sample(1, "anna", T0, &policy()) };
        assert_eq!(read(&session(&known)).unwrap(), Record::Session(Box::new(known.clone())));
        assert_eq!(read(&tombstone(known.id, T0)).unwrap(), Record::Tombstone { id: known.id, until: T0 });
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        let mut value = session(&sample(1, "anna", T0, &policy()));
        for wrong in [&b""[..], b"\x01", b"hello", &value[..value.len() - 1]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        value[0] = 2;
        assert!(read(&value).is_err());
    }
}
