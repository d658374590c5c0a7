//! Translates lines as they come, in batches and in order:
//! `cargo run --release --example stream < input.txt`

use std::io::BufRead;

use translate::Translator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let translator = Translator::builder().model("gru").build()?;
    // A line that cannot be read ends the input.
    let lines = std::io::stdin().lock().lines().map_while(Result::ok);
    for translation in translator.translate_lines(lines) {
        println!("{}", translation?);
    }
    Ok(())
}
