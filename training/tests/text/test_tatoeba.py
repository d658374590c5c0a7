"""New everyday sentences never hold one of the development or test sets."""

import tempfile
import unittest
from pathlib import Path

from training.data import tatoeba
from training.data.pair import Pair


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


class Tatoeba(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.data = self.root / "data"
        for name in Pair.german_english().held_out:
            write(self.data / f"{name}.de", "Tom ist da.")
            write(self.data / f"{name}.en", "Tom is there.")
        for name in tatoeba.KNOWN:
            write(self.data / f"{name}.tsv", "Ich weiß.\tI know.")

    def set(self, languages, first, second):
        first_language, second_language = languages.split("-")
        base = self.root / "testsets" / languages
        write(base / f"tatoeba-test-v1.{first_language}", *first)
        write(base / f"tatoeba-test-v1.{second_language}", *second)

    def read(self, name):
        return (self.data / name).read_text(encoding="utf-8").split("\n")[:-1]

    def test_a_third_language_joins_german_and_english(self):
        self.set(
            "deu-fra",
            ["Es regnet.", "Tom ist da!", "Nur deutsch."],
            ["Il pleut.", "Tom est là.", "Rien."],
        )
        self.set(
            "eng-fra",
            ["It is raining.", "Tom has come.", "English only."],
            ["Il pleut.", "Tom est là.", "Non."],
        )
        self.set("deu-eng", ["Ich weiß!", "Guten Tag."], ["I know!", "Good day."])
        tatoeba.prepare(self.root, self.root / "none", self.root)
        self.assertEqual(self.read("tatoeba-older.tsv"), ["Guten Tag.\tGood day."])
        self.assertEqual(self.read("tatoeba-pivot.tsv"), ["Es regnet.\tIt is raining."])
        self.assertEqual(self.read("tatoeba-mono.de"), ["Nur deutsch."])
        self.assertEqual(self.read("tatoeba-mono.en"), ["English only.", "Tom has come."])

    def test_other_extracts_of_tatoeba_give_pairs_and_pivots(self):
        pairs = self.root / "pairs"
        self.set("deu-fra", ["Es regnet.", "Sie schläft."], ["Il pleut !", "Elle dort."])
        self.set("deu-zho", ["Er geht."], ["他走了。"])
        write(pairs / "2018.fra.txt", "It is raining.\tIl pleut.\tCC BY", "no tab in this line")
        write(pairs / "cmn.txt", "He goes.\t他走了。")
        write(pairs / "tatoeba.fra-eng.fra", "Elle dort.")
        write(pairs / "tatoeba.fra-eng.eng", "She is asleep.")
        write(
            pairs / "words.jsonl",
            '{"german": "Tag", "example_de": "Guten Tag.", "example_en": "Good day."}',
            '{"sentence_de": "Tom ist da!", "sentence_en": "Tom came."}',
            '{"german": "Rat", "example_de": null}',
        )
        tatoeba.prepare(self.root, pairs, self.root)
        self.assertEqual(self.read("tatoeba-more.tsv"), ["Guten Tag.\tGood day."])
        self.assertEqual(
            self.read("tatoeba-pivot.tsv"),
            ["Er geht.\tHe goes.", "Es regnet.\tIt is raining.", "Sie schläft.\tShe is asleep."],
        )


if __name__ == "__main__":
    unittest.main()
