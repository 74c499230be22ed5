//! `store inspect`: the summary, single sessions, the journal.

use serde_json::json;

use super::{Life, RECORDS, damage, sid};
use crate::support::{Run, Start, Upstream, until};

#[test]
fn the_summary_counts() {
    let life = Life::killed();
    let [summary] = &life.lines(&["inspect", "--json"])[..] else { panic!("more than one line") };
    for (name, value) in [
        ("live", json!(2)),
        ("expired", json!(0)),
        ("users", json!(2)),
        ("tombstones", json!(1)),
        ("next_sequence", json!(RECORDS + 1)),
        ("in_use", json!(false)),
        ("snapshot", json!(null)),
    ] {
        assert_eq!(summary[name], value, "{name}: {summary}");
    }
    let text = life.store(&["inspect"]).expect(0).stdout;
    for line in ["sessions       2 live, 0 expired", "tombstones     1", "snapshot       none", "next sequence  7"] {
        assert!(text.lines().any(|found| found == line), "no {line}: {text}");
    }
    let Life { gate, refreshed, untouched, revoked } = life;
    let mut gate = gate.start_again();
    gate.stop();
    let life = Life { gate, refreshed, untouched, revoked };
    let snapshot = life.lines(&["inspect", "--json"])[0]["snapshot"].clone();
    assert_eq!((&snapshot["format"], &snapshot["covers"]), (&json!(2), &json!(RECORDS)), "{snapshot}");
    assert!(snapshot["age"].as_u64().unwrap() < 600 && snapshot["bytes"].as_u64().unwrap() > 100, "{snapshot}");
}

#[test]
fn sessions_that_have_expired_are_told_apart() {
    let start = Start::before(Upstream::start().address);
    let mut gate = start.set("token.access_ttl", "1s").set("token.refresh_ttl", "1s").start();
    gate.alice(&["messages:list"]);
    gate.signal("KILL");
    gate.wait();
    let inspect = || Run::new(&gate.folder(), &["store", "inspect"]).end().expect(0).stdout;
    until("the session to expire", || inspect().contains("sessions       0 live, 1 expired\n").then_some(()));
    let ended = Run::new(&gate.folder(), &["store", "inspect", "--subject", "alice"]).end().expect(0);
    assert!(ended.stdout.lines().next().unwrap().ends_with(" (expired)"), "{ended:#?}");
}

#[test]
fn a_session_is_found_live_or_ended_and_else_said_to_be_unknown() {
    let life = Life::ended();
    let id = |pair| format!("--session={}", sid(pair));
    let live = life.lines(&["inspect", &id(&life.refreshed), "--json"]);
    assert_eq!((live.len(), &live[0]["generation"]), (1, &json!(2)));
    let text = life.store(&["inspect", &id(&life.refreshed)]).expect(0).stdout;
    assert!(text.starts_with(&format!("session          {}\n", sid(&life.refreshed))), "{text}");
    assert!(text.contains("\n  subject          \"alice\"\n") && text.contains("\n  generation       2\n"), "{text}");
    let ended = life.lines(&["inspect", &id(&life.revoked), "--json"]);
    assert_eq!((ended.len(), &ended[0]["kind"]), (1, &json!("tombstone")));
    // Ids may begin with a hyphen.
    let unknown = life.store(&["inspect", "--session", "-AAAAAAAAAAAAAAA"]).expect(1);
    assert_eq!(unknown.stderr, "portcullis: data: no session -AAAAAAAAAAAAAAA is known here\n");
}

#[test]
fn filters_take_what_they_say() {
    let life = Life::ended();
    for (subject, expected) in [("alice", Some(&life.refreshed)), ("bob", Some(&life.untouched)), ("eve", None)] {
        let found = life.lines(&["inspect", "--subject", subject, "--json"]);
        let ids: Vec<_> = found.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, expected.map(sid).into_iter().collect::<Vec<_>>(), "{subject}");
    }
    let text = life.store(&["inspect", "--tombstones"]).expect(0).stdout;
    assert!(text.starts_with(&format!("tombstone        {}  until 2", sid(&life.revoked))), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn the_journal_is_listed_record_by_record() {
    let life = Life::killed();
    let (first, bob, third) = (sid(&life.refreshed), sid(&life.untouched), sid(&life.revoked));
    let expected = [
        (json!("session"), &first, json!("alice"), json!(0)),
        (json!("session"), &bob, json!("bob"), json!(0)),
        (json!("session"), &third, json!("alice"), json!(0)),
        (json!("session"), &first, json!("alice"), json!(1)),
        (json!("tombstone"), &third, json!(null), json!(null)),
        (json!("session"), &first, json!("alice"), json!(2)),
    ];
    let lines = life.lines(&["inspect", "--journal", "--json"]);
    assert_eq!(lines.len(), RECORDS);
    for (index, (line, (kind, id, subject, generation))) in lines.iter().zip(expected).enumerate() {
        assert_eq!(line["sequence"], index + 1);
        let found = (&line["kind"], line["session"].as_str().unwrap(), &line["subject"], &line["generation"]);
        assert_eq!(found, (&kind, &**id, &subject, &generation), "{line}");
    }
    assert_eq!(life.lines(&["inspect", "--journal", "--from", "5", "--json"]), lines[4..]);
    let text = life.store(&["inspect", "--journal", "--from", "5"]).expect(0).stdout;
    assert!(text.starts_with(&format!("5  tombstone  {third}  until 2")), "{text}");
    assert!(life.lines(&["inspect", "--journal", "--from", "99"]).is_empty());
    // What a start refuses is listed as far as it can be.
    let offset = damage(&life.segment(), 1);
    let damaged = life.lines(&["inspect", "--journal", "--json"]);
    assert_eq!((&damaged[1]["kind"], &damaged[1]["offset"]), (&json!("unreadable"), &json!(offset)), "{damaged:?}");
    assert_eq!((&damaged[0], &damaged[2..]), (&lines[0], &lines[2..]));
}
