//! How much stack the programs use, read from the object they were loaded from.
//!
//! The verifier knows it, but tells nobody who loads a program successfully.

use std::collections::BTreeMap;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/muster-programs"));

/// The frame pointer.
const R10: u8 = 10;

/// Where a function is: its section, and its address there.
type Place = (usize, u64);

/// Bytes of stack by program: its own frame, and those of the functions that are called, one by the other, where
/// they take the most. The kernel's limit is 512.
pub(crate) fn bytes_of_stack() -> BTreeMap<String, u32> {
    let object = object::File::parse(OBJECT).unwrap();
    let mut functions = BTreeMap::new();
    let mut programs = Vec::new();
    for symbol in object.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let index = symbol.section_index().unwrap();
        let section = object.section_by_index(index).unwrap();
        let code = section.data().unwrap();
        let start = usize::try_from(symbol.address()).unwrap();
        let code = &code[start..start + usize::try_from(symbol.size()).unwrap()];
        let mut frame = Frame::of(code.as_chunks().0);
        // A call's distance is to be added to where it is, or to what it is said to be relative to.
        let related: BTreeMap<u64, Place> = section
            .relocations()
            .filter_map(|(at, relocation)| {
                let RelocationTarget::Symbol(target) = relocation.target() else { return None };
                let target = object.symbol_by_index(target).unwrap();
                Some((at, (target.section_index()?.0, target.address())))
            })
            .collect();
        for (at, to) in &mut frame.calls {
            *at += symbol.address();
            *to = match related.get(at) {
                Some(&(section, 0)) => (section, to.1.wrapping_add(8)),
                Some(&place) => place,
                None => (index.0, at.wrapping_add(to.1).wrapping_add(8)),
            };
        }
        functions.insert((index.0, symbol.address()), frame);
        if !section.name().unwrap().starts_with(".text") {
            programs.push((symbol.name().unwrap().to_owned(), (index.0, symbol.address())));
        }
    }
    programs.into_iter().map(|(name, place)| (name, deepest(&functions, place))).collect()
}

/// Bytes of a function's frame and of those below it.
fn deepest(functions: &BTreeMap<Place, Frame>, place: Place) -> u32 {
    let frame = &functions[&place];
    let below = frame.calls.iter().map(|&(_, callee)| deepest(functions, callee));
    frame.bytes + below.max().unwrap_or(0)
}

/// What one function does with its stack.
#[derive(Clone, Default)]
struct Frame {
    /// Down to the lowest byte that is read, written, or pointed to.
    bytes: u32,
    /// Where it calls other functions of the object, and which: in bytes.
    calls: Vec<(u64, Place)>,
}

// === impl Frame ===

impl Frame {
    /// RFC 9669's encoding: opcode, registers, offset, immediate.
    fn of(code: &[[u8; 8]]) -> Self {
        let mut frame = Self::default();
        // Registers that are copies of the frame pointer.
        let mut copies = [false; 16];
        for (at, &[opcode, registers, o0, o1, i0, i1, i2, i3]) in (0..).step_by(8).zip(code) {
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
                (_, 0x85) if from == 1 => {
                    let distance = i64::from(immediate) * 8;
                    frame.calls.push((at, (0, distance.cast_unsigned())));
                }
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
