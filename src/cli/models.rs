//! `translate models`: what there is to translate with.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use translate::layouts::{Description, ModelSummary, WeightSummary, describe, list_models, looks_like_model};
use translate::store::hub::HubSettings;
use translate::store::{Location, at};
use translate::text::Side;
use translate::text::languages::name_of;
use translate::{Error, Result, languages_of};

use super::Ending;
use super::options::ResultArguments;

/// Arguments of `models`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directories to look for models in, and one level below; a model itself, or a file of one, is described
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,

    /// List the languages of the models named instead: built-in ones, directories or hub names
    #[arg(long)]
    languages: bool,

    #[command(flatten)]
    results: ResultArguments,
}

const HEADINGS: [&str; 7] = ["MODEL", "WHERE", "LANGUAGES", "FAMILY", "PARAMETERS", "SIZE", "PRECISION"];

/// Prints the list.
pub(super) fn run(arguments: Arguments) -> Result<Ending> {
    let text = if arguments.languages {
        let lists = arguments.paths.iter().map(|name| languages(name, arguments.results.is_json()));
        lists.collect::<Result<String>>()?
    } else {
        let (named, directories) = sort(arguments.paths)?;
        let mut models = list_models(&HubSettings::from_environment(), &directories);
        if !named.is_empty() {
            // Those who name a model want that one, and what lies below it.
            models.retain(|model| {
                model.location == Location::Local && named.iter().all(|named| named.name != model.name)
            });
        }
        match arguments.results.is_json() {
            true => named.iter().map(json_description).chain(models.iter().map(json_line)).collect(),
            false => {
                let tables = (named.is_empty() || !models.is_empty()).then(|| table(&models));
                named.iter().map(description).chain(tables).collect::<Vec<_>>().join("\n")
            }
        }
    };
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Error::io("standard output", error))?;
    Ok(Ending::Done)
}

/// Descriptions of the paths that are models or files, and all directories: more models may lie below.
fn sort(paths: Vec<PathBuf>) -> Result<(Vec<Description>, Vec<PathBuf>)> {
    let (mut named, mut directories) = (Vec::new(), Vec::new());
    for path in paths {
        // Where nobody named anything, the present directory is one to look in.
        if !path.exists() {
            return Err(Error::model(path, "no such file or directory"));
        }
        if path != Path::new(".") {
            let files = at(&path)?;
            if !path.is_dir() || looks_like_model(&files) {
                named.push(Description { name: path.display().to_string(), ..describe(&files) });
            }
        }
        if !path.is_file() {
            directories.push(path);
        }
    }
    Ok((named, directories))
}

/// A model in words: a line for each thing that is known.
fn description(model: &Description) -> String {
    let mut text = format!("{}\n", model.name);
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<11} {value}\n"));
        }
    };
    line("toolkit", model.toolkit.clone());
    line("family", model.family.map(str::to_owned));
    line("network", model.network.clone());
    line(
        "vocabulary",
        model.vocabularies.map(|(source, target)| format!("{source} pieces of the source, {target} of the target")),
    );
    line(
        "languages",
        match &model.languages {
            (None, None) => None,
            (source, target) => {
                let known = |code: &Option<String>| code.clone().unwrap_or_else(|| "?".to_owned());
                Some(format!("{} to {}", known(source), known(target)))
            }
        },
    );
    let file = model.file.clone().unwrap_or_default();
    line(
        "weights",
        model.weights.map(|weights| {
            let (parameters, bytes) = (weights.parameters as f64 / 1e6, weights.bytes as f64 / 1e6);
            format!("{file}: {parameters:.1} M parameters, {bytes:.1} MB, {}", weights.precision.precision())
        }),
    );
    line("usable", Some(model.problem.as_ref().map_or("yes".to_owned(), |problem| format!("no: {problem}"))));
    model.notes.iter().for_each(|note| line("note", Some(note.clone())));
    text
}

fn json_description(model: &Description) -> String {
    let mut line = json!({
        "model": model.name,
        "where": if Path::new(&model.name).is_dir() { "directory" } else { "file" },
        "toolkit": model.toolkit,
        "model_type": model.family,
        "network": model.network,
        "source_language": model.languages.0,
        "target_language": model.languages.1,
        "source_vocabulary": model.vocabularies.map(|both| both.0),
        "target_vocabulary": model.vocabularies.map(|both| both.1),
        "file": model.file,
        "notes": model.notes,
    });
    if let Some(weights) = &model.weights {
        add_weights(&mut line, weights);
    }
    if let Some(problem) = &model.problem {
        line["problem"] = json!(problem);
    }
    format!("{line}\n")
}

