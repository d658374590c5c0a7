"""The rows of docs/performance.md: what each measures, the options of both sides, and the ratios to reach.

An option `NAME=VALUE` is a variable of the environment. The peer's options end with the best of its `choices`, which a trial finds.
"""

import os
from dataclasses import dataclass
from pathlib import Path

CORES = str(os.cpu_count())
WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "transformer" / "model.safetensors"

# Our peak memory by the peer's: at most, and what is aimed at. It counts for every row with goals.
MEMORY_GOAL = (0.6, 0.35)

# What TRANSLATE_ISA is for a row, by the name that `translate bench` prints for the kernels in use.
FORCED = {"AVX2": "avx2", "AVX-512 VNNI": "avx512-vnni"}
# The peers' own variables with the same effect: CTranslate2's, MKL's and oneDNN's.
LIMITED = {
    "AVX2": ["CT2_FORCE_CPU_ISA=AVX2", "MKL_ENABLE_INSTRUCTIONS=AVX2", "ONEDNN_MAX_CPU_ISA=AVX2"],
    "AVX-512 VNNI": ["MKL_ENABLE_INSTRUCTIONS=AVX512_E1", "ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI"],
}

TOGETHER, ALONE = ["--inter", CORES, "--intra", "1"], ["--inter", "1", "--intra", CORES]
THREADS = [TOGETHER, ALONE] if CORES != "1" else [TOGETHER]
# CTranslate2 chooses AVX2 for its own kernels on some processors that have AVX-512, so both are tried.
INSTRUCTIONS = [[], ["CT2_FORCE_CPU_ISA=AVX512"]]
BATCHES = [["--batch", str(count)] for count in (64, 32, 128)]
BATCHES += [["--batch", str(count), "--batch-type", "tokens"] for count in (1024, 2048, 4096)]

FIXED = ["--fixed-length", "32"]


@dataclass
class Row:
    """A case measured on both sides in turn.

    kind: `bench` (loading is not part of the time), `whole` (a whole program on a file) or `start` (until the first translation).
    must, aim: ratios; of `start`, milliseconds of ours; None where nothing is asked.
    importance: 1 first. kernels: those `translate` must use, forced. optional: the program may refuse our options.
    """

    name: str
    section: str
    case: str
    peer: str
    engine: str
    model: str
    lines: str
    ours: list[str]
    theirs: list[str]
    choices: list[list[list[str]]]
    must: float | None = None
    aim: float | None = None
    importance: int = 2
    kind: str = "bench"
    kernels: str | None = None
    optional: bool = False
    # Which of our copies of the model is read, where it is not `model` itself.
    directory: str | None = None
    # Which of the peer's.
    theirs_directory: str | None = None


@dataclass
class Series:
    """Throughput and memory of both sides against one option, on the OPUS-MT-sized model."""

    name: str
    case: str
    option: str
    values: list[int]
    # The batch where `option` is the beam.
    batch: int | None = None
    importance: int = 2


SERIES = [
    Series("series-batch", "greedy, by sentences in a batch", "batch", [1, 2, 4, 8, 16, 32, 64, 128]),
    Series("series-beam", "batches of 32, by beam size", "beam", [1, 2, 3, 4, 6, 8, 12], batch=32),
]
SERIES_PRECISIONS = {"f32": "float32", "int8": "int8", "int16": None}


def search(beam: int, batch: int) -> tuple[list[str], list[str]]:
    """Options of a search, ours and the peer's."""
    return ["--beam-size", str(beam), "--batch-size", str(batch)], ["--beam", str(beam), "--batch", str(batch)]


def compute(precision: str) -> str:
    """CTranslate2's name for a precision."""
    return {"f32": "float32", "int8": "int8"}[precision]


def marian(precision: str, beam: int, batch: int, name: str, case: str, must: float, aim: float, **more) -> Row:
    """A row of the OPUS-MT-sized model against CTranslate2."""
    ours, theirs = search(beam, batch)
    kernels, peer_precision = more.get("kernels"), compute("f32" if precision == "int16" else precision)
    ours += FIXED + ["--precision", precision] + ([f"TRANSLATE_ISA={FORCED[kernels]}"] if kernels else [])
    theirs += FIXED + ["--compute", peer_precision] + (LIMITED[kernels] if kernels else [])
    return Row(
        name=f"marian-{name}",
        section="OPUS-MT size",
        case=f"{precision} {case}",
        peer=f"CTranslate2 {'f32' if peer_precision == 'float32' else peer_precision}",
        engine="ctranslate2",
        model="marian",
        directory="marian-ours-int8" if precision == "int8" else None,
        theirs_directory=f"marian-{peer_precision}",
        lines="marian-few" if batch == 1 else "marian" if beam == 1 else "marian-half",
        ours=ours,
        theirs=theirs,
        choices=[THREADS, [[]] if kernels == "AVX2" else INSTRUCTIONS],
        must=must,
        aim=aim,
        **{"importance": 1} | more,
    )


