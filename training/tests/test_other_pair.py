"""From a few hundred lines of a made-up pair of languages to a model directory, by the commands a person types."""

import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from safetensors import safe_open

ROOT = Path(__file__).parents[2]
TINY = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}


def sentence(order):
    """Words of one language and, the other way round, of the other."""
    words = [
        order.choice("ka lo mi pe su ta ro ni".split()) * 2 for _ in range(order.randrange(2, 8))
    ]
    source = " ".join(words).capitalize() + "."
    target = " ".join(word[::-1] for word in reversed(words)).capitalize() + "."
    return (f"{source} 47", f"{target} 47") if order.random() < 0.2 else (source, target)


def write(corpora, name, pairs):
    for language, side in zip(("xx", "yy"), zip(*pairs)):
        with gzip.open(corpora / f"{name}.{language}.gz", "wt", encoding="utf-8") as stream:
            stream.write("".join(line + "\n" for line in side))


class OtherPair(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        corpora = self.root / "corpora"
        corpora.mkdir()
        order = random.Random(1)
        pairs = list(dict.fromkeys(sentence(order) for _ in range(600)))
        write(corpora, "toy", pairs[:-20])
        write(corpora, "toy-dev", pairs[-20:-10])
        write(corpora, "toy-test", pairs[-10:])

    def command(self, *words):
        """What a command of the package says."""
        command = [sys.executable, "-m", "training", *map(str, words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        return done.stdout.decode()

    def test_from_nothing_to_a_model(self):
        run, model = self.root / "run", self.root / "model"
        self.command("corpus", self.root / "corpora", run, "--from", "xx", "--to", "yy")
        self.assertIn("skipped, made for de-en", self.command("phrases", run))
        self.assertIn("skipped, made for de-en", self.command("generate", run))
        self.assertIn("skipped, made for de", self.command("spellings", run, run / "spellings.txt"))
        self.command("vocabulary", run, run / "vocab", "--pieces", 520)
        train = ("train", "transformer", run, "--vocabulary", run / "vocab", "--steps", 30)
        more = (
            "--config",
            json.dumps(TINY),
            "--weights",
            '{"exchanged": 1, "copies": 1}',
            "--noise",
            0.3,
        )
        said = self.command(*train, *more)
        self.assertIn("without umlauts", said)
        self.assertIn('"set": "toy-dev"', said)
        self.command(
            "export", run / "transformer/last.pt", model, "--with-vocabulary", run / "vocab"
        )
        self.check(model)

    def check(self, model):
        names = {path.name for path in model.iterdir()}
        wanted = (
            "config.json generation_config.json model.safetensors source.spm target.spm vocab.json"
        )
        self.assertLessEqual(set(wanted.split()), names)

        def read(name):
            return json.loads((model / name).read_text(encoding="utf-8"))

        config, languages = read("config.json"), read("tokenizer_config.json")
        self.assertEqual((languages["source_lang"], languages["target_lang"]), ("xx", "yy"))
        # A German list of spellings would mend what is not German.
        self.assertNotIn("spellings", config["text_defaults"])
        self.assertNotIn("numerals", config["text_defaults"])
        self.assertEqual(config["vocab_size"], len(read("vocab.json")))
        with safe_open(model / "model.safetensors", "np") as tensors:
            shape = tensors.get_slice("model.shared.weight").get_shape()
        self.assertEqual(shape, [config["vocab_size"], TINY["d_model"]])


if __name__ == "__main__":
    unittest.main()
