//! The state machine, row by row and edge by edge.
//!
//! Guarantees: whatever does not rotate leaves the session exactly as it was.
//! Does not know: stores; the same rules over many steps are tested there.

use super::super::tests::{T0, moved, policy, session};
use super::*;

const SECOND: i64 = 1_000_000;
const LATER: i64 = 3600 * SECOND;

/// A session that was rotated to generation 5 at `T0`, and answered a little later.
fn rotated(policy: &Policy) -> Session {
    let created = moved(T0, -LATER);
    Session {
        rotated_at: T0,
        answered_at: moved(T0, 5_000),
        idle_expires_at: T0 + policy.smsgate.refresh_ttl,
        generation: 5,
        ..session(1, "anna", created, policy)
    }
}

fn anna() -> Standing {
    Standing { scopes: Scopes::new(["messages:send", "messages:read"]), credential: CredentialVersion([7; 8]) }
}

/// One presentation, in microseconds from the last rotation.
#[derive(Clone)]
struct Row {
    generation: u32,
    arrived: i64,
    now: i64,
    retry_window: u64,
    user: Option<Standing>,
}

fn of(generation: u32, arrived: i64, now: i64) -> Row {
    Row { generation, arrived, now, retry_window: 0, user: Some(anna()) }
}

impl Row {
    fn window(self, seconds: u64) -> Self {
        Self { retry_window: seconds, ..self }
    }

    fn by(self, user: Option<Standing>) -> Self {
        Self { user, ..self }
    }
}

fn present(session: &mut Session, row: &Row, policy: &Policy) -> Rotation {
    let presented = Presented {
        session: session.id,
        generation: row.generation,
        issued_at: T0,
        profile: Profile::Smsgate,
        arrived_at: moved(T0, row.arrived),
        sender: Sender::default(),
        by: None,
        certificate: None,
    };
    session.rotate(&presented, row.user.as_ref(), &"next".into(), moved(T0, row.now), policy)
}

fn name(rotation: &Rotation) -> String {
    match rotation {
        Rotation::Rotated(_) => "rotated".into(),
        Rotation::Retried(_) => "retried".into(),
        Rotation::Raced => "raced".into(),
        Rotation::Reused(_) => "reused".into(),
        Rotation::Disowned(_) => "disowned".into(),
        Rotation::Refused(why) => format!("{why:?}").to_lowercase(),
    }
}

#[track_caller]
fn check(mut session: Session, row: Row, expected: &str) {
    let policy = Policy { retry_window: Duration::from_secs(row.retry_window), ..policy() };
    let before = session.clone();
    let rotation = present(&mut session, &row, &policy);
    assert_eq!(name(&rotation), expected);
    match rotation {
        Rotation::Rotated(next) => {
            assert_eq!(*next, session, "what is handed out is what is kept");
            assert_eq!(session.generation, before.generation + 1);
        }
        Rotation::Retried(same) => assert_eq!((&*same, &session), (&before, &before)),
        Rotation::Reused(subject) | Rotation::Disowned(subject) => {
            assert_eq!((&subject, &session), (&before.subject, &before));
        }
        Rotation::Raced | Rotation::Refused(_) => assert_eq!(session, before),
    }
}

#[track_caller]
fn row(row: Row, expected: &str) {
    check(rotated(&policy()), row, expected);
}

#[test]
fn the_current_generation_rotates() {
    row(of(5, LATER, LATER), "rotated");
    row(of(5, -LATER, 1), "rotated");
    row(of(5, 0, 0), "rotated");
    row(of(5, LATER, LATER).window(10), "rotated");
}

#[test]
fn the_immediate_parent_that_had_arrived_before_the_answer_left_lost_a_race() {
    row(of(4, -1, 1), "raced");
    row(of(4, 5_000, 5_000), "raced");
    row(of(4, 5_001, 5_001), "reused");
    row(of(4, -1, LATER), "raced");
    // With a window the loser gets what the winner got, however long it had to wait.
    row(of(4, 5_000, 5_000).window(10), "retried");
    row(of(4, 5_000, LATER).window(10), "retried");
}

