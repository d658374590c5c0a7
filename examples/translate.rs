//! Translates its arguments, or standard input as a whole, with the built-in Transformer:
//! `cargo run --release --example translate -- 'Ein Hund läuft durch den Schnee.'`

use std::io::Read;

use translate::{Precision, Translator};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        std::io::stdin().read_to_string(&mut text)?;
    }
    let translator = Translator::builder().model("transformer").precision(Precision::Int8).threads(2).build()?;
    println!("{}", translator.translate_text(text.trim())?);
    Ok(())
}
