"""Fixtures from, and a large comparison with, the reference SentencePiece library (Python package `sentencepiece` 0.2.3).

    python sentencepiece_reference.py build
        trains four small models on generated text in 14 scripts and writes them, the test lines, and how the reference
        library cuts and decodes every line to ../fixtures/sentencepiece/ (read by `cargo test --test it text::`).

    cargo build --example segment
    python sentencepiece_reference.py check TOKENIZERS CORPORA [SEGMENT]
        compares `examples/segment.rs` (the program SEGMENT) with the reference on real OPUS-MT tokenizers: every folder
        in TOKENIZERS that holds source.spm, target.spm and vocab.json; 20,000 lines from the .gz files in CORPORA and
        10,000 of random Unicode; pieces, ids and decoded text of both models, and the ids of transformers'
        MarianTokenizer with and without `>>xxx<<`. Any difference is printed and makes the exit status 1.
"""
import glob
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures", "sentencepiece")

# A handful of everyday words in each script: dog, house, water, child, sun, and what goes with them.
WORDS = {
    "latin": "der hund läuft schnell über die straße und ein kind spielt im garten water house garden child être "
             "naïve coöperate señor fjörd œuvre žlutý kůň Zürich Łódź don't well-known 3,14 2026 100%",
    "cyrillic": "собака бежит по улице и ребёнок играет в саду дом вода солнце объект подъезд мій їжак ўсё ћуприја",
    "greek": "ο σκύλος τρέχει στον δρόμο και το παιδί παίζει στον κήπο σπίτι νερό ήλιος ἀρχή ὀφθαλμός",
    "armenian": "շունը վազում է փողոցով և երեխան խաղում այգում տուն ջուր արև",
    "georgian": "ძაღლი გარბის ქუჩაში და ბავშვი თამაშობს ბაღში სახლი წყალი მზე",
    "hebrew": "הכלב רץ ברחוב והילד משחק בגן בית מים שמש שָׁלוֹם",
    "arabic": "الكلب يركض في الشارع والطفل يلعب في الحديقة بيت ماء شمس كِتَابٌ ﷺ ﻻ می‌خواهم",
    "devanagari": "कुत्ता सड़क पर दौड़ता है और बच्चा बगीचे में खेलता है घर पानी सूरज क्षत्रिय ज़रूर १२३",
    "bengali": "কুকুর রাস্তায় দৌড়ায় এবং শিশু বাগানে খেলে বাড়ি জল সূর্য",
    "tamil": "நாய் தெருவில் ஓடுகிறது குழந்தை தோட்டத்தில் விளையாடுகிறது வீடு தண்ணீர்",
    "thai": "สุนัขวิ่งบนถนน เด็กเล่นในสวน บ้าน น้ำ พระอาทิตย์ ๑๒๓",
    "han": "狗在街上跑，孩子在花园里玩。 房子 水 太阳 汉语 漢語 １２３ 「书」",
    "kana": "犬が通りを走り、子供が庭で遊んでいる。 いえ みず ｶﾀｶﾅ カタカナ ガギグ ㌔ ㈱",
    "hangul": "개가 거리를 달리고 아이가 정원에서 논다 집 물 태양 한국어 값싼",
}

# Where normalisers and segmenters go wrong.
EDGES = [
    "", " ", "   ", "a", " a ", "a  b", "\t", "a\tb", "\u3000x\u3000y\u3000", "\u00a0a\u00a0", "\u2003\u2009", "▁", "▁▁", "▁a", "a▁b",
    "a\u0000b", "\u0000", "\r", "a\rb", "\u0001\u0002", "\u007f\u0085\u009f", "\ufeffa", "a\ufeff", "\u200b", "a\u200bb", "a\u200db", "\u200e\u200f",
    "\u2028\u2029", "\u0301", "\u0301\u0302a", "e\u0301", "e\u0301\u0323\u0302", "A\u030a\u030a", "\u1100\u1161\u11a8", "가\u11a8", "ﬁﬂﬃ ﬆ", "ﬁ\u0301",
    "①②③ ⑴ ⒈", "½ ⅓ x² H₂O", "ＦＵＬＬ ｗｉｄｔｈ １２３！", "ｶﾞｷﾞ ﾊﾟ", "℃ ℡ ™ ㎏ ㏄", "ſ ẞ ß SS ŉ ǰ", "İ i̇ ı I", "Σίσυφος ς", "ΐ ΰ",
    "👩‍👩‍👧‍👦", "🏳️‍🌈 🇩🇪🇬🇧", "👍🏽👍", "😀", "😀😀 😀", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒜", "\U0010ffff", "\U000e0041\U000e007f", "\ufffd", "\ufffe\uffff",
    "<unk>", "<s>", "</s> a", "a<pad>b", "<0x41>", "<0xE2><0x96>", "<sep>", "a<sep>b<sep>", "<sep", "☃☃☃", "☃ ☃☃", "C++ c++", "C+",
    "lalala", "ababab", "क़ फ़ ड़", "ක්‍ෂ", "‮abc‬", "ﻻ ﷲ", "می‌خواهم", "x" * 300, "日本語" * 60, "a " * 80, "é" * 100, " " * 50,
    "…", "‥‥", "“quoted” ‘single’ «a»", "1.234,56 € — 3–4", "foo@example.org http://x.y/z?q=1#f", "ÀÉÎÕÜ àéîõü", "ĳ Ǆ ǅ",
]

