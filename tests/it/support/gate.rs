//! A gate: the real binary in a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::run::command;
use super::{Answer, Call, SECRET, until};

/// How a gate is to be started.
pub struct Start {
    folder: Arc<TempDir>,
    settings: Vec<(String, String)>,
    variables: Vec<(String, String)>,
    users: String,
}

impl Start {
    /// A gate in an empty folder, with nothing set but where it listens and logs.
    pub fn alone() -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            settings: Vec::new(),
            variables: Vec::new(),
            users: String::new(),
        }
        .set("server.listen", "127.0.0.1:0")
        .set("log.format", "json")
    }

    /// A gate before `upstream`, with the user `alice` (password `wonderland`), who may have everything, and `bob`
    /// (password `builder`), who may send and read.
    pub fn before(upstream: SocketAddr) -> Self {
        Self::alone()
            .set("upstream.url", &format!("http://{upstream}"))
            .set("workers", "2")
            .set("log.access", "all")
            .user("alice", "wonderland", &["all:any"])
            .user("bob", "builder", &["messages:send", "messages:read"])
    }

    /// A setting, as `--set` takes it. The last one wins.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// A variable of its environment, which is otherwise free of ours.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Signs with [`SECRET`], so that a test can forge tokens.
    pub fn with_known_secret(self) -> Self {
        self.set("token.secret", SECRET)
    }

    pub fn user(mut self, name: &str, password: &str, scopes: &[&str]) -> Self {
        self.users += &user(name, password, scopes, "");
        self
    }

    /// Users as [`user`] writes them.
    pub fn users(mut self, text: &str) -> Self {
        self.users += text;
        self
    }

    /// Route tables and whatever else only a file can say.
    pub fn config_file(self, text: &str) -> Self {
        fs::write(self.folder.path().join("config.toml"), text).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    #[track_caller]
    pub fn start(self) -> Gate {
        self.launch().listens()
    }

    /// One that may have to wait before it listens.
    pub fn launch(self) -> Gate {
        if !self.users.is_empty() {
            fs::write(self.folder.path().join("users.toml"), &self.users).unwrap();
        }
        Gate::launch(self.folder, self.settings, self.variables)
    }
}

/// The text of one user in a users file. The hash is a quick one: tests are about what follows from it.
pub fn user(name: &str, password: &str, scopes: &[&str], more: &str) -> String {
    let hash = bcrypt::hash(password, 4).unwrap();
    let scopes = serde_json::to_string(scopes).unwrap();
    format!("[[user]]\nname = {name:?}\npassword_hash = {hash:?}\nscopes = {scopes}\n{more}\n")
}

/// A running gate. Killed when dropped.
pub struct Gate {
    pub address: SocketAddr,
    child: Child,
    folder: Arc<TempDir>,
    settings: Vec<(String, String)>,
    variables: Vec<(String, String)>,
    log: Arc<Mutex<Vec<String>>>,
    reading: Arc<Mutex<()>>,
}

impl Gate {
    fn launch(folder: Arc<TempDir>, settings: Vec<(String, String)>, variables: Vec<(String, String)>) -> Self {
        let mut command = command(folder.path());
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null());
        command.args(settings.iter().map(|(key, value)| format!("--set={key}={value}")));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let reading = Arc::new(Mutex::new(()));
        collect(child.stderr.take().unwrap(), Arc::clone(&log), Arc::clone(&reading));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { address: nowhere, child, folder, settings, variables, log, reading }
    }

    /// Waits until it listens.
    #[track_caller]
    pub fn listens(mut self) -> Self {
        self.address = until("the gate to listen", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gate ended with {status}: {:?}", self.log());
            }
            let listening = self.log().into_iter().find(|line| line.contains("\"listening\""))?;
            let line: Value = serde_json::from_str(&listening).unwrap();
            Some(line["address"].as_str().unwrap().parse().unwrap())
        });
        self
    }

    pub fn call(&self, method: &str, target: &str) -> Call {
        Call::new(self.address, method, target)
    }

    pub fn get(&self, target: &str) -> Call {
        self.call("GET", target)
    }

    pub fn post(&self, target: &str) -> Call {
        self.call("POST", target)
    }

    /// Signs a user in with scopes; the answer holds the pair.
    #[track_caller]
    pub fn sign_in(&self, name: &str, password: &str, scopes: &[&str]) -> Answer {
        self.post("/3rdparty/v1/auth/token").basic(name, password).json(&json!({ "scopes": scopes })).send().expect(201)
    }

    /// Signs `alice` in.
    #[track_caller]
    pub fn alice(&self, scopes: &[&str]) -> Answer {
        self.sign_in("alice", "wonderland", scopes)
    }

    #[track_caller]
    pub fn refresh(&self, token: &str) -> Answer {
        self.post("/3rdparty/v1/auth/token/refresh").bearer(token).send()
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Replaces the users file, atomically as editors and Kubernetes do.
    pub fn write_users(&self, text: &str) {
        let scratch = self.folder.path().join("users.next");
        fs::write(&scratch, text).unwrap();
        fs::rename(scratch, self.folder.path().join("users.toml")).unwrap();
    }

    /// The lines of its log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The lines of its log so far, with all about what it has answered.
    #[track_caller]
    pub fn whole_log(&self) -> Vec<String> {
        let last = self.get("/the/last/line").send();
        self.wait_for_log(last.header("x-request-id").unwrap());
        self.log()
    }

    /// Nobody reads its log while this is locked.
    pub fn log_reading(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.reading)
    }

    /// The memory it holds, in bytes.
    #[track_caller]
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    #[track_caller]
    pub fn wait_for_log(&self, part: &str) -> String {
        until(part, || self.log().into_iter().find(|line| line.contains(part)))
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as nothing can be caught, and returns when it has ended.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end, which has to come within the patience of [`until`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        until("the gate to end", || self.child.try_wait().unwrap())
    }

    /// Ends it with TERM, and holds it to a clean end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{:?}", self.log());
    }

    /// Starts one that has ended anew, on the same folder.
    #[track_caller]
    pub fn start_again(self) -> Self {
        self.launch_beside().listens()
    }

    /// A setting for the next start.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// A setting that is not there at the next start.
    pub fn without_setting(mut self, key: &str) -> Self {
        self.settings.retain(|(known, _)| known != key);
        self
    }

    /// A variable that is not there at the next start.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// Another one on the same folder, which may have to wait before it listens.
    pub fn launch_beside(&self) -> Self {
        Self::launch(Arc::clone(&self.folder), self.settings.clone(), self.variables.clone())
    }

    /// Ends it with TERM and starts it anew on the same folder.
    #[track_caller]
    pub fn restart(mut self) -> Self {
        self.stop();
        self.start_again()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stderr: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>, reading: Arc<Mutex<()>>) {
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _reading = reading.lock().unwrap();
            log.lock().unwrap().push(line);
        }
    });
}
