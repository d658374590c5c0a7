//! One line in, one line out, whatever the lines and the options: random ones through the real program.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::program::{self, Outcome, Program};

/// A line of any bytes but a line feed.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "(w0[0-6][0-9] ){0,8}(w0[0-6][0-9])?[.!?]?".prop_map(String::into_bytes),
        2 => "(\\PC|w010|[.!?] [A-Z]|\t|\r|\u{0}|\u{301}|\u{feff}|\u{2028}|\u{85}){0,20}".prop_map(String::into_bytes),
        1 => "[ \t\u{a0}\u{3000}]{0,3}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>().prop_filter("a line feed", |&byte| byte != b'\n'), 0..30),
    ]
}

/// Options that say what is computed and how it is written; the first of them the model.
#[derive(Clone, Debug)]
struct Options {
    arguments: Vec<String>,
    format: &'static str,
    n_best: usize,
}

fn options() -> impl Strategy<Value = Options> {
    let flags = [
        "--scores",
        "--word-scores",
        "--alignments",
        "--split-sentences",
        "--replace-unk",
        "--no-repeat-ngram=2",
        "--repetition-penalty=1.3",
        "--coverage-penalty=0.2",
        "--length-penalty=-0.5",
        "--length-penalty=1.7",
        "--min-length=3",
        "--max-length=4",
        "--max-length=1",
        "--max-length-ratio=0.4",
        "--prefix=w011 w012",
        "--prefix=>> no word",
        "--suppress=w021",
        "--compat=marian",
        "--compat=ctranslate2",
        "--precision=int8",
        "--precision=int16",
        "--quiet",
    ];
    let sampling = ["--sampling", "--temperature=1.5", "--top-k=9", "--top-p=0.8", "--seed=3"];
    (
        select(vec!["marian_relu", "gru"]),
        select(vec!["text", "json", "tsv", "marian-nbest"]),
        1..5_usize,
        1..5_usize,
        prop::sample::subsequence(flags.to_vec(), 0..6),
        prop::option::weighted(0.3, prop::sample::subsequence(sampling[1..].to_vec(), 0..4)),
    )
        .prop_map(|(model, format, beam, n_best, flags, sampling)| {
            let n_best = n_best.min(beam);
            let mut arguments = vec![
                format!("--model={}", program::model(model).display()),
                format!("--format={format}"),
                format!("--n-best={n_best}"),
            ];
            match sampling {
                None => arguments.push(format!("--beam-size={beam}")),
                Some(sampling) => arguments.extend(["--sampling"].into_iter().chain(sampling).map(str::to_owned)),
            }
            // Of two values for one option the program takes none.
            let mut names = Vec::new();
            for flag in flags {
                let name = flag.split('=').next().unwrap_or(flag);
                if !names.contains(&name) {
                    names.push(name);
                    arguments.push(flag.to_owned());
                }
            }
            Options { arguments, format, n_best }
        })
}

fn translate(options: &Options, batch_size: usize, threads: usize, input: &[u8]) -> Outcome {
    let mut program = Program::new();
    program.args(&options.arguments).arg(format!("--batch-size={batch_size}")).arg(format!("--threads={threads}"));
    program.run(input)
}

/// The number of the input line, from 0, that each line of output belongs to.
fn numbers(options: &Options, output: &str) -> Vec<usize> {
    let numbers = output.lines().enumerate().map(|(position, line)| match options.format {
        "tsv" => line.split('\t').next().unwrap().parse::<usize>().unwrap() - 1,
        "marian-nbest" => line.split(" |||").next().unwrap().parse().unwrap(),
        "json" => serde_json::from_str::<serde_json::Value>(line).map(|_| position).unwrap(),
        _ => position,
    });
    numbers.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_answered_in_order_whatever_the_options(
        lines in prop::collection::vec(line(), 0..12),
        options in options(),
        (batch_size, threads) in (1..9_usize, 1..4_usize),
        last_newline in any::<bool>(),
        any_line in any::<Index>(),
    ) {
        let mut input = lines.join(&b'\n');
        // Without its line feed an empty last line is none.
        if last_newline || lines.last().is_some_and(Vec::is_empty) {
            input.push(b'\n');
        }
        let count = if lines.is_empty() { usize::from(!input.is_empty()) } else { lines.len() };
        let output = translate(&options, batch_size, threads, &input);
        let (text, errors) = (output.stdout, output.stderr);
        prop_assert_eq!(output.status, 0, "{}", errors);
        prop_assert!(!errors.contains("panicked") && !errors.contains("internal error"), "{}", errors);

        let numbers = numbers(&options, &text);
        if options.n_best == 1 || options.format == "json" {
            prop_assert_eq!(&numbers, &(0..count).collect::<Vec<_>>());
        } else if options.format != "text" {
            let mut once = numbers.clone();
            once.dedup();
            prop_assert_eq!(once, (0..count).collect::<Vec<_>>());
        }

        // The batch and the threads change nothing, nor do the other lines.
        prop_assert_eq!(&translate(&options, 1, 1, &input).stdout, &text);
        if options.n_best == 1 && options.format == "text" && !lines.is_empty() {
            let position = any_line.index(lines.len());
            let mut alone = lines[position].clone();
            // At the start of a file a byte order mark is no text; elsewhere it is.
            if position > 0 && alone.starts_with("\u{feff}".as_bytes()) {
                alone.splice(0..0, "\u{feff}".bytes());
            }
            alone.push(b'\n');
            let alone = translate(&options, 1, 1, &alone).stdout;
            prop_assert_eq!(alone.strip_suffix('\n'), text.split('\n').nth(position));
        }
    }
}