RANGES = [
    (0x20, 0x7E), (0, 0x20), (0x7F, 0xA0), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0x9FF),
    (0xB80, 0xBFF), (0xE00, 0xEFF), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x2BFF), (0x3000, 0x30FF),
    (0x3130, 0x33FF), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFFFF),
    (0x1D400, 0x1D500), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F6FF), (0x1F3FB, 0x1F3FF), (0x200B, 0x200F), (0x10000, 0x10FFFF),
]

USER_DEFINED = ["<sep>", "C++", "☃", "☃☃", "e\u0301"]

MODELS = {
    # The kind OPUS-MT publishes, plus user-defined pieces.
    "unigram": dict(model_type="unigram", normalization_rule_name="nmt_nfkc", vocab_size=1000,
                    user_defined_symbols=USER_DEFINED),
    "bpe-bytes": dict(model_type="bpe", normalization_rule_name="nfkc_cf", vocab_size=1200, byte_fallback=True,
                      user_defined_symbols=USER_DEFINED),
    # No normalisation and no white-space handling at all, spaces at word ends.
    "unigram-bytes": dict(model_type="unigram", normalization_rule_name="identity", vocab_size=1200, byte_fallback=True,
                          remove_extra_whitespaces=False, treat_whitespace_as_suffix=True, unk_surface="??"),
    "bpe": dict(model_type="bpe", normalization_rule_name="identity", vocab_size=1000, add_dummy_prefix=False,
                split_by_whitespace=False, user_defined_symbols=["  ", "the", "der "]),
}


def sentences(count, seed):
    """Made-up sentences in every script, some of two, in mixed normalisation forms."""
    rng = random.Random(seed)
    scripts = sorted(WORDS)
    lines = []
    for index in range(count):
        words = WORDS[scripts[index % len(scripts)]].split()
        if rng.random() < 0.1:
            words = words + WORDS[rng.choice(scripts)].split()
        line = " ".join(rng.choice(words) for _ in range(rng.randint(2, 7)))
        if rng.random() < 0.3:
            line = line.capitalize() + rng.choice(".!?。")
        if rng.random() < 0.3:
            line = unicodedata.normalize(rng.choice(["NFD", "NFKD", "NFC"]), line)
        lines.append(line)
    return lines


def random_unicode(count, seed, longest):
    """Lines of random characters: all ranges mixed, or three of them; stray spaces; sometimes decomposed."""
    rng = random.Random(seed)
    lines = []
    for _ in range(count):
        pool = RANGES if rng.random() < 0.5 else rng.sample(RANGES, 3)
        line = ""
        for _ in range(rng.randint(1, longest)):
            character = chr(rng.randint(*rng.choice(pool)))
            if "\ud800" <= character <= "\udfff":
                continue
            line += character + (" " * rng.randint(1, 3) if rng.random() < 0.15 else "")
        if rng.random() < 0.3:
            line = unicodedata.normalize(rng.choice(["NFD", "NFKD", "NFC"]), line)
        lines.append(line)
    return lines


def train(options):
    model = io.BytesIO()
    lines = [line for line in sentences(6000, 1) if "\n" not in line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, character_coverage=0.995, hard_vocab_limit=False,
        num_threads=1, minloglevel=2, **options)
    parsed = proto.ModelProto.FromString(model.getvalue())
    # Every 40th piece marked unused, as vocabulary restriction does.
    normal = [piece for piece in parsed.pieces if piece.type == 1 and len(piece.piece) > 1]
    for piece in normal[::40]:
        piece.type = 5
    # A denormaliser, which no trainer option sets.
    if options["model_type"] == "unigram" and "byte_fallback" in options:
        parsed.denormalizer_spec.CopyFrom(proto.ModelProto.FromString(train_nfkc()).normalizer_spec)
        parsed.denormalizer_spec.ClearField("normalization_rule_tsv")
        parsed.denormalizer_spec.add_dummy_prefix = False
        parsed.denormalizer_spec.escape_whitespaces = False
    return parsed.SerializeToString()


def train_nfkc():
    """A model for the sake of its tiny character map: full-width letters to ASCII, double spaces to one."""
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".tsv") as rules:
        for letter in range(0xFF01, 0xFF5F):
            print(f"{letter:X}\t{letter - 0xFEE0:X}", file=rules)
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b"] * 10), model_writer=model, vocab_size=7, hard_vocab_limit=False, minloglevel=2,
            normalization_rule_tsv=rules.name)
    return model.getvalue()


