//! The data plane of one agent, by whichever means.

use std::{net::SocketAddr, path::Path};

use muster_api::muster::{Protocol, Vip, VipKey};
use tracing::{error, info, warn};

use crate::{
    Changes, Config, Error, Interfaces, Skips, Snapshot, VipBackend, VipStatus,
    nfqueue::{self, Nfqueue, Retiring},
    plane::{EbpfPlane, endpoint},
    platform::{self, features::Feature},
    view::News,
};

/// The data plane of one agent, open in one process.
///
/// Dropping it changes nothing in the kernel, and the next [`DataPlane::open`] takes over. By
/// eBPF, VIPs are served meanwhile; by NFQUEUE, connections go on and new ones wait.
pub struct DataPlane {
    active: Active,
    former: Option<Former>,
    config: Config,
}

/// What serves VIPs.
enum Active {
    Ebpf(Box<EbpfPlane>),
    Nfqueue(Box<Nfqueue>),
}

/// What served them when the agent ran with another `--vip-backend`.
enum Former {
    Ebpf,
    Nfqueue(Retiring),
}

// === impl DataPlane ===

impl DataPlane {
    /// Opens an agent's data plane, taking over what an earlier process left, and putting right
    /// what it left unfinished.
    ///
    /// What an earlier process served by the other means goes on being served until the first
    /// [`reconcile`](Self::reconcile).
    ///
    /// # Errors
    ///
    /// What the machine lacks and how to get it: [`Error::Kernel`], [`Error::NoBtf`],
    /// [`Error::NoBpffs`], [`Error::NoCgroup`], [`Error::NoProgram`], [`Error::NoBackend`];
    /// [`Error::Busy`] or [`Error::QueueBusy`] if another process has it open; or what the
    /// kernel refused. Of the interfaces: [`Error::NoInterfaces`], [`Error::Interface`],
    /// [`Error::Source`], [`Error::Front`], [`Error::Occupied`], [`Error::Attach`].
    pub fn open(config: &Config) -> Result<Self, Error> {
        Self::open_without(config, &platform::lacking()?)
    }

