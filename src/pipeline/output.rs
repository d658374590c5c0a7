//! Where results go, and what is left there when something goes wrong.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes collected before they are written although nobody is waiting for them.
const BUFFER: usize = 1 << 16;

/// Where results go.
pub enum Output {
    /// Standard output. If its reader goes away, the run ends quietly.
    Stdout,
    /// A file, replaced as a whole: results go to a temporary file beside it, which takes its name when the run is
    /// complete or interrupted. After an error the file is what it was before. Devices and FIFOs are written directly.
    File(PathBuf),
    /// A file that is added to in place. Whole lines already there are kept, a partial last line is dropped, and as
    /// many lines of input are skipped; so a run that was killed goes on, and the file ends up the same.
    Resume(PathBuf),
    /// Any other stream.
    Stream(Box<dyn Write>),
}

impl Output {
    /// Whether results would be added to the given file while it is read.
    pub(super) fn adds_to(&self, file: &Path) -> bool {
        let Self::Resume(path) = self else { return false };
        matches!((path.canonicalize(), file.canonicalize()), (Ok(one), Ok(other)) if one == other)
    }
}

/// An open [`Output`]. [`run`](super::run) has its own; this is for what is written beside it.
pub struct Sink {
    target: Target,
    /// Whole lines not yet written.
    pending: Vec<u8>,
}

enum Target {
    /// `path` is for messages.
    Stream {
        stream: Box<dyn Write>,
        path: PathBuf,
    },
    Replaced {
        file: File,
        temporary: PathBuf,
        path: PathBuf,
    },
    Extended {
        file: File,
        path: PathBuf,
    },
}

impl Sink {
    /// Opens the output and says how many lines it has already.
    ///
    /// # Errors
    /// If it cannot be opened for writing.
    pub fn open(output: Output) -> Result<(Self, u64)> {
        let (target, lines) = match output {
            Output::Stdout => (Target::Stream { stream: Box::new(io::stdout()), path: "standard output".into() }, 0),
            Output::Stream(stream) => (Target::Stream { stream, path: "output".into() }, 0),
            Output::File(path) => (open_replaced(path)?, 0),
            Output::Resume(path) => {
                let (file, lines) = open_extended(&path)?;
                (Target::Extended { file, path }, lines)
            }
        };
        Ok((Self { target, pending: Vec::new() }, lines))
    }

    /// How to name the output in a message.
    pub fn path(&self) -> &Path {
        let (Target::Stream { path, .. } | Target::Replaced { path, .. } | Target::Extended { path, .. }) =
            &self.target;
        path
    }

    /// The buffer to append whole lines to.
    pub fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Writes what is pending if it is much.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&mut self) -> io::Result<()> {
        if self.pending.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// Writes what is pending, for whoever is waiting for it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let stream: &mut dyn Write = match &mut self.target {
            Target::Stream { stream, .. } => stream,
            Target::Replaced { file, .. } | Target::Extended { file, .. } => file,
        };
        stream.write_all(&self.pending)?;
        self.pending.clear();
        stream.flush()
    }

    /// Ends the output with all that was written.
    ///
    /// # Errors
    /// What the operating system says; nothing incomplete is left then.
    pub fn finish(mut self) -> Result<()> {
        match self.flush().and_then(|()| self.settle()) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }

    fn settle(&self) -> io::Result<()> {
        match &self.target {
            Target::Stream { .. } => Ok(()),
            Target::Extended { file, .. } => file.sync_all(),
            Target::Replaced { file, temporary, path } => {
                // The name must not reach the disk before the text does.
                file.sync_all()?;
                fs::rename(temporary, path)
            }
        }
    }

    /// Ends the output after an error elsewhere: nothing incomplete is left.
    pub fn abandon(mut self) {
        match &self.target {
            Target::Replaced { .. } => self.clean(),
            // What is finished is out, here as everywhere; if even that fails, the first error is the one to report.
            Target::Stream { .. } | Target::Extended { .. } => {
                if self.flush().is_err() {
                    self.clean();
                }
            }
        }
    }

    /// Ends the output after the operating system refused it.
    pub fn fail(mut self, error: io::Error) -> Error {
        self.clean();
        Error::io(self.path(), error)
    }

    fn clean(&mut self) {
        match &mut self.target {
            Target::Stream { .. } => {}
            // There is no better place to report a second failure, and the first says it all.
            Target::Replaced { temporary, .. } => drop(fs::remove_file(temporary)),
            Target::Extended { file, .. } => drop(whole_lines(file).and_then(|(_, bytes)| file.set_len(bytes))),
        }
    }
}

