#!/usr/bin/env -S python3 -B
"""The pods of k8s/overlays/edge, run by podman: a primary, and edge pods that are replaced under load.

Guarantees: every client that signs in, calls and refreshes while all edge pods and then the primary are replaced
still has its session at the end.
Does not know: Kubernetes itself. The Service's endpoints are a list here, and the API is a thread of this process.
"""

import argparse
import http.client
import random
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from client import API, basic, bearer, call, confined, expect, say, user
from kubelet import Claims, Pod, run, until

ROOT = Path(__file__).resolve().parents[2]
# What slirp4netns calls this machine.
HOST = "10.0.2.2"
# As long as endpoints take to be known everywhere.
ENDPOINTS = 3


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"[]"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Clients:
    """Each signs in, and then calls and refreshes at whichever pod it gets. It repeats what was not answered, or answered
    with 503, as clients do that mean to stay signed in."""

    def __init__(self, endpoints, password, number=6):
        self.endpoints, self.password = endpoints, password
        self.over, self.lock = False, threading.Lock()
        self.calls, self.refreshes, self.repeated, self.lost = 0, 0, 0, []
        self.threads = [threading.Thread(target=self.live) for _ in range(number)]
        for thread in self.threads:
            thread.start()

    def ask(self, method, target, body=None, headers=None):
        by = time.monotonic() + 60
        while time.monotonic() < by:
            try:
                answer = call(random.choice(self.endpoints), method, target, body, headers)
            except (OSError, http.client.HTTPException):
                answer = (503, None)
            if answer[0] not in (502, 503):
                return answer
            with self.lock:
                self.repeated += 1
            time.sleep(0.2)
        return answer

    def live(self):
        pair = expect(201, self.ask("POST", f"{API}/auth/token", '{"scopes": ["messages:list"]}',
                                    basic("alice", self.password)))
        while not self.over:
            for _ in range(5):
                seen = self.ask("GET", f"{API}/messages", headers=bearer(pair["access_token"]))
                if seen[0] != 200:
                    return self.lose("a call", seen)
            answer = self.ask("POST", f"{API}/auth/token/refresh", headers=bearer(pair["refresh_token"]))
            if answer[0] != 200:
                return self.lose("a refresh", answer)
            pair = answer[1]
            with self.lock:
                self.calls, self.refreshes = self.calls + 5, self.refreshes + 1

    def lose(self, what, answer):
        with self.lock:
            self.lost.append(f"{what}: {answer}")

    def end(self):
        self.over = True
        for thread in self.threads:
            thread.join()


def revocation(first, second, password):
    """What one pod is told counts at the other."""
    headers = basic("alice", password)
    pair = expect(201, call(first, "POST", f"{API}/auth/token", '{"scopes": ["messages:list"]}', headers))
    expect(200, call(second, "GET", f"{API}/messages", headers=bearer(pair["access_token"])))
    expect(204, call(second, "DELETE", f"{API}/auth/token/{pair['id']}", headers=headers))
    for port in (first, second):
        until("the session to be over", 5,
              lambda: call(port, "GET", f"{API}/messages", headers=bearer(pair["access_token"]))[0] == 401)
    say("edge: signed in at one pod, called at another, revoked at both")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubectl", default="kubectl")
    rendered = run(parser.parse_args().kubectl, "kustomize", ROOT / "k8s/overlays/edge").stdout
    objects, password = list(yaml.safe_load_all(rendered)), secrets.token_urlsafe(12)
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    upstream.daemon_threads = True
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    api = {"PORTCULLIS_UPSTREAM__URL": f"http://{HOST}:{upstream.server_port}"}
    pods = []
    with Claims() as claims:
        def made(workload, variables):
            pods.append(Pod(objects, workload, claims, users, api | variables))
            return pods[-1]

        def edge_pod():
            pod = made("Deployment/portcullis", there)
            pod.play()
            return pod

        users = {}
        try:
            primary = made("StatefulSet/portcullis-primary", {})
            users["portcullis-users"] = {"users.toml": user(primary, "alice", password)}
            primary.play()
            there = {"PORTCULLIS_STORE__PRIMARY_URL": f"http://{HOST}:{primary.ports['gate']}"}
            edge = [edge_pod(), edge_pod()]
            for pod in (primary, *edge):
                confined(pod)
            revocation(edge[0].ports["gate"], edge[1].ports["gate"], password)

            endpoints = [pod.ports["gate"] for pod in edge]
            clients = Clients(endpoints, password)
            until("some refreshes", 30, lambda: clients.refreshes > 20)
            for old in edge:
                endpoints.append(edge_pod().ports["gate"])
                leaves = threading.Timer(ENDPOINTS, endpoints.remove, [old.ports["gate"]])
                leaves.start()
                [(_, code)] = old.end().values()
                leaves.join()
                assert code == 0, code
            before = clients.refreshes
            until("refreshes at the new pods", 30, lambda: clients.refreshes > before + 20)
            say(f"edge: both pods replaced under load, {clients.repeated} requests repeated so far")

            assert [code for _, code in primary.end().values()] == [0]
            # Its successor is found by the same name.
            ports, primary = primary.ports, made("StatefulSet/portcullis-primary", {})
            primary.ports |= ports
            primary.play()
            before = clients.refreshes
            until("refreshes at the new primary", 30, lambda: clients.refreshes > before + 20)
            clients.end()
            say(f"edge: the primary replaced under load; {len(clients.threads)} clients, {clients.calls} calls, "
                f"{clients.refreshes} refreshes, {clients.repeated} repeated, {len(clients.lost)} sessions lost")
            assert not clients.lost, clients.lost
        except BaseException:
            for pod in pods:
                log = pod.podman("logs", pod.container("portcullis"), check=False)
                print(pod.name, log.stderr[-3000:], file=sys.stderr)
            raise
        finally:
            for pod in pods:
                pod.__exit__()
    say("edge: all of it held")


if __name__ == "__main__":
    main()
