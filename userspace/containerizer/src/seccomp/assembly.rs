//! Programs of classic BPF (linux/filter.h) over `struct seccomp_data` (linux/seccomp.h).

use super::filter::Instruction;
use super::profile::{Comparison, Operator};

pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_EQ: u16 = 0x15;
pub(super) const JUMP_GT: u16 = 0x25;
pub(super) const JUMP_GE: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;
/// Offsets: the call's number, its architecture, and its arguments of 64 bits each. Of these
/// the lower half is first: all architectures here are little-endian.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// What becomes of one system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The first of these whose comparisons all hold decides.
    pub(super) clauses: Vec<(Vec<Comparison>, u32)>,
    /// What it is otherwise.
    pub(super) otherwise: u32,
}

/// Where a comparison goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// With the next instruction.
    Next,
    /// Behind itself: it holds.
    Holds,
    /// Behind the clause: it does not.
    Fails,
}

/// An instruction of a comparison.
struct Part(u16, u32, To, To);

/// An instruction without jumps.
pub(super) fn plain(code: u16, operand: u32) -> Instruction {
    Instruction { code, yes: 0, no: 0, operand }
}

/// A search for the number that is loaded among `segments`: each goes from its number up to
/// that of the next, and the first is 0's.
pub(super) fn search(segments: &[(u32, &Verdict)]) -> Vec<Instruction> {
    if segments.is_empty() {
        return Vec::new();
    }
    if let Some(program) = compact(segments) {
        return program;
    }
    let (low, high) = segments.split_at(segments.len() / 2);
    let (first, low) = (high[0].0, search(low));
    // Conditional jumps do not go that far.
    let mut program = vec![
        Instruction { code: JUMP_GE, yes: 0, no: 1, operand: first },
        plain(JUMP, length(&low)),
    ];
    program.extend(low);
    program.extend(search(high));
    program
}

/// The same with one return for each action, behind all the rest: the kernel translates every
/// filter anew, and that takes as long as the filter is. `None` if jumps do not go that far.
fn compact(segments: &[(u32, &Verdict)]) -> Option<Vec<Instruction>> {
    let mut tree = Tree::default();
    if tree.add(segments)? != Place::At(0) {
        // There is nothing to search.
        let action = segments.first().map(|(_, verdict)| verdict.otherwise);
        return Some(action.map(|action| plain(RETURN, action)).into_iter().collect());
    }
    let end = tree.program.len();
    let mut actions = Vec::new();
    for (index, yes, no) in tree.branches {
        let mut over = |place| {
            let target = match place {
                Place::At(target) => target,
                Place::Return(action) => {
                    let known = actions.iter().position(|known| *known == action);
                    end + known.unwrap_or_else(|| {
                        actions.push(action);
                        actions.len() - 1
                    })
                }
            };
            u8::try_from(target - index - 1).ok()
        };
        (tree.program[index].yes, tree.program[index].no) = (over(yes)?, over(no)?);
    }
    tree.program.extend(actions.into_iter().map(|action| plain(RETURN, action)));
    Some(tree.program)
}

/// Where a branch leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// This instruction.
    At(usize),
    /// The return of this action.
    Return(u32),
}

/// A search whose branches do not lead anywhere yet.
#[derive(Default)]
struct Tree {
    program: Vec<Instruction>,
    /// Instructions, with where they lead to if they hold, and otherwise.
    branches: Vec<(usize, Place, Place)>,
}

impl Tree {
    /// Adds the search among `segments`; `None` if there are none.
    fn add(&mut self, segments: &[(u32, &Verdict)]) -> Option<Place> {
        let index = self.program.len();
        match segments {
            [] => return None,
            [(_, verdict)] if verdict.clauses.is_empty() => {
                return Some(Place::Return(verdict.otherwise));
            }
            [(_, verdict)] => self.program.extend(verdict.assemble()),
            _ => {
                let (low, high) = segments.split_at(segments.len() / 2);
                self.program.push(plain(JUMP_GE, high[0].0));
                let no = self.add(low)?;
                let yes = self.add(high)?;
                self.branches.push((index, yes, no));
            }
        }
        Some(Place::At(index))
    }
}

