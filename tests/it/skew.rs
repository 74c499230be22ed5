//! Connections that come all at once are spread over the workers, each of which serves its own for life.

use std::net::TcpStream;

use crate::support::{Gate, Start, Upstream, connections_of_workers, until};

const BURST: usize = 64;

/// Holds bursts to be spread: each worker has its fair share, an eighth above it, and a few that it took because none
/// of the others came. One burst of three has to be: the system may keep a worker from its turn for longer than the
/// others wait.
#[track_caller]
fn is_spread(workers: usize, burst: impl Fn(&Gate) -> Vec<TcpStream>) {
    let fair = BURST / workers;
    let spreads = (0..3).map(|_| {
        let gate = Start::before(Upstream::start().address).set("workers", &workers.to_string()).start();
        let _burst = burst(&gate);
        until("all connections to be accepted", || {
            let each = connections_of_workers(gate.id(), gate.address);
            (each.iter().sum::<usize>() == BURST).then_some(each)
        })
    });
    let uneven: Vec<_> = spreads.take_while(|each| each[0] > fair + fair / 8 + 5).collect();
    assert!(uneven.len() < 3, "{uneven:?}");
}

fn connect(gate: &Gate) -> Vec<TcpStream> {
    (0..BURST).map(|_| TcpStream::connect(gate.address).unwrap()).collect()
}

#[test]
fn a_burst_of_connections_is_spread_over_two_workers() {
    is_spread(2, connect);
}

#[test]
fn a_burst_of_connections_is_spread_over_four_workers() {
    is_spread(4, connect);
}

#[test]
fn connections_that_were_queued_before_any_worker_looked_are_spread_too() {
    is_spread(2, |gate| {
        gate.signal("STOP");
        let burst = connect(gate);
        gate.signal("CONT");
        burst
    });
}
