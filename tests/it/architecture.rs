//! The drawing of the house against the house: which room imports which, read from the source and compared with the
//! table in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

/// A file of the crate as a module path (`model::transformer::decoder`), its text without comments and unit tests.
struct Source {
    module: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    visit(&root().join("src"), &mut paths);
    paths.sort();
    let comment = Regex::new(r"(?m)^\s*//.*$").unwrap();
    let source = |path: PathBuf| {
        let relative = path.strip_prefix(root().join("src")).unwrap().with_extension("");
        let parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        let module = parts.join("::").trim_end_matches("::mod").to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        Source { module, text: comment.replace_all(text, "").into_owned() }
    };
    paths.into_iter().map(source).filter(|source| !source.module.ends_with("tests") && source.module != "lib").collect()
}

/// All paths a text imports or names, from the root of the crate: `use crate::a::{b, c::D}` is `a::b` and `a::c::D`.
fn paths(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let own: Vec<&str> = source.module.split("::").collect();
    let start = Regex::new(r"\b(crate|super|self|translate)::").unwrap();
    // A name that a module re-exports is no import of it.
    let text = Regex::new(r"(?m)^pub(\([a-z]+\))? use [^;]*;").unwrap().replace_all(&source.text, "");
    for place in start.find_iter(&text) {
        if text[..place.start()].ends_with("::") {
            continue;
        }
        // The end of the path or of its braces.
        let rest = &text[place.start()..];
        let mut depth = 0;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0 || !(depth > 0 || c.is_alphanumeric() || "_:{}".contains(c))
        });
        for path in expand(&rest[..end.unwrap_or(rest.len())]) {
            let mut parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
            let mut base: Vec<&str> = Vec::new();
            match parts.first().copied() {
                Some("crate" | "translate") => drop(parts.remove(0)),
                Some("self") => {
                    base = own.clone();
                    parts.remove(0);
                }
                _ => {
                    base = own.clone();
                    while parts.first() == Some(&"super") {
                        base.pop();
                        parts.remove(0);
                    }
                }
            }
            base.extend(parts);
            found.insert(base.join("::"));
        }
    }
    found
}

/// `a::{b, c::{D, E}}` as `a::b`, `a::c::D`, `a::c::E`.
fn expand(path: &str) -> Vec<String> {
    let Some(open) = path.find('{') else { return vec![path.trim().to_owned()] };
    let (prefix, inner) = (&path[..open], path[open + 1..].trim_end().trim_end_matches('}'));
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[from..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(&format!("{prefix}{part}"))).collect()
}

/// Which module a name belongs to, by what modules re-export.
fn owners(sources: &[Source]) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    let reexport = Regex::new(r"(?m)^pub(?:\([a-z]+\))? use ([^;]*);").unwrap();
    for source in sources {
        for capture in reexport.captures_iter(&source.text) {
            let flat = capture[1].replace('\n', " ");
            for path in expand(flat.trim_start_matches("self::")) {
                let mut parts: Vec<&str> = path.split("::").collect();
                let Some(name) = parts.pop() else { continue };
                let owner = match parts.first() {
                    Some(&"crate") => parts[1..].join("::"),
                    _ => format!("{}::{}", source.module, parts.join("::")),
                };
                owners.insert(format!("{}::{name}", source.module), owner);
            }
        }
    }
    owners
}

