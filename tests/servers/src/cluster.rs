//! A Redis Cluster of three masters.

use std::net::Ipv4Addr;

use super::{RedisServer, poll};

/// How many hash slots every cluster has.
const SLOTS: u16 = 16_384;

/// Three masters on 127.0.0.1 that share the slots.
pub struct RedisCluster {
    nodes: [RedisServer; 3],
}

impl RedisCluster {
    /// Starts one, and waits until every node says that all is well.
    pub fn start() -> Self {
        let configuration = [
            "--cluster-enabled",
            "yes",
            "--cluster-announce-ip",
            "127.0.0.1",
        ];
        let cluster = Self {
            nodes: std::array::from_fn(|_| RedisServer::start(&configuration)),
        };
        for (number, node) in (0..).zip(&cluster.nodes) {
            let slot = |third: u16| (u32::from(SLOTS) * u32::from(third) / 3).to_string();
            let last: u16 = slot(number + 1).parse().unwrap();
            let (first, last) = (slot(number), (last - 1).to_string());
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for node in &cluster.nodes[1..] {
            let (address, port) = (Ipv4Addr::LOCALHOST.to_string(), node.port().to_string());
            cluster.nodes[0].command(&["CLUSTER", "MEET", &address, &port]);
        }
        poll("the cluster to be whole", || {
            let whole = |node: &RedisServer| {
                let info: String = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            cluster.nodes.iter().all(whole).then_some(())
        });
        cluster
    }

    /// As a store's URL: `redis+cluster://127.0.0.1:P1,127.0.0.1:P2,127.0.0.1:P3`.
    pub fn url(&self) -> String {
        let ports = self.nodes.iter().map(RedisServer::port);
        let addresses: Vec<_> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// Its masters.
    pub fn nodes(&self) -> &[RedisServer; 3] {
        &self.nodes
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key])
    }

    /// The node that has a slot, by its own account, and one that has not.
    pub fn owner(&self, slot: u16) -> (&RedisServer, &RedisServer) {
        let owns = |node: &&RedisServer| {
            let mut ranges = slots_of(node).into_iter();
            ranges.any(|(first, last)| (first..=last).contains(&slot))
        };
        let owner = self.nodes.iter().find(owns).expect("every slot has a node");
        let other = self.nodes.iter().find(|node| node.port() != owner.port());
        (owner, other.expect("there are three"))
    }

    /// Begins to move a slot: from now on its node answers for the keys that it still has, alone.
    pub fn begin_move(&self, slot: u16) -> Move<'_> {
        let (from, to) = self.owner(slot);
        let slot = slot.to_string();
        let id = |node: &RedisServer| -> String { node.ask(&["CLUSTER", "MYID"]) };
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        Move {
            cluster: self,
            from,
            to,
            slot,
        }
    }

    /// The keys of all nodes that match, sorted.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<_> = self
            .nodes
            .iter()
            .flat_map(|node| node.keys(pattern))
            .collect();
        keys.sort();
        keys
    }
}

/// A slot on its way from one node to another.
pub struct Move<'a> {
    cluster: &'a RedisCluster,
    pub from: &'a RedisServer,
    pub to: &'a RedisServer,
    slot: String,
}

impl Move<'_> {
    /// Moves some of its keys.
    pub fn move_keys(&self, most: usize) {
        let keys: Vec<String> =
            self.from
                .ask(&["CLUSTER", "GETKEYSINSLOT", &self.slot, &most.to_string()]);
        let port = self.to.port().to_string();
        for key in keys {
            self.from
                .command(&["MIGRATE", "127.0.0.1", &port, &key, "0", "10000"]);
        }
    }

    /// Moves the rest, and gives the slot to its new node.
    pub fn finish(self) {
        self.move_keys(1_000_000);
        let id: String = self.to.ask(&["CLUSTER", "MYID"]);
        // The new node first, so that no moment knows no owner.
        self.to
            .command(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]);
        for node in self.cluster.nodes() {
            node.command(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]);
        }
    }
}

/// The slots that a node has by its own account, as ranges.
fn slots_of(node: &RedisServer) -> Vec<(u16, u16)> {
    let nodes: String = node.ask(&["CLUSTER", "NODES"]);
    let myself = nodes.lines().find(|line| line.contains("myself")).unwrap();
    // The first eight fields are about the node.
    myself
        .split(' ')
        .skip(8)
        .filter(|range| !range.starts_with('['))
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (first.parse().unwrap(), last.parse().unwrap())
        })
        .collect()
}
