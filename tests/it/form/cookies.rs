//! The refresh token in a cookie, for pages in browsers (seed Z33).

use super::*;

const NAME: &str = "__Secure-refresh-token";
const APP: &str = "https://app.example";

#[track_caller]
fn cookie_gate(settings: &[(&str, &str)]) -> Gate {
    gate(&[&[("profiles.form.cookies", "true")][..], settings].concat())
}

/// A form, posted by a page of the gate's own origin.
fn own(gate: &Gate, path: &str, fields: &[(&str, &str)]) -> Call {
    post(gate, path, fields).header("Origin", &format!("http://{}", gate.address))
}

#[track_caller]
fn sign_in(gate: &Gate) -> Answer {
    own(gate, "/login", &[("username", "alice"), ("password", "wonderland")]).send().expect(200)
}

fn set(answer: &Answer) -> Vec<String> {
    answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.clone()).collect()
}

/// The token that both cookies hold, which have to be as they must.
#[track_caller]
fn kept(answer: &Answer) -> String {
    let cookies = set(answer);
    let token = cookies[0].strip_prefix(NAME).unwrap()[1..].split(';').next().unwrap().to_owned();
    let expected = ["/refresh", "/logout"]
        .map(|path| format!("{NAME}={token}; Path={path}; Max-Age=604800; HttpOnly; Secure; SameSite=Strict"));
    assert_eq!(cookies, expected);
    assert!(!token.is_empty() && !answer.text().contains(&token), "the token is in the body");
    token
}

fn with(call: Call, token: &str) -> Call {
    call.header("Cookie", &format!("theme=dark; {NAME}={token}"))
}

#[test]
fn the_token_is_in_two_cookies_and_never_in_a_body() {
    let gate = cookie_gate(&[]);
    let first = sign_in(&gate);
    let token = kept(&first);
    let mut names: Vec<_> = first.json().as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["accessToken", "expiresIn", "tokenType"]);
    list(&gate, &first).expect(200);

    let second = with(own(&gate, "/refresh", &[]), &token).send().expect(200);
    let next = kept(&second);
    assert_ne!(next, token);
    list(&gate, &second).expect(200);
    for line in gate.whole_log() {
        assert!(!line.contains(&token) && !line.contains(&next), "{line}");
    }
}

#[test]
fn a_cookie_lives_no_longer_than_what_it_holds() {
    let gate =
        cookie_gate(&[("profiles.form.refresh_ttl", "2h"), ("token.refresh_ttl", "2h"), ("token.session_ttl", "2h")]);
    for cookie in set(&sign_in(&gate)) {
        let seconds = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse::<u64>().unwrap();
        assert!((7190..=7200).contains(&seconds), "{cookie}");
    }
}

#[test]
fn a_page_needs_no_body_to_refresh_and_to_log_out() {
    let gate = cookie_gate(&[]);
    let token = kept(&sign_in(&gate));
    let bare = |path: &str| gate.post(path).header("Origin", &format!("http://{}", gate.address));
    let token = kept(&with(bare("/refresh"), &token).send().expect(200));
    refused(with(bare("/refresh").body("x"), &token).send(), 400, "Expected form-encoded data");
    let answer = with(bare("/logout"), &token).send().expect(200);
    let gone = ["/refresh", "/logout"]
        .map(|path| format!("{NAME}=; Path={path}; Max-Age=0; HttpOnly; Secure; SameSite=Strict"));
    assert_eq!(set(&answer), gone);
    refused(with(bare("/refresh"), &token).send(), 401, "Invalid or expired refresh token");
    // Idempotent, and as good without any cookie.
    assert_eq!(set(&bare("/logout").send().expect(200)), gone);
}

#[test]
fn without_its_cookie_a_browser_has_to_sign_in_and_loses_no_other_for_it() {
    let gate = cookie_gate(&[]);
    for call in [own(&gate, "/refresh", &[]), with(own(&gate, "/refresh", &[]), "x")] {
        let answer = refused(call.send(), 401, "Invalid or expired refresh token");
        // The cookie may be another tab's, which has just won a race.
        assert_eq!(set(&answer), [""; 0]);
    }
}

#[test]
fn nothing_is_chosen_from_two() {
    let gate = cookie_gate(&[]);
    let token = kept(&sign_in(&gate));
    let other = kept(&sign_in(&gate));
    for path in ["/refresh", "/logout"] {
        let twice = own(&gate, path, &[]).header("Cookie", &format!("{NAME}={token}; {NAME}={other}"));
        refused(twice.send(), 400, "More than one refresh token");
        let fields = with(own(&gate, path, &[]), &token).header("Cookie", &format!("{NAME}={other}"));
        refused(fields.send(), 400, "More than one refresh token");
        let both = with(own(&gate, path, &[("refreshToken", &token)]), &token);
        refused(both.send(), 400, "More than one refresh token");
        let body = own(&gate, path, &[("refreshToken", &token)]);
        refused(body.send(), 400, "The refresh token belongs in its cookie");
    }
    with(own(&gate, "/refresh", &[]), &token).send().expect(200);
    with(own(&gate, "/refresh", &[]), &other).send().expect(200);
}

