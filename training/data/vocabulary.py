"""Trains the shared SentencePiece vocabulary and encodes and decodes with it.

python -m training vocabulary RUN_DIRECTORY VOCABULARY_DIRECTORY --pieces 11999
"""

import argparse
import json
import random
import shutil
from pathlib import Path

import sentencepiece

from .corpus import load_pairs
from .pair import Pair

PIECES = 5999  # with <pad> the vocabulary has 6,000 entries
# Of each source as much as its training weight says, but of these: everyday words before those of interfaces.
SHARES = {
    "ding-words": 0.4,
    "lex-wiktionary": 1,
    "everyday-apps": 0.4,
    "web-ui": 0.15,
    "desktop-ui": 0.04,
}
CAPITALS = 0.02  # so much of the text also in capitals: they come in words, not letter by letter
# Signs that every vocabulary has as pieces of their own, however rare they are.
SIGNS = (
    "•‣◦▪■□●○★☆✓✔✗✘→←↑↓↔⇒⇐►◄▶◀▲▼◆◇♥♦♠♣♪♫☀☁☂☃☎☑☒☐☺☹✈✉✂✏✨❤❗❓➜➡⬅"
    "§°±×÷≈≠≤≥∞√π€£¥¢©®¶†‡“”„‚‘’‹›«»–—{}[]<>|\\~^_`#@&%$*+=/"
    "😀😁😂😃😄😅😆😉😊😋😍😎😏😐😒😔😘😜😞😢😭😡😱😳😴😷🙂🙁🙃🙄🙈🙏🤔🤗🤣🤦🤷🥰🥳👀👋👌👍👎👏💪"
    "💔💕💖💯🔥🎂🎁🎄🎉🌈🌞🌹🍀🍕🍰🐱🐶🏠🚗🚀📅📌📎📞📧📷"
)

END, UNKNOWN = 0, 1


class Vocabulary:
    """SentencePiece whose ids are the model's ids; `<pad>` comes last and starts the decoder."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.processor = sentencepiece.SentencePieceProcessor(
            model_file=str(self.directory / "source.spm")
        )
        self.pad = self.processor.get_piece_size()
        self.size = self.pad + 1

    def encode(self, sentence, sampling=0.0):
        if sampling:
            ids = self.processor.encode(
                sentence, enable_sampling=True, alpha=sampling, nbest_size=-1
            )
        else:
            ids = self.processor.encode(sentence)
        return ids + [END]

    def decode(self, ids):
        return self.processor.decode([i for i in ids if i not in (END, self.pad)])


def sample(run, weights, order):
    """Sentences of both languages, of each source by its weight; some of them also in capitals."""
    sentences = []
    for name, weight in weights.items():
        pairs = load_pairs(run, name)
        share = 0.0 if name.endswith("-marked") else min(SHARES.get(name, weight), 1)
        count = int(len(pairs) * share)
        sentences.extend(sentence for pair in order.sample(pairs, count) for sentence in pair)
    sentences.extend(s.upper() for s in order.sample(sentences, int(CAPITALS * len(sentences))))
    order.shuffle(sentences)
    return sentences


def train(run, directory, pieces):
    directory.mkdir(parents=True, exist_ok=True)
    pair = Pair.of(run)
    sentences = sample(run, pair.weights, random.Random(1))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_prefix=str(directory / "shared"),
        model_type="unigram",
        vocab_size=pieces,
        normalization_rule_name="nmt_nfkc",
        character_coverage=0.9998,
        required_chars=SIGNS,
        byte_fallback=True,  # no input becomes <unk>
        split_digits=True,  # numbers are copied digit by digit
        eos_id=END,
        unk_id=UNKNOWN,
        bos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=1,
    )
    (directory / "shared.vocab").unlink()
    shutil.copyfile(directory / "shared.model", directory / "source.spm")
    (directory / "shared.model").replace(directory / "target.spm")

    vocabulary = Vocabulary(directory)
    pieces = [vocabulary.processor.id_to_piece(i) for i in range(vocabulary.pad)] + ["<pad>"]
    ids = {piece: index for index, piece in enumerate(pieces)}
    (directory / "vocab.json").write_text(
        json.dumps(ids, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )
    config = {
        "source_lang": pair.source,
        "target_lang": pair.target,
        "tokenizer_class": "MarianTokenizer",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--pieces", type=int, default=PIECES)
    options = parser.parse_args()
    train(options.run, options.directory, options.pieces)


if __name__ == "__main__":
    main()
