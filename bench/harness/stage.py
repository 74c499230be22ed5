"""One scenario, from start to end: upstream, peers, verdicts, rounds.

Guarantees: a peer is measured only after its verdicts were right; peers take turns (A B C A B C ...), so that what
disturbs the machine disturbs all of them; with more CPUs than workers, proxy and load do not share any.
Does not know: how figures are told.
"""

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass, field

from . import load
from .peers import Place
from .processes import WORK, Process, free_port, lab
from .tokens import Tokens


@dataclass
class Turn:
    """One turn of one peer. CPU in seconds."""

    seen: load.Seen
    user: float
    system: float
    # The part of the CPU time that the busiest thread has spent.
    busiest: float

    def cpu_per_request(self):
        return (self.user + self.system) / max(self.seen.requests, 1) * 1e6

    def user_per_request(self):
        return self.user / max(self.seen.requests, 1) * 1e6

    def busy(self):
        return (self.user + self.system) / self.seen.seconds * 100


@dataclass
class Row:
    """All turns of one peer in one scenario."""

    scenario: object
    peer: str
    # Whether it had its CPUs for itself.
    apart: bool
    turns: list = field(default_factory=list)
    # For refusals: the same peer's passes, in the same rounds.
    passes: list = field(default_factory=list)
    held: list = field(default_factory=list)
    pss: float = 0.0


@dataclass
class Result:
    rows: list
    token_bytes: int
    left_out: list


class Unsound(RuntimeError):
    """The gate itself did not start, or judged wrongly."""


def play(scenario, peers, rounds, seconds):
    """Runs one scenario."""
    with contextlib.ExitStack() as stack:
        stage = _Stage(scenario, stack)
        # The tokens are those of the gate, so it comes first.
        peers = sorted(peers, key=lambda peer: peer.name != "portcullis")
        if scenario.tool == "hold":
            rows = stage.weigh(peers, min(rounds, 3))
        else:
            rows = stage.take_turns(peers, rounds, seconds)
        order = scenario.peers.index
        rows.sort(key=lambda row: order(row.peer))
        return Result(rows, len(stage.tokens.good[0]), stage.left_out)


class _Stage:
    def __init__(self, scenario, stack):
        self.scenario = scenario
        self.tokens = None
        self.left_out = []
        self.files = set()
        cpus = sorted(os.sched_getaffinity(0))
        apart = len(cpus) > scenario.workers
        self.proxy_cpus = set(cpus[: scenario.workers]) if apart else None
        self.load_cpus = set(cpus[scenario.workers :]) if apart else None
        self.upstream = free_port()
        upstream = stack.enter_context(Process([lab("upstream"), self.upstream], "upstream", self.load_cpus))
        if not upstream.listens(self.upstream):
            raise Unsound("the upstream did not start")
        self.stack = stack

    def take_turns(self, peers, rounds, seconds):
        started = [(peer, *self.start(peer, self.stack)) for peer in peers]
        live = [(peer, process, port) for peer, process, port in started if process]
        rows = {peer.name: Row(self.scenario, peer.name, self.proxy_cpus is not None) for peer, _, _ in live}
        for _, process, port in live:
            self.turn(process, port, 1, self.scenario.refused)
        for _ in range(rounds):
            for peer, process, port in live:
                row = rows[peer.name]
                if self.scenario.refused:
                    row.passes.append(self.turn(process, port, seconds, ""))
                row.turns.append(self.turn(process, port, seconds, self.scenario.refused))
        for peer, process, _ in live:
            rows[peer.name].pss = process.pss()
        return list(rows.values())

    def weigh(self, peers, rounds):
        """Each alone and started anew, as memory once used is not always given back."""
        rows = {}
        for _ in range(rounds):
            for peer in peers:
                with contextlib.ExitStack() as alone:
                    process, port = self.start(peer, alone)
                    if process:
                        row = rows.setdefault(peer.name, Row(self.scenario, peer.name, self.proxy_cpus is not None))
                        connections = self.scenario.connections
                        row.held.append(load.hold(process, port, self.tokens.good[0], connections))
        return list(rows.values())

    def start(self, peer, stack):
        """The running peer and its port; `None` if it does not start or judges wrongly."""
        port = free_port()
        directory = WORK / f"{self.scenario.name}-{peer.name}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        scenario = self.scenario
        place = Place(port, self.upstream, scenario.workers, scenario.algorithm, directory, scenario.tls, self.tokens)
        command = peer.command(peer.program, place)
        # Thousands of refusals a second would fill a disk.
        log = None if scenario.refused else directory / "log"
        process = stack.enter_context(Process(command, peer.name, self.proxy_cpus, log))
        if not process.listens(port):
            return self.leave_out(peer, f"did not start: {' '.join(map(str, command))}\n{process.last_words()}"), port
        if self.tokens is None:
            self.tokens = Tokens.like_those_of(port, scenario.algorithm, scenario.tokens, scenario.tls)
        wrong = self.wrong_verdicts(peer, port)
        if wrong:
            process.stop()
            return self.leave_out(peer, f"judged wrongly: {wrong}"), port
        return process, port

    def wrong_verdicts(self, peer, port):
        expected = {"good": 200, **(peer.expected() if peer.validates else {})}
        sent = {"good": self.tokens.good[0], "none": None, **self.tokens.refused}
        told = {case: load.status(port, sent[case], self.scenario.tls) for case in expected}
        wrong = [case for case in expected if told[case] != expected[case]]
        return ", ".join(f"{case} {told[case]} instead of {expected[case]}" for case in wrong)

    def leave_out(self, peer, why):
        if peer.name.startswith("portcullis"):
            raise Unsound(f"{peer.name} {why}")
        self.left_out.append(f"{peer.name} in {self.scenario.name}: {why}")
        print(self.left_out[-1], file=sys.stderr)

    def turn(self, process, port, seconds, refused):
        before, threads_before = process.cpu(), process.cpu_of_threads()
        seen = load.send(self.scenario, port, self.sent(refused), bool(refused), seconds, self.load_cpus)
        spent, threads = process.cpu() - before, process.cpu_of_threads()
        each = [seconds - threads_before.get(thread, 0) for thread, seconds in threads.items()]
        return Turn(seen, spent.user, spent.system, max(each) / max(sum(each), 0.001))

    def sent(self, refused):
        """The file of the tokens to send, one a line."""
        file = WORK / f"{self.scenario.name}.{refused or 'good'}.tokens"
        if file not in self.files:
            tokens = {"": self.tokens.good, "none": []}.get(refused)
            if tokens is None:
                tokens = [self.tokens.refused[refused]]
            file.write_text("".join(f"{token}\n" for token in tokens))
            self.files.add(file)
        return file
