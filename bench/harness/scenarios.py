"""The scenarios: what is sent, by how many, and what counts.

Guarantees: a name stands for the same load wherever it is run.
Does not know: who answers.
"""

from dataclasses import dataclass

# More than any peer remembers (Envoy 10,000, the gate 4,096 per worker): sent in turn, each is new whenever it comes.
# Not many more: LuaJIT in wrk hashes a few bytes of a string, so that requests which differ in the others take turns
# quadratically longer to prepare (50,000 take up to a minute).
TOO_MANY_TO_REMEMBER = 12_000


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    # wrk: as fast as it goes. h2: the same over HTTP/2, 8 streams a connection. paced: h2load at a fixed rate. hold: idle
    # connections. handshake: connections that end with their handshake.
    tool: str = "wrk"
    algorithm: str = "HS256"
    connections: int = 64
    # Requests per second and connection, for paced loads.
    rate: int = 0
    workers: int = 1
    # How many different tokens are sent in turn.
    tokens: int = 1
    # How many connections beside these fetch answers of 1 MiB.
    heavy: int = 0
    # What is sent in place of good tokens, beside passes: none, or one that is refused for the reason named.
    refused: str = ""
    target: str = "/api/items?page=1"
    # TLS 1.3 towards the client, with a certificate for P-256.
    tls: bool = False
    # A connection for each request.
    close: bool = False
    # Whether the proxy has to be the bottleneck for its figures to count.
    saturates: bool = True
    peers: tuple = ("nginx", "haproxy", "envoy", "envoy-cache", "portcullis")


_FLOOR = ("relay", "nginx", "haproxy", "envoy", "envoy-cache", "portcullis")
_TLS = ("nginx", "haproxy", "portcullis")
# nginx refuses nothing here. The gate logs its refusals and the peers do not, so it is measured with and without that.
_REFUSING = ("haproxy", "envoy", "envoy-cache", "portcullis", "portcullis-quiet")

SCENARIOS = [
    Scenario("h1-HS256", "HTTP/1.1, 64 connections, one token", peers=_FLOOR),
    Scenario("h1-HS256-1000", "the same, 1,000 tokens in turn", tokens=1000),
    Scenario(
        "h1-HS256-miss",
        f"the same, {TOO_MANY_TO_REMEMBER:,} tokens in turn: nothing that was remembered helps",
        tokens=TOO_MANY_TO_REMEMBER,
    ),
    Scenario("h1-ES256", "one token signed with ECDSA P-256", algorithm="ES256"),
    Scenario("h1-RS256", "one token signed with RSA 2048", algorithm="RS256"),
    Scenario("h1-EdDSA", "one token signed with Ed25519", algorithm="EdDSA"),
    Scenario("c1", "one connection: latency", connections=1, saturates=False, peers=_FLOOR),
    Scenario(
        "rate10k",
        "10,000 requests a second over 50 connections, in bursts: latency",
        "paced",
        connections=50,
        rate=200,
        saturates=False,
        peers=_FLOOR,
    ),
    Scenario("h1-HS256-2w", "64 connections, two workers", workers=2),
    Scenario(
        "skew",
        "60 connections, beside 4 that fetch 1 MiB again and again, two workers: does each worker do its share",
        connections=60,
        heavy=4,
        workers=2,
        saturates=False,
    ),
    Scenario("idle", "5,000 connections, silent after one request: memory", "hold", connections=5000, saturates=False),
    Scenario("body-100k", "answers of 100 KiB", target=f"/api/items?bytes={100 << 10}", saturates=False, peers=_FLOOR),
    Scenario(
        "body-10m",
        "answers of 10 MiB over 8 connections",
        connections=8,
        target=f"/api/items?bytes={10 << 20}",
        saturates=False,
        peers=_FLOOR,
    ),
    Scenario("refuse-none", "no token", refused="none", saturates=False, peers=_REFUSING),
    Scenario("refuse-expired", "an expired token", refused="expired", saturates=False, peers=_REFUSING),
    Scenario("refuse-scope", "a token that lacks the scope", refused="scope", saturates=False, peers=_REFUSING),
    Scenario("tls-h1", "HTTP/1.1 over TLS, 64 connections, one token", tls=True, peers=_TLS),
    Scenario("tls-h2", "HTTP/2 over TLS, 16 connections with 8 streams each", "h2", connections=16, tls=True, peers=_TLS),
    # Setting up TLS costs the client as much as the proxy, and there is one CPU for clients.
    Scenario(
        "tls-handshake",
        "full handshakes, nothing else, 4 at a time",
        "handshake",
        connections=4,
        tls=True,
        saturates=False,
        peers=_TLS,
    ),
    Scenario(
        "tls-resume",
        "a connection for each request, its session resumed by ticket",
        connections=16,
        tls=True,
        close=True,
        saturates=False,
        peers=_TLS,
    ),
]
