//! Words that translations must have.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use translate::text::{Glossary, glossary};
use translate::{Error, Result, Translator};

/// A glossary.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Search")]
pub(super) struct GlossaryArgument {
    /// Translate terms as FILE says: lines of a term, a tab and its translation (several forms: a|b); not with --sampling,
    /// --beam-groups and --pieces
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sampling", "pieces", "beam_groups"], value_hint = ValueHint::FilePath)]
    glossary: Option<PathBuf>,
}

/// Which words translations must have.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Search")]
pub(super) struct ConstraintArguments {
    #[command(flatten)]
    pub(super) glossary: GlossaryArgument,

    /// Every translation must have this word (or any of several: a|b); may be repeated; lines are translated whole
    #[arg(long, value_name = "WORD", conflicts_with_all = ["sampling", "pieces", "beam_groups"])]
    force: Vec<String>,
}

impl GlossaryArgument {
    /// Reads the glossary, whose terms are treated as the translator treats texts.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is no term.
    pub(super) fn read(&self, translator: &Translator) -> Result<Option<Glossary>> {
        let Some(path) = &self.glossary else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
        let name = format!("--glossary {}", path.display());
        Glossary::parse(&text, &name, |term| translator.spelled(term).text).map(Some)
    }
}

impl ConstraintArguments {
    /// The words of every line, each in its forms.
    ///
    /// # Errors
    /// If there is no word in one.
    pub(super) fn words(&self) -> Result<Vec<Vec<String>>> {
        let forms = |word: &String| match glossary::forms(word) {
            forms if forms.is_empty() => Err(Error::Usage(format!("--force {word:?}: there is no word to force"))),
            forms => Ok(forms),
        };
        self.force.iter().map(forms).collect()
    }
}
