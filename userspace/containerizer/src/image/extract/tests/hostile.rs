//! Archives that want more than they may have.

use super::*;

#[test]
fn what_is_larger_than_allowed_is_refused_by_the_flags_name() {
    let limits = ImageLimits::default();
    let links: Vec<_> = (0..5).map(|n| link(EntryType::Symlink, &format!("l{n}"), "x")).collect();
    for (limits, items, flag) in [
        (ImageLimits { size: 4096, ..limits }, vec![file("f", &"x".repeat(4096))], "size"),
        // Data of what has none counts as well.
        (
            ImageLimits { size: 4096, ..limits },
            vec![Item { content: vec![0; 8192], ..item(EntryType::Fifo, "f") }, file("g", "")],
            "size",
        ),
        (ImageLimits { entries: 4, ..limits }, links, "entries"),
        (ImageLimits { entries: 3, ..limits }, vec![file("a/b/c/d", "")], "entries"),
        (ImageLimits { depth: 3, ..limits }, vec![file("a/b/c/d", "")], "depth"),
        (
            ImageLimits { depth: 3, ..limits },
            vec![directory("a/b/c"), link(EntryType::Symlink, "l", "a/b/c"), file("l/d", "")],
            "depth",
        ),
    ] {
        let Some(ground) = Ground::new() else { return };
        let error = ground.within(limits, &archive(&items)).unwrap_err();
        let flag = format!("that --image-max-{flag} allows");
        assert!(error.reason.contains(&flag), "{items:?}: {error:?}");
    }
}

#[test]
fn links_that_lead_deeper_each_time_make_nothing_that_cannot_be_removed() {
    let Some(ground) = Ground::new() else { return };
    let deep = "d/".repeat(30);
    let mut items = Vec::new();
    let mut above = String::new();
    for step in 0..40 {
        items.push(directory(&format!("{above}{deep}")));
        items.push(link(EntryType::Symlink, &format!("l{step}"), &format!("{above}{deep}")));
        above = format!("l{step}/");
    }
    let error = ground.extract(&items).unwrap_err();
    assert!(error.reason.contains("--image-max-depth"), "{error:?}");
    fs::remove_dir_all(ground.root()).unwrap();
}

#[test]
fn links_out_of_the_root_write_within_it() {
    let Some(ground) = Ground::new() else { return };
    let outside = ground.0.path().to_str().unwrap().to_owned();
    ground
        .extract(&[
            link(EntryType::Symlink, "out", &outside),
            directory(outside.trim_start_matches('/')),
            file("out/beside", "hostile"),
            link(EntryType::Symlink, "file", &format!("{outside}/beside")),
            file("file", "replaced"),
            link(EntryType::Symlink, "up", ".."),
            file("up/beside", "hostile"),
        ])
        .unwrap();
    let beside = ground.0.path().join("beside");
    assert_eq!(fs::read_to_string(beside).unwrap(), "untouched");
    let root = ground.root();
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "replaced");
    assert_eq!(fs::read_to_string(root.join("beside")).unwrap(), "hostile");
    // A hard link to a link is one to the link itself, and not to where it leads.
    let ends = [link(EntryType::Symlink, "s", "/beside"), link(EntryType::Link, "h", "s")];
    let Some(ground) = Ground::new() else { return };
    ground.extract(&ends).unwrap();
    assert!(ground.root().join("h").is_symlink());
}

#[test]
fn extensions_that_are_too_large_or_sparse_are_refused() {
    for (pax, reason) in [
        (("comment", vec![b'x'; 2 << 20]), "more than 1 MB"),
        (("GNU.sparse.major", b"1".to_vec()), "damaged pax header"),
        (("path", vec![b'x'; 5000]), "File name too long"),
        (("linkpath", vec![b'x'; 5000]), "File name too long"),
        (("SCHILY.xattr.user.x", vec![b'x'; 100_000]), "set extended attribute user.x"),
        (("uid", b"4294967296".to_vec()), "owner out of range"),
        (("size", b"18446744073709551615".to_vec()), "unexpected end"),
    ] {
        let Some(ground) = Ground::new() else { return };
        let kind = if pax.0 == "linkpath" { EntryType::Symlink } else { EntryType::Regular };
        let items = [Item { pax: vec![pax], ..item(kind, "x") }, file("y", "")];
        let error = ground.extract(&items).unwrap_err();
        assert!(error.reason.contains(reason), "{error:?} instead of {reason}");
    }
    let Some(ground) = Ground::new() else { return };
    let error = ground.extract(&[item(EntryType::GNUSparse, "x")]).unwrap_err();
    assert!(error.reason.contains("unsupported entry type `S`"), "{error:?}");
}
