//! HTTP/1: where a message ends, and what is no message.

use super::Outcome::{Cut, Ignored, Leaves, LeavesLast, Refused, RefusedAs};
use super::stage::play;
use super::{Case, leaves, sends};

const OPEN: &str = "/mobile/v1/x";
const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

/// What a request with these fields and this body becomes.
fn post(fields: &str, body: &str) -> Vec<u8> {
    latin(&format!("POST {OPEN} HTTP/1.1\r\nHost: gate\r\n{fields}\r\n{body}"))
}

/// Each character as the byte of its number.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn counted(body: &str) -> super::Outcome {
    Leaves(leaves("POST", OPEN, "", &format!("content-length: {}\r\n", body.len()), body))
}

fn chunked(body: &str) -> super::Outcome {
    Leaves(leaves("POST", OPEN, "", "transfer-encoding: chunked\r\n", body))
}

/// Behind a length beside chunks nothing is read: whoever sent it may have meant either.
fn last_chunked(body: &str) -> super::Outcome {
    LeavesLast(leaves("POST", OPEN, "", "transfer-encoding: chunked\r\n", body))
}

pub fn cases() -> Vec<Case> {
    [lengths(), codings(), chunks(), heads(), lines()].into_iter().flatten().collect()
}

fn lengths() -> Vec<Case> {
    const LENGTH: &str = "RFC 9112 section 6.3: a message with an invalid Content-Length has no end";
    const LIST: &str = "RFC 9110 section 8.6: differing lengths are refused";
    let refused = |name, source, fields: &str| sends(name, source, post(fields, "hello!"), Refused(400));
    vec![
        sends("a length", "RFC 9112 section 6.2", post("Content-Length: 5\r\n", "hello"), counted("hello")),
        sends(
            "one length twice",
            "RFC 9110 section 8.6: identical lengths may be replaced by one",
            post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
            counted("hello"),
        ),
        sends(
            "a length with zeros before it",
            "RFC 9110 section 8.6: 1*DIGIT; HTTP Garden: octal readers",
            post("Content-Length: 0005\r\n", "hello"),
            counted("hello"),
        ),
        sends(
            "a length nominated away",
            "RFC 9110 section 7.6.1",
            post("Connection: content-length\r\nContent-Length: 5\r\n", "hello"),
            counted("hello"),
        ),
        sends(
            "a length of nothing",
            "PortSwigger, Browser-Powered Desync Attacks (2022): CL.0",
            post("Content-Length: 0\r\n", ""),
            counted(""),
        ),
        sends("no length and no body", "RFC 9112 section 6.3", post("", ""), counted("")),
        refused("two lengths", LIST, "Content-Length: 5\r\nContent-Length: 6\r\n"),
        refused("two lengths, apart", LIST, "Content-Length: 6\r\nX-Between: 1\r\ncontent-length: 5\r\n"),
        refused("a list of lengths", LIST, "Content-Length: 5, 6\r\n"),
        refused(
            "a list of one length",
            "RFC 9110 section 8.6; HTTP Garden: lists of lengths",
            "Content-Length: 5, 5\r\n",
        ),
        refused("a length with a plus", "CVE-2021-32715 (hyper)", "Content-Length: +5\r\n"),
        refused("a negative length", "RFC 9110 section 8.6: 1*DIGIT", "Content-Length: -5\r\n"),
        refused("a hexadecimal length", LENGTH, "Content-Length: 0x5\r\n"),
        refused("a fractional length", LENGTH, "Content-Length: 5.0\r\n"),
        refused("a length with an exponent", LENGTH, "Content-Length: 5e0\r\n"),
        refused("a length with an underscore", "HTTP Garden: int() of Python reads 5_0", "Content-Length: 0_5\r\n"),
        refused("a length with a space in it", "CVE-2018-7159 (Node.js)", "Content-Length: 5 0\r\n"),
        refused("an empty length", LENGTH, "Content-Length:\r\n"),
        refused("an empty length beside one", LENGTH, "Content-Length: 5\r\nContent-Length:\r\n"),
        refused("a length in quotes", LENGTH, "Content-Length: \"5\"\r\n"),
        refused("a length with a letter", LENGTH, "Content-Length: 5a\r\n"),
        refused("a length in other digits", "HTTP Garden: digits of Unicode", "Content-Length: \u{b5}\r\n"),
        refused("a length beyond 64 bits", "RFC 9110 section 8.6; CWE-190", "Content-Length: 18446744073709551621\r\n"),
        sends(
            "the greatest length of all",
            "RFC 9110 section 8.6; CWE-190",
            post("Content-Length: 18446744073709551615\r\n", "x"),
            RefusedAs(&[400, 431]),
        ),
        refused("a length of 400 digits", "CWE-190", &format!("Content-Length: {}\r\n", "9".repeat(400))),
    ]
}

