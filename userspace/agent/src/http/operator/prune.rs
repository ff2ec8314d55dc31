//! `PRUNE_IMAGES`.

use axum::http::StatusCode;
use muster_api::mesos::agent::Call;
use muster_api::mesos::image::Type;

use super::needed;
use crate::http::call::{Refusal, bad_request};
use crate::http::{Look, images};

/// Removes the images that nothing uses, but for those excluded.
pub(super) async fn prune(look: &Look, call: &Call) -> Result<StatusCode, Refusal> {
    let prune = needed(call.prune_images.as_ref(), "prune_images")?;
    let mut excluded = Vec::new();
    for (index, image) in prune.excluded_images.iter().enumerate() {
        match (&image.docker, image.r#type()) {
            (Some(docker), Type::Docker) => excluded.push(docker.name.clone()),
            (None, Type::Docker) => {
                let field = format!("prune_images.excluded_images[{index}].docker");
                return Err(bad_request(format!("{field} is not set, which this type needs")));
            }
            // There are none here to be removed.
            (_, Type::Appc) => {}
        }
    }
    images::of(look, move |own| own.prune_images(&excluded)).await.map(|_| StatusCode::OK)
}
