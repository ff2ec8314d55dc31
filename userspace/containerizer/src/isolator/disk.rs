//! `disk/…`: how much disk space a container takes, and what becomes of it when that is too
//! much. Its sandbox counts, and what it changed of its image's files.
//!
//! Where the filesystem counts by itself, that is what is asked, and a limit is the
//! filesystem's to enforce (`EDQUOT`): project quotas of XFS and ext4, qgroups of btrfs. Anywhere
//! else files are gone over.

mod account;
mod btrfs;
pub(super) mod du;
mod keeper;
mod means;
mod nameless;
mod project;
mod range;
mod walk;
pub(super) mod xfs;

pub use range::ProjectRange;
