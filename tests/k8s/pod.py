#!/usr/bin/env -S python3 -B
"""The pods of k8s/overlays/sidecar and sidecar-plain, run by podman: users, kills, exchanged files, their end under
load.

Guarantees: everything that is claimed was asked of a running pod; exit code 0 means that all of it held.
Does not know: Kubernetes itself. What podman lacks of it is in kubelet.py.
"""

import argparse
import http.client
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml
from client import API, basic, bearer, call, confined, expect, say, user
from kubelet import Claims, Pod, run, until

ROOT = Path(__file__).resolve().parents[2]
# As long as endpoints take to be known everywhere.
ENDPOINTS = 3


class Load:
    """Clients that call without a pause, half of them over new connections each time. New connections are made until the
    endpoints are known to be gone; kept ones are used until the gate says that it closes them."""

    def __init__(self, port, token, clients=8):
        self.port, self.token = port, token
        self.open, self.over = True, False
        self.lock, self.answered, self.failed, self.repeated = threading.Lock(), 0, [], 0
        self.threads = [threading.Thread(target=self.client, args=[kept % 2 == 0]) for kept in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self, keeps):
        connection, uses = None, 0
        while not self.over:
            if connection is None:
                if not self.open:
                    return
                connection, uses = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15), 0
            try:
                connection.request("GET", f"{API}/messages?ms=20", headers=bearer(self.token))
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                nothing = isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError))
                with self.lock:
                    if uses and nothing:
                        # Closed while idle, as the request left: clients repeat that (RFC 9110, 9.2.2).
                        self.repeated += 1
                    else:
                        self.failed.append(f"{type(error).__name__} {error}, open: {self.open}, uses: {uses}")
                connection = None
                continue
            uses += 1
            with self.lock:
                if answer.status == 200:
                    self.answered += 1
                else:
                    self.failed.append(f"{answer.status} {text!r}")
            if not keeps or answer.will_close:
                connection.close()
                connection = None

    def end(self):
        self.over = True
        for thread in self.threads:
            thread.join()


