//! An image, from a registry to the shelf.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use oci_spec::image::{Descriptor, MediaType};
use ureq::http::StatusCode;

use super::super::blob::{Blob, DOCUMENT_MAX};
use super::super::digest::Digest;
use super::super::layout::{self, Resolved};
use super::super::progress::{Progress, Pulls};
use super::super::reference::Reference;
use super::super::uses::{Item, Lease};
use super::super::{ImageError, ImageLimits};
use super::address::Address;
use super::credentials::Credentials;
use super::download::download;
use super::session::Session;
use super::settings::Registries;
use super::shelf::{Shelf, path_of};
use crate::Secret;

/// How many layers of an image are downloaded at a time.
const PARALLEL: usize = 3;
/// What we understand, Docker's media types and those of OCI.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// What to pull and how.
#[derive(Clone, Copy)]
pub(crate) struct Pull<'a> {
    /// The image.
    pub(crate) reference: &'a Reference,
    /// Docker's `config.json` of the task's own.
    pub(crate) secret: Option<&'a Secret>,
    /// Whether the registry is asked what the tag stands for though that is known.
    pub(crate) force: bool,
    /// How large it may be.
    pub(crate) limits: ImageLimits,
    /// Keeps what there is of it.
    pub(crate) lease: &'a Lease,
    /// Where it is told how far it is.
    pub(crate) pulls: &'a Pulls,
}

/// Where the shelf says what a name stands for; `None` if no registry is to be asked for it.
pub(crate) fn record_of(reference: &Reference, registries: &Registries) -> Option<PathBuf> {
    let address = Address::of(reference, registries)?.ok()?;
    let registry = address.endpoints.last()?;
    Some(path_of(&registry.host, &address.repository, reference))
}

impl Pull<'_> {
    /// Keeps blobs of the image from now on.
    fn keep<'d>(
        &self,
        image: &str,
        descriptors: impl IntoIterator<Item = &'d Descriptor>,
    ) -> Result<(), ImageError> {
        self.lease.keep_blobs(image, descriptors)
    }
}

/// Makes sure that all of an image is on the shelf. `None` if no registry is to be asked.
pub(crate) fn pull(
    pull: Pull<'_>,
    registries: &Registries,
    shelf: &Shelf,
) -> Result<Option<Resolved>, ImageError> {
    let image = pull.reference.to_string();
    let address = match Address::of(pull.reference, registries) {
        None => return Ok(None),
        Some(Ok(address)) => address,
        Some(Err(reason)) => return Err(ImageError::Address { image, reason }),
    };
    let Some(registry) = address.endpoints.last() else { return Ok(None) };
    // A mirror's images are the registry's.
    let name = path_of(&registry.host, &address.repository, pull.reference);
    let failed = |operation| {
        let (image, path) = (image.clone(), shelf.layout().join(&name));
        move |source| ImageError::Io { image, operation, path, source }
    };
    pull.lease.keep([Item::record(&name)]).map_err(failed("lease"))?;
    let force = pull.force && pull.reference.digest.is_none();
    let here = |force: bool| -> Result<Option<Resolved>, ImageError> {
        let known = shelf.known(&name).map_err(failed("read"))?;
        let Some(known) = known.filter(|_| !force) else { return Ok(None) };
        let mut keep = |descriptor: &Descriptor| pull.keep(&image, [descriptor]);
        let Ok(mut found) = layout::follow(shelf.layout(), &image, &[known], &mut keep) else {
            // Something of it was removed.
            return Ok(None);
        };
        pull.keep(&image, &found.layers)?;
        found.record = Some(name.clone());
        let whole = found.layers.iter().all(|layer| {
            Digest::parse(layer.digest().as_ref()).is_some_and(|digest| shelf.has(&digest))
        });
        Ok(Some(found).filter(|_| whole))
    };
    if let Some(found) = here(force)? {
        return Ok(Some(found));
    }
    let _lock = shelf.lock(&name).map_err(failed("lock"))?;
    if let Some(found) = here(force)? {
        return Ok(Some(found));
    }
    let under = pull.pulls.begin(&name, &image);
    let mut last = None;
    for endpoint in address.endpoints {
        let config = pull.secret.map(Secret::reveal).or(registries.config.as_deref());
        let credentials = match config.map(|config| Credentials::find(config, &endpoint.host)) {
            Some(found) => found.map_err(|reason| {
                let registry = endpoint.host.clone();
                let step = "read credentials".into();
                ImageError::Registry { image: image.clone(), registry, step, reason }
            })?,
            None => None,
        };
        let pulled = Session::new(&image, endpoint, &address.repository, credentials, registries)
            .and_then(|session| from(&session, pull, &under.progress, shelf));
        match pulled {
            Ok((descriptor, mut resolved)) => {
                resolved.record = Some(name.clone());
                shelf.remember(&name, &descriptor).map_err(failed("write"))?;
                return Ok(Some(resolved));
            }
            Err(error) => {
                // The registry itself has the last word.
                if let Some(mirror) = last.replace(error) {
                    tracing::warn!(error = %mirror, "a mirror does not have it");
                }
            }
        }
    }
    last.map_or(Ok(None), Err)
}

