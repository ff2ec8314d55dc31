//! What comes from outside as text or bytes, and what has to hold of whatever comes of it.
//!
//! A target takes any bytes, gives them to a parser, and fails if something panics or if what
//! has been read does not keep the laws. Each has seeds in `seeds/NAME`: inputs that lead far,
//! and those that once failed. The tests of this crate feed every target its seeds and what
//! little changes make of them; `cargo xtask fuzz` does it for as long as one likes, and
//! follows what is covered.
#![forbid(unsafe_code)]

mod target;

/// What can be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of the folder of its seeds.
    pub name: &'static str,
    run: fn(&[u8]),
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self { name: "constraint", run: target::constraint::run },
        Self { name: "constraints-message", run: target::constraints_message::run },
        Self { name: "docker-config", run: target::docker_config::run },
        Self { name: "fetched-archive", run: target::fetched_archive::run },
        Self { name: "forwarded-packet", run: target::forwarded_packet::run },
        Self { name: "image-archive", run: target::image_archive::run },
        Self { name: "image-layout", run: target::image_layout::run },
        Self { name: "image-registry", run: target::image_registry::run },
        Self { name: "layer", run: target::layer::run },
        Self { name: "operation-message", run: target::operation_message::run },
        Self { name: "resource-json", run: target::resource_json::run },
        Self { name: "resource-text", run: target::resource_text::run },
        Self { name: "seccomp-profile", run: target::seccomp_profile::run },
    ];

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name == name)
    }

    /// Tries an input.
    ///
    /// # Panics
    /// If it finds a fault.
    pub fn run(&self, input: &[u8]) {
        (self.run)(input);
    }
}
