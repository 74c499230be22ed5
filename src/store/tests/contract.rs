//! What holds for every store, whoever keeps the sessions.
//!
//! Guarantees: each is told of one empty store with the caps that it names.
//! Does not know: files, engines.

use super::*;

pub(super) fn at_the_cap_per_user_the_least_recently_used_session_ends(store: &Store) {
    let ids: Vec<_> = (1..=3).map(|n| sign_in(store, n.into(), "anna", n).unwrap()).collect();
    let ben = sign_in(store, 99, "ben", 0).unwrap();
    // Used, the oldest is no longer the one to go.
    assert!(matches!(refresh(store, ids[0], 0, T0 + SECOND * 10), Rotation::Rotated(_)));
    let fourth = sign_in(store, 4, "anna", 11).unwrap();
    assert_eq!(live(store, &[ids[0], ids[1], ids[2], fourth, ben]), [true, false, true, true, true]);
    assert_eq!(store.access_standing(access(ids[1], 0), T0 + SECOND * 11), AccessStanding::Ended);
    for n in 5..20 {
        sign_in(store, n.into(), "anna", 20 + n).unwrap();
        assert_eq!((store.sessions_of(&Subject::new("anna"), T0 + SECOND * 60).len(), store.live()), (3, 4));
    }
}

pub(super) fn a_session_that_makes_room_takes_those_minted_with_its_tokens_along(store: &Store) {
    let parent = sign_in(store, 1, "anna", 1).unwrap();
    let child = mint(store, 2, parent, 2).unwrap();
    let grandchild = mint(store, 3, child, 3).unwrap();
    let other = sign_in(store, 4, "anna", 4).unwrap();
    let new = sign_in(store, 5, "anna", 5).unwrap();
    assert_eq!(live(store, &[parent, child, grandchild, other, new]), [false, false, false, true, true]);
}

pub(super) fn a_session_never_makes_room_for_one_that_descends_from_it(store: &Store) {
    let parent = sign_in(store, 1, "anna", 1).unwrap();
    let other = sign_in(store, 2, "anna", 2).unwrap();
    let child = mint(store, 3, parent, 3).unwrap();
    let second = mint(store, 4, parent, 4).unwrap();
    assert_eq!(live(store, &[parent, other, child, second]), [true, false, true, true]);
    let third = mint(store, 5, parent, 5).unwrap();
    assert_eq!(live(store, &[parent, child, second, third]), [true, false, true, true]);
    // Where nothing else is left to go, there is no room.
    let grandchild = mint(store, 6, third, 6).unwrap();
    assert_eq!(live(store, &[parent, second, third, grandchild]), [true, false, true, true]);
    assert!(matches!(mint(store, 7, grandchild, 7), Err(StoreError::Full)));
    assert_eq!(live(store, &[parent, third, grandchild]), [true, true, true]);
}

pub(super) fn a_sign_in_that_is_refused_ends_nobody(store: &Store) {
    let first = sign_in(store, 1, "anna", 1).unwrap();
    let late = session(2, "anna", T0, &policy());
    assert!(matches!(run(store.issue(late, &|_, _| None, T0)), Err(StoreError::Overtaken)));
    assert_eq!((live(store, &[first]), store.live()), (vec![true], 1));
}

pub(super) fn a_sign_in_is_overtaken_by_a_change_of_its_user(store: &Store) {
    let read_only = Scopes::new(["messages:read"]);
    type Now = fn(Scopes) -> Option<Standing>;
    let changes: [(&str, Now); 3] = [
        ("removed", |_| None),
        ("another password", |scopes| Some(Standing { scopes, credential: CredentialVersion([8; 8]) })),
        ("fewer scopes", |scopes| Some(Standing { scopes, credential: CredentialVersion([7; 8]) })),
    ];
    for (n, (name, now)) in changes.iter().enumerate() {
        let session = session(n as u64, "anna", T0, &policy());
        let id = session.id;
        let outcome = run(store.issue(session, &|_, _| now(read_only.clone()), T0));
        assert!(matches!(outcome, Err(StoreError::Overtaken)), "{name}");
        assert_eq!((store.find(id), store.live()), (None, 0), "{name}");
        assert_eq!(store.access_standing(access(id, 0), T0), AccessStanding::Ended, "{name}");
    }
}

pub(super) fn minting_is_overtaken_by_the_end_of_the_parent(store: &Store) {
    let unknown = session(9, "anna", T0, &policy()).id;
    assert!(matches!(mint(store, 1, unknown, 0), Err(StoreError::Overtaken)));
    let parent = sign_in(store, 2, "anna", 0).unwrap();
    assert!(run(store.end(parent)).unwrap());
    assert!(matches!(mint(store, 3, parent, 1), Err(StoreError::Overtaken)));
    assert_eq!(store.live(), 0);
}

pub(super) fn ending_a_subject_ends_all_its_sessions_and_nobody_elses(store: &Store) {
    let anna: Vec<_> = (1..=5).map(|n| sign_in(store, n, "anna", 0).unwrap()).collect();
    let ben = sign_in(store, 9, "ben", 0).unwrap();
    run(store.end_subject(&Subject::new("anna"), None, T0)).1.unwrap();
    run(store.end_subject(&Subject::new("nobody"), None, T0)).1.unwrap();
    assert_eq!(live(store, &anna), [false; 5]);
    assert_eq!((live(store, &[ben]), store.live()), (vec![true], 1));
}

pub(super) fn sessions_are_listed_newest_sign_in_first(store: &Store) {
    let ids: Vec<_> = (1..=3).map(|n| sign_in(store, n.into(), "anna", n).unwrap()).collect();
    assert!(matches!(refresh(store, ids[0], 0, T0 + SECOND * 50), Rotation::Rotated(_)));
    let listed: Vec<_> =
        store.sessions_of(&Subject::new("anna"), T0 + SECOND * 60).iter().map(|session| session.id).collect();
    assert_eq!(listed, [ids[2], ids[1], ids[0]]);
}
