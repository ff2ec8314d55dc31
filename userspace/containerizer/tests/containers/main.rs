//! Containers on the real kernel. Needs root, cgroups with cpu and memory, and
//! busybox-static.

mod image;
mod life;
mod world;
