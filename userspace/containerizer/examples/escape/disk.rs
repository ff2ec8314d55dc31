//! Ways to fill the disk. What goes through stays, and is held, until the container is ended.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::thread;

use super::{Tried, called};

const MB: usize = 1 << 20;

/// The attempt `name`, if it is one of these: the directory, and how much.
pub(super) fn attempt(name: &str, arguments: &[String]) -> Option<Tried> {
    let directory = Path::new(arguments.first().map_or(".", String::as_str));
    let much = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    match name {
        "leave-project" => return Some(leave(directory)),
        "leave-project-by-flags" => return Some(leave_by_flags(directory)),
        "leave-project-by-call" => return Some(leave_by_call(directory)),
        _ => {}
    }
    let filled = match name {
        "fill" => fill(File::create(directory.join("filled")), much),
        "fill-without-a-name" => nameless(directory).and_then(|file| fill(Ok(file), much)),
        "fill-by-mapping" => mapped(directory, much),
        "fill-by-fallocate" => allocated(directory, much),
        "fill-with-files" => files(directory, much),
        "fill-with-holes" => File::create(directory.join("holes"))
            .and_then(|file| file.set_len((much * MB) as u64).map(|()| Some(file))),
        _ => return None,
    };
    Some(filled.map(|file| {
        println!("{name} is held");
        loop {
            thread::park();
            // Nobody unparks it; the file is not to be closed before.
            let _held = &file;
        }
    }))
}

/// A file that has no name any more.
fn nameless(directory: &Path) -> io::Result<File> {
    let path = directory.join("nameless");
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Writes so many megabytes, and has them put on the disk.
fn fill(file: io::Result<File>, much: usize) -> io::Result<Option<File>> {
    let mut file = file?;
    for _ in 0..much {
        file.write_all(&vec![1; MB])?;
        file.sync_data()?;
    }
    Ok(Some(file))
}

/// Writes through a mapping of a file that is closed and has no name.
fn mapped(directory: &Path, much: usize) -> io::Result<Option<File>> {
    let file = nameless(directory)?;
    file.set_len((much * MB) as u64)?;
    let (protection, null) = (libc::PROT_READ | libc::PROT_WRITE, std::ptr::null_mut());
    // SAFETY: maps a file of this length, wherever the kernel likes.
    let address =
        unsafe { libc::mmap(null, much * MB, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    drop(file);
    for page in (0..much * MB).step_by(4096) {
        // SAFETY: within the mapping, which is never taken away.
        unsafe { address.cast::<u8>().add(page).write_volatile(1) };
        if page % MB == 0 {
            // SAFETY: the same.
            unsafe { libc::msync(address, much * MB, libc::MS_SYNC) };
        }
    }
    Ok(None)
}

/// Has the filesystem put so much by.
fn allocated(directory: &Path, much: usize) -> io::Result<Option<File>> {
    let file = File::create(directory.join("allocated"))?;
    let length = i64::try_from(much * MB).unwrap_or(i64::MAX);
    // SAFETY: takes numbers.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Some(file))
}

/// Makes so many thousand empty files.
fn files(directory: &Path, much: usize) -> io::Result<Option<File>> {
    for group in 0..much {
        let directory = directory.join(format!("many{group}"));
        fs::create_dir(&directory)?;
        for number in 0..1000 {
            File::create(directory.join(number.to_string()))?;
        }
    }
    Ok(None)
}

/// `struct fsxattr` (linux/fs.h).
#[repr(C)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_extent_size: u32,
    padding: [u8; 8],
}

/// Takes a directory, and what will be made in it, out of its project.
fn leave(directory: &Path) -> Tried {
    let directory = File::open(directory)?;
    let none = Attributes {
        flags: 0,
        extent_size: 0,
        extents: 0,
        project: 0,
        copy_extent_size: 0,
        padding: [0; 8],
    };
    // SAFETY: `FS_IOC_FSSETXATTR` reads such a structure.
    called(unsafe { libc::ioctl(directory.as_raw_fd(), 0x401c_5820, &raw const none) }.into())
}

/// Has what will be made in a directory belong to no project.
fn leave_by_flags(directory: &Path) -> Tried {
    let directory = File::open(directory)?;
    let mut flags: libc::c_long = 0;
    // SAFETY: `FS_IOC_GETFLAGS` writes no more than that.
    called(unsafe { libc::ioctl(directory.as_raw_fd(), 0x8008_6601, &raw mut flags) }.into())?;
    // Without `FS_PROJINHERIT_FL`.
    flags &= !0x2000_0000;
    // SAFETY: `FS_IOC_SETFLAGS` reads no more than that.
    called(unsafe { libc::ioctl(directory.as_raw_fd(), 0x4008_6602, &raw const flags) }.into())
}

/// As [`leave`], by `file_setattr(2)`.
fn leave_by_call(directory: &Path) -> Tried {
    let directory = File::open(directory)?;
    // `struct file_attr` of Linux 6.17: flags, and four numbers of which one is the project.
    let none = [0_u64; 3];
    // SAFETY: the call reads as many bytes as it is told, and a path that is empty.
    called(unsafe {
        libc::syscall(
            469,
            directory.as_raw_fd(),
            c"".as_ptr(),
            none.as_ptr(),
            size_of_val(&none),
            libc::AT_EMPTY_PATH,
        )
    })
}
