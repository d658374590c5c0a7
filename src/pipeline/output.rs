//! Where results go, and what is left there when something goes wrong.

use super::descriptor::{self, Place};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes collected before they are written although nobody is waiting for them.
const BUFFER: usize = 1 << 16;

/// The last lines of a file to resume that are made again, to see whether this run would have written them.
const COMPARED_LINES: usize = 3;

/// Bytes of a file's name in that of its temporary, so that names as long as the system allows have one, too.
const NAME_IN_TEMPORARY: usize = 180;

/// Where results go.
pub enum Output {
    /// Standard output. If its reader goes away, the run ends quietly.
    Stdout,
    /// A file, replaced as a whole: results go to a temporary file beside it, which takes its name when the run is
    /// complete. After an error or an interrupt the file is what it was before; where there was none, an interrupted run
    /// leaves its finished lines. What a killed run left, the next run on the same file removes. Devices, FIFOs and names
    /// of open descriptors (`/dev/stdout`, `/dev/fd/3`) are written directly.
    File(PathBuf),
    /// A file that is added to in place, by one run at a time. Whole lines already there are kept, a partial last line is
    /// dropped, and as many lines of input are skipped; so a run that was killed goes on, and the file ends up the same.
    /// The last lines are made again and compared, so that a run with other settings is refused.
    Resume(PathBuf),
    /// Any other stream.
    Stream(Box<dyn Write>),
}

impl Output {
    /// Whether results go to a regular file of their own, and not to where somebody may be looking.
    pub fn is_own_file(&self) -> bool {
        matches!(self, Self::File(path) | Self::Resume(path) if descriptor::descriptor_of(path).is_none())
    }

    /// Whether results would be added to the given file while it is read; `None` is standard input.
    pub(super) fn adds_to(&self, file: Option<&Path>) -> bool {
        let output = match self {
            Self::Resume(path) => File::open(path),
            Self::Stdout => descriptor::duplicate(1),
            Self::File(path) => match descriptor::follow(path) {
                Ok(Place::Descriptor(number)) => descriptor::duplicate(number),
                Ok(Place::Foreign(path)) => File::open(path),
                _ => return false,
            },
            Self::Stream(_) => return false,
        };
        let input = match file {
            // Opening a FIFO would wait.
            Some(path) if !path.is_file() => return false,
            Some(path) => File::open(path),
            None => descriptor::duplicate(0),
        };
        matches!((output, input), (Ok(output), Ok(input)) if descriptor::is_same_file(&output, &input))
    }
}

/// An open [`Output`]. [`run`](super::run) has its own; this is for what is written beside it.
pub struct Sink {
    target: Target,
    /// Whole lines not yet written.
    pending: Vec<u8>,
    /// The last lines of a file that is added to.
    last_lines: VecDeque<Vec<u8>>,
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
        /// Whether there was a file before.
        existed: bool,
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
        let mut last_lines = VecDeque::new();
        let (target, lines) = match output {
            Output::Stdout => (Target::Stream { stream: Box::new(io::stdout()), path: "standard output".into() }, 0),
            Output::Stream(stream) => (Target::Stream { stream, path: "output".into() }, 0),
            Output::File(path) => (open_replaced(path)?, 0),
            Output::Resume(path) => {
                let (file, whole) = open_extended(&path)?;
                last_lines = whole.last;
                (Target::Extended { file, path }, whole.lines)
            }
        };
        Ok((Self { target, pending: Vec::new(), last_lines }, lines))
    }

    /// The last lines, at most a few, that were there before, in order; they are given once.
    pub(super) fn take_last_lines(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.last_lines)
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
            Target::Replaced { file, temporary, path, .. } => {
                // The name must not reach the disk before the text does.
                file.sync_all()?;
                fs::rename(temporary, path)
            }
        }
    }

    /// Ends the output of a run that was interrupted: a file that was there before stays what it was, and its path is
    /// returned; everything else ends with what was written.
    ///
    /// # Errors
    /// As [`Sink::finish`].
    pub fn interrupt(self) -> Result<Option<PathBuf>> {
        match &self.target {
            Target::Replaced { path, existed: true, .. } => {
                let path = path.clone();
                self.abandon();
                Ok(Some(path))
            }
            _ => self.finish().map(|()| None),
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
            Target::Extended { file, .. } => drop(whole_lines(file).and_then(|whole| file.set_len(whole.bytes))),
        }
    }
}

