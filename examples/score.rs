//! How probable the model finds a translation: log-probability and perplexity of a pair.
//! `cargo run --release --example score -- 'Ein Hund rennt.' 'A dog runs.'`

use translate::model::Record;
use translate::{Translator, Workspace};

fn main() -> translate::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().unwrap_or_else(|| "Ein Hund rennt.".to_owned());
    let target = arguments.next().unwrap_or_else(|| "A dog runs.".to_owned());
    let translator = Translator::builder().model("transformer").build()?;
    let options = translator.search_options();
    let pairs = [(source.as_str(), target.as_str())];
    let scored = translator.align(&pairs, &options, Record::default(), &mut Workspace::new(1))?;
    if let Some(best) = scored[0].best() {
        let hypothesis = &best.hypothesis;
        let perplexity = (-hypothesis.log_prob / hypothesis.token_log_probs.len() as f32).exp();
        println!("log-probability {:.4}, perplexity {perplexity:.3}", hypothesis.log_prob);
    }
    Ok(())
}
