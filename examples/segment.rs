//! Prints how a vocabulary cuts texts, for comparison with the reference libraries, and how fast.
//!
//! - `segment MODEL.spm`: each line of standard input is a JSON string; each line of output is a JSON object with its
//!   `ids`, its `pieces`, what the ids decode to (`text`) and what the pieces decode to (`text_of_pieces`).
//! - `segment DIRECTORY`: the same for a model directory: the ids of the text as a `source` and as a `target`, and what
//!   the latter decode to (`text`).
//! - `segment --time MODEL.spm FILE`: the time to load the model, and to encode the file's lines on one thread.

use std::error::Error;
use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use translate::checkpoint::ModelFiles;
use translate::text::sentencepiece::SentencePiece;
use translate::text::{Kind, Vocabularies};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--time", model, file] => time(model, file),
        [directory] if Path::new(directory).is_dir() => {
            let vocabularies = Vocabularies::open(
                &ModelFiles::Directory(directory.into()),
                &[Kind::Marian, Kind::TokenizerJson, Kind::WordList],
            )?;
            each_line(|text| {
                let target = vocabularies.target.encode(text);
                let decoded = vocabularies.target.decode(&target);
                json!({ "source": vocabularies.source.encode(text), "target": target, "text": decoded })
            })
        }
        [model] => {
            let model = SentencePiece::open(model)?;
            each_line(|text| {
                let ids = model.encode(text);
                let pieces: Vec<String> = model.segment(text).into_iter().map(|segment| segment.piece).collect();
                let (decoded, from_pieces) =
                    (model.decode(&ids), model.decode_pieces(pieces.iter().map(String::as_str)));
                json!({ "ids": ids, "pieces": pieces, "text": decoded, "text_of_pieces": from_pieces })
            })
        }
        _ => Err("usage: segment MODEL.spm|DIRECTORY < LINES.jsonl, or segment --time MODEL.spm FILE".into()),
    }
}

fn each_line(result: impl Fn(&str) -> Value) -> Result<(), Box<dyn Error>> {
    let mut output = BufWriter::new(stdout().lock());
    for line in stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut output, &result(&text))?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

fn time(model: &str, file: &str) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let model = SentencePiece::open(model)?;
    println!("loaded in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().count();
    for _ in 0..3 {
        let start = Instant::now();
        let pieces: usize = text.lines().map(|line| model.encode(line).len()).sum();
        let encoding = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let normalized: usize = text.lines().map(|line| model.normalize(line).len()).sum();
        let normalizing = start.elapsed().as_secs_f64();
        println!(
            "{lines} lines, {pieces} pieces: {:.0} lines/s, {:.1} MB/s; normalising alone {:.1} MB/s ({normalized} bytes)",
            lines as f64 / encoding,
            text.len() as f64 / encoding / 1e6,
            text.len() as f64 / normalizing / 1e6,
        );
    }
    Ok(())
}
