"""What the tests of running pods have in common: calls, users, what a process may do.

Guarantees: an answer other than the expected one ends the test.
Does not know: which pods there are.
"""

import base64
import http.client
import json
from pathlib import Path

API = "/3rdparty/v1"


def say(text):
    print(f"pod: {text}", flush=True)


def call(port, method, target, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def expect(status, answer):
    assert answer[0] == status, f"expected {status}: {answer}"
    return answer[1]


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode(),
            "Content-Type": "application/json"}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def user(pod, name, password):
    hashed = pod.podman("run", "--rm", "-i", "--network", "none", "localhost/portcullis:latest", "hash-password",
                        input=password).stdout.strip()
    return f'[[user]]\nname = "{name}"\npassword_hash = "{hashed}"\nscopes = ["messages:list"]\n'


def confined(pod):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pod.process('portcullis')}/status").read_text().splitlines())
    found = {key: status[key].split() for key in ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
    assert found["Uid"] == ["65532"] * 4, found
    assert int(found["CapEff"][0], 16) == int(found["CapBnd"][0], 16) == 0, found
    assert (found["NoNewPrivs"], found["Seccomp"]) == (["1"], ["2"]), found
    assert pod.inspect("portcullis")["HostConfig"]["ReadonlyRootfs"]
    memory = int(status["VmRSS"].split()[0])
    assert memory <= 12 * 1024, f"{memory} KiB idle"
    say(f"uid 65532, no capabilities, seccomp, root read-only; {memory} KiB resident")
