//! What else PyTorch files hold than tensors: options, vocabularies, whole modules, the state of a training. All of it is data; nothing
//! is executed, and files made to exhaust a reader end in one line.
//!
//! `pickles_reference.py` in `tests/reference/` wrote the files that come from Python.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use translate::checkpoint::{ModelFiles, Weights};

use crate::allocations;

/// How a file of before PyTorch 1.6 begins: its magic number, the protocol, and the system.
const BEGINNING: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// A file of that form whose outermost value a pickle makes; it has no storages.
fn old(pickle: &[u8]) -> Vec<u8> {
    [BEGINNING, pickle, b"\x80\x02]."].concat()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint/pickles").join(name)
}

fn open(bytes: &[u8]) -> Result<Weights, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("pytorch_model.bin"), bytes).unwrap();
    let opened = Weights::open(&ModelFiles::Directory(directory.path().to_owned()));
    opened.map_err(|error| error.to_string())
}

/// The one line that a pickle ends in; reading it takes memory in proportion to it.
fn refused(pickle: &[u8]) -> String {
    let file = old(pickle);
    let (result, bytes) = allocations::peak(|| open(&file).map(|weights| format!("{weights:?}")));
    let message = result.expect_err("no tensors in it");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(bytes <= (8 << 20) + 64 * file.len(), "{bytes} bytes for a file of {}: {message}", file.len());
    message
}

