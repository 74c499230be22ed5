"""The vendor's synchronous Python client against the gate, over both of its HTTP stacks.

Guarantees: every call is one of the package's public methods, and what it returns is read field by field; the first
surprise ends the run. Revocation is tried by the account (Basic) and by the session itself (Bearer, tokens:manage).
Does not know: how the gate works inside.
"""

import datetime
import sys

from android_sms_gateway import domain, enums, errors
from android_sms_gateway.client import APIClient
from android_sms_gateway.http import HttpxHttpClient, RequestsHttpClient

sys.dont_write_bytecode = True  # nothing is left behind among the sources
import gate
from gate import expect, ok

NUMBER = "+15550100"
TTL = 600
SCOPES = [
    "messages:send",
    "messages:read",
    "messages:list",
    "devices:list",
    "webhooks:list",
    "webhooks:write",
    "webhooks:delete",
    "settings:read",
    "settings:write",
    "tokens:manage",
]


def flow(stack, http, revoke_by_session):
    def done(step):
        ok(f"{stack}: {step}")

    account = APIClient(gate.USER, gate.PASSWORD, base_url=gate.URL, http=http)
    expect(account.health_check().status is enums.HealthStatus.PASS, "health_check: another status than pass")
    done("health_check reaches the upstream")

    issued = account.generate_token(domain.TokenRequest(scopes=SCOPES, ttl=TTL))
    subject = check_pair(issued)
    done("generate_token reads a whole pair")

    renewed = account.refresh_token(issued.refresh_token)
    expect(check_pair(renewed) == subject, "refresh_token: another subject")
    expect(renewed.id != issued.id, "refresh_token: the id stays the same")
    expect(renewed.access_token != issued.access_token, "refresh_token: the access token stays the same")
    expect(renewed.refresh_token != issued.refresh_token, "refresh_token: the refresh token stays the same")
    done("refresh_token rotates the pair and keeps its scopes")

    session = APIClient(None, renewed.access_token, base_url=gate.URL, http=http)
    sent = send_and_read(session, done)
    use_the_rest(session, done)

    refused = gate.refusal(session.get_logs, errors.ForbiddenError)
    message = refused.response.get("message")
    expect(message == "scope required: logs:read", "get_logs without its scope: the message does not name the scope")
    done("get_logs without its scope is a ForbiddenError that names the scope")

    (session if revoke_by_session else account).revoke_token(renewed.id)
    account.revoke_token(renewed.id)
    done(f"revoke_token succeeds by the {'session itself' if revoke_by_session else 'account'}, and once more")

    for what, call in (
        ("access", lambda: session.get_state(sent.id)),
        ("refresh", lambda: account.refresh_token(renewed.refresh_token)),
    ):
        refused = gate.refusal(call, errors.UnauthorizedError)
        expect(refused.response.get("message"), f"the revoked {what} token is refused without a message")
    done("the revoked session's tokens are UnauthorizedErrors with a message")


def check_pair(pair):
    """Checks a TokenResponse and returns its subject."""
    expect(isinstance(pair.id, str) and pair.id, "a pair without an id")
    expect(pair.token_type == "Bearer", "a pair with another token type than Bearer")
    expect(pair.refresh_token, "a pair without a refresh token")
    access = gate.expect_pair(pair.access_token, pair.refresh_token, pair.expires_at, SCOPES)
    expect(access["jti"] == pair.id, "the id of a pair is not its access token's jti")
    expect(access["exp"] - access["iat"] == TTL, "another lifetime than the one asked for")
    return access["sub"]


def send_and_read(session, done):
    sent = session.send(
        domain.Message(phone_numbers=[NUMBER], text_message=domain.TextMessage(text="sent through the gate"))
    )
    expect(isinstance(sent.id, str) and sent.id, "send: no id")
    expect(sent.state is enums.ProcessState.Pending, "send: another state than Pending")
    expect([recipient.phone_number for recipient in sent.recipients] == [NUMBER], "send: other recipients")
    expect(sent.recipients[0].state is enums.ProcessState.Pending, "send: a recipient that is not Pending")
    done("send is accepted by the upstream")

    expect(session.get_state(sent.id).id == sent.id, "get_state: another message")
    listed = session.get_messages(pagination=domain.QueryPagination(limit=10))
    expect(all(isinstance(message, domain.MessageState) for message in listed), "get_messages: not a list of messages")
    done("get_state and get_messages read messages back")

    devices = session.list_devices()
    expect(devices and devices[0].id and devices[0].name, "list_devices: no usable device")
    expect(isinstance(devices[0].last_seen, datetime.datetime), "list_devices: no usable date")
    done("list_devices reads the devices")
    return sent


def use_the_rest(session, done):
    wanted = domain.Webhook(id=None, url="https://example.org/hook", event=enums.WebhookEvent.SMS_RECEIVED)
    hook = session.create_webhook(wanted)
    expect(hook.id, "create_webhook: no id")
    expect((hook.url, hook.event) == (wanted.url, wanted.event), "create_webhook: another webhook than the one sent")
    expect(isinstance(session.get_webhooks(), list), "get_webhooks: not a list")
    session.delete_webhook(hook.id)
    done("webhooks are created, listed and deleted")

    expect(isinstance(session.get_settings(), domain.DeviceSettings), "get_settings: not settings")
    change = domain.DeviceSettings(messages=domain.SettingsMessages(limit_value=5))
    expect(isinstance(session.patch_settings(change), dict), "patch_settings: not an object")
    done("settings are read and changed")


with RequestsHttpClient() as requests_stack:
    flow("requests", requests_stack, revoke_by_session=False)
with HttpxHttpClient() as httpx_stack:
    flow("httpx", httpx_stack, revoke_by_session=True)
