//! The interfaces that packets to VIPs come by, and the programs there.

mod addresses;
mod attach;
mod device;
mod events;
mod filter;
mod interfaces;
mod pin;
mod sysctl;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use aya::{Ebpf, programs::Program};
use muster_packet::MAX_TRACKED;
use tracing::warn;

use crate::{
    Error,
    platform::features::{Feature, Need, has},
    tables::Tables,
};

pub use events::InterfaceEvents;
pub use interfaces::{Interface, Interfaces, InterfacesError, Means};

pub(crate) use addresses::Addresses;
pub(crate) use device::Devices;
pub(crate) use pin::{Kind, release};

/// What an agent's data plane does with packets that other machines send to VIPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The interfaces that they come by.
    pub interfaces: Interfaces,
    /// The agent's address, which packets to backends on other machines come from.
    pub address: IpAddr,
    /// How many flows are remembered at a time: the next power of two, each of which takes 96 bytes. Nothing is
    /// taken where no interface is given. 1,024 to 4,194,304.
    pub flows: u32,
    /// How many flows each processor may begin in a second; 0 for no limit.
    pub new_flows: u32,
}

/// The programs, loaded, for interfaces as they come and go.
pub(crate) struct Front {
    config: Forward,
    object: Ebpf,
    /// False if the kernel does not take the program for XDP.
    takes_xdp: bool,
    /// Interfaces of which it has been said that they are not there.
    missing: BTreeSet<String>,
    /// True of each family, IPv4 first, of which it has been looked at what its VIPs need.
    looked_at: [bool; 2],
    /// Pins of what this process has attached, by interface, and the interface's index.
    attached: BTreeMap<String, (u32, Vec<PathBuf>)>,
}

/// The programs in the object: at XDP, at tc ingress, at tc egress.
const PROGRAMS: [&str; 3] = [XDP, INGRESS, EGRESS];
const XDP: &str = "forward";
const INGRESS: &str = "forward_tc";
const EGRESS: &str = "reply";

// === impl Forward ===

impl Default for Forward {
    fn default() -> Self {
        Self {
            interfaces: Interfaces::None,
            address: IpAddr::from([0, 0, 0, 0]),
            flows: Self::DEFAULT_FLOWS,
            new_flows: Self::DEFAULT_NEW_FLOWS,
        }
    }
}

impl Forward {
    /// How many flows are remembered unless something else is said.
    pub const DEFAULT_FLOWS: u32 = 1 << MAX_TRACKED.trailing_zeros();

    /// How many flows each processor may begin in a second unless something else is said: as many as with Katran.
    pub const DEFAULT_NEW_FLOWS: u32 = 125_000;

    /// How many each may begin in a unit of the programs' time, of 2^30 ns; 0 for no limit.
    pub(crate) fn most_new(&self) -> u32 {
        let most = (u64::from(self.new_flows) << 30) / 1_000_000_000;
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// How many flows there is to be room for; 0 if nothing is forwarded.
    pub(crate) fn tracked(&self) -> u32 {
        match self.interfaces {
            Interfaces::None => 0,
            // Larger tables have places that no index entry can name.
            _ => self.flows.clamp(2, 1 << 30).next_power_of_two(),
        }
    }

    /// Makes the maps say which addresses are this machine's, its containers' and VIPs'.
    pub(crate) fn know(&self, tables: &mut Tables, view: &Addresses) -> Result<(), Error> {
        let devices = Devices::read()?;
        addresses::set_forwarding(tables, self, &devices)?;
        addresses::set_known(tables, view, &devices)
    }

    /// As [`know`](Self::know), where nothing but the view has changed since the last time.
    pub(crate) fn follow(tables: &mut Tables, view: &Addresses) -> Result<(), Error> {
        if view.have_changed() {
            addresses::set_changed(tables, view, &Devices::read()?)?;
        }
        Ok(())
    }

    /// The interfaces, and how they are caught; none if none is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Interface`] or [`Error::Source`], with what there is instead.
    pub(crate) fn interfaces(&self, devices: &Devices) -> Result<Vec<Interface>, Error> {
        let named = match &self.interfaces {
            Interfaces::None => return Ok(Vec::new()),
            Interfaces::Named(named) => named.clone(),
            Interfaces::Auto => {
                let having = devices.having(self.address).filter(|(_, device)| !device.loopback);
                let (name, _) = having.ok_or_else(|| self.no_source(devices))?;
                vec![Interface { name: name.to_owned(), means: Means::Best }]
            }
        };
        for interface in &named {
            let refuse = |reason| Error::Interface {
                name: interface.name.clone(),
                reason,
                there: devices.text(),
            };
            match devices.get(&interface.name) {
                None => return Err(refuse("there is no such interface")),
                Some(device) if device.loopback => {
                    return Err(refuse(
                        "no other machine's packets come by the loopback interface",
                    ));
                }
                Some(_) => {}
            }
        }
        if devices.having(self.address).is_none_or(|(_, device)| device.loopback) {
            return Err(self.no_source(devices));
        }
        Ok(named)
    }

    fn no_source(&self, devices: &Devices) -> Error {
        Error::Source { address: self.address, there: devices.text() }
    }
}

// === impl Front ===

impl Front {
    /// Has the kernel verify the programs, and fills the maps that they need. Nothing is attached
    /// yet. `None` if no interface is asked for.
    pub(crate) fn load(
        config: &Forward,
        object: &mut Ebpf,
        tables: &mut Tables,
        lacking: &[Feature],
    ) -> Result<bool, Error> {
        let devices = Devices::read()?;
        let interfaces = config.interfaces(&devices)?;
        if interfaces.is_empty() {
            return Ok(false);
        }
        let takes_xdp = has(lacking, Need::Fragments);
        let by_xdp =
            |interface: &&Interface| matches!(interface.means, Means::Native | Means::Generic);
        if let Some(interface) = interfaces.iter().find(by_xdp).filter(|_| !takes_xdp) {
            return Err(Error::Interface {
                name: interface.name.clone(),
                reason: "by XDP it needs packets in several buffers (Linux 5.18), which this kernel lacks; name the \
                         interface alone, or with :tc",
                there: devices.text(),
            });
        }
        for name in PROGRAMS.into_iter().filter(|name| takes_xdp || *name != XDP) {
            let program = object.program_mut(name).ok_or(Error::Missing { name })?;
            let loaded = match program {
                Program::Xdp(program) => program.load(),
                Program::SchedClassifier(program) => program.load(),
                _ => return Err(Error::Missing { name }),
            };
            loaded.map_err(|source| Error::Front { program: name, source: Box::new(source) })?;
        }
        addresses::set_forwarding(tables, config, &devices)?;
        addresses::add_own(tables, &devices)?;
        for interface in &interfaces {
            sysctl::check(&interface.name, config.address);
        }
        Ok(true)
    }

