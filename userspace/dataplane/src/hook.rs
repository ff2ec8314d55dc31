//! The programs and where they are attached.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
};

use aya::{
    Ebpf,
    programs::{
        CgroupAttachMode, CgroupSock, CgroupSockAddr, Program, ProgramError, SockOps,
        links::FdLink, links::LinkError,
    },
};

use crate::Error;

/// A program of the object. Its link is pinned under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hook(pub(crate) &'static str);

/// In the order in which they are attached: what shows VIPs before what turns them into
/// backends, so that no connection is half translated.
pub(crate) const HOOKS: [Hook; 10] = [
    Hook("getpeername4"),
    Hook("getpeername6"),
    Hook("recvmsg4"),
    Hook("recvmsg6"),
    Hook("release"),
    Hook("handshake"),
    Hook("sendmsg4"),
    Hook("sendmsg6"),
    Hook("connect4"),
    Hook("connect6"),
];

// === impl Hook ===

impl Hook {
    /// Has the kernel verify and load the program.
    pub(crate) fn load(self, object: &mut Ebpf) -> Result<(), Error> {
        let result = match self.program_mut(object)? {
            Program::CgroupSockAddr(program) => program.load(),
            Program::SockOps(program) => program.load(),
            Program::CgroupSock(program) => program.load(),
            _ => return Err(Error::Missing { name: self.0 }),
        };
        result.map_err(self.failed("load"))
    }

    /// The loaded program.
    pub(crate) fn fd(self, object: &Ebpf) -> Result<BorrowedFd<'_>, Error> {
        let program = object.program(self.0).ok_or(Error::Missing { name: self.0 })?;
        Ok(program.fd().map_err(self.failed("load"))?.as_fd())
    }

    /// Attaches the loaded program to a cgroup. It is detached again if the link is dropped
    /// without being pinned.
    pub(crate) fn attach(self, object: &mut Ebpf, cgroup: &File) -> Result<FdLink, Error> {
        // With links, several programs may always be attached to one cgroup: the kernel
        // refuses to be told so.
        let mode = CgroupAttachMode::Single;
        let link = match self.program_mut(object)? {
            Program::CgroupSockAddr(program) => attach_sock_addr(program, cgroup, mode),
            Program::SockOps(program) => attach_sock_ops(program, cgroup, mode),
            Program::CgroupSock(program) => attach_sock(program, cgroup, mode),
            _ => return Err(Error::Missing { name: self.0 }),
        };
        link.map_err(self.failed("attach"))
    }

    fn program_mut(self, object: &mut Ebpf) -> Result<&mut Program, Error> {
        object.program_mut(self.0).ok_or(Error::Missing { name: self.0 })
    }

    fn failed(self, step: &'static str) -> impl FnOnce(ProgramError) -> Error {
        move |source| Error::Program { program: self.0, step, source: Box::new(source) }
    }
}

fn attach_sock_addr(
    program: &mut CgroupSockAddr,
    cgroup: &File,
    mode: CgroupAttachMode,
) -> Result<FdLink, ProgramError> {
    let id = program.attach(cgroup, mode)?;
    program.take_link(id)?.try_into().map_err(link_error)
}

fn attach_sock_ops(
    program: &mut SockOps,
    cgroup: &File,
    mode: CgroupAttachMode,
) -> Result<FdLink, ProgramError> {
    let id = program.attach(cgroup, mode)?;
    program.take_link(id)?.try_into().map_err(link_error)
}

fn attach_sock(
    program: &mut CgroupSock,
    cgroup: &File,
    mode: CgroupAttachMode,
) -> Result<FdLink, ProgramError> {
    let id = program.attach(cgroup, mode)?;
    program.take_link(id)?.try_into().map_err(link_error)
}

fn link_error(error: LinkError) -> ProgramError {
    ProgramError::IOError(std::io::Error::other(error))
}
