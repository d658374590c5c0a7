//! Fields of Word: `begin`, an instruction, `separate`, the result as it was last seen, `end`, each in a run.

use std::collections::HashMap;
use std::ops::Range;

use crate::documents::xml::{Kind, Xml};

/// A field within one element, by tokens of its runs.
pub(super) struct Field {
    /// The end tag of the run with `separate`.
    pub(super) separate: Option<usize>,
    /// The start tag of the run with `end`.
    pub(super) end: usize,
    pub(super) instruction: String,
}

/// The fields of a part, by the start tag of the run that begins each; those that go over several paragraphs are left out.
pub(super) fn fields(xml: &Xml) -> HashMap<usize, Field> {
    // An open field: its run, the element around it, the run of `separate`, the tokens of the instruction.
    struct Open {
        run: usize,
        around: usize,
        separate: Option<usize>,
        instruction: Range<usize>,
    }
    let (mut fields, mut open): (HashMap<usize, Field>, Vec<Open>) = (HashMap::new(), Vec::new());
    let mut elements: Vec<usize> = Vec::new();
    for token in 0..xml.tokens.len() {
        match xml.tokens[token].kind {
            Kind::Start => elements.push(token),
            Kind::End => drop(elements.pop()),
            _ => {}
        }
        if !xml.begins(token, "fldChar") {
            continue;
        }
        let mut around = elements.iter().rev().copied().filter(|element| *element != token);
        let (Some(run), Some(parent)) = (around.next(), around.next()) else { continue };
        if xml.local(run) != "r" {
            continue;
        }
        match xml.value(token, "fldCharType").as_deref() {
            Some("begin") => open.push(Open { run, around: parent, separate: None, instruction: token..token }),
            Some("separate") => {
                if let Some(last) = open.last_mut().filter(|last| last.separate.is_none()) {
                    last.separate = (last.around == parent).then_some(run);
                    last.instruction.end = token;
                }
            }
            Some("end") => {
                let Some(last) = open.pop().filter(|last| last.around == parent) else { continue };
                let instruction = last.instruction.start..last.instruction.end.max(last.instruction.start);
                let instruction = if instruction.is_empty() { last.instruction.start..token } else { instruction };
                let field = Field {
                    separate: last.separate.filter(|separate| *separate != run).map(|run| xml.tokens[run].pair),
                    end: run,
                    instruction: xml.all_data(instruction),
                };
                fields.insert(last.run, field);
            }
            _ => {}
        }
    }
    fields
}
