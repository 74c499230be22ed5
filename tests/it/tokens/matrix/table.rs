//! The cells.
//!
//! | cell | answer |
//! |---|---|
//! | `ok` | 200, 201 or 204, and it is so: see [`super::places::Effect`] |
//! | `idle` | the same, and nothing has happened |
//! | `on`, `off` | 200: active, with what it says; inactive, and nothing else is said |
//! | `401` | `invalid_token`; of the forms: `Invalid or expired refresh token` |
//! | `403` | `insufficient_scope` |
//! | `400` | `invalid_grant`; at the login: `Missing username` |
//! | `401!`, `400!` | the same, and the session has ended: a reuse |

use super::places::{Effect, PLACES};

/// What is expected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    Done,
    Idle,
    Active,
    Inactive,
    Refused { status: &'static str, and_ended: bool },
}

/// The API and the dialect of SMSGate.
const API: &str = "
                         | any  scope role | issue renew revoke | list end  own
smsgate access           | ok   ok    ok   | ok    403   ok     | ok   ok   ok
smsgate access, few      | ok   403   403  | 403   403   403    | ok   403  ok
smsgate access, replaced | 401  401   401  | 401   403   401    | 401  401  401
smsgate access, ended    | 401  401   401  | 401   403   401    | 401  401  401
smsgate access, expired  | 401  401   401  | 401   401   401    | 401  401  401
smsgate refresh          | 403  403   403  | 403   ok    403    | 403  403  403
smsgate refresh, used    | 403  403   403  | 403   401!  403    | 403  403  403
smsgate refresh, ended   | 403  403   403  | 403   401   403    | 403  403  403
smsgate refresh, expired | 401  401   401  | 401   401   401    | 401  401  401
form access              | ok   ok    ok   | ok    403   ok     | ok   ok   ok
form access, replaced    | 401  401   401  | 401   403   401    | 401  401  401
form access, ended       | 401  401   401  | 401   403   401    | 401  401  401
form access, expired     | 401  401   401  | 401   401   401    | 401  401  401
form refresh             | 401  401   401  | 401   401   401    | 401  401  401
form refresh, used       | 401  401   401  | 401   401   401    | 401  401  401
form refresh, ended      | 401  401   401  | 401   401   401    | 401  401  401
form refresh, expired    | 401  401   401  | 401   401   401    | 401  401  401
web access               | ok   ok    ok   | ok    403   ok     | ok   ok   ok
web access, replaced     | 401  401   401  | 401   403   401    | 401  401  401
web access, ended        | 401  401   401  | 401   403   401    | 401  401  401
web access, expired      | 401  401   401  | 401   401   401    | 401  401  401
web refresh              | 401  401   401  | 401   401   401    | 401  401  401
web refresh, used        | 401  401   401  | 401   401   401    | 401  401  401
web refresh, ended       | 401  401   401  | 401   401   401    | 401  401  401
web refresh, expired     | 401  401   401  | 401   401   401    | 401  401  401
phone refresh            | 401  401   401  | 401   401   401    | 401  401  401
reports access           | ok   ok    403  | 403   403   403    | ok   403  ok
forged                   | 401  401   401  | 401   401   401    | 401  401  401
";

/// The forms, in bodies and in cookies (`c:`).
const FORMS: &str = "
                         | login refresh logout c:login c:refresh c:logout
smsgate access           | 400   401     idle   400     401       idle
smsgate access, few      | 400   401     idle   400     401       idle
smsgate access, replaced | 400   401     idle   400     401       idle
smsgate access, ended    | 400   401     idle   400     401       idle
smsgate access, expired  | 400   401     idle   400     401       idle
smsgate refresh          | 400   401     idle   400     401       idle
smsgate refresh, used    | 400   401     idle   400     401       idle
smsgate refresh, ended   | 400   401     idle   400     401       idle
smsgate refresh, expired | 400   401     idle   400     401       idle
form access              | 400   401     idle   400     401       idle
form access, replaced    | 400   401     idle   400     401       idle
form access, ended       | 400   401     idle   400     401       idle
form access, expired     | 400   401     idle   400     401       idle
form refresh             | 400   ok      ok     400     ok        ok
form refresh, used       | 400   401!    ok     400     401!      ok
form refresh, ended      | 400   401     idle   400     401       idle
form refresh, expired    | 400   401     idle   400     401       idle
web access               | 400   401     idle   400     401       idle
web access, replaced     | 400   401     idle   400     401       idle
web access, ended        | 400   401     idle   400     401       idle
web access, expired      | 400   401     idle   400     401       idle
web refresh              | 400   401     idle   400     401       idle
web refresh, used        | 400   401     idle   400     401       idle
web refresh, ended       | 400   401     idle   400     401       idle
web refresh, expired     | 400   401     idle   400     401       idle
phone refresh            | 400   401     idle   400     401       idle
reports access           | 400   401     idle   400     401       idle
forged                   | 400   401     idle   400     401       idle
";

