"""CoVoST becomes a training source, without the quotes of its files and without held-out sentences."""

import tempfile
import unittest
from pathlib import Path

from training.data import covost
from training.data.pair import Pair


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


class Covost(unittest.TestCase):
    def test_a_quoted_pair_stays_and_a_held_out_sentence_goes(self):
        with tempfile.TemporaryDirectory() as directory:
            run, path = Path(directory) / "run", Path(directory) / "covost_v2.de_en.dev.tsv"
            for name in Pair.german_english().held_out:
                write(run / "data" / f"{name}.de", "Wie alt bist du?")
                write(run / "data" / f"{name}.en", "How old are you?")
            quoted = 'a.mp3\t"Er rief: ""Halt!"""\t"He cried: ""Stop!"""'
            write(
                path,
                "path\tsentence\ttranslation",
                quoted,
                "b.mp3\tWie alt bist du\tWhat is your age?",
            )
            covost.prepare([path], run)
            written = (run / "data" / "covost.tsv").read_text(encoding="utf-8")
            self.assertEqual(written, 'Er rief: "Halt!"\tHe cried: "Stop!"\n')


if __name__ == "__main__":
    unittest.main()
