//! TLS to the upstream: whom the gate believes, what it shows, and that all goes through as in the clear.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream as AsyncStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{FINE, OPEN, answers, named};
use crate::grpc::pairs::h2_upstream;
use crate::grpc::wire;
use crate::support::{Call, Connection, Gate, Leg, Run, Scripted, Start, Upstream, exchange, until};

pub type Authority = CertifiedIssuer<'static, KeyPair>;

pub fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What stands before an upstream and takes TLS away.
pub struct Shield {
    pub address: SocketAddr,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    handshakes: Arc<AtomicUsize>,
    /// Connections that have not ended.
    open: Arc<AtomicUsize>,
}

impl Shield {
    /// With a certificate for `name` by `authority`. With `clients`, only those it vouches for get in.
    fn before(upstream: SocketAddr, name: &str, authority: &Authority, clients: Option<&Authority>) -> Self {
        Self::speaking(&[], [upstream; 2], name, authority, clients)
    }

    /// One that agrees to the first of `protocols` that it is offered: connections over HTTP/2 go to the second of
    /// `upstreams`, and all others to the first.
    pub fn speaking(
        protocols: &[&str],
        upstreams: [SocketAddr; 2],
        name: &str,
        authority: &Authority,
        clients: Option<&Authority>,
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match clients {
            None => builder.unwrap().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.unwrap().with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let config = Arc::new(Mutex::new(Arc::new(config)));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (handshakes, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (used, counted) = (Arc::clone(&config), (Arc::clone(&handshakes), Arc::clone(&open)));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(relay(listener, used, upstreams, counted));
        });
        let shield = Self { address, config, handshakes, open };
        shield.agree_to(protocols);
        shield
    }

    /// From now on, to the first of these that it is offered.
    fn agree_to(&self, protocols: &[&str]) {
        let mut config = self.config.lock().unwrap();
        let mut other = ServerConfig::clone(&config);
        other.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        *config = Arc::new(other);
    }

    fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

async fn relay(
    listener: std::net::TcpListener,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    upstreams: [SocketAddr; 2],
    counted: (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, (handshakes, open)) = (TlsAcceptor::from(config.lock().unwrap().clone()), counted.clone());
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            handshakes.fetch_add(1, Ordering::SeqCst);
            open.fetch_add(1, Ordering::SeqCst);
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let Ok(mut behind) = AsyncStream::connect(upstreams[usize::from(http2)]).await else { return };
            let _ = copy_bidirectional(&mut stream, &mut behind).await;
            let _ = stream.shutdown().await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

pub fn start(shield: &Shield, host: &str, authority: &Authority) -> Start {
    let start = Start::before(shield.address)
        .set("upstream.url", &format!("https://{host}:{}", shield.address.port()))
        .set("upstream.tls.ca_file", "ca.pem")
        .set("upstream.keepalive", "1h")
        .set("workers", "1");
    fs::write(start.path().join("ca.pem"), authority.pem()).unwrap();
    start
}

fn passes(gate: &Gate) {
    gate.get(OPEN).send().expect(200);
}

#[track_caller]
fn unreachable(gate: &Gate, why: &str) {
    gate.get(OPEN).send().expect_refusal(502);
    let line = gate.wait_for_log("upstream failed");
    assert!(line.contains(why) && line.contains("upstream_unreachable"), "{line}");
}

#[test]
fn an_upstream_that_proves_its_name_is_spoken_to_and_its_connection_kept() {
    let (authority, upstream) = (authority(), Upstream::start());
    for name in ["localhost", "127.0.0.1"] {
        let shield = Shield::before(upstream.address, name, &authority, None);
        let gate = start(&shield, name, &authority).start();
        for _ in 0..3 {
            passes(&gate);
            gate.post(OPEN).body("hello").send().expect(200);
        }
        assert_eq!(shield.handshakes(), 1, "{name}");
    }
    let seen = upstream.seen();
    assert!(seen.iter().filter(|seen| seen.method == "POST").all(|seen| seen.body == b"hello"));
}

#[test]
fn whoever_cannot_prove_it_gets_nothing() {
    let (ours, theirs, upstream) = (authority(), authority(), Upstream::start());
    for (name, by, why) in
        [("localhost", &theirs, "invalid peer certificate"), ("elsewhere.example", &ours, "not valid for name")]
    {
        let shield = Shield::before(upstream.address, name, by, None);
        unreachable(&start(&shield, "localhost", &ours).start(), why);
    }
    // Nor does one that speaks no TLS at all.
    let clear = Start::before(upstream.address)
        .set("upstream.url", &format!("https://localhost:{}", upstream.address.port()))
        .set("upstream.tls.roots", "mozilla");
    unreachable(&clear.start(), "cannot connect to the upstream");
    // Of the last one, the beginning of the handshake.
    assert!(upstream.seen().iter().all(|seen| !seen.target.contains(OPEN)));
}

#[test]
fn the_name_to_be_proven_and_the_host_to_be_read_can_be_others() {
    let (authority, upstream) = (authority(), Upstream::start());
    let shield = Shield::before(upstream.address, "api.internal", &authority, None);
    let gate = start(&shield, "127.0.0.1", &authority)
        .set("upstream.tls.server_name", "api.internal")
        .set("upstream.host", "api.internal:8443")
        .start();
    exchange(gate.address, format!("GET {OPEN} HTTP/1.1\r\nHost: public.example\r\n\r\n").as_bytes()).expect(200);
    let seen = upstream.only();
    assert_eq!(seen.header("host"), Some("api.internal:8443"));
    assert_eq!(seen.header("x-forwarded-host"), Some("public.example"));
}

#[test]
fn anybody_is_believed_only_if_the_operator_says_so() {
    let (ours, theirs, upstream) = (authority(), authority(), Upstream::start());
    let shield = Shield::before(upstream.address, "elsewhere.example", &theirs, None);
    let url = format!("https://localhost:{}", shield.address.port());
    let believing = Start::before(shield.address)
        .set("upstream.url", &url)
        .set("upstream.tls.insecure_accept_any_certificate", "true")
        .start();
    passes(&believing);
    believing.wait_for_log("no certificate of the upstream is checked");
    // Those of the system do not know our own authorities.
    let system = Start::before(shield.address).set("upstream.url", &url).set("upstream.tls.roots", "mozilla").start();
    unreachable(&system, "invalid peer certificate");
    drop(ours);
}

/// A certificate of the gate by `authority`, in `gate.crt` and `gate.key`.
fn show(folder: &Path, authority: &Authority) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["gate".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, authority).unwrap();
    fs::write(folder.join("gate.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("gate.key"), key.serialize_pem()).unwrap();
}

#[test]
fn an_upstream_that_asks_gets_the_gates_own_certificate_and_a_renewed_one_too() {
    let (authority, strangers, upstream) = (authority(), self::authority(), Upstream::start());
    let shield = Shield::before(upstream.address, "localhost", &authority, Some(&authority));
    let without = start(&shield, "localhost", &authority).start();
    without.get(OPEN).send().expect_refusal(502);
    let start = start(&shield, "localhost", &authority)
        .set("upstream.keepalive", "0s")
        .set("upstream.tls.certificate", "gate.crt")
        .set("upstream.tls.key", "gate.key");
    show(start.path(), &strangers);
    let gate = start.start();
    gate.get(OPEN).send().expect_refusal(502);
    // A renewal in the middle of which the key does not fit is told, and changes nothing.
    show(&gate.folder(), &authority);
    until("the renewed certificate to be shown", || (gate.get(OPEN).send().status == 200).then_some(()));
    fs::write(gate.folder().join("gate.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    gate.wait_for_log("the files of upstream.tls cannot be used");
    passes(&gate);
}

#[test]
fn an_authority_that_is_replaced_counts_from_the_next_connection_on() {
    let (old, new, upstream) = (authority(), authority(), Upstream::start());
    let shield = Shield::before(upstream.address, "localhost", &new, None);
    let gate = start(&shield, "localhost", &old).start();
    unreachable(&gate, "invalid peer certificate");
    fs::write(gate.folder().join("ca.pem"), new.pem()).unwrap();
    until("the new authority to be believed", || (gate.get(OPEN).send().status == 200).then_some(()));
}

#[test]
fn what_is_wrong_with_the_files_is_told_at_the_start_and_by_check() {
    let (authority, other) = (authority(), KeyPair::generate().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    show(folder.path(), &authority);
    fs::write(at("other.key"), other.serialize_pem()).unwrap();
    fs::write(at("empty.pem"), "").unwrap();
    fs::write(at("ca.pem"), authority.pem()).unwrap();
    for (settings, expected) in [
        (&["ca_file=missing.pem"][..], "missing.pem"),
        (&["ca_file=empty.pem"], "empty.pem: holds no certificate"),
        (&["ca_file=ca.pem", "certificate=gate.crt", "key=other.key"], "other.key: is not the key of gate.crt"),
        (&["ca_file=ca.pem", "certificate=gate.crt", "key=gate.crt"], "gate.crt: cannot be read as PEM"),
    ] {
        for verb in ["serve", "check"] {
            let settings = settings.iter().map(|setting| format!("--set=upstream.tls.{setting}"));
            let arguments: Vec<_> = [verb.to_owned(), "--set=upstream.url=https://localhost".to_owned()]
                .into_iter()
                .chain(settings)
                .collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let ended = Run::new(folder.path(), &arguments).end();
            assert_eq!(ended.code, Some(78), "{verb} {expected}: {}", ended.stderr);
            assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
        }
    }
}

/// A gate before an upstream that is played by hand behind TLS.
fn scripted() -> (Scripted, Shield, Gate) {
    let (authority, upstream) = (authority(), Scripted::start());
    let shield = Shield::before(upstream.address, "localhost", &authority, None);
    let gate = start(&shield, "localhost", &authority).start();
    (upstream, shield, gate)
}

#[test]
fn bodies_stream_both_ways_at_once() {
    const LENGTH: usize = 8 << 20;
    let (upstream, _shield, gate) = scripted();
    let mut client = TcpStream::connect(gate.address).unwrap();
    write!(client, "POST {OPEN} HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\n\r\nfirst").unwrap();
    let mut leg = upstream.accept();
    leg.head();
    // What has come so far does not wait for more.
    assert_eq!(leg.take(5), b"first");
    // The answer begins before the request has ended.
    leg.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\nbegun"));
    let mut begun = vec![0; 4096];
    let mut heard = Vec::new();
    while !heard.ends_with(b"begun") {
        let length = client.read(&mut begun).unwrap();
        assert!(length > 0);
        heard.extend_from_slice(&begun[..length]);
    }
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || sender.write_all(&vec![b'u'; LENGTH - 5]).unwrap());
    let mut writer = leg.writer();
    let answering = thread::spawn(move || writer.write_all(&vec![b'd'; LENGTH - 5]).unwrap());
    let reading = thread::spawn(move || leg.take(LENGTH - 5));
    let mut down = vec![0; LENGTH - 5];
    client.read_exact(&mut down).unwrap();
    assert!(down.iter().all(|byte| *byte == b'd'));
    assert!(reading.join().unwrap().iter().all(|byte| *byte == b'u'));
    sending.join().unwrap();
    answering.join().unwrap();
}

#[test]
fn a_connection_that_was_parted_for_an_early_answer_is_used_again() {
    let (upstream, shield, gate) = scripted();
    let mut client = Connection::open(gate.address);
    client.write(format!("POST {OPEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab").as_bytes());
    let mut leg = upstream.accept();
    leg.head();
    assert_eq!(leg.take(2), b"ab");
    leg.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfi");
    // The gate has parted reading from writing by now.
    let mut writer = client.writer();
    writer.write_all(b"cd").unwrap();
    assert_eq!(leg.take(2), b"cd");
    leg.send("ne");
    assert_eq!(client.read().expect("an answer").expect(200).text(), "fine");
    client.write(&Call::new(gate.address, "GET", &named("next")).raw());
    answers(&mut leg, &mut client, "next");
    assert_eq!(shield.handshakes(), 1);
}

#[test]
fn an_idle_connection_that_the_upstream_has_closed_is_not_used_for_what_cannot_be_repeated() {
    let (upstream, shield, gate) = scripted();
    let mut client = Connection::open(gate.address);
    client.write(&Call::new(gate.address, "GET", &named("first")).raw());
    let mut leg = upstream.accept();
    answers(&mut leg, &mut client, "first");
    drop(leg);
    until("the gate to let go of the connection", || (shield.open.load(Ordering::SeqCst) == 0).then_some(()));
    client.write(&Call::new(gate.address, "POST", &named("second")).body("x").raw());
    let mut leg = upstream.accept();
    assert_eq!(leg.request().target, named("second"));
    leg.send(FINE);
    client.read().expect("an answer").expect(200);
    assert_eq!(shield.handshakes(), 2);
}

#[test]
fn a_websocket_goes_through() {
    let (upstream, _shield, gate) = scripted();
    let mut client = Connection::open(gate.address);
    let wish = Call::new(gate.address, "GET", OPEN)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    client.write(&wish.raw());
    let mut leg = upstream.accept();
    leg.head();
    leg.send(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfrom above",
    );
    client.until(b"\r\n\r\n");
    assert_eq!(client.take(10), b"from above");
    client.write(b"from below");
    assert_eq!(leg.take(10), b"from below");
    client.end();
    assert!(leg.closed().is_empty());
}

/// Upstreams of HTTP/1.1 and HTTP/2 behind a shield that agrees to the first of `protocols` that it is offered.
fn agreeing(protocols: &[&str], protocol: &str) -> (Scripted, Scripted, Shield, Gate) {
    let (authority, http1, http2) = (authority(), Scripted::start(), Scripted::start());
    let shield = Shield::speaking(protocols, [http1.address, http2.address], "localhost", &authority, None);
    let gate = start(&shield, "localhost", &authority).set("upstream.protocol", protocol).start();
    (http1, http2, shield, gate)
}

/// A request over HTTP/2, answered.
#[track_caller]
fn over_http2(leg: &mut Leg, client: &mut Connection) {
    let stream = wire::request(leg);
    wire::answer(leg, stream, "fine");
    assert_eq!(client.read().expect("an answer").expect(200).text(), "fine");
}

#[test]
fn http2_is_spoken_where_both_have_agreed_to_it() {
    for protocol in ["auto", "http2"] {
        let (http1, http2, _shield, gate) = agreeing(&["h2", "http/1.1"], protocol);
        let mut client = Connection::open(gate.address);
        client.write(&Call::new(gate.address, "POST", OPEN).body("x").raw());
        let mut leg = http2.accept();
        wire::greet(&mut leg, 10);
        over_http2(&mut leg, &mut client);
        client.write(&Call::new(gate.address, "GET", OPEN).raw());
        over_http2(&mut leg, &mut client);
        http1.expect_nobody();
        http2.expect_nobody();
    }
}

#[test]
fn where_the_upstream_cannot_http1_is_spoken() {
    for protocols in [&["http/1.1"][..], &[]] {
        let (http1, http2, _shield, gate) = agreeing(protocols, "auto");
        let mut client = Connection::open(gate.address);
        client.write(&Call::new(gate.address, "GET", &named("first")).raw());
        let mut leg = http1.accept();
        answers(&mut leg, &mut client, "first");
        client.write(&Call::new(gate.address, "GET", &named("second")).raw());
        answers(&mut leg, &mut client, "second");
        http2.expect_nobody();
    }
}

#[test]
fn an_upstream_that_speaks_something_else_by_now_is_asked_again() {
    let (authority, http1) = (authority(), Upstream::start());
    let upstreams = [http1.address, h2_upstream()];
    let shield = Shield::speaking(&["h2", "http/1.1"], upstreams, "localhost", &authority, None);
    let gate = start(&shield, "localhost", &authority).set("upstream.keepalive", "0s").start();
    let ask = || gate.post(OPEN).body("x").send();
    for (protocols, http2) in [(&["http/1.1"][..], false), (&["h2"], true), (&["http/1.1"], false)] {
        ask().expect(200);
        shield.agree_to(protocols);
        // It is found out by the one request for which no connection can be made.
        ask().expect_refusal(502);
        assert_eq!(ask().expect(200).header("x-scheme"), http2.then_some("https"));
    }
}

#[test]
fn http1_is_spoken_where_the_operator_wants_that() {
    let (http1, http2, _shield, gate) = agreeing(&["h2", "http/1.1"], "http1");
    let mut client = Connection::open(gate.address);
    client.write(&Call::new(gate.address, "GET", &named("first")).raw());
    answers(&mut http1.accept(), &mut client, "first");
    http2.expect_nobody();
}

#[test]
fn an_upstream_that_does_not_agree_to_http2_gets_none_unasked() {
    for protocols in [&["http/1.1"][..], &[]] {
        let (_http1, _http2, _shield, gate) = agreeing(protocols, "http2");
        gate.get(OPEN).send().expect_refusal(502);
        gate.wait_for_log("upstream_unreachable");
    }
}

#[test]
fn a_websocket_goes_over_http1_although_both_can_http2() {
    let (http1, http2, _shield, gate) = agreeing(&["h2", "http/1.1"], "auto");
    let mut client = Connection::open(gate.address);
    let wish = Call::new(gate.address, "GET", OPEN)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    client.write(&wish.raw());
    let mut leg = http1.accept();
    assert_eq!(leg.head().header("upgrade"), Some("websocket"));
    leg.send("HTTP/1.1 204 No Content\r\n\r\n");
    client.read().expect("an answer").expect(204);
    http2.expect_nobody();
}
