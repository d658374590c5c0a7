//! Where documents come from and go to.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use translate::documents::{self, Document, FORMATS, Format};
use translate::pipeline::{Output, STDIN_NAME};
use translate::{Error, Result};

use crate::cli::lost;

/// Bytes by which a document is recognised.
const START: usize = 4096;

/// A document of the command line.
pub(super) struct Source {
    /// `None` is standard input.
    path: Option<PathBuf>,
    /// What was read of standard input, which cannot be read twice.
    bytes: Vec<u8>,
    format: &'static dyn Format,
}

impl Source {
    /// Finds out what the documents are; those that are files are not read yet.
    ///
    /// # Errors
    /// If one is missing, cannot be read or is of no known kind.
    pub(super) fn open_all(files: &[PathBuf], kind: Option<&str>) -> Result<Vec<Self>> {
        lost::check_files(files)?;
        let standard_input = [PathBuf::from("-")];
        let files = if files.is_empty() { &standard_input } else { files };
        if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            return Err(Error::Usage("standard input (-) can be read only once".into()));
        }
        files.iter().map(|file| Self::open(file, kind.and_then(documents::format))).collect()
    }

    fn open(file: &Path, format: Option<&'static dyn Format>) -> Result<Self> {
        if file.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| Error::io(STDIN_NAME, error))?;
            let format = format.or_else(|| documents::format_of("", &bytes[..bytes.len().min(START)]));
            return Ok(Self { path: None, format: format.ok_or_else(|| unknown(Path::new(STDIN_NAME)))?, bytes });
        }
        let open = || -> std::io::Result<Vec<u8>> {
            if std::fs::metadata(file)?.is_dir() {
                return Err(std::io::ErrorKind::IsADirectory.into());
            }
            let mut start = Vec::new();
            std::fs::File::open(file)?.take(START as u64).read_to_end(&mut start)?;
            Ok(start)
        };
        let start = open().map_err(|error| Error::io(file, error))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let format = format.or_else(|| documents::format_of(&name, &start));
        Ok(Self { path: Some(file.to_owned()), bytes: Vec::new(), format: format.ok_or_else(|| unknown(file))? })
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        self.path.as_ref().map_or(STDIN_NAME.to_owned(), |path| path.display().to_string())
    }

    pub(super) fn format(&self) -> &'static dyn Format {
        self.format
    }

    /// Takes the document apart.
    ///
    /// # Errors
    /// If it cannot be read or is not of its kind.
    pub(super) fn read(&self, options: &documents::Options) -> Result<Box<dyn Document>> {
        let document = match &self.path {
            Some(path) => self.format.read(&std::fs::read(path).map_err(|error| Error::io(path, error))?, options),
            None => self.format.read(&self.bytes, options),
        };
        document.map_err(|error| self.problem(error))
    }

    /// The error, with the name of the document.
    pub(super) fn problem(&self, error: Error) -> Error {
        match error {
            Error::Text(problem) => Error::model(self.name(), format!("{problem} (read as {})", self.format.name())),
            other => other,
        }
    }
}

fn unknown(file: &Path) -> Error {
    let kinds: Vec<&str> = FORMATS.iter().map(|format| format.name()).collect();
    Error::model(file, format!("it is no kind of document that is known; say which with --type: {}", kinds.join(", ")))
}

/// Where documents go.
pub(super) enum Destination {
    StandardOutput,
    File(PathBuf),
    /// Every document under its own name, perhaps with the target language in it.
    Directory {
        path: PathBuf,
        language_in_name: bool,
    },
}

impl Destination {
    /// `output` as it was given, for these documents.
    ///
    /// # Errors
    /// If several documents would go to one place, or one over itself.
    pub(super) fn new(output: Option<PathBuf>, sources: &[Source], language_in_name: bool) -> Result<Self> {
        let is_directory = |path: &PathBuf| {
            path.is_dir() || path.as_os_str().to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR])
        };
        let destination = match output {
            None => Self::StandardOutput,
            Some(path) if is_directory(&path) => Self::Directory { path, language_in_name },
            Some(path) => Self::File(path),
        };
        if let Self::Directory { path, language_in_name } = &destination {
            if let Some(nameless) = sources.iter().find(|source| source.path.is_none()) {
                let name = nameless.name();
                return Err(Error::Usage(format!("{name} has no name to go into a directory under; give -o FILE")));
            }
            let mut names = HashSet::new();
            for source in sources.iter().filter_map(|source| source.path.as_ref()) {
                if !names.insert(source.file_name()) {
                    let name = source.file_name().unwrap_or_default().display();
                    return Err(Error::Usage(format!(
                        "two documents are called {name}; give each directory a run of its own"
                    )));
                }
                let is_here = source.parent().is_some_and(|parent| {
                    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                    parent.canonicalize().ok().is_some_and(|parent| path.canonicalize().ok() == Some(parent))
                });
                if is_here && !language_in_name {
                    let problem =
                        "the translation would replace its source; give another directory, or --language-in-name";
                    return Err(Error::Usage(format!("{}: {problem}", source.display())));
                }
            }
            std::fs::create_dir_all(path).map_err(|error| Error::io(path, error))?;
        } else {
            if language_in_name {
                return Err(Error::Usage("--language-in-name is for an output that is a directory (-o DIR/)".into()));
            }
            if sources.len() > 1 {
                let problem = "several documents need a directory to go to: -o DIR/";
                return Err(Error::Usage(problem.into()));
            }
            if let (Self::File(path), Some(source)) = (&destination, sources[0].path.as_ref())
                && path.canonicalize().ok().is_some_and(|path| source.canonicalize().ok() == Some(path))
            {
                return Err(Error::Usage(format!("{}: the translation would replace its source", source.display())));
            }
        }
        Ok(destination)
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self, Self::Directory { .. })
    }

    /// Where the translation of a document goes.
    pub(super) fn output(&self, source: &Source, language: Option<&str>) -> Output {
        match self {
            Self::StandardOutput => Output::Stdout,
            Self::File(path) => Output::File(path.clone()),
            Self::Directory { path, language_in_name } => {
                let name = source.path.as_deref().and_then(Path::file_name).unwrap_or_default();
                let language = language.filter(|_| *language_in_name);
                Output::File(path.join(language.map_or(name.to_owned(), |language| with_language(name, language))))
            }
        }
    }

    /// The file in which a run notes what is translated.
    pub(super) fn journal(&self) -> Option<PathBuf> {
        let with_ending = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".resume");
            PathBuf::from(name)
        };
        match self {
            Self::StandardOutput => None,
            Self::File(path) => Some(with_ending(path)),
            Self::Directory { path, .. } => Some(path.join("documents.resume")),
        }
    }
}

/// `page.html` as `page.en.html`.
fn with_language(name: &std::ffi::OsStr, language: &str) -> OsString {
    let path = Path::new(name);
    let mut named = path.file_stem().unwrap_or_default().to_owned();
    named.push(".");
    named.push(language);
    if let Some(extension) = path.extension() {
        named.push(".");
        named.push(extension);
    }
    named
}
