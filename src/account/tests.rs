//! The room as a whole: what a caller of [`Accounts`] meets.

use std::fs;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::task::Poll;

use tempfile::TempDir;

use super::hash::cheap;
use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

struct House {
    dir: TempDir,
    accounts: Accounts,
}

fn policy() -> AccountPolicy {
    AccountPolicy { passwords: PasswordPolicy { parallel: 1, queue: 1000 }, ..AccountPolicy::default() }
}

/// anna with the password "secret".
fn house(policy: AccountPolicy) -> House {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("users.toml");
    fs::write(&path, entry("anna", "secret", "a:x")).unwrap();
    let accounts = Accounts::new(
        vec![Realm::new("", vec![Directory::open(path).unwrap().0.into()], None)],
        Clients::new([]),
        policy,
    )
    .unwrap();
    House { dir, accounts }
}

impl House {
    fn rewrite(&self, text: &str) {
        let fresh = self.dir.path().join("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.dir.path().join("users.toml")).unwrap();
        assert!(matches!(self.accounts.reload()[..], [(_, Reload::Changed { .. })]));
    }

    async fn sign_in(&self, password: &str) -> Result<Arc<User>, SignInError> {
        self.accounts.sign_in(&anna(password), HOME, NOW).await
    }

    async fn basic(&self, password: &str, address: IpAddr) -> Result<Arc<User>, SignInError> {
        self.accounts.admit_basic(&anna(password), address, NOW).await
    }
}

fn entry(name: &str, password: &str, scope: &str) -> String {
    let hash = cheap::argon2id(password);
    format!("[[user]]\nname = {name:?}\npassword_hash = {hash:?}\nscopes = [{scope:?}]\n")
}

fn anna(password: &str) -> Credentials {
    Credentials { name: "anna".to_owned(), password: Password::new(password.to_owned()) }
}

/// Lets `attempt` run to where it waits.
async fn start(mut attempt: Pin<&mut impl Future>) {
    assert!(poll_fn(|context| Poll::Ready(attempt.as_mut().poll(context).is_pending())).await);
}

fn throttled<T>(outcome: Result<T, SignInError>) -> bool {
    matches!(outcome, Err(SignInError::Throttled { .. }))
}

fn client(secret: &str) -> Client {
    Client {
        id: "app".into(),
        secret_hash: Some(StoredHash::parse(&cheap::argon2id(secret)).unwrap()),
        grants: Vec::new(),
        scopes: crate::token::Scopes::default(),
        access_ttl: Duration::from_secs(60),
        refresh_ttl: Duration::from_secs(600),
    }
}

#[tokio::test]
async fn of_the_readings_of_a_secret_one_has_to_be_right() {
    let House { dir: _dir, mut accounts } = house(policy());
    accounts.clients = Clients::new([client("a+b")]);
    let long = "x".repeat(MAX_PASSWORD_BYTES + 1);
    for (readings, right) in [
        (&["a b", "a+b"][..], true),
        (&["a+b", "a b"], true),
        (&["a+b", &long], true),
        (&[&long, "a+b"], true),
        (&["a+b"], true),
        (&["a b", "a%b"], false),
        (&["a b", &long], false),
        (&[], false),
    ] {
        let readings: Vec<_> = readings.iter().map(|text| Password::new((*text).to_owned())).collect();
        let judged = accounts.authenticate("app", &readings, HOME, NOW).await;
        assert_eq!(judged.map(|_| ()), if right { Ok(()) } else { Err(SignInError::Wrong) });
        assert!(accounts.authenticate("nobody", &readings, HOME, NOW).await.is_err());
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_one_answer() {
    let house = house(policy());
    assert_eq!(&*house.sign_in("secret").await.unwrap().name, "anna");
    assert_eq!(house.sign_in("wrong").await.unwrap_err(), SignInError::Wrong);
    let nobody = Credentials { name: "nobody".to_owned(), ..anna("secret") };
    assert_eq!(house.accounts.sign_in(&nobody, HOME, NOW).await.unwrap_err(), SignInError::Wrong);
}

#[tokio::test]
async fn wrong_guesses_are_throttled_and_right_ones_cost_nothing() {
    let house = house(policy());
    for _ in 0..30 {
        house.sign_in("secret").await.unwrap();
    }
    for _ in 0..policy().guesses.per_user.burst {
        assert_eq!(house.sign_in("wrong").await.unwrap_err(), SignInError::Wrong);
    }
    assert!(throttled(house.sign_in("secret").await));
    assert!(house.accounts.sign_in(&anna("secret"), AWAY, NOW).await.is_ok());
}

#[tokio::test]
async fn what_was_never_judged_is_not_charged() {
    let mut policy = policy();
    policy.passwords = PasswordPolicy { parallel: 1, queue: 0 };
    let house = house(policy);
    let place = house.accounts.passwords.hold_place();
    for _ in 0..30 {
        assert_eq!(house.sign_in("wrong").await.unwrap_err(), SignInError::Busy(Busy));
    }
    drop(place);
    assert!(house.sign_in("secret").await.is_ok());
}

#[tokio::test]
async fn a_caller_that_goes_away_is_charged() {
    let house = house(policy());
    let turn = house.accounts.passwords.hold_turn();
    for _ in 0..policy().guesses.per_user.burst {
        let credentials = anna("wrong");
        let mut attempt = pin!(house.accounts.sign_in(&credentials, HOME, NOW));
        start(attempt.as_mut()).await;
    }
    drop(turn);
    assert!(throttled(house.sign_in("secret").await));
}

#[tokio::test]
async fn a_password_changed_during_the_check_lets_nobody_in() {
    let house = house(policy());
    let credentials = anna("secret");
    let turn = house.accounts.passwords.hold_turn();
    let mut attempt = pin!(house.accounts.sign_in(&credentials, HOME, NOW));
    start(attempt.as_mut()).await;
    house.rewrite(&entry("anna", "other", "a:x"));
    drop(turn);
    assert_eq!(attempt.await.unwrap_err(), SignInError::Wrong);
}

#[tokio::test]
async fn scopes_changed_during_the_check_count() {
    let house = house(policy());
    let credentials = anna("secret");
    let before = fs::read_to_string(house.dir.path().join("users.toml")).unwrap();
    let turn = house.accounts.passwords.hold_turn();
    let mut attempt = pin!(house.accounts.sign_in(&credentials, HOME, NOW));
    start(attempt.as_mut()).await;
    house.rewrite(&before.replace("a:x", "b:y"));
    drop(turn);
    assert_eq!(attempt.await.unwrap().scopes.to_string(), "b:y");
}

#[tokio::test]
async fn basic_is_remembered_and_forgotten_with_a_change_of_users() {
    let mut policy = policy();
    policy.passwords = PasswordPolicy { parallel: 1, queue: 0 };
    let house = house(policy);
    house.basic("secret", HOME).await.unwrap();
    assert!(house.accounts.basic_cache.find(&anna("secret"), NOW).is_some());
    house.rewrite(&entry("anna", "other", "a:x"));
    assert!(house.accounts.basic_cache.find(&anna("secret"), NOW).is_none());
    assert_eq!(house.basic("secret", HOME).await.unwrap_err(), SignInError::Wrong);
    house.basic("other", HOME).await.unwrap();
}

#[tokio::test]
async fn a_change_that_the_cache_was_not_told_of_counts_all_the_same() {
    let house = house(policy());
    house.basic("secret", HOME).await.unwrap();
    fs::write(house.dir.path().join("users.toml"), entry("anna", "other", "a:x")).unwrap();
    let realm = house.accounts.realms().next().unwrap();
    assert!(matches!(realm.files()[0].reload(), Reload::Changed { .. }));
    assert!(house.accounts.basic_cache.find(&anna("secret"), NOW).is_some());
    assert_eq!(house.basic("secret", HOME).await.unwrap_err(), SignInError::Wrong);
}

#[tokio::test]
async fn a_remembered_success_is_not_a_way_around_the_limit() {
    let house = house(policy());
    house.basic("secret", HOME).await.unwrap();
    for _ in 0..policy().guesses.per_user.burst {
        assert_eq!(house.basic("wrong", AWAY).await.unwrap_err(), SignInError::Wrong);
    }
    assert!(throttled(house.basic("wrong", AWAY).await));
    assert!(throttled(house.basic("secret", AWAY).await));
    house.basic("secret", HOME).await.unwrap();
}

#[tokio::test]
async fn equal_credentials_that_arrive_together_are_checked_once() {
    // With two places, one of 64 separate checks would have to hear that the line is full.
    let mut policy = policy();
    policy.passwords = PasswordPolicy { parallel: 1, queue: 1 };
    let house = Arc::new(house(policy));
    let turn = house.accounts.passwords.hold_turn();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.basic("secret", HOME).await })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(turn);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert!(house.accounts.flights.is_empty());
}

#[tokio::test]
async fn when_the_one_being_checked_goes_away_the_next_takes_over() {
    let house = house(policy());
    let credentials = anna("secret");
    let turn = house.accounts.passwords.hold_turn();
    let mut first = Box::pin(house.accounts.admit_basic(&credentials, HOME, NOW));
    let mut second = pin!(house.accounts.admit_basic(&credentials, HOME, NOW));
    start(first.as_mut()).await;
    start(second.as_mut()).await;
    drop(first);
    drop(turn);
    assert!(second.await.is_ok());
    assert!(house.accounts.flights.is_empty());
}

#[tokio::test]
async fn a_line_of_equal_credentials_is_bounded() {
    let house = house(policy());
    let credentials = anna("secret");
    let key = house.accounts.basic_cache.key(&credentials);
    let line: Vec<_> = std::iter::from_fn(|| house.accounts.flights.join(key).ok()).collect();
    assert_eq!(house.basic("secret", HOME).await.unwrap_err(), SignInError::Busy(Busy));
    drop(line);
    assert!(house.basic("secret", HOME).await.is_ok());
    assert!(house.accounts.flights.is_empty());
}

#[tokio::test]
async fn without_a_cache_basic_is_checked_each_time() {
    let mut policy = policy();
    policy.basic = BasicPolicy { ttl: Duration::ZERO, capacity: 0 };
    let house = house(policy);
    house.basic("secret", HOME).await.unwrap();
    assert_eq!(house.basic("wrong", HOME).await.unwrap_err(), SignInError::Wrong);
    assert!(house.accounts.basic_cache.find(&anna("secret"), NOW).is_none());
}
