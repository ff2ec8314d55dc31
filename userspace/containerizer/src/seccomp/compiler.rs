//! From a profile to a filter.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::architecture::Architecture;
use super::assembly::{ARCHITECTURE, LOAD, NUMBER, RETURN, Verdict, only_for, plain, search};
use super::filter::Filter;
use super::profile::{Action, Comparison, Flag, Profile, ProfileError, Rule, kernel};
use crate::CapabilitySet;

/// Calls of x32 have this bit beside a number of 64-bit x86.
const X32: u32 = 0x4000_0000;
/// What the kernel takes (linux/filter.h, `BPF_MAXINSNS`).
const LENGTH_MAX: usize = 4096;

/// `SECCOMP_FILTER_FLAG_…` (linux/seccomp.h).
const LOG: u32 = 1 << 1;
const SPEC_ALLOW: u32 = 1 << 2;
/// Like a kernel that has no such call.
const NO_SUCH_CALL: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();

/// What a filter is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    native: Architecture,
    kernel: (u32, u32),
    capabilities: CapabilitySet,
}

/// The clauses of one call.
type Clauses = Vec<(Vec<Comparison>, u32)>;

impl Surroundings {
    /// A command on this machine that has `capabilities` at most. An error says what of the
    /// machine is not known here.
    pub(crate) fn here(capabilities: CapabilitySet) -> Result<Self, String> {
        let unknown = || format!("the system calls of {} are not known", std::env::consts::ARCH);
        let native = Architecture::native().ok_or_else(unknown)?;
        let name = rustix::system::uname();
        let release = name.release().to_string_lossy();
        let unclear = || format!("the kernel's version `{release}` is none");
        Ok(Self { native, kernel: kernel(&release).ok_or_else(unclear)?, capabilities })
    }

    fn apply(&self, rule: &Rule) -> bool {
        let arch = self.native.docker();
        let (kernel, caps) = (self.kernel, self.capabilities);
        rule.includes.as_ref().is_none_or(|includes| includes.all(arch, kernel, caps))
            && !rule.excludes.as_ref().is_some_and(|excludes| excludes.any(arch, kernel, caps))
    }
}

impl Profile {
    /// The filter for `surroundings`.
    ///
    /// A rule without comparisons goes over those with; of those the first that holds decides.
    /// Two comparisons of one argument in a rule are two rules, as with runc. A name that is
    /// no system call of an architecture is passed over there, as long as one has it, or as
    /// nothing is forbidden by it. Architectures that are not the profile's are killed, and
    /// calls of x32 always get `ENOSYS`.
    pub(crate) fn compile(&self, surroundings: &Surroundings) -> Result<Filter, ProfileError> {
        let default = code("default", self.default_action, self.default_errno_ret)?;
        let mut program = vec![plain(LOAD, ARCHITECTURE)];
        for architecture in self.architectures(surroundings.native) {
            let calls = self.calls(architecture, surroundings)?;
            let mut section = vec![plain(LOAD, NUMBER)];
            section.extend(search(&segments(architecture, calls, default).borrow()));
            program.extend(only_for(architecture.audit(), section));
        }
        program.push(plain(RETURN, libc::SECCOMP_RET_KILL_PROCESS));
        if program.len() > LENGTH_MAX {
            let problem = format!("{} instructions; Linux takes {LENGTH_MAX}", program.len());
            return Err(ProfileError { at: "syscalls".into(), problem });
        }
        Ok(Filter::new(self.flags(), &program))
    }

    fn flags(&self) -> u32 {
        let given = |flag| self.flags.as_ref().is_some_and(|flags| flags.contains(&flag));
        // As runc has it when a profile does not say.
        let spec_allow = self.flags.is_none() || given(Flag::SpecAllow);
        (u32::from(given(Flag::Log)) * LOG) | (u32::from(spec_allow) * SPEC_ALLOW)
    }

    /// This machine's, and what else the profile lets run on it.
    fn architectures(&self, native: Architecture) -> BTreeSet<Architecture> {
        let listed = self.architectures.iter().flatten();
        let families = self.arch_map.iter().flatten();
        let own =
            families.filter(|family| Architecture::named(&family.architecture) == Some(native));
        let others = own.flat_map(|family| family.sub_architectures.iter().flatten());
        let others = listed.chain(others).filter_map(|name| Architecture::named(name));
        others.chain([native]).collect()
    }

