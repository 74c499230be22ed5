#!/bin/sh
# The announcement's curl lines against the gate, and what its readers do next with curl.
#
# Guarantees: the lines marked as published are the published text with address, account and token filled in; the first
# surprise ends the run with exit code 1; no token and no password is printed.
# Does not know: anything beyond a POSIX shell, curl and python3 (for reading JSON).

set -u

surprise() {
  echo "FAILED: $*" >&2
  exit 1
}

ok() {
  echo "ok: $*"
}

for name in GATE_URL GATE_USER GATE_PASSWORD; do
  eval "[ -n \"\${$name:-}\" ]" || surprise "the environment variable $name is missing"
done
for tool in curl python3; do
  command -v "$tool" >/dev/null || surprise "$tool is missing"
done
GATE_URL=${GATE_URL%/}

work=$(mktemp -d) || surprise "no temporary directory"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# curl itself, told to ignore the user's own settings and to leave status, headers and body where the checks find them.
curl() {
  status=$(command curl -q -sS --noproxy '*' --max-time 20 -D "$work/head" -o "$work/body" -w '%{http_code}' "$@") ||
    surprise "curl gave up with code $?"
}

answered() { # status, what
  [ "$status" = "$1" ] || surprise "$2: $status instead of $1"
}

header() { # name, text that its value must contain
  tr -d '\r' <"$work/head" | grep -i "^$1:" | grep -qiF -- "$2"
}

# The member $1 of the last answer; empty if there is none.
member() {
  python3 -c '
import json, sys
try:
    value = json.load(open(sys.argv[1])).get(sys.argv[2])
except Exception:
    value = None
print("" if value is None else value)' "$work/body" "$1"
}

readable() { # what
  [ -n "$(member message)" ] || surprise "$1: no readable message"
}

# --- as published -----------------------------------------------------------------------------------------------------

curl -X POST "$GATE_URL/auth/token" \
  -u "$GATE_USER:$GATE_PASSWORD" \
  -H "Content-Type: application/json" \
  -d '{
    "ttl": 3600,
    "scopes": ["messages:send", "messages:read"]
  }'

answered 201 "issuing a pair"
first=$(member id) first_access=$(member access_token) first_refresh=$(member refresh_token)
[ -n "$first" ] && [ -n "$first_access" ] && [ -n "$first_refresh" ] ||
  surprise "issuing a pair: id or tokens are missing"
[ "$(member token_type)" = Bearer ] || surprise "issuing a pair: another token type than Bearer"
header Cache-Control no-store || surprise "issuing a pair: caches may store the answer"
ok "the published line issues a pair"

curl -X POST "$GATE_URL/auth/token/refresh" \
  -H "Authorization: Bearer $first_refresh"

answered 200 "refreshing the pair"
id=$(member id) access=$(member access_token) refresh=$(member refresh_token)
[ -n "$id" ] && [ -n "$access" ] && [ -n "$refresh" ] || surprise "refreshing the pair: id or tokens are missing"
[ "$id" != "$first" ] && [ "$access" != "$first_access" ] && [ "$refresh" != "$first_refresh" ] ||
  surprise "refreshing the pair: id or tokens stay the same"
ok "the published line refreshes it without any body"

# --- what comes next --------------------------------------------------------------------------------------------------

curl -X POST "$GATE_URL/messages" \
  -H "Authorization: Bearer $access" \
  -H "Content-Type: application/json" \
  -d '{"phoneNumbers": ["+15550100"], "textMessage": {"text": "sent through the gate by curl"}}'
answered 202 "sending a message"
message=$(member id)
[ -n "$message" ] && [ "$(member state)" = Pending ] || surprise "sending a message: not the upstream's answer"
ok "a message is sent"

curl "$GATE_URL/messages/$message" -H "Authorization: Bearer $access"
answered 200 "reading the message"
[ "$(member id)" = "$message" ] || surprise "reading the message: another one came back"
ok "the message is read back"

curl "$GATE_URL/devices" -H "Authorization: Bearer $access"
answered 403 "listing devices without the scope"
[ "$(member message)" = "scope required: devices:list" ] || surprise "the missing scope is not named in the message"
header WWW-Authenticate insufficient_scope || surprise "the missing scope is not called insufficient_scope"
header X-Portcullis denied || surprise "the refusal of the missing scope does not say whose it is"
ok "a missing scope is named"

curl "$GATE_URL/messages/$message"
answered 401 "reading without a token"
readable "reading without a token"
header WWW-Authenticate Bearer || surprise "reading without a token: no WWW-Authenticate"
ok "a missing token is refused"

curl -X POST "$GATE_URL/auth/token/refresh" -H "Authorization: Bearer $access"
answered 403 "refreshing with an access token"
curl "$GATE_URL/messages/$message" -H "Authorization: Bearer $refresh"
answered 403 "reading with a refresh token"
ok "access and refresh tokens cannot be swapped"

for time in first second; do
  curl -X DELETE "$GATE_URL/auth/token/$id" -u "$GATE_USER:$GATE_PASSWORD"
  answered 204 "revoking for the $time time"
  [ ! -s "$work/body" ] || surprise "revoking for the $time time: a 204 with a body"
  ok "the session is revoked for the $time time"
done

curl "$GATE_URL/messages/$message" -H "Authorization: Bearer $access"
answered 401 "the revoked session's access token"
readable "the revoked session's access token"
header X-Portcullis denied || surprise "the revoked session's access token: the refusal does not say whose it is"
curl -X POST "$GATE_URL/auth/token/refresh" -H "Authorization: Bearer $refresh"
answered 401 "the revoked session's refresh token"
readable "the revoked session's refresh token"
curl "$GATE_URL/messages/$message" -H "Authorization: Bearer $first_access"
answered 401 "the revoked session's earlier access token"
ok "every token of the revoked session is refused"
