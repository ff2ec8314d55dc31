//! How much stack the programs use, read from the object they were loaded from.
//!
//! The verifier knows it, but tells nobody who loads a program successfully.

use std::collections::BTreeMap;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/muster-programs"));

/// The frame pointer.
const R10: u8 = 10;

/// Bytes of stack by program: its own frame, and the deepest of the functions that the programs
/// share if it calls one. The kernel's limit is 512.
pub(crate) fn bytes_of_stack() -> BTreeMap<String, u32> {
    let object = object::File::parse(OBJECT).unwrap();
    let mut programs = BTreeMap::new();
    let mut shared = 0;
    for symbol in object.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let section = object.section_by_index(symbol.section_index().unwrap()).unwrap();
        let code = section.data().unwrap();
        let start = usize::try_from(symbol.address()).unwrap();
        let code = &code[start..start + usize::try_from(symbol.size()).unwrap()];
        let frame = Frame::of(code.as_chunks().0);
        if section.name().unwrap().starts_with(".text") {
            shared = shared.max(frame.bytes);
        } else {
            programs.insert(symbol.name().unwrap().to_owned(), frame);
        }
    }
    let total = |frame: Frame| frame.bytes + if frame.calls { shared } else { 0 };
    programs.into_iter().map(|(name, frame)| (name, total(frame))).collect()
}

/// What one function does with its stack.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// Down to the lowest byte that is read, written, or pointed to.
    bytes: u32,
    /// True if it calls another function of the object.
    calls: bool,
}

// === impl Frame ===

impl Frame {
    /// RFC 9669's encoding: opcode, registers, offset, immediate.
    fn of(code: &[[u8; 8]]) -> Self {
        let mut frame = Self::default();
        // Registers that are copies of the frame pointer.
        let mut copies = [false; 16];
        for &[opcode, registers, o0, o1, i0, i1, i2, i3] in code {
            let (to, from) = (registers & 15, registers >> 4);
            let offset = i32::from(i16::from_le_bytes([o0, o1]));
            let immediate = i32::from_le_bytes([i0, i1, i2, i3]);
            let class = opcode & 7;
            match (class, opcode) {
                // Loads, and stores of an immediate or a register.
                (1, _) if from == R10 => frame.reaches(offset),
                (2 | 3, _) if to == R10 => frame.reaches(offset),
                // r = r10, and r += immediate.
                (_, 0xbf) => copies[usize::from(to)] = from == R10,
                (_, 0x07) if copies[usize::from(to)] => frame.reaches(immediate),
                (_, 0x85) if from == 1 => frame.calls = true,
                _ => {}
            }
            if opcode != 0xbf && matches!(class, 0 | 1 | 4 | 7) {
                copies[usize::from(to)] = false;
            }
        }
        frame
    }

    fn reaches(&mut self, offset: i32) {
        self.bytes = self.bytes.max(u32::try_from(-offset).unwrap_or(0));
    }
}