/// A text that the pickle remembers under a number below 256.
fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn every_protocol_of_torch_gives_the_same() {
    for protocol in 2..=5 {
        let weights = open(&std::fs::read(fixture(&format!("protocol_{protocol}.pt"))).unwrap()).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["bias", "weight"], "the optimiser's are left out");
        assert_eq!(weights.tensor("weight", &[2, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(weights.tensor("bias", &[1]).unwrap(), [5.0]);
        let said = Value::Object(weights.said().clone());
        let expected = json!({
            "args": {"arch": "transformer", "layers": 6, "dropout": 0.1, "tied": true, "path": null, "betas": [0.9, 0.98]},
            "numbers": [0, -1, 255, 65536, -(1i64 << 40), null, 1.5],
            "text": "naïve \\ 'both' \"quotes\" ☃\n",
            "bytes": "\0ab",
            "size": [2, 3],
            "set": [7],
            "ordered": {"b": 1, "a": 2},
            "counter": {"a": 2, "b": 1},
            "default": {"x": [1]},
            "nested": {"deeper": {"deepest": [[], {}, []]}},
            "3": "three",
            "model": {},
        });
        assert_eq!(said, expected, "protocol {protocol}");
    }
}

#[test]
fn protocols_that_torch_never_uses_are_understood_too() {
    for protocol in [0, 1] {
        let pickle = std::fs::read(fixture(&format!("protocol_{protocol}.pkl"))).unwrap();
        let message = refused(&pickle);
        assert!(
            message.contains("holds no tensors, only objects (argparse.Namespace); nothing was executed"),
            "{message}"
        );
    }
}

#[test]
fn a_module_that_was_saved_whole_is_its_tensors() {
    let weights = open(&std::fs::read(fixture("module.pt")).unwrap()).unwrap();
    let names: Vec<&str> = weights.names().collect();
    let layer = |n| ["inner.bias", "inner.weight", "mask"].map(|name| format!("layers.{n}.{name}"));
    assert_eq!(names, [layer(0), layer(1)].concat());
    assert_eq!(weights.shape("layers.1.inner.weight"), Some(&[2, 3][..]));
}

#[test]
fn fields_and_vocabularies_of_torchtext_are_data() {
    let weights = open(&std::fs::read(fixture("fields.pt")).unwrap()).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["generator.0.bias", "w"]);
    let vocabulary = &weights.said()["vocab"]["src"]["vocab"];
    assert_eq!(vocabulary["itos"], json!(["<unk>", "<blank>", "a", "b"]));
    assert_eq!(vocabulary["stoi"]["b"], json!(3));
    assert_eq!(weights.said()["vocab"]["tgt"]["vocab"], *vocabulary, "which is the same object");
}

#[test]
fn a_call_of_anything_is_kept_as_data() {
    let evaluated = refused(b"\x80\x02cbuiltins\neval\nX\x0b\x00\x00\x00exit('no!')\x85R.");
    assert!(evaluated.contains("only objects (builtins.eval); nothing was executed"), "{evaluated}");
    // By the instructions of the first protocols, with keyword arguments, with attributes.
    let forms: [&[u8]; 4] = [
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nX\x02\x00\x00\x00lso.",
        b"\x80\x04cos\nsystem\n)}\x92.",
        b"\x80\x02cos\nsystem\n)\x81}X\x01\x00\x00\x00aK\x01sb.",
    ];
    for form in forms {
        assert!(refused(form).contains("only objects (os.system); nothing was executed"));
    }
}

#[test]
fn depth_is_no_way_to_exhaust_a_reader() {
    let many = 300_000;
    // Marks, lists in lists, dicts in dicts, tuples in tuples, objects in objects.
    refused(&b"(".repeat(many));
    refused(&[b"]".repeat(many), b"a".repeat(many - 1), b".".to_vec()].concat());
    refused(&[b"}K\x00".repeat(many), b"N".to_vec(), b"s".repeat(many), b".".to_vec()].concat());
    refused(&[b")".to_vec(), b"\x85".repeat(many), b".".to_vec()].concat());
    let key = text("a");
    let dicts = [b"}".to_vec(), key].concat().repeat(many / 6);
    refused(&[dicts, b"N".to_vec(), b"s".repeat(many / 6), b".".to_vec()].concat());
    refused(&[b"cb\nc\n".repeat(many / 5), b")".to_vec(), b"R\x85".repeat(many / 5 - 1), b"R.".to_vec()].concat());
}

#[test]
fn values_that_hold_themselves_are_looked_at_once() {
    assert!(refused(b"]q\x00h\x00a.").contains("holds no tensors"));
    assert!(refused(b"}q\x00K\x01h\x00s.").contains("holds no tensors"));
    let itself = [&b"}q\x00"[..], &text("model"), b"h\x00s."].concat();
    assert!(refused(&itself).contains("holds no tensors"));
    let many_times = [b"]q\x00(".to_vec(), b"h\x00".repeat(100_000), b"e.".to_vec()].concat();
    assert!(refused(&many_times).contains("holds no tensors"));
    let object = [&b"cb\nc\n)\x81q\x00}"[..], &text("parent"), b"h\x00sb."].concat();
    assert!(refused(&object).contains("only objects (b.c)"));
}

/// Lists of two of the list before, and a long text in many places.
#[test]
fn values_in_many_places_are_counted_each_time() {
    let mut lists = b"]q\x00".to_vec();
    for level in 1..36u8 {
        lists.extend([b']', b'q', level, b'h', level - 1, b'a', b'h', level - 1, b'a']);
    }
    lists.push(b'.');
    assert!(refused(&lists).contains("over and over"));
    let long = text(&"x".repeat(100_000));
    let texts = [b"]".to_vec(), long.clone(), b"q\x00a(".to_vec(), b"h\x00".repeat(50_000), b"e.".to_vec()].concat();
    assert!(refused(&texts).contains("over and over"));
    // Long names, one in the other.
    let mut names = [long, b"q\x000}q\x01".to_vec()].concat();
    for level in 2..38u8 {
        names.extend([b'}', b'q', level, b'h', 0, b'h', level - 1, b's']);
    }
    names.push(b'.');
    refused(&names);
}

#[test]
fn enormous_counts_are_compared_with_what_is_there() {
    let counts: [&[u8]; 8] = [
        b"X\xff\xff\xff\xff",
        b"T\xff\xff\xff\x7f",
        b"B\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for count in counts {
        refused(count);
    }
    // A tensor of more values than there are.
    let storage =
        [&b"("[..], &text("storage"), b"ctorch\nFloatStorage\n", &text("0"), &text("cpu"), b"J\xff\xff\xff\x7ftQ"]
            .concat();
    let tensor =
        [&b"ctorch._utils\n_rebuild_tensor_v2\n("[..], &storage, b"K\x00J\xff\xff\xff\x7f\x85K\x01\x85tR"].concat();
    let dict = [&b"\x80\x02}"[..], &text("w"), &tensor, b"s."].concat();
    assert!(refused(&dict).contains("without its storage"));
}

/// Every instruction there is and is not, on an empty stack and on stacks of everything.
#[test]
fn any_instruction_anywhere_ends_in_a_line() {
    let stacks: [&[u8]; 8] =
        [b"", b"K\x01", b"(", b"(K\x01K\x02", b"]", b"}", b"cb\nc\n)R", b"ctorch._utils\n_rebuild_tensor_v2\n(]}t"];
    for stack in stacks {
        for first in 0..=255u8 {
            let (instruction, arguments) = ([first], b"\x01\x00\x00\x00a\nb\n1\n.....");
            refused(&[stack, &instruction[..], arguments].concat());
            refused(&[stack, &instruction[..], &instruction[..], b"."].concat());
        }
    }
    assert!(refused(b"\xee.").contains("0xee"));
}
