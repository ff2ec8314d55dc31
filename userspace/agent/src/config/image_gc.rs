//! Garbage collection of images.

use std::time::Duration;

use muster_containerizer::check_image_name;
use serde::Deserialize;
use serde_json::json;

/// When images that no container uses are removed.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageGc {
    /// The share of the image store's file system that is to be free, from 0 to 1.
    pub headroom: f64,
    /// How often that is looked at; longer than nothing.
    pub watch_interval: Duration,
    /// Names of images that stay.
    pub excluded: Vec<String>,
}

/// Mesos' `ImageGcConfig`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    image_disk_headroom: Option<f64>,
    image_disk_watch_interval: Option<Nanoseconds>,
    #[serde(default)]
    excluded_images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nanoseconds {
    nanoseconds: i64,
}

/// Mesos' `Image`, as far as it says which.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    r#type: String,
    docker: Option<Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

impl ImageGc {
    /// Reads Mesos' JSON.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let given: Given = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let usual = Self::default();
        let headroom = given.image_disk_headroom.unwrap_or(usual.headroom);
        if !(0.0..=1.0).contains(&headroom) {
            return Err(format!("image_disk_headroom: {headroom} is not from 0 to 1"));
        }
        let watch_interval = given.image_disk_watch_interval.map(|interval| {
            let nanoseconds = interval.nanoseconds;
            let positive = u64::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds > 0);
            let problem = format!("{nanoseconds} ns is not longer than nothing");
            let interval = positive.map(Duration::from_nanos);
            interval.ok_or_else(|| format!("image_disk_watch_interval: {problem}"))
        });
        let watch_interval = watch_interval.transpose()?.unwrap_or(usual.watch_interval);
        let excluded = given.excluded_images.into_iter().enumerate().map(|(index, image)| {
            match (image.r#type.as_str(), image.docker) {
                ("DOCKER", Some(docker)) => match check_image_name(&docker.name) {
                    Ok(()) => Ok(docker.name),
                    Err(error) => Err(format!("excluded_images[{index}].docker.name: {error}")),
                },
                ("DOCKER", None) => Err(format!("excluded_images[{index}].docker is not set")),
                (other, _) => Err(format!("excluded_images[{index}].type: {other} is not DOCKER")),
            }
        });
        Ok(Self { headroom, watch_interval, excluded: excluded.collect::<Result<_, _>>()? })
    }

    /// The same, as it can be read again.
    pub(super) fn text(&self) -> String {
        let image = |name: &String| json!({"type": "DOCKER", "docker": {"name": name}});
        let nanoseconds = u64::try_from(self.watch_interval.as_nanos()).unwrap_or(u64::MAX);
        let config = json!({
            "image_disk_headroom": self.headroom,
            "image_disk_watch_interval": {"nanoseconds": nanoseconds},
            "excluded_images": self.excluded.iter().map(image).collect::<Vec<_>>(),
        });
        config.to_string()
    }
}

impl Default for ImageGc {
    fn default() -> Self {
        Self { headroom: 0.1, watch_interval: Duration::from_hours(1), excluded: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_in_mesos() {
        assert_eq!(ImageGc::parse("{}"), Ok(ImageGc::default()));
        let text = r#"{
            "image_disk_headroom": 0.25,
            "image_disk_watch_interval": {"nanoseconds": 60000000000},
            "excluded_images": [{"type": "DOCKER", "docker": {"name": "team/app:1"}}]
        }"#;
        let read = ImageGc::parse(text).unwrap();
        let excluded = vec!["team/app:1".to_owned()];
        let watch_interval = Duration::from_mins(1);
        assert_eq!(read, ImageGc { headroom: 0.25, watch_interval, excluded });
        assert_eq!(ImageGc::parse(&read.text()), Ok(read));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_field() {
        for (text, problem) in [
            (r#"{"image_disk_headroom": 1.5}"#, "image_disk_headroom: 1.5"),
            (r#"{"image_disk_watch_interval": {"nanoseconds": 0}}"#, "watch_interval: 0 ns"),
            (r#"{"excluded_images": [{"type": "APPC"}]}"#, "excluded_images[0].type: APPC"),
            (
                r#"{"excluded_images": [{"type": "DOCKER", "docker": {"name": "../x"}}]}"#,
                "excluded_images[0].docker.name: image `../x`",
            ),
            (r#"{"excluded_images": [{"type": "DOCKER"}]}"#, "excluded_images[0].docker"),
            (r#"{"headroom": 1}"#, "unknown field `headroom`"),
            ("/nowhere", "expected value"),
        ] {
            let error = ImageGc::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
