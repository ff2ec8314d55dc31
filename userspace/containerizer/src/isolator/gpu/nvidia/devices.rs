//! Nodes of the driver.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::below;
use crate::Error;
use crate::error::At as _;

/// Through which every GPU is used; the last one only by some tools.
const CONTROL: [&str; 3] = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"];

/// The minor numbers of the GPUs of the machine whose files are below `root`: all, or those that
/// are `chosen`.
pub(super) fn gpus(root: &Path, chosen: Option<&BTreeSet<u32>>) -> Result<BTreeSet<u32>, Error> {
    let [control, ..] = CONTROL.map(|path| below(root, path));
    if !control.exists() {
        return Err(Error::Unsupported {
            what: format!("there is no NVIDIA driver: {} is not there", control.display()),
            remedy: "load the driver (nvidia-modprobe -u -c=0), or leave out gpu/nvidia".into(),
        });
    }
    let directory = below(root, "/dev");
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(&directory).at("read", &directory)? {
        let name = entry.at("read", &directory)?.file_name();
        let minor = name.to_str().and_then(|name| name.strip_prefix("nvidia"));
        // A sign would pass as a part of the number.
        let minor = minor.filter(|minor| minor.bytes().all(|byte| byte.is_ascii_digit()));
        all.extend(minor.and_then(|minor| minor.parse::<u32>().ok()));
    }
    let Some(chosen) = chosen else { return Ok(all) };
    if let Some(missing) = chosen.difference(&all).next() {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        let reason = format!("there is no GPU {missing}; there are: {}", names.join(", "));
        return Err(Error::Config { field: "nvidia_gpu_devices", reason });
    }
    Ok(chosen.clone())
}

/// What a container with the GPUs `own` is given: where it is below `root`, and where it comes to
/// be.
pub(super) fn nodes(root: &Path, own: &BTreeSet<u32>) -> Vec<(PathBuf, PathBuf)> {
    let gpus = own.iter().map(|minor| format!("/dev/nvidia{minor}"));
    let control = CONTROL.into_iter().map(str::to_owned);
    let control = control.filter(|path| below(root, path).exists());
    gpus.chain(control).map(|path| (below(root, &path), path.into())).collect()
}
