//! Packets to VIPs that no `connect()` has turned into packets to a backend: from machines outside
//! the cluster, and of sockets that the other programs do not see.

mod egress;
mod frame;
mod ingress;
mod maps;
mod plan;
mod rejected;
mod route;
mod six;
mod skb;
mod steps;
mod xdp;