fn open_replaced(path: PathBuf) -> Result<Target> {
    let stream = |opened: io::Result<File>, path: PathBuf| match opened {
        Ok(file) => Ok(Target::Stream { stream: Box::new(file), path }),
        Err(source) => Err(Error::io(path, source)),
    };
    // A link stays a link; what it points to is replaced, or made if it is not there.
    let path = match descriptor::follow(&path).map_err(|source| Error::io(&path, source))? {
        Place::Descriptor(number) => return stream(descriptor::duplicate(number), path),
        Place::Foreign(foreign) => return stream(descriptor::open_foreign(&foreign), path),
        Place::File(path) => path,
    };
    let existing = fs::metadata(&path).ok();
    match &existing {
        Some(found) if found.is_dir() => return Err(Error::io(path, io::ErrorKind::IsADirectory.into())),
        Some(found) if !found.is_file() => return stream(OpenOptions::new().write(true).open(&path), path),
        // A file that may not be written is not to be replaced either, nor one that another run adds to.
        Some(_) => {
            let file = OpenOptions::new().append(true).open(&path).map_err(|source| Error::io(&path, source))?;
            if is_busy(&file) {
                // The last moment of a run that is just done.
                std::thread::sleep(Duration::from_millis(50));
                if is_busy(&file) {
                    return Err(busy(&path));
                }
            }
        }
        None => {}
    }
    let (file, temporary) = create_temporary(&path)?;
    let existed = existing.is_some();
    if let Some(found) = existing {
        // Some file systems have no permissions to copy.
        let _ = file.set_permissions(found.permissions());
    }
    Ok(Target::Replaced { file, temporary, path, existed })
}

/// Whether another run has the file locked. Where files cannot be locked, none has.
fn is_busy(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn busy(path: &Path) -> Error {
    Error::io(path, io::Error::new(io::ErrorKind::ResourceBusy, "another run is writing it"))
}

/// A new file beside `path`, `.NAME.PROCESS-NUMBER.tmp`, locked as long as it is open: one that nobody has locked belongs to
/// no run any more, and is removed here.
fn create_temporary(path: &Path) -> Result<(File, PathBuf)> {
    let name = path.file_name().ok_or_else(|| Error::Usage(format!("{}: not a file name", path.display())))?;
    let start = temporary_start(name);
    remove_abandoned(path, &start);
    for attempt in 0.. {
        let mut hidden = start.clone();
        hidden.push(format!("{}-{attempt}.tmp", std::process::id()));
        let temporary = path.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => {
                // Where files cannot be locked, none is found to be abandoned either.
                let _ = file.lock();
                // Another run may have found it before it was locked.
                if temporary.exists() {
                    return Ok((file, temporary));
                }
            }
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::io(path, source)),
        }
    }
    unreachable!("the loop ends only by returning")
}

/// `.NAME.`, shortened to what leaves room for the rest of a name.
fn temporary_start(name: &OsStr) -> OsString {
    let bytes = name.as_encoded_bytes();
    let mut start = OsString::from(".");
    if bytes.len() <= NAME_IN_TEMPORARY {
        start.push(name);
    } else {
        // FNV-1a, so that long names that begin alike have temporaries of their own.
        let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold);
        let text = String::from_utf8_lossy(bytes);
        // At most three times as long where bytes are replaced.
        let end = (0..=NAME_IN_TEMPORARY / 3).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        start.push(format!("{}~{hash:016x}", &text[..end]));
    }
    start.push(".");
    start
}

