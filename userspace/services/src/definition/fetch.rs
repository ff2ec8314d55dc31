//! `fetch`, and `uris`, its older form.

use super::command::text;
use crate::app::Fetch;
use crate::reader::{Field, Object};

/// What Marathon unpacks if it is only given as a URI.
const ARCHIVES: [&str; 7] = [".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip"];

/// The files to fetch; `None` when one is not acceptable.
pub(super) fn read(object: &mut Object<'_>) -> Option<Vec<Fetch>> {
    let mut elements =
        |name| object.field(name).and_then(|field| field.array()).unwrap_or_default();
    let (uris, fetch) = (elements("uris"), elements("fetch"));
    if !fetch.is_empty() && !uris.is_empty() {
        object.refuse("uris", "must not be given together with 'fetch'");
        return None;
    }
    // All are looked at, so that every mistake is named.
    let read: Vec<_> = uris.iter().map(plain).chain(fetch.iter().map(described)).collect();
    read.into_iter().collect()
}

fn plain(field: &Field<'_>) -> Option<Fetch> {
    let uri = text(field)?;
    let extract = ARCHIVES.iter().any(|ending| uri.ends_with(ending));
    Some(Fetch { uri, extract, executable: false, cache: false, dest_path: None })
}

fn described(field: &Field<'_>) -> Option<Fetch> {
    let mut object = field.object()?;
    let uri = if let Some(field) = object.field("uri") {
        text(&field)
    } else {
        object.refuse("uri", "is missing; give the address of the file");
        None
    };
    let mut flag =
        |name, default| object.field(name).map_or(Some(default), |field| field.boolean());
    let (extract, executable) = (flag("extract", true), flag("executable", false));
    let cache = flag("cache", false);
    let dest_path = object.field("destPath").map(|field| destination(&field));
    object.finish();
    Some(Fetch {
        uri: uri?,
        extract: extract?,
        executable: executable?,
        cache: cache?,
        dest_path: dest_path.map_or(Some(None), |path| path.map(Some))?,
    })
}

fn destination(field: &Field<'_>) -> Option<String> {
    let path = text(field)?;
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        field.refuse("must be a path below the sandbox: relative, and without '..'");
        return None;
    }
    Some(path)
}