#[test]
fn nothing_can_be_a_reply_to_an_answer_that_is_held_back() {
    let held = || Session { answered_at: Timestamp::MAX, ..rotated(&policy()) };
    check(held(), of(4, LATER, LATER), "raced");
    check(held(), of(3, LATER, LATER), "reused");
    check(held(), of(5, LATER, LATER), "rotated");
}

#[test]
fn after_a_restart_no_request_can_have_been_on_its_way() {
    let restarted = || Session { answered_at: Timestamp::default(), ..rotated(&policy()) };
    check(restarted(), of(4, 1, 1), "reused");
    check(restarted(), of(4, 1, 1).window(10), "retried");
}

#[test]
fn the_immediate_parent_within_the_window_gets_the_same_successor() {
    row(of(4, SECOND, SECOND).window(10), "retried");
    row(of(4, 10 * SECOND - 1, 10 * SECOND - 1).window(10), "retried");
    row(of(4, 10 * SECOND, 10 * SECOND).window(10), "reused");
    row(of(4, LATER, LATER).window(10), "reused");
    // A wall clock that was set back does not turn a retry into a theft.
    row(of(4, 6_000, -SECOND).window(10), "retried");
}

#[test]
fn without_a_window_the_immediate_parent_is_a_reuse() {
    row(of(4, SECOND, SECOND), "reused");
    row(of(4, 5_001, 5_001), "reused");
}

#[test]
fn any_older_ancestor_is_a_reuse_whenever_it_arrived() {
    for generation in 0..4 {
        for window in [0, 10, 300] {
            row(of(generation, SECOND, SECOND).window(window), "reused");
            row(of(generation, -LATER, 1).window(window), "reused");
        }
    }
}

#[test]
fn a_generation_that_was_never_issued_is_refused_without_effect() {
    for generation in [6, 7, 1000, u32::MAX] {
        row(of(generation, SECOND, SECOND), "ahead");
        row(of(generation, -SECOND, SECOND).window(10), "ahead");
    }
}

#[test]
fn an_expired_session_refuses_every_generation_alike() {
    let policy = policy();
    let idle_end = i64::try_from(policy.smsgate.refresh_ttl.as_micros()).unwrap();
    row(of(5, idle_end - 1, idle_end - 1), "rotated");
    for generation in [0, 4, 5, 6] {
        row(of(generation, idle_end, idle_end).window(300), "expired");
        row(of(generation, -1, idle_end + LATER), "expired");
        // Whose it was plays no part any more.
        row(of(generation, idle_end, idle_end).by(None), "expired");
    }
    let short = |end| Session { expires_at: moved(T0, end), ..rotated(&policy) };
    check(short(LATER), of(5, LATER - 1, LATER - 1), "rotated");
    check(short(LATER), of(5, LATER, LATER), "expired");
}

#[test]
fn the_last_generation_there_can_be_does_not_wrap_round() {
    let last = || Session { generation: u32::MAX, ..rotated(&policy()) };
    check(last(), of(u32::MAX, SECOND, SECOND), "expired");
    check(last(), of(u32::MAX - 1, SECOND, SECOND), "reused");
    check(last(), of(u32::MAX - 1, 0, SECOND), "raced");
    check(last(), of(0, SECOND, SECOND), "reused");
}

#[test]
fn without_its_user_a_session_is_disowned_by_any_generation() {
    let other_password = Standing { credential: CredentialVersion([8; 8]), ..anna() };
    for generation in [0, 4, 5, 6] {
        for arrived in [-SECOND, SECOND] {
            row(of(generation, arrived, SECOND).by(None).window(10), "disowned");
            row(of(generation, arrived, SECOND).by(Some(other_password.clone())).window(10), "disowned");
        }
    }
}

