"""Rare words of the dictionary take the place of others, with the right gender, ending and article."""

import tempfile
import unittest
from pathlib import Path

from training.data import lexicon
from training.data.pair import Pair


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


class Lexicon(unittest.TestCase):
    def sentences(self, dictionary, pairs, known, more=()):
        with tempfile.TemporaryDirectory() as directory:
            run = Path(directory)
            for name in Pair.german_english().held_out:
                write(run / "data" / f"{name}.de", "Das ist eine Schnecke.")
                write(run / "data" / f"{name}.en", "This is a snail.")
            for name in lexicon.SOURCES:
                write(run / "data" / f"{name}.tsv")
            write(run / "data" / "tatoeba-manythings.tsv", *pairs)
            for name in lexicon.ENGLISH_TEXTS:
                write(run / "data" / name, *[known] * 3)
            write(run / "data" / "lex-wiktionary.tsv", *dictionary)
            write(run / "data" / "ding-words.tsv", *more)
            lexicon.prepare(run)
            return (run / "data" / "lexicon-sentences.tsv").read_text().split("\n")[:-1]

    def test_a_rare_noun_takes_the_place_of_one_of_the_same_gender(self):
        frequent = ["Ich sehe eine Katze.\tI see a cat."] * 30 + [
            "Ich sehe das Haus.\tI see a house."
        ] * 30
        dictionary = ["Katze\tcat", "Haus\thouse", "Eule\towl", "Eule\tEuropean owl"]
        articles = ["Nur die Eule sah die Eule.\tno such word"]
        found = self.sentences(dictionary, frequent + articles, "An owl.")
        self.assertEqual(found, ["Ich sehe eine Eule.\tI see an owl."])

    def test_an_adjective_keeps_its_ending_and_determiners_are_none(self):
        pairs = ["Sie hat einen roten Hut.\tShe has a red hat."] * 30
        dictionary = ["rot\tred", "ein\ta", "grell\tgaudy"]
        found = self.sentences(dictionary, pairs, "Gaudy or gaudy.")
        self.assertEqual(found, ["Sie hat einen grellen Hut.\tShe has a gaudy hat."])

    def test_words_that_english_texts_do_not_know_and_held_out_sentences_stay_away(self):
        pairs = ["Das ist eine Katze.\tThis is a cat."] * 30 + [
            "Nur die Schnecke oder die Schnecke.\tno"
        ]
        dictionary = ["Katze\tcat", "Schnecke\tsnail", "Eule\towl"]
        self.assertEqual(self.sentences(dictionary, pairs, "A snail."), [])

    def test_the_larger_dictionary_gives_terms_of_few_meanings_and_leaves_out_to(self):
        pairs = ["Das ist eine Katze.\tThis is a cat."] * 30
        more = ["Eulenfeder\towl feather", "Katze\ttomcat", "Ruhe\trest"]
        more += [f"Birne\t{sense}" for sense in ("pear", "bulb", "head", "apple")]
        found = lexicon.dictionary([("Katze", "cat")], [line.split("\t") for line in more])
        self.assertEqual(
            dict(found), {"Katze": ["cat"], "Eulenfeder": ["owl feather"], "Ruhe": ["rest"]}
        )
        self.assertEqual(lexicon.term("gehen", "to walk"), "walk")
        self.assertIsNone(lexicon.term("Hand", "hand (right)"))
        found = self.sentences(
            ["Katze\tcat"], pairs, "An owl, a feather.", ["Wildkatze\towl feather"]
        )
        self.assertEqual(found, ["Das ist eine Wildkatze.\tThis is an owl feather."])


if __name__ == "__main__":
    unittest.main()
