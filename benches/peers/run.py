#!/usr/bin/env python3
"""Measures `translate` side by side with CTranslate2, PyTorch and ONNX Runtime and writes docs/performance.md with its charts.

    python3 -m venv .peers
    .peers/bin/pip install ctranslate2 transformers sentencepiece safetensors torch numpy
    cargo build --release
    .peers/bin/python benches/peers/run.py --tokenizer OPUS-MT-ZH-EN --t5-tokenizer T5-SMALL --lines LINES.zh --text TEST2016.de \\
        --mixed NEWS.de CAPTIONS.de EVERYDAY.de

OPUS-MT-ZH-EN and T5-SMALL are directories of published models (the weights are not needed), LINES.zh 512 lines in the source
language of the first, TEST2016.de a test set in the built-in models' source language (1,000 lines are used), NEWS.de and so on others,
mixed into one file. Any of them may end in .gz. Everything large goes to --work. Close other work first. `--only NAME …` measures some
rows again and keeps the others; rows.py has the names. Rows whose files are not named are left out, with a message.

ONNX Runtime's rows need an environment of their own, because Optimum wants older transformers: `pip install optimum-onnx onnxruntime torch
sentencepiece` there, and `--onnx-python PYTHON` here.
"""

import argparse
import datetime
import gzip
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import rows
from rows import Row, Series

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
# Share of the machine that other work may take during a measurement.
MOST_FOREIGN = 0.05
# Runs of ours for each of the peer's, where they take milliseconds.
STARTS = 3


def busy_seconds() -> float:
    """Processor time of everything on this machine since it started, time taken away by a hypervisor included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A measured program failed; its last words."""


def first_line(process: subprocess.Popen, text: str) -> None:
    """Gives a program one line, waits for its first of output, and lets it end."""
    process.stdin.write(text)
    process.stdin.flush()
    process.stdout.readline()


def measured(command: list[str], options: list[str], attempts: int, kind: str = "bench", text: str = "") -> dict:
    """The JSON object a measurement prints, or time and memory of a whole program. `options` may hold variables of the environment.

    Waits for a quiet machine, and measures again if it was not quiet.
    """
    environment, options = rows.variables(options)
    best = None
    for _ in range(attempts):
        for _ in range(60 if attempts > 1 else 0):
            busy, start = busy_seconds(), time.perf_counter()
            time.sleep(0.5)
            if (busy_seconds() - busy) / (time.perf_counter() - start) / os.cpu_count() < MOST_FOREIGN:
                break
        errors = tempfile.TemporaryFile("w+")
        busy, start = busy_seconds(), time.perf_counter()
        process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE if kind == "start" else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if kind == "whole" else subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | environment,
        )
        run = {}
        if kind == "start":
            first_line(process, text)
            run["seconds"] = time.perf_counter() - start
            process.stdin.close()
            process.stdout.close()
        elif kind == "bench":
            output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - start
        if status != 0:
            errors.seek(0)
            words = [line for line in errors.read().splitlines() if line.strip()]
            raise Failed(words[0 if words[0].startswith("error") else -1] if words else f"exit status {process.returncode}")
        if kind == "bench":
            run = json.loads(output.splitlines()[-1])
        else:
            run = dict(seconds=elapsed, peak_mb=usage.ru_maxrss / 1024) | run
        foreign = (busy_seconds() - busy - usage.ru_utime - usage.ru_stime) / (elapsed * os.cpu_count())
        run["foreign"] = round(foreign, 3)
        if best is None or foreign < best["foreign"]:
            best = run
        if foreign < MOST_FOREIGN:
            break
    return best


