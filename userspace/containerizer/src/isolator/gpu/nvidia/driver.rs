//! The driver's files, which belong to its version and so are not in images.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::below;
use crate::Error;
use crate::error::At as _;
use crate::image::Image;
use crate::isolator::{Draft, Request};
use crate::launch::plan::{Attributes, Mount};

/// Where images look for them.
const INSIDE: &str = "/usr/local/nvidia";
/// The label by which an image asks for them, and what it says.
const LABEL: (&str, &str) = ("com.nvidia.volumes.needed", "nvidia_driver");
/// The variable by which newer images do.
const VARIABLE: &str = "NVIDIA_VISIBLE_DEVICES";

/// Directories of programs, and of libraries with what they are called inside: where
/// distributions and NVIDIA's installer put them.
const PROGRAMS: &[&str] = &["/usr/bin", "/usr/local/bin", "/opt/bin"];
const LIBRARIES: &[(&str, &str)] = &[
    ("lib64", "/usr/lib64"),
    ("lib64", "/usr/lib/x86_64-linux-gnu"),
    ("lib64", "/usr/lib/aarch64-linux-gnu"),
    ("lib64", "/usr/lib/x86_64-linux-gnu/nvidia/current"),
    ("lib64", "/usr/lib/aarch64-linux-gnu/nvidia/current"),
    ("lib64", "/usr/local/lib64"),
    ("lib", "/usr/lib32"),
    ("lib", "/usr/lib/i386-linux-gnu"),
    ("lib", "/usr/lib/i386-linux-gnu/nvidia/current"),
];

/// Programs of the driver.
const BINARIES: &[&str] = &[
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
    "nvidia-debugdump",
    "nvidia-persistenced",
    "nvidia-smi",
];
/// Its libraries, whatever follows `.so`.
const OBJECTS: &[&str] = &[
    "libcuda",
    "libcudadebugger",
    "libEGL_nvidia",
    "libGLESv1_CM_nvidia",
    "libGLESv2_nvidia",
    "libGLX_nvidia",
    "libnvcuvid",
    "libnvidia-allocator",
    "libnvidia-cfg",
    "libnvidia-compiler",
    "libnvidia-eglcore",
    "libnvidia-encode",
    "libnvidia-fatbinaryloader",
    "libnvidia-fbc",
    "libnvidia-glcore",
    "libnvidia-glsi",
    "libnvidia-glvkspirv",
    "libnvidia-gpucomp",
    "libnvidia-ml",
    "libnvidia-ngx",
    "libnvidia-nvvm",
    "libnvidia-opencl",
    "libnvidia-opticalflow",
    "libnvidia-ptxjitcompiler",
    "libnvidia-rtcore",
    "libnvidia-tls",
    "libnvoptix",
    "libvdpau_nvidia",
];

/// Whether an image asks for the driver's files.
pub(super) fn needed(image: &Image) -> bool {
    let (label, wanted) = LABEL;
    let labels = image.config.labels_of_config();
    if labels.and_then(|labels| labels.get(label)).is_some_and(|value| value == wanted) {
        return true;
    }
    variable(image, VARIABLE).is_some_and(|value| !matches!(value.as_str(), "" | "void"))
}

/// Gives a container the files that are below `root`, and has it find them.
pub(super) fn give(root: &Path, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
    let mut given = BTreeSet::new();
    for directory in PROGRAMS {
        let wanted = |name: &str| BINARIES.contains(&name);
        mount(&below(root, directory), "bin", &wanted, &mut given, draft)?;
    }
    for (name, directory) in LIBRARIES {
        let wanted = |name: &str| {
            name.split_once(".so").is_some_and(|(name, version)| {
                OBJECTS.contains(&name) && (version.is_empty() || version.starts_with('.'))
            })
        };
        mount(&below(root, directory), name, &wanted, &mut given, draft)?;
    }
    if let Some(image) = request.image {
        for (name, directories) in [("PATH", &["bin"][..]), ("LD_LIBRARY_PATH", &["lib", "lib64"])]
        {
            let own = variable(image, name).unwrap_or_else(|| match name {
                "PATH" => crate::isolator::PATH.to_owned(),
                _ => String::new(),
            });
            let mut all: Vec<&str> = own.split(':').filter(|part| !part.is_empty()).collect();
            let added: Vec<String> =
                directories.iter().map(|directory| format!("{INSIDE}/{directory}")).collect();
            for directory in added.iter().rev() {
                if !all.contains(&directory.as_str()) {
                    all.insert(0, directory);
                }
            }
            draft.image_variable(name, &all.join(":"));
        }
    }
    Ok(())
}

