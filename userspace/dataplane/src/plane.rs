//! The data plane of one agent, by eBPF.

mod show;

use std::{collections::BTreeSet, fs, io, path::Path};

use aya::Ebpf;
use tracing::{info, warn};

pub(crate) use show::{endpoint, now_ns};

use crate::{
    Changes, Config, Error, Forward, Skips, apply,
    current::Current,
    flows::Flows,
    forwarded::Refusals,
    front::{self, Front},
    hook::HOOKS,
    lock::Lock,
    object,
    pins::Pins,
    plan::{self, Plan, Rules},
    platform::{
        self,
        features::{Feature, Need},
    },
    skips::Told,
    stale,
    tables::Tables,
    view::{News, View},
};

/// The data plane of one agent by eBPF, open in one process.
///
/// Dropping it changes nothing in the kernel: VIPs are served on, and the next
/// [`EbpfPlane::open`] takes over.
pub(crate) struct EbpfPlane {
    config: Config,
    pins: Pins,
    tables: Tables,
    /// What the maps say, as far as is known: what was read and has been written since. Only one
    /// process writes.
    known: Option<Current>,
    /// True if others may have changed the maps since.
    read_again: bool,
    /// True if they say all that the view says: then only what changes in it need be looked at.
    settled: bool,
    view: View,
    /// Programs that wait for their maps to be filled before they replace the attached ones.
    staged: Option<Ebpf>,
    skips: Skips,
    told: Told,
    refusals: Refusals,
    /// True if an interface is asked for.
    forwards: bool,
    /// What the kernel lacks and is done without.
    lacking: Vec<Feature>,
    /// The tables of flows, until they are used by the attached programs.
    flows: Option<Flows>,
    /// The programs for interfaces, if any is asked for.
    front: Option<Front>,
    /// Whose containers are at addresses of their own on this machine.
    agent_id: String,
    _lock: Lock,
}

// === impl EbpfPlane ===

impl EbpfPlane {
    /// Opens an agent's data plane: loads and attaches the programs, or takes over what an
    /// earlier process left, putting right what it left unfinished.
    ///
    /// VIPs that are being served are served throughout. Pinned maps of the same layout are
    /// used on; programs are replaced in place. Maps of another layout are replaced after
    /// the first [`reconcile`](Self::reconcile) has filled the new ones.
    ///
    /// # Errors
    ///
    /// What the machine lacks and how to get it ([`Error::Kernel`], [`Error::NoBpffs`],
    /// [`Error::NoCgroup`]), [`Error::Busy`] if another process has it open, or what the kernel
    /// refused.
    pub(crate) fn open(config: &Config, lacking: &[Feature]) -> Result<Self, Error> {
        platform::prepare(config, lacking)?;
        let pins = Pins::new(config.directory()?);
        let lock = Lock::take(pins.directory())?;
        pins.use_now()?;
        // Not before: until then another agent may take it for a dead one's.
        platform::make_cgroup(&config.cgroup)?;
        stale::remove(pins.directory(), &config.cgroup);

        let adopt = pins.adoptable();
        let flows = Flows::find(&pins, &config.forward)?;
        let mut object = object::load(&pins, adopt, &flows, lacking)?;
        let mut tables = Tables::take(&mut object)?;
        flows.begin(&mut tables)?;
        let forwards = Front::load(&config.forward, &mut object, &mut tables, lacking)?;
        let is_missed = |feature: &&Feature| forwards || feature.need != Need::Fragments;
        let lacking: Vec<Feature> = lacking.iter().filter(is_missed).copied().collect();
        for line in lacking.iter().filter_map(Feature::consequence) {
            warn!("the kernel lacks {line}");
        }
        let mut plane = Self {
            config: config.clone(),
            pins,
            tables,
            known: None,
            read_again: false,
            settled: false,
            view: View::default(),
            staged: None,
            skips: Skips::default(),
            told: Told::default(),
            refusals: Refusals::default(),
            forwards,
            lacking,
            flows: Some(flows),
            front: None,
            agent_id: String::new(),
            _lock: lock,
        };
        if adopt {
            info!(agent = config.agent, "adopted the pinned maps");
            plane.attach(object)?;
        } else if plane.pins.serving() && plane.pins.any_maps() {
            info!(
                agent = config.agent,
                "the pinned maps have another layout; they serve until new ones are filled"
            );
            plane.staged = Some(object);
        } else {
            plane.pins.pin_maps(&mut object, &plane.tables)?;
            plane.attach(object)?;
        }
        Ok(plane)
    }