/// What `program` does if the architecture that is loaded is `audit`; the next one otherwise.
pub(super) fn only_for(audit: u32, program: Vec<Instruction>) -> Vec<Instruction> {
    let mut all = vec![
        Instruction { code: JUMP_EQ, yes: 1, no: 0, operand: audit },
        plain(JUMP, length(&program)),
    ];
    all.extend(program);
    all
}

/// Longer programs than a `u32` counts are refused by the kernel for being longer than 4096.
fn length(program: &[Instruction]) -> u32 {
    u32::try_from(program.len()).unwrap_or(u32::MAX)
}

impl Verdict {
    fn assemble(&self) -> Vec<Instruction> {
        let mut program = Vec::new();
        for (comparisons, action) in &self.clauses {
            clause(comparisons, &mut program);
            program.push(plain(RETURN, *action));
        }
        program.push(plain(RETURN, self.otherwise));
        program
    }
}

/// Goes on behind itself if all `comparisons` hold, else one instruction further. There are at
/// most six, one for each argument.
fn clause(comparisons: &[Comparison], program: &mut Vec<Instruction>) {
    let all: Vec<Vec<Part>> = comparisons.iter().map(Comparison::parts).collect();
    let end: usize = all.iter().map(Vec::len).sum();
    let mut behind = 0;
    let mut at = 0;
    for parts in all {
        behind += parts.len();
        for Part(code, operand, yes, no) in parts {
            at += 1;
            let jump = |to| match to {
                To::Next => 0,
                To::Holds => behind - at,
                To::Fails => end - at + 1,
            };
            #[expect(clippy::cast_possible_truncation, reason = "at most 6 times 6")]
            program.push(Instruction { code, yes: jump(yes) as u8, no: jump(no) as u8, operand });
        }
    }
}

impl Comparison {
    fn parts(&self) -> Vec<Part> {
        use To::{Fails, Holds, Next};
        #[expect(clippy::cast_possible_truncation, reason = "halves")]
        let halves = |value: u64| ((value >> 32) as u32, value as u32);
        let low = ARGUMENTS + 8 * u32::from(self.index);
        let load = |offset| Part(LOAD, offset, Next, Next);
        let (high_value, low_value) = halves(self.value);
        // An order is decided by the upper half unless that is equal.
        let order = |code, (yes, no)| {
            vec![
                load(low + 4),
                Part(JUMP_GT, high_value, yes, Next),
                Part(JUMP_EQ, high_value, Next, no),
                load(low),
                Part(code, low_value, yes, no),
            ]
        };
        let equal = |high_value, low_value, mask: Option<(u32, u32)>| {
            let and = |half| Part(AND, half, Next, Next);
            let mut parts = vec![load(low + 4)];
            parts.extend(mask.map(|mask| and(mask.0)));
            parts.extend([Part(JUMP_EQ, high_value, Next, Fails), load(low)]);
            parts.extend(mask.map(|mask| and(mask.1)));
            parts.push(Part(JUMP_EQ, low_value, Holds, Fails));
            parts
        };
        match self.op {
            Operator::Eq => equal(high_value, low_value, None),
            Operator::MaskedEq => {
                let (high, low) = halves(self.value_two);
                equal(high, low, Some((high_value, low_value)))
            }
            Operator::Ne => vec![
                load(low + 4),
                Part(JUMP_EQ, high_value, Next, Holds),
                load(low),
                Part(JUMP_EQ, low_value, Fails, Holds),
            ],
            Operator::Gt => order(JUMP_GT, (Holds, Fails)),
            Operator::Ge => order(JUMP_GE, (Holds, Fails)),
            Operator::Le => order(JUMP_GT, (Fails, Holds)),
            Operator::Lt => order(JUMP_GE, (Fails, Holds)),
        }
    }
}
