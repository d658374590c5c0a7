//! Rules from the names tensors are stored under to the names our layers ask for, which are those of Hugging Face
//! Marian for a Transformer and those of the PyTorch sequence-to-sequence tutorial for a GRU.

use std::collections::BTreeMap;

use crate::Result;
use crate::checkpoint::{Block, Keys, Recipe, Weights};

/// Prefixes that say nothing about the tensor: PyTorch's `DataParallel` and compiled modules.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// What becomes of the stored tensors whose names match a pattern.
///
/// In a pattern `{name}` stands for one part of a dotted name, `{layer}` for a number, `{number}` for one that counts from 1,
/// and `{rest}` for all that follows; what they stand for takes their place in the names on the other side. The first rule that matches counts.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Another name for the rules that follow.
    Rename(&'static str, &'static str),
    /// The tensor as it is, under one name or several.
    Copy(&'static str, &'static [&'static str]),
    /// Equal blocks of its rows, each under a name.
    Split(&'static str, &'static [&'static str]),
    /// Equal blocks of its rows, each under a name; but all blocks after the first so many lie in turn, head by head, and a key
    /// says how many heads there are.
    SplitByHead(&'static str, &'static str, usize, &'static [&'static str]),
    /// Rows and columns exchanged.
    Transpose(&'static str, &'static str),
    /// A tensor of equal blocks, one above the other, if all they are of is stored. The placeholders of the first pattern are
    /// those of the others and of the name that is made. One tensor may be part of several.
    Stack(&'static str, &'static [Of]),
    /// Nothing: it is computed, or belongs to training.
    Ignore(&'static str),
}

/// Blocks of a [`Rule::Stack`]: the pattern of a stored tensor, and some of so many equal blocks of it, in this order.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// Of its columns, as rows.
    Columns(&'static str, &'static [usize], usize),
    /// Of the row of this number.
    Row(usize, &'static str, &'static [usize], usize),
}

impl Of {
    fn pattern(&self) -> &'static str {
        match *self {
            Self::Columns(pattern, ..) | Self::Row(_, pattern, ..) => pattern,
        }
    }

    fn blocks(&self, found: &[(&str, &str)]) -> Vec<Block> {
        let stored = fill(self.pattern(), found);
        match *self {
            Self::Columns(_, order, parts) => {
                order.iter().map(|&part| Block::Columns { stored: stored.clone(), part, parts }).collect()
            }
            Self::Row(row, _, order, parts) => {
                order.iter().map(|&part| Block::InRow { stored: stored.clone(), row, part, parts }).collect()
            }
        }
    }
}

/// A stored name without what wraps it.
pub(super) fn unwrapped(mut name: &str) -> &str {
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = inner;
    }
    name
}

