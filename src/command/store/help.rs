//! What `--help` of the commands says behind their flags.
//!
//! Guarantees: each has examples; the names of fields that `export` prints are promised here.
//! Does not know: how wide the terminal is. Prose is one line for each paragraph, and folded where it is shown.

pub(super) const VERIFY: &str = "\
Prints one line for each file: its format version, how many records, their sequence numbers, its length, and \
whether all of it can be read. Then what a start would leave out, and what it would find. A torn end of the \
newest segment is what a crash leaves of changes that nobody was told of: a note, no damage. Where a start would \
fail this does, with the same message, and the other damage stands in the lines of the files. Keys and users are \
looked at by `portcullis check`.

Examples:
  portcullis store verify                             the configured data_dir
  portcullis store verify /backup/portcullis          a copy, without any configuration
  portcullis store verify --config /etc/portcullis.toml";

pub(super) const INSPECT: &str = "\
Without a filter: how many sessions, users and ended sessions there are, the newest change, the next sequence \
number, and the bytes and age of the files. With a filter: each session with all its fields, under the names \
that `portcullis store export --help` explains. The files hold no token and nothing that could be presented as \
one; they do hold names, addresses and devices.

The journal holds what has changed since the last snapshot, one record for each change, with the session as it \
was from then on. What cannot be read there is listed where it stands.

Examples:
  portcullis store inspect
  portcullis store inspect --subject alice
  portcullis store inspect --session 6PzFm0Qk3uVb1xYt    named as in the log and in tokens (sid)
  portcullis store inspect --journal --from 5310 --json";

pub(super) const EXPORT: &str = "\
One JSON object per line: first the sessions, oldest first, then the ended ones, then the restorations in force. New fields may come; these \
stay:

  kind               \"session\"
  id, parent         of the session, and of the one whose token minted it, or null
  subject, profile   the user's name; the dialect of the token endpoints
  client             the OAuth client that it belongs to, or null; a subject \"client:...\" is that client itself
  certificate        whom the certificate named that was shown at sign-in, or null
  scopes, granted    as granted at sign-in, and what the present access token carries
  access_ttl         seconds
  device             {\"id\", \"name\"} as the client said, or null
  address, user_agent
                     of the last sign-in or refresh as far as it is recorded, or null
  created_address, created_user_agent
                     likewise, of the sign-in
  created_at, rotated_at, idle_expires_at, expires_at
                     RFC 3339, UTC; the session ends with the earlier one of the last two
  expired            whether it has
  generation         how often it was refreshed
  access_floor       access tokens of generations below this are refused
  kid                the key that signed the present pair
  credential         a keyed fingerprint of the password's hash, 16 hexadecimal digits
  in_doubt           whether the token before may be presented again, as the disk had failed
  outlived           RFC 3339: the store was restored since the token before, which is of then; or null

  kind               \"tombstone\": an ended session whose access tokens may still be about
  id, until          RFC 3339, UTC: until when it is remembered

  kind               \"restoration\": of what was issued in its lost time there is no record
  backup, restored   RFC 3339, UTC: from the newest record of the backup to the restoration
  adopt              whether lost tokens are taken as they are
  revoked_after      RFC 3339: what was issued from then to the restoration is refused, or null

Examples:
  portcullis store export > sessions.jsonl
  portcullis store export | jq -r 'select(.kind == \"session\") | .subject' | sort | uniq -c";

pub(super) const SALVAGE: &str = "\
For files that a start refuses and of which there is no backup. Reads over what cannot be read, and writes all \
the rest as a snapshot into a directory that must be empty or not exist. Nothing is changed where it reads. Says \
what was skipped, and how many changes are missing. Among those may be the end of a session, which then lives \
again, or a refresh, whose used token then works once more. Where that matters, end the sessions in question by \
new passwords.

Keys are not copied, and a start refuses sessions without their keys: copy them as well.

Examples:
  portcullis store salvage --to rescued
  cp -a data/keys rescued/
  portcullis serve --data-dir rescued

Exit code 3: written, but something was skipped or is missing. With 0 nothing is lost.";

pub(super) const RESTORE: &str = "\
Works on the data directory of a gate that is stopped. Reads all of BACKUP; if any of it is damaged, nothing is \
changed. Then writes it as the new snapshot, and moves the old files into a folder replaced-TIME in the data \
directory. Keys stay. Says what was restored and what is lost, and how to go on.

The lost time is from the backup's newest record until now. Of what was issued in it there is no record, so it is \
refused: clients whose refresh token is of that time have to sign in again, the others refresh as ever. What was \
revoked in that time lives again.

With --adopt tokens of the lost time are taken as they are: access tokens until they expire, and of each session one \
refresh token, the first that is presented, if the session was not refreshed since. For a loss without a break-in.

--revoke-issued-after refuses what was issued after that time and until now, with --adopt as well, and ends the \
sessions of the backup that were begun or refreshed after it: for tokens that were stolen or revoked since.

Examples:
  portcullis store restore --from /backup/portcullis
  portcullis store restore --from /backup/portcullis --adopt
  portcullis store restore --from /backup/portcullis --revoke-issued-after 2026-11-22T12:00:00Z
  portcullis store restore --from data/replaced-20261122T124638Z    take it back";

pub(super) const MOVE: &str = "\
Needs a configuration with store.kind = \"redis\", and all gates stopped: those on the files as well as those on \
Redis. Nothing is written over: what is moved to Redis must find nothing under store.key_prefix, what is moved to \
files no snapshot and no journal in data_dir. What was moved is put aside in data_dir (`replaced-` and the time), or \
removed from Redis. Keys are not moved: gates that share their sessions share their keys.

Examples:
  portcullis store move --to redis --config /etc/portcullis.toml
  portcullis store move --to files --config /etc/portcullis.toml --set store.timeout=10s";
