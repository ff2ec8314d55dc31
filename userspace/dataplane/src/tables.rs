//! The maps that user space reads and writes, typed and named.

use std::{collections::BTreeMap, io, marker::PhantomData, os::fd::AsFd};

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
};
use muster_packet::{
    Backend, Bucket, Counted, Counters, Endpoint, Forwarding, Handshakes, Known, KnownAddress,
    MAPS, Meta, Networks, Pair, Slot, Tracked, Vip, maglev::MaglevPage,
};
use nix::libc;

use crate::{Error, forwarded, syscall};

/// A hash map of the kernel.
pub(crate) struct Table<K: Pod, V: Pod> {
    name: &'static str,
    map: Map,
    writes: u64,
    kinds: PhantomData<(K, V)>,
}

/// An array of the kernel.
pub(crate) struct Indexed<V: Pod> {
    name: &'static str,
    map: Map,
    writes: u64,
    kind: PhantomData<V>,
}

/// An array of the kernel with one entry.
pub(crate) struct Single<V: Pod> {
    name: &'static str,
    map: Map,
    writes: u64,
    kind: PhantomData<V>,
}

/// An array of the kernel with one entry, of which each processor has its own value.
pub(crate) struct PerProcessor<V: Pod> {
    name: &'static str,
    map: Map,
    kind: PhantomData<V>,
}

/// The maps of one agent.
pub(crate) struct Tables {
    pub(crate) vips: Table<Endpoint, Vip>,
    pub(crate) networks: Single<Networks>,
    pub(crate) backends: Table<Slot, Backend>,
    pub(crate) maglev: Table<Slot, MaglevPage>,
    pub(crate) counted: Table<Pair, Counted>,
    pub(crate) counters: Indexed<Counters>,
    pub(crate) handshakes: Indexed<Handshakes>,
    pub(crate) forwarding: Single<Forwarding>,
    pub(crate) tracked: Indexed<Tracked>,
    pub(crate) track_index: Indexed<Bucket>,
    pub(crate) addresses: Table<KnownAddress, Known>,
    pub(crate) forwarded: PerProcessor<forwarded::Counts>,
}

// === impl Tables ===

impl Tables {
    /// Takes the maps out of a loaded object.
    pub(crate) fn take(object: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            vips: Table::take(object, "vips")?,
            networks: Single::take(object, "networks")?,
            backends: Table::take(object, "backends")?,
            maglev: Table::take(object, "maglev")?,
            counted: Table::take(object, "counted")?,
            counters: Indexed::take(object, "counters")?,
            handshakes: Indexed::take(object, "handshakes")?,
            forwarding: Single::take(object, "forwarding")?,
            tracked: Indexed::take(object, "tracked")?,
            track_index: Indexed::take(object, "track_index")?,
            addresses: Table::take(object, "addresses")?,
            forwarded: PerProcessor::take(object, "forwarded")?,
        })
    }

    /// How many calls have changed each map so far.
    pub(crate) fn writes(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::from([
            (self.vips.name, self.vips.writes),
            (self.networks.name, self.networks.writes),
            (self.backends.name, self.backends.writes),
            (self.maglev.name, self.maglev.writes),
            (self.counted.name, self.counted.writes),
            (self.counters.name, self.counters.writes),
            (self.handshakes.name, self.handshakes.writes),
            (self.forwarding.name, self.forwarding.writes),
            (self.addresses.name, self.addresses.writes),
        ])
    }

    /// The map of this name, if it is one of these.
    pub(crate) fn map(&self, name: &str) -> Option<&Map> {
        [
            (self.vips.name, &self.vips.map),
            (self.networks.name, &self.networks.map),
            (self.backends.name, &self.backends.map),
            (self.maglev.name, &self.maglev.map),
            (self.counted.name, &self.counted.map),
            (self.counters.name, &self.counters.map),
            (self.handshakes.name, &self.handshakes.map),
            (self.forwarding.name, &self.forwarding.map),
            (self.tracked.name, &self.tracked.map),
            (self.track_index.name, &self.track_index.map),
            (self.addresses.name, &self.addresses.map),
            (self.forwarded.name, &self.forwarded.map),
        ]
        .into_iter()
        .find_map(|(of, map)| (of == name).then_some(map))
    }
}

