//! The keys that end being attached.

/// Ctrl-p and ctrl-q.
const KEYS: [u8; 2] = [0x10, 0x11];

/// Looks for the keys in what is typed.
#[derive(Debug, Default)]
pub(super) struct Detach {
    never: bool,
    /// Whether the last byte was the first key; it has not been passed on.
    held: bool,
}

impl Detach {
    /// There are no such keys.
    pub(super) fn never() -> Self {
        Self { never: true, held: false }
    }

    /// Takes what is typed; what of it is for the other side, and whether the keys were among it.
    pub(super) fn pass(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        if self.never {
            return (typed.to_vec(), false);
        }
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for &byte in typed {
            if std::mem::take(&mut self.held) {
                if byte == KEYS[1] {
                    return (passed, true);
                }
                passed.push(KEYS[0]);
            }
            if byte == KEYS[0] {
                self.held = true;
            } else {
                passed.push(byte);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_one_after_the_other() {
        let mut detach = Detach::default();
        assert_eq!(detach.pass(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(detach.pass(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(detach.pass(b"b"), (b"\x10b".to_vec(), false));
        assert_eq!(detach.pass(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(detach.pass(b"\x11x"), (b"".to_vec(), true));
        assert_eq!(Detach::default().pass(b"x\x11y\x10\x11z"), (b"x\x11y".to_vec(), true));
        assert_eq!(Detach::never().pass(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }
}
