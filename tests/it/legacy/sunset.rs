//! The end of passwords on API routes.

use super::{LIST, TOKEN};
use crate::admin::ask;
use crate::support::{Start, Upstream};

fn gate(settings: &[(&str, &str)]) -> (crate::support::Gate, Upstream) {
    let upstream = Upstream::start();
    let start = Start::before(upstream.address);
    (settings.iter().fold(start, |start, (key, value)| start.set(key, value)).start(), upstream)
}

#[test]
fn a_warning_goes_with_every_answer_to_a_password_and_no_other() {
    let (gate, _upstream) = gate(&[
        ("routes.basic_auth", "warn"),
        ("routes.basic_auth_since", "2025-01-01"),
        ("routes.basic_auth_until", "2099-06-01"),
        ("admin.listen", "127.0.0.1:0"),
    ]);
    for _ in 0..3 {
        let answer = gate.get(LIST).basic("alice", "wonderland").send().expect(200);
        assert_eq!(answer.header("deprecation"), Some("@1735689600"));
        assert_eq!(answer.header("sunset"), Some("Mon, 01 Jun 2099 00:00:00 GMT"));
    }
    let token = gate.alice(&["all:any"]).field("access_token");
    let answer = gate.get(LIST).bearer(&token).send().expect(200);
    assert_eq!((answer.header("deprecation"), answer.header("sunset")), (None, None));
    let told = gate.whole_log().iter().filter(|line| line.contains("basic_deprecated")).count();
    assert_eq!(told, 1, "each user is named once");
    let numbers = ask(&gate, "GET", "/metrics").expect(200);
    assert!(numbers.text().contains("\nportcullis_basic_uses_total{user=\"alice\"} 3.0\n"), "{}", numbers.text());
}

#[test]
fn after_the_day_a_password_is_refused_with_the_way_out() {
    let (gate, upstream) = gate(&[
        ("routes.basic_auth", "warn"),
        ("routes.basic_auth_since", "2024-01-01"),
        ("routes.basic_auth_until", "2025-01-01"),
    ]);
    let refusal = gate.get(LIST).basic("alice", "wonderland").send().expect_refusal(401);
    assert!(refusal.field("message").ends_with(&format!("use a token: POST {TOKEN}")), "{}", refusal.text());
    assert_eq!(refusal.header("www-authenticate"), Some("Bearer realm=\"portcullis\""));
    assert!(upstream.seen().is_empty());
    gate.alice(&["all:any"]);
}