/// What every tensor of a network is made of: the author's own names first (`tensor_names` in config.json: theirs to the
/// layout's), then the layout's rules.
///
/// # Errors
/// If `tensor_names` is no object of texts, or names a tensor that is not stored.
pub(super) fn recipes(weights: &Weights, rules: &[Rule], keys: &Keys) -> Result<BTreeMap<String, Recipe>> {
    let mut own = Vec::new();
    if let Some(section) = keys.section("tensor_names")? {
        for theirs in section.map().keys() {
            let ours = section.string(theirs)?.ok_or_else(|| section.error(format!("`{theirs}` has no name")))?;
            own.push((theirs.clone(), ours));
        }
    }
    let mut used = vec![false; own.len()];
    let mut made_of = Vec::new();
    // What the stored tensors are called in the rules, to find the further parts of a stack.
    let mut called = BTreeMap::new();
    for stored in weights.names() {
        let mut name = unwrapped(stored).to_owned();
        // The longest of the author's patterns counts: a tensor's own before that of its prefix.
        let matching = own
            .iter()
            .enumerate()
            .filter_map(|(at, (theirs, ours))| Some((theirs.len(), at, rewrite(theirs, ours, &name)?)));
        if let Some((_, at, renamed)) = matching.max_by_key(|&(length, ..)| length) {
            used[at] = true;
            name = renamed;
        }
        let (last, made) = apply(rules, &name, stored, keys)?;
        called.insert(last, stored.to_owned());
        let count = made.len();
        made_of.extend(made.into_iter().map(|(made, recipe)| (stored, count, made, recipe)));
    }
    let mut recipes: BTreeMap<String, (usize, Recipe)> = BTreeMap::new();
    for (stored, count, made, mut recipe) in made_of {
        if let Recipe::Stack { blocks } = &mut recipe {
            for block in blocks {
                let (Block::Columns { stored, .. } | Block::InRow { stored, .. }) = block;
                if let Some(name) = called.get(stored) {
                    stored.clone_from(name);
                }
            }
        }
        // A tensor stored under its final name wins over one that is only renamed to it, and one that is for this alone over one
        // that is for several (an embedding of the target's over one of both sides).
        let is_better = |&(of_other, _): &(usize, Recipe)| made == stored || count < of_other;
        if recipe.is_possible(weights) && recipes.get(&made).is_none_or(is_better) {
            recipes.insert(made, (count, recipe));
        }
    }
    let recipes = recipes.into_iter().map(|(name, (_, recipe))| (name, recipe)).collect();
    if let Some(at) = used.iter().position(|used| !used) {
        return Err(keys.error(format!("`tensor_names` has {:?}, but no stored tensor is called so", own[at].0)));
    }
    Ok(recipes)
}

/// An author's pattern: a prefix if it ends in a dot, else as in a [`Rule`].
fn rewrite(theirs: &str, ours: &str, name: &str) -> Option<String> {
    if theirs.ends_with('.') {
        return Some(format!("{ours}{}", name.strip_prefix(theirs)?));
    }
    Some(fill(ours, &captures(theirs, name)?))
}

/// The tensors that rules make of one.
type Made = Vec<(String, Recipe)>;

/// The name of a tensor when all are renamed, and what the rules make of it. Parts of a stack are still called by such names.
fn apply(rules: &[Rule], name: &str, stored: &str, keys: &Keys) -> Result<(String, Made)> {
    let mut name = name.to_owned();
    let stored = stored.to_owned();
    let (mut stacks, mut is_part) = (Vec::new(), false);
    for rule in rules {
        match *rule {
            // A part of a stack keeps the name it is one by.
            Rule::Rename(..) if is_part => {}
            Rule::Rename(from, to) => {
                if let Some(found) = captures(from, &name) {
                    name = fill(to, &found);
                }
            }
            Rule::Copy(from, to) => {
                if let Some(found) = captures(from, &name) {
                    let copy = |to: &&str| (fill(to, &found), Recipe::Copy { stored: stored.clone() });
                    stacks.extend(to.iter().map(copy));
                    return Ok((name, stacks));
                }
            }
            Rule::Split(from, to) => {
                if let Some(found) = captures(from, &name) {
                    let recipe = |part| Recipe::Rows { stored: stored.clone(), part, parts: to.len() };
                    let made = to.iter().enumerate().map(|(part, to)| (fill(to, &found), recipe(part))).collect();
                    return Ok((name, made));
                }
            }
            Rule::SplitByHead(from, key, before, to) => {
                if let Some(found) = captures(from, &name) {
                    let (parts, heads) = (to.len(), keys.size(key, 1)?);
                    let recipe = |part| match part < before {
                        true => Recipe::Rows { stored: stored.clone(), part, parts },
                        false => Recipe::ByHead { stored: stored.clone(), part, parts, before, heads },
                    };
                    let made = to.iter().enumerate().map(|(part, to)| (fill(to, &found), recipe(part))).collect();
                    return Ok((name, made));
                }
            }
            Rule::Transpose(from, to) => {
                if let Some(found) = captures(from, &name) {
                    let made = (fill(to, &found), Recipe::Transpose { stored });
                    return Ok((name, vec![made]));
                }
            }
            Rule::Stack(to, blocks) => {
                is_part |= blocks.iter().any(|block| captures(block.pattern(), &name).is_some());
                if let Some(found) = blocks.first().and_then(|block| captures(block.pattern(), &name)) {
                    let blocks = blocks.iter().flat_map(|block| block.blocks(&found)).collect();
                    stacks.push((fill(to, &found), Recipe::Stack { blocks }));
                }
            }
            Rule::Ignore(from) => {
                if captures(from, &name).is_some() {
                    return Ok((name, Vec::new()));
                }
            }
        }
    }
    if !is_part {
        stacks.push((name.clone(), Recipe::Copy { stored }));
    }
    Ok((name, stacks))
}

