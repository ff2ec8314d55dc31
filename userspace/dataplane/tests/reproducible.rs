//! The eBPF object has the same bytes wherever it is built.

#![expect(
    clippy::unwrap_used,
    reason = "this is all test code, also what is outside of test functions"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds the object once more, cleanly, from a copy of the sources in another folder, with
/// the environment a surrounding cargo might leave, and compares with the embedded one.
#[test]
fn another_folder_makes_the_same_object() {
    let temp = tempfile::tempdir().unwrap();
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let copy = temp.path().join("else/where");
    for part in ["Cargo.toml", "ebpf", "userspace/dataplane/build.rs"] {
        copy_tree(&house.join(part), &copy.join(part));
    }
    let script = temp.path().join("build-script");
    let compiled = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "-o"])
        .arg(&script)
        .arg(copy.join("userspace/dataplane/build.rs"))
        .status()
        .unwrap();
    assert!(compiled.success());

    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    let built = Command::new(&script)
        .env("CARGO_MANIFEST_DIR", copy.join("userspace/dataplane"))
        .env("OUT_DIR", &out)
        .env("CARGO_CFG_TARGET_ARCH", env::consts::ARCH)
        // Each of these would break or change a cargo that inherited it.
        .env("RUSTFLAGS", "-Cno-such-option")
        .env("CARGO_TARGET_DIR", "/nowhere")
        .env("RUSTUP_TOOLCHAIN", "no-such-toolchain")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let embedded = fs::read(PathBuf::from(env!("OUT_DIR")).join("muster-programs")).unwrap();
    let again = fs::read(out.join("muster-programs")).unwrap();
    assert!(embedded == again, "two builds of the same sources differ");
}

fn copy_tree(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "target" {
                copy_tree(&from.join(&name), &to.join(&name));
            }
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}
