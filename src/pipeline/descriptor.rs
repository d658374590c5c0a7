//! Paths that name something open: `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/1`, and links to them.
//!
//! Such a path must be written to where it stands. Replacing the file behind it would take away what the shell has in it,
//! and what the shell writes to it afterwards.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Links followed before it is said that they go in a circle, as the operating system does.
const MOST_LINKS: usize = 40;

/// What the path of an output leads to once links are followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A descriptor of this process.
    Descriptor(i32),
    /// A descriptor of another process, under its path in `/proc`.
    Foreign(PathBuf),
    /// A file by its own name, whether it is there or not.
    File(PathBuf),
}

/// The descriptor of this process that a path names, if it names one.
pub fn descriptor_of(path: &Path) -> Option<i32> {
    match follow(path) {
        Ok(Place::Descriptor(number)) => Some(number),
        _ => None,
    }
}

/// Follows links, those that lead to nothing included.
pub(super) fn follow(path: &Path) -> io::Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Some(name) = path.file_name().map(ToOwned::to_owned) else { return Ok(Place::File(path)) };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // What is wrong with a directory is said when the file is opened.
        let Ok(parent) = parent.canonicalize() else { return Ok(Place::File(path)) };
        path = parent.join(&name);
        if cfg!(unix) {
            let number = name.to_str().and_then(|name| name.parse().ok());
            match (descriptors_of(&parent), number) {
                (Some(Whose::Ours), Some(number)) => return Ok(Place::Descriptor(number)),
                (Some(Whose::Others), Some(_)) => return Ok(Place::Foreign(path)),
                _ => {}
            }
            // Where these are devices of their own.
            let standard = ["stdin", "stdout", "stderr"].iter().zip(0..).find(|(standard, _)| name == **standard);
            if let (true, Some((_, number))) = (parent == Path::new("/dev"), standard) {
                return Ok(Place::Descriptor(number));
            }
        }
        match path.read_link() {
            Ok(target) => path = parent.join(target),
            Err(_) => return Ok(Place::File(path)),
        }
    }
    Err(io::Error::other("too many links, which lead in a circle"))
}

enum Whose {
    Ours,
    Others,
}

/// Whose descriptors a directory (without links) lists: `/dev/fd`, `/proc/PID/fd`, `/proc/PID/task/TID/fd`.
fn descriptors_of(directory: &Path) -> Option<Whose> {
    let parts: Vec<&str> = directory.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    let process = match parts.as_slice() {
        ["/", "dev", "fd"] => return Some(Whose::Ours),
        ["/", "proc", process, "fd"] | ["/", "proc", process, "task", _, "fd"] => process,
        _ => return None,
    };
    Some(if *process == std::process::id().to_string() { Whose::Ours } else { Whose::Others })
}

/// A second handle on a descriptor that this process was started with: it shares the position and the flags.
///
/// # Errors
/// If there is no such descriptor.
#[cfg(unix)]
pub(super) fn duplicate(number: i32) -> io::Result<File> {
    use std::os::fd::{AsFd, BorrowedFd};
    let owned = match number {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        2 => io::stderr().as_fd().try_clone_to_owned(),
        _ if number < 0 || !is_inherited(number) => Err(io::Error::other("there is no such open file")),
        // SAFETY: the descriptor is open, as was just seen, and none of this program's own, which are all closed when
        // another program is started; so nothing here closes it while it is duplicated.
        _ => unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned(),
    };
    owned.map(File::from)
}

/// Without descriptors there is nothing that a path could name.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub(super) fn duplicate(_: i32) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a descriptor came with the process: those that Rust opens are closed on `exec`.
#[cfg(unix)]
fn is_inherited(number: i32) -> bool {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    match std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")) {
        Ok(information) => {
            let flags = information.lines().find_map(|line| line.strip_prefix("flags:"));
            flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|f| f & CLOSE_ON_EXEC == 0)
        }
        // A system without /proc says less.
        Err(_) => !Path::new("/proc/self").exists() && Path::new(&format!("/dev/fd/{number}")).exists(),
    }
}

/// Opens what another process has open; what is written there comes last.
pub(super) fn open_foreign(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Whether two open files are one regular file on disk.
#[cfg(unix)]
pub(super) fn is_same_file(one: &File, other: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(one), Ok(other)) = (one.metadata(), other.metadata()) else { return false };
    one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Not known on this system.
#[cfg(not(unix))]
pub(super) fn is_same_file(_: &File, _: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_descriptor_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
        let own = format!("/proc/{}/fd/1", std::process::id());
        for path in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", &own] {
            assert_eq!(descriptor_of(Path::new(path)), Some(1), "{path}");
        }
        assert_eq!(descriptor_of(&link), Some(1));
        assert_eq!(descriptor_of(Path::new("/dev/stderr")), Some(2));
        assert_eq!(follow(Path::new("/proc/1/fd/1")).unwrap(), Place::Foreign("/proc/1/fd/1".into()));
        for path in ["/dev/null", "out", "fd/1", "/tmp/1"] {
            assert_eq!(descriptor_of(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn links_are_followed_to_what_is_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("second", root.join("first")).unwrap();
        std::os::unix::fs::symlink("new", root.join("second")).unwrap();
        assert_eq!(follow(&root.join("first")).unwrap(), Place::File(root.join("new")));
        std::os::unix::fs::symlink("circle", root.join("circle")).unwrap();
        assert!(follow(&root.join("circle")).is_err());
    }

    #[test]
    fn only_descriptors_that_came_with_the_process_are_duplicated() {
        use std::os::fd::AsRawFd;
        let own = File::open("/dev/null").unwrap();
        assert!(duplicate(own.as_raw_fd()).is_err(), "a file of this program itself");
        assert!(duplicate(9_999).is_err());
        assert!(duplicate(2).is_ok());
    }
}
