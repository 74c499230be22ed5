//! That nobody notices a reload.

use super::traffic::{Traffic, token};
use super::{gate, lively_upstream, number, reload};

/// One of a hundred, each unlike the one before it in something else.
fn text(n: usize) -> String {
    let (idle, entries, window) = (60 + n % 2, 100 + n, n % 3);
    let route = format!("[[route]]\npath = \"/page/{}\"\naccess = \"public\"\n", n % 7);
    format!(
        "[upstream]\nidle_timeout = \"{idle}s\"\n\n[limits]\ntoken_cache_entries = {entries}\nmax_connections = {}\n\n[token]\nretry_window = \"{window}s\"\n\n{route}",
        1000 + n
    )
}

#[test]
fn a_hundred_reloads_under_load_fail_no_request_and_touch_no_stream() {
    let gate = gate(lively_upstream(), &text(0));
    let token = token(&gate.alice(&["messages:list"]));
    let mut traffic = Traffic::new();
    for _ in 0..2 {
        traffic.kept(gate.address, &token);
        traffic.multiplexed(gate.address, &token);
    }
    traffic.fresh(gate.address, &token);
    traffic.tunnel(gate.address, &token);
    traffic.events(gate.address, &token);
    for n in 1..=100 {
        let before = traffic.answered();
        reload(&gate, &text(n));
        // Each meets some of them under way.
        crate::support::until("something to happen meanwhile", || (traffic.answered() > before + 5).then_some(()));
    }
    let answered = traffic.end();
    assert!(answered > 1000, "{answered}");
    assert!(number(&gate, "portcullis_config_reloads_total{outcome=\"success\"}") >= 100.0);
    assert_eq!(number(&gate, "portcullis_config_reloads_total{outcome=\"failure\"}"), 0.0);
}
