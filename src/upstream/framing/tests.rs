//! Bodies of answers, cut in every way.
//!
//! Guarantees: each body is read as a whole and byte by byte, with the same result.
//! Does not know: sockets.

use super::*;

/// The data, the trailers if any, and what lies behind.
type Taken = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

/// Reads `wire`, which arrives in steps of `step` bytes.
fn taken(mut framing: Framing, wire: &[u8], step: usize) -> Result<Taken, Garbled> {
    let (mut data, mut trailers, mut arrived) = (Vec::new(), None, Bytes::new());
    let mut steps = wire.chunks(step);
    loop {
        match framing.take(&mut arrived)? {
            Piece::Data(piece) => data.extend_from_slice(&piece),
            Piece::Trailers(fields) => trailers = Some(fields),
            Piece::End => break,
            Piece::Wanting => match steps.next() {
                Some(more) => arrived = [&arrived[..], more].concat().into(),
                None => {
                    assert!(!framing.is_over());
                    break;
                }
            },
        }
    }
    Ok((data, trailers, [&arrived[..], &steps.flatten().copied().collect::<Vec<_>>()].concat()))
}

#[track_caller]
fn reads(framing: fn() -> Framing, wire: &str, data: &str, behind: &str) {
    for step in [1, 2, 3, 7, wire.len().max(1)] {
        let (found, trailers, rest) = taken(framing(), wire.as_bytes(), step).unwrap();
        assert_eq!(String::from_utf8_lossy(&found), data, "in steps of {step}");
        assert_eq!(trailers, None);
        assert_eq!(String::from_utf8_lossy(&rest), behind, "in steps of {step}");
    }
}

fn chunked() -> Framing {
    Framing::Chunked(Chunk::Size)
}

#[test]
fn a_length_is_kept_to_the_byte() {
    reads(|| Framing::Length(5), "hello", "hello", "");
    reads(|| Framing::Length(5), "hello, world", "hello", ", world");
    reads(|| Framing::Length(0), "junk", "", "junk");
}

#[test]
fn without_a_length_all_of_it_is_body() {
    reads(|| Framing::UntilClose, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "");
}

#[test]
fn chunks_are_joined() {
    reads(chunked, "5\r\nhello\r\n0\r\n\r\n", "hello", "");
    reads(chunked, "5;name=\"va lue\"\r\nhello\r\n1 \r\n!\r\n000\r\n\r\nnext", "hello!", "next");
    reads(chunked, "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "");
}

#[test]
fn trailers_come_behind_the_last_chunk() {
    let wire = b"1\r\nx\r\n0\r\nGrpc-Status: 0\r\nx-sum: \xff\r\n\r\n";
    for step in [1, 5, wire.len()] {
        let (data, trailers, rest) = taken(chunked(), wire, step).unwrap();
        let trailers = trailers.unwrap();
        assert_eq!((&*data, trailers.len(), &*rest), (&b"x"[..], 2, &b""[..]));
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["x-sum"].as_bytes(), b"\xff");
    }
}

#[test]
fn trailers_speak_neither_for_the_gate_nor_of_this_hop() {
    let wire =
        b"0\r\nx-portcullis: denied\r\nConnection: x-hop\r\nx-hop: 1\r\nContent-Length: 5\r\nTE: x\r\nx-sum: 1\r\n\r\n";
    let (_, trailers, _) = taken(chunked(), wire, wire.len()).unwrap();
    assert_eq!(trailers.unwrap().keys().collect::<Vec<_>>(), ["x-sum"]);
}

#[test]
fn what_is_no_chunk_is_an_error() {
    let endless_extension = format!("1;{}", "a".repeat(LONGEST_SIZE_LINE));
    let endless_trailers = format!("0\r\na: {}", "a".repeat(LONGEST_TRAILERS));
    let many_trailers = format!("0\r\n{}\r\n", "a: 1\r\n".repeat(MOST_TRAILERS + 1));
    for wire in [
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\nx\r\n",
        "\r\nhello",
        ";a=b\r\nhello",
        " 5\r\nhello",
        "10000000000000000\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhelloXX",
        "5\nhello\n0\n\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nspace : x\r\n\r\n",
        "0\r\na: b\r\n folded\r\n\r\n",
        &endless_extension,
        &endless_trailers,
        &many_trailers,
    ] {
        for step in [1, wire.len()] {
            assert!(
                taken(chunked(), wire.as_bytes(), step).is_err(),
                "{:?} in steps of {step}",
                &wire[..wire.len().min(40)]
            );
        }
    }
}

#[test]
fn a_body_that_is_cut_is_not_over() {
    let whole = "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";
    for end in 0..whole.len() {
        let (mut framing, mut arrived) = (chunked(), Bytes::from(&whole.as_bytes()[..end]));
        while !matches!(framing.take(&mut arrived).unwrap(), Piece::Wanting) {}
        assert!(!framing.is_over(), "{end}");
    }
}

#[track_caller]
fn frames(fields: &[(&str, &str)], expected: Result<Framing, ()>) {
    assert_eq!(framed(fields, StatusCode::OK, false), expected, "{fields:?}");
}

fn framed(fields: &[(&str, &str)], status: StatusCode, to_head: bool) -> Result<Framing, ()> {
    let mut lengths = Lengths::default();
    for (name, value) in fields {
        match *name {
            "length" => lengths.content_length(value.as_bytes()),
            _ => lengths.transfer_encoding(value.as_bytes()),
        }
        .map_err(drop)?;
    }
    Ok(lengths.framing(status, to_head))
}

#[test]
fn a_body_ends_in_one_place_or_is_an_error() {
    frames(&[], Ok(Framing::UntilClose));
    frames(&[("length", "0")], Ok(Framing::Length(0)));
    frames(&[("length", " 5 ")], Ok(Framing::Length(5)));
    frames(&[("length", "5"), ("length", "5")], Ok(Framing::Length(5)));
    frames(&[("length", "5, 5")], Ok(Framing::Length(5)));
    frames(&[("coding", "chunked")], Ok(chunked()));
    frames(&[("coding", " CHUNKED")], Ok(chunked()));
    frames(&[("length", "5"), ("coding", "chunked")], Ok(chunked()));
    for odd in ["", "+5", "-5", "5a", "0x5", "5 5", "5,6", "5,", "18446744073709551616", "5\u{b2}"] {
        frames(&[("length", odd)], Err(()));
    }
    frames(&[("length", "5"), ("length", "6")], Err(()));
    for odd in ["", "identity", "gzip, chunked", "chunked, chunked", "chunked, gzip", "xchunked", "chunked;q=1"] {
        frames(&[("coding", odd)], Err(()));
    }
    frames(&[("coding", "chunked"), ("coding", "chunked")], Err(()));
}

#[test]
fn some_answers_never_have_a_body() {
    for (status, to_head) in [(200, true), (204, false), (304, false), (404, true)] {
        let status = StatusCode::from_u16(status).unwrap();
        for fields in [&[("length", "5")][..], &[("coding", "chunked")], &[]] {
            assert_eq!(framed(fields, status, to_head), Ok(Framing::Length(0)), "{status} {fields:?}");
        }
    }
}
