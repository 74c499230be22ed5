//! Tokens that are bound to certificates (RFC 8705): who can use them, who can renew them, and what routes ask for.

use std::io::{BufReader, Write};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Request;
use rcgen::SanType;
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::HandshakeKind;

use super::mutual::{asking, client};
use super::{Authority, Client, Line, Pair, authority, connect, put, start};
use crate::issuers::provider::{Key, claims, set};
use crate::support::dialect::client as oauth_client;
use crate::support::forge::{self, encode, with};
use crate::support::{Answer, Call, Dialect, Gate, Start, Tokens, Upstream, exchange_h2_over, until};

const LIST: &str = "/3rdparty/v1/messages";
const DIALECTS: [Dialect; 4] = [Dialect::Smsgate, Dialect::Form, Dialect::Web, Dialect::Phone];

/// An upstream and two authorities: ours, and that of the clients.
struct World {
    upstream: Upstream,
    ours: Authority,
    trusted: Authority,
}

impl World {
    fn new() -> Self {
        Self { upstream: Upstream::start(), ours: authority("ours"), trusted: authority("clients") }
    }

    /// A gate that speaks every dialect, and asks for certificates where `demand` says so.
    fn before(&self, demand: &str, more: &str) -> Start {
        asking(Dialect::all(start(&self.upstream, &self.ours), more), &self.trusted, demand)
    }

    fn gate(&self, demand: &str) -> Gate {
        self.before(demand, "").start()
    }

    /// A certificate that names `uri`: another one each time.
    fn client(&self, uri: &str) -> Pair {
        client(&self.trusted, 1, |it| it.subject_alt_names = vec![SanType::URI(uri.to_owned().try_into().unwrap())])
    }

    fn line(&self, gate: &Gate, shows: Option<&Pair>) -> Result<Line, String> {
        Client { shows, ..Client::new(&self.ours) }.connect(gate.address, "localhost")
    }

    /// One call on a connection of its own.
    #[track_caller]
    fn send(&self, gate: &Gate, shows: Option<&Pair>, call: &Call) -> Answer {
        on(&mut self.line(gate, shows).unwrap(), call)
    }

    /// The same over HTTP/2.
    #[track_caller]
    fn send_h2(&self, gate: &Gate, shows: Option<&Pair>, path: &str, token: &str) -> Answer {
        let config = Client { shows, alpn: &["h2"], ..Client::new(&self.ours) }.config();
        let request =
            Request::get(format!("https://localhost{path}")).header("authorization", format!("Bearer {token}"));
        let request = request.body(Bytes::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(gate.address).await.unwrap();
            let name = "localhost".try_into().unwrap();
            let stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
            exchange_h2_over(stream, request).await.unwrap()
        })
    }

    #[track_caller]
    fn list(&self, gate: &Gate, shows: Option<&Pair>, token: &str) -> Answer {
        self.send(gate, shows, &gate.get(LIST).bearer(token))
    }

    #[track_caller]
    fn alice(&self, gate: &Gate, shows: Option<&Pair>, dialect: Dialect) -> Tokens {
        dialect.tokens(&self.send(gate, shows, &signing_in(gate, dialect)))
    }

    fn refresh(&self, gate: &Gate, shows: Option<&Pair>, dialect: Dialect, token: &str) -> Answer {
        self.send(gate, shows, &dialect.refreshing(gate, token))
    }

    #[track_caller]
    fn refreshed(&self, gate: &Gate, shows: Option<&Pair>, dialect: Dialect, token: &str) -> Tokens {
        dialect.tokens(&self.refresh(gate, shows, dialect, token).expect(200))
    }
}

#[track_caller]
fn on(line: &mut Line, call: &Call) -> Answer {
    line.write_all(&call.raw()).unwrap();
    Answer::read(&mut BufReader::new(line)).expect("the gate answers")
}

fn signing_in(gate: &Gate, dialect: Dialect) -> Call {
    let form = [("grant_type", "password"), ("username", "alice"), ("password", "wonderland")];
    match dialect {
        Dialect::Smsgate => {
            let call = gate.post("/3rdparty/v1/auth/token").basic("alice", "wonderland");
            call.json(&json!({ "scopes": ["all:any"] }))
        }
        Dialect::Form | Dialect::Cookie => gate.post("/login").form(&form[1..]),
        Dialect::Web => oauth_client(gate, "web", "/oauth/token", &form),
        Dialect::Phone => oauth_client(gate, "phone", "/oauth/token", &form),
    }
}

