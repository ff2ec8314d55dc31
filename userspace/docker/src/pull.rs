//! How far the engine is with pulling an image.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;
use muster_containerizer::Pulling;

/// A pull that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pull {
    image: String,
    layers: BTreeMap<String, Layer>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layer {
    bytes: u64,
    total: u64,
    complete: bool,
}

impl Pull {
    pub(crate) fn new(image: &str) -> Self {
        Self { image: image.to_owned(), layers: BTreeMap::new() }
    }

    /// Takes what the engine tells next. Of its words these are the ones about a layer: the rest is
    /// about the image, or for people.
    pub(crate) fn step(&mut self, told: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&told.id, told.status.as_deref()) else { return };
        let known = [
            "Pulling fs layer",
            "Waiting",
            "Downloading",
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
            "Already exists",
        ];
        if !known.contains(&status) {
            return;
        }
        let layer = self.layers.entry(id.clone()).or_default();
        match status {
            "Downloading" => {
                let detail = told.progress_detail.clone().unwrap_or_default();
                let bytes = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
                layer.bytes = bytes(detail.current).unwrap_or(layer.bytes);
                layer.total = bytes(detail.total).unwrap_or(layer.total).max(layer.bytes);
            }
            "Download complete" | "Extracting" => layer.bytes = layer.total,
            "Pull complete" | "Already exists" => {
                layer.bytes = layer.total;
                layer.complete = true;
            }
            _ => {}
        }
    }

    /// How far it is.
    pub(crate) fn now(&self) -> Pulling {
        let layers = || self.layers.values();
        Pulling {
            image: self.image.clone(),
            bytes: layers().map(|layer| layer.bytes).sum(),
            total_bytes: layers().map(|layer| layer.total).sum(),
            layers: layers().filter(|layer| layer.complete).count() as u64,
            total_layers: layers().count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn told(id: &str, status: &str, bytes: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: bytes.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn layers_are_counted_as_the_engine_tells_of_them() {
        let mut pull = Pull::new("r/a:1");
        let mut after = |steps: &[CreateImageInfo]| {
            for step in steps {
                pull.step(step);
            }
            pull.now().to_string()
        };
        // The tag comes first, as if it were a layer.
        assert_eq!(after(&[told("1", "Pulling from a", None)]), "Pulling image 'r/a:1'");
        let begun = after(&[
            told("x", "Already exists", None),
            told("y", "Pulling fs layer", None),
            told("y", "Downloading", Some((1_500_000, 4_000_000))),
        ]);
        assert_eq!(begun, "Pulling image 'r/a:1': 1.5 of 4.0 MB, 1 of 2 layers");
        let extracting =
            after(&[told("y", "Download complete", None), told("y", "Extracting", Some((9, 10)))]);
        assert_eq!(extracting, "Pulling image 'r/a:1': 4.0 of 4.0 MB, 1 of 2 layers");
        let done = after(&[told("y", "Pull complete", None), told("", "Digest: x", None)]);
        assert_eq!(done, "Pulling image 'r/a:1': 4.0 of 4.0 MB, 2 of 2 layers");
    }
}
