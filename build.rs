//! Lists the files of the built-in models for `include_bytes!`, so that adding one needs no code.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What a translation needs; model cards and the like stay outside the binary.
const EXTENSIONS: [&str; 5] = ["bin", "json", "safetensors", "spm", "txt"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let mut code = String::from("/// Built-in models by name.\npub(super) static MODELS: &[(&str, Files)] = &[\n");
    for name in ["transformer", "gru"] {
        let folder = root.join("models").join(name);
        // Without weights there is no model; a folder with a stray file is not one.
        if folder.join("model.safetensors").is_file() {
            writeln!(code, "    ({name:?}, &{}),", files(&root, &folder)).expect("writing to a string");
        }
    }
    writeln!(
        code,
        "];\n/// The vocabulary of those that have none beside them.\npub(super) static VOCABULARY: Files = &{};",
        files(&root, &root.join("vocab"))
    )
    .expect("writing to a string");
    for folder in ["models", "vocab"] {
        if root.join(folder).exists() {
            println!("cargo::rerun-if-changed={folder}");
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("builtin.rs"), code).expect("OUT_DIR is writable");
}

/// The files of a folder as the text of an array of `(name, include_bytes!(path))`. The paths begin where the package lies when
/// it is compiled, so that a checkout that was moved with its `target` still builds.
fn files(root: &Path, folder: &Path) -> String {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut code = String::from("[");
    for path in paths {
        let wanted = path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|wanted| extension == *wanted));
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && wanted
        {
            let below = path.strip_prefix(root).expect("it was found below the root").display().to_string();
            write!(code, "({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/\", {below:?}))), ")
                .expect("writing to a string");
        }
    }
    code + "]"
}
