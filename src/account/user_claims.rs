//! The `claims` of a user: from TOML to JSON.
//!
//! Guarantees: no claim stands in for one that the gate writes; what JSON cannot say is a mistake and not a guess.
//! Does not know: the other keys of a user, tokens.

use std::ops::Range;

use serde_json::{Map, Value as Json};
use toml_edit::{Item, TableLike, Value};

/// Claims that the gate writes or judges by: a user's own must not stand in their place.
const RESERVED_CLAIMS: [&str; 17] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "scope",
    "scopes",
    "original_scopes",
    "user_id",
    "email",
    "roles",
    "client_id",
    "cnf",
    "sealed",
];

/// Takes a mistake and the place where it stands.
pub(super) type Note<'a> = &'a mut dyn FnMut(Option<Range<usize>>, String);

/// The claims of `table`; what is wrong with them goes to `note`.
pub(super) fn read(table: &dyn TableLike, note: Note<'_>) -> Map<String, Json> {
    for (name, _) in table.iter().filter(|(name, _)| RESERVED_CLAIMS.contains(name)) {
        note(span(table, name), format!("the claim `{name}` is the gate's own and cannot be set here"));
    }
    object(table, note)
}

/// Where `key` stands in its table.
pub(super) fn span(table: &dyn TableLike, key: &str) -> Option<Range<usize>> {
    table.key(key).and_then(|key| key.span()).or_else(|| table.get(key).and_then(Item::span))
}

fn object(table: &dyn TableLike, note: Note<'_>) -> Map<String, Json> {
    table.iter().filter_map(|(name, item)| Some((name.to_owned(), json(item, &span(table, name), note)?))).collect()
}

/// `None` for what JSON cannot say.
fn json(item: &Item, place: &Option<Range<usize>>, note: Note<'_>) -> Option<Json> {
    match item {
        Item::None => None,
        Item::Table(table) => Some(Json::Object(object(table, note))),
        Item::ArrayOfTables(tables) => Some(tables.iter().map(|table| Json::Object(object(table, note))).collect()),
        Item::Value(value) => json_value(value, place, note),
    }
}

fn json_value(value: &Value, place: &Option<Range<usize>>, note: Note<'_>) -> Option<Json> {
    match value {
        Value::String(text) => Some(Json::String(text.value().clone())),
        Value::Integer(number) => Some(Json::from(*number.value())),
        Value::Boolean(truth) => Some(Json::Bool(*truth.value())),
        Value::Array(array) => Some(array.iter().filter_map(|value| json_value(value, place, note)).collect()),
        Value::InlineTable(table) => Some(Json::Object(object(table, note))),
        Value::Float(number) => {
            let number = serde_json::Number::from_f64(*number.value()).map(Json::Number);
            if number.is_none() {
                note(place.clone(), "JSON has no word for `nan` and `inf`: a claim cannot carry them".to_owned());
            }
            number
        }
        Value::Datetime(_) => {
            note(place.clone(), "JSON has no dates: write it as a string, in quotes".to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use toml_edit::ImDocument;

    use super::*;

    /// The claims, and the mistakes with the place where each stands.
    fn claims(text: &str) -> (Json, Vec<(usize, String)>) {
        let mut mistakes = Vec::new();
        let document = ImDocument::parse(text).unwrap();
        let claims = read(document.as_table(), &mut |span, message| mistakes.push((span.unwrap().start, message)));
        (Json::Object(claims), mistakes)
    }

    #[test]
    fn every_shape_that_json_has_is_carried() {
        let text = "a = 7\nb = \"x\"\nc = 1.5\nd = [true, { e = [] }]\n[f.g]\nh = -1\n[[i]]\nj = 1\n";
        let expected = serde_json::json!({
            "a": 7, "b": "x", "c": 1.5, "d": [true, {"e": []}], "f": {"g": {"h": -1}}, "i": [{"j": 1}],
        });
        assert_eq!(claims(text), (expected, Vec::new()));
    }

    #[test]
    fn claims_cannot_stand_in_for_the_gates_own() {
        for claim in RESERVED_CLAIMS {
            let (_, mistakes) = claims(&format!("x = 1\n{claim} = \"x\""));
            assert!(matches!(&*mistakes, [(6, message)] if message.contains(claim)), "{mistakes:?}");
        }
        assert_eq!(claims("address = { email = 1 }").1, []);
    }

    #[test]
    fn what_json_cannot_say_is_a_mistake() {
        let (_, mistakes) = claims("a = nan\nb = 2026-01-01\nc = [inf]");
        assert_eq!(mistakes.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 8, 23]);
    }
}
