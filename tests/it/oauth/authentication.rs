//! How clients prove themselves, at all three endpoints alike.

use super::*;

const PATHS: [&str; 3] = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"];

#[test]
fn by_basic_with_both_parts_encoded_or_by_form() {
    let gate = gate(&[]);
    let grant = ("grant_type", "client_credentials");
    post(&gate, "/oauth/token", &[grant]).header("Authorization", &basic("reports", ODD)).send().expect(200);
    post(&gate, "/oauth/token", &[grant, ("client_id", "reports"), ("client_secret", ODD)]).send().expect(200);
    // The id may be said once more beside Basic.
    let call = post(&gate, "/oauth/token", &[grant, ("client_id", "reports")]);
    call.header("Authorization", &basic("reports", ODD)).send().expect(200);
}

#[test]
fn by_basic_also_as_programs_send_it_that_leave_the_encoding_out() {
    let gate = gate(&[]);
    for _ in 0..2 {
        let fields = [("grant_type", "client_credentials"), ("token", "x")];
        PATHS.iter().for_each(|path| drop(post(&gate, path, &fields).basic("reports", ODD).send().expect(200)));
        own(&gate, "reports");
    }
    // What is encoded is decoded once; encoded twice it is neither reading.
    let twice: String = form_urlencoded::byte_serialize(ODD.as_bytes()).collect();
    let call = post(&gate, "/oauth/token", &[("grant_type", "client_credentials")]);
    refused(call.header("Authorization", &basic("reports", &twice)).send(), 401, "invalid_client");
    // A secret in a form has one reading.
    let fields = [("grant_type", "client_credentials"), ("client_id", "reports"), ("client_secret", &*twice)];
    refused(post(&gate, "/oauth/token", &fields).send(), 401, "invalid_client");
}

#[test]
fn a_secret_that_reads_in_two_ways_is_one_guess() {
    let gate = gate(&[("limits.signin.user_burst", "3")]);
    let guess = |secret| post(&gate, "/oauth/token", &[("grant_type", "client_credentials")]).basic("reports", secret);
    for secret in ["wrong+1", "wrong%2B1", "wrong+2"] {
        refused(guess(secret).send(), 401, "invalid_client");
    }
    refused(guess("wrong+3").send(), 429, "slow_down");
    refused(guess(ODD).send(), 429, "slow_down");
}

#[test]
fn who_is_not_a_client_is_told_nothing_but_that() {
    let gate = gate(&[]);
    let mut texts = Vec::new();
    for path in PATHS {
        let fields = [("token", "x"), ("grant_type", "client_credentials")];
        let call = |more: &[(&str, &str)]| post(&gate, path, &[&fields, more].concat());
        let mut no = |call: Call| texts.push(refused(call.send(), 401, "invalid_client").text());
        no(call(&[]));
        no(call(&[]).header("Authorization", &basic("reports", "wrong")));
        no(call(&[]).header("Authorization", &basic("nobody", ODD)));
        no(call(&[]).header("Authorization", &basic("reports", "")));
        no(call(&[]).header("Authorization", &basic("phone", "guess")));
        // A user is no client.
        no(call(&[]).basic("bob", "builder"));
        no(call(&[]).basic("alice", "wonderland"));
        no(call(&[]).header("Authorization", "Basic !"));
        no(call(&[]).header("Authorization", "Basic YWJj"));
        no(call(&[]).header("Authorization", "Digest x"));
        no(call(&[]).bearer(&own(&gate, "reports").field("access_token")));
        no(call(&[("client_id", "reports")]));
        no(call(&[("client_id", "nobody")]));
        no(call(&[("client_secret", ODD)]));
        no(call(&[("client_id", "reports"), ("client_secret", "wrong")]));
        no(call(&[("client_id", "phone"), ("client_secret", "guess")]));
        no(call(&[("client_id", "client:reports"), ("client_secret", ODD)]));
        no(call(&[("client_id", "REPORTS"), ("client_secret", ODD)]));
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn two_ways_at_once_are_none() {
    let gate = gate(&[]);
    for path in PATHS {
        let fields = [("token", "x"), ("grant_type", "client_credentials")];
        let call = |more: &[(&str, &str)]| {
            post(&gate, path, &[&fields, more].concat()).header("Authorization", &basic("reports", ODD))
        };
        refused(call(&[("client_secret", ODD)]).send(), 400, "invalid_request");
        refused(call(&[("client_id", "web")]).send(), 400, "invalid_request");
        refused(call(&[]).header("Authorization", &basic("web", "web-secret")).send(), 400, "invalid_request");
        let twice = [("client_id", "reports"), ("client_id", "reports"), ("client_secret", ODD)];
        refused(post(&gate, path, &[&fields, &twice[..]].concat()).send(), 400, "invalid_request");
    }
}

#[test]
fn guesses_at_a_secret_are_limited_also_where_the_right_one_was_seen_before() {
    let gate = gate(&[("limits.signin.user_burst", "2")]);
    own(&gate, "reports");
    let wrong = || {
        post(
            &gate,
            "/oauth/token",
            &[("grant_type", "client_credentials"), ("client_id", "reports"), ("client_secret", "wrong")],
        )
    };
    for _ in 0..2 {
        refused(wrong().send(), 401, "invalid_client");
    }
    let throttled = token(&gate, "reports", &[("grant_type", "client_credentials")]);
    assert!(refused(throttled, 429, "slow_down").header("retry-after").is_some());
    // Neither another client nor a user of that name has to answer for it.
    own(&gate, "alice");
    gate.alice(&["messages:list"]);
}

#[test]
fn guesses_at_a_client_do_not_lock_out_the_user_of_that_name() {
    let gate = gate(&[("limits.signin.user_burst", "2")]);
    for _ in 0..2 {
        let fields = [("grant_type", "client_credentials"), ("client_id", "alice"), ("client_secret", "wrong")];
        refused(post(&gate, "/oauth/token", &fields).send(), 401, "invalid_client");
    }
    refused(token(&gate, "alice", &[("grant_type", "client_credentials")]), 429, "slow_down");
    gate.alice(&["messages:list"]);
}

#[test]
fn a_secret_is_written_nowhere() {
    let gate = gate(&[]);
    own(&gate, "reports");
    alice(&gate, "web");
    let fields = [("grant_type", "client_credentials"), ("client_id", "guard"), ("client_secret", "hunter2hunter2")];
    refused(post(&gate, "/oauth/token", &fields).send(), 401, "invalid_client");
    let log = gate.whole_log().join("\n");
    for secret in ["web-secret", "hunter2", "wonderland", "$2b$"] {
        assert!(!log.contains(secret), "{secret}");
    }
}