/// Mounts what is `wanted` of the host's `directory`. What has been given from an earlier one
/// stays.
fn mount(
    directory: &Path,
    name: &str,
    wanted: &dyn Fn(&str) -> bool,
    given: &mut BTreeSet<String>,
    draft: &mut Draft,
) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.at("read", directory)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.at("read", directory)?.file_name().into_string().ok());
    }
    names.retain(|name| wanted(name));
    names.sort();
    for file in names {
        let path = directory.join(&file);
        // One that leads nowhere is of no use to anybody.
        if !path.is_file() || !given.insert(format!("{name}/{file}")) {
            continue;
        }
        let attributes = Attributes::DATA.read_only();
        draft.mount(Mount::file(&path, format!("{INSIDE}/{name}/{file}"), attributes))?;
    }
    Ok(())
}

/// The value that the image gives a variable.
fn variable(image: &Image, name: &str) -> Option<String> {
    let lines = image.config.config().as_ref()?.env().as_ref()?;
    let named =
        |line: &String| Some(line.split_once('=').filter(|(own, _)| *own == name)?.1.to_owned());
    lines.iter().rev().find_map(named)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::isolator::{Isolation, testing};

    #[test]
    fn images_ask_by_label_or_variable() {
        let asks = |config: &str| needed(&testing::image(config));
        assert!(asks(r#"{"Labels":{"com.nvidia.volumes.needed":"nvidia_driver"}}"#));
        assert!(asks(r#"{"Env":["NVIDIA_VISIBLE_DEVICES=all"]}"#));
        for config in [
            "{}",
            r#"{"Labels":{"com.nvidia.volumes.needed":"other"}}"#,
            r#"{"Env":["NVIDIA_VISIBLE_DEVICES=void"]}"#,
        ] {
            assert!(!asks(config), "{config}");
        }
    }

    #[test]
    fn files_are_where_images_look_for_them() {
        let root = tempfile::tempdir().unwrap();
        let (programs, libraries) = (root.path().join("usr/bin"), root.path().join("usr/lib64"));
        for directory in [&programs, &libraries] {
            fs::create_dir_all(directory).unwrap();
        }
        for path in ["nvidia-smi", "bash"].map(|name| programs.join(name)) {
            fs::write(path, "").unwrap();
        }
        for path in ["libcuda.so.535.1", "libcudart.so.12", "libc.so.6"].map(|n| libraries.join(n))
        {
            fs::write(path, "").unwrap();
        }
        symlink("libcuda.so.535.1", libraries.join("libcuda.so.1")).unwrap();
        symlink("nowhere", libraries.join("libnvidia-ml.so.1")).unwrap();
        let flags = Isolation { nvidia_root: root.path().into(), ..Isolation::default() };
        let nvidia = super::super::Nvidia::new(&flags);
        let spec = testing::spec();
        let image = testing::image(
            r#"{"Env":["NVIDIA_VISIBLE_DEVICES=all","PATH=/usr/local/nvidia/bin:/bin","LD_LIBRARY_PATH=/own"]}"#,
        );
        let runtime = crate::isolator::docker::runtime::Runtime;
        let isolators: [(&'static str, &dyn crate::isolator::Isolator); 2] =
            [("docker/runtime", &runtime), ("gpu/nvidia", &nvidia)];
        let plan = testing::plan(&isolators, &spec, Some(&image)).unwrap();
        let targets: Vec<_> = plan.mounts.iter().map(|mount| mount.target.to_str()).collect();
        let expected = ["bin/nvidia-smi", "lib64/libcuda.so.1", "lib64/libcuda.so.535.1"];
        let expected = expected.map(|path| format!("/usr/local/nvidia/{path}"));
        assert_eq!(targets, expected.iter().map(|path| Some(path.as_str())).collect::<Vec<_>>());
        assert!(plan.mounts.iter().all(|mount| mount.attributes.read_only));
        let value = |wanted: &str| {
            let found = plan.process.environment.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap()
        };
        assert_eq!(value("PATH"), "/usr/local/nvidia/bin:/bin");
        assert_eq!(value("LD_LIBRARY_PATH"), "/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/own");
    }
}
