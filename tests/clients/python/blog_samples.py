"""The announcement's Python samples, word for word, against the gate.

Guarantees: `JWTTokenManager` and `SMSServiceDaemon` are the published text; only what drives them is ours. The first
surprise ends the run.
Does not know: any retry of a consumed refresh token: it expects the strictly single use that the announcement promises.
"""

import sys
import time
from datetime import datetime, timedelta, timezone

import requests

sys.dont_write_bytecode = True  # nothing is left behind among the sources
import gate
from gate import expect, ok

# --- as published ---------------------------------------------------------------------------------------------------


class JWTTokenManager:
    """Manages JWT token lifecycle with refresh token support"""

    def __init__(self, token_url, username, password):
        self.token_url = token_url
        self.username = username
        self.password = password
        self.access_token = None
        self.refresh_token = None
        self.expires_at = None

    def get_token_pair(self, scopes, ttl=3600):
        """Get a new JWT token pair (access + refresh)"""
        response = requests.post(
            self.token_url,
            auth=(self.username, self.password),
            json={"ttl": ttl, "scopes": scopes}
        )

        if response.status_code == 201:
            data = response.json()
            self.access_token = data["access_token"]
            self.refresh_token = data["refresh_token"]
            self.expires_at = datetime.fromisoformat(
                data["expires_at"].replace("Z", "+00:00")
            )
            return self.access_token
        else:
            raise Exception(f"Token generation failed: {response.text}")

    def refresh_token_pair(self):
        """Refresh the token pair using the refresh token"""
        if not self.refresh_token:
            raise Exception("No refresh token available")

        response = requests.post(
            f"{self.token_url}/refresh",
            headers={"Authorization": f"Bearer {self.refresh_token}"}
        )

        if response.status_code == 200:
            data = response.json()
            self.access_token = data["access_token"]
            self.refresh_token = data["refresh_token"]
            self.expires_at = datetime.fromisoformat(
                data["expires_at"].replace("Z", "+00:00")
            )
            return self.access_token
        else:
            # Refresh token expired or invalid, get new token pair
            raise Exception(f"Token refresh failed: {response.text}")

    def is_valid(self):
        """Check if current token is still valid"""
        if not self.access_token or not self.expires_at:
            return False

        # Add 60 second buffer before expiration
        return datetime.now(self.expires_at.tzinfo) < (
            self.expires_at - timedelta(seconds=60)
        )

    def ensure_valid_token(self, scopes):
        """Ensure we have a valid token, refresh if needed"""
        if not self.is_valid():
            if self.refresh_token:
                try:
                    return self.refresh_token_pair()
                except Exception:
                    # Refresh failed, get new token pair
                    pass
            return self.get_token_pair(scopes)
        return self.access_token


class SMSServiceDaemon:
    """Long-running SMS service with automatic token refresh"""

    def __init__(self, gateway_url, username, password):
        self.gateway_url = gateway_url
        self.token_manager = JWTTokenManager(
            f"{gateway_url}/3rdparty/v1/auth/token",
            username,
            password
        )
        self.scopes = ["messages:send", "messages:read"]

    def send_message(self, recipient, text):
        """Send a message with automatic token handling"""
        token = self.token_manager.ensure_valid_token(self.scopes)

        response = requests.post(
            f"{self.gateway_url}/3rdparty/v1/messages",
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json"
            },
            json={
                "phoneNumbers": [recipient],
                "textMessage": {"text": text}
            }
        )

        if response.status_code == 202:
            return response.json()
        else:
            raise Exception(f"Failed to send message: {response.text}")

    def process_message_queue(self):
        """Fetch and process queued messages (implement your queue integration here)."""
        pass

    def run(self):
        """Main service loop"""
        while True:
            # Process messages from queue
            self.process_message_queue()
            time.sleep(60)


# --- what drives them -----------------------------------------------------------------------------------------------

PREFIX = "/3rdparty/v1"
SCOPES = ["messages:send", "messages:read"]


def pair_of(manager):
    return gate.expect_pair(manager.access_token, manager.refresh_token, manager.expires_at, SCOPES)


def nearly_expired(manager):
    """Puts the manager where it finds itself when its access token is about to end."""
    manager.expires_at = datetime.now(timezone.utc) + timedelta(seconds=30)


def manage_a_pair():
    manager = JWTTokenManager(f"{gate.URL}/auth/token", gate.USER, gate.PASSWORD)
    expect(not manager.is_valid(), "a manager without a token calls itself valid")
    expect(manager.get_token_pair(SCOPES) == manager.access_token, "get_token_pair: another token than the stored one")
    issued = pair_of(manager)
    expect(manager.is_valid(), "a fresh pair is not valid for a minute")
    ok("get_token_pair stores a pair that is valid")

    expect(manager.ensure_valid_token(SCOPES) == manager.access_token, "ensure_valid_token: another token")
    expect(pair_of(manager) == issued, "ensure_valid_token replaced a valid pair")
    ok("ensure_valid_token keeps a valid pair")

    consumed = manager.refresh_token
    nearly_expired(manager)
    manager.ensure_valid_token(SCOPES)
    renewed = pair_of(manager)
    expect(manager.refresh_token != consumed, "the refresh token stays the same")
    expect(renewed["jti"] != issued["jti"], "the access token stays the same")
    expect((renewed["sub"], renewed["sid"]) == (issued["sub"], issued["sid"]), "a refresh left its session")
    ok("ensure_valid_token refreshes a pair that is about to expire")

    manager.refresh_token = consumed
    refused = str(gate.refusal(manager.refresh_token_pair, Exception))
    readable = refused.startswith("Token refresh failed: ") and '"message"' in refused
    expect(readable, f"not a readable refusal: {refused}")
    ok("refresh_token_pair with a consumed token fails with a readable text")

    nearly_expired(manager)
    manager.ensure_valid_token(SCOPES)
    anew = pair_of(manager)
    expect(anew["sid"] != issued["sid"], "the account was not asked for a new session")
    ok("ensure_valid_token falls back to the account when the refresh is refused")
    return manager


def run_a_daemon(spare):
    expect(gate.URL.endswith(PREFIX), f"GATE_URL must end in {PREFIX}: the sample adds it itself")
    daemon = SMSServiceDaemon(gate.URL[: -len(PREFIX)], gate.USER, gate.PASSWORD)
    for step in ("a first message", "a second message with the same token"):
        before = daemon.token_manager.access_token
        answer = daemon.send_message("+15550100", "sent through the gate by the sample")
        expect(answer["id"] and answer["state"] == "Pending", "send_message: not the upstream's answer")
        expect(before in (None, daemon.token_manager.access_token), "send_message replaced a valid token")
        ok(f"send_message sends {step}")

    daemon.token_manager.refresh_token = None
    daemon.token_manager.access_token = spare.access_token
    expect(daemon.send_message("+15550100", "sent after the fallback")["id"], "send_message: no id")
    ok("send_message works with the pair of the fallback")


run_a_daemon(manage_a_pair())