/// Writes the map `meta` of a loaded object.
pub(crate) fn set_meta(object: &mut Ebpf, value: Meta) -> Result<(), Error> {
    let map = object.map_mut("meta").ok_or(Error::Missing { name: "meta" })?;
    let mut meta = Array::<_, Meta>::try_from(map).map_err(named("meta"))?;
    meta.set(0, value, 0).map_err(named("meta"))
}

/// Reads the pinned map `meta`, if it can be.
pub(crate) fn meta(map: MapData) -> Option<Meta> {
    let map = Map::from_map_data(map).ok()?;
    Array::<_, Meta>::try_from(&map).ok()?.get(&0, 0).ok()
}

// === impl Table ===

impl<K: Pod, V: Pod> Table<K, V> {
    fn take(object: &mut Ebpf, name: &'static str) -> Result<Self, Error> {
        let map = object.take_map(name).ok_or(Error::Missing { name })?;
        // Checks kind and sizes once; later conversions cannot fail.
        HashMap::<_, K, V>::try_from(&map).map_err(named(name))?;
        Ok(Self { name, map, writes: 0, kinds: PhantomData })
    }

    /// Everything in the map.
    pub(crate) fn entries(&self) -> Result<Vec<(K, V)>, Error> {
        syscall::entries(self.data()?.fd().as_fd(), usize::MAX).map_err(|source| Error::Map {
            map: self.name,
            call: "BPF_MAP_LOOKUP_BATCH",
            source,
        })
    }

    fn data(&self) -> Result<&MapData, Error> {
        match &self.map {
            Map::HashMap(data) => Ok(data),
            _ => Err(Error::Missing { name: self.name }),
        }
    }

    /// All keys, one by one: for large values.
    pub(crate) fn keys(&self) -> Result<Vec<K>, Error> {
        let map = HashMap::<_, K, V>::try_from(&self.map).map_err(named(self.name))?;
        map.keys().collect::<Result<_, _>>().map_err(named(self.name))
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &K) -> Result<Option<V>, Error> {
        let map = HashMap::<_, K, V>::try_from(&self.map).map_err(named(self.name))?;
        match map.get(key, 0) {
            Ok(value) => Ok(Some(value)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(named(self.name)(error)),
        }
    }

    /// Sets the values of keys, by one call. Says of how many, the first ones; with an error, the next one
    /// is why.
    pub(crate) fn insert_all(&mut self, entries: &[(K, V)]) -> (usize, Result<(), Error>) {
        let (keys, values): (Vec<K>, Vec<V>) = entries.iter().copied().unzip();
        let fd = match self.data() {
            Ok(data) => data.fd(),
            Err(error) => return (0, Err(error)),
        };
        let (done, result) = syscall::update(fd.as_fd(), &keys, &values);
        self.writes += 1;
        (done, result.map_err(batched(self.name, "BPF_MAP_UPDATE_BATCH")))
    }

    /// Removes keys, by one call if all are there; those that are not are no error.
    pub(crate) fn remove_all(&mut self, keys: &[K]) -> Result<(), Error> {
        let mut rest = keys;
        while !rest.is_empty() {
            let (done, result) = syscall::delete(self.data()?.fd().as_fd(), rest);
            self.writes += 1;
            match result {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    rest = rest.get(done + 1..).unwrap_or_default();
                }
                Err(error) => return Err(batched(self.name, "BPF_MAP_DELETE_BATCH")(error)),
            }
        }
        Ok(())
    }

    /// Sets the value of a key.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Result<(), Error> {
        self.writes += 1;
        let mut map = HashMap::<_, K, V>::try_from(&mut self.map).map_err(named(self.name))?;
        map.insert(key, value, 0).map_err(named(self.name))
    }

    /// Removes a key; one that is not there is no error.
    pub(crate) fn remove(&mut self, key: &K) -> Result<(), Error> {
        self.writes += 1;
        let mut map = HashMap::<_, K, V>::try_from(&mut self.map).map_err(named(self.name))?;
        match map.remove(key) {
            Err(error) if is_not_found(&error) => Ok(()),
            other => other.map_err(named(self.name)),
        }
    }
}

// === impl Indexed ===

impl<V: Pod> Indexed<V> {
    fn take(object: &mut Ebpf, name: &'static str) -> Result<Self, Error> {
        let map = object.take_map(name).ok_or(Error::Missing { name })?;
        Array::<_, V>::try_from(&map).map_err(named(name))?;
        Ok(Self { name, map, writes: 0, kind: PhantomData })
    }

