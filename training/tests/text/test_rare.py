"""Pairs with a rare German word get a file of their own; candidates of a translation obey the dictionary."""

import unittest
from collections import Counter

from training.data.choose import Dictionary, choose, plausible
from training.data.rare import RARE, rare_pairs


class RarePairs(unittest.TestCase):
    counts = Counter(
        {"das": 900, "ist": 900, "praktisch": RARE + 1, "der": 900, "praktikant": RARE}
    )

    def test_the_rarest_word_decides(self):
        common, rare = (
            ("Das ist praktisch.", "That is handy."),
            ("Das ist der Praktikant.", "It's the intern."),
        )
        self.assertEqual(rare_pairs([common, rare], self.counts), [rare])

    def test_a_word_that_nobody_wrote_was_made_up(self):
        self.assertEqual(
            rare_pairs([("Das ist der Praktikantin.", "It's the intern.")], self.counts), []
        )


class Choose(unittest.TestCase):
    counts = Counter({"er": 900, "spürte": 40, "die": 900})
    dictionary = Dictionary(
        [("Übelkeit", "nausea"), ("spüren", "to feel"), ("Lupe", "magnifying glass")], "de"
    )

    def choose(self, sentence, *translations):
        candidates = [(text, -0.3 - 0.1 * place) for place, text in enumerate(translations)]
        return choose(sentence, candidates, self.counts, self.dictionary)

    def test_the_dictionary_outweighs_a_slightly_better_score(self):
        self.assertEqual(
            self.choose("Er spürte die Übelkeit.", "He felt the evil.", "He felt the nausea."),
            "He felt the nausea.",
        )

    def test_a_sentence_goes_when_no_candidate_knows_the_word(self):
        self.assertIsNone(self.choose("Er spürte die Übelkeit.", "He felt the evil."))
        self.assertIsNone(self.choose("Er spürte die Glibberung.", "He felt the glibbing."))

    def test_failed_translations_are_dropped(self):
        self.assertTrue(plausible("Es regnet.", "It is raining."))
        self.assertFalse(plausible("Er sagt nichts mehr dazu.", "No " * 40))
        self.assertTrue(plausible("Ein Hund.", "A dog."))

    def test_names_stay_as_they_are(self):
        self.assertEqual(self.choose("Er spürte Horatio.", "He felt Horatio."), "He felt Horatio.")

    def test_every_word_of_a_longer_translation_counts(self):
        glass, whole = "He felt the glass.", "He felt the magnifying glass."
        self.assertEqual(self.choose("Er spürte die Lupe.", glass, whole), whole)


if __name__ == "__main__":
    unittest.main()