/// Removes the temporaries of runs on `path` that were killed. Nothing here is an error: they are in nobody's way.
fn remove_abandoned(path: &Path, start: &OsStr) {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let middle = name.as_encoded_bytes().strip_prefix(start.as_encoded_bytes());
        let middle = middle.and_then(|rest| rest.strip_suffix(b".tmp"));
        let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        let is_ours =
            middle.is_some_and(|middle| middle.splitn(2, |&byte| byte == b'-').filter(|p| is_number(p)).count() == 2);
        if is_ours
            && let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn open_extended(path: &Path) -> Result<(File, WholeLines)> {
    let is_special = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if is_special || !matches!(descriptor::follow(path), Ok(Place::File(_)) | Err(_)) {
        return Err(Error::Usage(format!("{}: not a regular file, so a run cannot be resumed", path.display())));
    }
    let io = |source| Error::io(path, source);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
    if is_busy(&file) {
        return Err(busy(path));
    }
    let mut resume = || {
        let whole = whole_lines(&mut file)?;
        file.set_len(whole.bytes)?;
        file.seek(SeekFrom::Start(whole.bytes))?;
        Ok(whole)
    };
    let whole = resume().map_err(io)?;
    Ok((file, whole))
}

/// The lines of a file that end in a newline.
#[derive(Debug, Default, PartialEq, Eq)]
struct WholeLines {
    /// How many there are.
    lines: u64,
    /// Bytes up to the end of the last.
    bytes: u64,
    /// The last of them, without their ends.
    last: VecDeque<Vec<u8>>,
}

/// Reads through a file, whose position is anywhere afterwards.
fn whole_lines(file: &mut File) -> io::Result<WholeLines> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; BUFFER];
    let mut lines = 0;
    let mut position = 0;
    // Where the last lines end.
    let mut ends = VecDeque::from([0]);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for (at, _) in buffer[..count].iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            lines += 1;
            ends.push_back(position + at as u64 + 1);
            if ends.len() > COMPARED_LINES + 1 {
                ends.pop_front();
            }
        }
        position += count as u64;
    }
    let mut last = VecDeque::new();
    for (&start, &end) in ends.iter().zip(ends.iter().skip(1)) {
        file.seek(SeekFrom::Start(start))?;
        let mut line = vec![0; (end - start - 1) as usize];
        file.read_exact(&mut line)?;
        last.push_back(line);
    }
    Ok(WholeLines { lines, bytes: ends.back().copied().unwrap_or(0), last })
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
        let whole = whole_lines(&mut File::open(&path).unwrap()).unwrap();
        assert_eq!((whole.lines, whole.bytes), (20_000, 220_000));
        assert_eq!(whole.last, vec![b"some words".to_vec(); COMPARED_LINES]);
    }

    #[test]
    fn an_interrupt_leaves_a_file_that_was_there_and_keeps_what_is_finished_of_a_new_one() {
        let directory = directory();
        for (name, before, after) in [("old", Some("old\n"), "old\n"), ("new", None, "new\n")] {
            let path = directory.path().canonicalize().unwrap().join(name);
            before.inspect(|text| fs::write(&path, text).unwrap());
            let (mut sink, _) = Sink::open(Output::File(path.clone())).unwrap();
            sink.pending().extend(b"new\n");
            assert_eq!(sink.interrupt().unwrap(), before.map(|_| path.clone()));
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
        assert_eq!(names(&directory).len(), 2, "and no temporary");
    }

    #[test]
    fn temporaries_of_dead_runs_are_removed_and_those_of_living_ones_are_not() {
        let directory = directory();
        let path = directory.path().join("out");
        let (living, _) = Sink::open(Output::File(path.clone())).unwrap();
        for name in [".out.4711-0.tmp", ".out.txt.4711-0.tmp", ".out.x-0.tmp"] {
            fs::write(directory.path().join(name), "half").unwrap();
        }
        let (sink, _) = Sink::open(Output::File(path)).unwrap();
        let mut left = names(&directory);
        left.retain(|name| !name.contains(&std::process::id().to_string()));
        left.sort();
        assert_eq!(left, [".out.txt.4711-0.tmp", ".out.x-0.tmp"], "files of others stay");
        assert_eq!(names(&directory).len(), 4);
        sink.finish().unwrap();
        living.finish().unwrap();
    }

    #[test]
    fn names_as_long_as_the_system_allows_are_written() {
        let directory = directory();
        for name in ["n".repeat(255), "ü".repeat(125)] {
            let path = directory.path().join(&name);
            let (mut sink, _) = Sink::open(Output::File(path.clone())).unwrap();
            sink.pending().extend(b"new\n");
            sink.finish().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        }
    }

    #[test]
    fn only_one_run_at_a_time_adds_to_a_file() {
        let directory = directory();
        let path = directory.path().join("out");
        let (first, _) = Sink::open(Output::Resume(path.clone())).unwrap();
        for output in [Output::Resume(path.clone()), Output::File(path.clone())] {
            let error = Sink::open(output).map(|_| ()).unwrap_err().to_string();
            assert!(error.ends_with("out: another run is writing it"), "{error}");
        }
        first.finish().unwrap();
        Sink::open(Output::Resume(path)).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_creates_what_it_points_to() {
        let directory = directory();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("target", &link).unwrap();
        let (mut sink, _) = Sink::open(Output::File(link.clone())).unwrap();
        sink.pending().extend(b"new\n");
        sink.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(directory.path().join("target")).unwrap(), "new\n");
    }

    #[test]
    fn a_directory_is_no_output() {
        let directory = directory();
        for output in [Output::File(directory.path().into()), Output::Resume(directory.path().into())] {
            assert!(Sink::open(output).is_err());
        }
    }
}
