//! The table of verification: what each check refuses, and which refuses first.
//!
//! Guarantees: a token here is wrong in nothing but what its row says, and is signed with the right key.
//! Does not know: how signatures are computed; the keys room tests that.

use super::*;

/// A token in the making, good unless told otherwise.
struct Forgery<'a> {
    ring: &'a KeyRing,
    header: Value,
    claims: Value,
    by_refresh_key: bool,
    spoiled: bool,
}

impl<'a> Forgery<'a> {
    fn access(ring: &'a KeyRing) -> Self {
        let key = ring.current();
        let session = session(1, "anna", T0, &policy());
        Self {
            ring,
            header: json!({ "alg": key.algorithm().as_str(), "typ": "at+jwt", "kid": **key.kid() }),
            claims: claims(&mint(&session, ring, &policy()).access_token),
            by_refresh_key: false,
            spoiled: false,
        }
    }

    fn refresh(ring: &'a KeyRing) -> Self {
        let session = session(1, "anna", T0, &policy());
        Self {
            header: json!({ "alg": "HS256", "typ": "rt+jwt", "kid": **ring.current().kid() }),
            claims: claims(&mint(&session, ring, &policy()).refresh_token),
            by_refresh_key: true,
            ..Self::access(ring)
        }
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.header[name] = value.into();
        self
    }

    fn token(&self) -> String {
        signed(self.ring, &self.header.to_string(), &self.claims.to_string(), self.by_refresh_key, self.spoiled)
    }
}

fn signed(ring: &KeyRing, header: &str, claims: &str, by_refresh_key: bool, spoiled: bool) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let over = if spoiled { b"other".as_slice() } else { message.as_bytes() };
    let key = ring.current();
    let signature = if by_refresh_key { key.sign_refresh(over) } else { key.sign(over) };
    format!("{message}.{}", signature.unwrap())
}

fn ring() -> KeyRing {
    KeyRing::in_memory(Algorithm::HS256).unwrap()
}

fn reason<T>(outcome: Result<T, TokenError>) -> &'static str {
    outcome.map_or_else(|error| error.reason(), |_| "ok")
}

#[track_caller]
fn as_access(forgery: &Forgery<'_>, policy: &Policy, now: Timestamp, expected: &str) {
    let outcome = reason(access::verify(&forgery.token(), forgery.ring, policy, now));
    assert_eq!(outcome, expected, "{} {}", forgery.header, forgery.claims);
}

#[track_caller]
fn as_refresh(forgery: &Forgery<'_>, policy: &Policy, now: Timestamp, expected: &str) {
    let outcome = reason(refresh::verify(&forgery.token(), forgery.ring, policy, now));
    assert_eq!(outcome, expected, "{} {}", forgery.header, forgery.claims);
}

#[test]
fn of_several_faults_the_first_in_the_order_of_checks_is_named() {
    type Fault = (&'static str, fn(&mut Forgery<'_>));
    let faults: [Fault; 15] = [
        ("token_too_long", |it| it.claims["pad"] = "x".repeat(9000).into()),
        ("token_header", |it| it.header["crit"] = json!(["exp"])),
        ("token_unknown_key", |it| it.header["kid"] = "other".into()),
        ("token_algorithm", |it| it.header["alg"] = "none".into()),
        ("token_type", |it| it.header["typ"] = "JWT".into()),
        ("token_signature", |it| it.spoiled = true),
        ("token_claims", |it| it.claims["scopes"] = "messages:send".into()),
        ("token_issuer", |it| it.claims["iss"] = "other".into()),
        ("token_audience", |it| it.claims["aud"] = "other".into()),
        ("token_confirmation", |it| it.claims["cnf"] = json!({ "jkt": "x" })),
        ("token_expired", |it| it.claims["exp"] = 1_700_000_000.into()),
        ("token_not_yet_valid", |it| it.claims["nbf"] = 1_900_000_000.into()),
        ("token_issued_in_future", |it| it.claims["iat"] = 1_900_000_000.into()),
        ("token_kind", |it| it.claims["sid"] = "AAAAAAAAAAAAAAAA".into()),
        ("ok", |_| ()),
    ];
    let policy = Policy { audience: vec!["api".into()], ..policy() };
    for algorithm in Algorithm::ALL {
        let ring = KeyRing::in_memory(algorithm).unwrap();
        for (first, (expected, _)) in faults.iter().enumerate() {
            let mut forgery = Forgery::access(&ring).claim("aud", "api".into());
            for (_, fault) in &faults[first..] {
                fault(&mut forgery);
            }
            as_access(&forgery, &policy, T0, expected);
        }
    }
}

