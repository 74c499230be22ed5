//! All numbers as text.
//!
//! Guarantees: every name is the gate's own (`portcullis_`), the vendor's (`sms_auth_jwt_`, so that the board of SMSGate
//! shows this gate too) or a process's (`process_`), with a help text and a type; what is not zero is there, and the rest
//! need not be.
//! Does not know: where the numbers come from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::events::{Event, Step};
use super::histogram::{Histogram, Observed};
use super::tally::{Count, Tally};
use super::{Decision, Kind, Metrics, Read, Reading, process};

/// Of what [`Metrics::text`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Metrics {
    /// All there is, as the text format 0.0.4 has it.
    pub fn text(self: &Arc<Self>) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register_collector(Box::new(Arc::clone(self)));
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &registry);
        classic(&text)
    }
}

/// OpenMetrics names a counter without the `_total` of its samples, which readers of the older format, `promtool check
/// metrics` among them, take for a name without help and type; that format has no end mark either.
fn classic(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 1024);
    let counters: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        match described.and_then(|rest| rest.split_once(' ')) {
            Some((name, rest)) if counters.contains(&name) => {
                let mark = &line[..7];
                written.extend([mark, name, "_total ", rest, "\n"]);
            }
            _ => written.extend([line, "\n"]),
        }
    }
    written
}

type Written = Result<(), fmt::Error>;

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder) -> Written {
        let mut page = Page(encoder);
        self.write_build(&mut page)?;
        self.write_requests(&mut page)?;
        self.write_connections(&mut page)?;
        self.write_tokens(&mut page)?;
        self.write_reloads(&mut page)?;
        self.write_vendors(&mut page)?;
        for reading in self.readings.get().into_iter().flatten() {
            write_reading(&mut page, reading)?;
        }
        for (name, help, kind, value) in process::numbers() {
            write(&mut page.family(name, help, kind)?, kind, value)?;
        }
        Ok(())
    }
}

impl Metrics {
    fn write_build(&self, page: &mut Page<'_>) -> Written {
        let mut family = page.family("portcullis_build_info", "The version that runs", Kind::Gauge)?;
        family.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?.encode_gauge(&1u64)
    }

    fn write_requests(&self, page: &mut Page<'_>) -> Written {
        let names = self.rules.load();
        let names: Vec<_> = names.iter().collect();
        let name = |index: usize| names.get(index).copied().unwrap_or_default();
        let (mut requests, mut refusals) = (BTreeMap::new(), BTreeMap::new());
        let mut upstream: Vec<_> = names.iter().map(|_| Observed::default()).collect();
        for tally in &*self.workers() {
            for ((rule, decision, status), count) in tally.requests() {
                *requests.entry((rule, decision as usize, status)).or_insert(0) += count;
            }
            for (key, count) in &*tally.refusals() {
                *refusals.entry(*key).or_insert(0) += count;
            }
            for (observed, histogram) in upstream.iter_mut().zip(tally.upstream()) {
                observed.add(histogram);
            }
        }
        let help = "Requests answered, by the route rule they met, what became of them and the status";
        let mut family = page.family("portcullis_requests", help, Kind::Counter)?;
        for ((rule, decision, status), count) in &requests {
            let labels = [
                ("rule", name(*rule).to_owned()),
                ("decision", Decision::ALL[*decision].name().to_owned()),
                ("code", status.to_string()),
            ];
            counter(&mut family.encode_family(&labels)?, *count)?;
        }
        let help = "Requests refused by the gate, by the route rule and the reason that the log names";
        let mut family = page.family("portcullis_refusals", help, Kind::Counter)?;
        for ((rule, reason), count) in &refusals {
            counter(&mut family.encode_family(&[("rule", name(*rule)), ("reason", reason)])?, *count)?;
        }
        let help = "From sending a request on to the head of the upstream's answer";
        let mut family = page.histogram("portcullis_upstream_answer_seconds", help)?;
        for (rule, observed) in upstream.iter().enumerate().filter(|(_, observed)| observed.count() > 0) {
            histogram(&mut family.encode_family(&[("rule", name(rule))])?, observed)?;
        }
        Ok(())
    }