/// Pulls from one registry.
fn from(
    session: &Session,
    pull: Pull<'_>,
    progress: &Progress,
    shelf: &Shelf,
) -> Result<(Descriptor, Resolved), ImageError> {
    let reference = pull.reference;
    let image = reference.to_string();
    tracing::info!(image, registry = session.host(), "pulling");
    let top = manifest(session, &reference.selector(), reference.digest.as_ref(), pull, shelf)?;
    let mut ensure = |descriptor: &Descriptor| {
        let blob = Blob::new(&image, descriptor)?;
        pull.keep(&image, [descriptor])?;
        if shelf.has(blob.digest()) {
            return Ok(());
        }
        match descriptor.media_type() {
            media_type if layout::is_config(media_type) => {
                download(session, shelf, blob.digest(), blob.document_size()?, None)
            }
            _ => {
                let digest = blob.digest();
                manifest(session, &digest.to_string(), Some(digest), pull, shelf).map(drop)
            }
        }
    };
    let resolved = layout::follow(shelf.layout(), &image, std::slice::from_ref(&top), &mut ensure)?;
    pull.limits
        .manifest(resolved.layers.iter().map(Descriptor::size))
        .map_err(|exceeded| ImageError::Limit { image: image.clone(), exceeded })?;
    pull.keep(&image, &resolved.layers)?;
    layers(session, &image, &resolved.layers, progress, shelf)?;
    Ok((top, resolved))
}

/// Gets a manifest or index and keeps it.
fn manifest(
    session: &Session,
    selector: &str,
    wanted: Option<&Digest>,
    pull: Pull<'_>,
    shelf: &Shelf,
) -> Result<Descriptor, ImageError> {
    let step = format!("get manifest {selector}");
    let answer = session.get(&step, &format!("manifests/{selector}"), &[("accept", ACCEPT)])?;
    if answer.status() != StatusCode::OK {
        return Err(session.refused(&step, answer.status()));
    }
    let header = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    let header = header.map(|value| value.split(';').next().unwrap_or(value).trim().to_owned());
    let mut bytes = Vec::new();
    answer
        .into_body()
        .into_reader()
        .take(DOCUMENT_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| session.failed(&step, error.to_string()))?;
    if bytes.len() as u64 > DOCUMENT_MAX {
        return Err(session.failed(&step, format!("it is larger than {DOCUMENT_MAX} bytes")));
    }
    let digest = Digest::of(&bytes);
    if wanted.is_some_and(|wanted| *wanted != digest) {
        return Err(session.failed(&step, format!("what it gives has the digest {digest}")));
    }
    let found = described(&bytes, header).map_err(|reason| session.failed(&step, reason))?;
    pull.lease
        .keep([Item::blob(&digest)])
        .and_then(|()| shelf.keep(&digest, &bytes))
        .map_err(|error| session.failed(&step, format!("write to the store: {error}")))?;
    Ok(found)
}

/// The descriptor of a manifest or index that came with this `Content-Type`.
fn described(bytes: &[u8], header: Option<String>) -> Result<Descriptor, String> {
    let document: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| format!("not a manifest: {error}"))?;
    // What the document says of itself is what has the digest.
    let own = document.get("mediaType").and_then(serde_json::Value::as_str).map(str::to_owned);
    let media_type = own.or(header).unwrap_or_default();
    let digest = Digest::of(bytes).to_string().parse::<oci_spec::image::Digest>();
    let digest = digest.map_err(|error| error.to_string())?;
    Ok(Descriptor::new(MediaType::from(media_type.as_str()), bytes.len() as u64, digest))
}

/// What becomes of the manifest or index `bytes` if all else is in the layout at `layout`: the
/// digests of the layers.
pub(crate) fn pulled(
    bytes: &[u8],
    content_type: Option<&str>,
    layout: &Path,
) -> Result<Vec<String>, String> {
    let image = "fuzz/image:latest";
    let top = described(bytes, content_type.map(str::to_owned))?;
    let shelf = Shelf::new(layout.to_owned());
    shelf.keep(&Digest::of(bytes), bytes).map_err(|error| error.to_string())?;
    let resolved = layout::follow(layout, image, &[top], &mut |_| Ok(()))
        .map_err(|error| error.to_string())?;
    let sizes = resolved.layers.iter().map(Descriptor::size);
    ImageLimits::default().manifest(sizes).map_err(|exceeded| exceeded.to_string())?;
    let digests = resolved.layers.iter().map(|layer| Blob::new(image, layer));
    let digests = digests.map(|blob| blob.map(|blob| blob.digest().to_string()));
    digests.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// Downloads layers, some at a time. After a failure no further one is begun.
fn layers(
    session: &Session,
    image: &str,
    layers: &[Descriptor],
    progress: &Progress,
    shelf: &Shelf,
) -> Result<(), ImageError> {
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for layer in layers {
        let digest = Blob::new(image, layer)?.digest().clone();
        if seen.insert(digest.clone()) {
            wanted.push((digest, layer.size()));
        }
    }
    progress.expect(wanted.iter().map(|(_, size)| *size));
    wanted.retain(|(digest, size)| {
        let here = shelf.has(digest);
        if here {
            progress.add(*size);
            progress.layer();
        }
        !here
    });
    let failure = Mutex::new(None);
    let threads = PARALLEL.min(wanted.len());
    let queue = Mutex::new(wanted.into_iter());
    let work = || loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((digest, size)) = next else { return };
        match download(session, shelf, &digest, size, Some(progress)) {
            Ok(()) => progress.layer(),
            Err(error) => {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), Err)
}
