//! A primary that is spoken to through TLS.

use rcgen::ExtendedKeyUsagePurpose;
use serde_json::json;

use super::{TOKEN, data, replica_on};
use crate::support::{Answer, Gate, Start, Upstream, list, refresh, until};
use crate::tls::{Authority, Pair, authority, put, start};

fn primary(authority: &Authority) -> Gate {
    start(&Upstream::start(), authority).start()
}

/// A replica that believes `authority`.
fn replica_of(primary: &Gate, authority: &Authority) -> Start {
    let url = format!("https://localhost:{}", primary.address.port());
    let replica = replica_on(&data(primary), &url).set("store.tls.ca_file", "ca.pem");
    put(replica.path(), "ca.pem", &authority.pem());
    replica
}

fn sign_in(gate: &Gate) -> Answer {
    gate.post(TOKEN).basic("alice", "wonderland").json(&json!({"scopes": ["messages:list"]})).send()
}

#[test]
fn a_session_is_led_through_tls() {
    let authority = authority("gates");
    let primary = primary(&authority);
    let replica = replica_of(&primary, &authority).start();
    let first = replica.alice(&["messages:list"]);
    let second = refresh(&replica, &first).expect(200);
    until("the replica to have read of it", || (list(&replica, &second).status == 200).then_some(()));
}

#[test]
fn whoever_cannot_prove_to_be_the_primary_gets_no_password() {
    let primary = primary(&authority("gates"));
    let replica = replica_of(&primary, &authority("others")).start();
    let refused = sign_in(&replica).expect_refusal(503);
    assert!(refused.header("retry-after").is_some());
    let line = replica.wait_for_log("upstream failed");
    assert!(line.contains("invalid peer certificate"), "{line}");
}

#[test]
fn a_primary_that_asks_for_a_certificate_is_shown_that_of_the_replica_and_its_renewal() {
    let authority = authority("gates");
    let start = start(&Upstream::start(), &authority);
    let primary = start.set("tls.client_auth", "required").set("tls.client_ca", "ca.pem").start();
    let pair = |expired: bool| {
        Pair::with(&authority, &["replica"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            if expired {
                params.not_after = rcgen::date_time_ymd(2020, 1, 1);
            }
        })
    };
    let replica =
        replica_of(&primary, &authority).set("store.tls.certificate", "own.crt").set("store.tls.key", "own.key");
    pair(true).write(replica.path(), "own");
    let replica = replica.start();
    sign_in(&replica).expect_refusal(503);
    pair(false).write(&replica.folder(), "own");
    until("the renewed certificate to count", || (sign_in(&replica).status == 201).then_some(()));
}
