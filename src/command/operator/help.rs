//! What `--help` of the commands says behind their flags.
//!
//! Guarantees: each has examples, and promises the names of fields in its JSON.
//! Does not know: how wide the terminal is. Prose is one line for each paragraph, and folded where it is shown.

pub(in super::super) const STATUS: &str = "\
Asks the gate of this configuration, over admin.socket if that is set, else at admin.listen. Anybody who reaches that may.

With --json one object. New fields may come; these stay:

  version, started_at, uptime_seconds, role (\"primary\" or \"replica\")
  ready          whether /readyz says so
  checks         name, state (\"ok\", \"troubled\", \"failed\"), text
  store          sessions, ended_sessions, journal, uncovered_records, snapshot_age_seconds, stale
  keys           kid, algorithm, state
  certificates   file, expires_at, seconds_left
  upstream       url, reachable, trouble, milliseconds

Examples:
  portcullis status
  portcullis status --json | jq .store.sessions

1 also means that the gate is not ready.";

pub(in super::super) const SESSIONS: &str = "\
Asks the gate of this configuration, over admin.socket, or at admin.listen with the token of admin.token_file. A replica tells \
as well as its primary.

With --json one object per line, for each session. New fields may come; these stay:

  id, user, profile, client, scopes, generation
  device         id and name, or null
  created_at, last_refresh, expires_at
                 RFC 3339, UTC
  address, user_agent
                 of the last refresh, as far as store.record_addresses lets them be known
  parent         the session whose token has minted this one, or null

Examples:
  portcullis sessions
  portcullis sessions --user anna
  portcullis sessions --json | jq -r 'select(.device.name == \"old phone\") | .id'";

pub(in super::super) const REVOKE: &str = "\
A revoked session is over at once: its access tokens are refused from then on, its streams end within a second, and its refresh \
token is worth nothing. Whoever knows the password signs in again: take the user out of the users file as well if that is not \
meant. What is over already is no error. Only the primary can: a replica says where that is.

With --json one object: ended, the number of sessions that were ended.

Examples:
  portcullis revoke --user anna
  portcullis revoke --session 6PzFm0Qk3uVb1xYt
  portcullis revoke --all                       everybody signs in anew";
