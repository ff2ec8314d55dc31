//! The protobuf messages of every interface: Mesos' v1 API as Mesos defines it, and
//! Muster's own link between agents and the master.
//!
//! The types are generated from `proto/`; what is written here adds what the wire format
//! leaves out: the JSON form ([`json`], [`state`]), which fields have to be there ([`wire`]), ids from and
//! to strings, which states are terminal.
#![forbid(unsafe_code)]

mod encoding;
mod error;
mod extensions;
pub mod json;
mod layout;
pub mod recordio;
pub mod state;
pub mod wire;

pub use encoding::Encoding;
pub use error::Error;
pub use extensions::TaskStateExt;
pub use generated::mesos::v1 as mesos;
pub use generated::muster::v1 as muster;

/// Modules nested as the protobuf packages are: generated code refers to its
/// neighbours by relative paths.
#[allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    pub mod mesos {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/mesos.v1.rs"));
            /// The agent's operator API.
            pub mod agent {
                include!(concat!(env!("OUT_DIR"), "/mesos.v1.agent.rs"));
            }
            /// How frameworks answer inverse offers.
            pub mod allocator {
                include!(concat!(env!("OUT_DIR"), "/mesos.v1.allocator.rs"));
            }
            /// The executor API.
            pub mod executor {
                include!(concat!(env!("OUT_DIR"), "/mesos.v1.executor.rs"));
            }
            /// When machines are down.
            pub mod maintenance {
                include!(concat!(env!("OUT_DIR"), "/mesos.v1.maintenance.rs"));
            }
            /// The master's operator API.
            pub mod master {
                include!(concat!(env!("OUT_DIR"), "/mesos.v1.master.rs"));
            }
            /// What roles are promised and may have at most.
            pub mod quota {
                include!(concat!(env!("OUT_DIR"), "/mesos.v1.quota.rs"));
            }
            /// The scheduler API.
            pub mod scheduler {
                include!(concat!(env!("OUT_DIR"), "/mesos.v1.scheduler.rs"));
            }
        }
    }
    pub mod muster {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/muster.v1.rs"));
        }
    }
}