#[test]
fn a_rotation_moves_what_it_must_and_leaves_the_rest() {
    let policy = policy();
    let mut session = Session { expires_at: T0 + Duration::from_hours(800), ..rotated(&policy) };
    let before = session.clone();
    let sender = Sender { address: Some("192.0.2.7".parse().unwrap()), agent: Some("a/1".into()) };
    let presented = Presented {
        session: session.id,
        generation: 5,
        issued_at: T0,
        profile: Profile::Smsgate,
        arrived_at: moved(T0, LATER - 1),
        sender: sender.clone(),
        by: None,
        certificate: None,
    };
    let now = moved(T0, LATER);
    let kid: Arc<str> = "next".into();
    assert_eq!(name(&session.rotate(&presented, Some(&anna()), &kid, now, &policy)), "rotated");
    let expected = Session {
        generation: 6,
        rotated_at: now,
        answered_at: Timestamp::MAX,
        used_from: sender,
        idle_expires_at: now + policy.smsgate.refresh_ttl,
        kid,
        ..before
    };
    assert_eq!(session, expected);
    // The idle lifetime slides up to the absolute end and never past it.
    let near_the_end = Row { generation: 6, ..of(6, 600 * LATER, 600 * LATER) };
    assert_eq!(name(&present(&mut session, &near_the_end, &policy)), "rotated");
    assert_eq!(session.idle_expires_at, session.expires_at);
}

#[test]
fn the_answer_is_noted_once_and_for_the_current_generation_only() {
    let mut session = rotated(&policy());
    let before = session.answered_at;
    session.answered(5, moved(T0, LATER));
    assert_eq!(session.answered_at, before, "the first time counts");
    session.answered_at = Timestamp::MAX;
    session.answered(4, moved(T0, LATER));
    assert_eq!(session.answered_at, Timestamp::MAX, "another generation's answer");
    session.answered(5, moved(T0, LATER));
    assert_eq!(session.answered_at, moved(T0, LATER));
}

#[test]
fn scopes_follow_the_user_and_never_exceed_the_sign_in() {
    let original = ["messages:send", "messages:read"];
    for (user, expected) in [
        (&["messages:send", "messages:read"][..], &original[..]),
        (&["messages:read"], &["messages:read"]),
        (&["logs:read"], &[]),
        (&[], &[]),
        (&["all:any"], &original),
        (&["logs:read", "messages:read", "messages:send"], &original),
    ] {
        let mut session = rotated(&policy());
        let user = Standing { scopes: Scopes::new(user), ..anna() };
        let rotation = present(&mut session, &of(5, SECOND, SECOND).by(Some(user)), &policy());
        assert_eq!(name(&rotation), "rotated");
        assert_eq!((&session.granted, &session.scopes), (&Scopes::new(expected), &Scopes::new(original)));
        // Given back what was taken, the user has what was signed in for again.
        assert_eq!(name(&present(&mut session, &of(6, LATER, LATER), &policy())), "rotated");
        assert_eq!(session.granted, Scopes::new(original));
    }
}

const GOOD: AccessStanding = AccessStanding::Good { until: None };

fn overlap(seconds: u64) -> AccessOverlap {
    AccessOverlap::For(Duration::from_secs(seconds))
}

#[track_caller]
fn standing(session: &Session, access_overlap: AccessOverlap, generation: u32, now: i64, expected: AccessStanding) {
    let policy = Policy { access_overlap, ..policy() };
    assert_eq!(session.access_standing(generation, moved(T0, now), &policy), expected);
}

#[test]
fn the_current_access_token_counts_and_so_does_one_from_a_lost_future() {
    for overlap in [overlap(0), overlap(30), AccessOverlap::UntilExpiry] {
        for generation in [5, 6, u32::MAX] {
            standing(&rotated(&policy()), overlap, generation, 0, GOOD);
            standing(&rotated(&policy()), overlap, generation, LATER, GOOD);
        }
    }
}

#[test]
fn only_the_immediate_parent_enjoys_the_overlap() {
    let session = rotated(&policy());
    let until = AccessStanding::Good { until: Some(moved(T0, 30 * SECOND)) };
    let superseded = AccessStanding::Superseded;
    standing(&session, overlap(30), 4, 0, until);
    standing(&session, overlap(30), 4, 30 * SECOND - 1, until);
    standing(&session, overlap(30), 4, 30 * SECOND, superseded);
    standing(&session, overlap(0), 4, 0, superseded);
    standing(&session, AccessOverlap::UntilExpiry, 4, LATER, GOOD);
    for overlap in [overlap(0), overlap(30), AccessOverlap::UntilExpiry] {
        for generation in 0..4 {
            standing(&session, overlap, generation, 0, superseded);
        }
    }
}

