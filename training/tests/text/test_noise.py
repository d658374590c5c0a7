"""Noise changes the source as it says, the translation only where it must, and is the same for the same seed."""

import random
import unittest

from training.data import noise

PAIR = (
    "Am Samstag, glaube ich, ist die große Küche geöffnet.",
    "On Saturday, I think, the big kitchen is open.",
)


class NoiseTest(unittest.TestCase):
    def spoilt(self, kind, pair=PAIR, seed=1):
        return kind(*pair, random.Random(seed))

    def test_a_line_in_capitals_has_a_translation_in_capitals(self):
        german, english = self.spoilt(noise.capitals)
        self.assertEqual(german, "AM SAMSTAG, GLAUBE ICH, IST DIE GROSSE KÜCHE GEÖFFNET.")
        self.assertEqual(english, "ON SATURDAY, I THINK, THE BIG KITCHEN IS OPEN.")

    def test_what_people_leave_out_when_typing_is_in_the_translation(self):
        changed = {
            noise.lower_case: "am samstag, glaube ich, ist die große küche geöffnet.",
            noise.umlauts_as_two_letters: "Am Samstag, glaube ich, ist die grosse Kueche geoeffnet.",
            noise.umlauts_without_dots: "Am Samstag, glaube ich, ist die große Kuche geoffnet.",
            noise.sharp_s_as_two_letters: "Am Samstag, glaube ich, ist die grosse Küche geöffnet.",
            noise.no_commas: "Am Samstag glaube ich ist die große Küche geöffnet.",
        }
        for kind, german in changed.items():
            with self.subTest(kind.__name__):
                self.assertEqual(self.spoilt(kind), (german, PAIR[1]))

    def test_a_decimal_comma_stays(self):
        self.assertEqual(
            self.spoilt(noise.no_commas, ("Es sind 3,5 km.", ""))[0], "Es sind 3,5 km."
        )

    def test_a_missing_full_stop_is_missing_on_both_sides_and_a_question_stays_one(self):
        self.assertEqual(self.spoilt(noise.no_full_stop, ("Gut.", "Fine.")), ("Gut", "Fine"))
        self.assertEqual(self.spoilt(noise.no_full_stop, ("Gut?", "Fine?")), ("Gut", "Fine?"))

    def test_soft_hyphens_are_the_only_change_inside_long_words(self):
        german, english = self.spoilt(noise.soft_hyphens)
        self.assertIn(noise.SOFT_HYPHEN, german)
        self.assertEqual((german.replace(noise.SOFT_HYPHEN, ""), english), PAIR)

    def test_marks_stand_on_both_sides(self):
        for seed in range(40):
            german, english = self.spoilt(noise.with_emoji, seed=seed)
            self.assertEqual(german[len(PAIR[0]) :], english[len(PAIR[1]) :])
            german, english = self.spoilt(noise.with_start, seed=seed)
            self.assertEqual(german[: -len(PAIR[0])], english[: -len(PAIR[1])])
            german, english = self.spoilt(noise.between_marks, seed=seed)
            self.assertTrue(PAIR[0] in german and PAIR[1] in english)

    def test_every_kind_takes_lines_with_nothing_to_spoil(self):
        for kind in noise.KINDS:
            for pair in (("", ""), ("a", "b"), ("12", "12"), ("Straßen", "streets")):
                self.spoilt(kind, pair)

    def test_a_seed_gives_the_same_noise_again(self):
        once, again = (
            [noise.spoil(*PAIR, order) for _ in range(50)] for order in map(random.Random, (7, 7))
        )
        self.assertEqual(once, again)
        self.assertGreater(len(set(once)), 10)


if __name__ == "__main__":
    unittest.main()