def begun(pod):
    """From the process's first moment to the line that it listens, in ms."""
    log = [json.loads(line) for line in pod.podman("logs", pod.container("portcullis")).stderr.splitlines()]
    [line] = [line for line in log if line["message"] == "listening"]
    day, clock = line["timestamp"].rstrip("Z").split("T")
    whole, part = clock.split(".")
    listening = time.mktime(time.strptime(f"{day} {whole} UTC", "%Y-%m-%d %H:%M:%S %Z")) - time.timezone + float(f"0.{part}")
    ticks = int(Path(f"/proc/{pod.process('portcullis')}/stat").read_text().rsplit(")", 1)[1].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return (listening - (time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK"))) * 1000


def sessions(pod, gate, password):
    pair = expect(201, call(gate, "POST", f"{API}/auth/token", '{"scopes": ["messages:list"]}', basic("alice", password)))
    seen = expect(200, call(gate, "GET", f"{API}/messages", headers=bearer(pair["access_token"])))
    assert seen == {"target": "/api/3rdparty/v1/messages", "subject": "alice"}, seen
    expect(401, call(gate, "GET", f"{API}/messages"))
    pair = expect(200, call(gate, "POST", f"{API}/auth/token/refresh", headers=bearer(pair["refresh_token"])))
    say("signed in, called, refreshed")
    pod.kill("portcullis")
    expect(200, call(gate, "GET", f"{API}/messages", headers=bearer(pair["access_token"])))
    pair = expect(200, call(gate, "POST", f"{API}/auth/token/refresh", headers=bearer(pair["refresh_token"])))
    say("kill -9: started again, the session goes on")
    return pair


def users_change(pod, gate, pair, password, bob):
    fresh = secrets.token_urlsafe(12)
    pod.secrets["portcullis-users"]["users.toml"] = user(pod, "alice", fresh) + bob
    process, began = pod.process("portcullis"), time.monotonic()
    pod.project("portcullis-settings")
    refused = lambda: call(gate, "GET", f"{API}/messages", headers=bearer(pair["access_token"]))[0] == 401
    until("the old password's session to end", 10, refused)
    after = time.monotonic() - began
    expect(401, call(gate, "POST", f"{API}/auth/token", '{"scopes": ["messages:list"]}', basic("alice", password)))
    expect(201, call(gate, "POST", f"{API}/auth/token", '{"scopes": ["messages:list"]}', basic("alice", fresh)))
    assert pod.process("portcullis") == process
    say(f"Secret exchanged: another password holds after {after:.1f} s, without a restart")


def configuration_changes(pod, gate, bob_password):
    [name] = [name for name in pod.configs if name.startswith("portcullis-config")]
    before = pod.configs[name]["config.toml"]
    sign_in = lambda: expect(201, call(gate, "POST", f"{API}/auth/token", '{"scopes": ["messages:list"]}',
                                       basic("bob", bob_password)))
    pod.configs[name]["config.toml"] = before + "\n[nonsense]\n"
    pod.project("portcullis-settings")
    assert pod.execute("portcullis", "/portcullis", "check").returncode == 78
    assert pod.execute("portcullis", "/portcullis", "health", "--address", "127.0.0.1:9090").returncode == 0
    pod.configs[name]["config.toml"] = before.replace("[users]", "[token]\naccess_ttl = \"2m\"\n\n[users]")
    pod.project("portcullis-settings")
    checked = pod.execute("portcullis", "/portcullis", "check")
    assert checked.returncode == 0, checked
    assert sign_in()["expires_in"] == 900
    pod.kill("portcullis")
    assert sign_in()["expires_in"] == 120
    say("ConfigMap exchanged: holds from the next start on (a running gate does not read it); a broken one does not harm it")


def end_under_load(pod, gate, pair):
    load = Load(gate, pair["access_token"])
    until("some load", 10, lambda: load.answered > 200)
    timer = threading.Timer(ENDPOINTS, lambda: setattr(load, "open", False))
    timer.start()
    before, ended = load.answered, pod.end()
    load.end()
    during = load.answered - before
    order = ", ".join(f"{name} after {seconds:.1f} s with {code}" for name, (seconds, code) in ended.items())
    say(f"TERM under load: {during} requests answered since, {load.repeated} repeated on another connection, "
        f"{len(load.failed)} failed; ended: {order}")
    assert not load.failed, load.failed[:10]
    assert during > 100
    assert ended["portcullis"][1] == 0 and ended["portcullis"][0] < ended["app"][0], ended
    assert ended["app"][0] < pod.spec["terminationGracePeriodSeconds"]


def build_app(pod):
    """The image of the sample API, from no registry."""
    with tempfile.TemporaryDirectory() as folder:
        run("rustc", "--edition", "2024", "-O", "-Ctarget-feature=+crt-static", "-Cstrip=symbols", "-o", f"{folder}/app",
            ROOT / "tests/k8s/app.rs", cwd=ROOT)
        shutil.copy(shutil.which("catatonit"), folder)
        pod.podman("build", "--tag", "localhost/sms:latest", "--file", ROOT / "tests/k8s/Dockerfile", folder)


def whole_story(kubectl, overlay):
    rendered = run(kubectl, "kustomize", ROOT / "k8s/overlays" / overlay).stdout
    password, bob_password = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
    with Claims() as claims, Pod(list(yaml.safe_load_all(rendered)), "Deployment/sms", claims, {}) as pod:
        build_app(pod)
        bob = user(pod, "bob", bob_password)
        pod.secrets["portcullis-users"] = {"users.toml": user(pod, "alice", password) + bob}
        pod.play()
        gate = pod.ports["gate"]
        try:
            say(f"{overlay}: started; {begun(pod):.0f} ms from making the container to listening")
            confined(pod)
            until("the app", 10, lambda: call(gate, "GET", "/health")[0] == 200)
            pair = sessions(pod, gate, password)
            users_change(pod, gate, pair, password, bob)
            configuration_changes(pod, gate, bob_password)
            pair = expect(201, call(gate, "POST", f"{API}/auth/token", '{"scopes": ["messages:list"]}',
                                    basic("bob", bob_password)))
            end_under_load(pod, gate, pair)
        except BaseException:
            print(pod.podman("logs", pod.container("portcullis"), check=False).stderr[-4000:], file=sys.stderr)
            raise
    say(f"{overlay}: all of it held")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubectl", default="kubectl")
    kubectl = parser.parse_args().kubectl
    for overlay in ("sidecar", "sidecar-plain"):
        whole_story(kubectl, overlay)


if __name__ == "__main__":
    main()
