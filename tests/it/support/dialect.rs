//! The dialects of the token endpoints, so that one test can speak all of them: sign in, refresh, and the pair.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Answer, Call, Gate, Start, forge};

/// A way to get and renew a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Smsgate,
    /// The token in bodies: for gates that were not started [`Dialect::in_cookies`].
    Form,
    /// The token in a cookie: for those that were.
    Cookie,
    /// By way of the OAuth client `web`, which has a secret.
    Web,
    /// By way of the OAuth client `phone`, which has none.
    Phone,
}

/// What a sign-in or a refresh gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

pub const COOKIE: &str = "__Secure-refresh-token";

impl Dialect {
    /// A gate that speaks all of them, before the clients `web`, `phone`, `guard` (which may ask and nothing else) and
    /// `reports` (for itself), and with `more` behind them in its file.
    pub fn all(start: Start, more: &str) -> Start {
        let client = |id: &str, grants: &str, scopes: &str| {
            let hash = bcrypt::hash(format!("{id}-secret"), 4).unwrap();
            format!("[[client]]\nid = '{id}'\nsecret_hash = '{hash}'\ngrants = [{grants}]\nscopes = [{scopes}]\n")
        };
        let clients = [
            client("web", "'password', 'refresh_token'", "'messages:list', 'tokens:manage'"),
            client("reports", "'client_credentials'", "'messages:list'"),
            client("guard", "", ""),
            "[[client]]\nid = 'phone'\npublic = true\n".to_owned()
                + "grants = ['password', 'refresh_token']\nscopes = ['messages:list']\n",
        ];
        // In the file, so that commands beside the gate know them too.
        let spoken = "[profiles.form]\nenabled = true\n[profiles.oauth]\nenabled = true\npassword_grant = true\n";
        start.config_file(&(clients.concat() + spoken + more))
    }

    /// Has the form dialect lay its tokens into cookies.
    pub fn in_cookies(start: Start) -> Start {
        start.set("profiles.form.cookies", "true")
    }

    /// Signs alice in, with as much as there is to have.
    #[track_caller]
    pub fn alice(self, gate: &Gate) -> Tokens {
        let (name, password) = ("alice", "wonderland");
        let form = [("username", name), ("password", password)];
        match self {
            Self::Smsgate => self.tokens(&gate.alice(&["all:any"])),
            Self::Form | Self::Cookie => self.tokens(&self.page(gate, "/login").form(&form).send().expect(200)),
            Self::Web | Self::Phone => {
                let fields = [&form[..], &[("grant_type", "password")]].concat();
                self.tokens(&self.client(gate, "/oauth/token", &fields).send().expect(200))
            }
        }
    }

    /// The request that presents a refresh token to be renewed.
    pub fn refreshing(self, gate: &Gate, token: &str) -> Call {
        match self {
            Self::Smsgate => gate.post("/3rdparty/v1/auth/token/refresh").bearer(token),
            Self::Form => self.page(gate, "/refresh").form(&[("refreshToken", token)]),
            Self::Cookie => self.page(gate, "/refresh").header("Cookie", &format!("{COOKIE}={token}")),
            Self::Web | Self::Phone => {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
                self.client(gate, "/oauth/token", &fields)
            }
        }
    }

    /// Renews, and holds it to work.
    #[track_caller]
    pub fn refreshed(self, gate: &Gate, token: &str) -> Tokens {
        self.tokens(&self.refreshing(gate, token).send().expect(200))
    }

    /// Presents a refresh token, and holds it to be refused in the words that it has for all such.
    #[track_caller]
    pub fn refused(self, gate: &Gate, token: &str) {
        self.refusal(&self.refreshing(gate, token).send());
    }

    #[track_caller]
    pub fn refusal(self, answer: &Answer) {
        let told = || (answer.status, answer.text());
        match self {
            Self::Smsgate => assert_eq!(answer.clone().expect_refusal(401).field("message"), "Invalid refresh token"),
            Self::Form | Self::Cookie => assert_eq!(told(), (401, "Invalid or expired refresh token".into())),
            Self::Web | Self::Phone => assert_eq!((answer.status, &*answer.field("error")), (400, "invalid_grant")),
        }
    }

    /// The pair in an answer.
    #[track_caller]
    pub fn tokens(self, answer: &Answer) -> Tokens {
        let [access, refresh] = match self {
            Self::Smsgate | Self::Web | Self::Phone => ["access_token", "refresh_token"],
            Self::Form | Self::Cookie => ["accessToken", "refreshToken"],
        };
        let refresh = match self {
            Self::Cookie => {
                let cookie = answer.header("set-cookie").and_then(|value| value.split(['=', ';']).nth(1));
                cookie.expect("a cookie").to_owned()
            }
            _ => answer.field(refresh),
        };
        Tokens { access: answer.field(access), refresh }
    }

    fn page(self, gate: &Gate, path: &str) -> Call {
        match self {
            Self::Cookie => gate.post(path).header("Origin", &format!("http://{}", gate.address)),
            _ => gate.post(path),
        }
    }

    fn client(self, gate: &Gate, path: &str, fields: &[(&str, &str)]) -> Call {
        client(gate, if self == Self::Phone { "phone" } else { "web" }, path, fields)
    }
}

/// A request of one of the clients of [`Dialect::all`].
pub fn client(gate: &Gate, id: &str, path: &str, fields: &[(&str, &str)]) -> Call {
    if id == "phone" {
        return gate.post(path).form(&[fields, &[("client_id", id)]].concat());
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{id}-secret")));
    gate.post(path).form(fields).header("Authorization", &basic)
}

impl Tokens {
    /// The id of their session.
    #[track_caller]
    pub fn session(&self) -> String {
        forge::parts(&self.access).1["sid"].as_str().unwrap().to_owned()
    }
}
