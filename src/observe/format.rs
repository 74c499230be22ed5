//! What a line of the log looks like.
//!
//! Guarantees: an event becomes one line, whatever its fields hold; in JSON it has `timestamp`, `level`, the event's own
//! fields in their order, `target`.
//! Does not know: where lines go, and which events become one.

use std::fmt::{self, Write};

use jiff::tz::Offset;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::token::Timestamp;

use super::escape;

const TARGET: &str = module_path!();
/// What most lines fit in.
const ORDINARY_LINE: usize = 512;

const PLAIN: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const ITALIC: &str = "\x1b[3m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[34m";
const PURPLE: &str = "\x1b[35m";

/// The form of all lines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Json,
    Text { colour: bool },
}

/// An event as a line, its end included.
pub(super) fn line(form: Form, event: &Event<'_>, now: Timestamp) -> String {
    let metadata = event.metadata();
    let mut line = Line::open(form, *metadata.level(), now);
    event.record(&mut line);
    line.close(metadata.target())
}

/// The line about lines that are missing.
pub(super) fn lost(form: Form, lines: u64, now: Timestamp) -> String {
    let mut line = Line::open(form, Level::WARN, now);
    line.text("message", "lines of the log were lost: its reader is too slow, or a write has failed");
    line.number("lines", lines);
    line.close(TARGET)
}

/// A line in the making.
struct Line {
    form: Form,
    line: String,
}

impl Line {
    fn open(form: Form, level: Level, now: Timestamp) -> Self {
        let mut line = Self { form, line: String::with_capacity(ORDINARY_LINE) };
        match form {
            Form::Json => {
                line.put("{\"timestamp\":\"");
                line.moment(now);
                line.put("\",\"level\":\"");
                line.put(level.as_str());
                line.put("\"");
            }
            Form::Text { .. } => {
                line.colour(DIM);
                line.moment(now);
                line.colour(PLAIN);
                line.put(if level.as_str().len() < 5 { "  " } else { " " });
                line.colour(match level {
                    Level::ERROR => RED,
                    Level::WARN => YELLOW,
                    Level::INFO => GREEN,
                    Level::DEBUG => BLUE,
                    Level::TRACE => PURPLE,
                });
                line.put(level.as_str());
                line.colour(PLAIN);
            }
        }
        line
    }

    fn close(mut self, target: &str) -> String {
        if let Form::Json = self.form {
            self.put(",\"target\":\"");
            self.put(target);
            self.put("\"}");
        }
        self.put("\n");
        self.line
    }

    /// Begins a field. Names stand in the source, as targets do, so they need no escaping.
    fn name(&mut self, name: &str) {
        match self.form {
            Form::Json => {
                self.put(",\"");
                self.put(name);
                self.put("\":");
            }
            Form::Text { .. } if name == "message" => self.put(" "),
            Form::Text { .. } => {
                self.put(" ");
                self.colour(ITALIC);
                self.put(name);
                self.colour(PLAIN);
                self.colour(DIM);
                self.put("=");
                self.colour(PLAIN);
            }
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        match self.form {
            Form::Text { .. } if name == "message" => escape::bare(&mut self.line, value),
            _ => escape::quoted(&mut self.line, value),
        }
    }

    fn number(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        // Nothing in it is to be escaped, and a string takes everything.
        let _ = write!(self.line, "{value}");
    }

    fn moment(&mut self, moment: Timestamp) {
        // Digits and signs: nothing but ASCII.
        self.put(str::from_utf8(&rfc3339(moment)).unwrap_or_default());
    }

    fn put(&mut self, text: &str) {
        self.line.push_str(text);
    }

    fn colour(&mut self, colour: &str) {
        if let Form::Text { colour: true } = self.form {
            self.put(colour);
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field.name(), value);
    }

    /// All that has a `Display` or a `Debug`, and the message.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field.name());
        match self.form {
            Form::Json => escape::quoted_form(&mut self.line, format_args!("{value:?}")),
            Form::Text { .. } => escape::bare_form(&mut self.line, format_args!("{value:?}")),
        }
    }
}

/// UTC with microseconds, such as `2026-11-22T12:46:37.840676Z`.
fn rfc3339(now: Timestamp) -> [u8; 27] {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let date = Offset::UTC.to_datetime(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX));
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    // Years are between 1970 and 9999, the other parts are positive by nature.
    digits(&mut text[0..4], date.year().unsigned_abs().into());
    digits(&mut text[5..7], date.month().unsigned_abs().into());
    digits(&mut text[8..10], date.day().unsigned_abs().into());
    digits(&mut text[11..13], date.hour().unsigned_abs().into());
    digits(&mut text[14..16], date.minute().unsigned_abs().into());
    digits(&mut text[17..19], date.second().unsigned_abs().into());
    digits(&mut text[20..26], now.as_micros() % 1_000_000);
    text
}

