//! A start on a disk that takes nothing: it says why it ends, and the next one finds everything.

use super::*;
use crate::support::Run;

/// Tries to start on what is in the gate's folder, and returns what was said.
#[track_caller]
fn fails(folder: &Path) -> String {
    let ended = Run::writing_nothing(folder, &["serve", "--listen", "127.0.0.1:0"]).end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(!ended.stderr.contains("listening") && !ended.stderr.contains("panicked"), "{ended:#?}");
    ended.stderr.lines().find(|line| line.starts_with("portcullis: ")).unwrap().to_owned()
}

#[test]
fn a_first_start_says_which_file_and_the_next_one_begins_as_if_there_had_been_none() {
    let start = Start::before(Upstream::start().address);
    let said = fails(start.path());
    assert!(said.contains("data/keys/") && said.contains("File too large"), "{said}");
    let gate = start.start();
    let pair = gate.alice(&["messages:list"]);
    refresh(&gate.restart(), &pair).expect(200);
}

#[test]
fn a_start_with_sessions_says_which_file_and_keeps_them() {
    for kill in [false, true] {
        let (mut gate, pairs) = rested(&[], 2);
        let next = refresh(&gate, &pairs[0]).expect(200);
        if kill {
            gate.kill();
        } else {
            gate.stop();
        }
        for _ in 0..2 {
            let said = fails(&gate.folder());
            assert!(said.contains("data/sessions.journal.") && said.contains("File too large"), "{said}");
        }
        let gate = gate.start_again();
        refresh(&gate, &next).expect(200);
        refresh(&gate, &pairs[1]).expect(200);
        refresh(&gate, &pairs[0]).expect_refusal(401);
    }
}