    /// A map of another process's.
    pub(crate) fn of(name: &'static str, map: MapData) -> Result<Self, Error> {
        let map = Map::from_map_data(map).map_err(named(name))?;
        Array::<_, V>::try_from(&map).map_err(named(name))?;
        Ok(Self { name, map, writes: 0, kind: PhantomData })
    }

    /// The first values, at least `count` if there are so many.
    pub(crate) fn first(&self, count: usize) -> Result<Vec<V>, Error> {
        let Map::Array(data) = &self.map else { return Err(Error::Missing { name: self.name }) };
        let entries = syscall::entries::<u32, V>(data.fd().as_fd(), count);
        let entries = entries.map_err(|source| Error::Map {
            map: self.name,
            call: "BPF_MAP_LOOKUP_BATCH",
            source,
        })?;
        // They are in order.
        Ok(entries.into_iter().map(|(_, value)| value).collect())
    }

    /// The value at an index.
    pub(crate) fn get(&self, index: u32) -> Result<V, Error> {
        let map = Array::<_, V>::try_from(&self.map).map_err(named(self.name))?;
        map.get(&index, 0).map_err(named(self.name))
    }

    /// Sets the values at indices, by one call.
    pub(crate) fn set_all(&mut self, entries: &[(u32, V)]) -> Result<(), Error> {
        let Map::Array(data) = &self.map else { return Err(Error::Missing { name: self.name }) };
        let (indices, values): (Vec<u32>, Vec<V>) = entries.iter().copied().unzip();
        let (_, result) = syscall::update(data.fd().as_fd(), &indices, &values);
        self.writes += 1;
        result.map_err(batched(self.name, "BPF_MAP_UPDATE_BATCH"))
    }
}

// === impl Single ===

impl<V: Pod + PartialEq> Single<V> {
    fn take(object: &mut Ebpf, name: &'static str) -> Result<Self, Error> {
        let map = object.take_map(name).ok_or(Error::Missing { name })?;
        Array::<_, V>::try_from(&map).map_err(named(name))?;
        Ok(Self { name, map, writes: 0, kind: PhantomData })
    }

    /// The value.
    pub(crate) fn get(&self) -> Result<V, Error> {
        let map = Array::<_, V>::try_from(&self.map).map_err(named(self.name))?;
        map.get(&0, 0).map_err(named(self.name))
    }

    /// Sets the value, unless it is that already.
    pub(crate) fn set(&mut self, value: V) -> Result<(), Error> {
        if self.get()? == value {
            return Ok(());
        }
        self.writes += 1;
        let mut map = Array::<_, V>::try_from(&mut self.map).map_err(named(self.name))?;
        map.set(0, value, 0).map_err(named(self.name))
    }
}

// === impl PerProcessor ===

impl<V: Pod> PerProcessor<V> {
    fn take(object: &mut Ebpf, name: &'static str) -> Result<Self, Error> {
        let map = object.take_map(name).ok_or(Error::Missing { name })?;
        PerCpuArray::<_, V>::try_from(&map).map_err(named(name))?;
        Ok(Self { name, map, kind: PhantomData })
    }

    /// The processors' values.
    pub(crate) fn get(&self) -> Result<Vec<V>, Error> {
        let map = PerCpuArray::<_, V>::try_from(&self.map).map_err(named(self.name))?;
        Ok(map.get(&0, 0).map_err(named(self.name))?.to_vec())
    }
}

fn is_not_found(error: &MapError) -> bool {
    match error {
        MapError::KeyNotFound => true,
        MapError::SyscallError(call) => call.io_error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Turns the kernel's error into one that says which map and which command.
fn batched(map: &'static str, call: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| {
        if source.raw_os_error() == Some(libc::E2BIG) {
            let shape = MAPS.iter().find(|shape| shape.name == map);
            return Error::Full { map, entries: shape.map_or(0, |shape| shape.entries) };
        }
        Error::Map { map, call, source }
    }
}

/// Turns aya's error into one that says which map and which command.
fn named(map: &'static str) -> impl Fn(MapError) -> Error {
    move |error| match error {
        MapError::SyscallError(call) => batched(map, call.call)(call.io_error),
        MapError::IoError(source) => Error::Map { map, call: "bpf", source },
        other => Error::Map { map, call: "bpf", source: io::Error::other(other) },
    }
}