#[test]
fn a_narrowed_user_cuts_the_access_tokens_that_exceed_it_and_no_others() {
    let mut session = rotated(&policy());
    for enough in [&["messages:send", "messages:read"][..], &["all:any"], &["messages:read", "x:y", "messages:send"]] {
        assert!(!session.narrow(&Scopes::new(enough)), "{enough:?}");
    }
    standing(&session, AccessOverlap::UntilExpiry, 5, 1, GOOD);
    assert!(session.narrow(&Scopes::new(["messages:read"])));
    assert!(!session.narrow(&Scopes::new(["messages:read"])), "they are cut already");
    for generation in 0..=5 {
        standing(&session, AccessOverlap::UntilExpiry, generation, 1, AccessStanding::Superseded);
    }
    // The session lives, and the next pair counts. What was cut stays cut, whatever the overlap says.
    let user = Standing { scopes: Scopes::new(["messages:read"]), ..anna() };
    let next = of(5, SECOND, SECOND).by(Some(user));
    assert_eq!(name(&present(&mut session, &next, &policy())), "rotated");
    standing(&session, overlap(0), 6, SECOND, GOOD);
    standing(&session, AccessOverlap::UntilExpiry, 5, SECOND, AccessStanding::Superseded);
    assert!(!session.narrow(&Scopes::new(["messages:read"])), "it carries no more than that now");
}

#[test]
fn a_refresh_that_comes_before_the_cut_does_not_save_the_old_access_token() {
    let mut session = rotated(&policy());
    let narrowed = Scopes::new(["messages:read"]);
    let user = Standing { scopes: narrowed.clone(), ..anna() };
    assert_eq!(name(&present(&mut session, &of(5, SECOND, SECOND).by(Some(user)), &policy())), "rotated");
    session.narrow(&narrowed);
    standing(&session, AccessOverlap::UntilExpiry, 6, SECOND, GOOD);
    standing(&session, AccessOverlap::UntilExpiry, 5, SECOND, AccessStanding::Superseded);
}

#[test]
fn a_session_is_remembered_until_its_last_access_token_has_expired() {
    let policy = policy();
    let session = rotated(&policy);
    assert_eq!(session.access_expires_at(), T0 + policy.smsgate.access_ttl);
    assert_eq!(session.access_ends_at(&policy), T0 + policy.smsgate.access_ttl + policy.leeway);
    let ending = Session { expires_at: moved(T0, 60 * SECOND), ..session };
    assert_eq!(ending.access_expires_at(), ending.expires_at);
    assert_eq!(ending.access_ends_at(&policy), ending.expires_at + policy.leeway);
}

/// A session of `app`, and what becomes of it when `client` presents its token and asks for `scopes`.
fn by_client(client: Option<&str>, scopes: Option<&[&str]>, granted: &[&str]) -> (Rotation, Session, Session) {
    let policy = policy();
    let of_app = Session { profile: Profile::Oauth, client: Some("app".into()), ..session(1, "anna", T0, &policy) };
    let before = Session { scopes: Scopes::new(granted), ..of_app };
    let mut after = before.clone();
    let by = client.map(|client| Presenter {
        client: client.into(),
        scopes: scopes.map(Scopes::new),
        refresh_ttl: Duration::from_secs(777),
    });
    let presented = Presented {
        session: before.id,
        generation: 0,
        issued_at: T0,
        profile: Profile::Oauth,
        arrived_at: T0,
        sender: Sender::default(),
        by,
        certificate: None,
    };
    (after.rotate(&presented, Some(&anna()), &"next".into(), T0, &policy), before, after)
}

