//! What `--help` of the commands says behind their flags.
//!
//! Guarantees: each has examples; the names of fields that `list --json` prints are promised here.
//! Does not know: how wide the terminal is. Prose is one line for each paragraph, and folded where it is shown.

pub(super) const KEYS: &str = "\
A key is next (it verifies, and will sign), current (it signs; there is exactly one), retiring (it signs no more, \
and what it has signed stays valid until it expires), and then gone. A running gate, and each replica, picks a change up within \
about a second.

Examples:
  portcullis keys rotate                       sign with a new key
  portcullis keys list                         when is the old one not needed any more?
  portcullis keys retire 6PzFm0Qk3uVb1xYt      then delete it

For keys of the data directory. Keys that the configuration gives (token.secret, token.key_file, [[token.keys]]) are changed \
there; of [[token.keys]] `list` tells what depends on them.";

pub(super) const LIST: &str = "\
Reads the files of the store, also beside a running gate. A session depends on the key that signed its present \
tokens: a refresh moves it onto the current one. State `gone` are keys that sessions speak of and that are not there: \
these have to sign in again.

Since when a key of [[token.keys]] retires is not known here, so its access tokens count from now: take it out when no \
session depends on it and token.access_ttl_max has passed since the restart.

With --json one object per line. New fields may come; these stay:

  kind               \"key\"
  kid, algorithm     as in the header of a token
  state              \"next\", \"current\" or \"retiring\"
  created            RFC 3339, UTC; null for a key of the configuration
  since              when it came into its state, or null if that is not known
  sessions           how many live sessions depend on it
  refresh_until      of a retiring key: until when its refresh tokens can be valid, or null
  access_until       likewise its access tokens
  safe_to_retire     whether nothing depends on it; of the current key false
  safe_at            if not, from when on nothing will

  kind               \"gone\"
  kid, sessions      as above

Examples:
  portcullis keys list
  portcullis keys list --json | jq -r 'select(.state == \"retiring\" and .safe_to_retire) | .kid'";

pub(super) const ADD: &str = "\
Validators elsewhere have time to learn of the key before it signs: replicas whose volume shows changes late, and \
whatever else checks our tokens.

Examples:
  portcullis keys add
  portcullis keys add --algorithm ES256        from HS256 to ES256: this, and then `portcullis keys rotate`";

pub(super) const ROTATE: &str = "\
Nobody has to sign in again: tokens of the key before stay valid until they expire, and a refresh moves a session \
onto the new key. A key signs at the earliest three seconds after it was made, and so this may take as long. With replicas on a \
network volume that shows changes later than that, `keys add` the key a few minutes before.

Examples:
  portcullis keys rotate
  portcullis keys rotate 6PzFm0Qk3uVb1xYt      if there are several next keys";

pub(super) const RETIRE: &str = "\
The file is deleted. A retiring key goes only if nothing depends on it; else this says what does, and until when. With \
--force it goes all the same, as after a theft: its access and refresh tokens are refused within about a second, \
and the sessions that depend on it have to sign in again. A next key can always go. The current one never: rotate first.

A client that lost the answer to a refresh of a moment ago, and asks again just after the key went, has to sign in \
again.

Examples:
  portcullis keys retire 6PzFm0Qk3uVb1xYt
  portcullis keys retire 6PzFm0Qk3uVb1xYt --force";
