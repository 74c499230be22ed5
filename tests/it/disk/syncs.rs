//! A disk that takes every byte and fails at the sync: nobody can say then what is on it. Between the gate and the kernel
//! stands strace.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// Makes calls of the gate fail for as long as it lives.
struct Failing(Child);

impl Failing {
    #[track_caller]
    fn at(gate: &Gate, calls: &str) -> Self {
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={calls}:error=EIO"),
        ]);
        let mut child = strace.args(["-p", &gate.process().to_string()]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        // All threads are attached to when the first line comes.
        let first = said.next().unwrap().unwrap();
        assert!(first.contains("attached"), "{first}");
        std::thread::spawn(move || said.count());
        Self(child)
    }

    fn end(self) {}
}

impl Drop for Failing {
    fn drop(&mut self) {
        // Told to end it lets go of the gate; killed it might leave it stopped.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[test]
#[cfg_attr(not(can_strace), ignore = "strace is not on the PATH, or may not look at other processes")]
fn a_refresh_whose_sync_failed_can_be_repeated_also_if_its_record_has_stayed() {
    for calls in ["fdatasync", "fdatasync,ftruncate"] {
        for restart in [false, true] {
            let (mut gate, pairs) = rested(&[], 2);
            let failing = Failing::at(&gate, calls);
            unwritten(refresh(&gate, &pairs[0]));
            unwritten(revoke(&gate, &pairs[1]).send());
            unwritten(sign_in(&gate).send());
            list(&gate, &pairs[0]).expect(200);
            failing.end();
            recovers(&gate);
            if restart {
                gate.kill();
                gate = gate.start_again();
            }
            let next = refresh(&gate, &pairs[0]).expect(200);
            let again = refresh(&gate, &pairs[0]).expect(200);
            assert_eq!(again.field("refresh_token"), next.field("refresh_token"), "{calls}");
            refresh(&gate, &next).expect(200);
            ended(&gate, &pairs[1]);
        }
    }
}

#[test]
#[cfg_attr(not(can_strace), ignore = "strace is not on the PATH, or may not look at other processes")]
fn a_refresh_whose_sync_failed_can_be_repeated_after_a_kill() {
    let (mut gate, pairs) = rested(&[], 1);
    let segment = segment(&data(&gate)).unwrap();
    let before = length(&segment);
    let failing = Failing::at(&gate, "fdatasync");
    unwritten(refresh(&gate, &pairs[0]));
    assert_eq!(length(&segment), before, "what nobody was told of is taken back");
    gate.kill();
    drop(failing);
    let gate = gate.start_again();
    let next = refresh(&gate, &pairs[0]).expect(200);
    list(&gate, &next).expect(200);
    refresh(&gate, &pairs[0]).expect_refusal(401);
    ended(&gate, &next);
}
