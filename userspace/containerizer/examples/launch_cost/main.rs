//! What it costs to start `/bin/true` in a container and to see it end: by the containerizer,
//! by another program, or by nothing but the kernel. `cargo xtask bench launch` runs these in
//! turns.
//!
//! - `launch_cost muster IMAGE_DIR WORK_DIR HELPER CGROUPS_ROOT`: by the containerizer, up to
//!   where nothing is left of the container but its sandbox;
//! - `launch_cost command PROGRAM [ARGUMENT...]`: by a program, up to its end;
//! - `launch_cost floor ROOT`: a clone into the same namespaces, chroot and exec.
//!
//! Each line of standard input is one request: `one`; and of the containerizer also
//! `many NUMBER WIDTH`, so many containers with so many at a time, and `hold NUMBER`, so many
//! that run at the same time. Each is answered by a line of numbers.

mod command;
mod containers;
mod floor;
mod memory;
mod requests;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["muster", images, work, helper, cgroups] => {
            containers::serve(images.as_ref(), work.as_ref(), helper.as_ref(), cgroups)
        }
        ["command", program, arguments @ ..] => command::serve(program, arguments),
        ["floor", root] => floor::serve(root.as_ref()),
        _ => Err("launch_cost muster|command|floor ..., see its first lines".into()),
    }
}