    /// As [`open`](Self::open) on a kernel that lacks these [`FEATURES`](crate::FEATURES), whichever runs.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_without(config: &Config, lacking: &[Feature]) -> Result<Self, Error> {
        let interfaces = &config.forward.interfaces;
        if config.backend == VipBackend::Nfqueue && *interfaces != Interfaces::None {
            return Err(Error::NoInterfaces { interfaces: interfaces.to_string() });
        }
        let active = match config.backend {
            VipBackend::Ebpf => Active::Ebpf(Box::new(EbpfPlane::open(config, lacking)?)),
            VipBackend::Nfqueue => Active::Nfqueue(Box::new(Nfqueue::open(config)?)),
            VipBackend::Auto => choose(config, lacking)?,
        };
        let former = match active {
            Active::Ebpf(_) => former_nfqueue(config),
            Active::Nfqueue(_) => EbpfPlane::exists(config)?.then_some(Former::Ebpf),
        };
        Ok(Self { active, former, config: config.clone() })
    }

    /// By what VIPs are served; never [`VipBackend::Auto`].
    pub fn backend(&self) -> VipBackend {
        match self.active {
            Active::Ebpf(_) => VipBackend::Ebpf,
            Active::Nfqueue(_) => VipBackend::Nfqueue,
        }
    }

    /// Says which agent this is in the cluster: backends of its tasks are on this machine,
    /// whatever their address. Counts from the next [`reconcile`](Self::reconcile) on.
    pub fn set_agent_id(&mut self, agent_id: &str) {
        if let Active::Ebpf(plane) = &mut self.active {
            plane.set_agent_id(agent_id);
        }
    }

    /// Has the processes of one more cgroup see the VIPs, for as long as this agent's pins are there:
    /// that of containers which others make. It is made if it is missing, and attached to anew if
    /// others have removed it meanwhile: to be called before each of its containers is. Nothing by
    /// NFQUEUE, which takes no cgroup.
    ///
    /// # Errors
    ///
    /// [`Error::NoCgroup`], [`Error::File`].
    pub fn also_serve(&self, cgroup: &Path) -> Result<(), Error> {
        match &self.active {
            Active::Ebpf(plane) => plane.also_serve(cgroup),
            Active::Nfqueue(_) => Ok(()),
        }
    }

    /// Looks again at this machine's interfaces and addresses: what has come since is attached to
    /// and known. Nothing if no interface is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], [`Error::Attach`], [`Error::Occupied`]. VIPs of this machine's own programs
    /// are served all the same.
    pub fn refresh(&mut self) -> Result<(), Error> {
        match &mut self.active {
            Active::Ebpf(plane) => plane.refresh(),
            Active::Nfqueue(_) => Ok(()),
        }
    }

    /// What became of the packets that were forwarded, or were not, by name, since the maps were
    /// made. All are numbers of packets, but for `opened` and `displaced`, which are of flows. None
    /// by NFQUEUE, where the kernel forwards.
    ///
    /// # Errors
    ///
    /// [`Error::Map`].
    pub fn forwarded(&self) -> Result<Vec<(&'static str, u64)>, Error> {
        match &self.active {
            Active::Ebpf(plane) => plane.forwarded(),
            Active::Nfqueue(_) => Ok(Vec::new()),
        }
    }

    /// Makes the kernel serve exactly these VIPs.
    ///
    /// Writes only what differs, so it may be called any number of times with the same view. What
    /// the kernel has is known from the last time, and read the first time, after anything went wrong,
    /// and after [`read_again`](Self::read_again). A connection sees each VIP either with its old backends or with its new ones. A VIP whose
    /// backends are all of weight 0, or that has none, refuses connections (`ECONNREFUSED`).
    /// Parts of the view that cannot be applied are named in [`Changes::skipped`]; everything
    /// else is applied. What served VIPs by the other means is then given up.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], [`Error::Command`]. The next call goes on from whatever was reached.
    pub fn reconcile(&mut self, vips: &[Vip]) -> Result<Changes, Error> {
        self.take(News::Whole(vips))
    }

    /// As [`reconcile`](Self::reconcile) with the view of the last time, without those VIPs that are
    /// `removed`, and with those that are `changed` or added.
    ///
    /// By eBPF it costs what has changed, however many VIPs there are: of each map that a change of one
    /// backend concerns, one call writes. A [`reconcile`](Self::reconcile) has to come before the first,
    /// after an error, and after [`set_agent_id`](Self::set_agent_id) with another id.
    ///
    /// # Errors
    ///
    /// As [`reconcile`](Self::reconcile).
    pub fn update(&mut self, changed: &[Vip], removed: &[VipKey]) -> Result<Changes, Error> {
        self.take(News::Change { changed, removed })
    }

    fn take(&mut self, news: News<'_>) -> Result<Changes, Error> {
        let changes = match &mut self.active {
            Active::Ebpf(plane) => plane.reconcile(news),
            Active::Nfqueue(plane) => plane.reconcile(news),
        }?;
        self.former = self.former.take().and_then(|former| former.give_up(&self.config, news));
        Ok(changes)
    }

    /// Lets the next [`reconcile`](Self::reconcile) read what the kernel has, and so undo what
    /// others changed in it; and removes what dead agents have left. To be called each minute or so, which also tells other
    /// agents that this one lives: the reading takes as long as the maps are large.
    pub fn read_again(&mut self) {
        match &mut self.active {
            Active::Ebpf(plane) => plane.read_again(),
            // It puts its rules back each time.
            Active::Nfqueue(_) => {}
        }
    }

    /// Every VIP as it is served, with what was counted, sorted by address.
    ///
    /// # Errors
    ///
    /// [`Error::Map`].
    pub fn vips(&self) -> Result<Vec<VipStatus>, Error> {
        Ok(self.snapshot()?.vips)
    }

    /// All that there is to tell, read once.
    ///
    /// # Errors
    ///
    /// [`Error::Map`].
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        match &self.active {
            Active::Ebpf(plane) => plane.snapshot(),
            Active::Nfqueue(plane) => plane.snapshot(),
        }
    }

    /// What of the view of the last [`reconcile`](Self::reconcile) is not applied.
    pub fn skips(&self) -> &Skips {
        match &self.active {
            Active::Ebpf(plane) => plane.skips(),
            Active::Nfqueue(plane) => plane.skips(),
        }
    }

    /// One VIP, or `None` if there is none at this address.
    ///
    /// # Errors
    ///
    /// [`Error::Map`].
    pub fn vip(&self, address: SocketAddr, protocol: Protocol) -> Result<Option<VipStatus>, Error> {
        match &self.active {
            Active::Ebpf(plane) => plane.vip(address, protocol),
            Active::Nfqueue(plane) => {
                endpoint(address, protocol).map_or(Ok(None), |vip| plane.vip(vip))
            }
        }
    }

    /// Removes everything of an agent, whichever means served its VIPs, and its cgroup if
    /// nothing is in it. An agent that has nothing is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] or [`Error::QueueBusy`] if a process has it open; [`Error::NoBpffs`];
    /// [`Error::File`]; [`Error::Command`].
    pub fn remove(config: &Config) -> Result<(), Error> {
        match nfqueue::remove() {
            // Another agent of this network serves its VIPs by NFQUEUE.
            Err(Error::QueueBusy { .. }) if config.backend != VipBackend::Nfqueue => {}
            result => result?,
        }
        match EbpfPlane::remove(config) {
            // Then there is nothing to remove.
            Err(Error::NoBpffs { .. })
                if config.backend == VipBackend::Nfqueue || !platform::knows_bpffs() =>
            {
                Ok(())
            }
            result => result,
        }
    }
}

