//! The audit: which variants the upstream takes for a route, and what the gate makes of them.
//!
//! Guarantees: first all variants that could be disagreements, over all paths; then, if requests are left, those that the
//! gate holds off, which tell what the upstream is lenient about.
//! Does not know: how an answer is had, and how findings are shown.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

use http::Method;
use http::uri::PathAndQuery;

use crate::gateway::Foresight;

use super::judge::{Looser, looser};
use super::probe::{METHODS, Probe, Signature, Stop};
use super::variants::{beside, filled, variants};

/// What was found out.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) paths: usize,
    /// Paths that the upstream answers like paths that it does not have, so nothing can be said of their variants.
    pub(super) untold: Vec<String>,
    pub(super) kinds: BTreeMap<&'static str, Tally>,
    pub(super) disagreements: Vec<Disagreement>,
    /// What was not asked for, as the allowed requests were made, although the verdict depends on it.
    pub(super) left_out: usize,
    /// Variants that were not asked for either, but cannot be disagreements.
    pub(super) spared: usize,
}

/// Of the variants of one kind.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) asked: usize,
    /// Taken by the upstream for the path itself.
    pub(super) taken: usize,
    /// Of these, refused by the gate as ambiguous.
    pub(super) refused: usize,
    /// Of these, forwarded for less or for something else.
    pub(super) looser: usize,
}

pub(super) struct Disagreement {
    pub(super) kind: &'static str,
    pub(super) path: String,
    pub(super) variant: String,
    /// What the upstream gets to see of the variant.
    pub(super) forwarded: String,
    /// How the upstream was asked for both.
    pub(super) asked_with: Method,
    pub(super) answer: Signature,
    pub(super) looser: Looser,
}

/// A path that the upstream knows.
struct Subject {
    path: String,
    forwarded: PathAndQuery,
    asked_with: Method,
    answer: Signature,
    unknown: Vec<Signature>,
}

struct Variant<'a> {
    subject: &'a Subject,
    kind: &'static str,
    target: PathAndQuery,
    forwarded: PathAndQuery,
    standing: Standing,
}

enum Standing {
    Refused,
    AsStrict,
    Looser(Looser),
}

/// # Errors
/// When the upstream cannot be reached any more.
pub(super) async fn audit(foresight: &Foresight, rules: &[String], probe: &mut Probe) -> Result<Findings, Stop> {
    let mut findings = Findings::default();
    let subjects = subjects(foresight, rules, probe, &mut findings).await?;
    let mut all: Vec<_> = subjects.iter().flat_map(|subject| variants_of(foresight, subject)).collect();
    // Stable, so paths stay in the order of the rules.
    all.sort_by_key(|variant| !matches!(variant.standing, Standing::Looser(_)));
    for variant in all {
        match take(&variant, probe).await {
            Ok(taken) => count(variant, taken, &mut findings),
            Err(Stop::Spent) if matches!(variant.standing, Standing::Looser(_)) => findings.left_out += 1,
            Err(Stop::Spent) => findings.spared += 1,
            Err(stop) => return Err(stop),
        }
    }
    Ok(findings)
}

/// The paths of `rules` that the upstream tells from paths that it does not have.
async fn subjects(
    foresight: &Foresight,
    rules: &[String],
    probe: &mut Probe,
    findings: &mut Findings,
) -> Result<Vec<Subject>, Stop> {
    // Nobody has a route of this name, nor a cache an answer.
    let nonsense = format!("audit-{:x}", RandomState::new().build_hasher().finish());
    let (mut subjects, mut seen) = (Vec::new(), HashSet::new());
    for rule in rules {
        let path = filled(rule);
        if !seen.insert(path.clone()) {
            continue;
        }
        findings.paths += 1;
        let forwarded = |path: &str| foresight.forwarded(&path.parse().ok()?, path);
        let plain = forwarded(&path);
        let unknown: Vec<_> =
            [beside(rule, &nonsense), format!("/{nonsense}")].iter().filter_map(|path| forwarded(path)).collect();
        let told = match plain {
            Some(plain) => match tell(&path, plain, &unknown, probe).await {
                Err(Stop::Spent) => {
                    findings.left_out += 1;
                    None
                }
                told => told?,
            },
            None => None,
        };
        match told {
            Some(subject) => subjects.push(subject),
            None => findings.untold.push(path),
        }
    }
    Ok(subjects)
}

async fn tell(
    path: &str,
    plain: PathAndQuery,
    unknown: &[PathAndQuery],
    probe: &mut Probe,
) -> Result<Option<Subject>, Stop> {
    for method in METHODS {
        let Some(answer) = probe.ask(&method, &plain).await? else { continue };
        // Trouble of the moment says nothing of a route.
        if answer.status.is_server_error() || answer.status.as_u16() == 429 {
            continue;
        }
        let mut others = Vec::new();
        for target in unknown {
            others.extend(probe.ask(&method, target).await?);
        }
        if !others.is_empty() && !others.iter().any(|other| other.is_like(&answer)) {
            let (path, forwarded) = (path.to_owned(), plain);
            return Ok(Some(Subject { path, forwarded, asked_with: method, answer, unknown: others }));
        }
    }
    Ok(None)
}

/// Those that reach the upstream as the path itself are left out: there is nothing to ask.
fn variants_of<'a>(foresight: &Foresight, subject: &'a Subject) -> Vec<Variant<'a>> {
    let of = |(kind, text): (&'static str, String)| {
        let target: PathAndQuery = text.parse().ok()?;
        let (forwarded, standing) = match foresight.canonical(&target) {
            Ok(path) => {
                let standing = looser(foresight, &subject.path, &path).map_or(Standing::AsStrict, Standing::Looser);
                (foresight.forwarded(&target, &path)?, standing)
            }
            Err(_) => (foresight.forwarded(&target, target.path())?, Standing::Refused),
        };
        (forwarded != subject.forwarded).then_some(Variant { subject, kind, target, forwarded, standing })
    };
    variants(&subject.path).into_iter().filter_map(of).collect()
}

/// Whether the upstream takes it for the path itself.
async fn take(variant: &Variant<'_>, probe: &mut Probe) -> Result<bool, Stop> {
    let Subject { asked_with, answer, unknown, .. } = variant.subject;
    let got = probe.ask(asked_with, &variant.forwarded).await?;
    Ok(got.is_some_and(|got| got.is_like(answer) && !unknown.iter().any(|other| other.is_like(&got))))
}

fn count(variant: Variant<'_>, taken: bool, findings: &mut Findings) {
    let tally = findings.kinds.entry(variant.kind).or_default();
    tally.asked += 1;
    if !taken {
        return;
    }
    tally.taken += 1;
    match variant.standing {
        Standing::Refused => tally.refused += 1,
        Standing::AsStrict => {}
        Standing::Looser(looser) => {
            tally.looser += 1;
            findings.disagreements.push(Disagreement {
                kind: variant.kind,
                path: variant.subject.path.clone(),
                variant: variant.target.to_string(),
                forwarded: variant.forwarded.to_string(),
                asked_with: variant.subject.asked_with.clone(),
                answer: variant.subject.answer.clone(),
                looser,
            });
        }
    }
}
