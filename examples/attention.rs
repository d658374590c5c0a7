//! Which source piece each target piece looked at most, by the model's own alignment head:
//! `cargo run --release --example attention -- 'Ein Hund läuft durch den Schnee.'`

use translate::model::Record;
use translate::{Translator, Workspace};

fn main() -> translate::Result<()> {
    let text = std::env::args().nth(1).unwrap_or_else(|| "Ein Hund läuft durch den Schnee.".to_owned());
    let translator = Translator::builder().model("transformer").build()?;
    let record = Record { cross: true, ..Record::default() };
    let options = translator.search_options();
    let translations = translator.translate(&[text.as_str().into()], &options, record, &mut Workspace::new(1))?;
    let Some(best) = translations[0].best() else { return Ok(()) };
    let Some(attention) = &best.hypothesis.cross_attention else { return Ok(()) };
    let weights = attention.mean(translator.alignment());
    let source = translator.source_pieces(&translations[0].source);
    let target = translator.target_pieces(&best.hypothesis);
    for (piece, row) in target.iter().zip(weights.chunks_exact(attention.columns)) {
        let most = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        println!("{piece}\t{}\t{:.2}", source[most], row[most]);
    }
    Ok(())
}