/// The claim of a token that is bound to this certificate.
fn bound_to(pair: &Pair) -> Value {
    json!({ "x5t#S256": encode(digest(&SHA256, pair.certificate.der())) })
}

fn binding(token: &str) -> Option<Value> {
    forge::parts(token).1.get("cnf").cloned()
}

/// Why a request was refused.
#[track_caller]
fn reason(gate: &Gate, answer: &Answer) -> String {
    let id = answer.header("x-request-id").unwrap();
    let line =
        until("its line", || gate.log().into_iter().find(|line| line.contains(id) && line.contains("\"reason\"")));
    serde_json::from_str::<Value>(&line).unwrap()["reason"].as_str().unwrap().to_owned()
}

#[track_caller]
fn refused(gate: &Gate, answer: Answer, status: u16, expected: &str) {
    let answer = answer.expect_refusal(status);
    if status == 401 {
        assert_eq!(answer.field("error"), "invalid_token");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "), "{:?}", answer.headers);
    }
    assert_eq!(reason(gate, &answer), expected);
}

#[test]
fn a_token_is_good_on_connections_with_its_certificate_alone() {
    let world = World::new();
    let (own, theirs, renewed) =
        (world.client("spiffe://e/a"), world.client("spiffe://e/b"), world.client("spiffe://e/a"));
    let gate = world.gate("optional");
    for dialect in DIALECTS {
        let pair = world.alice(&gate, Some(&own), dialect);
        assert_eq!(binding(&pair.access), Some(bound_to(&own)), "{dialect:?}");
        // By turns, on both workers: what one connection may do is nothing that another one learns.
        for _ in 0..3 {
            for (shows, status) in [(Some(&own), 200), (Some(&theirs), 401), (None, 401), (Some(&renewed), 401)] {
                let answers = [world.list(&gate, shows, &pair.access), world.send_h2(&gate, shows, LIST, &pair.access)];
                for answer in answers {
                    if status == 200 {
                        answer.expect(200);
                    } else {
                        refused(&gate, answer, status, "token_certificate");
                    }
                }
            }
        }
    }
    for seen in world.upstream.seen() {
        assert_eq!(seen.all("x-auth-certificate"), ["URI=spiffe://e/a"]);
    }
    let pair = world.alice(&gate, Some(&own), Dialect::Smsgate);
    let child = gate.post("/3rdparty/v1/auth/token").bearer(&pair.access).json(&json!({ "scopes": ["messages:list"] }));
    let sessions = gate.get("/3rdparty/v1/auth/sessions").bearer(&pair.access);
    for call in [&child, &sessions] {
        for shows in [None, Some(&theirs)] {
            refused(&gate, world.send(&gate, shows, call), 401, "token_certificate");
        }
        assert!(world.send(&gate, Some(&own), call).status < 300);
    }
}

#[test]
fn what_a_connection_has_shown_holds_for_all_its_requests_and_when_it_is_resumed() {
    let world = World::new();
    let (own, theirs) = (world.client("spiffe://e/a"), world.client("spiffe://e/b"));
    let gate = world.gate("required");
    let tokens = [&own, &theirs].map(|shows| world.alice(&gate, Some(shows), Dialect::Smsgate).access);
    let config = Client::new(&world.ours).showing(&own).config();
    for resumed in [false, true, true] {
        let mut line = connect(&config, gate.address, "localhost").unwrap();
        for _ in 0..2 {
            on(&mut line, &gate.get(LIST).bearer(&tokens[0])).expect(200);
            on(&mut line, &gate.get(LIST).bearer(&tokens[1])).expect_refusal(401);
        }
        assert_eq!(line.conn.handshake_kind() == Some(HandshakeKind::Resumed), resumed);
    }
}