    /// Keeps the object whose programs [`load`](Self::load) has loaded.
    pub(crate) fn new(config: &Forward, object: Ebpf, lacking: &[Feature]) -> Self {
        // The agent's own is looked at when the programs are loaded.
        let is_v4 = config.address.is_ipv4();
        Self {
            config: config.clone(),
            object,
            takes_xdp: has(lacking, Need::Fragments),
            missing: BTreeSet::new(),
            looked_at: [is_v4, !is_v4],
            attached: BTreeMap::new(),
        }
    }

    /// Says what this machine lacks for VIPs of the family that the agent's address is not of, once there are some.
    pub(crate) fn look_at(&mut self, view: &Addresses) -> Result<(), Error> {
        for (is_v4, looked_at) in [true, false].into_iter().zip(&mut self.looked_at) {
            if *looked_at || !view.has(is_v4) {
                continue;
            }
            *looked_at = true;
            for interface in self.attached.keys() {
                sysctl::check_family(interface, is_v4);
            }
            let (v4, v6) = addresses::sources(self.config.address, &Devices::read()?);
            let has_source = if is_v4 { v4.is_some() } else { v6.is_some() };
            if !has_source {
                let family = if is_v4 { "IPv4" } else { "IPv6" };
                warn!(
                    address = %self.config.address,
                    "the interface that has the agent's address has none of {family} that others reach: packets \
                     to {family} VIPs with backends on other machines are dropped; give it one"
                );
            }
        }
        Ok(())
    }

    /// Makes exactly the interfaces that are asked for run these programs. One that is not there
    /// is left for later.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] if another's program is at one; what the kernel refused.
    pub(crate) fn attach(&mut self, links: &Path) -> Result<(), Error> {
        fs::create_dir_all(links).map_err(Error::file("mkdir", links))?;
        let devices = Devices::read()?;
        let wanted = match &self.config.interfaces {
            Interfaces::Named(named) => named.clone(),
            _ => self.config.interfaces(&devices)?,
        };
        let mut pins = BTreeSet::new();
        for interface in &wanted {
            let Some(device) = devices.get(&interface.name) else {
                if self.missing.insert(interface.name.clone()) {
                    warn!(
                        interface = interface.name,
                        "the interface is gone; its packets to VIPs are forwarded again when it is back"
                    );
                }
                continue;
            };
            self.missing.remove(&interface.name);
            let former = self.attached.remove(&interface.name);
            let whole = former.filter(|(index, pins)| {
                *index == device.index && pins.iter().all(|pin| attach::holds(pin, *index))
            });
            let made = if let Some((_, made)) = whole {
                // Drivers may take their time to replace a program, even by itself.
                made
            } else {
                let (object, takes_xdp) = (&mut self.object, self.takes_xdp);
                attach::attach(interface, device.index, object, takes_xdp, links)?
            };
            pins.extend(made.iter().cloned());
            self.attached.insert(interface.name.clone(), (device.index, made));
        }
        release(links, &pins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(interfaces: &str) -> Forward {
        let (interfaces, address) = (interfaces.parse().unwrap(), "127.0.0.1".parse().unwrap());
        Forward { interfaces, address, ..Forward::default() }
    }

    #[test]
    fn flows_are_a_power_of_two_and_none_where_nothing_is_forwarded() {
        let tracked = |interfaces, flows| Forward { flows, ..forward(interfaces) }.tracked();
        assert_eq!(tracked("none", 70_000), 0);
        assert_eq!(tracked("auto", 70_000), 131_072);
        assert_eq!(tracked("eth0", Forward::DEFAULT_FLOWS), 65_536);
        assert_eq!((tracked("eth0", 0), tracked("eth0", u32::MAX)), (2, 1 << 30));
    }

    #[test]
    fn limit_of_new_flows_is_by_the_second() {
        let most_new = |new_flows| Forward { new_flows, ..forward("auto") }.most_new();
        assert_eq!((most_new(0), most_new(1)), (0, 1));
        assert_eq!(most_new(Forward::DEFAULT_NEW_FLOWS), 134_217);
        assert_eq!(most_new(u32::MAX), u32::MAX);
    }

    #[test]
    fn interfaces_that_cannot_be_meant_are_named_with_those_there_are() {
        let devices = Devices::read().unwrap();
        let error =
            |interfaces: &str| forward(interfaces).interfaces(&devices).unwrap_err().to_string();
        let unknown = error("no-such-eth");
        assert!(unknown.contains("no-such-eth") && unknown.contains("lo ("), "{unknown}");
        assert!(error("lo").contains("loopback"), "{}", error("lo"));
        assert!(forward("none").interfaces(&devices).unwrap().is_empty());
    }
}
