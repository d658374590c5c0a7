"""More everyday sentences, from CoVoST 2: what people read out for Common Voice, and its translations.

    python -m training covost LIST.tsv... RUN_DIRECTORY

The lists `covost_v2.de_en.*.tsv` have the columns `sentence` and `translation` (CC0; Wang, Wu and Pino,
2020; HISTORY.md names where ours come from; of another pair, its own lists). Written to RUN_DIRECTORY/data/covost.tsv without any
sentence of the development and test sets.
"""

import argparse
import csv
from pathlib import Path

from .corpus import held_out_sentences, keep, normalised


def prepare(lists, run):
    held_out = held_out_sentences(run)
    kept, total = {}, 0
    for path in lists:
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                pair = [" ".join(row[column].split()) for column in ("sentence", "translation")]
                total += 1
                # Translators marked what should not stay: `[TO REMOVE]`.
                if "[" in pair[1] or not keep(*pair):
                    continue
                if not held_out & set(map(normalised, pair)):
                    kept["\t".join(pair) + "\n"] = None
    (run / "data" / "covost.tsv").write_text("".join(kept), encoding="utf-8")
    print(f"covost: kept {len(kept)} of {total} pairs")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lists", type=Path, nargs="+", help="covost_v2.*.tsv")
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    options = parser.parse_args()
    prepare(options.lists, options.run)


if __name__ == "__main__":
    main()