def expected(model, line):
    """How the reference cuts and decodes a line, in as few bytes as possible.

    `ids` is a string with the character U+0100 + id for every id; `unknown` lists the surfaces of unknown pieces; `text`
    and `text_of_pieces` are left out where they equal the line."""
    ids, pieces = model.encode(line), model.encode(line, out_type=str)
    result = {"ids": "".join(chr(0x100 + id) for id in ids)}
    unknown = [piece for id, piece in zip(ids, pieces) if id == model.unk_id()]
    if unknown:
        result["unknown"] = unknown
    for id, piece in zip(ids, pieces):
        assert id == model.unk_id() or model.id_to_piece(id) == piece
    for key, text in [("text", model.decode(ids)), ("text_of_pieces", model.decode(pieces))]:
        if text != line:
            result[key] = text
    if result.get("text_of_pieces") == result.get("text"):
        result.pop("text_of_pieces", None)
    elif "text_of_pieces" not in result:
        result["text_of_pieces"] = line
    return result


def write_json_lines(name, values):
    with open(os.path.join(FIXTURES, name), "w", encoding="utf-8") as file:
        for value in values:
            print(json.dumps(value, ensure_ascii=False), file=file)


def build():
    os.makedirs(FIXTURES, exist_ok=True)
    lines = EDGES + sentences(1500, 2) + random_unicode(600, 3, 20)
    lines += [a + b for a in EDGES[1:30:3] for b in EDGES[2:80:8]]
    write_json_lines("lines.jsonl", lines)
    for name, options in MODELS.items():
        model = train(options)
        with open(os.path.join(FIXTURES, f"{name}.spm"), "wb") as file:
            file.write(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        write_json_lines(f"{name}.jsonl", (expected(processor, line) for line in lines))
        print(name, processor.get_piece_size(), "pieces,", len(model), "bytes,", len(lines), "lines")


def corpus(folder, count):
    lines = []
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.gz"), recursive=True)):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            lines += [line.rstrip("\n") for line in file]
    random.Random(1).shuffle(lines)
    return lines[:count]


def segment(program, model, lines):
    """What `examples/segment.rs` makes of the lines."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([program, model], input=text.encode(), stdout=subprocess.PIPE, check=True)
    results = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    assert len(results) == len(lines)
    return results


def report(what, lines, wanted, found):
    differences = [(line, w, f) for line, w, f in zip(lines, wanted, found, strict=True) if w != f]
    for line, w, f in differences[:5]:
        print(f"  {line!r}\n    reference {w!r}\n    ours      {f!r}")
    print(f"{what}: {len(lines)} lines, {len(differences)} differences")
    return len(differences)


def check_model(program, path, lines):
    model = sentencepiece.SentencePieceProcessor(model_file=path)
    wanted = []
    for line in lines:
        ids, pieces = model.encode(line), model.encode(line, out_type=str)
        wanted.append({"ids": ids, "pieces": pieces, "text": model.decode(ids), "text_of_pieces": model.decode(pieces)})
    return report(path, lines, wanted, segment(program, path, lines))


def check_marian(program, folder, lines):
    from transformers import MarianTokenizer

    tokenizer = MarianTokenizer.from_pretrained(folder)
    # Special tokens that are written in a text are text to us; `transformers` makes tokens of them.
    lines = [line for line in lines if not any(token in line for token in tokenizer.all_special_tokens)]
    prefixes = ["", ">>por<< ", ">>por<<", ">>pob<< ", ">>xyz<< ", " >>por<< ", ">>por<< >>pob<< "]
    lines = [prefixes[index % len(prefixes)] + line for index, line in enumerate(lines)]
    wanted = []
    for line in lines:
        both = tokenizer(line, text_target=line)
        text = tokenizer.decode(both["labels"], skip_special_tokens=True)
        wanted.append({"source": both["input_ids"][:-1], "target": both["labels"][:-1], "text": text})
    return report(folder, lines, wanted, segment(program, folder, lines))


def check(tokenizers, corpora, program):
    lines = corpus(corpora, 20_000)
    lines += [unicodedata.normalize("NFD", line) for line in lines[:2_000]]
    lines += random_unicode(10_000, 4, 60) + EDGES
    differences = 0
    for folder in sorted(glob.glob(os.path.join(tokenizers, "*", ""))):
        for name in ["source.spm", "target.spm"]:
            differences += check_model(program, os.path.join(folder, name), lines)
        differences += check_marian(program, folder, lines)
    sys.exit(differences > 0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["build"]:
            build()
        case ["check", tokenizers, corpora, *program]:
            default = os.path.join(HERE, "..", "..", "target", "debug", "examples", "segment")
            check(tokenizers, corpora, program[0] if program else default)
        case _:
            sys.exit(__doc__)