#[test]
fn a_text_that_is_no_token_is_refused() {
    let ring = ring();
    let good = Forgery::access(&ring).token();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    for bad in [
        String::new(),
        "..".into(),
        "....".into(),
        message.into(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}="),
        good.to_uppercase(),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        signed(&ring, "null", "{}", false, false),
        signed(&ring, "{}", "{}", false, false),
    ] {
        assert!(access::verify(&bad, &ring, &policy(), T0).is_err(), "{bad}");
        assert!(refresh::verify(&bad, &ring, &policy(), T0).is_err(), "{bad}");
    }
    assert_eq!(reason(access::verify(&good, &ring, &policy(), T0)), "ok");
}

#[test]
fn a_list_never_passes_for_an_object() {
    let ring = ring();
    let kid = ring.current().kid();
    let (object, list) =
        (format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#), format!(r#"["HS256","at+jwt","{kid}"]"#));
    let claims = Forgery::access(&ring).claims;
    let in_order = ["iss", "sub", "sub", "iat", "nbf", "exp", "jti", "sid", "scopes", "scopes"];
    let listed = json!(in_order.map(|name| claims[name].clone())).to_string();
    for (header, claims, expected) in [
        (&object, &claims.to_string(), "ok"),
        (&list, &claims.to_string(), "token_malformed"),
        (&object, &listed, "token_malformed"),
    ] {
        let token = signed(&ring, header, claims, false, false);
        assert_eq!(reason(access::verify(&token, &ring, &policy(), T0)), expected, "{header} {claims}");
    }
}

#[test]
fn the_length_limit_is_exact() {
    let ring = ring();
    let good = Forgery::access(&ring).token();
    for (limit, expected) in [(good.len() - 1, "token_too_long"), (good.len(), "ok")] {
        let policy = Policy { max_token_bytes: limit, ..policy() };
        assert_eq!(reason(access::verify(&good, &ring, &policy, T0)), expected);
    }
}

#[test]
fn a_header_holds_what_this_gateway_writes_and_nothing_else() {
    let ring = ring();
    for member in ["crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "cty", "zip", "enc", "ALG", "nonce"] {
        as_access(&Forgery::access(&ring).header(member, "x"), &policy(), T0, "token_header");
        as_refresh(&Forgery::refresh(&ring).header(member, "x"), &policy(), T0, "token_header");
    }
    let kid = ring.current().kid();
    for header in [
        "{}".into(),
        r#"{"alg":"HS256","typ":"at+jwt"}"#.into(),
        format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":["HS256"],"typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":null,"typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}x"#),
    ] {
        let token = signed(&ring, &header, &Forgery::access(&ring).claims.to_string(), false, false);
        assert_eq!(reason(access::verify(&token, &ring, &policy(), T0)), "token_header", "{header}");
    }
}