/// The modules each module imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let (owners, modules) = (owners(&sources), sources.iter().map(|s| s.module.clone()).collect::<BTreeSet<_>>());
    let resolve = |path: &str| -> Option<String> {
        let mut path = path.to_owned();
        loop {
            let parts: Vec<&str> = path.split("::").collect();
            let longest =
                (1..=parts.len()).rev().map(|count| parts[..count].join("::")).find(|p| modules.contains(p))?;
            let next = parts.get(longest.split("::").count()).map(|name| format!("{longest}::{name}"));
            match next.and_then(|next| owners.get(&next).map(|owner| (next, owner))) {
                Some((next, owner)) if *owner != longest => {
                    let name = next.rsplit("::").next().unwrap_or_default().to_owned();
                    path = format!("{owner}::{name}");
                }
                _ => return Some(longest),
            }
        }
    };
    let edges = |source: &Source| {
        let found =
            paths(source).iter().filter_map(|path| resolve(path)).filter(|module| *module != source.module).collect();
        (source.module.clone(), found)
    };
    sources.iter().map(edges).collect()
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// The rooms of the table in ARCHITECTURE.md, top floor first.
fn table() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| room |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|')).map(|line| line.split('|').nth(1).unwrap_or_default());
    let name = Regex::new(r"`([a-z_]+)(?:/|\.rs)`").unwrap();
    rows.flat_map(|cell| name.captures_iter(cell).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn every_room_imports_only_rooms_below_it() {
    let rooms = table();
    let floor = |name: &str| rooms.iter().position(|room| room == name);
    let mut wrong = Vec::new();
    for (module, imported) in imports() {
        let Some(own) = floor(room(&module)) else {
            wrong.push(format!("{module} is in no room of the table"));
            continue;
        };
        for other in imported {
            match floor(room(&other)) {
                Some(other_floor) if other_floor >= own => {}
                _ => wrong.push(format!("{module} imports {other}, which is not below it")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_of_the_table_exists() {
    for room in table() {
        let source = root().join("src").join(&room);
        assert!(source.is_dir() || source.with_extension("rs").is_file(), "there is no room {room}");
    }
}

/// A file may use what its own directory's file defines, and that file its children's; no other two may need each other.
#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let imports = imports();
    let is_family = |a: &str, b: &str| a.starts_with(&format!("{b}::")) || b.starts_with(&format!("{a}::"));
    let next = |module: &str| -> Vec<String> {
        let all = imports.get(module).into_iter().flatten();
        all.filter(|other| !is_family(module, other)).cloned().collect()
    };
    let mut circles = Vec::new();
    for start in imports.keys() {
        let mut reached: BTreeMap<String, String> = BTreeMap::new();
        let mut waiting = vec![start.clone()];
        while let Some(module) = waiting.pop() {
            for other in next(&module) {
                if other == *start {
                    let mut path = vec![start.clone(), module.clone()];
                    while let Some(before) = reached.get(&path[path.len() - 1]).filter(|before| *before != start) {
                        path.push(before.clone());
                    }
                    path[1..].reverse();
                    circles.push(path.join(" > "));
                } else if !reached.contains_key(&other) {
                    reached.insert(other.clone(), module.clone());
                    waiting.push(other);
                }
            }
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_layout_is_short_and_names_of_families_are_known_to_layouts_alone() {
    let shared = [
        "mod",
        "rules",
        "convert",
        "describe",
        "generation",
        "list",
        "hugging_face",
        "plain_pytorch",
        "t5_network",
        "gru_attention",
        "recurrent_attention",
    ];
    // These read files of their own for options and vocabularies.
    let of_toolkits = [
        "annotated_transformer",
        "ctranslate2",
        "fairseq",
        "joeynmt",
        "marian_native",
        "marian_recurrent",
        "marian_vocabulary",
        "opennmt_py",
        // Every part of a recurrent network by name.
        "recurrent_attention",
        "sockeye",
        "toolkits",
    ];
    for entry in std::fs::read_dir(root().join("src/layouts")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        let most = if of_toolkits.contains(&name.as_str()) { 420 } else { 135 };
        assert!(shared.contains(&name.as_str()) || lines <= most, "{name}: {lines} lines");
    }
    let published = "marian|bart|mbart|m2m_100|pegasus|t5|mt5|umt5|fsmt";
    let plain = "gru-attention|pytorch-transformer|tutorial-transformer";
    let model_type = Regex::new(&format!("\"({published}|{plain})\"")).unwrap();
    for source in sources().iter().filter(|source| room(&source.module) != "layouts") {
        let found = model_type.find(&source.text).map(|found| found.as_str());
        assert_eq!(found, None, "{} knows a family", source.module);
    }
}
