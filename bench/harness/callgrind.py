"""User instructions of a gate, counted by callgrind while it runs.

Guarantees: what is counted lies between two moments at which the gate was at rest, so that starting, seeding random
generators and ending are not in it; each request has its answer before the next is sent.
Does not know: what is asked of the gate, what the counts should be.
"""

import re
import shutil
import socket
import subprocess
import time

from .peers import Place
from .processes import BENCH, WORK, Process, free_port, lab
from .tokens import KEYS

DIRECTORY = WORK / "callgrind"
# Under callgrind everything takes some fifty times as long, and other work on the machine adds to that.
PATIENCE = 120


class Gate:
    """A gate with one worker under callgrind, and four kept-alive connections to it."""

    def __init__(self, binary, stack):
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(parents=True)
        place = Place(free_port(), free_port(), 1, "HS256", DIRECTORY / "data")
        upstream = stack.enter_context(Process([lab("upstream"), place.upstream], "upstream"))
        if not upstream.listens(place.upstream):
            raise RuntimeError("the upstream did not start")
        self.port = place.port
        self.process = stack.enter_context(Process(_command(binary, place), "gate", log=DIRECTORY / "log"))
        if not self.process.listens(self.port, PATIENCE):
            raise RuntimeError(f"the gate did not start under callgrind:\n{self.process.last_words()}")
        # Two seconds after its start the gate has read its configuration once more, which is not to be counted.
        time.sleep(4)
        self.connections = []
        self.stack = stack

    def ask(self, requests, status):
        """Sends `requests` over the connections in turn; each must be answered with `status`."""
        if not self.connections:
            addresses = [("127.0.0.1", self.port)] * 4
            self.connections = [self.stack.enter_context(socket.create_connection(at, PATIENCE)) for at in addresses]
        for number, request in enumerate(requests):
            stream = self.connections[number % len(self.connections)]
            stream.sendall(request)
            told = _answer(stream)
            if told != status:
                raise RuntimeError(f"answered with {told} instead of {status}")

    def counted(self):
        """Instructions since this was last asked."""
        before = set(DIRECTORY.glob("out.*"))
        _vgdb(self.process.pid, "dump")
        written = set(DIRECTORY.glob("out.*")) - before
        if len(written) != 1:
            raise RuntimeError(f"callgrind wrote {len(written)} files for one dump")
        return int(re.search(r"^totals: (\d+)", written.pop().read_text(), re.MULTILINE)[1])


def _command(binary, place):
    callgrind = ["--tool=callgrind", f"--callgrind-out-file={DIRECTORY}/out", f"--vgdb-prefix={DIRECTORY}/vgdb"]
    valgrind = ["valgrind", *callgrind, "--trace-children=yes"]
    gate = [BENCH / "gate", binary, place.port, place.upstream, place.workers, KEYS, place.algorithm, place.directory]
    # A cache so small that the warm-up fills it: then forgetting tokens is counted as well as remembering them.
    return [*valgrind, *gate, "--set", "limits.token_cache_entries=64"]


def _vgdb(pid, command):
    words = ["vgdb", f"--vgdb-prefix={DIRECTORY}/vgdb", f"--pid={pid}", command]
    subprocess.run(words, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _answer(stream):
    """The status of the next answer, once all of it has come."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(stream)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
    while len(body) < length:
        body += _more(stream)
    return int(head[9:12])


def _more(stream):
    data = stream.recv(65536)
    if not data:
        raise RuntimeError("the gate closed a connection")
    return data
