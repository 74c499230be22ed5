//! Replicas: they know a key before the primary signs with it, and forget it as the primary does.

use super::{before, key, keys, kid, noticed, rotate};
use crate::support::{list, refresh};

#[test]
fn a_replica_follows_every_change() {
    let primary = before().start();
    let replica = before()
        .set("data_dir", primary.folder().join("data").to_str().unwrap())
        .set("store.kind", "replica")
        .set("store.primary_url", &format!("http://{}", primary.address))
        .start();
    let (old, kept) = (primary.alice(&["messages:list"]), primary.alice(&["messages:list"]));
    list(&replica, &old).expect(200);
    let [first, second] = rotate(&primary, &[]);
    // Also before it has heard that the key signs.
    let new = primary.alice(&["messages:list"]);
    assert_eq!(kid(&new), second);
    list(&replica, &new).expect(200);
    list(&replica, &old).expect(200);
    // Handed over to the primary.
    let moved = refresh(&replica, &kept).expect(200);
    assert_eq!(kid(&moved), second);
    list(&replica, &moved).expect(200);
    noticed(&replica, &second, "current");
    noticed(&replica, &first, "retiring");

    keys(&primary, &["retire", &first, "--force"]).expect(0);
    for gate in [&primary, &replica] {
        noticed(gate, &first, "gone");
        list(gate, &old).expect_refusal(401);
        refresh(gate, &old).expect_refusal(401);
        list(gate, &moved).expect(200);
    }
    assert_eq!(key(&primary, "current"), second);
}