fn open_replaced(path: PathBuf) -> Result<Target> {
    // A link stays a link; what it points to is replaced.
    let path = path.canonicalize().unwrap_or(path);
    let existing = fs::metadata(&path).ok();
    match &existing {
        Some(found) if found.is_dir() => return Err(Error::io(path, io::ErrorKind::IsADirectory.into())),
        Some(found) if !found.is_file() => {
            let opened = OpenOptions::new().write(true).open(&path);
            return match opened {
                Ok(file) => Ok(Target::Stream { stream: Box::new(file), path }),
                Err(source) => Err(Error::io(path, source)),
            };
        }
        // A file that may not be written is not to be replaced either.
        Some(_) => drop(OpenOptions::new().append(true).open(&path).map_err(|source| Error::io(&path, source))?),
        None => {}
    }
    let name = path.file_name().ok_or_else(|| Error::Usage(format!("{}: not a file name", path.display())))?;
    for attempt in 0.. {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let temporary = path.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => {
                if let Some(found) = existing {
                    // Some file systems have no permissions to copy.
                    let _ = file.set_permissions(found.permissions());
                }
                return Ok(Target::Replaced { file, temporary, path });
            }
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::io(path, source)),
        }
    }
    unreachable!("the loop ends only by returning")
}

fn open_extended(path: &Path) -> Result<(File, u64)> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err(Error::Usage(format!("{}: not a regular file, so a run cannot be resumed", path.display())));
    }
    let resume = || {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (lines, bytes) = whole_lines(&mut file)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok((file, lines))
    };
    resume().map_err(|source| Error::io(path, source))
}

/// The number of lines of `file` that end in a newline, and the number of bytes up to the last one's end.
fn whole_lines(file: &mut File) -> io::Result<(u64, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; BUFFER];
    let (mut lines, mut bytes, mut position) = (0, 0, 0);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok((lines, bytes)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = &buffer[..count];
        lines += read.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if let Some(last) = read.iter().rposition(|&byte| byte == b'\n') {
            bytes = position + last as u64 + 1;
        }
        position += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(directory: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_when_all_is_written() {
        let directory = directory();
        let path = directory.path().join("out");
        fs::write(&path, "old\n").unwrap();
        let (mut sink, lines) = Sink::open(Output::File(path.clone())).unwrap();
        assert_eq!(lines, 0);
        sink.pending().extend(b"new\n");
        sink.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
        sink.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(names(&directory), ["out"]);
    }

    #[test]
    fn an_error_leaves_the_old_file_and_nothing_else() {
        let directory = directory();
        let path = directory.path().join("out");
        fs::write(&path, "old\n").unwrap();
        let (mut sink, _) = Sink::open(Output::File(path.clone())).unwrap();
        sink.pending().extend(b"new\n");
        sink.flush().unwrap();
        let error = sink.fail(io::ErrorKind::StorageFull.into());
        assert!(error.to_string().ends_with("out: no storage space"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
        assert_eq!(names(&directory), ["out"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_and_its_permissions_survive() {
        use std::os::unix::fs::PermissionsExt;
        let directory = directory();
        let (path, link) = (directory.path().join("out"), directory.path().join("link"));
        fs::write(&path, "old\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("out", &link).unwrap();
        let (mut sink, _) = Sink::open(Output::File(link.clone())).unwrap();
        sink.pending().extend(b"new\n");
        sink.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn resuming_drops_a_partial_line_and_counts_the_whole_ones() {
        let directory = directory();
        let path = directory.path().join("out");
        for (before, whole, after) in
            [("", 0, "c\n"), ("a", 0, "c\n"), ("a\n", 1, "a\nc\n"), ("a\n\nb", 2, "a\n\nc\n"), ("\n", 1, "\nc\n")]
        {
            fs::write(&path, before).unwrap();
            let (mut sink, lines) = Sink::open(Output::Resume(path.clone())).unwrap();
            sink.pending().extend(b"c\n");
            sink.finish().unwrap();
            assert_eq!((lines, fs::read_to_string(&path).unwrap().as_str()), (whole, after), "{before:?}");
        }
    }

    #[test]
    fn resuming_starts_a_file_that_is_not_there() {
        let directory = directory();
        let path = directory.path().join("out");
        let (sink, lines) = Sink::open(Output::Resume(path.clone())).unwrap();
        sink.finish().unwrap();
        assert_eq!((lines, fs::read(&path).unwrap()), (0, vec![]));
    }

    #[test]
    fn a_full_disk_leaves_whole_lines_in_a_resumable_file() {
        let directory = directory();
        let path = directory.path().join("out");
        let (mut sink, _) = Sink::open(Output::Resume(path.clone())).unwrap();
        sink.pending().extend(b"a\nb\nhalf a li");
        sink.flush().unwrap();
        sink.fail(io::ErrorKind::StorageFull.into());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
    }

    #[test]
    fn lines_are_counted_across_buffers() {
        let directory = directory();
        let path = directory.path().join("out");
        fs::write(&path, "some words\n".repeat(20_000) + "rest").unwrap();
        assert_eq!(whole_lines(&mut File::open(&path).unwrap()).unwrap(), (20_000, 220_000));
    }

    #[test]
    fn a_directory_is_no_output() {
        let directory = directory();
        for output in [Output::File(directory.path().into()), Output::Resume(directory.path().into())] {
            assert!(Sink::open(output).is_err());
        }
    }
}