    fn write_connections(&self, page: &mut Page<'_>) -> Written {
        let sum =
            |count: fn(&Tally) -> &Count| -> u64 { self.workers().iter().map(|tally| count(tally).value()).sum() };
        let (opened, closed) = (sum(|it| &it.connections_opened), sum(|it| &it.connections_closed));
        let mut family = page.family("portcullis_connections", "Connections of clients that are open", Kind::Gauge)?;
        family.encode_gauge(&opened.saturating_sub(closed))?;
        let help = "Connections of clients, by whether there was room for them";
        let mut family = page.family("portcullis_connections_accepted", help, Kind::Counter)?;
        let turned_away = sum(|it| &it.connections_turned_away);
        for (result, count) in [("served", opened), ("turned_away", turned_away)] {
            counter(&mut family.encode_family(&[("result", result)])?, count)?;
        }
        let help =
            "TLS handshakes with clients, by how far they came: what is begun and not done has failed, or is under way";
        let mut family = page.family("portcullis_tls_handshakes", help, Kind::Counter)?;
        for (stage, count) in [("begun", sum(|it| &it.handshakes_begun)), ("done", sum(|it| &it.handshakes_done))] {
            counter(&mut family.encode_family(&[("stage", stage)])?, count)?;
        }
        Ok(())
    }

    fn write_reloads(&self, page: &mut Page<'_>) -> Written {
        let help = "Readings of the configuration while running, by whether it took effect or the former one stays";
        let mut family = page.family("portcullis_config_reloads", help, Kind::Counter)?;
        let (succeeded, failed) = self.events.reloads();
        for (outcome, count) in [("success", succeeded), ("failure", failed)] {
            counter(&mut family.encode_family(&[("outcome", outcome)])?, count)?;
        }
        let help = "When the configuration last took effect, at the start or later, in seconds since 1970";
        let name = "portcullis_config_last_reload_success_timestamp_seconds";
        page.family(name, help, Kind::Gauge)?.encode_gauge(&self.events.configured_at())
    }

    fn write_tokens(&self, page: &mut Page<'_>) -> Written {
        let (known, verified) = self.tokens();
        let help = "Access tokens that were admitted, by whether they had been verified before";
        let mut family = page.family("portcullis_token_cache", help, Kind::Counter)?;
        for (result, count) in [("hit", known), ("miss", verified)] {
            counter(&mut family.encode_family(&[("result", result)])?, count)?;
        }
        let help = "What became of sessions, by the words of the audit trail";
        let mut family = page.family("portcullis_session_events", help, Kind::Counter)?;
        for event in Event::ALL {
            counter(&mut family.encode_family(&[("event", event.name())])?, self.events.counted(event))?;
        }
        Ok(())
    }

    /// What the server of SMSGate publishes about its tokens, by the same names.
    fn write_vendors(&self, page: &mut Page<'_>) -> Written {
        let (known, verified) = self.tokens();
        let refused = |reason: &str| reason.starts_with("token_") || reason == "session_ended";
        let of_worker = |refusals: &BTreeMap<(usize, &str), u64>| -> u64 {
            refusals.iter().filter(|((_, reason), _)| refused(reason)).map(|(_, count)| count).sum()
        };
        let refused: u64 = self.workers().iter().map(|tally| of_worker(&tally.refusals())).sum();
        let issued = self.events.outcomes(Step::Issuance);
        let revoked = self.events.outcomes(Step::Revocation);
        for (name, help, (success, error)) in [
            ("sms_auth_jwt_tokens_issued", "Total number of JWT tokens issued", issued),
            ("sms_auth_jwt_tokens_validated", "Total number of JWT tokens validated", (known + verified, refused)),
            ("sms_auth_jwt_tokens_revoked", "Total number of JWT tokens revoked", revoked),
        ] {
            let mut family = page.family(name, help, Kind::Counter)?;
            counter(&mut family.encode_family(&[("status", "success")])?, success)?;
            counter(&mut family.encode_family(&[("status", "error")])?, error)?;
        }
        for (name, help, took) in [
            (
                "sms_auth_jwt_issuance_duration_seconds",
                "JWT issuance duration in seconds",
                self.events.took(Step::Issuance),
            ),
            (
                "sms_auth_jwt_validation_duration_seconds",
                "JWT validation duration in seconds, of tokens that were not known from the last time",
                &self.events.verification,
            ),
            (
                "sms_auth_jwt_revocation_duration_seconds",
                "JWT revocation duration in seconds",
                self.events.took(Step::Revocation),
            ),
        ] {
            histogram(&mut page.histogram(name, help)?, &observed(took))?;
        }
        Ok(())
    }

    /// Those that were known, and those that were verified.
    fn tokens(&self) -> (u64, u64) {
        let sum = |(known, verified), tally: &Arc<Tally>| {
            (known + tally.tokens_known.value(), verified + tally.tokens_verified.value())
        };
        self.workers().iter().fold((0, 0), sum)
    }
}

