//! While the disk takes nothing, and when it takes something again.

use std::collections::HashSet;

use serde_json::json;

use super::*;
use crate::admin::ask;

/// Nothing at all; and ten bytes of the next record, or the head of a new segment, but no snapshot.
const LIMITS: [u64; 2] = [0, 42];

#[test]
fn what_would_have_to_be_written_is_refused_and_requests_pass() {
    for bytes in LIMITS {
        let (gate, pairs) = rested(&[], 4);
        let before = sessions(&gate);
        limit(&gate, bytes);
        for _ in 0..3 {
            unwritten(sign_in(&gate).send());
            unwritten(refresh(&gate, &pairs[0]));
            let mint = gate.post(TOKEN).bearer(&pairs[0].field("access_token"));
            unwritten(mint.json(&json!({ "scopes": ["messages:list"] })).send());
            unwritten(revoke(&gate, &pairs[1]).send());
            let session = format!("{SESSIONS}/{}", session_of(&pairs[2]));
            unwritten(gate.call("DELETE", &session).basic("alice", "wonderland").send());

            list(&gate, &pairs[0]).expect(200);
            list(&gate, &pairs[3]).expect(200);
            gate.get("/3rdparty/v1/messages").basic("alice", "wonderland").send().expect(200);
            for ended in &pairs[1..=2] {
                assert_eq!(list(&gate, ended).expect_refusal(401).field("message"), "Token revoked");
            }
        }
        let left: Vec<_> =
            before.into_iter().filter(|id| ![1, 2].map(|n| session_of(&pairs[n])).contains(id)).collect();
        assert_eq!(sessions(&gate), left);
        assert_eq!(said(&gate, "panicked"), 0);
    }
}

#[test]
fn it_is_not_ready_meanwhile_and_says_why() {
    let (gate, pairs) = rested(&[("admin.listen", "127.0.0.1:0")], 1);
    limit(&gate, 0);
    unwritten(refresh(&gate, &pairs[0]));
    let answer = ask(&gate, "GET", "/readyz").expect(503);
    assert!(answer.text().contains("[-]journal failed: sessions cannot be written down"), "{}", answer.text());
    assert!(answer.text().contains("File too large"), "{}", answer.text());
    ask(&gate, "GET", "/readyz?exclude=journal").expect(200);
    ask(&gate, "GET", "/livez").expect(200);
    lift_limit(&gate);
    recovers(&gate);
    ask(&gate, "GET", "/readyz").expect(200);
}

#[test]
fn it_recovers_by_itself_and_says_once_that_it_broke_and_once_that_it_is_well() {
    for (bytes, interval) in LIMITS.into_iter().flat_map(|bytes| [(bytes, "60s"), (bytes, "100ms")]) {
        let (gate, pairs) = rested(&[("store.snapshot_interval", interval)], 2);
        for (outage, pair) in (1..=2).zip(&pairs) {
            limit(&gate, bytes);
            unwritten(refresh(&gate, pair));
            until_tried(&gate, 1);
            // One that was due before the break was noticed.
            let snapshots = said(&gate, "the snapshot was not written");
            until_tried(&gate, 3);
            assert_eq!((said(&gate, BROKEN), said(&gate, MENDED)), (outage, outage - 1));
            assert_eq!(said(&gate, "the snapshot was not written"), snapshots);
            lift_limit(&gate);
            recovers(&gate);
            assert_eq!((said(&gate, BROKEN), said(&gate, MENDED)), (outage, outage));
        }
        for pair in &pairs {
            refresh(&gate, pair).expect(200);
        }
    }
}

#[test]
fn a_break_that_a_snapshot_mends_before_anybody_looks_is_said_all_the_same() {
    // The segment is full and the snapshot fits: the next one mends.
    let (gate, pairs) = rested(&[("store.snapshot_interval", "100ms")], 1);
    limit(&gate, 1000);
    let mut pair = pairs[0].clone();
    until("the segment to be full", || {
        let answer = refresh(&gate, &pair);
        if answer.status == 200 {
            pair = answer.clone();
        }
        (said(&gate, MENDED) > 0).then_some(())
    });
    assert_eq!(said(&gate, BROKEN), said(&gate, MENDED));
    until("the pair to be renewed", || Some(refresh(&gate, &pair)).filter(|answer| answer.status == 200));
}

