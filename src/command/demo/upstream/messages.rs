//! The messages of the sample upstream, in the JSON shapes that SMSGate's official clients read.
//!
//! Guarantees: at most [`MOST`] messages are remembered, the oldest goes first; nobody sees another's.
//! Does not know: HTTP, and the texts that were sent: they are not kept.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many messages are remembered, over all owners.
const MOST: usize = 1000;
/// How many numbers one message may go to.
const MOST_NUMBERS: usize = 100;
/// The longest id, device id or phone number, in bytes.
const LONGEST: usize = 128;
/// How many messages a list shows if its query does not say.
const LIST: usize = 50;

/// Why a message was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("a message with this id exists")]
    Duplicate,
}

/// What a client sends; fields that make no difference here are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Draft {
    id: Option<String>,
    device_id: Option<String>,
    phone_numbers: Vec<String>,
}

/// Which messages a list shows.
#[derive(Default)]
pub(super) struct Filter<'a> {
    pub(super) state: Option<&'a str>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Pending,
    Cancelled,
    Sent,
    Delivered,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Cancelled => "Cancelled",
            Self::Sent => "Sent",
            Self::Delivered => "Delivered",
        }
    }
}

struct Message {
    id: String,
    owner: String,
    device: String,
    numbers: Vec<String>,
    /// Each state that was reached, and when; never empty.
    reached: Vec<(State, Timestamp)>,
}

impl Message {
    fn state(&self) -> State {
        self.reached.last().map_or(State::Pending, |(state, _)| *state)
    }

    fn json(&self) -> Value {
        let state = self.state().name();
        let recipients = self.numbers.iter().map(|number| json!({"phoneNumber": number, "state": state}));
        let states = self.reached.iter().map(|(state, at)| (state.name().to_owned(), json!(at.to_string())));
        json!({
            "id": self.id,
            "deviceId": self.device,
            "state": state,
            "isHashed": false,
            "isEncrypted": false,
            "recipients": recipients.collect::<Value>(),
            "states": states.collect::<serde_json::Map<_, _>>(),
        })
    }
}

#[derive(Default)]
pub(super) struct Messages(VecDeque<Message>);

impl Messages {
    /// Takes a message for sending and answers its id and shape. `fresh_id` and `device` stand in where the draft
    /// names none.
    pub(super) fn take(
        &mut self,
        owner: &str,
        draft: Draft,
        fresh_id: String,
        device: &str,
        now: Timestamp,
    ) -> Result<(String, Value), NotTaken> {
        let id = draft.id.filter(|id| !id.is_empty()).unwrap_or(fresh_id);
        let device = draft.device_id.unwrap_or_else(|| device.to_owned());
        if draft.phone_numbers.is_empty() || draft.phone_numbers.len() > MOST_NUMBERS {
            return Err(NotTaken::Invalid("phoneNumbers: 1 to 100 are required"));
        }
        let long = |text: &String| text.len() > LONGEST;
        if long(&id) || long(&device) || draft.phone_numbers.iter().any(long) {
            return Err(NotTaken::Invalid("ids and phone numbers have at most 128 characters"));
        }
        if self.find(owner, &id).is_some() {
            return Err(NotTaken::Duplicate);
        }
        let message = Message {
            id: id.clone(),
            owner: owner.to_owned(),
            device,
            numbers: draft.phone_numbers,
            reached: vec![(State::Pending, now)],
        };
        let shape = message.json();
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(message);
        Ok((id, shape))
    }

    /// Looks at a message. Every look moves it on: to Sent, then to Delivered.
    pub(super) fn look(&mut self, owner: &str, id: &str, now: Timestamp) -> Option<Value> {
        let message = self.find(owner, id)?;
        match message.state() {
            State::Pending => message.reached.push((State::Sent, now)),
            State::Sent => message.reached.push((State::Delivered, now)),
            State::Cancelled | State::Delivered => {}
        }
        Some(message.json())
    }

    /// Cancels a message that is still pending; any other stays as it is.
    pub(super) fn cancel(&mut self, owner: &str, id: &str, now: Timestamp) -> Option<Value> {
        let message = self.find(owner, id)?;
        if message.state() == State::Pending {
            message.reached.push((State::Cancelled, now));
        }
        Some(message.json())
    }

