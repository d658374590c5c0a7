"""Trains the shared SentencePiece vocabulary and encodes and decodes with it.

    python -m training.vocabulary RUN_DIRECTORY VOCABULARY_DIRECTORY
"""

import json
import random
import shutil
import sys
from pathlib import Path

import sentencepiece

from .corpus import TRAINING_SOURCES, load_pairs

PIECES = 5999  # with <pad> the vocabulary has 6,000 entries
SENTENCES_PER_SOURCE = 30_000

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


def train(run, directory):
    run, directory = Path(run), Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    mix = random.Random(1)
    sentences = []
    for name in TRAINING_SOURCES:
        pairs = load_pairs(run, name)
        if name == "lex-wiktionary":
            pairs = mix.sample(pairs, 3000)
        elif len(pairs) > SENTENCES_PER_SOURCE * 2:
            pairs = mix.sample(pairs, SENTENCES_PER_SOURCE * 2)
        sentences.extend(sentence for pair in pairs for sentence in pair)
    mix.shuffle(sentences)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_prefix=str(directory / "shared"),
        model_type="unigram",
        vocab_size=PIECES,
        normalization_rule_name="nmt_nfkc",
        character_coverage=0.9998,
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
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"source_lang": "de", "target_lang": "en", "tokenizer_class": "MarianTokenizer"})
        + "\n"
    )


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2])
