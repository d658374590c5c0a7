"""Which pairs may be trained on: no development or test sentence, nothing twice, marks where they are the lesson."""

import tempfile
import unittest
from argparse import Namespace
from pathlib import Path

from training.data import corpus
from training.data.pair import Pair

GERMAN_ENGLISH = Pair.german_english()


def kept(pairs, held_out=(), marked=False):
    held_out = {corpus.normalised(sentence) for sentence in held_out}
    return list(corpus.clean_pairs(pairs, ("de", "en"), False, marked, held_out, set()))


class CorpusTest(unittest.TestCase):
    def test_held_out_sentences_stay_out_whatever_their_case_and_signs(self):
        pairs = [
            ("TOM IST DA", "Tom's there"),
            ("Tom ist hier.", "tom, is here"),
            ("Tom ist weg.", "Tom is gone."),
        ]
        self.assertEqual(kept(pairs, ["Tom ist da!", "Tom is here."]), [pairs[2]])

    def test_both_references_are_held_out(self):
        with tempfile.TemporaryDirectory() as directory:
            run = Path(directory)
            (run / "data").mkdir()
            for name in GERMAN_ENGLISH.held_out:
                for ending in ("de", "en"):
                    (run / "data" / f"{name}.{ending}").write_text("Eins.\n", encoding="utf-8")
            second = run / "data" / "everyday-dev.en2"
            second.write_text("One, then!\n", encoding="utf-8")
            self.assertEqual(corpus.held_out_sentences(run), {"eins", "onethen"})

    def test_nothing_comes_twice(self):
        pair = ("Guten Tag!", "Hello!")
        self.assertEqual(kept([pair, pair, (pair[0], "Good day!")]), [pair, (pair[0], "Good day!")])

    def test_marked_pairs_keep_their_entities_and_may_have_many_signs(self):
        pair = ("<b>%s</b>&nbsp;= {0} [%d]", "<b>%s</b>&nbsp;= {0} [%d]")
        self.assertEqual(kept([pair]), [])
        self.assertEqual(
            kept([("&lt;b&gt; Datei löschen", "&lt;b&gt; Delete file")], marked=True)[0][0][:4],
            "&lt;",
        )
        self.assertEqual(
            kept([("Müll &amp; Co. ist da", "Müll &amp; Co. is here")])[0][0], "Müll & Co. ist da"
        )

    def described(self, corpora, *words, table=None):
        options = Namespace(corpora=corpora, source=words[0], target=words[1], sources=table)
        return corpus.described(options)

    def test_german_english_corpora_are_those_of_the_table_or_others_but_not_a_part(self):
        with tempfile.TemporaryDirectory() as directory:
            corpora = Path(directory)
            for language in ("de", "en"):
                (corpora / f"mine.{language}.gz").touch()
            self.assertEqual(list(self.described(corpora, "de", "en").training), ["mine"])
            (corpora / "ud-pud.en.gz").touch()
            with self.assertRaisesRegex(SystemExit, "lacks multi30k-train, .*--sources"):
                self.described(corpora, "en", "de")
            table = corpora / "table.toml"
            table.write_text("development = []\n[training]\nmine = 0.5\n", encoding="utf-8")
            pair = self.described(corpora, "en", "de", table=table)
            self.assertEqual((pair.source, pair.target, pair.weights), ("en", "de", {"mine": 0.5}))

    def test_no_training_source_is_a_held_out_set(self):
        self.assertFalse(set(GERMAN_ENGLISH.training) & set(GERMAN_ENGLISH.held_out))


if __name__ == "__main__":
    unittest.main()
