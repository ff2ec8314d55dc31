//! Images that tests make.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An OCI image layout in the making.
#[derive(Clone)]
pub(crate) struct Image {
    layout: PathBuf,
    layers: Vec<Value>,
    /// Digests of the layers as they are before compression.
    plain: Vec<String>,
    config: Value,
}

/// A layer in the making.
pub(crate) struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Adds an entry whose path is taken as it is.
    pub(crate) fn entry(
        mut self,
        kind: tar::EntryType,
        path: &str,
        mode: u32,
        content: &[u8],
    ) -> Self {
        let mut header = header();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.entry(tar::EntryType::Regular, path, mode, content.as_ref())
    }

    pub(crate) fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(tar::EntryType::Directory, path, mode, b"")
    }

    pub(crate) fn link(mut self, kind: tar::EntryType, path: &str, target: &str) -> Self {
        let mut header = header();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o777);
        header.set_size(0);
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, &b""[..]).unwrap();
        self
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.link(tar::EntryType::Symlink, path, target)
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn header() -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header
}

/// A root filesystem with busybox.
pub(crate) fn busybox() -> Layer {
    let binary = fs::read("/bin/busybox").expect("install busybox-static");
    let mut layer = Layer::new()
        .directory("./", 0o755)
        .directory("bin/", 0o755)
        .file("bin/busybox", 0o755, binary)
        .directory("etc/", 0o755)
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/home/web:/bin/sh\n",
        )
        .file("etc/group", 0o644, "root:x:0:\nweb:x:102:\nlogs:x:103:web\n")
        .directory("tmp/", 0o1777)
        .directory("root/", 0o700);
    for applet in [
        "sh", "sleep", "cat", "ls", "id", "mount", "mknod", "dd", "ps", "hostname", "kill", "echo",
        "true", "false", "env", "pwd", "stat", "grep", "head", "tail", "setsid", "touch",
        "unshare", "chown", "wc",
    ] {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox");
    }
    layer
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Image {
    /// An image at `<store>/<name>`, without layers so far.
    pub(crate) fn new(store: &Path, name: &str) -> Self {
        let layout = store.join(name);
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        let config =
            json!({"Env": ["FROM=image", "BOTH=image"], "Cmd": ["/bin/sh", "-c", "exit 3"]});
        Self { layout, layers: Vec::new(), plain: Vec::new(), config }
    }

    /// Adds a gzipped layer.
    pub(crate) fn layer(self, layer: Layer) -> Self {
        let plain = layer.bytes();
        let mut image = self.blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(&plain));
        *image.plain.last_mut().unwrap() = format!("sha256:{}", hex(&plain));
        image
    }

    /// Adds a layer as it is.
    pub(crate) fn blob(mut self, media_type: &str, bytes: &[u8]) -> Self {
        let descriptor = self.put(media_type, bytes);
        self.layers.push(descriptor);
        self.plain.push(format!("sha256:{}", hex(bytes)));
        self
    }

    /// Sets the `config` of the image's config.
    pub(crate) fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Tags what there is.
    pub(crate) fn tag(self, tag: &str) {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": self.plain},
        });
        let config =
            self.put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": self.layers,
        });
        let mut manifest =
            self.put("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(self.layout.join("index.json"), index.to_string()).unwrap();
        fs::write(self.layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }

    /// Digest of the layer added last.
    pub(crate) fn last_layer(&self) -> String {
        self.layers.last().unwrap()["digest"].as_str().unwrap().to_owned()
    }

    /// Where its blob is.
    pub(crate) fn last_blob(&self) -> PathBuf {
        self.layout.join("blobs/sha256").join(self.last_layer().trim_start_matches("sha256:"))
    }

    fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex = hex(bytes);
        fs::write(self.layout.join("blobs/sha256").join(&hex), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }
}

/// Its SHA-256 digest in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// What no compression makes smaller; something else for each seed and length.
pub(crate) fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64 ^ length as u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}
