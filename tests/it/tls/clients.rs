//! Clients that others wrote.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{authority, start};
use crate::support::{Gate, Start, Upstream};

fn gate(change: impl FnOnce(Start) -> Start) -> (Gate, Upstream) {
    let upstream = Upstream::start();
    let gate = change(start(&upstream, &authority("clients"))).start();
    (gate, upstream)
}

#[track_caller]
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let Output { stdout, stderr, status } =
        command.current_dir(folder).args(arguments).stdin(Stdio::null()).output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{program} {arguments:?}: {status}\n{said}\n{wrong}");
    said
}

#[test]
#[cfg_attr(not(have_curl), ignore = "curl is not on the PATH")]
fn curl_speaks_both_protocols_and_hears_of_strict_transport_security() {
    let (gate, upstream) = gate(|start| start.set("tls.hsts", "365d"));
    let url = format!("https://localhost:{}/health", gate.address.port());
    for (flag, expected) in [("--http1.1", "1.1 200"), ("--http2", "2 200")] {
        let arguments = ["-sS", "-i", flag, "--cacert", "ca.pem", "-w", "\n%{http_version} %{http_code}", &url];
        let said = run(&gate.folder(), "curl", &arguments);
        assert!(said.ends_with(expected), "{said}");
        assert!(said.to_lowercase().contains("strict-transport-security: max-age=31536000\r\n"), "{said}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.all("x-forwarded-proto") == ["https"]));
}

#[test]
#[cfg_attr(not(have_curl), ignore = "curl is not on the PATH")]
fn curl_follows_to_https() {
    let (gate, _upstream) = gate(|start| start.set("tls.redirect_listen", "127.0.0.1:0"));
    let line: serde_json::Value = serde_json::from_str(&gate.wait_for_log("sent to HTTPS")).unwrap();
    let url = format!("http://{}/a?b", line["address"].as_str().unwrap());
    let said = run(&gate.folder(), "curl", &["-sS", "-i", "-X", "POST", "-d", "x", &url]);
    assert!(said.starts_with("HTTP/1.1 308 ") && said.contains("location: https://127.0.0.1/a?b\r\n"), "{said}");
}

#[test]
#[cfg_attr(not(have_openssl), ignore = "openssl is not on the PATH")]
fn openssl_speaks_both_versions_and_no_older_ones_and_resumes() {
    for (min, versions) in
        [("1.2", &[("-tls1_2", true), ("-tls1_3", true)][..]), ("1.3", &[("-tls1_2", false), ("-tls1_3", true)])]
    {
        let (gate, _upstream) = gate(|start| start.set("tls.min_version", min));
        let port = format!("localhost:{}", gate.address.port());
        for (version, spoken) in versions {
            let connect = |more: &str| {
                // The ticket of TLS 1.3 comes behind the handshake, with the answer at the latest.
                let script = format!(
                    "printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | timeout 20 \
                     openssl s_client -connect {port} -servername localhost {version} -CAfile ca.pem \
                     -verify_return_error -ign_eof {more} 2>&1; true"
                );
                run(&gate.folder(), "sh", &["-c", &script])
            };
            let said = connect("-sess_out session.pem");
            assert_eq!(said.contains("HTTP/1.1 200") && said.contains("New, TLSv1"), *spoken, "{version}: {said}");
            if *spoken {
                let said = connect("-sess_in session.pem");
                assert!(said.contains("Reused, TLSv1") && said.contains("HTTP/1.1 200"), "{version}: {said}");
                assert!(!said.contains("Early data was accepted"), "{said}");
            }
        }
        let old = run(
            &gate.folder(),
            "sh",
            &["-c", &format!("openssl s_client -connect {port} -tls1_1 </dev/null 2>&1; true")],
        );
        assert!(!old.contains("New, TLSv1"), "{old}");
    }
}

#[test]
#[cfg_attr(not(have_python3), ignore = "python3 is not on the PATH")]
fn python_speaks() {
    let (gate, _upstream) = gate(|start| start);
    let script = "import ssl, sys, http.client\n\
        context = ssl.create_default_context(cafile='ca.pem')\n\
        line = http.client.HTTPSConnection('localhost', int(sys.argv[1]), context=context)\n\
        line.connect(); print(line.sock.version())\n\
        for _ in range(2):\n    line.request('GET', '/health'); answer = line.getresponse(); answer.read(); print(answer.status)\n";
    let said = run(&gate.folder(), "python3", &["-c", script, &gate.address.port().to_string()]);
    assert_eq!(said, "TLSv1.3\n200\n200\n");
}

#[test]
#[cfg_attr(not(have_node), ignore = "node is not on the PATH")]
fn node_speaks_both_protocols() {
    let (gate, _upstream) = gate(|start| start);
    let script = "const https = require('https'), http2 = require('http2'), ca = require('fs').readFileSync('ca.pem');\n\
        const port = process.argv[1];\n\
        https.get({ host: 'localhost', port, path: '/health', ca, agent: false }, (answer) => {\n\
          console.log(answer.httpVersion, answer.statusCode); answer.resume();\n\
          const session = http2.connect('https://localhost:' + port, { ca });\n\
          const stream = session.request({ ':path': '/health' });\n\
          stream.on('response', (head) => console.log(session.alpnProtocol, head[':status']));\n\
          stream.resume(); stream.on('end', () => session.close());\n\
        });\n";
    let said = run(&gate.folder(), "node", &["-e", script, &gate.address.port().to_string()]);
    assert_eq!(said, "1.1 200\nh2 200\n");
}

#[test]
#[cfg_attr(not(have_nghttp), ignore = "nghttp is not on the PATH")]
fn nghttp_speaks() {
    let (gate, _upstream) = gate(|start| start);
    let said = run(&gate.folder(), "nghttp", &["-v", &format!("https://localhost:{}/health", gate.address.port())]);
    assert!(said.contains("The negotiated protocol: h2") && said.contains(":status: 200"), "{said}");
}

#[test]
#[cfg_attr(not(have_openssl), ignore = "openssl is not on the PATH")]
fn keys_work_in_every_form_that_openssl_writes_and_a_response_is_stapled() {
    for (make, works) in [
        ("genrsa -traditional -out tls.key 2048", true),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out tls.key", true),
        ("ecparam -name prime256v1 -genkey -out tls.key", true),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out tls.key", true),
        ("genpkey -algorithm ED25519 -out tls.key", true),
        ("genrsa -traditional -out tls.key 1024", false),
        ("ecparam -name secp256k1 -genkey -out tls.key", false),
    ] {
        let upstream = Upstream::start();
        let start = Start::before(upstream.address).set("tls.certificate", "tls.crt").set("tls.key", "tls.key");
        let start = start.set("tls.ocsp", "tls.ocsp");
        // No more than its status.
        std::fs::write(start.path().join("tls.ocsp"), b"\x30\x03\x0a\x01\x00").unwrap();
        let more = "-out tls.crt -days 10 -subj /CN=localhost -addext subjectAltName=DNS:localhost";
        let script =
            format!("openssl {make} 2>&1 && openssl req -x509 -new -key tls.key {more} 2>&1 && chmod 600 tls.key");
        run(start.path(), "sh", &["-c", &script]);
        if !works {
            let flags = ["check", "--set=tls.certificate=tls.crt", "--set=tls.key=tls.key"];
            let ended = crate::support::Run::new(start.path(), &flags).end().expect(78);
            assert!(ended.stderr.contains("tls.key: tls.key: holds an "), "{make}: {}", ended.stderr);
            continue;
        }
        let gate = start.start();
        let connect = format!(
            "openssl s_client -connect localhost:{} -servername localhost -CAfile tls.crt -verify_return_error -status \
             </dev/null 2>&1",
            gate.address.port()
        );
        let said = run(&gate.folder(), "sh", &["-c", &connect]);
        assert!(said.contains("Verify return code: 0 (ok)"), "{make}: {said}");
        assert!(said.contains("OCSP Response Status: successful"), "{make}: {said}");
    }
}

#[test]
#[cfg_attr(not(have_chromium), ignore = "chromium is not on the PATH")]
fn chromium_speaks() {
    let (gate, upstream) = gate(|start| start);
    let url = format!("https://localhost:{}/health", gate.address.port());
    let profile = format!("--user-data-dir={}", gate.folder().join("profile").display());
    let flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--ignore-certificate-errors",
        &profile,
        "--dump-dom",
        &url,
    ];
    let said = run(&gate.folder(), "chromium", &flags);
    assert!(said.contains("<html"), "{said}");
    assert!(upstream.seen().iter().any(|seen| seen.all("sec-ch-ua-platform").len() == 1), "{:?}", upstream.seen());
}
