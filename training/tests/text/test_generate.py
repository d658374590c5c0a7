"""Made-up lessons: the digits of both sides agree, English signs are English, copies are copied."""

import random
import re
import unittest
from itertools import islice

from training.data import generate


def digits(text):
    return re.sub(r"\D", "", text)


class GenerateTest(unittest.TestCase):
    def test_every_number_keeps_its_digits(self):
        for german, english in islice(generate.numbers(random.Random(1)), 3000):
            with self.subTest(german):
                self.assertEqual(digits(german), digits(english))
                self.assertNotIn("X", german + english)

    def test_signs_of_numbers_follow_the_language(self):
        order = random.Random(2)
        for _ in range(500):
            german, english = generate.decimal(order)
            self.assertEqual(german.translate(str.maketrans(",.", ".,")), english)

    def test_half_an_hour_before_is_half_past_the_hour_before(self):
        pairs = {pair for pair in (generate.clock(random.Random(seed)) for seed in range(2000))}
        self.assertIn(("halb acht", "half past seven"), pairs)
        self.assertIn(("halb eins", "half past twelve"), pairs)
        self.assertIn(("Viertel vor neun", "a quarter to nine"), pairs)
        self.assertIn(("ein Uhr", "one o'clock"), pairs)
        self.assertNotIn(("eins Uhr", "one o'clock"), pairs)

    def test_ordinals_have_their_ending(self):
        pairs = dict(generate.ordinal(random.Random(seed)) for seed in range(3000))
        for german, english in {
            "1.": "1st",
            "2.": "2nd",
            "3.": "3rd",
            "11.": "11th",
            "22.": "22nd",
            "113.": "113th",
        }.items():
            self.assertEqual(pairs[german], english)

    def test_an_exchanged_number_is_exchanged_on_both_sides(self):
        pairs = [
            ("Er hat 15 Hunde.", "He has 15 dogs."),
            ("Er hat 2 Hunde und 4 Katzen.", "He has 2 dogs and 4 cats."),
            ("Um 14:30 Uhr", "At 2:30 p.m."),
        ]
        for german, english in islice(generate.exchanged(pairs, random.Random(3)), 50):
            self.assertTrue(german.startswith("Er hat ") and german.endswith(" Hunde."))
            self.assertEqual(digits(german), digits(english))

    def test_what_is_copied_stands_on_both_sides(self):
        order = random.Random(4)
        pairs = [("Das ist ein Hund.", "This is a dog.")]
        for (german, english), _ in zip(
            generate.copies(pairs, order, generate.lessons()), range(500)
        ):
            marks = set(re.findall(r"[^\s\w.,:;!?–…-]+", german))
            self.assertTrue(all(mark in english for mark in marks), (german, english))

    def test_other_languages_get_copies_in_sentences_of_the_corpora_alone(self):
        pairs = [("Xa lo mi pe 7.", "Ep im ol ax 7.")]
        for source, _ in islice(generate.copies(pairs, random.Random(4), {}), 100):
            self.assertIn("Xa lo mi pe 7.", source)
        changed = list(islice(generate.exchanged(pairs, random.Random(4), [generate.plain]), 100))
        self.assertTrue(all(digits(source) == digits(target) for source, target in changed))
        self.assertEqual(list(generate.exchanged([], random.Random(4))), [])

    def test_the_same_lines_come_every_time(self):
        once, again = (list(islice(generate.numbers(random.Random(5)), 20)) for _ in range(2))
        self.assertEqual(once, again)


if __name__ == "__main__":
    unittest.main()
