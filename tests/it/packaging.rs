//! What comes beside the binary: manual pages, completions, the unit, the alerts and the dashboard, the table of exit codes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Run;

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn run(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    Run::new(folder.path(), arguments).end().expect(0).stdout
}

/// All commands, those below others too.
fn commands() -> Vec<Vec<String>> {
    let mut all = vec![vec![]];
    let mut next = 0;
    while let Some(command) = all.get(next).cloned() {
        next += 1;
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&words);
        let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = below.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let names = names.filter(|name| !name.is_empty() && *name != "help");
        all.extend(names.map(|name| command.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>()));
    }
    all
}

#[test]
fn each_command_has_a_manual_page_and_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    Run::new(folder.path(), &["man", "."]).end().expect(0);
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    let completions = ["bash", "zsh", "fish"].map(|shell| run(&["completions", shell]));
    for command in commands {
        let name: String = command.iter().map(|word| format!("-{word}")).collect();
        let page = fs::read_to_string(folder.path().join(format!("portcullis{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "portcullis{name}");
        let last = command.last().map_or("portcullis", String::as_str);
        assert!(completions.iter().all(|script| script.contains(last)), "{last}");
    }
}

/// Each command's `--help` against the one table.
#[test]
fn exit_codes_are_those_of_the_table() {
    let page = read("docs/operations.md");
    let table = page.split("\n## Exit codes\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let mut documented: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("| ")) {
        let mut cells = row.split(" | ");
        let (Some(code), Some(whose)) = (cells.next(), cells.next()) else { continue };
        if code.parse::<u8>().is_ok() {
            documented.entry(code).or_default().extend(whose.split('`').skip(1).step_by(2).map(Into::into));
        }
    }
    let of_all = |code: &str| documented.get(code).is_some_and(BTreeSet::is_empty);
    assert!(["0", "1", "2", "78"].into_iter().all(of_all), "{documented:?}");
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for command in commands().into_iter().filter(|command| !command.is_empty()) {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&words).split_whitespace().collect::<Vec<_>>().join(" ");
        // Those with commands of their own say which of these they mean.
        if help.contains(" Commands: ") {
            continue;
        }
        let said = help.match_indices("Exit code").map(|(at, _)| &help[at..]).collect::<String>();
        assert!(!said.is_empty(), "{command:?} says nothing of its exit codes");
        let numbers = said.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
        for number in numbers.filter(|number| !of_all(number)) {
            told.entry(number.to_owned()).or_default().insert(command.join(" "));
        }
    }
    let documented: BTreeMap<String, BTreeSet<String>> = documented
        .into_iter()
        .filter(|(_, whose)| !whose.is_empty())
        .map(|(code, whose)| (code.into(), whose))
        .collect();
    assert_eq!(told, documented, "what --help says, and docs/operations.md#exit-codes");
}

#[test]
fn the_packaged_configuration_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = root("packaging/config.toml");
    let ended =
        Run::new(folder.path(), &["check", "--data-dir=data", "--config", file.to_str().unwrap()]).end().expect(0);
    assert!(ended.stdout.contains("configuration ok"), "{ended:?}");
}

#[test]
#[cfg_attr(not(have_systemd_analyze), ignore = "systemd-analyze is not on the PATH")]
fn the_unit_exposes_little() {
    let mut command = Command::new("systemd-analyze");
    command
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(root("packaging/portcullis.service"));
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

/// What the rules and the dashboard ask for is what the gate tells: `metrics.rs` holds the page to the exposition.
#[test]
fn alerts_and_dashboard_ask_for_numbers_that_exist() {
    let metrics = read("docs/metrics.md");
    let known: BTreeSet<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let words = read("docs/operations.md") + &metrics;
    for path in ["docs/monitoring/portcullis.rules.yaml", "docs/monitoring/dashboard.json"] {
        let text = read(path).replace("\\\"", "\"");
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = ["portcullis_", "sms_auth_", "process_"];
        let names: BTreeSet<&str> = names.filter(|name| ours.iter().any(|begin| name.starts_with(begin))).collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let series = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(known.contains(name) || series.is_some_and(|name| known.contains(name)), "{path}: {name}");
        }
        for label in ["event", "reason", "result"] {
            for values in text.split(&format!("{label}=")).skip(1).filter_map(|rest| rest.split('"').nth(1)) {
                for value in values.split('|') {
                    assert!(words.contains(&format!("`{value}`")), "{path}: {label} {value}");
                }
            }
        }
    }
    serde_json::from_str::<serde_json::Value>(&read("docs/monitoring/dashboard.json")).unwrap();
}

#[test]
#[cfg_attr(not(have_promtool), ignore = "promtool is not on the PATH")]
fn the_alerts_say_what_they_should_and_nothing_when_all_is_well() {
    for arguments in [["check", "rules", "portcullis.rules.yaml"], ["test", "rules", "portcullis.rules.test.yaml"]] {
        let said = Command::new("promtool").current_dir(root("docs/monitoring")).args(arguments).output().unwrap();
        let told = [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(said.status.success(), "{}\n{}", told[0], told[1]);
    }
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let mut sources = String::new();
    for folder in ["tests/it", "src"] {
        gather(&root(folder), "rs", &mut |path| sources += &fs::read_to_string(path).unwrap());
    }
    let page = read("docs/threat-model.md");
    let cells = page.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2);
    let mut named = 0;
    for name in cells.filter_map(|row| row.rsplit(" | ").next()).flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let there = match name.strip_prefix("make ") {
            Some(target) => read("Makefile").contains(&format!("\n{target}:")),
            None if name.contains('/') => root(name).exists(),
            None => sources.contains(&format!("fn {name}()")),
        };
        assert!(there, "{name}");
        named += 1;
    }
    assert!(named > 50, "{named}");
}

#[test]
fn links_between_the_papers_lead_somewhere() {
    let mut pages = vec![root("README.md"), root("k8s/README.md")];
    gather(&root("docs"), "md", &mut |path| pages.push(path.to_owned()));
    let mut wrong = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let lacks_anchor =
                || !anchor.is_empty() && !anchors(&fs::read_to_string(&target).unwrap()).contains(anchor);
            if !target.exists() || lacks_anchor() {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// As GitHub makes them of headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings =
        page.lines().filter_map(|line| line.strip_prefix('#').map(|line| line.trim_start_matches('#').trim()));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings.map(|line| line.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

fn gather(folder: &Path, extension: &str, found: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, extension, found);
        } else if path.extension().is_some_and(|end| end == extension) {
            found(&path);
        }
    }
}
