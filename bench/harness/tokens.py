"""Keys, and tokens in the gate's own format that every peer can verify.

Guarantees: a token of the bench has the header and the claims of one that the gate has just issued; only subject,
session and what a refusal needs differ. All peers are sent the very same tokens. (A session that the gate never began
is not refused: only an end that it knows of is.)
Does not know: what the gate writes into its tokens.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
from dataclasses import dataclass, field

from .processes import BENCH, WORK

KEYS = WORK / "keys"
ALGORITHMS = ("HS256", "ES256", "RS256", "EdDSA")
_GENPKEY = {
    "ES256": ("es256", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    "RS256": ("rs256", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    "EdDSA": ("ed25519", ["-algorithm", "ED25519"]),
}


def make_keys():
    """Makes the keys that are not there yet."""
    KEYS.mkdir(parents=True, exist_ok=True)
    # The gate takes no key that others can read.
    before = os.umask(0o077)
    try:
        _make_keys()
    finally:
        os.umask(before)


def _make_keys():
    secret_file = KEYS / "hs256.secret"
    if not secret_file.exists():
        secret_file.write_text(_base64url(os.urandom(32)))
    for stem, options in _GENPKEY.values():
        private, public = KEYS / f"{stem}.pem", KEYS / f"{stem}.pub.pem"
        if not private.exists():
            _openssl("genpkey", *options, "-out", private)
        if not public.exists():
            _openssl("pkey", "-in", private, "-pubout", "-out", public)
    if not certificate().exists():
        key, names = KEYS / "es256.pem", "subjectAltName=DNS:bench.local,IP:127.0.0.1"
        made = _openssl("req", "-x509", "-key", key, "-days", "3650", "-subj", "/CN=bench.local", "-addext", names)
        certificate().write_bytes(made + key.read_bytes())


def certificate():
    """The path of a certificate for P-256, its key in the same file."""
    return KEYS / "tls.pem"


def secret():
    return (KEYS / "hs256.secret").read_text()


def public_key(algorithm):
    """The path of the public key, or for HS256 the secret itself."""
    return secret() if algorithm == "HS256" else KEYS / f"{_GENPKEY[algorithm][0]}.pub.pem"


@dataclass
class Tokens:
    """The tokens of one run. `refused` are tokens that must not pass, by what is wrong with them."""

    algorithm: str
    header: dict
    claims: dict
    good: list = field(default_factory=list)
    refused: dict = field(default_factory=dict)

    @classmethod
    def like_those_of(cls, port, algorithm, count, tls=False):
        """`count` different tokens like those that the gate on `port` issues."""
        issued = _issued(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
        header, claims, _ = issued.split(".")
        tokens = cls(algorithm, _decoded(header), _decoded(claims))
        tokens.good = [tokens.token(number) for number in range(count)]
        hour_ago = int(time.time()) - 3600
        one = tokens.good[0]
        tokens.refused = {
            # In the middle: the last character of a signature has bits that a decoder may overlook.
            "badsig": one[:-9] + ("B" if one[-9] == "A" else "A") + one[-8:],
            "expired": tokens.token(0, iat=hour_ago - 900, nbf=hour_ago - 900, exp=hour_ago),
            "issuer": tokens.token(0, iss="https://else.bench.local"),
            "scope": tokens.token(0, scopes=["items:write"], scope="items:write"),
        }
        return tokens

    def token(self, number, **different):
        session = _base64url(os.urandom(12))
        subject = f"user-{number:08x}"
        generation = self.claims["jti"].split(".")[1]
        own = {"sub": subject, "user_id": subject, "sid": session, "jti": f"{session}.{generation}"}
        message = f"{_encoded(self.header)}.{_encoded({**self.claims, **own, **different})}"
        return f"{message}.{_base64url(_signature(self.algorithm, message.encode()))}"

    def jwks(self):
        """The public key as a JWK set, under the name that the tokens' header gives it."""
        return json.dumps({"keys": [{"kid": self.header["kid"], "alg": self.algorithm, **_jwk(self.algorithm)}]})


def _issued(gate):
    token = subprocess.run([BENCH / "token", gate], check=False, capture_output=True, text=True).stdout.strip()
    if token.count(".") != 2:
        raise RuntimeError(f"the gate issued no token: bench/token {gate} was asked")
    return token


def _signature(algorithm, message):
    if algorithm == "HS256":
        return hmac.digest(secret().encode(), message, hashlib.sha256)
    key = KEYS / f"{_GENPKEY[algorithm][0]}.pem"
    if algorithm == "EdDSA":
        # Signed in one go, which openssl does for files only.
        text = KEYS / "message"
        text.write_bytes(message)
        return _openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", text)
    signature = _openssl("dgst", "-sha256", "-sign", key, stdin=message)
    return _fixed(signature) if algorithm == "ES256" else signature


def _fixed(der):
    """An ECDSA signature as JWS has it (RFC 7518 section 3.4), from the DER of two integers."""
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


def _jwk(algorithm):
    if algorithm == "HS256":
        return {"kty": "oct", "k": _base64url(secret().encode())}
    public = public_key(algorithm)
    if algorithm == "RS256":
        modulus = _openssl("rsa", "-pubin", "-in", public, "-noout", "-modulus").decode().strip().split("=")[1]
        return {"kty": "RSA", "n": _base64url(bytes.fromhex(modulus)), "e": "AQAB"}
    # In the DER of both the key stands at the end: 64 bytes for a point of P-256, 32 for Ed25519.
    der = _openssl("pkey", "-pubin", "-in", public, "-outform", "DER")
    if algorithm == "ES256":
        return {"kty": "EC", "crv": "P-256", "x": _base64url(der[-64:-32]), "y": _base64url(der[-32:])}
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(der[-32:])}


def _openssl(*words, stdin=b""):
    command = ["openssl", *(str(word) for word in words)]
    return subprocess.run(command, input=stdin, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encoded(value):
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _decoded(segment):
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
