#!/usr/bin/env -S python3 -B
"""The pods of k8s/overlays/redis, run by podman: two gates with one Redis, which are replaced under load, and Redis too.

Guarantees: every client that signs in, calls and refreshes while both pods are replaced, one is killed, and Redis is killed
and comes back, still has its session at the end; what one gate is told to end has ended at the other.
Does not know: Kubernetes itself. Redis is a process of this machine.
"""

import argparse
import secrets
import subprocess
import sys
import tempfile
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import yaml
from client import confined, say, user
from edge import ENDPOINTS, HOST, Clients, Upstream, revocation
from kubelet import Claims, Pod, free_port, run, until

ROOT = Path(__file__).resolve().parents[2]


class Redis:
    """Keeps all that it acknowledges."""

    def __init__(self):
        self.port, self.folder = free_port(), tempfile.TemporaryDirectory()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder.name, "--save", "",
             "--appendonly", "yes", "--appendfsync", "always"], stdout=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubectl", default="kubectl")
    rendered = run(parser.parse_args().kubectl, "kustomize", ROOT / "k8s/overlays/redis").stdout
    objects, password = list(yaml.safe_load_all(rendered)), secrets.token_urlsafe(12)
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    upstream.daemon_threads = True
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    redis, pods, users = Redis(), [], {}
    there = {"PORTCULLIS_UPSTREAM__URL": f"http://{HOST}:{upstream.server_port}",
             "PORTCULLIS_STORE__URLS": f"redis://{HOST}:{redis.port}"}
    with Claims() as claims:
        def pod():
            made = Pod(objects, "Deployment/portcullis", claims, users, there)
            pods.append(made)
            if not users:
                users["portcullis-users"] = {"users.toml": user(made, "alice", password)}
            made.play()
            return made

        try:
            gates = [pod(), pod()]
            for gate in gates:
                confined(gate)
            revocation(gates[0].ports["gate"], gates[1].ports["gate"], password)

            endpoints = [gate.ports["gate"] for gate in gates]
            clients = Clients(endpoints, password)
            until("some refreshes", 30, lambda: clients.refreshes > 20)
            fresh = []
            for old in gates:
                fresh.append(pod())
                endpoints.append(fresh[-1].ports["gate"])
                leaves = threading.Timer(ENDPOINTS, endpoints.remove, [old.ports["gate"]])
                leaves.start()
                [(_, code)] = old.end().values()
                leaves.join()
                assert code == 0, code
            before = clients.refreshes
            until("refreshes at the new pods", 30, lambda: clients.refreshes > before + 20)
            say(f"redis: both pods replaced under load, {clients.repeated} requests repeated so far")

            fresh[0].kill("portcullis")
            before = clients.refreshes
            until("refreshes after the death of a gate", 30, lambda: clients.refreshes > before + 20)
            redis.kill()
            before = clients.repeated
            until("refreshes without Redis", 30, lambda: clients.repeated > before + 5)
            for gate in fresh:
                assert gate.probe(gate.containers[0], "readinessProbe"), "without Redis it is not ready"
            redis.start()
            before = clients.refreshes
            until("refreshes with Redis", 30, lambda: clients.refreshes > before + 20)
            clients.end()
            say(f"redis: a gate and Redis killed under load; {len(clients.threads)} clients, {clients.calls} calls, "
                f"{clients.refreshes} refreshes, {clients.repeated} repeated, {len(clients.lost)} sessions lost")
            assert not clients.lost, clients.lost
        except BaseException:
            for made in pods:
                log = made.podman("logs", made.container("portcullis"), check=False)
                print(made.name, log.stderr[-3000:], file=sys.stderr)
            raise
        finally:
            for made in pods:
                made.__exit__()
            redis.kill()
    say("redis: all of it held")


if __name__ == "__main__":
    main()
