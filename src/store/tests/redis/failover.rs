//! A primary that dies while gates refresh, and a replica that takes over and lacks the last changes.

use std::fs;

use super::load::under_load;
use super::*;

#[test]
#[cfg_attr(not(all(have_redis, have_redis_sentinel)), ignore = "redis-sentinel is not on the PATH")]
fn after_a_failover_no_consumed_token_has_a_second_successor_and_changes_are_taken_again() {
    let mut primary = Engine::start();
    let replica = Engine::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let sentinel = Sentinel::start(&primary);
    until("the replica has a link", || replica.ask("INFO replication").contains("master_link_status:up"));
    let terms = || Terms {
        servers: vec![Server { host: "127.0.0.1".into(), port: sentinel.port }],
        sentinel: Some("mymaster".into()),
        ..primary.terms()
    };
    let gates: Vec<Gate> = (0..3).map(|_| Gate::start(terms(), CAPS, &policy())).collect();
    until("the sentinel knows the replica", || {
        sentinel.ask("SENTINEL REPLICAS mymaster").contains(&replica.port.to_string())
    });
    let told = under_load(&gates, |load| {
        load.goes_on(200);
        primary.kill();
        until("the failover is noticed", || gates.iter().all(|gate| !gate.is_up()));
        let took = until("all gates use the other engine", || gates.iter().all(Gate::is_up));
        println!("changes were taken again {took:?} after the loss was noticed");
        load.goes_on(200);
    });
    println!("failover: {told:?}");
    assert_eq!((told.wrong, told.lost), (0, 0));
    assert!(told.refused > 0);
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn what_a_failover_takes_back_is_put_there_again_and_lets_no_consumed_token_in() {
    let mut primary = Engine::start();
    let replica = Engine::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until("the replica has a link", || replica.ask("INFO replication").contains("master_link_status:up"));
    let servers = || [&primary, &replica].map(|engine| Server { host: "127.0.0.1".into(), port: engine.port }).to_vec();
    let gates: Vec<Gate> =
        (0..3).map(|_| Gate::start(Terms { servers: servers(), ..primary.terms() }, CAPS, &policy())).collect();
    let told = under_load(&gates, |load| {
        load.goes_on(200);
        // From now on it lacks what is acknowledged.
        replica.ok("REPLICAOF NO ONE");
        load.goes_on(200);
        primary.kill();
        until("the loss is noticed", || gates.iter().all(|gate| !gate.is_up()));
        until("all gates use the other engine", || gates.iter().all(Gate::is_up));
        load.goes_on(200);
    });
    println!("a failover that takes back: {told:?}");
    assert_eq!((told.wrong, told.lost), (0, 0));
    assert!(told.refused > 0 && told.restored > 0);
}

struct Sentinel {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Sentinel {
    fn start(primary: &Engine) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n",
            folder.path().display(),
            primary.port
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(server());
        command.arg(&config).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), port, _folder: folder }
    }

    fn ask(&self, line: &str) -> String {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else { return String::new() };
        // It does not know how to quit.
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
