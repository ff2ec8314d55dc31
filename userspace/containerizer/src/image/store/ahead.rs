//! Reading ahead of who reads: what a source needs a processor for is done on one of its own.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

/// How much is read at a time.
const BUFFER: usize = 256 << 10;
/// How many buffers one is ahead of the other.
const BUFFERS: usize = 8;

/// What has been read ahead. To drop it ends the reading.
pub(super) struct Ahead {
    /// `None` from a channel that is still open is an error of the source.
    buffers: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    position: usize,
}

/// Starts to read `source` on a thread, which ends with what has not been read of it.
pub(super) fn ahead<'scope, R: Read + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    source: R,
) -> (Ahead, ScopedJoinHandle<'scope, R>) {
    let (sender, buffers) = sync_channel(BUFFERS);
    let thread = scope.spawn(move || read(source, &sender));
    (Ahead { buffers, current: Vec::new(), position: 0 }, thread)
}

fn read<R: Read>(mut source: R, sender: &SyncSender<io::Result<Vec<u8>>>) -> R {
    loop {
        let mut buffer = Vec::with_capacity(BUFFER);
        let read = source.by_ref().take(BUFFER as u64).read_to_end(&mut buffer);
        let last = match read {
            Ok(length) => length == 0,
            Err(_) => true,
        };
        // What precedes an error is read before it.
        if !buffer.is_empty() && sender.send(Ok(buffer)).is_err() {
            return source;
        }
        if let Err(error) = read {
            // That nobody wants to know it any more is fine.
            let _ = sender.send(Err(error));
        }
        if last {
            return source;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() {
            // Closed at the end.
            self.current = self.buffers.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            self.position = 0;
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position = self.current.len().min(self.position + amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it has in pieces, then an error.
    struct Failing(Vec<u8>);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::Error::other("broken"));
            }
            let length = self.0.len().min(buffer.len()).min(1000);
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0.drain(..length);
            Ok(length)
        }
    }

    #[test]
    fn everything_arrives_in_its_order() {
        let bytes: Vec<u8> = (0..=250_u8).cycle().take(3 * BUFFER + 17).collect();
        let mut read = Vec::new();
        std::thread::scope(|scope| {
            let (mut ahead, thread) = ahead(scope, bytes.as_slice());
            ahead.read_to_end(&mut read).unwrap();
            assert!(thread.join().unwrap().is_empty());
        });
        assert!(read == bytes);
    }

    #[test]
    fn an_error_comes_after_what_precedes_it() {
        let mut read = Vec::new();
        std::thread::scope(|scope| {
            let (mut ahead, _) = ahead(scope, Failing(vec![7; BUFFER + 1]));
            let error = ahead.read_to_end(&mut read).unwrap_err();
            assert_eq!(error.to_string(), "broken");
        });
        assert_eq!(read.len(), BUFFER + 1);
    }

    #[test]
    fn who_reads_no_more_ends_it() {
        std::thread::scope(|scope| {
            let (mut ahead, thread) = ahead(scope, io::repeat(1));
            ahead.read_exact(&mut [0]).unwrap();
            drop(ahead);
            thread.join().unwrap();
        });
    }
}
