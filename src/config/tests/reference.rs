//! `docs/configuration.md`, written from the shipped `config.toml` and from what the code makes of each key.
//!
//! Guarantees: the words are the file's own; types, ranges, defaults and variables are the code's: what it answers when it
//! is asked with values that cannot be right.
//! Does not know: whether its prose is true.

use std::fmt::Write;

use super::*;

const SHIPPED: &str = include_str!("../../../config.toml");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
/// Asks this test to write the page in place of comparing it.
const WRITE: &str = "PORTCULLIS_TEST_WRITE_REFERENCE";

const HEAD: &str = "\
# Configuration reference

Written from [config.toml](../config.toml) and the code by `make reference`; change those, not this page.
";

#[test]
fn the_page_is_what_file_and_code_say() {
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    let differ = || written.lines().zip(page.lines()).position(|(old, new)| old != new);
    assert!(written == page, "docs/configuration.md is stale from line {:?} on: make reference", differ());
}

fn page() -> String {
    let (mut page, mut section) = (String::from(HEAD), "");
    let mut blocks = SHIPPED.split("\n\n").map(str::trim).peekable();
    while let Some(block) = blocks.next() {
        let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with("# -----")).collect();
        let variable = lines.iter().position(|line| line.starts_with("# PORTCULLIS_"));
        let (comment, keys) = lines.split_at(variable.unwrap_or(lines.len()));
        if let Some(header) = lines.iter().find_map(|line| line.strip_prefix('[')?.strip_suffix(']')) {
            section = header;
            page += &format!("\n## [{section}]\n");
        }
        let next = blocks.peek().copied().unwrap_or_default();
        let comment: Vec<&str> = comment.iter().filter_map(|line| line.strip_prefix('#')).collect();
        match (table(block), table(next)) {
            // What stands above a table, in a block of its own or in the same, is about that table.
            (None, Some(name)) if variable.is_none() => page += &head_of_table(name, &comment),
            (Some((name, example)), _) => {
                if !page.contains(&format!("\n## [[{name}]]\n")) {
                    page += &head_of_table((name, 0), &comment[..example]);
                }
                page += &fenced("toml", &comment[example..]);
            }
            _ => {
                page += if keys.is_empty() { "" } else { "\n" };
                keys.chunks(2).for_each(|pair| page += &entry(section, pair[1]));
                page += &prose(&comment);
            }
        }
    }
    page
}

/// The table that a block has an example of, and in which of its lines.
fn table(block: &str) -> Option<(&str, usize)> {
    let mut lines = block.lines().filter(|line| !line.starts_with("# -----")).enumerate();
    lines.find_map(|(n, line)| Some((line.strip_prefix("# [[")?.strip_suffix("]]")?, n)))
}

fn head_of_table((name, _): (&str, usize), comment: &[&str]) -> String {
    let keys: String = keys_of_table(name).iter().map(|key| entry(name, key)).collect();
    format!("\n## [[{name}]]\n{}\n{keys}", fenced("text", comment))
}

/// One key: name, kind, default, variable.
fn entry(section: &str, line: &str) -> String {
    let word = line.trim_start_matches("# ").split(' ').next().unwrap();
    let key = if section.is_empty() { word.to_owned() } else { format!("{section}.{word}") };
    let defaults = Config::default();
    let setting = defaults.settings.iter().find(|setting| setting.key == key);
    let mut entry = format!("- **`{key}`**: {}", kind(section, word, setting.is_none()));
    if let Some(setting) = setting {
        let default = setting.value.as_ref().map_or("no default".into(), |value| format!("default `{value}`"));
        let _ = write!(entry, "; {default}; `{}`", environment::variable(&key));
    }
    entry + "\n"
}