#[test]
fn only_pages_of_ours_and_of_named_siblings_are_heard() {
    let gate = cookie_gate(&[("cors.allowed_origins", APP), ("cors.credentials", "true")]);
    let own = format!("http://{}", gate.address);
    let token = kept(&sign_in(&gate));
    let fields = [("username", "alice"), ("password", "wonderland")];
    let foreign = "Requests from this origin are not accepted";
    let missing = "Exactly one Origin header is required";
    for (origins, site, refusal) in [
        (&[][..], None, missing),
        (&[], Some("same-origin"), missing),
        (&[&*own, &*own], None, missing),
        (&["null"], None, foreign),
        (&["https://evil.example"], None, foreign),
        (&["https://evil.example"], Some("same-origin"), foreign),
        (&["http://127.0.0.1:1"], None, foreign),
        (&["http://127.0.0.1:1"], Some("same-site"), foreign),
        (&["https://app.example.evil"], None, foreign),
        (&[&*own], Some("cross-site"), foreign),
        (&[&*own], Some("none"), foreign),
        (&[APP], Some("cross-site"), foreign),
    ] {
        for path in ["/login", "/refresh", "/logout"] {
            let mut call = with(post(&gate, path, &fields), &token);
            for origin in origins {
                call = call.header("Origin", origin);
            }
            if let Some(site) = site {
                call = call.header("Sec-Fetch-Site", site);
            }
            assert_eq!(set(&refused(call.send(), 403, refusal)), [""; 0], "{path} {origins:?} {site:?}");
        }
    }
    for (origin, site) in
        [(&*own, None), (&own, Some("same-origin")), (APP, None), (APP, Some("same-site")), (APP, Some("same-origin"))]
    {
        let call = post(&gate, "/login", &fields).header("Origin", origin);
        let call = if let Some(site) = site { call.header("Sec-Fetch-Site", site) } else { call };
        call.send().expect(200);
    }
    // Nothing of all this has used the token.
    with(super::post(&gate, "/refresh", &[]).header("Origin", &own), &token).send().expect(200);
}

#[test]
fn anybodys_origin_is_nobody_whom_the_operator_vouches_for() {
    let gate = cookie_gate(&[("cors.allowed_origins", "*")]);
    let call = post(&gate, "/login", &[("username", "alice"), ("password", "wonderland")]);
    refused(call.header("Origin", "https://evil.example").send(), 403, "Requests from this origin are not accepted");
}

#[test]
fn behind_a_trusted_proxy_its_host_is_ours() {
    let fields = [("username", "alice"), ("password", "wonderland")];
    let call = |gate: &Gate, origin: &str| {
        let call = post(gate, "/login", &fields).header("X-Forwarded-Host", "gate.example");
        call.header("X-Forwarded-Proto", "https").header("Origin", origin).send()
    };
    let trusting = cookie_gate(&[("server.trusted_proxies", "127.0.0.1")]);
    call(&trusting, "https://gate.example").expect(200);
    call(&trusting, &format!("http://{}", trusting.address)).expect(403);
    call(&cookie_gate(&[]), "https://gate.example").expect(403);
}

#[test]
fn our_cookie_does_not_reach_the_upstream() {
    let upstream = Upstream::start();
    let route =
        "[[route]]\npath = \"/*\"\naccess = \"public\"\n[[route]]\npath = \"/hooks/*\"\naccess = \"passthrough\"\n";
    let start = Start::before(upstream.address).config_file(route).set("profiles.form.enabled", "true");
    let gate = start.set("profiles.form.cookies", "true").start();
    let pair = sign_in(&gate);
    let token = kept(&pair);
    for path in ["/", "/refreshing", "/hooks/a", LIST] {
        let call = || gate.get(path).bearer(&pair.field("accessToken"));
        with(call(), &token).send().expect(200);
        call().header("Cookie", &format!("{NAME}={token}")).send().expect(200);
    }
    gate.get("/refresh/x").header("Cookie", &format!("{NAME}={token}")).send().expect(404);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 8);
    for (at, request) in seen.iter().enumerate() {
        assert_eq!(request.header("cookie"), (at % 2 == 0).then_some("theme=dark"), "{}", request.target);
    }
}

#[test]
fn all_tabs_that_refresh_at_once_get_the_same_cookie() {
    let gate = cookie_gate(&[("token.retry_window", "30s")]);
    let token = kept(&sign_in(&gate));
    let tabs: Vec<_> = std::thread::scope(|scope| {
        let tab = || kept(&with(own(&gate, "/refresh", &[]), &token).send().expect(200));
        let tabs: Vec<_> = (0..4).map(|_| scope.spawn(tab)).collect();
        tabs.into_iter().map(|tab| tab.join().unwrap()).collect()
    });
    assert!(tabs.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn a_replica_hands_cookies_over_and_back() {
    let settings = |start: Start| {
        let start = start.set("profiles.form.enabled", "true").set("profiles.form.cookies", "true");
        start.set("cors.allowed_origins", APP).set("cors.credentials", "true")
    };
    let primary = settings(Start::before(Upstream::start().address)).start();
    let replica = settings(Start::before(Upstream::start().address))
        .set("data_dir", primary.folder().join("data").to_str().unwrap())
        .set("store.kind", "replica")
        .set("store.primary_url", &format!("http://{}", primary.address))
        .start();
    let token = kept(&sign_in(&replica));
    let answer = with(post(&replica, "/refresh", &[]).header("Origin", APP), &token).send().expect(200);
    kept(&answer);
    let said = answer.headers.iter().filter(|(name, _)| name == "access-control-allow-origin");
    assert_eq!(said.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [APP]);
    post(&replica, "/refresh", &[]).header("Origin", "https://evil.example").send().expect(403);
}