#[test]
fn a_header_as_we_write_it_is_judged_like_any_other() {
    for algorithm in Algorithm::ALL {
        let ring = KeyRing::in_memory(algorithm).unwrap();
        let (kid, claims) = (ring.current().kid(), Forgery::access(&ring).claims.to_string());
        for (typ, spoiled, at_jwt, jwt) in [
            ("at+jwt", false, "ok", "ok"),
            ("at+jwt", true, "token_signature", "token_signature"),
            ("JWT", false, "token_type", "ok"),
            ("JWT", true, "token_type", "token_signature"),
        ] {
            let ours = format!(r#"{{"alg":"{algorithm}","typ":"{typ}","kid":"{kid}"}}"#);
            let another = format!(r#"{{"kid":"{kid}", "typ":"{typ}", "alg":"{algorithm}"}}"#);
            assert!(ring.find_by_header(&URL_SAFE_NO_PAD.encode(&ours)).is_some());
            assert!(ring.find_by_header(&URL_SAFE_NO_PAD.encode(&another)).is_none());
            for header in [ours, another] {
                let token = signed(&ring, &header, &claims, false, spoiled);
                for (configured, expected) in [("at+jwt", at_jwt), ("JWT", jwt)] {
                    let policy = Policy { access_type: configured.into(), ..policy() };
                    assert_eq!(reason(access::verify(&token, &ring, &policy, T0)), expected, "{configured}: {header}");
                }
            }
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_tokens() {
    for of_key in Algorithm::ALL {
        let ring = KeyRing::in_memory(of_key).unwrap();
        for said in ["none", "None", "hs256", "HS256", "HS384", "HS512", "ES256", "RS256", "PS256", "EdDSA", ""] {
            let expected = if said == of_key.as_str() { "ok" } else { "token_algorithm" };
            as_access(&Forgery::access(&ring).header("alg", said), &policy(), T0, expected);
            let expected = if said == "HS256" { "ok" } else { "token_algorithm" };
            as_refresh(&Forgery::refresh(&ring).header("alg", said), &policy(), T0, expected);
        }
        // The signature of another key, under this key's name.
        let other = KeyRing::in_memory(of_key).unwrap();
        let stranger = Forgery::access(&other).header("kid", ring.current().kid()).token();
        assert_eq!(reason(access::verify(&stranger, &ring, &policy(), T0)), "token_signature", "{of_key}");
    }
}

#[test]
fn every_claim_is_required_and_typed() {
    let ring = ring();
    for name in ["iss", "sub", "iat", "nbf", "exp", "jti", "sid", "scopes"] {
        let mut forgery = Forgery::access(&ring);
        forgery.claims.as_object_mut().unwrap().remove(name);
        as_access(&forgery, &policy(), T0, "token_claims");
        for wrong in [json!(null), json!(true), json!({}), json!([1]), json!(-1), json!(1.5), json!([["a"]])] {
            as_access(&Forgery::access(&ring).claim(name, wrong), &policy(), T0, "token_claims");
        }
    }
    for name in ["iat", "nbf", "exp"] {
        for wrong in [json!("1800000000"), json!(1.8e9), json!([1_800_000_000])] {
            as_access(&Forgery::access(&ring).claim(name, wrong), &policy(), T0, "token_claims");
        }
    }
    as_access(&Forgery::access(&ring).claim("roles", "admin".into()), &policy(), T0, "token_claims");
    let twice = Forgery::access(&ring).claims.to_string().replacen('{', r#"{"exp":9999999999,"#, 1);
    let token = signed(&ring, &Forgery::access(&ring).header.to_string(), &twice, false, false);
    assert_eq!(reason(access::verify(&token, &ring, &policy(), T0)), "token_claims", "a claim said twice");
}

#[test]
fn an_audience_is_demanded_where_one_is_configured() {
    let ring = ring();
    let (one, two): (&[&str], &[&str]) = (&["api"], &["api", "web"]);
    for (configured, claim, expected) in [
        (&[][..], None, "ok"),
        (&[], Some(json!("anything")), "ok"),
        (&[], Some(json!([])), "ok"),
        (one, None, "token_audience"),
        (one, Some(json!("api")), "ok"),
        (one, Some(json!("API")), "token_audience"),
        (one, Some(json!("api ")), "token_audience"),
        (one, Some(json!("")), "token_audience"),
        (one, Some(json!(["api"])), "ok"),
        (one, Some(json!(["other", "api"])), "ok"),
        (one, Some(json!(["other"])), "token_audience"),
        (one, Some(json!([])), "token_audience"),
        (two, Some(json!("web")), "ok"),
        (two, Some(json!(["x", "web"])), "ok"),
        (two, Some(json!("api web")), "token_audience"),
        (one, Some(json!(null)), "token_claims"),
        (one, Some(json!(["api", 1])), "token_claims"),
        (one, Some(json!({ "api": true })), "token_claims"),
        (&[], Some(json!(7)), "token_claims"),
    ] {
        let policy = Policy { audience: configured.iter().map(|name| (*name).into()).collect(), ..policy() };
        let mut forgery = Forgery::access(&ring);
        if let Some(claim) = claim {
            forgery = forgery.claim("aud", claim);
        }
        as_access(&forgery, &policy, T0, expected);
    }
}

#[test]
fn the_issuer_is_compared_as_it_is() {
    let ring = ring();
    for issuer in ["", "Portcullis", "portcullis/", "portcullis ", "https://portcullis"] {
        as_access(&Forgery::access(&ring).claim("iss", issuer.into()), &policy(), T0, "token_issuer");
        as_refresh(&Forgery::refresh(&ring).claim("iss", issuer.into()), &policy(), T0, "token_issuer");
    }
    // Escapes are another spelling of the same text.
    let claims = Forgery::access(&ring).claims.to_string().replace("portcullis", "\\u0070ortcullis");
    let token = signed(&ring, &Forgery::access(&ring).header.to_string(), &claims, false, false);
    assert_eq!(reason(access::verify(&token, &ring, &policy(), T0)), "ok");
}

#[test]
fn the_edges_of_time_are_exact() {
    let ring = ring();
    let (at, second) = (T0.as_secs(), 1_000_000);
    for leeway in [0_i64, 30] {
        let policy = Policy { leeway: Duration::from_secs(leeway.unsigned_abs()), ..policy() };
        for (claim, now, expected) in [
            ("exp", leeway * second - 1, "ok"),
            ("exp", leeway * second, "token_expired"),
            ("exp", leeway * second + 1, "token_expired"),
            ("nbf", -leeway * second, "ok"),
            ("nbf", -leeway * second - 1, "token_not_yet_valid"),
            ("iat", -leeway * second, "ok"),
            ("iat", -leeway * second - 1, "token_issued_in_future"),
        ] {
            let forgery = Forgery::access(&ring)
                .claim("nbf", (at - 1000).into())
                .claim("iat", (at - 1000).into())
                .claim("exp", (at + 1000).into())
                .claim(claim, at.into());
            as_access(&forgery, &policy, moved(T0, now), expected);
            let verified = access::verify(&forgery.token(), &ring, &policy, moved(T0, -leeway * second));
            // What is asked again of a remembered token is the same question.
            if claim != "iat"
                && let Ok(verified) = verified
            {
                assert_eq!(reason(verified.check_time(moved(T0, now), &policy)), expected, "{claim}, remembered");
            }
        }
        let forgery = Forgery::refresh(&ring).claim("exp", at.into());
        as_refresh(&forgery, &policy, moved(T0, -1), "ok");
        as_refresh(&forgery, &policy, T0, "token_expired");
    }
    let forgery = Forgery::access(&ring).claim("exp", u64::MAX.into());
    as_access(&forgery, &policy(), T0, "ok");
}

#[test]
fn the_type_says_what_a_token_is() {
    let ring = ring();
    for (configured, typ, expected) in [
        ("at+jwt", "at+jwt", "ok"),
        ("at+jwt", "AT+JWT", "ok"),
        ("at+jwt", "JWT", "token_type"),
        ("at+jwt", "jwt", "token_type"),
        ("at+jwt", "application/at+jwt", "token_type"),
        ("at+jwt", "", "token_type"),
        ("at+jwt", "RT+JWT", "token_type"),
        ("at+jwt", "id+jwt", "token_type"),
        ("JWT", "JWT", "ok"),
        ("JWT", "jwt", "ok"),
        ("JWT", "at+jwt", "ok"),
        ("JWT", "RT+JWT", "token_type"),
        ("JWT", "JWE", "token_type"),
        // Authenticated by the key for access tokens, it is no refresh token.
        ("at+jwt", "rt+jwt", "token_signature"),
        ("JWT", "rt+jwt", "token_signature"),
    ] {
        let policy = Policy { access_type: configured.into(), ..policy() };
        as_access(&Forgery::access(&ring).header("typ", typ), &policy, T0, expected);
    }
}

#[test]
fn tokens_from_before_a_switch_to_the_old_type_stay_good() {
    let ring = ring();
    let old = Policy { access_type: "JWT".into(), ..policy() };
    let session = session(1, "anna", T0, &old);
    let (old_token, new_token) =
        (mint(&session, &ring, &old).access_token, mint(&session, &ring, &policy()).access_token);
    assert_eq!(reason(access::verify(&old_token, &ring, &old, T0)), "ok");
    assert_eq!(reason(access::verify(&new_token, &ring, &old, T0)), "ok");
    assert_eq!(reason(access::verify(&old_token, &ring, &policy(), T0)), "token_type");
}

#[test]
fn one_kind_of_token_never_passes_for_the_other() {
    for algorithm in Algorithm::ALL {
        let ring = KeyRing::in_memory(algorithm).unwrap();
        let (access, refresh) = (|| Forgery::access(&ring), || Forgery::refresh(&ring));
        as_access(&access(), &policy(), T0, "ok");
        as_refresh(&refresh(), &policy(), T0, "ok");
        as_access(&refresh(), &policy(), T0, "refresh_token_presented");
        as_refresh(&access(), &policy(), T0, "access_token_presented");

        // Only an authentic, current one is told what it is.
        let later = T0 + Duration::from_hours(9000);
        as_access(&refresh(), &policy(), later, "token_expired");
        as_refresh(&access(), &policy(), later, "token_expired");
        as_access(&Forgery { spoiled: true, ..refresh() }, &policy(), T0, "token_signature");
        as_refresh(&Forgery { spoiled: true, ..access() }, &policy(), T0, "token_signature");

        // An id of the other kind in a token that is right in all else.
        let (of_access, of_refresh) = (access().claims["jti"].clone(), refresh().claims["jti"].clone());
        as_access(&access().claim("jti", of_refresh), &policy(), T0, "token_kind");
        as_refresh(&refresh().claim("jti", of_access), &policy(), T0, "token_kind");
        for nonsense in ["", "x", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAA.", "AAAAAAAAAAAAAAAA.00"] {
            as_access(&access().claim("jti", nonsense.into()), &policy(), T0, "token_kind");
            as_refresh(&refresh().claim("jti", nonsense.into()), &policy(), T0, "token_kind");
        }
    }
}

#[test]
fn whoever_knows_the_signing_key_cannot_make_a_refresh_token() {
    let ring = ring();
    let forged = Forgery { by_refresh_key: false, ..Forgery::refresh(&ring) };
    as_refresh(&forged, &policy(), T0, "token_signature");
    let forged = Forgery { by_refresh_key: true, ..Forgery::access(&ring) };
    as_access(&forged, &policy(), T0, "token_signature");
}