#[test]
fn whoever_the_certificate_names_renews_with_a_new_one_and_nobody_else_does() {
    let world = World::new();
    let (own, theirs, renewed) =
        (world.client("spiffe://e/a"), world.client("spiffe://e/b"), world.client("spiffe://e/a"));
    let gate = world.gate("optional");
    for dialect in DIALECTS {
        let first = world.alice(&gate, Some(&own), dialect);
        let deny = |token: &str| {
            for shows in [None, Some(&theirs)] {
                let answer = world.refresh(&gate, shows, dialect, token);
                dialect.refusal(&answer);
                assert_eq!(reason(&gate, &answer), "refresh_other_certificate");
            }
        };
        deny(&first.refresh);
        world.list(&gate, Some(&own), &first.access).expect(200);
        let second = world.refreshed(&gate, Some(&renewed), dialect, &first.refresh);
        assert_eq!(binding(&second.access), Some(bound_to(&renewed)), "{dialect:?}");
        world.list(&gate, Some(&renewed), &second.access).expect(200);
        refused(&gate, world.list(&gate, Some(&own), &second.access), 401, "token_certificate");
        // Not even the end of the session is to be had with a used one and no certificate.
        deny(&first.refresh);
        deny(&second.refresh);
        let third = world.refreshed(&gate, Some(&own), dialect, &second.refresh);
        world.list(&gate, Some(&own), &third.access).expect(200);
        // A theft among those who hold the certificate is one as ever.
        dialect.refusal(&world.refresh(&gate, Some(&own), dialect, &first.refresh));
        refused(&gate, world.list(&gate, Some(&own), &third.access), 401, "session_ended");
    }
    let line: Value = serde_json::from_str(&gate.wait_for_log("other_certificate")).unwrap();
    assert_eq!((&line["event"], &line["subject"]), (&json!("other_certificate"), &json!("alice")), "{line}");
}

#[test]
fn without_a_certificate_a_token_is_bound_to_nothing_and_a_renewal_can_bind_it() {
    let world = World::new();
    let (own, theirs) = (world.client("spiffe://e/a"), world.client("spiffe://e/b"));
    let gate = world.gate("optional");
    let pair = world.alice(&gate, None, Dialect::Smsgate);
    assert_eq!(binding(&pair.access), None);
    for shows in [None, Some(&own), Some(&theirs)] {
        world.list(&gate, shows, &pair.access).expect(200);
    }
    let pair = world.refreshed(&gate, Some(&own), Dialect::Smsgate, &pair.refresh);
    assert_eq!(binding(&pair.access), Some(bound_to(&own)));
    refused(&gate, world.list(&gate, None, &pair.access), 401, "token_certificate");
    // The session was begun by somebody without one, and stays so.
    let pair = world.refreshed(&gate, None, Dialect::Smsgate, &pair.refresh);
    assert_eq!(binding(&pair.access), None);
}

#[test]
fn where_no_certificates_are_asked_for_nothing_is_bound() {
    let world = World::new();
    let (gate, own) = (world.gate("off"), world.client("spiffe://e/a"));
    let pair = world.alice(&gate, Some(&own), Dialect::Smsgate);
    assert_eq!(binding(&pair.access), None);
    let pair = world.refreshed(&gate, None, Dialect::Smsgate, &pair.refresh);
    world.list(&gate, None, &pair.access).expect(200);
}

#[test]
fn a_session_knows_whom_the_certificate_named_after_every_end_of_the_gate() {
    let world = World::new();
    let (own, renewed) = (world.client("spiffe://e/a"), world.client("spiffe://e/a"));
    let mut gate = world.gate("optional");
    let mut pair = world.alice(&gate, Some(&own), Dialect::Smsgate);
    for kill in [true, false, true] {
        gate = if kill {
            gate.kill();
            gate.start_again()
        } else {
            gate.restart()
        };
        Dialect::Smsgate.refusal(&world.refresh(&gate, None, Dialect::Smsgate, &pair.refresh));
        world.list(&gate, Some(&own), &pair.access).expect(200);
        refused(&gate, world.list(&gate, None, &pair.access), 401, "token_certificate");
        pair = world.refreshed(&gate, Some(&renewed), Dialect::Smsgate, &pair.refresh);
        pair = world.refreshed(&gate, Some(&own), Dialect::Smsgate, &pair.refresh);
    }
}

