"""What both OAuth scripts know: the gate's metadata, its clients' secrets, how one of its access tokens is verified.

Guarantees: the issuer is compared, a token is verified with the published keys alone, as a resource server would.
Does not know: how a client asks for tokens.
"""

import json
import os

import gate
from gate import expect

# Both libraries want https, or to be told that this is only a test.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet

SECRETS = json.loads(gate.variable("GATE_SECRETS"))
ALGORITHM = gate.variable("GATE_ALGORITHM")
AUDIENCE = gate.variable("GATE_AUDIENCE")
LIST = f"{gate.URL}/3rdparty/v1/messages"


def discover():
    """The metadata, as Authlib validates it."""
    told = requests.get(get_well_known_url(gate.URL, external=True), timeout=20).json()
    expect(told["issuer"] == gate.URL, "the metadata is another issuer's")
    # RFC 8414 demands this member and has no value for a server without an authorization endpoint. Authlib takes the
    # empty list for a missing one.
    expect(told.pop("response_types_supported") == [], "response types without an authorization endpoint")
    metadata = AuthorizationServerMetadata(told, response_types_supported=["none"])
    metadata.validate()
    return metadata


def verified(metadata, token, client, subject):
    """The claims of an access token, after what RFC 9068 section 4 has a resource server check."""
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())
    decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
    expect(decoded.header["typ"] == "at+jwt", "the token is of another type")
    essential = {"iss": gate.URL, "aud": AUDIENCE, "client_id": client, "sub": subject}
    rules = {name: {"essential": True, "value": value} for name, value in essential.items()}
    jwt.JWTClaimsRegistry(**rules, exp={"essential": True}, iat={"essential": True}).validate(decoded.claims)
    head, payload, signature = token.split(".")
    forged = ".".join((head, payload, signature[::-1]))
    gate.refusal(lambda: jwt.decode(forged, keys, algorithms=[ALGORITHM]), Exception)
    return decoded.claims


def status_with(token):
    """What the route answers to a bare token."""
    return requests.get(LIST, headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code
