//! A good token in every place but its own: it is as if there were none.

use super::*;
use crate::support::Call;
use crate::support::dialect::COOKIE;

/// How a token can travel.
const CARRIERS: [&str; 6] = ["bearer", "basic", "cookie", "query", "form", "json"];

/// What an endpoint answers to a token by each of [`CARRIERS`]; `200`: that is its place.
const TABLE: &str = "
                 | bearer basic cookie query form json
GET /any         | 200    401   401    401   401  401
POST renew       | 200    401   401    401   401  401
GET sessions     | 200    401   401    401   401  401
POST /refresh    | 400    400   400    400   200  400
POST /logout     | 400    400   400    400   200  400
POST c:/refresh  | 401    401   200    401   400  400
POST c:/logout   | idle   idle  200    idle  400  400
POST token:web   | 401    400   400    400   200  400
POST revoke:web  | 401    400   400    400   200  400
POST active:web  | 401    400   400    400   200  400
";

/// An endpoint, whose token is good there, and the one that is.
struct Spot {
    method: &'static str,
    path: &'static str,
    dialect: Dialect,
    access: bool,
}

fn spot(name: &str) -> Spot {
    let spot = |method, path, dialect, access| Spot { method, path, dialect, access };
    match name {
        "GET /any" => spot("GET", "/any", Dialect::Smsgate, true),
        "POST renew" => spot("POST", "/3rdparty/v1/auth/token/refresh", Dialect::Smsgate, false),
        "GET sessions" => spot("GET", "/3rdparty/v1/auth/sessions", Dialect::Smsgate, true),
        "POST /refresh" => spot("POST", "/refresh", Dialect::Form, false),
        "POST /logout" => spot("POST", "/logout", Dialect::Form, false),
        "POST c:/refresh" => spot("POST", "/refresh", Dialect::Cookie, false),
        "POST c:/logout" => spot("POST", "/logout", Dialect::Cookie, false),
        "POST token:web" => spot("POST", "/oauth/token", Dialect::Web, false),
        "POST revoke:web" => spot("POST", "/oauth/revoke", Dialect::Web, false),
        "POST active:web" => spot("POST", "/oauth/introspect", Dialect::Web, true),
        other => panic!("{other} is no endpoint"),
    }
}

/// `token` by way of `carrier`, beside everything else that the endpoint wants to have.
fn carried(gate: &Gate, spot: &Spot, carrier: &str, token: &str) -> Call {
    let field = match spot.dialect {
        Dialect::Web if spot.path == "/oauth/token" => "refresh_token",
        Dialect::Web => "token",
        Dialect::Form | Dialect::Cookie => "refreshToken",
        _ => "access_token",
    };
    let encoded = form_urlencoded::Serializer::new(String::new()).append_pair(field, token).finish();
    let target = if carrier == "query" { format!("{}?{encoded}", spot.path) } else { spot.path.to_owned() };
    let call = gate.call(spot.method, &target);
    let call = match spot.dialect {
        Dialect::Cookie => call.header("Origin", &format!("http://{}", gate.address)),
        _ => call,
    };
    let mut fields = match spot.dialect {
        Dialect::Web => vec![("grant_type", "refresh_token"), ("client_id", "web"), ("client_secret", "web-secret")],
        _ => Vec::new(),
    };
    let call = match carrier {
        "bearer" => call.bearer(token),
        "basic" => call.basic("alice", token),
        "cookie" => call.header("Cookie", &format!("{COOKIE}={token}; {field}={token}")),
        _ => call,
    };
    match (carrier, spot.dialect) {
        ("json", _) => {
            fields.push((field, token));
            let object: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            call.json(&object.into())
        }
        ("form", _) => call.form(&[&fields[..], &[(field, token)]].concat()),
        (_, Dialect::Smsgate | Dialect::Cookie) => call,
        _ => call.form(&fields),
    }
}

#[test]
fn a_token_in_another_place_than_its_own_is_none() {
    let worlds = [World::new(Life::Lasting, false), World::new(Life::Lasting, true)];
    let mut lines = TABLE.lines().filter_map(|line| line.split_once('|'));
    let (_, head) = lines.next().unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), CARRIERS);
    let mut wrong = Vec::new();
    for (name, cells) in lines {
        let (spot, cells) = (spot(name.trim()), cells.split_whitespace().collect::<Vec<_>>());
        assert_eq!(cells.len(), CARRIERS.len(), "{name}");
        let world = &worlds[usize::from(spot.dialect == Dialect::Cookie)];
        let pair = spot.dialect.alice(&world.gate);
        let token = if spot.access { &pair.access } else { &pair.refresh };
        let misplaced = CARRIERS.iter().zip(&cells).filter(|(_, cell)| **cell != "200");
        let right = CARRIERS.iter().zip(&cells).filter(|(_, cell)| **cell == "200");
        // The right one last: nothing before has used the token up.
        for (carrier, cell) in misplaced.chain(right) {
            let answer = carried(&world.gate, &spot, carrier, token).send();
            let status = answer.status.to_string();
            if status != cell.replace("idle", "200") {
                wrong.push(format!("{name} by {carrier}: {cell} expected, {status} {}", answer.text()));
            }
        }
        let refreshed = spot.path.ends_with("refresh") || spot.path == "/oauth/token";
        let ended = matches!(spot.path, "/logout" | "/oauth/revoke");
        let gone = world.gate.get("/any").bearer(&pair.access).send().status == 401;
        assert_eq!(gone, refreshed || ended, "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
