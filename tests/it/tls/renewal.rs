//! Certificates that change while the gate runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, Pair, ask, authority, connect, put, serves, shown, start};
use crate::support::{Start, Upstream, until};

/// Points `..data` at a new folder with the pair in it, as the kubelet does.
fn swap(folder: &Path, number: usize, pair: &Pair) {
    let data = folder.join(format!("..{number}"));
    fs::create_dir(&data).unwrap();
    pair.write(&data, "tls");
    symlink(format!("..{number}"), folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if number > 1 {
        fs::remove_dir_all(folder.join(format!("..{}", number - 1))).unwrap();
    }
}

/// `PORTCULLIS_TLS_SWAPS` and `PORTCULLIS_TLS_CONNECTIONS` make it longer.
#[test]
fn swaps_under_load_fail_no_request_and_show_within_a_second() {
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse::<usize>().unwrap());
    let (swaps, lines) = (number("PORTCULLIS_TLS_SWAPS", 10), number("PORTCULLIS_TLS_CONNECTIONS", 8));
    let (upstream, authority) = (Upstream::start(), authority("renewal"));
    let start = Start::before(upstream.address).set("log.access", "off");
    swap(start.path(), 1, &Pair::new(&authority, &["localhost"]));
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), start.path().join(name)).unwrap();
    }
    let folder = start.path().to_owned();
    let gate = start.set("tls.certificate", "tls.crt").set("tls.key", "tls.key").start();
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        for _ in 0..lines {
            scope.spawn(|| {
                // Resumes where it can.
                let config = Client::new(&authority).config();
                while !done.load(Ordering::Relaxed) {
                    let mut line = connect(&config, gate.address, "localhost").unwrap();
                    for _ in 0..20 {
                        assert_eq!(ask(&mut line), Ok(200));
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let resuming = Client::new(&authority).config();
        for number in 2..swaps + 2 {
            let pair = Pair::new(&authority, &["localhost"]);
            swap(&folder, number, &pair);
            let begun = Instant::now();
            until("the new certificate", || {
                let mut line = connect(&resuming, gate.address, "localhost").unwrap();
                assert_eq!(ask(&mut line), Ok(200));
                (shown(&line) == *pair.certificate.der()).then_some(())
            });
            slowest = slowest.max(begun.elapsed());
        }
        done.store(true, Ordering::Relaxed);
    });
    println!("{swaps} swaps, {} requests, the slowest swap took {slowest:?}", asked.load(Ordering::Relaxed));
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn a_bad_pair_keeps_the_old_one_and_is_told_once_and_a_good_one_mends_it() {
    let (upstream, authority) = (Upstream::start(), authority("renewal"));
    let gate = start(&upstream, &authority).start();
    let folder = gate.folder();
    put(&folder, "tls.key", &Pair::new(&authority, &["localhost"]).key.serialize_pem());
    gate.wait_for_log("the TLS files cannot be used, those before stay in force: tls.key: tls.key: is not the private");
    serves(&gate, &authority);
    fs::remove_file(folder.join("tls.crt")).unwrap();
    gate.wait_for_log("tls.crt: cannot be read");
    serves(&gate, &authority);
    thread::sleep(Duration::from_millis(1200));
    assert_eq!(gate.log().iter().filter(|line| line.contains("stay in force")).count(), 2, "{:#?}", gate.log());
    let next = Pair::new(&authority, &["localhost"]);
    next.write(&folder, "tls");
    gate.wait_for_log("the TLS files can be used again");
    let line = until("the new one", || {
        let line = Client::new(&authority).connect(gate.address, "localhost").unwrap();
        (shown(&line) == *next.certificate.der()).then_some(line)
    });
    drop(line);
}