#[test]
fn a_sign_in_that_was_refused_leaves_no_session() {
    for bytes in LIMITS {
        let (mut gate, _) = rested(&[], 2);
        let before = sessions(&gate);
        limit(&gate, bytes);
        for _ in 0..3 {
            unwritten(sign_in(&gate).send());
            assert_eq!(sessions(&gate), before);
        }
        gate.kill();
        let gate = gate.start_again();
        assert_eq!(sessions(&gate), before);
        limit(&gate, bytes);
        unwritten(sign_in(&gate).send());
        lift_limit(&gate);
        let late = recovers(&gate);
        let mut after = [before, vec![session_of(&late)]].concat();
        after.sort();
        assert_eq!(sessions(&gate), after);
        assert_eq!(sessions(&gate.restart()), after);
    }
}

#[test]
fn a_revocation_that_was_refused_holds_at_once_and_for_good() {
    for (bytes, kill) in LIMITS.into_iter().flat_map(|bytes| [(bytes, false), (bytes, true)]) {
        let (mut gate, pairs) = rested(&[], 3);
        limit(&gate, bytes);
        unwritten(revoke(&gate, &pairs[0]).send());
        unwritten(revoke(&gate, &pairs[1]).send());
        for pair in &pairs[..2] {
            assert_eq!(list(&gate, pair).expect_refusal(401).field("message"), "Token revoked");
            unwritten(refresh(&gate, pair));
        }
        lift_limit(&gate);
        gate.wait_for_log(MENDED);
        ended(&gate, &pairs[0]);
        // As the answer told to: try again. Nothing else has changed, or will.
        revoke(&gate, &pairs[1]).send().expect(204);
        if kill {
            gate.kill();
            gate = gate.start_again();
        } else {
            gate = gate.restart();
        }
        ended(&gate, &pairs[0]);
        ended(&gate, &pairs[1]);
        assert_eq!(sessions(&gate), [session_of(&pairs[2])]);
    }
}

#[test]
fn a_refresh_that_was_refused_can_be_repeated_and_has_one_successor() {
    for (bytes, first, kill) in
        LIMITS.into_iter().flat_map(|b| [(b, true, false), (b, false, false), (b, true, true), (b, false, true)])
    {
        let (mut gate, pairs) = rested(&[], 2);
        limit(&gate, bytes);
        if !first {
            // The journal is broken before the refresh comes.
            unwritten(sign_in(&gate).send());
        }
        unwritten(refresh(&gate, &pairs[0]));
        unwritten(refresh(&gate, &pairs[0]));
        lift_limit(&gate);
        recovers(&gate);
        if kill {
            gate.kill();
            gate = gate.start_again();
        }
        let next = refresh(&gate, &pairs[0]).expect(200);
        assert!(next.field("id").ends_with(".1"), "{}", next.field("id"));
        list(&gate, &next).expect(200);
        if first {
            // Nobody can know whether this answer arrives: asked again, it is the same one.
            let again = refresh(&gate, &pairs[0]).expect(200);
            assert_eq!(again.field("refresh_token"), next.field("refresh_token"));
        }
        let last = refresh(&gate, &next).expect(200);
        refresh(&gate, &pairs[0]).expect_refusal(401);
        ended(&gate, &last);
        list(&gate, &pairs[1]).expect(200);
    }
}

#[test]
fn a_record_that_was_written_in_part_is_cut() {
    let (mut gate, pairs) = rested(&[], 1);
    let segment = segment(&data(&gate)).unwrap();
    let before = length(&segment);
    limit(&gate, before + 10);
    unwritten(refresh(&gate, &pairs[0]));
    assert_eq!(length(&segment), before, "what nobody was told of is taken back");
    gate.kill();
    refresh(&gate.start_again(), &pairs[0]).expect(200);
}

#[test]
fn a_gate_that_is_told_to_end_while_it_cannot_write_says_so_and_loses_nothing() {
    for bytes in LIMITS {
        let (mut gate, pairs) = rested(&[], 2);
        let next = refresh(&gate, &pairs[0]).expect(200);
        limit(&gate, bytes);
        unwritten(sign_in(&gate).send());
        gate.signal("TERM");
        assert_eq!(gate.wait().code(), Some(1));
        let last = gate.wait_for_log("portcullis: ");
        assert!(last.contains("data/sessions.") && last.contains("File too large"), "{last}");
        let gate = gate.start_again();
        refresh(&gate, &next).expect(200);
        refresh(&gate, &pairs[1]).expect(200);
    }
}

/// Waits until so many attempts were made to write again. Each makes a file anew, which its directory shows.
#[track_caller]
fn until_tried(gate: &Gate, times: usize) {
    let mut seen = HashSet::new();
    until("the gate to try", || {
        seen.insert(fs::metadata(data(gate)).unwrap().modified().unwrap());
        // An attempt may show twice, when its file comes and when it goes.
        (seen.len() > 2 * times).then_some(())
    });
}
