//! Kills at every stage of an outage: what was acknowledged before, during and after is there at the next start.

use super::*;

/// When the gate is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The disk refuses, and nobody has found out.
    Unnoticed,
    Refused,
    /// Attempts to write again have failed.
    Tried,
    /// The disk works again, and nobody has found out.
    Lifted,
    Recovered,
}

const STAGES: [Stage; 5] = [Stage::Unnoticed, Stage::Refused, Stage::Tried, Stage::Lifted, Stage::Recovered];

#[test]
fn nothing_acknowledged_is_lost_whenever_it_is_killed() {
    for (stage, bytes) in STAGES.into_iter().flat_map(|stage| [(stage, 0), (stage, 42)]) {
        survives(stage, bytes);
    }
}

#[track_caller]
fn survives(stage: Stage, bytes: u64) {
    let case = format!("{stage:?}, {bytes}");
    let (mut gate, pairs) = rested(&[], 6);
    let [idle, renewed, revoked, retried, doubtful, later] = pairs.try_into().unwrap();
    let next = refresh(&gate, &renewed).expect(200);
    revoke(&gate, &revoked).send().expect(204);
    let mut alive = [&idle, &next, &retried, &later].map(session_of).to_vec();

    limit(&gate, bytes);
    if stage != Stage::Unnoticed {
        unwritten(refresh(&gate, &retried));
        unwritten(revoke(&gate, &doubtful).send());
        unwritten(sign_in(&gate).send());
    }
    if matches!(stage, Stage::Tried | Stage::Lifted) {
        gate.wait_for_log(BROKEN);
        list(&gate, &idle).expect(200);
    }
    if matches!(stage, Stage::Lifted | Stage::Recovered) {
        lift_limit(&gate);
    }
    let mut renewed_later = None;
    if stage == Stage::Recovered {
        alive.push(session_of(&recovers(&gate)));
        renewed_later = Some(refresh(&gate, &later).expect(200));
    }
    gate.kill();

    let gate = gate.start_again();
    ended(&gate, &revoked);
    let holds = list(&gate, &doubtful).status == 401;
    assert!(holds || stage != Stage::Recovered, "{case}: a revocation that held is undone");
    if !holds {
        alive.push(session_of(&doubtful));
    }
    alive.sort();
    assert_eq!(sessions(&gate), alive, "{case}");
    for pair in [&idle, &next, &retried, renewed_later.as_ref().unwrap_or(&later)] {
        list(&gate, pair).expect(200);
        list(&gate, &refresh(&gate, pair).expect(200)).expect(200);
    }
    refresh(&gate, &renewed).expect_refusal(401);
    ended(&gate, &next);
}
