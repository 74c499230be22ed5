//! The shortest way through.

use crate::support::{Start, Upstream};

#[test]
fn a_signed_in_user_reaches_the_upstream_as_themselves() {
    let upstream = Upstream::start();
    let gate = Start::before(upstream.address).start();
    let pair = gate.alice(&["messages:list"]);
    gate.get("/3rdparty/v1/messages?limit=1").bearer(&pair.field("access_token")).send().expect(200);
    let seen = upstream.only();
    assert_eq!(seen.target, "/3rdparty/v1/messages?limit=1");
    assert_eq!(seen.header("x-auth-subject"), Some("alice"));
    assert_eq!(seen.header("authorization"), None);
}
