"""Processes under measurement: started, pinned, weighed, ended.

Guarantees: what is started in a `with` is ended with it, children included, whatever happens inside; CPU time and
memory count the whole tree of a process, so a master with workers is weighed as one.
Does not know: what the processes are.
"""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
WORK = TARGET / "bench" / "work"

TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Cpu:
    """CPU seconds."""

    user: float = 0.0
    system: float = 0.0

    def __sub__(self, other):
        return Cpu(self.user - other.user, self.system - other.system)

    def total(self):
        return self.user + self.system


class Process:
    """A running program. `cpus` is the set of CPUs it is pinned to, if any."""

    def __init__(self, command, name, cpus=None, log=None):
        self.name = name
        self.log = log
        pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
        # Appending, so that several writers of one log do not overwrite each other.
        with open(log or os.devnull, "ab") as output:
            self.popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=pin,
                start_new_session=True,
            )
        self.pid = self.popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.popen.poll() is not None:
            return
        self.popen.terminate()
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            # The session, and with it the children of a master that would not go.
            os.killpg(self.pid, signal.SIGKILL)
            self.popen.wait()

    def listens(self, port, seconds=15):
        """Waits until something accepts on `port`. False if the program ended before, or the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.popen.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                return True
            except OSError:
                time.sleep(0.05)
        return False

    def last_words(self):
        if not self.log:
            return ""
        return Path(self.log).read_text(errors="replace")[-600:].strip()

    def cpu(self):
        """CPU time so far."""
        each = [_cpu(f"/proc/{pid}/stat") for pid in tree(self.pid)]
        return Cpu(sum(cpu.user for cpu in each), sum(cpu.system for cpu in each))

    def cpu_of_threads(self):
        """CPU seconds so far of each thread, by its id."""
        tasks = [task for pid in tree(self.pid) for task in Path(f"/proc/{pid}/task").glob("*")]
        return {task.name: _cpu(task / "stat").total() for task in tasks}

    def pss(self):
        """Proportional set size in MiB: resident memory, in which a page shared by n processes counts 1/n."""
        kib = 0
        for pid in tree(self.pid):
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024


def _cpu(stat):
    """What the file of a process or a thread says; nothing if it has ended."""
    try:
        # The name in parentheses may hold spaces.
        fields = Path(stat).read_text().rsplit(")", 1)[1].split()
    except OSError:
        return Cpu()
    return Cpu(int(fields[11]) / TICK, int(fields[12]) / TICK)


def tree(pid):
    """The process and all below it."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in children.read_text().split():
                found += tree(int(child))
        except OSError:
            pass
    return found


def free_port():
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lab(program):
    """The path of a program of bench/lab; `build_lab` makes it."""
    return TARGET / "bench" / "release" / program


def build_lab():
    manifest = BENCH / "lab" / "Cargo.toml"
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "build", "--quiet", "--release", "--locked", "--manifest-path", manifest]
    subprocess.run([*command, "--target-dir", TARGET / "bench"], check=True)


def prepare():
    """Makes this process fit to start others: room for thousands of sockets, and an end by signal that runs every
    `with` to its end."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    WORK.mkdir(parents=True, exist_ok=True)
