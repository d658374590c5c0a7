//! Completions in the real shells, where they are installed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::program;

/// Runs `script` in `shell` with the completions of that shell in the file named by `$SCRIPT` and the program first on the
/// path, in a directory with `a file.txt` and `folder/`. None, said on stderr, if there is no such shell.
fn in_shell(shell: &str, script: &str) -> Option<Vec<String>> {
    let is_there = Command::new(shell).arg("-c").arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: {shell} is not installed");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a file.txt"), "").unwrap();
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    let completions = program::run(&["completions", shell], "");
    assert_eq!(completions.status, 0, "{}", completions.stderr);
    let file = directory.path().join("completions");
    std::fs::write(&file, completions.stdout).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_translate"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new(shell)
        .args(["-c", script])
        .env("SCRIPT", &file)
        .env("PATH", path)
        .env("HOME", directory.path())
        .env_remove("TRANSLATE_MODEL")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shell}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    Some(lines)
}

/// What bash would offer for the last of `words`.
fn bash(words: &[&str]) -> Option<Vec<String>> {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        r#"source "$SCRIPT"; COMP_WORDS=(translate {}); COMP_CWORD={}; _translate 2>/dev/null; printf '%s\n' "${{COMPREPLY[@]}}""#,
        words.join(" "),
        words.len()
    );
    in_shell("bash", &script)
}

/// What zsh would offer: the script runs in zsh, with its own helpers replaced by ones that print what they were given.
fn zsh(words: &[&str]) -> Option<Vec<String>> {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        r#"
        compdef() {{ }}
        compset() {{ }}
        _files() {{ local -a found=(${{words[CURRENT]}}*(N)); (( $#found )) && print -l -- $found }}
        _describe() {{ print -l -- ${{${{(P)2}}%%:*}} }}
        source "$SCRIPT"
        words=(translate {}); CURRENT={}
        _translate
        "#,
        words.join(" "),
        words.len() + 1
    );
    in_shell("zsh", &script)
}

/// What fish offers.
fn fish(words: &[&str]) -> Option<Vec<String>> {
    let line = format!("translate {}", words.join(" "));
    let found = in_shell("fish", &format!(r#"source "$SCRIPT"; complete -C '{line}'"#))?;
    Some(found.iter().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect())
}

type Shell = fn(&[&str]) -> Option<Vec<String>>;
const SHELLS: [(&str, Shell); 3] = [("bash", bash), ("zsh", zsh), ("fish", fish)];

#[test]
fn the_format_of_a_command_has_its_own_values() {
    for (name, shell) in SHELLS {
        let Some(found) = shell(&["attn-dump", "--format", ""]) else { continue };
        assert_eq!(found, ["html", "json", "npz", "pdf", "pharaoh", "png", "svg", "text", "tsv"], "{name}");
    }
}

#[test]
fn the_precision_has_its_values() {
    for (name, shell) in SHELLS {
        let Some(found) = shell(&["--precision", ""]) else { continue };
        assert_eq!(found, ["bf16", "f16", "f32", "int16", "int8"], "{name}");
    }
}

#[test]
fn models_follow_the_model_option() {
    for (name, shell) in SHELLS {
        let Some(found) = shell(&["-m", ""]) else { continue };
        if cfg!(feature = "builtin-models") {
            assert!(found.iter().any(|word| word == "gru"), "{name}: {found:?}");
        }
        assert!(found.iter().any(|word| word.trim_end_matches('/') == "folder"), "{name}: {found:?}");
    }
}

#[test]
fn values_follow_an_equals_sign() {
    // bash breaks the word at the sign and completes what comes after it.
    let expected = [("bash", ["text", "tsv"]), ("zsh", ["text", "tsv"]), ("fish", ["--format=text", "--format=tsv"])];
    for ((name, shell), (_, expected)) in SHELLS.iter().zip(expected) {
        let words: &[&str] = if *name == "bash" { &["--format", "=", "t"] } else { &["--format=t"] };
        let Some(found) = shell(words) else { continue };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn files_are_offered_with_their_spaces() {
    for (name, shell) in SHELLS {
        let Some(found) = shell(&["-o", ""]) else { continue };
        let is_file = |word: &String| word.replace('\\', "") == "a file.txt";
        assert!(found.iter().any(is_file), "{name}: {found:?}");
    }
}

#[test]
fn commands_are_offered_first() {
    for (name, shell) in SHELLS {
        let Some(found) = shell(&["attn"]) else { continue };
        assert_eq!(found, ["attn-dump"], "{name}");
    }
}