    /// Makes the maps that have been filled the agent's maps, and the programs that read them the
    /// attached ones, if that has not been done. An error leaves it for the next time.
    fn publish(&mut self) -> Result<(), Error> {
        let Some(mut object) = self.staged.take() else { return Ok(()) };
        if let Err(error) = self.put(&mut object) {
            self.staged = Some(object);
            return Err(error);
        }
        info!(agent = self.config.agent, "replaced the maps of another layout");
        self.attach_front(object)
    }

    /// Makes the object's maps the agent's, and its programs on the cgroup the attached ones.
    fn put(&mut self, object: &mut Ebpf) -> Result<(), Error> {
        self.pins.pin_maps(object, &self.tables)?;
        self.pins.attach(object, &self.config.cgroup)?;
        self.keep_flows(object)
    }

    /// Has the processes of another cgroup see the VIPs; see [`DataPlane::also_serve`].
    ///
    /// [`DataPlane::also_serve`]: crate::DataPlane::also_serve
    pub(crate) fn also_serve(&self, cgroup: &Path) -> Result<(), Error> {
        self.pins.also(cgroup)
    }

    /// Makes the object's programs the attached ones.
    fn attach(&mut self, mut object: Ebpf) -> Result<(), Error> {
        self.pins.attach(&mut object, &self.config.cgroup)?;
        self.keep_flows(&mut object)?;
        self.attach_front(object)
    }

    /// Makes the tables of flows that the attached programs use the pinned ones.
    fn keep_flows(&mut self, object: &mut Ebpf) -> Result<(), Error> {
        self.pins.sweep_flows()?;
        if let Some(flows) = self.flows.as_ref().filter(|flows| !flows.keeps()) {
            flows.carry(&mut self.tables)?;
            self.pins.pin_flows(object, &self.tables)?;
        }
        self.flows = None;
        Ok(())
    }

    /// Makes the object's programs those of the interfaces that are asked for.
    fn attach_front(&mut self, object: Ebpf) -> Result<(), Error> {
        if self.forwards {
            let front = self.front.insert(Front::new(&self.config.forward, object, &self.lacking));
            front.attach(&self.pins.links())
        } else {
            front::release(&self.pins.links(), &BTreeSet::new())
        }
    }

    /// Says which agent this is in the cluster: backends of its tasks are on this machine, whatever their
    /// address.
    pub(crate) fn set_agent_id(&mut self, agent_id: &str) {
        agent_id.clone_into(&mut self.agent_id);
    }

    /// Looks again at this machine's interfaces and addresses: what has come since is attached to
    /// and known.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], [`Error::Attach`], [`Error::Occupied`]. VIPs of this machine's own programs
    /// are served all the same.
    pub(crate) fn refresh(&mut self) -> Result<(), Error> {
        self.tell_of_refusals()?;
        self.know()?;
        match &mut self.front {
            Some(front) => front.attach(&self.pins.links()),
            None => Ok(()),
        }
    }

    /// Logs if packets were dropped for want of room since this was last asked.
    fn tell_of_refusals(&mut self) -> Result<(), Error> {
        if self.forwards {
            self.refusals.tell(&self.forwarded()?);
        }
        Ok(())
    }

    /// Makes the maps say which addresses are whose.
    fn know(&mut self) -> Result<(), Error> {
        let Some(addresses) = self.view.addresses() else { return Ok(()) };
        self.config.forward.know(&mut self.tables, addresses)?;
        addresses.are_known();
        self.front.as_mut().map_or(Ok(()), |front| front.look_at(addresses))
    }

    /// As [`know`](Self::know), where nothing but the view has changed.
    fn follow_addresses(&mut self) -> Result<(), Error> {
        let Some(addresses) = self.view.addresses() else { return Ok(()) };
        Forward::follow(&mut self.tables, addresses)?;
        addresses.are_known();
        self.front.as_mut().map_or(Ok(()), |front| front.look_at(addresses))
    }

