//! Every kind of token at every endpoint: what each cell answers, and that a refusal leaves everything as it was.
//!
//! The cells are in [`table`], the rows in [`kinds`], the columns in [`places`]; what is in one of them and not in the
//! others fails.

mod carriers;
mod kinds;
mod places;
mod table;

use kinds::{Holder, Life};
use places::{Effect, PLACES, Place};
use serde_json::Value;
use table::Cell;

use crate::support::dialect::client;
use crate::support::{Answer, Dialect, Gate, Start, Upstream, user};

/// A gate, and how long what it hands out lives.
struct World {
    gate: Gate,
    /// The form dialect lays its tokens into cookies.
    cookies: bool,
    life: Life,
}

/// What can be told of a session and the one beside it.
#[derive(PartialEq)]
struct State {
    alive: bool,
    bystander: bool,
    told: Vec<Value>,
}

impl World {
    #[track_caller]
    fn new(life: Life, cookies: bool) -> Self {
        let routes = "[[route]]\npath = '/any'\naccess = 'authenticated'\n[[route]]\npath = '/admin'\nrole = 'admin'\n";
        let upstream = format!("http://{}", Upstream::start().address);
        let users = user("alice", "wonderland", &["all:any"], "roles = ['admin']");
        let start = Start::alone().set("upstream.url", &upstream).set("workers", "2").users(&users);
        let start = start.user("bob", "builder", &["messages:send"]).with_known_secret();
        // What is replaced is refused at once, and what has expired too.
        let start = start.set("token.access_overlap", "0s").set("token.leeway", "0s").set("store.fsync", "never");
        let start = Dialect::all(start, routes);
        let start = if cookies { Dialect::in_cookies(start) } else { start };
        let gate = life.settings().iter().fold(start, |start, (name, value)| start.set(name, value)).start();
        Self { gate, cookies, life }
    }

    /// The dialect of forms, as this gate speaks it.
    fn form(&self) -> Dialect {
        if self.cookies { Dialect::Cookie } else { Dialect::Form }
    }

    /// All that can be told of a holder's two sessions without changing them.
    #[track_caller]
    fn state(&self, holder: &Holder) -> State {
        let told = |id: &str, token: &str| {
            client(&self.gate, id, "/oauth/introspect", &[("token", token)]).send().expect(200).json()
        };
        let Some((name, password)) = holder.password() else {
            let told = told("guard", &holder.pair.access);
            return State { alive: told["active"] == true, bystander: true, told: vec![told] };
        };
        let listed = self.gate.get("/3rdparty/v1/auth/sessions").basic(name, password).send().expect(200).json();
        let ids = [holder.session(), holder.bystander.session()];
        let of = |id: &String| listed.as_array().unwrap().iter().find(|it| it["id"] == **id).cloned();
        let [own, bystander] = ids.each_ref().map(of);
        let (alive, has_bystander) = (own.is_some(), bystander.is_some());
        let renewal = (holder.dialect == Some(Dialect::Web)).then(|| told("web", &holder.pair.refresh));
        State { alive, bystander: has_bystander, told: [own, bystander, renewal].into_iter().flatten().collect() }
    }

    /// Holds that nothing of it is good for anything, if it has ended, and else that its newest refresh token has not
    /// been used.
    #[track_caller]
    fn prove(&self, holder: &Holder, alive: bool) {
        let Some(dialect) = holder.dialect else { return };
        if alive {
            dialect.refreshed(&self.gate, &holder.pair.refresh);
        } else {
            assert_eq!(self.gate.get("/any").bearer(&holder.pair.access).send().status, 401);
            dialect.refused(&self.gate, &holder.pair.refresh);
        }
    }

    /// Presents a holder's token at a place, and holds what follows to what the cell says.
    fn try_cell(&self, holder: &Holder, before: &State, place: &Place, cell: Cell) -> Result<(), String> {
        let answer = (place.call)(&self.gate, holder).send();
        let told = place.told(&answer)?;
        if told != cell.told() {
            return Err(format!("{told}: {}", answer.text()));
        }
        match (cell, place.effect) {
            (Cell::Refused { and_ended: true, .. }, _) => self.has_ended(holder),
            (Cell::Done, effect) if effect != Effect::Nothing => self.has_done(holder, effect, &answer)?,
            _ if self.state(holder) != *before => return Err(format!("{told}, and not everything is as it was")),
            _ => {}
        }
        Ok(())
    }

    #[track_caller]
    fn has_ended(&self, holder: &Holder) {
        assert!(!self.state(holder).alive, "{} lives", holder.name);
        self.prove(holder, false);
    }

    fn has_done(&self, holder: &Holder, effect: Effect, answer: &Answer) -> Result<(), String> {
        match effect {
            Effect::Nothing => {}
            Effect::Begins => drop(Dialect::Smsgate.refreshed(&self.gate, &answer.field("refresh_token"))),
            Effect::Renews(dialect) => {
                let dialect = if dialect == Dialect::Form { self.form() } else { dialect };
                dialect.refreshed(&self.gate, &dialect.tokens(answer).refresh);
            }
            Effect::EndsOwn => self.has_ended(holder),
            Effect::EndsBystander => {
                let left = self.state(holder);
                if (left.alive, left.bystander) != (true, false) {
                    return Err("done, and not what was asked for".into());
                }
                Dialect::Smsgate.refused(&self.gate, &holder.bystander.refresh);
            }
        }
        Ok(())
    }

    /// A whole row: the cells that change nothing with one holder, who has everything at the end that it had, and each
    /// of the others with one of its own.
    fn try_row(&self, name: &'static str, cells: &[Cell], wrong: &mut Vec<String>) {
        for variant in 0..kinds::make(self, name).len() {
            let make = || kinds::make(self, name).swap_remove(variant);
            let lasting = make();
            self.life.wait(&self.gate, &lasting);
            let before = self.state(&lasting);
            assert_eq!(before.alive, kinds::lives(name), "{name}");
            for (place, cell) in PLACES.iter().zip(cells) {
                if place.cookies != self.cookies {
                    continue;
                }
                let own = cell.changes(place.effect).then(make);
                let holder = own.as_ref().unwrap_or(&lasting);
                if let Err(error) = self.try_cell(holder, &before, place, *cell) {
                    wrong.push(format!("{} ({}) at {}: {cell:?} expected, {error}", name, holder.name, place.name));
                }
            }
            self.prove(&lasting, before.alive);
        }
    }
}

#[track_caller]
fn check(life: Life) {
    let mut wrong = Vec::new();
    for cookies in [false, true] {
        let world = World::new(life, cookies);
        for (name, cells) in table::rows() {
            if kinds::life_of(name) == life {
                world.try_row(name, &cells, &mut wrong);
            }
        }
        let log = world.gate.whole_log();
        assert!(!log.iter().any(|line| line.contains("panic")), "{log:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_token_at_every_endpoint_does_what_the_table_says() {
    check(Life::Lasting);
}

#[test]
fn every_expired_access_token_does_what_the_table_says() {
    check(Life::BriefAccess);
}

#[test]
fn every_expired_refresh_token_does_what_the_table_says() {
    check(Life::BriefRefresh);
}

#[test]
fn the_table_has_every_kind_once_and_every_place_for_each() {
    let rows = table::rows();
    let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, kinds::NAMES);
    for (name, cells) in rows {
        assert_eq!(cells.len(), PLACES.len(), "{name}");
    }
}