/// OAuth, by client.
const OAUTH: &str = "
                         | token:web token:phone revoke:web revoke:phone active:web active:guard
smsgate access           | 400       400         400        400          on         on
smsgate access, few      | 400       400         400        400          on         on
smsgate access, replaced | 400       400         400        400          off        off
smsgate access, ended    | 400       400         idle       idle         off        off
smsgate access, expired  | 400       400         idle       idle         off        off
smsgate refresh          | 400       400         idle       idle         off        off
smsgate refresh, used    | 400       400         idle       idle         off        off
smsgate refresh, ended   | 400       400         idle       idle         off        off
smsgate refresh, expired | 400       400         idle       idle         off        off
form access              | 400       400         400        400          on         on
form access, replaced    | 400       400         400        400          off        off
form access, ended       | 400       400         idle       idle         off        off
form access, expired     | 400       400         idle       idle         off        off
form refresh             | 400       400         400        400          off        off
form refresh, used       | 400       400         400        400          off        off
form refresh, ended      | 400       400         idle       idle         off        off
form refresh, expired    | 400       400         idle       idle         off        off
web access               | 400       400         ok         400          on         on
web access, replaced     | 400       400         ok         400          off        off
web access, ended        | 400       400         idle       idle         off        off
web access, expired      | 400       400         idle       idle         off        off
web refresh              | ok        400         ok         400          on         off
web refresh, used        | 400!      400         ok         400          off        off
web refresh, ended       | 400       400         idle       idle         off        off
web refresh, expired     | 400       400         idle       idle         off        off
phone refresh            | 400       ok          400        ok           off        off
reports access           | 400       400         400        400          on         on
forged                   | 400       400         idle       idle         off        off
";

/// Each row by its name, with a cell for each of [`PLACES`].
#[track_caller]
pub(super) fn rows() -> Vec<(&'static str, Vec<Cell>)> {
    let lines = |table: &'static str| table.lines().filter_map(|line| line.split_once('|'));
    let words = |line: &'static str| line.split_whitespace().filter(|word| *word != "|");
    let mut whole = lines(API).zip(lines(FORMS)).zip(lines(OAUTH)).map(|(((name, api), forms), oauth)| {
        assert_eq!([forms.0.trim(), oauth.0.trim()], [name.trim(); 2]);
        (name.trim(), words(api).chain(words(forms.1)).chain(words(oauth.1)).collect::<Vec<_>>())
    });
    let (_, head) = whole.next().unwrap();
    assert_eq!(head, PLACES.iter().map(|place| place.name).collect::<Vec<_>>());
    whole.map(|(name, words)| (name, words.into_iter().map(Cell::read).collect())).collect()
}

impl Cell {
    #[track_caller]
    fn read(word: &'static str) -> Self {
        match word {
            "ok" => Self::Done,
            "idle" => Self::Idle,
            "on" => Self::Active,
            "off" => Self::Inactive,
            "400" | "401" | "403" => Self::Refused { status: word, and_ended: false },
            "400!" | "401!" => Self::Refused { status: &word[..3], and_ended: true },
            other => panic!("{other} is no cell"),
        }
    }

    /// What the answer is to say, as [`super::places::Place::told`] has it.
    pub fn told(self) -> &'static str {
        match self {
            Self::Done | Self::Idle => "ok",
            Self::Active => "on",
            Self::Inactive => "off",
            Self::Refused { status, .. } => status,
        }
    }

    /// Whether anything is other than before.
    pub fn changes(self, effect: Effect) -> bool {
        match self {
            Self::Done => effect != Effect::Nothing,
            Self::Refused { and_ended, .. } => and_ended,
            Self::Idle | Self::Active | Self::Inactive => false,
        }
    }
}