/// eBPF, unless this kernel lacks what it takes.
fn choose(config: &Config, lacking: &[Feature]) -> Result<Active, Error> {
    let lacking = match EbpfPlane::open(config, lacking) {
        Ok(plane) => {
            let (kernel, programs) = (platform::kernel(), EbpfPlane::programs());
            info!(
                "VIPs are served by eBPF: Linux {kernel} has BTF, bpffs and cgroup v2, and has \
                 taken all {programs} programs"
            );
            return Ok(Active::Ebpf(Box::new(plane)));
        }
        Err(error) if error.is_lacking() => error,
        Err(error) => return Err(error),
    };
    match Nfqueue::open(config) {
        Ok(plane) => {
            warn!("VIPs are served by NFQUEUE, TCP over IPv4 only, as eBPF cannot be: {lacking}");
            let interfaces = &config.forward.interfaces;
            if *interfaces != Interfaces::None {
                warn!(%interfaces, "vip-interfaces is ignored: by NFQUEUE it may be any interface");
            }
            Ok(Active::Nfqueue(Box::new(plane)))
        }
        Err(nfqueue) => {
            Err(Error::NoBackend { ebpf: Box::new(lacking), nfqueue: Box::new(nfqueue) })
        }
    }
}

/// What there is of NFQUEUE in this network, unless it is another agent's.
fn former_nfqueue(config: &Config) -> Option<Former> {
    match nfqueue::exists().and_then(|exists| exists.then(|| Nfqueue::open(config)).transpose()) {
        Ok(plane) => plane.map(Retiring::new).map(Former::Nfqueue),
        Err(Error::QueueBusy { .. }) => {
            info!("another agent of this network serves its VIPs by NFQUEUE");
            None
        }
        // VIPs are served all the same.
        Err(error) => {
            error!(%error, "what is left of NFQUEUE cannot be removed");
            None
        }
    }
}

// === impl Former ===

impl Former {
    /// Gives up what is not needed any more now that others serve this view. What is left of
    /// it, if anything.
    fn give_up(self, config: &Config, news: News<'_>) -> Option<Self> {
        match self {
            Self::Ebpf => match EbpfPlane::unpin(config) {
                Ok(()) => {
                    info!("VIPs are no longer served by eBPF; its connections go on");
                    None
                }
                Err(error) => {
                    error!(%error, "what is left of eBPF cannot be removed");
                    Some(self)
                }
            },
            Self::Nfqueue(mut retiring) => {
                if let Err(error) = retiring.follow(news) {
                    error!(%error, "NFQUEUE, which is being given up, has old backends");
                }
                Some(Self::Nfqueue(retiring))
            }
        }
    }
}