/// What the placeholders of a pattern stand for in a name, or `None` if it does not match.
fn captures<'p, 'n>(pattern: &'p str, name: &'n str) -> Option<Vec<(&'p str, &'n str)>> {
    let mut found = Vec::new();
    let (mut pattern, mut name) = (pattern, name);
    while let Some(open) = pattern.find('{') {
        name = name.strip_prefix(&pattern[..open])?;
        let close = open + pattern[open..].find('}')?;
        let placeholder = &pattern[open + 1..close];
        pattern = &pattern[close + 1..];
        let end = match placeholder {
            "rest" => name.len(),
            "layer" | "number" => name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len()),
            // Up to what follows in the pattern, within one part of the name.
            _ => {
                let part = name.find('.').unwrap_or(name.len());
                let next = pattern.split('{').next().filter(|next| !next.is_empty());
                next.map_or(Some(part), |next| name.find(next)).filter(|&end| end <= part)?
            }
        };
        if end == 0 && placeholder != "rest" {
            return None;
        }
        found.push((placeholder, &name[..end]));
        name = &name[end..];
    }
    (pattern == name).then_some(found)
}

/// A pattern with what its placeholders stand for.
fn fill(pattern: &str, found: &[(&str, &str)]) -> String {
    let replaced = |text: String, &(placeholder, value): &(&str, &str)| {
        let place = format!("{{{placeholder}}}");
        match (placeholder, value.parse::<u32>()) {
            // Ours count from 0.
            ("number", Ok(number)) => text.replace(&place, &format!("{}", number.saturating_sub(1))),
            _ => text.replace(&place, value),
        }
    };
    found.iter().fold(pattern.to_owned(), replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No keys but the number of heads.
    fn keys() -> Keys {
        let map = serde_json::json!({"heads": 4}).as_object().cloned().unwrap_or_default();
        Keys::of("config.json".into(), map)
    }

    fn made(rules: &[Rule], name: &str) -> Vec<String> {
        apply(rules, name, name, &keys()).unwrap().1.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn placeholders_carry_over() {
        let rules = [
            Rule::Rename("transformer.{rest}", "{rest}"),
            Rule::Split(
                "{side}.layers.{layer}.in_proj_{part}",
                &["{side}.{layer}.q.{part}", "{side}.{layer}.k.{part}"],
            ),
            Rule::Copy("{side}.norm.{part}", &["model.{side}.layer_norm.{part}"]),
            Rule::Ignore("pe.{rest}"),
        ];
        let split = made(&rules, "transformer.encoder.layers.12.in_proj_weight");
        assert_eq!(split, ["encoder.12.q.weight", "encoder.12.k.weight"]);
        assert_eq!(made(&rules, "decoder.norm.bias"), ["model.decoder.layer_norm.bias"]);
        let counted = [Rule::Copy("{side}_l{number}_W{rest}", &["{side}.{number}.{rest}"])];
        assert_eq!(made(&counted, "encoder_l12_W1"), ["encoder.11.1"]);
        assert!(made(&rules, "pe.anything.at.all").is_empty());
        assert_eq!(made(&rules, "other.norm"), ["other.norm"]);
        assert_eq!(made(&rules, "encoder.layers.x.in_proj_weight"), ["encoder.layers.x.in_proj_weight"]);
    }

    #[test]
    fn blocks_of_rows_and_exchanged_axes_are_recipes() {
        let rules = [Rule::Split("qk", &["q", "k"]), Rule::Transpose("kernel", "weight")];
        let stored = || "qk".to_owned();
        let expected = [
            ("q".to_owned(), Recipe::Rows { stored: stored(), part: 0, parts: 2 }),
            ("k".to_owned(), Recipe::Rows { stored: stored(), part: 1, parts: 2 }),
        ];
        assert_eq!(apply(&rules, "qk", "qk", &keys()).unwrap().1, expected);
        let transposed = [("weight".to_owned(), Recipe::Transpose { stored: "kernel".to_owned() })];
        assert_eq!(apply(&rules, "kernel", "kernel", &keys()).unwrap().1, transposed);
    }

    #[test]
    fn a_stack_names_its_parts_by_the_first_and_one_tensor_may_be_in_several() {
        let rules = [
            Rule::Rename("gru_{part}", "cell.{part}"),
            Rule::Stack("{side}.weight", &[Of::Columns("{side}.W", &[1], 2), Of::Columns("{side}.Wx", &[0], 1)]),
            Rule::Stack("{side}.other", &[Of::Row(1, "{side}.W", &[2, 0], 3)]),
            Rule::Rename("{any}.W", "never.{any}"),
        ];
        let stored = |name: &str| name.to_owned();
        let stack = |blocks: Vec<Block>| Recipe::Stack { blocks };
        let expected = [
            (
                "cell.weight".to_owned(),
                stack(vec![
                    Block::Columns { stored: stored("cell.W"), part: 1, parts: 2 },
                    Block::Columns { stored: stored("cell.Wx"), part: 0, parts: 1 },
                ]),
            ),
            (
                "cell.other".to_owned(),
                stack(vec![
                    Block::InRow { stored: stored("cell.W"), row: 1, part: 2, parts: 3 },
                    Block::InRow { stored: stored("cell.W"), row: 1, part: 0, parts: 3 },
                ]),
            ),
        ];
        assert_eq!(apply(&rules, "gru_W", "gru_W", &keys()).unwrap(), ("cell.W".to_owned(), expected.to_vec()));
        assert_eq!(apply(&rules, "gru_Wx", "gru_Wx", &keys()).unwrap(), ("cell.Wx".to_owned(), Vec::new()));
    }

    #[test]
    fn blocks_that_lie_in_turn_know_the_number_of_heads() {
        let rules = [Rule::SplitByHead("qkv", "heads", 1, &["q", "k", "v"])];
        let stored = || "qkv".to_owned();
        let by_head = |part| Recipe::ByHead { stored: stored(), part, parts: 3, before: 1, heads: 4 };
        let expected = [
            ("q".to_owned(), Recipe::Rows { stored: stored(), part: 0, parts: 3 }),
            ("k".to_owned(), by_head(1)),
            ("v".to_owned(), by_head(2)),
        ];
        assert_eq!(apply(&rules, "qkv", "qkv", &keys()).unwrap().1, expected);
    }

    #[test]
    fn an_authors_prefix_ends_in_a_dot() {
        assert_eq!(rewrite("enc.", "encoder.", "enc.layers.0.x").unwrap(), "encoder.layers.0.x");
        assert_eq!(rewrite("src.weight", "source_embedding.weight", "src.weight").unwrap(), "source_embedding.weight");
        assert_eq!(rewrite("enc", "encoder", "enc.layers.0.x"), None);
        assert_eq!(rewrite("b{layer}.w", "layers.{layer}.w", "b7.w").unwrap(), "layers.7.w");
    }
}