#[test]
fn other_authorities_may_vouch_for_the_same_client() {
    let world = World::new();
    let own = world.client("spiffe://e/a");
    let gate = world.gate("required");
    let pair = world.alice(&gate, Some(&own), Dialect::Smsgate);
    let mut kept = world.line(&gate, Some(&own)).unwrap();
    let next = authority("next");
    put(&gate.folder(), "clients.pem", &next.pem());
    put(&gate.folder(), "clients.crl", &super::mutual::crl(&next, &[]));
    gate.wait_for_log("the TLS files have changed");
    until("the old authority to be distrusted", || {
        let mut line = world.line(&gate, Some(&own)).ok()?;
        line.write_all(&gate.get(LIST).raw()).ok()?;
        Answer::read(&mut BufReader::new(line)).is_none().then_some(())
    });
    // A connection that is there goes on.
    on(&mut kept, &gate.get(LIST).bearer(&pair.access)).expect(200);
    let uri = SanType::URI("spiffe://e/a".to_owned().try_into().unwrap());
    let new = client(&next, 1, |it| it.subject_alt_names = vec![uri]);
    refused(&gate, world.list(&gate, Some(&new), &pair.access), 401, "token_certificate");
    let pair = world.refreshed(&gate, Some(&new), Dialect::Smsgate, &pair.refresh);
    world.list(&gate, Some(&new), &pair.access).expect(200);
}

#[test]
fn tokens_of_other_issuers_are_held_to_what_they_are_bound_to() {
    let world = World::new();
    let (own, theirs) = (world.client("spiffe://e/a"), world.client("spiffe://e/b"));
    let (key, issuer) = (Key::new("first", "ES256"), "https://batch.example");
    let table = format!(
        "[[issuer]]\nissuer = '{issuer}'\njwks_file = 'keys.json'\naudience = ['api']\nalgorithms = ['ES256']\n\
         [[route]]\npath = '/read'\nscope = 'items:read'\n"
    );
    let start = world.before("optional", &table);
    std::fs::write(start.path().join("keys.json"), set(&[&key])).unwrap();
    let gate = start.start();
    let good = claims(issuer, "job", "items:read");
    let read = |shows: Option<&Pair>, token: &str| world.send(&gate, shows, &gate.get("/read").bearer(token));
    let bound = key.token(&with(&good, "cnf", bound_to(&own)));
    for _ in 0..3 {
        read(Some(&own), &bound).expect(200);
        refused(&gate, read(Some(&theirs), &bound), 401, "token_certificate");
        refused(&gate, read(None, &bound), 401, "token_certificate");
    }
    let thumbprint = bound_to(&own)["x5t#S256"].clone();
    for otherwise in [
        json!({ "jkt": thumbprint }),
        json!({ "x5t#S256": thumbprint, "jkt": thumbprint }),
        json!({ "x5t#S256": null }),
        json!({}),
        json!(null),
    ] {
        let answer = read(Some(&own), &key.token(&with(&good, "cnf", otherwise)));
        refused(&gate, answer, 401, "token_confirmation");
    }
    read(None, &key.token(&good)).expect(200);
}

#[test]
fn a_route_can_be_for_those_whom_certificates_name() {
    let world = World::new();
    let rules = "[[route]]\npath = '/mesh/*'\naccess = 'public'\ncertificate = 'URI=spiffe://e/ns/*'\n\
                 [[route]]\npath = '/one'\nscope = 'messages:list'\ncertificate = 'URI=spiffe://e/ns/a'\n\
                 [[route]]\npath = '/all'\naccess = 'public'\n";
    let gate = world.before("optional", rules).start();
    let [a, b, other, dns] =
        ["spiffe://e/ns/a", "spiffe://e/ns/b", "spiffe://e/nsx/a", "spiffe://e/"].map(|uri| world.client(uri));
    let bare =
        client(&world.trusted, 1, |it| it.distinguished_name.push(rcgen::DnType::CommonName, "URI=spiffe://e/ns/a"));
    for (shows, mesh) in
        [(Some(&a), 200), (Some(&b), 200), (Some(&other), 403), (Some(&dns), 403), (Some(&bare), 403), (None, 403)]
    {
        for path in ["/mesh/x", "/mesh", "/mesh/", "/MESH/x"] {
            let answer = world.send(&gate, shows, &gate.get(path).header("X-Auth-Certificate", "URI=spiffe://e/ns/a"));
            if mesh == 200 {
                answer.expect(200);
            } else {
                refused(&gate, answer, 403, "certificate_missing");
            }
        }
        world.send(&gate, shows, &gate.get("/all")).expect(200);
    }
    world.send_h2(&gate, Some(&a), "/mesh/x", "none").expect(200);
    refused(&gate, world.send_h2(&gate, None, "/mesh/x", "none"), 403, "certificate_missing");
    // Both are asked for, and neither stands in for the other.
    let pair = world.alice(&gate, None, Dialect::Smsgate);
    let one = |shows: Option<&Pair>, token: Option<&str>| {
        let call = gate.get("/one");
        world.send(&gate, shows, &token.into_iter().fold(call, Call::bearer))
    };
    one(Some(&a), Some(&pair.access)).expect(200);
    one(Some(&a), None).expect_refusal(401);
    refused(&gate, one(Some(&b), Some(&pair.access)), 403, "certificate_missing");
    refused(&gate, one(None, Some(&pair.access)), 403, "certificate_missing");
}

