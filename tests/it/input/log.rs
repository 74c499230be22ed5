//! The log, at its most talkative.

use http::Request;

use super::{Desk, REFRESH, SESSIONS, TOKEN};
use crate::support::exchange_h2;

#[test]
fn nothing_that_can_be_presented_is_logged_at_any_level() {
    let desk = Desk::with(|start| start.set("log.level", "trace").set("token.secret", crate::support::SECRET));
    desk.secrets.borrow_mut().push(crate::support::SECRET.into());
    let pair = desk.send(&desk.sign_in().body(r#"{"scopes":["messages:list","tokens:manage"]}"#)).expect(201);
    let next = desk.send(&desk.post(REFRESH).bearer(&pair.field("refresh_token"))).expect(200);
    let access = next.field("access_token");
    desk.send(&desk.post(TOKEN).bearer(&access).body(r#"{"scopes":["messages:list"]}"#)).expect(201);
    desk.send(&desk.gate.get(SESSIONS).bearer(&access)).expect(200);
    desk.send(&desk.gate.get("/3rdparty/v1/nowhere").bearer(&access)).expect(403);
    desk.send(&desk.post(TOKEN).basic("alice", "not-the-password").body("{}")).expect(401);
    desk.send(&desk.gate.get("/3rdparty/v1/messages").basic("bob", "builder")).expect(403);
    desk.send(&desk.post(REFRESH).bearer(&pair.field("refresh_token"))).expect(401);
    desk.send(&desk.post(REFRESH).bearer(&next.field("refresh_token"))).expect(401);
    for (target, authorization) in [
        ("/3rdparty/v1/nowhere", format!("Bearer {access}")),
        ("/3rdparty/v1/messages", "Basic Ym9iOmJ1aWxkZXI=".into()),
    ] {
        let request = Request::get(format!("http://{}{target}?token={access}", desk.gate.address));
        let request = request.header("authorization", authorization).header("cookie", format!("t={access}"));
        exchange_h2(desk.gate.address, request.body(&b""[..]).unwrap()).unwrap().expect(403);
    }
    let talk = desk.gate.log().iter().filter(|line| line.contains("TRACE") || line.contains("DEBUG")).count();
    assert!(talk > 0, "it says nothing more than usual");
    desk.unharmed();
}
