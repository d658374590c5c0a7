"""Stand-ins for what the training toolkits import and a translation on the CPU never uses.

`absent(NAME, …)` makes packages importable that are not installed: everything in them is a `MagicMock`. `old_torchtext()` makes the
classes of torchtext 0.4 that OpenNMT-py 1 and 2 put into their checkpoints, under the names that a pickle has them by.
Within `old_dataclasses()`
classes of before Python 3.11 may have one another as defaults.
"""
import contextlib
import dataclasses
import functools
import importlib.abc
import importlib.machinery
import sys
import types
from collections import Counter, defaultdict
from unittest.mock import MagicMock


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of the given packages, and makes each a mock."""

    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name in self.packages or name.split(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__name__, module.__path__, module.__spec__, module.__version__ = spec.name, [], spec, "2.0.0"
        return module

    def exec_module(self, module):
        pass


def absent(*packages):
    sys.meta_path.insert(0, Absent(set(packages)))


@contextlib.contextmanager
def old_dataclasses():
    """For the imports within."""
    strict = dataclasses.dataclass

    def dataclass(of=None, **options):
        if of is None:
            return functools.partial(dataclass, **options)
        return strict(of, **options if options.get("frozen") else {"unsafe_hash": True, **options})

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = strict


class RawField:
    def __init__(self, preprocessing=None, postprocessing=None, is_target=False):
        self.preprocessing, self.postprocessing, self.is_target = preprocessing, postprocessing, is_target


class Field(RawField):
    vocab_cls = None

    def __init__(self, sequential=True, use_vocab=True, init_token=None, eos_token=None, pad_token="<pad>",
                 unk_token="<unk>", tokenize=None, include_lengths=False, dtype=None, **others):  # fmt: skip
        super().__init__(others.get("preprocessing"), others.get("postprocessing"))
        self.sequential, self.use_vocab, self.include_lengths, self.dtype = sequential, use_vocab, include_lengths, dtype
        self.init_token, self.eos_token, self.pad_token, self.unk_token = init_token, eos_token, pad_token, unk_token
        self.fix_length, self.lower, self.tokenizer_args, self.tokenize = None, False, (None, "en"), tokenize
        self.batch_first, self.pad_first, self.truncate_first, self.stop_words = False, False, False, None


class LabelField(Field):
    pass


class Vocab:
    def __init__(self, counts: Counter, specials=()):
        self.freqs = counts
        self.itos = list(specials) + [piece for piece, _ in counts.most_common()]
        self.stoi = defaultdict(lambda: 0, {piece: number for number, piece in enumerate(self.itos)})
        self.vectors = None

    def __len__(self):
        return len(self.itos)


def old_torchtext():
    mock = MagicMock()
    for name in ["torchtext", "torchtext.data", "torchtext.data.field", "torchtext.data.utils", "torchtext.vocab"]:
        module = types.ModuleType(name)
        module.__path__ = []
        module.__getattr__ = lambda attribute: mock if not attribute.startswith("__") else None
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    for kind in [RawField, Field, LabelField]:
        kind.__module__ = "torchtext.data.field"
        for name in ["torchtext.data", "torchtext.data.field"]:
            setattr(sys.modules[name], kind.__name__, kind)
    Vocab.__module__ = "torchtext.vocab"
    sys.modules["torchtext.vocab"].Vocab = Vocab
    # Classes that OpenNMT-py inherits from.
    for name in ["Dataset", "Iterator", "Batch", "Example"]:
        setattr(sys.modules["torchtext.data"], name, type(name, (), {}))


def new_vocabulary(pieces):
    """A vocabulary as torchtext pickles it since 0.12: a module around an object of C++ whose state is a tuple."""
    for name in ["torchtext", "torchtext._torchtext", "torchtext.vocab", "torchtext.vocab.vocab"]:
        sys.modules.setdefault(name, types.ModuleType(name))
    inner_class, outer_class = (sys.modules[name].__dict__.get("Vocab") for name in ["torchtext._torchtext", "torchtext.vocab.vocab"])
    if inner_class is None:
        inner_class = type("Vocab", (), {"__getstate__": lambda self: ("0.0.2", [], self.pieces, [])})
        outer_class = type("Vocab", (), {})
        for name, kind in [("torchtext._torchtext", inner_class), ("torchtext.vocab.vocab", outer_class)]:
            kind.__module__ = name
            sys.modules[name].Vocab = kind
    inner, outer = inner_class(), outer_class()
    inner.pieces = list(pieces)
    vars(outer).update(training=True, _parameters={}, _buffers={}, _modules={}, vocab=inner)
    return outer
