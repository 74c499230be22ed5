//! A cluster: gates find the node that has their slot, and follow it when it moves or dies.

use super::load::under_load;
use super::*;

const SLOTS: [&str; 3] = ["0 5460", "5461 10922", "10923 16383"];

/// Three primaries, the slots shared out among them.
struct Cluster {
    nodes: Vec<Engine>,
    buses: Vec<String>,
}

#[test]
#[cfg_attr(not(have_redis), ignore = "redis-server is not on the PATH")]
fn while_its_slot_is_moved_and_its_node_dies_no_consumed_token_has_a_second_successor() {
    let mut cluster = Cluster::start();
    let gates: Vec<Gate> = (0..3).map(|n| Gate::start(cluster.terms(n), CAPS, &policy())).collect();
    // Ends lie in the same slot, and so have to be known to whoever starts while it is moved.
    let ended: Vec<_> = (0..20).map(|n| sign_in(&gates[0], 100_000 + n, "ben", 0).unwrap()).collect();
    ended.iter().for_each(|id| assert!(run(gates[0].end(*id)).unwrap()));
    let from = cluster.owner();
    let to = (from + 1) % 3;
    let knows = |gate: &Gate| ended.iter().all(|id| gate.access_standing(access(*id, 0), T0) == AccessStanding::Ended);
    let told = under_load(&gates, |load| {
        load.goes_on(200);
        cluster.mark(from, to);
        // Nothing has been moved yet, but what is begun now would have to be at the other node.
        assert!(matches!(sign_in(&gates[1], 200_000, "cleo", 0), Err(StoreError::Unwritten)));
        load.goes_on(50);
        let keys = cluster.keys(from);
        let half = keys.len() / 2;
        for batch in keys[..half].chunks(25) {
            cluster.carry(from, to, batch);
            load.is_felt(20);
        }
        let (late, ready) = Gate::begin(cluster.terms(2), CAPS, &policy());
        // It would miss what is at the other node.
        assert!(ready.recv_timeout(SECOND).is_err());
        for batch in cluster.keys(from).chunks(25) {
            cluster.carry(from, to, batch);
            load.is_felt(20);
        }
        cluster.settle(to);
        let took = until("all gates use the other node", || gates.iter().all(Gate::is_up));
        println!("changes were taken again {took:?} after the slot was moved");
        ready.recv_timeout(SECOND * 10).unwrap();
        assert!(knows(&late));
        load.goes_on(200);
        let replica = cluster.replica_of(to);
        cluster.nodes[to].kill();
        until("the loss is noticed", || gates.iter().all(|gate| !gate.is_up()));
        let took = until("all gates use the replica", || gates.iter().all(Gate::is_up));
        println!("changes were taken again {took:?} after the loss of the node was noticed");
        load.goes_on(200);
        assert!(replica.ask("ROLE").contains("master"));
        assert!(knows(&late));
    });
    println!("a slot that moves, and a node that dies: {told:?}");
    assert_eq!((told.wrong, told.lost), (0, 0));
    assert!(told.refused > 0);
}

impl Cluster {
    fn start() -> Self {
        let buses: Vec<_> = (0..SLOTS.len()).map(|_| free_port().to_string()).collect();
        let nodes: Vec<_> = buses.iter().map(|bus| node(bus)).collect();
        for (n, node) in nodes.iter().enumerate() {
            node.ok(&format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1));
            node.ok(&format!("CLUSTER ADDSLOTSRANGE {}", SLOTS[n]));
        }
        let cluster = Self { nodes, buses };
        for n in 1..SLOTS.len() {
            cluster.meet(&cluster.nodes[n]);
        }
        until("the cluster is one", || {
            let well = |node: &Engine| {
                let told = node.ask("CLUSTER INFO");
                told.contains("cluster_state:ok") && told.contains("cluster_known_nodes:3")
            };
            cluster.nodes.iter().all(well)
        });
        cluster
    }

    fn meet(&self, node: &Engine) {
        node.ok(&format!("CLUSTER MEET 127.0.0.1 {} {}", self.nodes[0].port, self.buses[0]));
    }

    /// Names all nodes, number `first` before the others.
    fn terms(&self, first: usize) -> Terms {
        let server = |n: usize| Server { host: "127.0.0.1".into(), port: self.nodes[(first + n) % 3].port };
        Terms { servers: (0..3).map(server).collect(), ..self.nodes[0].terms() }
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].ask("CLUSTER MYID").lines().nth(1).unwrap().to_owned()
    }

    fn slot(&self) -> String {
        self.nodes[0].ask("CLUSTER KEYSLOT {portcullis}:log").lines().next().unwrap().trim_start_matches(':').to_owned()
    }

    fn owner(&self) -> usize {
        self.nodes.iter().position(|node| node.ask("EXISTS {portcullis}:log").starts_with(':')).unwrap()
    }

    /// Begins to move the slot.
    fn mark(&self, from: usize, to: usize) {
        self.nodes[to].ok(&format!("CLUSTER SETSLOT {} IMPORTING {}", self.slot(), self.id(from)));
        self.nodes[from].ok(&format!("CLUSTER SETSLOT {} MIGRATING {}", self.slot(), self.id(to)));
    }

    fn keys(&self, node: usize) -> Vec<String> {
        let told = self.nodes[node].ask(&format!("CLUSTER GETKEYSINSLOT {} 10000", self.slot()));
        told.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect()
    }

    fn carry(&self, from: usize, to: usize, keys: &[String]) {
        let to = self.nodes[to].port;
        self.nodes[from].ok(&format!("MIGRATE 127.0.0.1 {to} \"\" 0 5000 KEYS {}", keys.join(" ")));
    }

    fn settle(&self, to: usize) {
        let (slot, id) = (self.slot(), self.id(to));
        self.nodes[to].ok(&format!("CLUSTER SETSLOT {slot} NODE {id}"));
        self.nodes.iter().for_each(|node| node.ok(&format!("CLUSTER SETSLOT {slot} NODE {id}")));
    }

    /// A fourth node, which has all that a primary has.
    fn replica_of(&self, primary: usize) -> Engine {
        let replica = node(&free_port().to_string());
        self.meet(&replica);
        let id = self.id(primary);
        until("the replica is known to all", || {
            self.nodes.iter().chain([&replica]).all(|node| node.ask("CLUSTER INFO").contains("cluster_known_nodes:4"))
        });
        until("it replicates", || replica.ask(&format!("CLUSTER REPLICATE {id}")).starts_with("+OK"));
        until("it has a link", || replica.ask("INFO replication").contains("master_link_status:up"));
        until("all know that it does", || self.nodes.iter().all(|node| node.ask("CLUSTER NODES").contains("slave")));
        replica
    }
}

fn node(bus: &str) -> Engine {
    Engine::with(&["--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1000"])
}
