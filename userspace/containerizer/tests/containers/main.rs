//! Containers on the real kernel. Needs root, cgroups with cpu and memory, and
//! busybox-static.

mod commands;
mod image;
mod life;
mod recovery;
mod surroundings;
mod world;