def read_lines(path: Path) -> list[str]:
    """The lines of a file that are not blank; it may end in .gz."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf8") as file:
        return [line for line in file.read().splitlines() if line.strip()]


def evenly(lines: list[str], count: int) -> list[str]:
    """At most `count` lines, from all over."""
    return [lines[i * len(lines) // count] for i in range(count)] if len(lines) > count else lines


class Bench:
    """The files and programs of a session, and what was measured."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.work: Path = arguments.work
        self.translate = str(arguments.translate.resolve())
        self.work.mkdir(parents=True, exist_ok=True)
        self.results_file = self.work / "results.json"
        found = json.loads(self.results_file.read_text()) if self.results_file.exists() else {}
        if found and "rows" not in found:
            self.results_file.rename(self.work / "results-of-an-older-form.json")
            found = {}
        self.results = {"rows": {}, "settings": {}} | found
        self.deadline = time.monotonic() + arguments.budget * 60 if arguments.budget else None
        self.rounds = arguments.rounds

    def spent(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    # Files.

    def missing(self, row: Row | Series) -> str | None:
        """What a row needs and was not named."""
        model = getattr(row, "model", "marian")
        if model == "t5" and not self.arguments.t5_tokenizer:
            return "--t5-tokenizer was not given"
        if getattr(row, "engine", "") == "onnx-marian" and not self.arguments.onnx_python:
            return "--onnx-python was not given"
        if getattr(row, "lines", "") == "mixed" and not self.arguments.mixed:
            return "--mixed was not given"
        return None

    def prepare(self, chosen: list) -> None:
        """Models, the peers' copies of them, and lines; what is there already is kept, except small copies."""
        import models

        def once(name, make):
            if not (self.work / name).exists():
                partial = self.work / f"{name}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                make(partial)
                partial.rename(self.work / name)

        def ours_int8(model: str, again: bool) -> None:
            """Ours in int8 is a converted directory, as theirs is."""
            name = f"{model}-ours-int8"
            if again:
                shutil.rmtree(self.work / name, ignore_errors=True)
            convert = [self.translate, "convert", "--dtype", "int8", str(self.work / model)]
            once(name, lambda out: subprocess.run([*convert, str(out)], check=True))

        needed = {getattr(row, "model", "marian") for row in chosen}
        for model, make in (
            ("marian", lambda out: models.marian(self.arguments.tokenizer, out)),
            ("gru", lambda out: models.gru(REPOSITORY / "vocab", out)),
            ("luong", models.luong),
            ("nllb", lambda out: subprocess.run([sys.executable, str(HERE / "make_nllb_sized.py"), str(out)], check=True)),
            ("t5", lambda out: models.t5_small(self.arguments.t5_tokenizer, out)),
        ):
            if model in needed:
                once(model, make)
                if model in ("marian", "nllb", "t5"):
                    ours_int8(model, again=model != "nllb")
                    for quantization in ("float32", "int8"):
                        once(f"{model}-{quantization}", lambda out: models.convert(self.work / model, out, quantization))
        if "builtin" in needed:
            models.builtin(REPOSITORY / "models" / "transformer", self.work / "builtin")
            for quantization in ("float32", "int8"):
                models.convert(self.work / "builtin", self.work / f"builtin-{quantization}", quantization)
        if any(getattr(row, "engine", "") == "onnx-marian" for row in chosen):
            make_onnx = [self.arguments.onnx_python, str(HERE / "make_onnx.py"), str(self.work / "marian")]
            for precision in ("float32", "int8"):
                once(f"marian-onnx-{precision}", lambda out: subprocess.run([*make_onnx, str(out), precision], check=True))
        self.prepare_lines(needed)

    def prepare_lines(self, needed: set[str]) -> None:
        """Lines to translate, and pieces where the peer reads pieces itself."""
        import sentencepiece

        part = self.arguments.sentences / 512
        share = lambda count: max(8, int(count * part))
        text = read_lines(self.arguments.text)[: share(1000)]
        marian = evenly(read_lines(self.arguments.lines), share(512))
        # Fewer lines where one sentence at a time would take minutes.
        files = {"text": text, "text-512": text[: share(512)], "text-256": text[: share(256)], "marian": marian}
        files |= {f"marian-{name}": evenly(marian, share(count)) for name, count in (("half", 256), ("some", 128), ("few", 64))}
        files["text-few"] = evenly(text[: share(512)], share(64))
        files["text-100000"] = (text * (100_000 // len(text) + 1))[: share(100_000)]
        for model, counts in (("luong", (512, 64)), ("nllb", (64, 32))):
            if model in needed:
                made = read_lines(self.work / model / "lines.txt")
                files |= {f"{model}-{count}": made[: share(count)] for count in counts}
        if self.arguments.mixed:
            mixed = sum((evenly(read_lines(file), share(1000)) for file in self.arguments.mixed), [])
            random.Random(0).shuffle(mixed)
            files["mixed"] = mixed
        files |= {"start-builtin": ["Ein Hund rennt durch den Schnee."], "start-marian": marian[:1]}
        for name, lines in files.items():
            (self.work / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf8")
        for name, model in (("mixed", "builtin"), ("start-builtin", "builtin"), ("start-marian", "marian")):
            if name in files and model in needed:
                processor = sentencepiece.SentencePieceProcessor(model_file=str(self.work / model / "source.spm"))
                vocabulary = json.loads((self.work / model / "vocab.json").read_text(encoding="utf8"))
                cut = lambda line: [p if p in vocabulary else "<unk>" for p in processor.encode(line.strip(), out_type=str)]
                pieces = "".join(" ".join([*cut(line), "</s>"]) + "\n" for line in files[name])
                (self.work / f"{name}.pieces").write_text(pieces, encoding="utf8")

    # One run of each side.

    def lines(self, row: Row) -> str:
        return str(self.work / f"{row.lines}.txt")

    def our_command(self, row: Row) -> list[str]:
        # The built-in Transformer as it is shipped.
        model = "transformer" if row.model == "builtin" else str(self.work / (row.directory or row.model))
        return [self.translate, *(["bench"] if row.kind == "bench" else []), "--model", model]

    def ours(self, row: Row) -> dict:
        options, attempts = list(row.ours), self.arguments.attempts
        if row.kind == "start":
            text = Path(self.lines(row)).read_text(encoding="utf8")
            runs = [measured(self.our_command(row), options, attempts, "start", text) for _ in range(STARTS)]
            return sorted(runs, key=lambda run: run["seconds"])[STARTS // 2] | dict(sentences=1)
        run = measured(self.our_command(row), [*options, self.lines(row)], attempts, row.kind)
        return run | (dict(sentences=len(read_lines(Path(self.lines(row))))) if row.kind == "whole" else {})

    def theirs(self, row: Row, setting: list[str]) -> dict:
        python = self.arguments.onnx_python if row.engine == "onnx-marian" else sys.executable
        lines = self.lines(row) if row.kind == "bench" else str(self.work / f"{row.lines}.pieces")
        command = [python, str(HERE / "engines.py"), row.engine, "--model", str(self.work / row.theirs_directory)]
        command += ["--pieces", str(self.work / row.model), "--lines", lines]
        return measured(command, row.theirs + setting, self.arguments.attempts)

    def refusal(self, row: Row) -> str | None:
        """Why the program here cannot measure a row, found with one line."""
        if not (row.optional or row.kernels):
            return None
        line = self.work / "one-line.txt"
        line.write_text(read_lines(Path(self.lines(row)))[0] + "\n", encoding="utf8")
        try:
            run = measured(self.our_command(row), [*row.ours, str(line)], 1)
        except Failed as failed:
            return f"the program refuses it: {failed}"
        if row.kernels and run["kernels"] != row.kernels:
            forced = next(option for option in row.ours if option.startswith("TRANSLATE_ISA"))
            return f"with {forced} the program still uses {run['kernels']}"
        return None

    def setting(self, row: Row) -> list[str]:
        """The peer's best setting, found once by a trial and remembered."""
        known = self.results["settings"].get(row.name)
        if known and known["choices"] == row.choices and not self.arguments.settings_again:
            return known["best"]
        speed = lambda setting: 1 / self.theirs(row, setting)["seconds"]
        best, tried = rows.best_choice(row.choices, speed)
        self.results["settings"][row.name] = dict(choices=row.choices, best=best, tried=tried, date=today())
        return best

    # Rows.

    def about(self, engine: str) -> dict:
        """When, where and with which versions something is measured."""
        processor = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "an unknown processor")
        names = {"ctranslate2": ["ctranslate2"], "onnx-marian": ["onnxruntime", "optimum-onnx", "transformers"]}.get(engine, ["torch"])
        names += ["transformers"] if engine == "pytorch-marian" else []
        python = self.arguments.onnx_python if engine == "onnx-marian" else sys.executable
        script = "import importlib.metadata as m, sys; print(' '.join(m.version(name) for name in sys.argv[1:]))"
        found = subprocess.run([python, "-c", script, *names], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        version = subprocess.run([self.translate, "-V"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]
        return dict(
            date=today(),
            machine=f"{os.cpu_count()} cores of an {processor}",
            versions={"translate": version} | dict(zip(names, found)),
        )

    def measure(self, row: Row) -> dict:
        """The two sides in turn; sentences a second, since the two count tokens apart."""
        setting = self.setting(row)
        began, pairs = time.monotonic(), []
        while len(pairs) < self.rounds and not (pairs and self.spent()):
            pairs.append((self.ours(row), self.theirs(row, setting)))
        speed = lambda run: run["sentences"] / run["seconds"]
        length = statistics.median([ours.get("tokens", 0) / ours["sentences"] for ours, _ in pairs]) or 1
        ratios = [speed(ours) / speed(theirs) for ours, theirs in pairs]
        result = dict(
            ours=statistics.median([speed(ours) for ours, _ in pairs]) * length,
            theirs=statistics.median([speed(theirs) for _, theirs in pairs]) * length,
            ratio=statistics.median(ratios),
            spread=[min(ratios), max(ratios)],
            memory=[statistics.median([side["peak_mb"] for side in sides]) for sides in zip(*pairs)],
            setting=setting,
            kernels=pairs[0][0].get("kernels") or self.kernels(),
            foreign=max(side["foreign"] for sides in pairs for side in sides),
            rounds=len(pairs),
            cost=round((time.monotonic() - began) / len(pairs), 1),
        )
        if row.kind == "start":
            result |= {side: 1000 * statistics.median([p[i]["seconds"] for p in pairs]) for i, side in enumerate(("ours", "theirs"))}
        return result | self.about(row.engine)

    def kernels(self) -> str:
        """What `translate --version` names."""
        lines = subprocess.run([self.translate, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        found = next((line for line in lines if line.startswith("kernels in use: ")), ": ?")
        return found.split(": ")[1].split(" (")[0]

    def series(self, series: Series) -> dict:
        """Ours and CTranslate2's throughput and memory at each value, value by value, so that the sides stand beside each other."""
        began, points = time.monotonic(), {}
        lines = {name: read_lines(self.work / f"{name}.txt") for name in ("marian", "marian-few", "marian-some")}
        for value in series.values:
            batch, beam = (series.batch, value) if series.option == "beam" else (value, 1)
            # Two batches for each worker where that can be, and not minutes for small ones.
            name = "marian-few" if beam > 2 or batch < 8 else "marian-some" if batch < 64 or beam > 1 else "marian"
            for precision, theirs_precision in rows.SERIES_PRECISIONS.items():
                settings = self.results["settings"]
                known = settings.get(f"marian-{precision}-{'beam' if beam > 1 else 'greedy' if batch > 1 else 'single'}", {})
                row = rows.marian(precision, beam, batch, precision, "", 0, 0)
                row.lines = name
                sides = {f"translate {precision}": lambda: self.ours(row)}
                if theirs_precision:
                    setting = known.get("best", rows.TOGETHER)
                    sides[f"CTranslate2 {precision}"] = lambda: self.theirs(row, setting)
                for side, run in sides.items():
                    if self.spent():
                        break
                    try:
                        runs = [run() for _ in range(self.arguments.series_rounds)]
                    except Failed as failed:
                        # A precision this program does not have; anything else is a fault.
                        if precision != "int16":
                            raise
                        if value == series.values[0]:
                            print(f"{series.name}: no int16 here: {failed}", file=sys.stderr)
                        continue
                    tokens = statistics.median([len(lines[name]) * 32 / r["seconds"] for r in runs])
                    points.setdefault(side, []).append([value, round(tokens, 1), statistics.median([r["peak_mb"] for r in runs])])
        result = dict(points=points, rounds=self.arguments.series_rounds, kernels=self.kernels())
        return result | dict(cost=round(time.monotonic() - began, 1)) | self.about("ctranslate2")

    def flat_cost(self) -> dict:
        """Cost and memory of 1,000 and of 100,000 lines with the built-in model, a whole program each."""
        began, found = time.monotonic(), []
        for name in ("text", "text-100000"):
            options = ["--precision", "int8", "--beam-size", "1", str(self.work / f"{name}.txt")]
            command = [self.translate, "--model", "transformer"]
            runs = [measured(command, options, self.arguments.attempts, "whole") for _ in range(3 if name == "text" else 1)]
            count = len(read_lines(self.work / f"{name}.txt"))
            found.append([count, *(statistics.median([run[key] for run in runs]) for key in ("seconds", "peak_mb"))])
        result = dict(lines=found, kernels=self.kernels(), cost=round(time.monotonic() - began, 1))
        return result | self.about("ctranslate2")

    def run(self) -> None:
        """Measures what was chosen, the important first."""
        every = [(row.importance, row.name, row) for row in [*rows.every(), *rows.SERIES]] + [(3, "flat-cost", None)]
        only = self.arguments.only
        chosen = [(i, n, row) for i, n, row in every if only is None or any(n.startswith(name) for name in only)]
        for _, name, row in chosen:
            if row and (reason := self.missing(row)):
                print(f"{name}: left out, {reason}", file=sys.stderr)
        chosen = sorted(((i, n, row) for i, n, row in chosen if not (row and self.missing(row))), key=lambda c: c[0])
        if not chosen:
            raise SystemExit("no row has such a name; rows.py lists them")
        # Apart, because the peak memory of a program begins with that of the process that starts it, and this needs PyTorch.
        wanted = [row or rows.Row("", "", "", "", "", "builtin", "", [], [], []) for _, _, row in chosen]
        preparation = multiprocessing.get_context("fork").Process(target=self.prepare, args=(wanted,))
        preparation.start()
        preparation.join()
        if preparation.exitcode != 0:
            raise SystemExit("preparing the models failed")
        if self.deadline:
            costs = [self.results["rows"].get(n, {}).get("cost", 25) for _, n, row in chosen if isinstance(row, Row)]
            fixed = sum(self.results["rows"].get(n, {}).get("cost", 300) for _, n, row in chosen if not isinstance(row, Row))
            # A trial for each row whose setting is not known yet.
            fixed += sum(15 * len(row.choices) for _, n, row in chosen if isinstance(row, Row) and n not in self.results["settings"])
            self.rounds = rows.rounds_that_fit(costs, self.deadline - time.monotonic() - fixed, self.arguments.rounds)
            print(f"{self.rounds} rounds", file=sys.stderr)
        for _, name, row in chosen:
            if self.spent():
                print(f"{name}: the time is spent, not measured now", file=sys.stderr)
                continue
            reason = self.refusal(row) if isinstance(row, Row) else None
            if reason:
                print(f"{name}: skipped, {reason}", file=sys.stderr)
                self.results["rows"].setdefault(name, dict(skipped=reason))
            else:
                measure = self.measure if isinstance(row, Row) else self.series if row else lambda _: self.flat_cost()
                try:
                    self.results["rows"][name] = measure(row)
                except Failed as failed:
                    print(f"{name}: failed, {failed}", file=sys.stderr)
                    self.results["rows"].setdefault(name, dict(skipped=f"it failed: {failed}"))
            self.results_file.write_text(json.dumps(self.results, indent=1) + "\n")
            print(name, report.summary(self.results["rows"][name]), file=sys.stderr, flush=True)


def today() -> str:
    return datetime.date.today().isoformat()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--translate", type=Path, default=REPOSITORY / "target" / "release" / "translate")
    p.add_argument("--tokenizer", type=Path, required=True, help="directory of a published Marian model")
    p.add_argument("--t5-tokenizer", type=Path, help="directory of a published T5, for the rows of its size")
    p.add_argument("--lines", type=Path, required=True, help="lines in the source language of that model")
    p.add_argument("--text", type=Path, required=True, help="test set in the built-in model's source language")
    p.add_argument("--mixed", type=Path, nargs="+", help="files of that language, 1,000 lines of each mixed in a fixed random order")
    p.add_argument("--onnx-python", help="a Python with optimum-onnx and onnxruntime, for the rows of ONNX Runtime")
    p.add_argument("--work", type=Path, default=REPOSITORY / "target" / "peers", help="models, lines and results.json")
    p.add_argument("--docs", type=Path, default=REPOSITORY / "docs", help="where performance.md and performance/ are")
    p.add_argument("--rounds", type=int, default=5, help="runs of each side, in turn")
    p.add_argument("--series-rounds", type=int, default=1, help="the same for each point of the charts")
    p.add_argument("--budget", type=float, help="minutes: fewer rounds (at least three), and the important rows first, until they are spent")
    p.add_argument("--settings-again", action="store_true", help="look for the peers' best settings again")
    p.add_argument("--sentences", type=int, default=512, help="of the fixed-length rows in batches; the other files shrink with it")
    p.add_argument("--attempts", type=int, default=6, help="measurements of each run until one was not disturbed; 1: do not wait")
    p.add_argument("--only", nargs="*", help="names of rows, or their beginnings")
    p.add_argument("--dry-run", action="store_true", help="write the page from earlier results")
    arguments = p.parse_args()
    bench = Bench(arguments)
    if not arguments.dry_run:
        bench.run()
    report.write(bench.results, arguments.docs)


if __name__ == "__main__":
    main()
