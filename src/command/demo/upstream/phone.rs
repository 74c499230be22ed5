//! What the sample upstream remembers beside messages: devices, webhooks, settings.
//!
//! Guarantees: every collection is bounded, the oldest entry goes first; of a device's token only a hash is kept; there
//! is always a device, because the sample's own phone registers again when it was deleted.
//! Does not know: HTTP, who may call.

use std::collections::VecDeque;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How many devices, and how many webhooks, are remembered.
const MOST: usize = 256;
/// The longest id, name, URL or event, in bytes.
const LONGEST: usize = 2048;
/// How many bytes all settings may have together.
const MOST_SETTINGS: usize = 16 * 1024;

struct Device {
    id: String,
    name: String,
    /// SHA-256 of its token. The sample's own phone has none: it never calls.
    token: Option<Vec<u8>>,
    since: Timestamp,
}

impl Device {
    fn json(&self, now: Timestamp) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "createdAt": self.since.to_string(),
            "updatedAt": self.since.to_string(),
            "lastSeen": now.to_string(),
            "deletedAt": null,
        })
    }
}

/// A webhook as a client writes it.
#[derive(Deserialize)]
pub(super) struct Hook {
    id: Option<String>,
    url: String,
    event: String,
    #[serde(rename = "deviceId")]
    device: Option<String>,
}

struct Webhook {
    owner: String,
    id: String,
    shape: Value,
}

pub(super) struct Phone {
    devices: VecDeque<Device>,
    webhooks: VecDeque<Webhook>,
    settings: Map<String, Value>,
}

impl Phone {
    pub(super) fn new() -> Self {
        let messages = json!({"limit_period": "Disabled", "limit_value": 0, "log_lifetime_days": 30});
        let settings = Map::from_iter([("messages".to_owned(), messages)]);
        Self { devices: VecDeque::new(), webhooks: VecDeque::new(), settings }
    }

    /// The device that sends a message which names none.
    pub(super) fn first_device(&mut self, fresh_id: String, now: Timestamp) -> &str {
        if self.devices.is_empty() {
            let name = "sample phone".to_owned();
            self.devices.push_back(Device { id: fresh_id, name, token: None, since: now });
        }
        &self.devices[0].id
    }

    pub(super) fn devices(&self, now: Timestamp) -> Value {
        self.devices.iter().map(|device| device.json(now)).collect()
    }

    pub(super) fn register(&mut self, id: String, name: &str, token: &str, now: Timestamp) {
        let name = name.chars().take(100).collect();
        push(&mut self.devices, Device { id, name, token: Some(hash(token)), since: now });
    }

    /// The id and the shape of the device that presents `token`.
    pub(super) fn device_of(&self, token: &str, now: Timestamp) -> Option<(String, Value)> {
        let presented = hash(token);
        let device = self.devices.iter().find(|device| device.token.as_ref() == Some(&presented))?;
        Some((device.id.clone(), device.json(now)))
    }

    pub(super) fn forget_device(&mut self, id: &str) {
        self.devices.retain(|device| device.id != id);
    }

    pub(super) fn webhooks(&self, owner: &str) -> Value {
        self.webhooks.iter().filter(|hook| hook.owner == owner).map(|hook| hook.shape.clone()).collect()
    }

    /// Sets a webhook, in place of the owner's one with the same id. `None` if a field is too long or no web address.
    pub(super) fn hook(&mut self, owner: &str, hook: Hook, fresh_id: String) -> Option<Value> {
        let id = hook.id.filter(|id| !id.is_empty()).unwrap_or(fresh_id);
        let texts = [Some(&id), Some(&hook.url), Some(&hook.event), hook.device.as_ref()];
        if texts.into_iter().flatten().any(|text| text.len() > LONGEST) || !hook.url.starts_with("http") {
            return None;
        }
        let shape = json!({"id": id, "url": hook.url, "event": hook.event, "deviceId": hook.device});
        self.unhook(owner, &id);
        push(&mut self.webhooks, Webhook { owner: owner.to_owned(), id, shape: shape.clone() });
        Some(shape)
    }

