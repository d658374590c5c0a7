//! The fuzz targets without a fuzzer: every committed seed, then a number of seeds damaged at random, the same ones in
//! every run and on every machine.
//!
//! `TRANSLATE_FUZZ_TIMES=1000 TRANSLATE_FUZZ_SEED=7 cargo test --test it fuzz::pickle` tries a thousand times as many, with
//! other random numbers. An input that fails is written to `target/tmp`.

use std::path::{Path, PathBuf};

use crate::allocations;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Bytes a target may hold for each byte of its input. Half of it is what parsed JSON takes, 32 bytes for a number of
/// one digit and its comma.
const BYTES_FOR_EACH: usize = 64;

/// Bytes a target may hold whatever its input: a small model and its workspace.
const BYTES_FOR_ALL: usize = 8 << 20;

/// The same where a regular expression is compiled, which a short one (`x{65536}`) can make large; the regex crate
/// refuses those of more than some 10 MiB.
const BYTES_FOR_EXPRESSIONS: usize = 32 << 20;

/// The committed seeds of a target, in the order of their names.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<PathBuf> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {}", directory.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Runs a target on its seeds and on `inputs` damaged ones: as many as take some two seconds on a common machine.
fn fuzz(name: &str, inputs: u64) {
    let (_, target) = *targets::TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let seeds = seeds(name);
    // What a target keeps from one input to the next is not the input's.
    target(&seeds[0]);
    seeds.iter().for_each(|seed| run(name, target, seed));
    let mut random = Random(setting("TRANSLATE_FUZZ_SEED", 1) * 2 + 1);
    let inputs = inputs * setting("TRANSLATE_FUZZ_TIMES", 1);
    (0..inputs).for_each(|_| run(name, target, &random.damaged(&seeds)));
    println!("{name}: {} seeds, {inputs} damaged", seeds.len());
}

fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    let _failed = WriteOnPanic { name, input };
    let ((), bytes) = allocations::peak(|| target(input));
    let for_all = match name {
        "tokenizer_json" => BYTES_FOR_EXPRESSIONS,
        // A few bytes of an archive unpack to a thousand times as many.
        "documents" => 4 * BYTES_FOR_ALL,
        _ => BYTES_FOR_ALL,
    };
    let allowed = for_all + BYTES_FOR_EACH * input.len();
    assert!(bytes <= allowed, "{bytes} bytes held for an input of {}", input.len());
}

/// Keeps the input of a failed run.
struct WriteOnPanic<'a> {
    name: &'a str,
    input: &'a [u8],
}

impl Drop for WriteOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", self.name));
            let written = std::fs::write(&path, self.input);
            eprintln!("the input that failed: {} ({written:?})", path.display());
        }
    }
}

/// Numbers and words that parsers stumble over.
const TOKENS: [&str; 24] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "1048576",
    "2147483647",
    "4294967295",
    "18446744073709551615",
    "1e400",
    "1e-400",
    "0.1",
    "null",
    "true",
    "false",
    "\"\"",
    "[]",
    "{}",
    "[[]]",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\u{feff}",
    "\u{301}",
    "▁",
];

/// A linear congruential generator (Knuth's MMIX) and the ways it damages a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }

    /// A position; most structure lies at the start of a format, some at its end.
    fn position(&mut self, length: usize) -> usize {
        let span = length.min(1500);
        match self.below(4) {
            0 => self.below(length),
            1 => length - 1 - self.below(span).min(length - 1),
            _ => self.below(span),
        }
    }

    fn damaged(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(4) {
            if bytes.is_empty() {
                bytes.push(self.below(256) as u8);
            }
            self.damage(&mut bytes, seeds);
        }
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.position(bytes.len());
        let end = (at + 1 + self.below(32)).min(bytes.len());
        match self.below(10) {
            0 => bytes[at] = self.below(256) as u8,
            1 => bytes[at] ^= 1 << self.below(8),
            2 => {
                // A length, an offset or a count in the file's own byte order.
                let width = [2, 4, 8][self.below(3)];
                let number = [0, 1, u64::MAX, u64::MAX / 2, 1 << 31, 1 << 20][self.below(6)].to_le_bytes();
                for (byte, new) in bytes[at..].iter_mut().zip(&number[..width]) {
                    *byte = *new;
                }
            }
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            6 => {
                let other = &seeds[self.below(seeds.len())];
                if !other.is_empty() {
                    let from = self.position(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
            7 => {
                let token = TOKENS[self.below(TOKENS.len())].bytes();
                bytes.splice(at..at, token);
            }
            _ => {
                // One value of a JSON file in the place of another.
                let is_value = |byte: &u8| byte.is_ascii_alphanumeric() || b".+-\"_".contains(byte);
                let start = bytes[at..].iter().position(is_value).map_or(at, |skip| at + skip);
                let length = bytes[start..].iter().take_while(|byte| is_value(byte)).count();
                let token = TOKENS[self.below(TOKENS.len())].bytes();
                bytes.splice(start..start + length, token);
            }
        }
    }
}

#[test]
fn config() {
    fuzz("config", 2_000);
}

#[test]
fn safetensors() {
    fuzz("safetensors", 10_000);
}

#[test]
fn pickle() {
    fuzz("pickle", 8_000);
}

#[test]
fn ctranslate2() {
    fuzz("ctranslate2", 8_000);
}

#[test]
fn marian() {
    fuzz("marian", 4_000);
}

#[test]
fn marian_vocabulary() {
    fuzz("marian_vocabulary", 4_000);
}

#[test]
fn yaml() {
    fuzz("yaml", 20_000);
}

#[test]
fn sentencepiece() {
    fuzz("sentencepiece", 400_000);
}

#[test]
fn normalizer() {
    fuzz("normalizer", 25_000);
}

#[test]
fn tokenizer_json() {
    fuzz("tokenizer_json", 80_000);
}

#[test]
fn moses() {
    fuzz("moses", 1_500);
}

#[test]
fn json_input() {
    fuzz("json_input", 1_000_000);
}

/// Every number of a configuration in turn becomes one that no model has.
#[test]
fn claims_of_enormous_sizes_take_no_memory() {
    for seed in seeds("config") {
        let whole: serde_json::Value = serde_json::from_slice(&seed).unwrap();
        let numbers = whole.as_object().unwrap().iter().filter(|(_, value)| value.is_number()).map(|(key, _)| key);
        for key in numbers {
            for claim in [0, (1 << 31) - 1, u64::MAX] {
                let mut config = whole.clone();
                config[key] = claim.into();
                run("config", targets::config, config.to_string().as_bytes());
            }
        }
    }
}

#[cfg(feature = "all-documents")]
#[test]
fn documents() {
    fuzz("documents", 20_000);
}
