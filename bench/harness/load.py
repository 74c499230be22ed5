"""Loads: what is sent, and what the sender saw.

Guarantees: an answer other than the expected one counts as bad, whichever tool sent the request.
Does not know: what the proxy spent on it.
"""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .processes import BENCH, WORK, lab

HEAVY_TARGET = f"/api/items?bytes={1 << 20}"


@dataclass
class Seen:
    """What a sender saw. Times in microseconds, `seconds` of the sending alone."""

    requests: int
    seconds: float
    p50: float
    p99: float
    bad: int


def missing_tool(scenario, which):
    """The tool that `scenario` needs and that `which` does not find, with the package that has it."""
    package = {"wrk": "wrk", "h2load": "nghttp2-client", "openssl": "openssl"}
    tool = {"paced": "h2load", "h2": "h2load", "handshake": "openssl"}.get(scenario.tool, scenario.tool)
    return None if tool not in package or which(tool) else f"{tool} (Debian: {package[tool]})"


def send(scenario, port, tokens, refused, seconds, cpus):
    """Loads `port` for some seconds with the tokens of a file. With `refused` every answer has to be a refusal."""
    tool = {"wrk": _wrk, "paced": _h2load, "h2": _h2load, "handshake": _handshakes}[scenario.tool]
    try:
        return tool(scenario, port, tokens, refused, seconds, cpus)
    except (subprocess.TimeoutExpired, StopIteration, ValueError, OSError) as error:
        print(f"the load failed: {error!r}", file=sys.stderr)
        return Seen(requests=1, seconds=seconds, p50=0, p99=0, bad=1)


def _wrk(scenario, port, tokens, refused, seconds, cpus):
    def load(connections, target):
        environment = {**os.environ, "TOKENS": str(tokens), "TARGET": target}
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(BENCH / "conf" / "wrk.lua")]
        close = ["-H", "Connection: close"] if scenario.close else []
        return _run(["wrk", *options, *close, f"{_origin(scenario, port)}/"], seconds + 60, cpus, environment)

    with ThreadPoolExecutor() as beside:
        heavy = beside.submit(load, scenario.heavy, HEAVY_TARGET) if scenario.heavy else None
        seen = _told_by_wrk(load(scenario.connections, scenario.target), refused)
        if heavy:
            seen.bad += _told_by_wrk(heavy.result(), refused).bad
    return seen


def _told_by_wrk(output, refused):
    seen = next(json.loads(line[5:]) for line in output.splitlines() if line.startswith("JSON "))
    wrong = seen["requests"] - seen["refused"] if refused else seen["refused"]
    return Seen(seen["requests"], seen["seconds"], seen["p50"], seen["p99"], wrong + seen["broken"])


def _h2load(scenario, port, tokens, refused, seconds, cpus):
    log = WORK / "requests.log"
    token = tokens.read_text().splitlines()[0]
    log.unlink(missing_ok=True)
    pace = ["--h1", f"--rps={scenario.rate}"] if scenario.rate else ["-m8"]
    command = ["h2load", *pace, "-t1", f"-c{scenario.connections}", f"-D{seconds}"]
    headers = [f"authorization: Bearer {token}", "accept: application/json"]
    options = [f"--log-file={log}", *(word for header in headers for word in ("-H", header))]
    _run([*command, *options, f"{_origin(scenario, port)}{scenario.target}"], seconds + 60, cpus)
    # Start, status and duration in microseconds, one request a line.
    rows = [line.split() for line in log.read_text().splitlines()]
    took = sorted(int(row[2]) for row in rows)
    bad = sum((row[1] == "200") == refused for row in rows)
    return Seen(len(rows), seconds, took[len(took) // 2], took[len(took) * 99 // 100], bad)


def _handshakes(scenario, port, tokens, refused, seconds, cpus):
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-tls1_3", "-time", str(seconds)]
    with ThreadPoolExecutor() as beside:
        each = [beside.submit(_run, command, seconds + 60, cpus) for _ in range(scenario.connections)]
        told = [re.findall(r"(\d+) connections in (\d+) real seconds", one.result()) for one in each]
    made = [int(found[0][0]) if found else 0 for found in told]
    # It ends with the second in which its time is over; it tells nothing of single handshakes.
    return Seen(sum(made), seconds, 0, 0, made.count(0))


def _origin(scenario, port):
    return f"{'https' if scenario.tls else 'http'}://127.0.0.1:{port}"


def _run(command, timeout, cpus, environment=None):
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    done = subprocess.run(
        command,
        env=environment,
        timeout=timeout,
        preexec_fn=pin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode(errors="replace")


@dataclass
class Held:
    """Idle connections: memory in MiB before and with them."""

    connections: int
    before: float
    after: float
    bad: int


def hold(process, port, token, connections):
    """Opens idle connections and weighs `process` before and with them."""
    before = process.pss()
    command = [lab("holder"), str(port), str(connections)]
    environment = {**os.environ, "TOKEN": token}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        answered = int(holder.stdout.readline() or 0)
        # Buffers that are let go on a timer are let go.
        time.sleep(2)
        after = process.pss()
        holder.stdin.close()
        still_open = int(holder.stdout.readline() or 0)
    return Held(connections, before, after, bad=connections - min(answered, still_open))


def status(port, token, tls=False):
    """The status of one request; 0 if there is no answer."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    request = f"GET /api/items?page=1 HTTP/1.1\r\nHost: bench.local\r\n{authorization}Connection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            if tls:
                stream = _trusting().wrap_socket(stream)
            with stream:
                stream.sendall(request.encode())
                return int(stream.recv(4096)[9:12] or 0)
    except (OSError, ValueError):
        return 0


def _trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
