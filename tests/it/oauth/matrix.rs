//! Every kind of token at every endpoint: what is of one dialect or client is nothing at another, and is none the worse.

use super::*;

/// A token of one kind, and what is left of it.
struct Kind {
    name: &'static str,
    token: String,
    access: bool,
}

struct World {
    gate: Gate,
    smsgate: Answer,
    form: Answer,
    web: Answer,
    phone: Answer,
    own: Answer,
}

fn world() -> World {
    let gate = gate(&[("profiles.form.enabled", "true")]);
    let fields = [("username", "alice"), ("password", "wonderland")];
    World {
        smsgate: gate.alice(&["messages:list"]),
        form: post(&gate, "/login", &fields).send().expect(200),
        web: alice(&gate, "web"),
        phone: alice(&gate, "phone"),
        own: own(&gate, "reports"),
        gate,
    }
}

impl World {
    fn kinds(&self) -> Vec<Kind> {
        let kind = |name, answer: &Answer, field, access| Kind { name, token: answer.field(field), access };
        vec![
            kind("smsgate access", &self.smsgate, "access_token", true),
            kind("smsgate refresh", &self.smsgate, "refresh_token", false),
            kind("form access", &self.form, "accessToken", true),
            kind("form refresh", &self.form, "refreshToken", false),
            kind("web access", &self.web, "access_token", true),
            kind("web refresh", &self.web, "refresh_token", false),
            kind("phone access", &self.phone, "access_token", true),
            kind("phone refresh", &self.phone, "refresh_token", false),
            kind("own access", &self.own, "access_token", true),
        ]
    }

    /// All of them still are what they were.
    #[track_caller]
    fn all_is_well(&self) {
        for kind in self.kinds().iter().filter(|kind| kind.access) {
            assert_eq!(self.gate.get(LIST).bearer(&kind.token).send().status, 200, "{}", kind.name);
        }
        self.gate.refresh(&self.smsgate.field("refresh_token")).expect(200);
        post(&self.gate, "/refresh", &[("refreshToken", &self.form.field("refreshToken"))]).send().expect(200);
        refresh(&self.gate, "web", &self.web).expect(200);
        refresh(&self.gate, "phone", &self.phone).expect(200);
    }
}

#[test]
fn no_refresh_endpoint_takes_anything_but_its_own() {
    let world = world();
    for kind in world.kinds() {
        if kind.name != "smsgate refresh" {
            let status = if kind.access { 403 } else { 401 };
            assert_eq!(world.gate.refresh(&kind.token).status, status, "{} at smsgate", kind.name);
        }
        if kind.name != "form refresh" {
            let answer = post(&world.gate, "/refresh", &[("refreshToken", &kind.token)]).send();
            assert_eq!(answer.status, 401, "{} at form", kind.name);
            // Nor is anything else signed out there.
            post(&world.gate, "/logout", &[("refreshToken", &kind.token)]).send().expect(200);
        }
        for client in ["web", "phone"] {
            if kind.name != format!("{client} refresh") {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", &*kind.token)];
                refused(token(&world.gate, client, &fields), 400, "invalid_grant");
            }
        }
    }
    world.all_is_well();
}

#[test]
fn no_client_revokes_anything_but_its_own() {
    let world = world();
    for kind in world.kinds() {
        for client in ["web", "phone", "guard", "reports"] {
            let its = kind.name.starts_with(client) || (client == "reports" && kind.name == "own access");
            if its {
                continue;
            }
            let answer = revoke(&world.gate, client, &kind.token);
            // A refresh token of smsgate has a form of its own, which is none here.
            match kind.name {
                "smsgate refresh" => drop(answer.expect(200)),
                _ => drop(refused(answer, 400, "invalid_grant")),
            }
        }
    }
    world.all_is_well();
}

#[test]
fn introspection_tells_of_access_tokens_and_of_own_refresh_tokens() {
    let world = world();
    for kind in world.kinds() {
        for client in ["web", "guard", "reports"] {
            let active = kind.access || kind.name == format!("{client} refresh");
            let told = introspect(&world.gate, client, &kind.token);
            assert_eq!(told["active"], active, "{} asked by {client}", kind.name);
        }
    }
    world.all_is_well();
}

#[test]
fn no_refresh_token_opens_a_route() {
    let world = world();
    for kind in world.kinds().iter().filter(|kind| !kind.access) {
        let status = if kind.name == "smsgate refresh" { 403 } else { 401 };
        assert_eq!(world.gate.get(LIST).bearer(&kind.token).send().status, status, "{}", kind.name);
    }
    world.all_is_well();
}
