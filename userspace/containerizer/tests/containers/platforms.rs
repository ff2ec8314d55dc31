//! Images for several platforms, from a registry.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::image::{Image, Layer, hex};
use super::pulls::{layout, of, plain};
use super::registry::{Line, Options, Registry};
use super::world::World;

fn read(layout: &Path, digest: &Value) -> Value {
    let name = digest.as_str().unwrap().trim_start_matches("sha256:");
    serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(name)).unwrap()).unwrap()
}

fn put(layout: &Path, media_type: &str, document: &Value) -> Value {
    let bytes = document.to_string().into_bytes();
    let hex = hex(&bytes);
    fs::write(layout.join("blobs/sha256").join(&hex), &bytes).unwrap();
    json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
}

/// Makes the image of a layout one of several platforms: others first, each with a layer of
/// its own; the digests of these layers.
fn with_others(layout: &Path) -> Vec<String> {
    let mut index: Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let mut own = index["manifests"][0].clone();
    own.as_object_mut().unwrap().remove("annotations");
    own["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let (mut manifests, mut layers) = (Vec::new(), Vec::new());
    for (os, architecture) in [("linux", "arm64"), ("windows", "amd64")] {
        let store = layout.parent().unwrap();
        let name = layout.file_name().unwrap().to_str().unwrap();
        let content = format!("{os}/{architecture}");
        let layer = Image::new(store, name).layer(Layer::new().file("which", 0o644, content));
        let mut manifest = read(layout, &own["digest"]);
        let mut config = read(layout, &manifest["config"]["digest"]);
        config["os"] = os.into();
        config["architecture"] = architecture.into();
        config["rootfs"]["diff_ids"] = json!([layer.last_layer()]);
        let size = fs::metadata(layer.last_blob()).unwrap().len();
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        manifest["layers"] =
            json!([{"mediaType": media_type, "digest": layer.last_layer(), "size": size}]);
        manifest["config"] = put(layout, "application/vnd.oci.image.config.v1+json", &config);
        let mut entry = put(layout, "application/vnd.oci.image.manifest.v1+json", &manifest);
        entry["platform"] = json!({"os": os, "architecture": architecture});
        manifests.push(entry);
        layers.push(layer.last_layer());
    }
    manifests.push(own);
    let media_type = "application/vnd.oci.image.index.v1+json";
    let list = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    let mut entry = put(layout, media_type, &list);
    entry["annotations"] = index["manifests"][0]["annotations"].clone();
    index["manifests"] = json!([entry]);
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    layers
}

#[test]
fn of_an_index_only_this_machines_image_is_pulled() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let line = Line::to(&registry, u64::MAX);
    world.pull_from(plain(&[&line.host]));
    for (name, format) in [("oci", "--format=oci"), ("docker", "--format=v2s2")] {
        let source = layout(&world, name, &[]);
        let others = with_others(&source);
        registry.push(&source, "t", name, &["--all", format]);
        assert_eq!(world.finish(of(name, name, &world)).1, name);
        assert_eq!(line.asked(&format!("get /v2/{name}/manifests/")).len(), 2, "{name}");
        for layer in others {
            assert!(line.asked(&format!("blobs/{layer}")).is_empty(), "{name}: {layer}");
        }
        // What the tag stands for is the index, and that can be asked for by its digest.
        let listed = world.containerizer().images().unwrap();
        let image = listed.iter().find(|image| image.name == format!("{name}:latest")).unwrap();
        let image = format!("{name}@{}", image.digest.as_deref().unwrap());
        assert_eq!(world.finish(of(&format!("{name}-digest"), &image, &world)).1, name);
    }
}

#[test]
fn an_index_without_this_machine_is_refused_with_what_it_has() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    world.pull_from(plain(&[&registry.host]));
    let source = layout(&world, "foreign", &[]);
    with_others(&source);
    let mut index: Value =
        serde_json::from_slice(&fs::read(source.join("index.json")).unwrap()).unwrap();
    let mut list = read(&source, &index["manifests"][0]["digest"]);
    list["manifests"].as_array_mut().unwrap().pop();
    let mut entry = put(&source, "application/vnd.oci.image.index.v1+json", &list);
    entry["annotations"] = index["manifests"][0]["annotations"].clone();
    index["manifests"] = json!([entry]);
    fs::write(source.join("index.json"), index.to_string()).unwrap();
    registry.push(&source, "t", "foreign", &["--all"]);
    let error = world.launch(of("foreign", "foreign", &world)).unwrap_err().to_string();
    assert_eq!(
        error,
        "image foreign:latest: not for linux/amd64; it is for linux/arm64, windows/amd64"
    );
}
