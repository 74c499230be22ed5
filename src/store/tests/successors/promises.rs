//! What clients are told, and what must hold whatever they did.
//!
//! Guarantees: each answer is held against all that were given before it, and after every step each token is asked what
//! would come of it.
//! Does not know: how the world came to be as it is.

use crate::token::access as access_token;

use super::super::*;
use super::world::{Texts, World, with_password};

impl World {
    /// What a client is told, against all that others were told before.
    pub(super) fn hear(&mut self, presented: u32, arrived_at: Timestamp, told: Result<Rotation, StoreError>) {
        match told {
            Ok(Rotation::Rotated(session)) => {
                self.hand_out(presented, &session);
            }
            Ok(Rotation::Retried(session)) => {
                self.is_excused(presented, arrived_at);
                self.hand_out(presented, &session);
            }
            // The end of what was used twice is not worth another answer than any other refusal while the disk takes
            // nothing: until it does, it holds as long as the process.
            Ok(Rotation::Reused(_)) => {
                self.end(!self.broken);
                if self.policy.on_reuse == OnReuse::User {
                    assert_eq!(self.store.find(self.other), None, "all of the user");
                }
            }
            Ok(Rotation::Disowned(_)) => self.end(!self.broken),
            Ok(Rotation::Raced) => {
                let may = self.policy.retry_window.is_zero() && self.is_on_its_way(presented, arrived_at);
                assert!(may, "generation {presented} was used, and nothing has ended");
            }
            Ok(Rotation::Refused(refusal)) => assert_eq!(self.store.find(self.id), None, "{refusal:?}"),
            Err(_) => self.doubted.push(presented + 1),
        }
    }

    pub(super) fn hand_out(&mut self, presented: u32, session: &Session) {
        let texts = self.texts(session);
        assert_eq!(session.generation, presented + 1);
        match self.handed.get(presented as usize + 1) {
            Some(before) => assert!(*before == texts, "two successors of generation {presented}"),
            None => {
                assert_eq!(self.handed.len(), presented as usize + 1, "a generation that nobody has the parent of");
                self.handed.push(texts);
            }
        }
    }

    /// Whether a request had arrived before the successor was let go.
    pub(super) fn is_on_its_way(&self, presented: u32, arrived_at: Timestamp) -> bool {
        self.let_go.borrow().get(&(presented + 1)).is_none_or(|let_go| arrived_at <= *let_go)
    }

    /// Who gets the successor of a token that was used already has a reason to: it may not know of it.
    pub(super) fn is_excused(&self, presented: u32, arrived_at: Timestamp) {
        let window = self.policy.retry_window;
        let on_its_way = self.is_on_its_way(presented, arrived_at);
        let in_window =
            self.now.get() < self.born[&(presented + 1)] + window || arrived_at < self.born[&(presented + 1)] + window;
        let excused = !window.is_zero() && (on_its_way || in_window) || self.doubted.contains(&(presented + 1));
        assert!(excused, "generation {presented} was used, and is good all the same");
    }

    pub(super) fn end(&mut self, told: bool) {
        self.ended |= told;
        self.ended_for_now = true;
    }

    /// What would follow if a token was presented now.
    pub(super) fn would(&self, texts: &Texts) -> Rotation {
        let Some(mut session) = self.store.find(self.id) else {
            return Rotation::Refused(RotationRefusal::Ended);
        };
        let user = with_password(self.password.get());
        session.rotate(&self.read(texts), user.as_ref(), &"key".into(), self.now.get(), &self.policy)
    }

    /// What must hold after every step.
    pub(super) fn check(&self) {
        let now = self.now.get();
        let outcomes: Vec<_> = self.handed.iter().map(|texts| self.would(texts)).collect();
        let live: Vec<_> = (0..outcomes.len()).filter(|n| matches!(outcomes[*n], Rotation::Rotated(_))).collect();
        assert!(live.len() <= 1, "live: {live:?}");
        assert!(live.iter().all(|n| *n + 1 == self.handed.len()), "a used one is live: {live:?}");
        for (presented, outcome) in (0_u32..).zip(&outcomes) {
            if let Rotation::Retried(session) = outcome {
                self.is_excused(presented, now);
                if let Some(handed) = self.handed.get(presented as usize + 1) {
                    assert!(*handed == self.texts(session), "another successor of generation {presented}");
                }
            }
        }
        let over = self.ended || self.ended_for_now;
        let alive = self.store.find(self.id);
        assert!(!over || (alive.is_none() && live.is_empty()), "it has ended");
        if let Some(session) = &alive {
            assert!(session.generation as usize + 1 >= self.handed.len(), "what was handed out is forgotten");
        }
        for (generation, texts) in (0_u32..).zip(&self.handed) {
            let Ok(verified) = access_token::verify(&texts.access, &self.ring, &self.policy, now) else { continue };
            let standing = self.store.access_standing(verified.id, now);
            let newest = alive.as_ref().map_or(0, |session| session.generation);
            let good = matches!(standing, AccessStanding::Good { .. });
            assert!(!(over && good), "an access token of generation {generation} has outlived the session");
            assert!(!good || generation + 2 > newest, "an access token of generation {generation} is good at {newest}");
        }
        let others = self.store.find(self.other).is_some();
        assert!(
            others || self.password.get() != 7 || self.policy.on_reuse == OnReuse::User,
            "it is none of the other's business"
        );
    }
}
