"""requests-oauthlib as an OAuth client of the gate.

Guarantees: tokens come through `OAuth2Session`, which refreshes them by itself; errors are seen as oauthlib's. The
first surprise ends the run.
Does not know: a call for revocation or introspection. The library has none: oauthlib writes the body of the one, the
other is a plain request.
"""

import sys
import time

sys.dont_write_bytecode = True  # nothing is left behind among the sources
import gate
import oauth
from gate import expect, ok
from oauth import LIST, SECRETS

import requests
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError, InvalidGrantError, LegacyApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

METADATA = oauth.discover()
TOKEN = METADATA["token_endpoint"]


def own(name, secret=None, **options):
    session = OAuth2Session(client=BackendApplicationClient(name))
    return session, session.fetch_token(TOKEN, client_secret=secret or SECRETS[name], **options)


def signed_in(name, **options):
    session = OAuth2Session(client=LegacyApplicationClient(name), **options)
    session.fetch_token(TOKEN, username=gate.USER, password=gate.PASSWORD, client_secret=SECRETS[name])
    return session


def introspected(name, token):
    asked = {"token": token}
    return requests.post(METADATA["introspection_endpoint"], asked, auth=(name, SECRETS[name]), timeout=20).json()


def revoke(name, token, kind):
    prepared = BackendApplicationClient(name).prepare_token_revocation_request
    # It writes the body alone: how a client proves itself is left to the caller.
    _, headers, body = prepared("https://gate.test", token, token_type_hint=kind)
    answer = requests.post(
        METADATA["revocation_endpoint"], body, headers=headers, auth=(name, SECRETS[name]), timeout=20
    )
    expect(answer.status_code == 200, f"revocation answers {answer.status_code}")


def own_token(way, **options):
    session, token = own("reports", **options)
    oauth.verified(METADATA, token["access_token"], "reports", "client:reports")
    expect(session.get(LIST).status_code == 200, "the route refuses the client's token")
    expect(introspected("reports", token["access_token"])["active"] is True, "a fresh token is not active")
    revoke("reports", token["access_token"], "access_token")
    expect(introspected("reports", token["access_token"]) == {"active": False}, "a revoked token is active")
    expect(session.get(LIST).status_code == 401, "the route takes a revoked token")
    ok(f"{way}: a token for itself is verified, used, introspected and revoked")


def a_session():
    session, auth = signed_in("web"), HTTPBasicAuth("web", SECRETS["web"])
    first = dict(session.token)
    session.scope = ["messages:list"]
    narrow = session.refresh_token(TOKEN, auth=auth)
    expect(narrow.scopes == ["messages:list"] and not narrow.scope_changed, "a narrower scope was asked for")
    session.scope = None
    session._client.scope = None
    wide = session.refresh_token(TOKEN, auth=auth)
    expect(wide["scope"] == first["scope"], "narrowing one token narrowed the session")
    ok("a session is refreshed, for one token with a narrower scope")

    consumed = first["refresh_token"]
    gate.refusal(lambda: session.refresh_token(TOKEN, refresh_token=consumed, auth=auth), InvalidGrantError)
    expect(introspected("web", wide["access_token"]) == {"active": False}, "reuse did not end the session")
    ok("reuse is an InvalidGrantError and ends the session")

    session = signed_in("web")
    revoke("web", session.token["refresh_token"], "refresh_token")
    expect(oauth.status_with(session.token["access_token"]) == 401, "the route takes a token of an ended session")
    gate.refusal(lambda: session.refresh_token(TOKEN, auth=auth), InvalidGrantError)
    ok("revoking the refresh token ends its session")


def wait_for_the_end_of(token):
    """Until both the gate and the library hold it for expired: they count from different moments."""
    while oauth.status_with(token["access_token"]) != 401 or time.time() <= token["expires_at"]:
        time.sleep(0.02)


def automatically():
    told = []
    session = signed_in("brief", auto_refresh_url=TOKEN, token_updater=told.append)
    tokens = [dict(session.token)]
    credentials = {"client_id": "brief", "client_secret": SECRETS["brief"]}

    expect(session.get(LIST, **credentials).status_code == 200, "the route refuses a fresh token")
    expect(not told, "a fresh token was refreshed")
    wait_for_the_end_of(tokens[0])
    expect(session.get(LIST, **credentials).status_code == 200, "the route refuses after a refresh by Basic")
    tokens += told
    wait_for_the_end_of(tokens[1])
    session.auto_refresh_kwargs = credentials
    expect(session.get(LIST).status_code == 200, "the route refuses after a refresh by form")
    tokens += told[1:]
    expect(len({token["refresh_token"] for token in tokens}) == 3, "not every refresh was told")
    ok("an expired token is refreshed on the way to the route, time and again")


def errors():
    gate.refusal(lambda: own("reports", "wrong"), InvalidClientError)
    gate.refusal(lambda: own("reports", "wrong", include_client_id=True), InvalidClientError)
    gate.refusal(lambda: signed_in("web").refresh_token(TOKEN, "x", auth=("web", SECRETS["web"])), InvalidGrantError)
    ok("errors have their classes")


def odd_secrets():
    own("odd")
    own("odd", include_client_id=True)
    own("umlaut", include_client_id=True)
    own("umlaut", SECRETS["umlaut"].encode())
    # A text goes raw and in Latin-1: nothing that the gate reads, nor has RFC 6749 a meaning for it (appendix A.2).
    gate.refusal(lambda: own("umlaut"), InvalidClientError)
    ok("odd secrets are sent raw in Basic and encoded in a form")


own_token("Basic")
own_token("form", include_client_id=True)
a_session()
automatically()
errors()
odd_secrets()
