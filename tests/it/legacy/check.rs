//! Users who are known to the upstream alone.

use super::{CHECK, LIST, PASSWORD, Phone, list, sign_in};
use crate::support::{Start, until, user};

#[test]
fn whom_the_upstream_knows_gets_tokens_and_nobody_was_imported() {
    let phone = Phone::start();
    let gate = phone.gate().start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    assert_eq!(pair.claims("access_token")["sub"], "sms");
    assert_eq!(phone.presented(), [(CHECK.into(), Some(("sms".into(), PASSWORD.into())))]);
    list(&gate, &pair).expect(200);
    let pair = gate.refresh(&pair.field("refresh_token")).expect(200);
    list(&gate, &pair).expect(200);
    assert_eq!(phone.checks(), 1);
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_refused_alike_and_say_nothing_of_each_other() {
    let phone = Phone::start();
    let gate = phone.gate().start();
    let wrong = sign_in(&gate, "sms", "wrong").expect_refusal(401);
    let unknown = sign_in(&gate, "nobody", PASSWORD).expect_refusal(401);
    assert_eq!(wrong.text(), unknown.text());
    gate.get(LIST).basic("sms", "wrong").send().expect_refusal(401);
}

#[test]
fn an_upstream_that_is_down_or_undecided_is_no_verdict() {
    let phone = Phone::start();
    // Any of them would be one failure too many.
    let gate = phone.gate().set("limits.signin.user_burst", "1").start();
    for status in ["500 Oops", "404 Not Found", "302 Found", "429 Too Many Requests"] {
        phone.says(Some(status));
        let refusal = sign_in(&gate, "sms", PASSWORD).expect_refusal(503);
        assert!(refusal.header("retry-after").is_some());
        gate.get(LIST).basic("sms", "wrong").send().expect_refusal(503);
    }
    phone.says(None);
    sign_in(&gate, "sms", PASSWORD).expect(201);

    let gate = Start::alone().set("upstream.url", "http://127.0.0.1:1").set("users.check.path", CHECK).start();
    sign_in(&gate, "sms", PASSWORD).expect_refusal(503);
    gate.wait_for_log("passwords cannot be tried against the upstream");
}

#[test]
fn statuses_mean_what_the_operator_says() {
    let phone = Phone::start();
    let gate = phone.gate().set("users.check.accepted", "404").set("users.check.refused", "5xx").start();
    phone.says(Some("404 Not Found"));
    sign_in(&gate, "sms", "anything").expect(201);
    phone.says(Some("599 Odd"));
    sign_in(&gate, "sms", PASSWORD).expect_refusal(401);
}

#[test]
fn the_first_source_that_knows_a_name_decides() {
    let phone = Phone::start();
    let gate = phone.gate().users(&user("sms", "in the file", &["messages:send"], "")).start();
    // The upstream would say yes.
    for name in ["sms", "SMS", " sms"] {
        sign_in(&gate, name, PASSWORD).expect_refusal(401);
        gate.get(LIST).basic(name, PASSWORD).send().expect_refusal(401);
    }
    assert_eq!(phone.checks(), 0);
    gate.get(LIST).basic("sms", "in the file").send().expect_refusal(403);
    phone.set("zoe", "z");
    sign_in(&gate, "zoe", "z").expect(201);
}

#[test]
fn a_right_password_is_remembered_for_routes_and_never_for_tokens() {
    let phone = Phone::start();
    let gate = phone.gate().start();
    for _ in 0..3 {
        gate.get(LIST).basic("sms", PASSWORD).send().expect(200);
    }
    assert_eq!(phone.checks(), 1);
    sign_in(&gate, "sms", PASSWORD).expect(201);
    assert_eq!(phone.checks(), 2);
    phone.set("sms", "new");
    sign_in(&gate, "sms", PASSWORD).expect_refusal(401);
}

#[test]
fn a_changed_password_is_refused_when_the_memory_of_it_is_over() {
    let phone = Phone::start();
    let gate = phone.gate().set("limits.basic_cache_ttl", "300ms").start();
    gate.get(LIST).basic("sms", PASSWORD).send().expect(200);
    phone.set("sms", "new");
    until("the old password to be refused", || {
        let status = gate.get(LIST).basic("sms", PASSWORD).send().status;
        (status != 200).then(|| assert_eq!(status, 401))
    });
    gate.get(LIST).basic("sms", "new").send().expect(200);
}

#[test]
fn who_comes_into_the_users_file_is_the_files_from_then_on() {
    let phone = Phone::start();
    let gate = phone.gate().start();
    let pair = sign_in(&gate, "sms", PASSWORD).expect(201);
    gate.write_users(&user("sms", "in the file", &["messages:send"], ""));
    gate.wait_for_log("have ended");
    list(&gate, &pair).expect_refusal(401);
    gate.refresh(&pair.field("refresh_token")).expect_refusal(401);
}