#[test]
fn a_replica_tells_the_primary_what_its_client_has_shown_and_clients_cannot() {
    let world = World::new();
    let (own, theirs, renewed) =
        (world.client("spiffe://e/a"), world.client("spiffe://e/b"), world.client("spiffe://e/a"));
    let primary = Dialect::all(Start::before(world.upstream.address), "").start();
    let settings = [
        ("data_dir", primary.folder().join("data").to_str().unwrap().to_owned()),
        ("store.kind", "replica".to_owned()),
        ("store.primary_url", format!("http://{}", primary.address)),
    ];
    let replica =
        settings.iter().fold(world.before("optional", ""), |start, (key, value)| start.set(key, value)).start();
    for dialect in DIALECTS {
        let first = world.alice(&replica, Some(&own), dialect);
        assert_eq!(binding(&first.access), Some(bound_to(&own)), "{dialect:?}");
        // As soon as the replica has read of it.
        let passes = |shows, token: &str| (world.list(&replica, shows, token).status == 200).then_some(());
        until("the new session", || passes(Some(&own), &first.access));
        refused(&replica, world.list(&replica, Some(&theirs), &first.access), 401, "token_certificate");
        refused(&primary, primary.get(LIST).bearer(&first.access).send(), 401, "token_certificate");
        for shows in [None, Some(&theirs)] {
            dialect.refusal(&world.refresh(&replica, shows, dialect, &first.refresh));
        }
        dialect.refused(&primary, &first.refresh);
        // What nobody has signed says nothing, and what others would believe is nothing here.
        let thumbprint = bound_to(&own)["x5t#S256"].as_str().unwrap().to_owned();
        let identity = encode("URI=spiffe://e/a");
        let now = portcullis::clock::wall().as_micros();
        for forged in [
            dialect.refreshing(&primary, &first.refresh).header(
                "X-Portcullis-Visitor",
                &format!("192.0.2.1 {now} abc-1 {thumbprint} {identity} {}", encode([0; 32])),
            ),
            dialect.refreshing(&primary, &first.refresh).header("X-Auth-Certificate", "URI=spiffe://e/a"),
            dialect.refreshing(&primary, &first.refresh).header("X-Forwarded-Client-Cert", "URI=spiffe://e/a"),
        ] {
            dialect.refusal(&forged.send());
        }
        let second = world.refreshed(&replica, Some(&renewed), dialect, &first.refresh);
        assert_eq!(binding(&second.access), Some(bound_to(&renewed)), "{dialect:?}");
        until("the refresh", || passes(Some(&renewed), &second.access));
        let unbound = world.alice(&replica, None, dialect);
        assert_eq!(binding(&unbound.access), None);
        primary.get(LIST).bearer(&unbound.access).send().expect(200);
    }
}

#[test]
fn others_are_told_what_a_token_is_bound_to() {
    let world = World::new();
    let own = world.client("spiffe://e/a");
    for (demand, expected) in [("off", None), ("optional", Some(true)), ("required", Some(true))] {
        let gate = world.before(demand, "").set("profiles.oauth.issuer_url", "https://gate.example").start();
        let metadata = world.send(&gate, Some(&own), &gate.get("/.well-known/oauth-authorization-server")).expect(200);
        let told = metadata.json().get("tls_client_certificate_bound_access_tokens").and_then(Value::as_bool);
        assert_eq!(told, expected, "{demand}");
        let pair = world.alice(&gate, Some(&own), Dialect::Web);
        let introspect = |token: &str| {
            let call = oauth_client(&gate, "guard", "/oauth/introspect", &[("token", token)]);
            world.send(&gate, Some(&own), &call).expect(200).json()
        };
        assert_eq!(introspect(&pair.access).get("cnf"), expected.map(|_| bound_to(&own)).as_ref());
        assert_eq!(introspect(&pair.refresh).get("cnf"), None);
    }
}
