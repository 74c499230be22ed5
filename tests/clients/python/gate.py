"""Where the gate is, who signs in, and how a verified step or a surprise is told.

Guarantees: importing it ends the process by itself after a minute, keeps proxies and netrc files of the environment
away from the clients, and turns every uncaught exception into exit code 1 and one line that holds no token and no
password.
Does not know: any client library, nor the order of the steps.
"""

import base64
import json
import os
import re
import signal
import sys
from datetime import datetime

DEADLINE_SECONDS = 60


def ok(step):
    print(f"ok: {step}", flush=True)


def expect(holds, surprise):
    if not holds:
        raise AssertionError(surprise)


def refusal(action, kind):
    """The exception of class `kind` that `action` must raise."""
    try:
        action()
    except kind as refused:
        return refused
    raise AssertionError(f"{kind.__name__} was expected, but the call succeeded")


def claims(token):
    """The claims of a JWT. Its signature is the gate's business, not a client's."""
    parts = token.split(".")
    expect(len(parts) == 3, "a token is not a JWT of three parts")
    return json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))


def expect_pair(access_token, refresh_token, expires_at, scopes):
    """Checks what must hold for every pair; `expires_at` is the text of the answer or a datetime."""
    access, refresh = claims(access_token), claims(refresh_token)
    if isinstance(expires_at, str):
        # Whole seconds and Z: older Python versions cannot read anything else.
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", expires_at), "expires_at is not UTC in whole seconds")
        expires_at = datetime.fromisoformat(expires_at.replace("Z", "+00:00"))
    expect(expires_at.timestamp() == access["exp"], "expires_at is not the access token's exp")
    expect(sorted(access["scopes"]) == sorted(scopes), "the access token has other scopes than those asked for")
    expect(refresh.get("jti"), "the refresh token has no jti to log")
    expect(refresh["exp"] > access["exp"], "the refresh token does not outlive the access token")
    return access


def variable(name):
    value = os.environ.get(name, "")
    expect(value, f"the environment variable {name} is missing")
    return value


def _told_without_secrets(text):
    # The samples quote whole answers in their exceptions, and an answer of the wrong status may hold a pair.
    text = re.sub(r"[\w-]{16,}\.[\w-]{16,}\.[\w-]+", "<token>", text)
    password = os.environ.get("GATE_PASSWORD")
    return text.replace(password, "<password>") if password else text


def _tell_surprise(kind, error, trace):
    line = ""
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "__main__":
            line = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    name = "" if kind is AssertionError else f"{kind.__name__}: "
    print(f"FAILED{line}: {_told_without_secrets(f'{name}{error}')}", file=sys.stderr)


sys.excepthook = _tell_surprise
if hasattr(signal, "alarm"):
    signal.alarm(DEADLINE_SECONDS)
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]
# requests would replace a Bearer header by what a netrc file says about the host.
os.environ["NETRC"] = os.devnull

URL = variable("GATE_URL").rstrip("/")
USER = variable("GATE_USER")
PASSWORD = variable("GATE_PASSWORD")
