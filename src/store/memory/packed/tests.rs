//! Packing and unpacking is the identity, for every session that can be.
//!
//! Guarantees: every field takes its ordinary values and its extremes, in any combination.
//! Does not know: which of them the rules ever make.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::words;
use super::*;
use crate::token::tests::{T0, moved, policy, session};
use crate::token::{Scopes, Sender};

fn time() -> impl Strategy<Value = Timestamp> {
    let around = (-1_000_000_i64..=1_000_000).prop_map(|micros| moved(T0, micros));
    prop_oneof![
        4 => around,
        2 => any::<u64>().prop_map(Timestamp::from_micros),
        1 => Just(Timestamp::default()),
        1 => Just(Timestamp::MAX),
    ]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..200_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z:]{0,40}", 1 => "\\PC{0,200}", 1 => "(ab){200,300}"]
}

fn scopes() -> impl Strategy<Value = Scopes> {
    let known = select(vec!["messages:send", "messages:read", "all:any", "logs:read"]).prop_map(String::from);
    vec(prop_oneof![3 => known, 1 => text()], 0..8).prop_map(Scopes::new)
}

prop_compose! {
    fn names()(
        subject in text(),
        kid in text(),
        scopes in scopes(),
        granted in option::of(scopes()),
        device in option::of((option::of(text()), option::of(text()))),
        (client, certificate) in (option::of(text()), option::of(text())),
    ) -> Session {
        Session {
            subject: Subject::new(subject),
            kid: kid.into(),
            granted: granted.unwrap_or_else(|| scopes.clone()),
            scopes,
            device: device.map(|(id, name)| Box::new(Device { id, name })),
            client: client.map(Into::into),
            certificate: certificate.map(Into::into),
            ..session(0, "", T0, &policy())
        }
    }
}

fn sender() -> impl Strategy<Value = Sender> {
    (any::<Option<IpAddr>>(), option::of(text()))
        .prop_map(|(address, agent)| Sender { address, agent: agent.map(Into::into) })
}

prop_compose! {
    fn sessions()(
        names in names(),
        (id, parent) in (any::<[u8; 12]>(), option::of(any::<[u8; 12]>())),
        access_ttl in prop_oneof![any::<u16>().prop_map(|secs| Duration::from_secs(secs.into())), any::<Duration>()],
        (begun_from, used_from, at_home) in (sender(), sender(), any::<bool>()),
        (created_at, rotated_at, answered_at) in (time(), time(), time()),
        (idle_expires_at, expires_at) in (time(), time()),
        (generation, access_floor) in (number(), number()),
        credential in any::<[u8; 8]>(),
        (in_doubt, outlived) in (any::<bool>(), option::of(time())),
        profile in select(vec![Profile::Smsgate, Profile::Form, Profile::Oauth]),
    ) -> Session {
        Session {
            id: SessionId::from_bytes(id),
            profile,
            access_ttl,
            begun_from: if at_home { used_from.clone() } else { begun_from },
            used_from,
            created_at,
            rotated_at,
            answered_at,
            idle_expires_at,
            expires_at,
            generation,
            access_floor,
            credential: CredentialVersion(credential),
            parent: parent.map(SessionId::from_bytes),
            in_doubt,
            outlived,
            ..names
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_packed_is_unpacked(session in sessions(), now in time(), full in prop::bool::weighted(0.02)) {
        let words = Words::default();
        for n in 0..if full { words::MOST } else { 0 } {
            words.number(&format!("word-{n}"));
        }
        let packed = Packed::pack(&session, &words);
        prop_assert_eq!(&packed.unpack(session.id, &words), &session);
        prop_assert!(packed == Packed::pack(&session, &words));
        prop_assert_eq!(packed.succession(), session.succession());
        prop_assert!(packed.may_have_expired(now) || !session.expired(now));
    }
}

#[test]
fn a_session_is_looked_at_a_second_before_it_expires_at_the_earliest() {
    let words = Words::default();
    let third = Duration::from_millis(333);
    let idle = Session { idle_expires_at: T0 + Duration::from_mins(1) + third, ..session(1, "anna", T0, &policy()) };
    let over = Session { expires_at: T0 + Duration::from_mins(1) + third, ..session(1, "anna", T0, &policy()) };
    for session in [idle, over] {
        let packed = Packed::pack(&session, &words);
        let at = |seconds| packed.may_have_expired(T0 + Duration::from_secs(seconds));
        assert_eq!([at(59), at(60), at(61)], [false, true, true]);
    }
}

#[test]
fn an_ordinary_session_fits_in_ninety_six_bytes() {
    let words = Words::default();
    let subject = "0123456789abcdef0123456789abcdef";
    let month = Duration::from_hours(720);
    let sender = Sender { address: Some("192.0.2.7".parse().unwrap()), agent: None };
    let session = Session {
        begun_from: sender.clone(),
        used_from: sender,
        rotated_at: T0 + month,
        answered_at: T0 + month + Duration::from_millis(7),
        idle_expires_at: T0 + month * 2,
        generation: 2880,
        ..session(1, subject, T0, &policy())
    };
    assert!(Packed::pack(&session, &words).0.len() <= 96);
}

#[test]
fn very_many_sets_of_known_scopes_add_no_words() {
    let words = Words::default();
    for set in 1..1 << 10 {
        let scopes = Scopes::new((0..10).filter(|bit| set & 1 << bit != 0).map(|bit| format!("scope:{bit}")));
        Packed::pack(&Session { scopes, ..session(1, "anna", T0, &policy()) }, &words);
    }
    // Ten scopes, the two that are granted, and the key id were there before.
    assert_eq!(words.number("new"), Some(13));
}