    fn calls(
        &self,
        architecture: Architecture,
        surroundings: &Surroundings,
    ) -> Result<BTreeMap<u32, Clauses>, ProfileError> {
        let mut calls: BTreeMap<u32, Clauses> = BTreeMap::new();
        let rules = self.syscalls.iter().flatten().enumerate();
        for (index, rule) in rules {
            let at = format!("syscalls[{index}]");
            let code = code(&format!("{at}."), rule.action, rule.errno_ret)?;
            if rule.calls().next().is_none() {
                let problem = "is empty: a rule is about some system calls".into();
                return Err(ProfileError { at: format!("{at}.names"), problem });
            }
            for (place, name) in rule.calls() {
                if !rule.action.allows() && !Architecture::anywhere(name) {
                    let problem = format!("`{name}` is no system call, so nothing would forbid it");
                    return Err(ProfileError { at: format!("{at}.{place}"), problem });
                }
                let number = architecture.number(name).filter(|_| surroundings.apply(rule));
                let Some(number) = number else { continue };
                let clauses = calls.entry(number).or_default();
                for comparisons in rule.alternatives(architecture) {
                    let bare = comparisons.is_empty();
                    let known = clauses.iter().find(|(known, _)| bare && known.is_empty());
                    if known.is_some_and(|(_, known)| *known != code) {
                        let problem = format!("`{name}` has another action by an earlier rule");
                        return Err(ProfileError { at: format!("{at}.{place}"), problem });
                    }
                    clauses.push((comparisons, code));
                }
            }
        }
        Ok(calls)
    }
}

impl Rule {
    /// The comparisons that have to hold together, for each way in which the rule may apply.
    fn alternatives(&self, architecture: Architecture) -> Vec<Vec<Comparison>> {
        let bits = if architecture.is_narrow() { u64::from(u32::MAX) } else { u64::MAX };
        let fit = |comparison: &Comparison| Comparison {
            value: comparison.value & bits,
            value_two: comparison.value_two & bits,
            ..*comparison
        };
        let all: Vec<Comparison> = self.args.iter().flatten().map(fit).collect();
        let arguments: BTreeSet<u8> = all.iter().map(|comparison| comparison.index).collect();
        if arguments.len() < all.len() {
            return all.into_iter().map(|comparison| vec![comparison]).collect();
        }
        vec![all]
    }
}

/// Verdicts by the first number that each is for.
struct Segments(Vec<(u32, Verdict)>);

impl Segments {
    fn push(&mut self, from: u32, verdict: Verdict) {
        if self.0.last().is_none_or(|(_, last)| *last != verdict) {
            self.0.push((from, verdict));
        }
    }

    fn borrow(&self) -> Vec<(u32, &Verdict)> {
        self.0.iter().map(|(from, verdict)| (*from, verdict)).collect()
    }
}

fn segments(architecture: Architecture, calls: BTreeMap<u32, Clauses>, default: u32) -> Segments {
    let always = |otherwise| Verdict { clauses: Vec::new(), otherwise };
    let mut segments = Segments(Vec::new());
    let mut next = 0;
    for (number, clauses) in calls {
        if number > next {
            segments.push(next, always(default));
        }
        next = number + 1;
        let bare = clauses.iter().find(|(comparisons, _)| comparisons.is_empty());
        let verdict = match bare {
            Some((_, action)) => always(*action),
            None => Verdict { clauses, otherwise: default },
        };
        segments.push(number, verdict);
    }
    segments.push(next, always(default));
    if architecture == Architecture::X86_64 {
        segments.push(X32, always(NO_SUCH_CALL));
    }
    segments
}

fn code(at: &str, action: Action, errno: Option<u16>) -> Result<u32, ProfileError> {
    if errno.is_some_and(|errno| errno > Action::ERRNO_MAX) {
        let name = if at == "default" { "ErrnoRet" } else { "errnoRet" };
        let problem = format!("is more than {}", Action::ERRNO_MAX);
        return Err(ProfileError { at: format!("{at}{name}"), problem });
    }
    Ok(action.code(errno))
}
