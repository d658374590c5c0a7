//! `TRANSLATE_ISA`: another machine's instructions, the same translations.

use translate::kernels::InstructionSet;

use crate::program::{Program, model};

/// What the program says, and its statistics.
fn with(set: &str, precision: &str) -> (String, String) {
    let mut program = Program::with_model(model("marian_relu"));
    let outcome = program.args(["--stats", "--precision", precision]).env("TRANSLATE_ISA", set);
    let outcome = outcome.run("w010 w011\nw012 w013 w014\n");
    (outcome.stdout, outcome.stderr)
}

#[test]
fn every_instruction_set_gives_the_same_translations_and_is_named() {
    for precision in ["f32", "int8", "int16"] {
        let (expected, stats) = with("", precision);
        assert!(stats.contains(&format!(" kernels, {precision}")), "{stats}");
        for set in InstructionSet::available() {
            let (output, stats) = with(set.name(), precision);
            assert!(stats.contains(&format!("{set} kernels, {precision}")), "{stats}");
            assert_eq!(output, expected, "{set}");
        }
    }
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused() {
    let outcome = Program::with_model(model("marian_relu")).env("TRANSLATE_ISA", "mmx").run("w010\n");
    assert_eq!(outcome.status, 2);
    assert!(outcome.error().contains("TRANSLATE_ISA=\"mmx\": the instruction sets of this machine are"));
    assert!(outcome.error().contains("portable"));
}