/// Fills `place` with the last digits of `value`.
fn digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{error, info, subscriber, trace, warn};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
    use tracing_subscriber::registry;

    use super::*;

    /// 2026-11-22T12:46:37.840676Z
    const NOW: Timestamp = Timestamp::from_micros(1_795_351_597_840_676);

    struct Kept(Form, Arc<Mutex<String>>);

    impl<S: tracing::Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.1.lock().unwrap() += &line(self.0, event, NOW);
        }
    }

    /// What is logged within `told`.
    fn logged(form: Form, told: impl FnOnce()) -> String {
        let kept = Arc::new(Mutex::new(String::new()));
        subscriber::with_default(registry().with(Kept(form, Arc::clone(&kept))), told);
        std::mem::take(&mut *kept.lock().unwrap())
    }

    fn request() {
        let (method, peer) = (http::Method::GET, std::net::Ipv4Addr::LOCALHOST);
        info!(target: "portcullis::access", request_id = "56076f69cadd68d7", %method, path = "/a\u{1b}\"\n", status = 403_u16,
            %peer, "request");
    }

    #[test]
    fn in_json_fields_keep_their_order() {
        assert_eq!(
            logged(Form::Json, request),
            "{\"timestamp\":\"2026-11-22T12:46:37.840676Z\",\"level\":\"INFO\",\"message\":\"request\",\
             \"request_id\":\"56076f69cadd68d7\",\"method\":\"GET\",\"path\":\"/a\\u001b\\\"\\n\",\"status\":403,\
             \"peer\":\"127.0.0.1\",\"target\":\"portcullis::access\"}\n"
        );
    }

    #[test]
    fn in_text_the_message_comes_first() {
        assert_eq!(
            logged(Form::Text { colour: false }, request),
            "2026-11-22T12:46:37.840676Z  INFO request request_id=\"56076f69cadd68d7\" method=GET \
             path=\"/a\\u001b\\\"\\n\" status=403 peer=127.0.0.1\n"
        );
    }

    #[test]
    fn on_a_terminal_levels_have_colours() {
        let line = logged(Form::Text { colour: true }, || error!(open = 2, "cut"));
        assert_eq!(
            line,
            "\x1b[2m2026-11-22T12:46:37.840676Z\x1b[0m \x1b[31mERROR\x1b[0m cut \x1b[3mopen\x1b[0m\x1b[2m=\x1b[0m2\n"
        );
    }

    #[test]
    fn values_keep_their_kind() {
        let lines =
            logged(Form::Json, || warn!(whole = -7, yes = true, large = u64::MAX, debug = ?Some("x\n"), "{}", 1));
        assert!(lines.contains(r#""message":"1","whole":-7,"yes":true,"large":18446744073709551615"#), "{lines}");
        let read: serde_json::Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(read["debug"], "Some(\"x\\n\")");
    }

    #[test]
    fn nothing_in_a_value_or_message_begins_another_line_or_colours_a_terminal() {
        let evil = "a\r\n2026 ERROR forged\u{1b}[31m\u{9b}31m\u{2028}\"}";
        for form in [Form::Json, Form::Text { colour: false }] {
            for line in [
                logged(form, || info!(text = evil, "request")),
                logged(form, || info!(text = %evil, "request")),
                logged(form, || info!(text = ?evil, "request")),
                logged(form, || info!("{evil}")),
                logged(form, || info!(message = evil)),
                logged(form, || trace!(error = &fmt::Error as &dyn std::error::Error, "{evil}")),
            ] {
                let (body, end) = line.split_at(line.len() - 1);
                assert_eq!(end, "\n");
                assert!(!body.contains(|c: char| c.is_control() || c == '\u{2028}'), "{line:?}");
                assert!(matches!(form, Form::Text { .. }) || serde_json::from_str::<serde_json::Value>(body).is_ok());
            }
        }
    }

    #[test]
    fn the_line_about_lost_lines_is_one_like_all_others() {
        let line = lost(Form::Json, 12, NOW);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["level"], &read["lines"]), (&"WARN".into(), &12.into()));
        assert!(line.ends_with("}\n"));
    }

    #[test]
    fn moments_are_written_as_rfc_3339_wants() {
        #[track_caller]
        fn check(micros: u64, written: &str) {
            assert_eq!(str::from_utf8(&rfc3339(Timestamp::from_micros(micros))).unwrap(), written);
        }
        check(0, "1970-01-01T00:00:00.000000Z");
        check(951_827_696_000_001, "2000-02-29T12:34:56.000001Z");
        check(1_795_351_597_840_676, "2026-11-22T12:46:37.840676Z");
        check(4_102_444_799_999_999, "2099-12-31T23:59:59.999999Z");
        check(u64::MAX, "9999-12-30T22:00:00.551615Z");
    }
}