/// The languages of one model, one a line.
fn languages(name: &Path, json: bool) -> Result<String> {
    let files = super::download::find_model(&name.to_string_lossy(), false)?;
    let languages = languages_of(&files)?;
    let (sources, targets) = (languages.codes(Side::Source), languages.codes(Side::Target));
    let mut codes: Vec<&str> = sources.iter().chain(&targets).copied().collect();
    codes.sort_unstable();
    codes.dedup();
    if codes.is_empty() {
        return Err(Error::Usage(format!(
            "{} translates one pair of languages: there is none to choose",
            name.display()
        )));
    }
    let width = codes.iter().map(|code| code.chars().count()).max().unwrap_or(0).max(4);
    let mut text = if json { String::new() } else { format!("{:width$}  FROM  TO   LANGUAGE\n", "CODE") };
    for code in codes {
        let (from, to) = (sources.contains(&code), targets.contains(&code));
        let known = name_of(code);
        if json {
            let line = json!({"model": name, "code": code, "from": from, "to": to, "language": known});
            text.push_str(&format!("{line}\n"));
        } else {
            let mark = |is: bool| if is { "yes" } else { "-" };
            let line = format!("{code:width$}  {:4}  {:3}  {}", mark(from), mark(to), known.unwrap_or("?"));
            text.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    Ok(text)
}

fn location(model: &ModelSummary) -> &'static str {
    match model.location {
        Location::Builtin => "built in",
        Location::Cached => "cache",
        Location::Local => "directory",
    }
}

fn json_line(model: &ModelSummary) -> String {
    let mut line = json!({
        "model": model.name,
        "where": location(model),
        "source_language": model.languages.0,
        "target_language": model.languages.1,
    });
    match &model.weights {
        Ok(weights) => add_weights(&mut line, weights),
        Err(problem) => line["problem"] = json!(problem),
    }
    format!("{line}\n")
}

fn add_weights(line: &mut Value, weights: &WeightSummary) {
    line["family"] = json!(weights.network);
    line["parameters"] = json!(weights.parameters);
    line["bytes"] = json!(weights.bytes);
    line["precision"] = json!(weights.precision.precision());
}

/// Aligned columns; a model that cannot be used has its reason in place of the last ones.
fn table(models: &[ModelSummary]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    for model in models {
        let language = |code: &Option<String>| code.clone().unwrap_or_else(|| "?".to_owned());
        let languages = format!("{}-{}", language(&model.languages.0), language(&model.languages.1));
        let mut row = vec![model.name.clone(), location(model).to_owned(), languages];
        match &model.weights {
            Ok(weights) => row.extend([
                weights.network.to_owned(),
                format!("{:.1} M", weights.parameters as f64 / 1e6),
                format!("{:.0} MB", weights.bytes as f64 / 1e6),
                weights.precision.precision(),
            ]),
            Err(problem) => row.push(format!("unusable: {problem}")),
        }
        rows.push(row);
    }
    let width = |column: usize| {
        let complete = rows.iter().filter(|row| row.len() == HEADINGS.len() || column < 3);
        complete.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use translate::layouts::WeightSummary;

    #[test]
    fn columns_line_up_and_a_broken_model_says_why() {
        let weights = WeightSummary {
            network: "transformer",
            parameters: 74_400_000,
            bytes: 148_800_000,
            precision: translate::checkpoint::Dtype::F16,
        };
        let model = |name: &str, weights| ModelSummary {
            name: name.to_owned(),
            location: Location::Local,
            languages: (Some("de".to_owned()), None),
            weights,
        };
        let text = table(&[model("a", Ok(weights)), model("long-name", Err("x: is truncated".to_owned()))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "MODEL      WHERE      LANGUAGES  FAMILY       PARAMETERS  SIZE    PRECISION");
        assert_eq!(lines[1], "a          directory  de-?       transformer  74.4 M      149 MB  f16");
        assert_eq!(lines[2], "long-name  directory  de-?       unusable: x: is truncated");
    }
}