    /// The owner's messages, newest first: one page of them, and how many there are in all.
    pub(super) fn list(&self, owner: &str, filter: &Filter<'_>) -> (Value, usize) {
        let fits = |message: &Message| {
            message.owner == owner && filter.state.is_none_or(|state| message.state().name() == state)
        };
        let chosen: Vec<_> = self.0.iter().rev().filter(|message| fits(message)).collect();
        let page = chosen.iter().skip(filter.offset).take(filter.limit.unwrap_or(LIST));
        (page.map(|message| message.json()).collect(), chosen.len())
    }

    /// What waits for a device to send it.
    pub(super) fn waiting(&self, device: &str) -> Value {
        let waits = |message: &&Message| message.device == device && message.state() == State::Pending;
        let shape = |message: &Message| json!({"id": message.id, "phoneNumbers": message.numbers});
        self.0.iter().filter(waits).map(shape).collect()
    }

    fn find(&mut self, owner: &str, id: &str) -> Option<&mut Message> {
        self.0.iter_mut().find(|message| message.owner == owner && message.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn draft(json: Value) -> Draft {
        serde_json::from_value(json).unwrap()
    }

    fn with(ids: &[&str]) -> Messages {
        let mut messages = Messages::default();
        for id in ids {
            messages.take("ada", draft(json!({"phoneNumbers": ["+1"]})), (*id).to_owned(), "phone", NOW).unwrap();
        }
        messages
    }

    #[test]
    fn a_message_is_pending_then_sent_then_delivered() {
        let mut messages = with(&["m1"]);
        let states: Vec<_> = (0..3).map(|_| messages.look("ada", "m1", NOW).unwrap()["state"].clone()).collect();
        assert_eq!(states, ["Sent", "Delivered", "Delivered"]);
        let shape = messages.look("ada", "m1", NOW).unwrap();
        assert_eq!(shape["recipients"], json!([{"phoneNumber": "+1", "state": "Delivered"}]));
        assert_eq!(shape["states"]["Pending"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn another_owner_sees_nothing() {
        let mut messages = with(&["m1"]);
        assert!(messages.look("eve", "m1", NOW).is_none());
        assert!(messages.cancel("eve", "m1", NOW).is_none());
        assert_eq!(messages.list("eve", &Filter::default()), (json!([]), 0));
    }

    #[test]
    fn only_a_pending_message_is_cancelled() {
        let mut messages = with(&["m1", "m2"]);
        assert_eq!(messages.cancel("ada", "m1", NOW).unwrap()["state"], "Cancelled");
        messages.look("ada", "m2", NOW);
        assert_eq!(messages.cancel("ada", "m2", NOW).unwrap()["state"], "Sent");
    }

    #[test]
    fn a_list_is_newest_first_and_counts_what_it_does_not_show() {
        let mut messages = with(&["m1", "m2", "m3"]);
        messages.cancel("ada", "m2", NOW);
        let (page, total) = messages.list("ada", &Filter { limit: Some(1), offset: 1, ..Filter::default() });
        assert_eq!((page[0]["id"].as_str(), total), (Some("m2"), 3));
        let (page, total) = messages.list("ada", &Filter { state: Some("Pending"), ..Filter::default() });
        assert_eq!((page.as_array().map(Vec::len), total), (Some(2), 2));
    }

    #[test]
    fn what_cannot_be_sent_is_not_taken() {
        #[track_caller]
        fn check(json: Value, expected: &NotTaken) {
            let got = with(&["m1"]).take("ada", draft(json), "m2".to_owned(), "phone", NOW);
            assert_eq!(got.map(|_| ()).as_ref(), Err(expected));
        }
        check(json!({"phoneNumbers": []}), &NotTaken::Invalid("phoneNumbers: 1 to 100 are required"));
        check(json!({"phoneNumbers": vec!["+1"; 101]}), &NotTaken::Invalid("phoneNumbers: 1 to 100 are required"));
        let long = NotTaken::Invalid("ids and phone numbers have at most 128 characters");
        check(json!({"phoneNumbers": ["1".repeat(129)]}), &long);
        check(json!({"phoneNumbers": ["+1"], "id": "i".repeat(129)}), &long);
        check(json!({"phoneNumbers": ["+1"], "id": "m1"}), &NotTaken::Duplicate);
    }

    #[test]
    fn the_oldest_message_makes_room() {
        let ids: Vec<String> = (0..=MOST).map(|i| i.to_string()).collect();
        let mut messages = with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(messages.look("ada", "0", NOW).is_none());
        assert_eq!(messages.list("ada", &Filter::default()).1, MOST);
    }
}