    pub(super) fn unhook(&mut self, owner: &str, id: &str) {
        self.webhooks.retain(|hook| hook.owner != owner || hook.id != id);
    }

    pub(super) fn settings(&self) -> Value {
        Value::Object(self.settings.clone())
    }

    /// Puts `sections` in place of all settings, or, if they are to be `merged`, into them, key by key. `None` if a
    /// section is not an object or the settings would grow too large.
    pub(super) fn set(&mut self, sections: Map<String, Value>, merged: bool) -> Option<Value> {
        let mut settings = if merged { self.settings.clone() } else { Map::new() };
        for (name, section) in sections {
            let Value::Object(section) = section else { return None };
            match settings.get_mut(&name) {
                Some(Value::Object(known)) => known.extend(section),
                _ => {
                    settings.insert(name, Value::Object(section));
                }
            }
        }
        let settings = Value::Object(settings);
        if settings.to_string().len() > MOST_SETTINGS {
            return None;
        }
        self.settings = settings.as_object().cloned()?;
        Some(settings)
    }
}

fn hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

fn push<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == MOST {
        list.pop_front();
    }
    list.push_back(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn hook(json: Value) -> Option<Value> {
        Phone::new().hook("ada", serde_json::from_value(json).unwrap(), "w1".to_owned())
    }

    #[test]
    fn a_deleted_phone_registers_again() {
        let mut phone = Phone::new();
        assert_eq!(phone.first_device("p1".to_owned(), NOW), "p1");
        assert_eq!(phone.first_device("p2".to_owned(), NOW), "p1");
        phone.forget_device("p1");
        assert_eq!(phone.first_device("p2".to_owned(), NOW), "p2");
    }

    #[test]
    fn a_device_is_known_by_its_token_alone() {
        let mut phone = Phone::new();
        phone.first_device("p1".to_owned(), NOW);
        phone.register("d1".to_owned(), "Pixel", "secret", NOW);
        assert_eq!(phone.device_of("secret", NOW).unwrap().0, "d1");
        assert!(phone.device_of("other", NOW).is_none());
        assert!(phone.device_of("", NOW).is_none());
    }

    #[test]
    fn a_webhook_without_id_gets_one_and_is_echoed() {
        let set = hook(json!({"id": null, "url": "https://a.example", "event": "sms:sent"})).unwrap();
        assert_eq!(set, json!({"id": "w1", "url": "https://a.example", "event": "sms:sent", "deviceId": null}));
        assert_eq!(hook(json!({"url": "ftp://a.example", "event": "sms:sent"})), None);
        assert_eq!(hook(json!({"url": "https://a.example", "event": "e".repeat(LONGEST + 1)})), None);
    }

    #[test]
    fn a_webhook_with_a_known_id_is_replaced_and_belongs_to_its_owner() {
        let mut phone = Phone::new();
        for url in ["https://a.example", "https://b.example"] {
            let hook = serde_json::from_value(json!({"id": "w", "url": url, "event": "sms:sent"})).unwrap();
            phone.hook("ada", hook, String::new()).unwrap();
        }
        phone.unhook("eve", "w");
        assert_eq!(phone.webhooks("ada")[0]["url"], "https://b.example");
        assert_eq!(phone.webhooks("eve"), json!([]));
        phone.unhook("ada", "w");
        assert_eq!(phone.webhooks("ada"), json!([]));
    }

    #[test]
    fn settings_are_merged_or_replaced_and_stay_small() {
        let mut phone = Phone::new();
        let sections = |json: Value| json.as_object().unwrap().clone();
        let merged = phone.set(sections(json!({"messages": {"limit_value": 7}, "ping": {}})), true).unwrap();
        assert_eq!(merged["messages"]["log_lifetime_days"], 30);
        assert_eq!(merged["messages"]["limit_value"], 7);
        assert_eq!(phone.set(sections(json!({"ping": null})), true), None);
        assert_eq!(phone.set(sections(json!({"ping": {"x": "y".repeat(MOST_SETTINGS)}})), false), None);
        assert_eq!(phone.settings(), merged);
        assert_eq!(phone.set(sections(json!({"ping": {}})), false).unwrap(), json!({"ping": {}}));
    }
}
