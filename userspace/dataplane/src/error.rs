//! What can go wrong with the data plane.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why the data plane could not be opened, changed or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is empty or too long for a folder.
    #[error("agent name {name:?}: must have 1 to 64 bytes")]
    AgentName {
        /// The name given.
        name: String,
    },

    /// The kernel is too old for the programs.
    #[error("the kernel is {running}, and lacks {lacking}; VIPs by eBPF need Linux 5.12 or later")]
    Kernel {
        /// Version that runs.
        running: String,
        /// What it lacks, each with the version that has it.
        lacking: String,
    },

    /// The kernel does not describe its types.
    #[error("{path}: missing; VIPs by eBPF need a kernel with BTF (CONFIG_DEBUG_INFO_BTF)")]
    NoBtf {
        /// Where it would be.
        path: &'static str,
    },

    /// The kernel does not know a file system that is needed.
    #[error("the kernel knows no file system {name}, which VIPs by eBPF need")]
    NoFileSystem {
        /// As `/proc/filesystems` would have it.
        name: &'static str,
    },

    /// There is no bpffs at the configured place.
    #[error("{path}: no bpffs is mounted there; mount it: mount -t bpf bpf {path}")]
    NoBpffs {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The configured cgroup is not in a cgroup v2 tree.
    #[error("{path}: not in a cgroup v2 tree; {hint}")]
    NoCgroup {
        /// The configured cgroup.
        path: PathBuf,
        /// Where there is one, or how to mount one.
        hint: String,
    },

    /// Another process works on the same agent's data plane.
    #[error("{path}: in use by another process; an agent of this name is already running here")]
    Busy {
        /// The agent's folder in bpffs.
        path: PathBuf,
    },

    /// Another process reads a queue.
    #[error(
        "NFQUEUE {queue}: in use by another process, or CAP_NET_ADMIN is missing; one agent of a \
         network can serve VIPs by NFQUEUE"
    )]
    QueueBusy {
        /// Its number.
        queue: u16,
    },

    /// A queue cannot be had.
    #[error(
        "NFQUEUE {queue}: {source}; the kernel needs CONFIG_NETFILTER_NETLINK_QUEUE (module \
         nfnetlink_queue)"
    )]
    Queue {
        /// Its number.
        queue: u16,
        /// The kernel's answer.
        source: io::Error,
    },

    /// The kernel refused something that was asked by netlink.
    #[error("{step}: {source}")]
    Netlink {
        /// What was being done.
        step: &'static str,
        /// Its answer.
        source: io::Error,
    },

    /// A program is not installed.
    #[error("{name} is not installed; install it: apt-get install {package}")]
    NoProgram {
        /// Its name.
        name: &'static str,
        /// The package of Debian that has it.
        package: &'static str,
    },

    /// A program failed.
    #[error("{command}: {message}")]
    Command {
        /// As one would type it.
        command: String,
        /// What it said.
        message: String,
    },

    /// VIPs can be served by no means.
    #[error("VIPs can be served neither by eBPF ({ebpf}) nor by NFQUEUE ({nfqueue})")]
    NoBackend {
        /// Why not by eBPF.
        ebpf: Box<Error>,
        /// Why not by NFQUEUE.
        nfqueue: Box<Error>,
    },

    /// A file operation failed.
    #[error("{call} {path}: {source}")]
    File {
        /// The system call.
        call: &'static str,
        /// What it was about.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },

    /// A system call that has no path failed.
    #[error("{call}: {source}")]
    Call {
        /// The system call.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },

    /// The embedded object could not be loaded.
    #[error("loading the eBPF object: {}", chain(.source))]
    Load {
        /// The loader's answer.
        #[source]
        source: Box<aya::EbpfError>,
    },

    /// The kernel refused a program, or attaching it.
    #[error("eBPF program {program}: {step}: {}", chain(.source))]
    Program {
        /// Name of the program.
        program: &'static str,
        /// What was being done with it.
        step: &'static str,
        /// The loader's answer, with the verifier's log if it was the verifier.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },

    /// The embedded object has no such program or map: the build is broken.
    #[error("the eBPF object has no {name}")]
    Missing {
        /// Name of the program or map.
        name: &'static str,
    },

    /// A map could not be read or written.
    #[error("map {map}: {call}: {source}")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// The command of bpf(2).
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },

    /// A map has no room for another entry.
    #[error("map {map}: full, all {entries} entries are taken")]
    Full {
        /// Name of the map.
        map: &'static str,
        /// How many entries it has room for.
        entries: usize,
    },

    /// Interfaces are given, and NFQUEUE is asked for, which needs none.
    #[error(
        "--vip-interfaces={interfaces}: only for --vip-backend=ebpf or auto; by NFQUEUE, packets of \
         other machines are served whichever interface they come by: leave it out"
    )]
    NoInterfaces {
        /// As they were given.
        interfaces: String,
    },

    /// The kernel refused a program for interfaces.
    #[error(
        "eBPF program {program}: load: {}; without --vip-interfaces, VIPs are served to this machine's \
         own programs",
        chain(.source)
    )]
    Front {
        /// Name of the program.
        program: &'static str,
        /// The loader's answer, with the verifier's log if it was the verifier.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },

    /// An interface cannot be used.
    #[error("interface {name}: {reason}; this machine's are {there}")]
    Interface {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
        /// Interfaces that there are, with their addresses.
        there: String,
    },

    /// The agent's address is none that packets to other machines can come from.
    #[error(
        "agent address {address}: no interface that other machines reach has it, so answers to \
         forwarded packets could not come back; give the agent one of this machine's addresses \
         (--ip): {there}"
    )]
    Source {
        /// The agent's address.
        address: std::net::IpAddr,
        /// Interfaces that there are, with their addresses.
        there: String,
    },

    /// Another XDP program is at an interface.
    #[error(
        "interface {interface}: another XDP program is attached to it (see bpftool net show dev \
         {interface}); remove that one (ip link set dev {interface} xdp off, or whoever attached \
         it), or have VIPs forwarded without XDP: {interface}:tc"
    )]
    Occupied {
        /// Its name.
        interface: String,
    },

    /// A program could not be attached to an interface.
    #[error("interface {interface}: {call}: {}", chain(source))]
    Attach {
        /// Its name.
        interface: String,
        /// The command.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },

    /// A map could not be pinned.
    #[error("map {map}: pin at {path}: {}", chain(.source))]
    Pin {
        /// Name of the map.
        map: &'static str,
        /// Where.
        path: PathBuf,
        /// The loader's answer.
        #[source]
        source: Box<aya::pin::PinError>,
    },
}

/// An error and all its causes, in one line: aya's own say little without them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

// === impl Error ===

impl Error {
    /// True if a map has no room for another entry.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// True if it is the kernel that lacks something, so that no setting would help.
    pub(crate) fn is_lacking(&self) -> bool {
        matches!(
            self,
            Self::Kernel { .. }
                | Self::NoBtf { .. }
                | Self::NoFileSystem { .. }
                | Self::Load { .. }
                | Self::Program { .. }
        )
    }

    pub(crate) fn file(
        call: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { call, path, source }
    }
}
