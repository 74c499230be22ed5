"""Authlib as an OAuth client of the gate.

Guarantees: every token comes and goes through `OAuth2Session`; errors are seen as its `OAuthError`. The first surprise
ends the run.
Does not know: what the gate keeps of a session.
"""

import sys

sys.dont_write_bytecode = True  # nothing is left behind among the sources
import gate
import oauth
from gate import expect, ok
from oauth import LIST, SECRETS

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

METADATA = oauth.discover()
TOKEN = METADATA["token_endpoint"]
ok("the metadata is sound")


def client(name, method="client_secret_basic", secret=None, **options):
    return OAuth2Session(
        name,
        secret or SECRETS[name],
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        token_endpoint=TOKEN,
        **options,
    )


def signed_in(name, **options):
    session = client(name, **options)
    session.fetch_token(TOKEN, username=gate.USER, password=gate.PASSWORD, grant_type="password")
    return session


def introspected(session, token):
    answer = session.introspect_token(METADATA["introspection_endpoint"], token=token)
    expect(answer.status_code == 200, f"introspection answers {answer.status_code}")
    return answer.json()


def refused(action, error):
    expect(gate.refusal(action, OAuthError).error == error, f"another error than {error}")


def own_token(method):
    session = client("reports", method)
    token = session.fetch_token(TOKEN, grant_type="client_credentials", scope="messages:list")
    expect(token["scope"] == "messages:list" and "refresh_token" not in token, "another token than asked for")
    oauth.verified(METADATA, token["access_token"], "reports", "client:reports")
    expect(session.get(LIST).status_code == 200, "the route refuses the client's token")
    expect(introspected(session, token["access_token"])["active"] is True, "a fresh token is not active")
    answer = session.revoke_token(METADATA["revocation_endpoint"], token=token["access_token"])
    expect(answer.status_code == 200, f"revocation answers {answer.status_code}")
    expect(introspected(session, token["access_token"]) == {"active": False}, "a revoked token is active")
    expect(session.get(LIST).status_code == 401, "the route takes a revoked token")
    ok(f"{method}: a token for itself is verified, used, introspected and revoked")


def a_session():
    session = signed_in("web")
    first = dict(session.token)
    oauth.verified(METADATA, first["access_token"], "web", gate.USER)
    narrow = dict(session.refresh_token(TOKEN, scope="messages:list"))
    expect(narrow["scope"] == "messages:list", "a narrower scope was asked for")
    expect(narrow["refresh_token"] != first["refresh_token"], "the refresh token stays the same")
    wide = dict(session.refresh_token(TOKEN))
    expect(wide["scope"] == first["scope"], "narrowing one token narrowed the session")
    expect(introspected(session, wide["refresh_token"])["username"] == gate.USER, "a refresh token of nobody")
    ok("a session is refreshed, for one token with a narrower scope")

    refused(lambda: session.refresh_token(TOKEN, refresh_token=first["refresh_token"]), "invalid_grant")
    expect(introspected(session, wide["access_token"]) == {"active": False}, "reuse did not end the session")
    ok("reuse is invalid_grant and ends the session")

    session = signed_in("web")
    session.revoke_token(METADATA["revocation_endpoint"], token=session.token["refresh_token"])
    expect(oauth.status_with(session.token["access_token"]) == 401, "the route takes a token of an ended session")
    refused(lambda: session.refresh_token(TOKEN), "invalid_grant")
    ok("revoking the refresh token ends its session")


def automatically():
    told = []
    # Its leeway is longer than these access tokens live.
    session = signed_in("brief", update_token=lambda token, refresh_token: told.append((token, refresh_token)))
    consumed = session.token["refresh_token"]
    expect(session.get(LIST).status_code == 200, "the route refuses after a refresh")
    expect([old for _, old in told] == [consumed] and told[0][0]["refresh_token"] != consumed, "no refresh was told")
    ok("an expired token is refreshed on the way to the route")


def errors():
    asked = {"grant_type": "client_credentials"}
    for method in ("client_secret_basic", "client_secret_post"):
        refused(lambda: client("reports", method, "wrong").fetch_token(TOKEN, **asked), "invalid_client")
    refused(lambda: client("web").fetch_token(TOKEN, **asked), "unauthorized_client")
    refused(lambda: client("reports").fetch_token(TOKEN, scope="logs:read", **asked), "invalid_scope")
    ok("errors have their codes")


def odd_secrets():
    asked = {"grant_type": "client_credentials"}
    client("odd").fetch_token(TOKEN, **asked)
    client("odd", "client_secret_post").fetch_token(TOKEN, **asked)
    client("umlaut", "client_secret_post").fetch_token(TOKEN, **asked)
    # Raw and in Latin-1: nothing that the gate reads, and nothing that RFC 6749 has a meaning for (appendix A.2).
    refused(lambda: client("umlaut").fetch_token(TOKEN, **asked), "invalid_client")
    ok("odd secrets are sent raw in Basic and encoded in a form")


own_token("client_secret_basic")
own_token("client_secret_post")
a_session()
automatically()
errors()
odd_secrets()