fn codings() -> Vec<Case> {
    const FINAL: &str = "RFC 9112 section 6.3: chunked has to be the last coding of a request";
    const UNKNOWN: &str = "RFC 9112 section 6.1: a coding that nobody knows";
    const BOTH: &str = "RFC 9112 section 6.1; CVE-2005-2088 (Apache)";
    const TE_TE: &str = "PortSwigger, HTTP Desync Attacks (2019): TE.TE";
    let refused = |name, source, fields: &str| sends(name, source, post(fields, HELLO), Refused(400));
    let read = |name, source, fields: &str| sends(name, source, post(fields, HELLO), chunked(HELLO));
    vec![
        read("chunks", "RFC 9112 section 7.1", "Transfer-Encoding: chunked\r\n"),
        read(
            "chunks in capitals",
            "RFC 9112 section 7: names of codings know no case",
            "Transfer-Encoding: CHUNKED\r\n",
        ),
        read(
            "chunks nominated away",
            "RFC 9110 section 7.6.1",
            "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
        ),
        sends(
            "a length before chunks",
            BOTH,
            post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", HELLO),
            last_chunked(HELLO),
        ),
        sends(
            "chunks before a length",
            BOTH,
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", HELLO),
            last_chunked(HELLO),
        ),
        sends(
            "a length beyond the chunks",
            "PortSwigger, HTTP Desync Attacks (2019): CL.TE",
            post("Content-Length: 90\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            last_chunked("0\r\n\r\n"),
        ),
        refused("a foul length beside chunks", BOTH, "Content-Length: x\r\nTransfer-Encoding: chunked\r\n"),
        refused("another coding", UNKNOWN, "Transfer-Encoding: gzip\r\n"),
        refused("identity", "RFC 9112 section 6.1: identity is no coding any more", "Transfer-Encoding: identity\r\n"),
        refused("chunked, then another", FINAL, "Transfer-Encoding: chunked, gzip\r\n"),
        refused("chunked, then identity", FINAL, "Transfer-Encoding: chunked, identity\r\n"),
        refused(
            "chunked, and another field of another",
            "CVE-2020-8287 (Node.js)",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        ),
        refused(
            "chunked twice",
            "RFC 9112 section 6.1: never more than once",
            "Transfer-Encoding: chunked, chunked\r\n",
        ),
        refused(
            "chunked in two fields",
            "RFC 9112 section 6.1: never more than once",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        refused(
            "a coding before chunked",
            "RFC 9112 section 6.1: nobody here undoes it",
            "Transfer-Encoding: gzip, chunked\r\n",
        ),
        refused("not quite chunked", TE_TE, "Transfer-Encoding: xchunked\r\n"),
        refused("chunked and a little more", "CVE-2019-15605 (Node.js)", "Transfer-Encoding: chunkedx\r\n"),
        refused("chunked in quotes", TE_TE, "Transfer-Encoding: \"chunked\"\r\n"),
        refused("chunked with a parameter", TE_TE, "Transfer-Encoding: chunked;q=1\r\n"),
        refused("chunked with a vertical tab", TE_TE, "Transfer-Encoding: \x0bchunked\r\n"),
        refused("chunked with a control byte behind it", TE_TE, "Transfer-Encoding: chunked\x0b\r\n"),
        refused("chunked with a null behind it", TE_TE, "Transfer-Encoding: chunked\0\r\n"),
        refused("chunked with a byte beyond ASCII", TE_TE, "Transfer-Encoding: chunked\u{ff}\r\n"),
        refused(
            "chunked with a long s",
            "HTTP Garden: case mapping of Unicode",
            "Transfer-Encoding: chun\u{e2}\u{84}\u{aa}ed\r\n",
        ),
        refused("an empty coding", UNKNOWN, "Transfer-Encoding:\r\n"),
        refused("a comma for a coding", UNKNOWN, "Transfer-Encoding: ,\r\n"),
        refused("a coding under a name with a space", TE_TE, "Transfer-Encoding : chunked\r\n"),
        refused("a folded coding", TE_TE, "Transfer-Encoding:\r\n chunked\r\n"),
        sends(
            "chunks in HTTP/1.0",
            "RUSTSEC-2026-0034 (pingora); RFC 9112 section 6.1",
            format!("POST {OPEN} HTTP/1.0\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n{HELLO}"),
            Refused(400),
        ),
        sends(
            "chunks and a length in HTTP/1.0",
            "RUSTSEC-2026-0034 (pingora); RFC 9112 section 6.1",
            format!(
                "POST {OPEN} HTTP/1.0\r\nHost: gate\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n{HELLO}"
            ),
            Refused(400),
        ),
    ]
}

fn chunks() -> Vec<Case> {
    const SIZE: &str = "RFC 9112 section 7.1: chunk-size = 1*HEXDIG";
    const END: &str = "RFC 9112 section 7.1: CRLF ends a chunk; HTTP Garden";
    let cut_after = |name, source, body: &str, begun: &str| {
        let begun = leaves("POST", OPEN, "", "transfer-encoding: chunked\r\n", begun);
        sends(name, source, post("Transfer-Encoding: chunked\r\n", body), Cut(begun))
    };
    let cut = |name, source, body: &str| cut_after(name, source, body, "");
    let read = |name, source, body: &str, leaving: &str| {
        sends(name, source, post("Transfer-Encoding: chunked\r\n", body), chunked(leaving))
    };
    vec![
        read("extensions of chunks", "RFC 9112 section 7.1.1: ignored", "5;a=\"b;c\";d\r\nhello\r\n0;x\r\n\r\n", HELLO),
        read("a size with zeros before it", SIZE, "0000005\r\nhello\r\n000\r\n\r\n", HELLO),
        read(
            "a trailer",
            "RFC 9112 section 7.1.2",
            "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
            "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
        ),
        read(
            "trailers that would change the request",
            "RFC 9110 section 6.5.1",
            "5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nAuthorization: Basic x\r\nX-Auth-Subject: root\r\nx_auth_scopes: all:any\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
            HELLO,
        ),
        cut("a size of nothing", SIZE, "\r\nhello\r\n0\r\n\r\n"),
        cut("a size that is no number", SIZE, "zz\r\nhello\r\n0\r\n\r\n"),
        cut("a negative size", SIZE, "-5\r\nhello\r\n0\r\n\r\n"),
        cut("a size with a plus", SIZE, "+5\r\nhello\r\n0\r\n\r\n"),
        cut("a size with 0x", SIZE, "0x5\r\nhello\r\n0\r\n\r\n"),
        cut("a size with an underscore", "HTTP Garden: int(x, 16) of Python", "0_5\r\nhello\r\n0\r\n\r\n"),
        cut(
            "a size beyond 64 bits",
            "CVE-2013-2028 (nginx); CVE-2021-32714 (hyper)",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        cut_after("a chunk longer than its size", END, "4\r\nhello\r\n0\r\n\r\n", "4\r\nhell\r\n"),
        cut_after("a chunk that ends in a bare line feed", END, "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n"),
        cut_after(
            "a chunk that ends in two other bytes",
            "HTTP Garden; Funky chunks (2025): TERM.EXT",
            "5\r\nhelloXX0\r\n\r\n",
            "5\r\nhello\r\n",
        ),
        cut("a size that ends in a bare line feed", "CVE-2025-22871 (Go)", "5\nhello\r\n0\r\n\r\n"),
        cut("a size that ends in a bare carriage return", "HTTP Garden; Funky chunks (2025)", "5\rhello\r\n0\r\n\r\n"),
        cut(
            "a line feed in an extension",
            "HTTP Garden; Funky chunks (2025): EXT.TERM",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
        ),
        cut("a carriage return in an extension", "HTTP Garden; Funky chunks (2025)", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        cut("a size behind a space", "HTTP Garden: spaces around sizes", " 5\r\nhello\r\n0\r\n\r\n"),
        cut(
            "an endless extension",
            "CVE-2023-39326 (Go); RFC 9112 section 7.1.1",
            &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(20_000)),
        ),
        cut_after(
            "endless extensions in small pieces",
            "CVE-2023-39326 (Go); RFC 9112 section 7.1.1",
            &format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "y".repeat(1000)).repeat(40)),
            &"1\r\nx\r\n".repeat(16),
        ),
        cut(
            "endless trailers",
            "RFC 9112 section 7.1.2; CWE-770",
            &format!("0\r\n{}\r\n", "X-Sum: 0123456789\r\n".repeat(3000)),
        ),
        cut(
            "one endless trailer",
            "RFC 9112 section 7.1.2; CWE-770",
            &format!("0\r\nX-Sum: {}\r\n\r\n", "x".repeat(100_000)),
        ),
        cut("a trailer that is none", "RFC 9112 section 5", "0\r\nnonsense\r\n\r\n"),
        cut("a folded trailer", "RFC 9112 section 5.2", "0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
        cut(
            "a request in place of a trailer",
            "CVE-2022-35256 (Node.js)",
            "0\r\nGET /mobile/v1/hidden HTTP/1.1\r\n\r\n",
        ),
    ]
}

fn heads() -> Vec<Case> {
    const FOLD: &str = "RFC 9112 section 5.2: obs-fold is refused";
    const NAME: &str = "RFC 9110 section 5.1: a name is a token";
    const VALUE: &str = "RFC 9110 section 5.5: CR, LF and NUL are in no value";
    const COLON: &str = "RFC 9112 section 5.1: no space before the colon; CVE-2019-16869 (Netty)";
    let refused = |name, source, fields: &str| sends(name, source, post(fields, ""), Refused(400));
    vec![
        refused("a folded line", FOLD, "X: a\r\n b\r\n"),
        refused("a line folded with a tab", FOLD, "X: a\r\n\tb\r\n"),
        sends(
            "a fold before the first field",
            "RFC 9112 section 2.2",
            format!("POST {OPEN} HTTP/1.1\r\n X: a\r\nHost: gate\r\n\r\n"),
            Refused(400),
        ),
        refused("a space before the colon", COLON, "X : a\r\n"),
        refused("a tab before the colon", COLON, "X\t: a\r\n"),
        refused("a field without a colon", NAME, "X\r\n"),
        refused("a field without a name", NAME, ": a\r\n"),
        refused("a name with a space", NAME, "X Y: a\r\n"),
        refused("a name beyond ASCII", NAME, "X-\u{e9}: a\r\n"),
        refused("a name with a null", NAME, "X\0: a\r\n"),
        refused("a name with a bracket", NAME, "X(Y): a\r\n"),
        refused("a null in a value", VALUE, "X: a\0b\r\n"),
        refused("a bare carriage return in a value", VALUE, "X: a\rTransfer-Encoding: chunked\r\n"),
        refused("a bare carriage return before a line's end", "HTTP Garden: CR CR LF", "X: a\r\r\n"),
        refused("a control byte in a value", VALUE, "X: a\x01b\r\n"),
        refused("a delete in a value", VALUE, "X: a\x7fb\r\n"),
        sends(
            "bare line feeds for line ends",
            "RFC 9112 section 2.2: a recipient may take them for line ends",
            format!("POST {OPEN} HTTP/1.1\nHost: gate\nContent-Length: 5\n\nhello"),
            counted("hello"),
        ),
        sends(
            "a bare line feed between fields",
            "RFC 9112 section 2.2; HTTP Garden",
            post("X-A: a\nContent-Length: 5\r\n", "hello"),
            Leaves(leaves("POST", OPEN, "x-a: a\r\n", "content-length: 5\r\n", "hello")),
        ),
        sends(
            "bare carriage returns for line ends",
            "CVE-2023-30589 (Node.js)",
            format!("GET {OPEN} HTTP/1.1\rHost: gate\r\r"),
            Refused(400),
        ),
        sends(
            "an empty line before the request",
            "RFC 9112 section 2.2: ignored",
            [b"\r\n", &*post("Content-Length: 5\r\n", "hello")].concat(),
            counted("hello"),
        ),
    ]
}

fn lines() -> Vec<Case> {
    const LINE: &str = "RFC 9112 section 3: method SP target SP version";
    const VERSION: &str = "RFC 9112 section 2.3";
    let refused =
        |name, source, line: &str| sends(name, source, latin(&format!("{line}\r\nHost: gate\r\n\r\n")), Refused(400));
    vec![
        sends("HTTP/0.9", "RFC 9112 section 3; RFC 1945 section 4.1", format!("GET {OPEN}\r\n"), Refused(400)),
        refused("HTTP/0.9 with fields", "RFC 1945 section 4.1", &format!("GET {OPEN}")),
        refused("HTTP/0.9 by name", VERSION, &format!("GET {OPEN} HTTP/0.9")),
        refused("HTTP/1.2", VERSION, &format!("GET {OPEN} HTTP/1.2")),
        refused("HTTP/2.0 without its preface", "RFC 9113 section 3.4", &format!("GET {OPEN} HTTP/2.0")),
        refused("HTTP/9.9", VERSION, &format!("GET {OPEN} HTTP/9.9")),
        refused("a version in lower case", VERSION, &format!("GET {OPEN} http/1.1")),
        refused("a version with more digits", VERSION, &format!("GET {OPEN} HTTP/1.10")),
        refused(
            "a version with another after it",
            "HTTP Garden: trailing words",
            &format!("GET {OPEN} HTTP/1.1 HTTP/1.1"),
        ),
        refused("no version", LINE, &format!("GET {OPEN} ")),
        refused("no target", LINE, "GET  HTTP/1.1"),
        refused("no method", LINE, &format!(" {OPEN} HTTP/1.1")),
        refused("two spaces before the target", "RFC 9112 section 3.2; HTTP Garden", &format!("GET  {OPEN} HTTP/1.1")),
        refused("a tab before the target", "RFC 9112 section 3.2; HTTP Garden", &format!("GET\t{OPEN} HTTP/1.1")),
        refused(
            "a space in the target",
            "RFC 9112 section 3.2: no white space in a target",
            "GET /mobile/v1/a b HTTP/1.1",
        ),
        refused("a control byte in the target", "RFC 9112 section 3.2", "GET /mobile/v1/\x01 HTTP/1.1"),
        refused("a delete in the target", "RFC 9112 section 3.2", "GET /mobile/v1/\x7f HTTP/1.1"),
        refused("a null in the target", "RFC 9112 section 3.2; CWE-158", "GET /mobile/v1/\0 HTTP/1.1"),
        refused(
            "a method with a bracket",
            "RFC 9110 section 9.1: a method is a token",
            &format!("G(T {OPEN} HTTP/1.1"),
        ),
        refused("a method beyond ASCII", "RFC 9110 section 9.1", &format!("G\u{c9}T {OPEN} HTTP/1.1")),
        sends(
            "a handshake of TLS",
            "RFC 8446 section 4.1.2",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            Refused(400),
        ),
        sends(
            "empty lines without end",
            "RFC 9112 section 2.2: at least one is ignored; CWE-400",
            b"\r\n".repeat(50_000),
            Ignored,
        ),
        sends("nulls", "CWE-20; slowhttptest", vec![0; 64], Refused(400)),
        sends("half of HTTP/2's preface", "RFC 9113 section 3.4", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Refused(400)),
        sends(
            "garbage behind a request",
            "RFC 9112 section 9.3.2; PortSwigger, Browser-Powered Desync Attacks (2022): CL.0",
            [&*post("Content-Length: 5\r\n", "hello"), b"\x01\x02garbage\r\n\r\n"].concat(),
            LeavesLast(leaves("POST", OPEN, "", "content-length: 5\r\n", "hello")),
        ),
        sends(
            "a request that swallows the next one",
            "PortSwigger, HTTP Desync Attacks (2019): prefixes",
            format!("GET {OPEN} HTTP/1.1\r\nHost: gate\r\nX-Ignored: "),
            Refused(400),
        ),
    ]
}

#[test]
fn messages_have_one_end_or_are_refused() {
    play(cases());
}