    /// Makes the kernel serve exactly the VIPs of the view.
    ///
    /// Writes only what differs from what the maps say, so it may be called any number of times
    /// with the same view. The maps are read the first time, after anything went wrong, and
    /// when [`read_again`](Self::read_again) asked for it. A connection sees each VIP either with its old
    /// backends or with its new ones. A VIP whose backends are all of weight 0, or that has
    /// none, refuses connections (`ECONNREFUSED`). Parts of the view that cannot be applied
    /// are named in [`Changes::skipped`]; everything else is applied.
    ///
    /// A change of the view costs what it has in it, however many VIPs there are, unless the maps are to
    /// be read, or do not say all of the view, as for want of room.
    ///
    /// # Errors
    ///
    /// [`Error::Map`] if the maps cannot be read or shrunk; the view is the new one all the same. The next
    /// call goes on from whatever was reached.
    pub(crate) fn reconcile(&mut self, news: News<'_>) -> Result<Changes, Error> {
        let agent_id = self.forwards.then_some(self.agent_id.as_str());
        let touched = self.view.take(news, agent_id);
        let settled = std::mem::take(&mut self.settled) && !self.read_again;
        let touched = touched.filter(|_| settled);
        // Known before it is used; if there is no room, programs of this machine are served all the same.
        let known = if touched.is_some() { self.follow_addresses() } else { self.know() };
        let knows = known.is_ok();
        if let Err(error) = known {
            warn!(%error, "packets of other machines to VIPs may not be forwarded");
        }
        // Whatever goes wrong, they are read the next time.
        let current = match self.known.take() {
            Some(current) if !self.read_again => current,
            known => Current::read(&self.tables, known.map(Current::into_pages))?,
        };
        let rules = Rules { policy: self.config.policy, forward: self.forwards };
        let plan = if let Some(touched) = &touched {
            let vips: Vec<_> = touched.iter().map(|vip| (*vip, self.view.wanted(vip))).collect();
            let others = self.view.len() - vips.iter().filter(|(_, vip)| vip.is_some()).count();
            let plan = plan::plan(&current, &vips, rules);
            Plan { unchanged: plan.unchanged + others, ..plan }
        } else {
            let all = plan::all(&current, self.view.vips());
            Plan { is_whole: true, ..plan::plan(&current, &all, rules) }
        };
        let settles = plan.settles();
        let (mut changes, current) = apply::apply(&mut self.tables, current, plan)?;
        self.known = Some(current);
        // A map may be full of what others wrote.
        self.read_again = changes.skipped.iter().any(|part| part.error().is_some());
        self.settled = settles && knows && !self.read_again;
        changes.skipped.splice(0..0, self.view.skipped());
        self.skips = Skips::of(&changes.skipped);
        self.told.tell(&changes.skipped);
        self.tell_of_refusals()?;
        if self.staged.is_some() {
            self.publish()?;
        } else if touched.is_none()
            && let Some(front) = &mut self.front
            && let Err(error) = front.attach(&self.pins.links())
        {
            warn!(%error, "packets of other machines to VIPs may not be forwarded");
        }
        Ok(changes)
    }

    /// Lets the next [`reconcile`](Self::reconcile) read the maps, and so undo what others did to them; says that this
    /// agent is alive, and removes what those have left that are not.
    pub(crate) fn read_again(&mut self) {
        self.read_again = true;
        if let Err(error) = self.pins.use_now() {
            warn!(%error, "other agents may take this one for dead when it ends");
        }
        stale::remove(self.pins.directory(), &self.config.cgroup);
    }

    /// What of the view of the last [`reconcile`](Self::reconcile) is not applied.
    pub(crate) fn skips(&self) -> &Skips {
        &self.skips
    }

    /// True if anything of an agent is pinned.
    ///
    /// # Errors
    ///
    /// [`Error::AgentName`].
    pub(crate) fn exists(config: &Config) -> Result<bool, Error> {
        Ok(platform::check_bpffs(&config.bpffs).is_ok() && config.directory()?.exists())
    }

    /// How many programs there are.
    pub(crate) fn programs() -> usize {
        HOOKS.len()
    }

    /// Detaches and unpins everything of an agent.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub(crate) fn unpin(config: &Config) -> Result<(), Error> {
        platform::check_bpffs(&config.bpffs)?;
        let directory = config.directory()?;
        if directory.exists() {
            let _lock = Lock::take(&directory)?;
            Pins::new(directory).remove()?;
        }
        Ok(())
    }

    /// Detaches and unpins everything of an agent, and removes its cgroup if nothing is in
    /// it. An agent that has nothing is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if a process has it open; [`Error::NoBpffs`]; [`Error::File`].
    pub(crate) fn remove(config: &Config) -> Result<(), Error> {
        Self::unpin(config)?;
        // Others may have things in these.
        for shared in [config.bpffs.join("muster"), config.cgroup.clone()] {
            match fs::remove_dir(&shared) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        io::ErrorKind::NotFound
                            | io::ErrorKind::DirectoryNotEmpty
                            | io::ErrorKind::ResourceBusy
                    ) =>
                {
                    return Err(Error::file("rmdir", shared)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
