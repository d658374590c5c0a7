//! Files that are compared line by line.

use std::path::Path;

use translate::pipeline::Input;
use translate::{Error, Result};

/// The name and the contents of a file, or of standard input for `-`, as a run would read them.
pub(super) fn read_bytes(path: &Path) -> Result<(String, Vec<u8>)> {
    let input = if path == Path::new("-") { Input::Stdin } else { Input::File(path.to_owned()) };
    input.read_whole()
}

/// The lines of a file that is compared with others.
pub(super) struct Corpus {
    /// File name, or `standard input`.
    pub(super) name: String,
    /// All of it.
    pub(super) text: String,
}

impl Corpus {
    /// Reads a file, or standard input for `-`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let (name, bytes) = read_bytes(path)?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = before.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
                Err(Error::Input { name, line, problem: "not UTF-8; convert the file to UTF-8 first".into() })
            }
        }
    }

    /// The lines without their ends, trailing white space and byte order mark.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        text.lines().map(str::trim_end)
    }

    /// Checks that this file has as many lines as the one it is compared with.
    pub(super) fn must_match(&self, other: &Self) -> Result<()> {
        let (count, wanted) = (self.lines().count(), other.lines().count());
        if count == wanted {
            return Ok(());
        }
        Err(Error::Input {
            name: self.name.clone(),
            line: count.min(wanted) as u64 + 1,
            problem: format!(
                "the file has {count} lines but {} has {wanted}; line N must belong to line N",
                other.name
            ),
        })
    }
}