/// What the code says of a key's values: their type, whether they are secret, choices, and bounds.
fn kind(section: &str, word: &str, in_table: bool) -> String {
    let ask = |value: &str| answers(section, word, value, in_table);
    let says = |value: &str, text: &str| ask(value).1.iter().any(|said| said.starts_with(text));
    let after =
        |value: &str, text: &str| ask(value).1.iter().find_map(|said| Some(said.split_once(text)?.1.to_owned()));
    let date = "1979-05-27";
    let secret = |word: &str| {
        answers(section, word, "\"kL3vQ9xT2mWc7RzY5nBf8HjD4sGp6AeU\"", in_table).0.as_deref() == Some("\"[secret]\"")
    };
    let (least, most, kind) = if says(date, "must be true or false") {
        return "`true` or `false`".into();
    } else if says(date, "must be a list") {
        return "list of texts".into();
    } else if secret(word) {
        return "text, **secret**".into();
    } else if word.strip_suffix("_file").is_some_and(secret) {
        return "path of a file with the **secret**".into();
    } else if says("1", "needs a unit") {
        ("\"0s\"", "\"99999d\"", "duration")
    } else if says(date, "must be a whole number") && says("\"1KiB\"", "must be a number") {
        ("0", "9223372036854775807", "number")
    } else if says(date, "must be a whole number") {
        ("0", "9223372036854775807", "size")
    } else if let Some(choices) = after("\"\\u0001\"", " is not one of ") {
        return format!(
            "one of {}",
            choices.split(", ").map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        );
    } else if says("\"a\\u0000b\"", "must not contain NUL") {
        return "path".into();
    } else {
        return if says(date, "must be text") { "text".into() } else { "as described".into() };
    };
    let least = after(least, "must be at least ").map(|least| format!(", at least {least}"));
    // Ten years stand for "no bound".
    let most = after(most, "must be at most ").filter(|most| most != "87600h");
    let most = most.map(|most| format!(", at most {most}"));
    format!("{kind}{}{}", least.unwrap_or_default(), most.unwrap_or_default())
}

/// What becomes of a key with this value: how it would be shown, and what is wrong with it.
fn answers(section: &str, word: &str, value: &str, in_table: bool) -> (Option<String>, Vec<String>) {
    let (header, key) = match (section, in_table) {
        ("", _) => (String::new(), word.to_owned()),
        (_, true) => (format!("[[{section}]]\n"), format!("{section}.0.{word}")),
        (_, false) => (format!("[{section}]\n"), format!("{section}.{word}")),
    };
    let (settings, mistakes) = read(&format!("{header}{word} = {value}\n"));
    let shown = settings.into_iter().find(|setting| setting.key == key).and_then(|setting| setting.value);
    let begin = format!("{key}: ");
    let said = mistakes.iter().filter_map(|mistake| Some(mistake.split_once(&begin)?.1.to_owned())).collect();
    (shown, said)
}

fn read(file: &str) -> (Vec<Setting>, Vec<String>) {
    let file = File::parse(Path::new("config.toml"), file.into()).unwrap();
    let (config, mistakes) = Config::read(Reader::new(Written::new(Some(file), None, vec![], vec![]).unwrap()));
    (config.settings, mistakes.iter().map(Mistake::to_string).collect())
}

/// The keys that a table of this name is asked for.
fn keys_of_table(table: &str) -> Vec<String> {
    let begin = format!("{table}.0.");
    let (settings, _) = read(&super::shipped::uncommented());
    let keys: Vec<String> =
        settings.iter().filter_map(|setting| setting.key.strip_prefix(&begin).map(Into::into)).collect();
    assert!(!keys.is_empty(), "{table}");
    keys
}

/// Comments as paragraphs; what is indented in them stays as it is.
fn prose(lines: &[&str]) -> String {
    let is_drawn = |line: &str| line.starts_with("   ");
    let mut text = String::new();
    for part in lines.chunk_by(|a, b| is_drawn(a) == is_drawn(b)) {
        let plain: Vec<&str> = part.iter().map(|line| line.trim_start()).collect();
        text += &if is_drawn(part[0]) { fenced("text", part) } else { format!("\n{}\n", plain.join("\n").trim()) };
    }
    text
}

fn fenced(language: &str, lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    format!("\n```{language}\n{}\n```\n", lines.join("\n").trim_matches('\n'))
}