def every() -> list[Row]:
    """All rows, in the order of the page."""
    single = "one sentence at a time"
    table = [
        marian("int8", 1, 64, "int8-greedy", "greedy, batch 64", 2.6, 4),
        marian("int8", 4, 32, "int8-beam", "beam 4, batch 32", 4, 5.5),
        marian("int8", 1, 1, "int8-single", f"greedy, {single}", 3.3, 4.5),
        marian("f32", 1, 64, "f32-greedy", "greedy, batch 64", 1.8, 2.2),
        marian("f32", 4, 32, "f32-beam", "beam 4, batch 32", 1.4, 1.7),
        marian("f32", 1, 1, "f32-single", f"greedy, {single}", 3.1, 4),
        marian("int16", 1, 64, "int16-greedy", "greedy, batch 64", 3, 4, optional=True),
        marian("int8", 1, 64, "vnni-int8-greedy", "greedy, batch 64, VNNI without AMX", 2.2, 2.6, kernels="AVX-512 VNNI"),
        marian("int8", 1, 64, "avx2-int8-greedy", "greedy, batch 64, AVX2 alone", 1.3, 1.6, kernels="AVX2"),
        marian("f32", 1, 64, "avx2-f32-greedy", "greedy, batch 64, AVX2 alone", 1.3, 1.6, kernels="AVX2"),
    ]
    for name, case, engine, options, directory in (
        ("pytorch-f32", "PyTorch f32", "pytorch-marian", ["--compute", "float32"], "marian"),
        ("pytorch-bf16", "PyTorch bf16", "pytorch-marian", ["--compute", "bfloat16"], "marian"),
        ("onnx-f32", "ONNX Runtime f32", "onnx-marian", [], "marian-onnx-float32"),
        ("onnx-int8", "ONNX Runtime int8", "onnx-marian", [], "marian-onnx-int8"),
    ):
        precision = "int8" if name == "onnx-int8" else "f32"
        ours, theirs = search(1, 64)
        table.append(
            Row(
                name=f"other-{name}",
                section="OPUS-MT size, other engines",
                case=f"{precision} greedy, batch 64",
                peer=case,
                engine=engine,
                model="marian",
                directory="marian-ours-int8" if precision == "int8" else None,
                theirs_directory=directory,
                lines="marian-some",
                ours=ours + FIXED + ["--precision", precision],
                theirs=theirs + FIXED + options,
                choices=[THREADS],
                importance=3,
            )
        )
    for precision, batch, beam, name, case, must, aim, importance in (
        ("int8", 64, 1, "int8-greedy", "greedy, batch 64", 2.6, 4, 1),
        ("int8", 64, 5, "int8-beam", "beam 5, batch 64", 1.2, 2, 2),
        ("int8", 1, 1, "int8-single", f"greedy, {single}", 2.8, 4, 1),
        ("f32", 64, 1, "f32-greedy", "greedy, batch 64", 1.4, 1.8, 1),
        ("f32", 64, 5, "f32-beam", "beam 5, batch 64", 1.2, 2, 2),
        ("f32", 1, 1, "f32-single", f"greedy, {single}", 1.8, 2.5, 1),
    ):
        ours, theirs = search(beam, batch)
        table.append(
            Row(
                name=f"builtin-{name}",
                section="The built-in Transformer",
                case=f"{precision} {case}",
                peer=f"CTranslate2 {precision}",
                engine="ctranslate2",
                model="builtin",
                theirs_directory=f"builtin-{compute(precision)}",
                lines="text",
                ours=ours + ["--precision", precision],
                theirs=theirs + ["--compute", compute(precision)],
                choices=[THREADS, INSTRUCTIONS],
                must=must,
                aim=aim,
                importance=importance,
            )
        )
    for beam, name, must, aim in ((1, "greedy", 2.2, 3), (5, "beam", 2.6, 4)):
        table.append(
            Row(
                name=f"mixed-int8-{name}",
                section="A file of mixed lengths, whole program",
                case=f"int8 {'greedy' if beam == 1 else f'beam {beam}'}",
                peer="CTranslate2 int8",
                engine="ctranslate2",
                model="builtin",
                theirs_directory="builtin-int8",
                lines="mixed",
                ours=["--precision", "int8", "--beam-size", str(beam)],
                theirs=["--whole", "--beam", str(beam), "--compute", "int8"],
                choices=[BATCHES, THREADS, INSTRUCTIONS],
                must=must,
                aim=aim,
                importance=1,
                kind="whole",
            )
        )
    # 60 and 30 ms for weights of 19 MB, larger ones in proportion: the built-in model's as shipped, and those of OPUS-MT size.
    heavier = WEIGHTS.stat().st_size / 19e6
    for model, precision, ours, theirs, must, aim in (
        ("builtin", "int8", [], ["--beam", "5"], round(60 * heavier), round(30 * heavier)),
        ("builtin", "f32", [], ["--beam", "5"], None, None),
        ("marian", "int8", ["--beam-size", "1", "--max-length", "2"], ["--max-length", "2"], 240, 120),
        ("marian", "f32", ["--beam-size", "1", "--max-length", "2"], ["--max-length", "2"], None, None),
    ):
        table.append(
            Row(
                name=f"start-{model}-{precision}",
                section="Start to first translation",
                case=f"{'built-in Transformer' if model == 'builtin' else 'OPUS-MT size'}, {precision}",
                peer=f"CTranslate2 {precision}, without Python's start",
                engine="ctranslate2",
                model=model,
                directory="marian-ours-int8" if (model, precision) == ("marian", "int8") else None,
                theirs_directory=f"{model}-{compute(precision)}",
                lines=f"start-{model}",
                ours=ours + ["--precision", precision],
                theirs=["--whole", "--compute", compute(precision), *theirs],
                choices=[THREADS],
                must=must,
                aim=aim,
                importance=1 if model == "builtin" else 2,
                kind="start",
            )
        )
    for model, title, short, lines, few, goals in (
        ("gru", "Recurrent models", "GRU", "text-512", "text-few", ((1.5, 1.9), (7, 10), (2, 3))),
        ("luong", "Recurrent models", "LSTM with Luong's attention", "luong-512", "luong-64", ((1.5, 2), (4, 5), (3, 4))),
    ):
        for (name, precision, batch), (must, aim) in zip(
            (("f32-greedy", "f32", 64), ("int8-greedy", "int8", 64), ("f32-single", "f32", 1)), goals
        ):
            ours, theirs = search(1, batch)
            table.append(
                Row(
                    name=f"{model}-{name}",
                    section=title,
                    case=f"{short}, {precision} greedy, {single if batch == 1 else 'batch 64'}",
                    peer="PyTorch f32",
                    engine=f"pytorch-{model}",
                    model=model,
                    theirs_directory=model,
                    lines=few if batch == 1 else lines,
                    ours=ours + FIXED + ["--precision", precision],
                    theirs=theirs + FIXED,
                    choices=[THREADS],
                    must=must,
                    aim=aim,
                    importance=1 if (model, precision) == ("gru", "int8") else 3,
                )
            )
    for model, title, sizes in (
        ("nllb", "NLLB-200-600M's size", ((1, 32, "nllb-64"), (4, 16, "nllb-32"))),
        ("t5", "T5-small's size", ((1, 64, "text-512"), (4, 32, "text-256"))),
    ):
        for precision, must in (("int8", 1.5), ("f32", 1.3)):
            for beam, batch, lines in sizes:
                ours, theirs = search(beam, batch)
                table.append(
                    Row(
                        name=f"{model}-{precision}-{'greedy' if beam == 1 else 'beam'}",
                        section=title,
                        case=f"{precision} {'greedy' if beam == 1 else f'beam {beam}'}, batch {batch}",
                        peer=f"CTranslate2 {precision}",
                        engine="ctranslate2",
                        model=model,
                        directory=f"{model}-ours-int8" if precision == "int8" else None,
                        theirs_directory=f"{model}-{compute(precision)}",
                        lines=lines,
                        ours=ours + FIXED + ["--precision", precision],
                        theirs=theirs + FIXED + ["--compute", compute(precision)],
                        choices=[THREADS, INSTRUCTIONS],
                        must=must,
                        aim=2,
                        importance=3,
                    )
                )
    return table


def variables(options: list[str]) -> tuple[dict[str, str], list[str]]:
    """The variables of the environment among options, and the rest."""
    is_variable = lambda option: "=" in option and not option.startswith("-")
    return dict(o.split("=", 1) for o in options if is_variable(o)), [o for o in options if not is_variable(o)]


def best_choice(choices: list[list[list[str]]], speed) -> tuple[list[str], int]:
    """The options that `speed` likes best, one choice after the other while the rest stay as they are; and how many were tried."""
    chosen, best, tried = [choice[0] for choice in choices], None, 0
    for place, choice in enumerate(choices):
        for alternative in choice if len(choice) > 1 else []:
            if alternative == chosen[place] and best is not None:
                continue
            candidate = [*chosen[:place], alternative, *chosen[place + 1 :]]
            found, tried = speed(sum(candidate, [])), tried + 1
            if best is None or found > best:
                best, chosen = found, candidate
    return sum(chosen, []), tried


def rounds_that_fit(costs: list[float], seconds: float, most: int, least: int = 3) -> int:
    """Rounds of each row, `least` to `most`, so that rows of these costs a round take `seconds` together, if they can."""
    fit = int(seconds / sum(costs)) if costs else most
    return max(min(least, most), min(most, fit))