#[track_caller]
fn by_certificate(begun: Option<&str>, shown: Option<&str>, generation: u32, refused: bool) {
    let policy = Policy { retry_window: Duration::from_secs(10), ..policy() };
    let begun = begun.map(Into::into);
    let before = Session { generation: 7, certificate: begun, ..session(1, "anna", T0, &policy) };
    let mut after = before.clone();
    let presented = Presented {
        session: before.id,
        generation,
        issued_at: T0,
        profile: before.profile,
        arrived_at: T0,
        sender: Sender::default(),
        by: None,
        certificate: shown.map(Into::into),
    };
    let rotation = after.rotate(&presented, Some(&anna()), &"next".into(), T0, &policy);
    let expected = Rotation::Refused(RotationRefusal::OtherCertificate);
    assert_eq!(rotation == expected, refused, "{:?} {shown:?} {generation}: {rotation:?}", before.certificate);
    assert!(!refused || before == after);
    assert_eq!(before.certificate, after.certificate);
}

#[test]
fn whoever_shows_another_certificate_or_none_changes_nothing() {
    // The current one, one to be repeated, a used one.
    for generation in [7, 6, 3] {
        by_certificate(None, None, generation, false);
        by_certificate(None, Some("DNS=a"), generation, false);
        by_certificate(Some("DNS=a"), Some("DNS=a"), generation, false);
        for shown in [None, Some("DNS=b"), Some("CN=a"), Some("DNS=A"), Some("")] {
            by_certificate(Some("DNS=a"), shown, generation, true);
        }
    }
}

#[test]
fn another_client_or_none_changes_nothing() {
    for client in [None, Some("other"), Some("App"), Some("")] {
        let (rotation, before, after) = by_client(client, None, &["messages:read"]);
        assert_eq!(rotation, Rotation::Refused(RotationRefusal::OtherClient));
        assert_eq!(before, after);
    }
    let mut plain = session(1, "anna", T0, &policy());
    let (_, of_app, _) = by_client(None, None, &[]);
    let presented = |by| Presented {
        session: plain.id,
        generation: 0,
        issued_at: T0,
        profile: plain.profile,
        arrived_at: T0,
        sender: Sender::default(),
        by,
        certificate: None,
    };
    let by = Presenter { client: of_app.client.unwrap(), scopes: None, refresh_ttl: Duration::from_secs(1) };
    let presented = presented(Some(by));
    let rotation = plain.rotate(&presented, Some(&anna()), &"next".into(), T0, &policy());
    assert_eq!(rotation, Rotation::Refused(RotationRefusal::OtherClient), "a session that has no client");
}

#[test]
fn its_client_renews_it_for_its_own_time() {
    let (rotation, _, after) = by_client(Some("app"), None, &["messages:read"]);
    assert_eq!((&*name(&rotation), after.idle_expires_at), ("rotated", T0 + Duration::from_secs(777)));
    assert_eq!(after.granted, Scopes::new(["messages:read"]));
}

#[test]
fn a_narrower_scope_narrows_the_access_token_and_not_the_session() {
    let both = ["messages:read", "messages:send"];
    let (rotation, _, after) = by_client(Some("app"), Some(&["messages:read"]), &both);
    assert_eq!((&*name(&rotation), after.granted), ("rotated", Scopes::new(["messages:read"])));
    assert_eq!(after.scopes, Scopes::new(both));
    // Everything that there is, for a user who may not have it all.
    let (_, _, after) = by_client(Some("app"), Some(&["messages:read"]), &["all:any"]);
    assert_eq!(after.granted, Scopes::new(["messages:read"]));
}

#[test]
fn a_wider_scope_is_refused_without_using_the_token_up() {
    for (asked, granted) in [
        (&["messages:send"][..], &["messages:read"][..]),
        (&["all:any"], &["messages:read", "messages:send"]),
        (&["tokens:refresh"], &["all:any"]),
        // The session may, the user may not any more.
        (&["logs:read"], &["logs:read"]),
    ] {
        let (rotation, before, after) = by_client(Some("app"), Some(asked), granted);
        assert_eq!(rotation, Rotation::Refused(RotationRefusal::Scopes), "{asked:?}");
        assert_eq!(before, after);
    }
}
