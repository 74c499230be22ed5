//! The engine goes, hangs and comes back.

use super::*;

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn with_the_engine_stopped_every_token_passes_and_token_endpoints_say_503_until_it_is_back() {
    let mut engine = Engine::start();
    let a = first(&engine).set("store.timeout", "1s").start();
    let pair = a.alice(MANY).expect(201);
    let seconds = std::env::var("PORTCULLIS_REDIS_OUTAGE_SECONDS").ok().and_then(|it| it.parse().ok()).unwrap_or(3);
    engine.kill();
    let (began, mut passed, mut refused) = (Instant::now(), 0, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..20 {
            list(&a, &pair).expect(200);
            passed += 1;
        }
        let asked = Instant::now();
        let answer = refresh(&a, &pair).expect_refusal(503);
        assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}", asked.elapsed());
        assert!(answer.header("retry-after").is_some());
        let sign_in = a.post(TOKEN).basic("alice", "wonderland").json(&serde_json::json!({ "scopes": MANY }));
        sign_in.send().expect_refusal(503);
        refused += 2;
    }
    println!("{passed} tokens passed and {refused} changes were refused in {seconds} s without the engine");
    engine.run();
    let back = Instant::now();
    let next = loop {
        let answer = refresh(&a, &pair);
        if answer.status == 200 {
            break answer;
        }
        answer.expect_refusal(503);
        assert!(back.elapsed() < Duration::from_secs(10), "it does not come back");
    };
    println!("refreshed {:?} after the engine had come back", back.elapsed());
    list(&a, &next).expect(200);
}
