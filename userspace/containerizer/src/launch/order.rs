//! What the containerizer and its helper say to each other.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::SetupError;
use crate::error::Step as _;
use crate::pid::ProcessId;

/// The longest order: a command line with its environment is at most 2 MB in Linux.
const LENGTH_MAX: u32 = 16 << 20;

/// What a helper is to do: run a container until it ends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order(pub(crate) Box<Plan>);

/// What a helper has to tell.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The container's streams can be attached to, and somebody is waited for.
    Listening,
    /// The container's command runs.
    Started(ProcessId),
    /// The container could not be started.
    Failed(SetupError),
}

impl Order {
    /// Sends the order: its length and then its JSON, so that half of one is known as such.
    pub(crate) fn write(&self, target: &mut impl Write) -> io::Result<()> {
        // In one piece: the other side is not woken twice.
        let mut message = vec![0; size_of::<u32>()];
        serde_json::to_writer(&mut message, self)?;
        let length = message.len() - size_of::<u32>();
        let length = u32::try_from(length).map_err(io::Error::other)?;
        message[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
        target.write_all(&message)
    }

    /// Receives an order; `None` if the other side ended before it was complete.
    pub(crate) fn read(source: &mut impl Read) -> Result<Option<Self>, SetupError> {
        let mut length = [0; 4];
        if !filled(source.read_exact(&mut length))? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length);
        if length > LENGTH_MAX {
            return Err(SetupError::new("read order", "this is no order of a containerizer"));
        }
        let mut text = vec![0; length as usize];
        if !filled(source.read_exact(&mut text))? {
            return Ok(None);
        }
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| SetupError::new("read order", error.to_string()))
    }
}

fn filled(read: io::Result<()>) -> Result<bool, SetupError> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true).step(|| "read order".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Version;

    #[test]
    fn half_an_order_is_none() {
        let (_directory, subject) = crate::isolator::testing::subject(Version::V2, &[]);
        let order = Order(Box::new(subject.plan.clone()));
        let mut bytes = Vec::new();
        order.write(&mut bytes).unwrap();
        for length in 0..bytes.len() {
            assert!(Order::read(&mut &bytes[..length]).unwrap().is_none(), "{length}");
        }
        let read = Order::read(&mut &*bytes).unwrap().unwrap();
        assert_eq!(*read.0, subject.plan);
    }

    #[test]
    fn something_else_is_refused() {
        assert!(Order::read(&mut &b"GET / HTTP/1.1\r\n"[..]).is_err());
        assert!(Order::read(&mut &b"\x02\0\0\0{}"[..]).is_err());
    }
}
