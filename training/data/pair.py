"""The language pair of a run and its texts: `RUN/pair.json`, which `corpus` writes and everything else reads.

`de-en.toml` describes the German-English corpora. Of another pair all files are taken as their names say. Rules that
belong to one language are kept to it: `skips` says in one line what is left out.
"""

import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path

GERMAN_ENGLISH = Path(__file__).with_name("de-en.toml")
DEVELOPMENT, TEST, MONOLINGUAL = "-dev", "-test", "-mono"


@dataclass(frozen=True)
class Source:
    """A training source: how often each of its pairs is drawn per epoch, and what is done to it."""

    weight: float = 1.0
    tokenised: bool = False
    unequal: bool = False


@dataclass(frozen=True)
class Pair:
    source: str
    target: str
    training: dict = field(default_factory=dict)
    development: list = field(default_factory=list)
    test: list = field(default_factory=list)
    monolingual: list = field(default_factory=list)

    @classmethod
    def of_table(cls, table):
        """From the keys of a TOML or JSON file. A training source is a weight or the fields of `Source`."""
        training = {
            name: Source(**entry) if isinstance(entry, dict) else Source(entry)
            for name, entry in table["training"].items()
        }
        return cls(**{**table, "training": training})

    @classmethod
    def german_english(cls):
        return cls.of_table(tomllib.loads(GERMAN_ENGLISH.read_text(encoding="utf-8")))

    @classmethod
    def found_in(cls, corpora, source, target):
        """The pair whose texts are the files NAME.SOURCE.gz and NAME.TARGET.gz: NAME-dev, NAME-test, NAME-mono, others."""
        names = [
            path.name.removesuffix(f".{source}.gz")
            for path in sorted(corpora.glob(f"*.{source}.gz"))
        ]
        names = [name for name in names if (corpora / f"{name}.{target}.gz").exists()]
        special = (DEVELOPMENT, TEST, MONOLINGUAL)
        training = {name: Source() for name in names if not name.endswith(special)}
        if not training:
            raise SystemExit(f"{corpora}: no NAME.{source}.gz with a NAME.{target}.gz to train on")
        held = ([name for name in names if name.endswith(ending)] for ending in special)
        return cls(source, target, training, *held)

    @classmethod
    def of(cls, run):
        """The pair of a run. One that was prepared before there was a choice is German-English."""
        path = Path(run) / "pair.json"
        if not path.exists():
            return cls.german_english()
        return cls.of_table(json.loads(path.read_text(encoding="utf-8")))

    def save(self, run):
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (run / "pair.json").write_text(text + "\n", encoding="utf-8")

    @property
    def weights(self):
        return {name: source.weight for name, source in self.training.items()}

    @property
    def held_out(self):
        """The sets that are never trained on."""
        return self.development + self.test

    def among(self, names):
        """Those of `names` that are training sources of this pair; where none is, all training sources."""
        return [name for name in names if name in self.training] or list(self.training)

    def skips(self, what, source="de", target="en"):
        """Whether `what`, which is made for one pair, is not for this one; says so. Without `target`: for one source."""
        if self.source == source and target in (None, self.target):
            return False
        made_for = source if target is None else f"{source}-{target}"
        print(
            f"{what}: skipped, made for {made_for} and not for {self.source}-{self.target}",
            flush=True,
        )
        return True
