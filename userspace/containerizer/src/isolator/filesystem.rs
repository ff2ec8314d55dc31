//! `filesystem/…`: what files a container sees.

pub(super) mod linux;
pub(super) mod posix;
