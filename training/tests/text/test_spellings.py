"""A list of usual spellings has words as they are mostly written, and not what is probably a mistake."""

import unittest
from collections import Counter

from training.data.spellings import choose, is_careless, key, usual


class SpellingsTest(unittest.TestCase):
    def test_careless_forms_of_a_word_have_its_key(self):
        for word, forms in {
            "für": ["fuer", "fur", "FÜR"],
            "Straße": ["strasse", "STRASSE"],
            "säen": ["saeen", "saen"],
            "Café": ["cafe"],
        }.items():
            for typed in forms:
                with self.subTest(typed):
                    self.assertEqual(key(typed), key(word))
                    self.assertTrue(is_careless(typed.lower(), word.lower()))
        self.assertFalse(is_careless("neue", "neu"))
        self.assertFalse(is_careless("schön", "schon"))

    def test_words_have_their_usual_case_and_mistakes_are_left_out(self):
        german = Counter({"für": 100, "fur": 1, "Haus": 50, "haus": 2, "schon": 90, "schön": 40})
        german.update({"Essen": 10, "essen": 10, "USA": 9, "the": 3, "Kyōto": 5})
        words = {word for word, _ in usual(german, Counter({"the": 500}))}
        self.assertEqual(words, {"für", "Haus", "schon", "schön", "essen", "USA"})

    def test_an_english_word_stays_if_another_could_be_meant_by_it(self):
        words = usual(Counter({"Bär": 10, "bar": 1}), Counter({"bar": 100}))
        self.assertEqual([word for word, _ in words], ["Bär", "bar"])

    def test_the_most_frequent_are_chosen_and_sorted(self):
        words = [("schon", 9), ("schön", 4), ("am", 2), ("selten", 1)]
        chosen = [word for word, _ in choose(words, 6 + 7 + 3)]
        self.assertEqual(chosen, ["am", "schon", "schön"])


if __name__ == "__main__":
    unittest.main()
