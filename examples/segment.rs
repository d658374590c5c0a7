//! Prints how a SentencePiece model cuts texts, for comparison with the reference library.
//!
//! `segment MODEL.spm`: each line of standard input is a JSON string; each line of output is a JSON object with its
//! `ids`, its `pieces`, and what the ids decode to (`text`).

use std::error::Error;
use std::io::{BufRead, BufWriter, Write, stdin, stdout};

use translate::text::sentencepiece::SentencePiece;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: segment MODEL.spm < LINES.jsonl")?;
    let model = SentencePiece::open(path)?;
    let mut output = BufWriter::new(stdout().lock());
    for line in stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        let ids = model.encode(&text);
        let pieces: Vec<String> = model.segment(&text).into_iter().map(|segment| segment.piece).collect();
        let decoded = model.decode(&ids);
        let from_pieces = model.decode_pieces(pieces.iter().map(String::as_str));
        serde_json::to_writer(
            &mut output,
            &serde_json::json!({ "ids": ids, "pieces": pieces, "text": decoded, "text_of_pieces": from_pieces }),
        )?;
        output.write_all(b"\n")?;
    }
    Ok(())
}
