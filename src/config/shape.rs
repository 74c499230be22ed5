//! The shapes a written value can have: text, whole number, true or false, list.
//!
//! Guarantees: what is refused is described by its shape, never repeated, so a secret of the wrong shape stays secret.
//! Does not know: keys, places, or which values are right.

use figment::value::Value;

use super::quantity;

/// Text, untouched.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(_, text) => Ok(text.clone()),
        _ => Err(format!("must be text in quotes, not {}", describe(value))),
    }
}

/// Text that is a word of a small language: blanks around it are dropped in variables and flags.
pub(super) fn word(value: &Value, loose: bool) -> Result<String, String> {
    text(value).map(|text| if loose { text.trim().to_owned() } else { text })
}

/// The text of a duration. Numbers get an explanation of their own: forgetting the unit is the usual mistake.
pub(super) fn duration_text(value: &Value, loose: bool) -> Result<String, String> {
    match value {
        Value::Num(_, number) => match number.to_i128() {
            Some(number) if number < 0 => Err("must not be negative".into()),
            Some(number) => Err(quantity::no_unit(&number.to_string())),
            None => Err(quantity::no_unit(&number.to_f64().unwrap_or_default().to_string())),
        },
        _ => word(value, loose),
    }
}

/// A whole number that is not negative.
pub(super) fn number(value: &Value, loose: bool) -> Result<u64, String> {
    let number = match value {
        Value::Num(_, number) => number.to_i128(),
        Value::String(_, text) if loose => text.trim().parse().ok(),
        Value::String(..) => return Err("must be a number: leave out the quotes".into()),
        _ => return Err(format!("must be a whole number, not {}", describe(value))),
    };
    let number = number.ok_or("must be a whole number")?;
    u64::try_from(number).map_err(|_| if number < 0 { "must not be negative".into() } else { "is too large".into() })
}

/// Bytes: a number, or text such as `64KiB`.
pub(super) fn size(value: &Value, loose: bool) -> Result<u64, String> {
    match value {
        Value::String(_, text) => quantity::size(if loose { text.trim() } else { text }),
        _ => number(value, loose),
    }
}

/// True or false.
pub(super) fn truth(value: &Value, loose: bool) -> Result<bool, String> {
    match value {
        Value::Bool(_, truth) => Ok(*truth),
        Value::String(_, text) if loose => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("must be true or false".into()),
        },
        Value::String(..) => Err("must be true or false, without quotes".into()),
        _ => Err(format!("must be true or false, not {}", describe(value))),
    }
}

/// The elements of a list of texts, each by itself. Variables and flags may write `a,b` or `["a", "b"]`.
pub(super) fn texts(value: &Value, loose: bool) -> Result<Vec<Result<String, String>>, String> {
    match value {
        Value::Array(_, list) => Ok(list.iter().map(text).collect()),
        Value::String(_, list) if loose => bare_list(list.trim()),
        Value::String(..) => Err("must be a list: put it in brackets, [\"…\"]".into()),
        _ => Err(format!("must be a list of texts, not {}", describe(value))),
    }
}

fn bare_list(list: &str) -> Result<Vec<Result<String, String>>, String> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    if !list.starts_with('[') {
        return Ok(list.split(',').map(|element| Ok(element.trim().to_owned())).collect());
    }
    let wrong = "must be a list such as `a,b` or `[\"a\", \"b\"]`";
    let parsed = list.parse::<toml_edit::Value>().map_err(|_| wrong)?;
    let elements = parsed.as_array().ok_or(wrong)?;
    Ok(elements.iter().map(|element| element.as_str().map(Into::into).ok_or_else(|| wrong.to_owned())).collect())
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Empty(..) => "nothing",
        // What the parser makes of a bare date.
        Value::Dict(_, table) if table.keys().any(|key| key.starts_with("$__toml")) => "a date",
        Value::Dict(..) => "a section",
        Value::Array(..) => "a list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_may_write_numbers_and_truths_as_text() {
        for (text, expected) in [("8080", Some(8080)), (" 7 ", Some(7)), ("0", Some(0)), ("1.5", None), ("-1", None)] {
            assert_eq!(number(&text.into(), true).ok(), expected, "{text}");
        }
        for (text, expected) in [("true", Some(true)), ("OFF", Some(false)), ("1", Some(true)), ("maybe", None)] {
            assert_eq!(truth(&text.into(), true).ok(), expected, "{text}");
        }
        assert_eq!(number(&"8080".into(), false), Err("must be a number: leave out the quotes".into()));
        assert_eq!(truth(&"true".into(), false), Err("must be true or false, without quotes".into()));
    }

    #[track_caller]
    fn list(written: &str, expected: &[&str]) {
        let elements: Result<Vec<_>, _> = texts(&written.into(), true).unwrap().into_iter().collect();
        assert_eq!(elements.unwrap(), expected, "{written}");
    }

    #[test]
    fn variables_may_write_lists_bare_or_in_brackets() {
        list("", &[]);
        list("[]", &[]);
        list("a", &["a"]);
        list("a, b", &["a", "b"]);
        list(r#"["a","b,c"]"#, &["a", "b,c"]);
        for wrong in ["[a, b]", "[\"a\"", "[\"a\"] x"] {
            assert!(texts(&wrong.into(), true).is_err(), "{wrong}");
        }
        assert!(texts(&"[1]".into(), true).unwrap()[0].is_err());
    }

    #[test]
    fn a_duration_without_unit_gets_its_own_explanation() {
        assert!(duration_text(&900.into(), false).unwrap_err().starts_with("needs a unit: 900 of what?"));
        assert!(duration_text(&1.5.into(), false).unwrap_err().starts_with("needs a unit: 1.5 of what?"));
        assert_eq!(duration_text(&(-1).into(), false), Err("must not be negative".into()));
        assert_eq!(duration_text(&true.into(), false), Err("must be text in quotes, not true or false".into()));
    }
}