fn write_reading(page: &mut Page<'_>, Reading { name, help, read }: &Reading) -> Written {
    match read {
        Read::One(kind, read) => match read() {
            Some(value) => write(&mut page.family(name, help, *kind)?, *kind, value),
            None => Ok(()),
        },
        Read::Several(kind, label, read) => {
            let mut family = page.family(name, help, *kind)?;
            read()
                .into_iter()
                .try_for_each(|(value, number)| write(&mut family.encode_family(&[(*label, &*value)])?, *kind, number))
        }
        Read::Durations(read) => {
            let mut observed = Observed::default();
            read(&mut observed);
            histogram(&mut page.histogram(name, help)?, &observed)
        }
    }
}

/// A text that is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn family<'a>(&'a mut self, name: &'a str, help: &'a str, kind: Kind) -> Result<MetricEncoder<'a>, fmt::Error> {
        let kind = match kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn histogram<'a>(&'a mut self, name: &'a str, help: &'a str) -> Result<MetricEncoder<'a>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Histogram)
    }
}

fn write(metric: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> Written {
    match kind {
        Kind::Counter => metric.encode_counter::<NoLabelSet, f64, u64>(&value, None),
        Kind::Gauge => metric.encode_gauge(&value),
    }
}

fn counter(metric: &mut MetricEncoder<'_>, count: u64) -> Written {
    metric.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

fn histogram(metric: &mut MetricEncoder<'_>, observed: &Observed) -> Written {
    metric.encode_histogram::<NoLabelSet>(observed.seconds(), observed.count(), &observed.buckets(), None)
}

fn observed(histogram: &Histogram) -> Observed {
    let mut observed = Observed::default();
    observed.add(histogram);
    observed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::super::{Reading, RuleNames, RuleNumber};
    use super::*;

    fn busy() -> Arc<Metrics> {
        let metrics = Arc::new(Metrics::default());
        let mut names = RuleNames::default();
        let rule = names.number("GET /messages/{id}");
        metrics.name_rules(names);
        for _ in 0..2 {
            let tally = metrics.tally();
            tally.request(rule, Decision::Forwarded, StatusCode::OK);
            tally.upstream_answered(rule, Duration::from_millis(2));
            tally.request(RuleNumber::NONE, Decision::Refused, StatusCode::UNAUTHORIZED);
            tally.refusal(RuleNumber::NONE, "token_expired");
            tally.tokens_known.add(1);
        }
        metrics.events.count(Event::Reuse);
        metrics.events.step(Step::Issuance, true, Duration::from_millis(1));
        metrics.read_from(vec![
            Reading::gauge("portcullis_sessions", "Sessions that live", || Some(3.0)),
            Reading::gauges("portcullis_keys", "Keys by what they do", "state", || vec![("current".into(), 1.0)]),
        ]);
        metrics
    }

    #[track_caller]
    fn holds(text: &str, line: &str) {
        assert!(text.lines().any(|written| written == line), "no {line:?} in\n{text}");
    }

    #[test]
    fn what_several_workers_count_is_one_number() {
        let text = busy().text();
        holds(&text, r#"portcullis_requests_total{rule="GET /messages/{id}",decision="forwarded",code="200"} 2"#);
        holds(&text, r#"portcullis_requests_total{rule="",decision="refused",code="401"} 2"#);
        holds(&text, r#"portcullis_refusals_total{rule="",reason="token_expired"} 2"#);
        holds(&text, r#"portcullis_upstream_answer_seconds_count{rule="GET /messages/{id}"} 2"#);
        holds(&text, r#"portcullis_token_cache_total{result="hit"} 2"#);
        holds(&text, r#"portcullis_session_events_total{event="reuse"} 1"#);
    }

    #[test]
    fn the_vendors_board_finds_its_names() {
        let text = busy().text();
        holds(&text, r#"sms_auth_jwt_tokens_issued_total{status="success"} 1"#);
        holds(&text, r#"sms_auth_jwt_tokens_validated_total{status="success"} 2"#);
        holds(&text, r#"sms_auth_jwt_tokens_validated_total{status="error"} 2"#);
        holds(&text, "sms_auth_jwt_issuance_duration_seconds_count 1");
    }

    #[test]
    fn what_stands_somewhere_is_asked_for() {
        let text = busy().text();
        holds(&text, "portcullis_sessions 3.0");
        holds(&text, r#"portcullis_keys{state="current"} 1.0"#);
    }

    #[test]
    fn counters_are_described_by_the_names_of_their_samples() {
        let text = busy().text();
        holds(&text, "# TYPE portcullis_requests_total counter");
        assert!(!text.contains("# EOF") && !text.contains("# TYPE portcullis_requests counter"));
    }
}
