#!/usr/bin/env python3
"""Measures `translate` side by side with CTranslate2 and PyTorch and writes the table in ../README.md.

    python3 -m venv .peers
    .peers/bin/pip install ctranslate2 transformers sentencepiece safetensors torch numpy
    cargo build --release
    .peers/bin/python benches/peers/run.py --tokenizer OPUS-MT-ZH-EN --t5-tokenizer T5-SMALL --lines LINES.zh --text TEST2016.de

OPUS-MT-ZH-EN and T5-SMALL are directories of published models (the weights are not needed), LINES.zh 512 lines in the source
language of the first, TEST2016.de a test set in the built-in models' source language (1,000 lines are used). Everything large goes to
--work. Close other work first. `--only NAME` measures some rows again and keeps the others.
"""

import argparse
import datetime
import gzip
import importlib.metadata
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
ONE_AT_A_TIME = "one sentence at a time"


class Row:
    """One line of the table: a case, the options of both sides, and the ratio to reach."""

    def __init__(self, name, case, peer, model, lines, ours, theirs, least, aim):
        self.name, self.case, self.peer, self.model, self.lines = name, case, peer, model, lines
        self.ours, self.theirs, self.least, self.aim = ours, theirs, least, aim


def rows() -> list[Row]:
    cores = str(os.cpu_count())
    many, alone = [["--inter", cores, "--intra", "1"]], [["--inter", "1", "--intra", cores], ["--inter", cores, "--intra", "1"]]
    fixed = ["--fixed-length", "32"]
    table = []
    for precision, least in (("int8", (1.6, 2.0, 1.6, 2.0, 3, 4)), ("f32", (1.2, 1.5, 1.15, 1.4, 1.5, 2))):
        compute = ["--compute", "int8" if precision == "int8" else "float32"]
        for name, case, search, settings, lines, goal in (
            ("greedy", "greedy, batch 64", ["--batch", "64"], many + alone[:1], "marian", least[0:2]),
            ("beam", "beam 4, batch 32", ["--beam", "4", "--batch", "32"], many + alone[:1], "marian", least[2:4]),
            ("single", f"greedy, {ONE_AT_A_TIME}", ["--batch", "1"], alone, "marian-few", least[4:6]),
        ):
            theirs = [search + fixed + compute + setting for setting in settings]
            ours = search + fixed + ["--precision", precision]
            row = Row(f"marian-{precision}-{name}", f"{precision} {case}", "CTranslate2", "marian", lines, ours, theirs, *goal)
            table.append(row)
    for name, case, search, lines, goal in (
        ("f32-greedy", "GRU f32, greedy, batch 64", ["--batch", "64"], "text-512", (1.5, 1.9)),
        ("int8-greedy", "GRU int8, greedy, batch 64", ["--batch", "64"], "text-512", (3, 5)),
        ("f32-single", f"GRU f32, {ONE_AT_A_TIME}", ["--batch", "1"], "text-few", (2, 3)),
    ):
        ours = search + fixed + ["--precision", name.split("-")[0]]
        table.append(Row(f"gru-{name}", case, "PyTorch f32", "gru", lines, ours, [search + fixed + s for s in alone], *goal))
    for name, case, search, lines, goal in (
        ("f32-greedy", "Luong LSTM f32, greedy, batch 64", ["--batch", "64"], "luong-512", (1.5, 2)),
        ("int8-greedy", "Luong LSTM int8, greedy, batch 64", ["--batch", "64"], "luong-512", (4, 5)),
        ("f32-single", f"Luong LSTM f32, {ONE_AT_A_TIME}", ["--batch", "1"], "luong-64", (3, 4)),
    ):
        ours = search + fixed + ["--precision", name.split("-")[0]]
        table.append(Row(f"luong-{name}", case, "PyTorch f32", "luong", lines, ours, [search + fixed + s for s in alone], *goal))
    for precision in ("f32", "int8"):
        compute = ["--compute", "int8" if precision == "int8" else "float32"]
        for name, case, search, settings in (
            ("greedy", "greedy, batch 64", ["--batch", "64"], many),
            ("beam", "beam 5, batch 64", ["--beam", "5", "--batch", "64"], many),
            ("single", f"greedy, {ONE_AT_A_TIME}", ["--batch", "1"], alone),
        ):
            theirs = [search + compute + setting for setting in settings]
            case = f"built-in Transformer, real text, {precision}, {case}"
            ours = search + ["--precision", precision]
            table.append(Row(f"builtin-{precision}-{name}", case, "CTranslate2", "builtin", "text", ours, theirs, 1.2, 2))
    for precision, least in (("int8", 1.5), ("f32", 1.3)):
        compute = ["--compute", "int8" if precision == "int8" else "float32"]
        for name, case, search, lines in (
            ("greedy", "greedy, batch 32", ["--batch", "32"], "nllb-64"),
            ("beam", "beam 4, batch 16", ["--beam", "4", "--batch", "16"], "nllb-32"),
        ):
            theirs = [search + fixed + compute + setting for setting in many + alone[:1]]
            ours = search + fixed + ["--precision", precision]
            case = f"NLLB-600M-sized, {precision} {case}"
            table.append(Row(f"nllb-{precision}-{name}", case, "CTranslate2", "nllb", lines, ours, theirs, least, 2))
        for name, case, search in (
            ("greedy", "greedy, batch 64", ["--batch", "64"]),
            ("beam", "beam 4, batch 32", ["--beam", "4", "--batch", "32"]),
        ):
            theirs = [search + fixed + compute + setting for setting in many + alone[:1]]
            ours = search + fixed + ["--precision", precision]
            row = Row(f"t5-{precision}-{name}", f"T5-small-sized, {precision} {case}", "CTranslate2", "t5", "text-512", ours, theirs, least, 2)
            table.append(row)
    return table


def busy_seconds() -> float:
    """Processor time of everything on this machine since it started, time taken away by a hypervisor included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


# Share of the machine that other work may take during a measurement.
MOST_FOREIGN = 0.05


def output_of(command: list[str], attempts: int) -> dict:
    """The JSON object a measurement prints. Waits for a quiet machine, and measures again if it was not quiet."""
    best = None
    for _ in range(attempts):
        for _ in range(60 if attempts > 1 else 0):
            busy, start = busy_seconds(), time.perf_counter()
            time.sleep(0.5)
            if (busy_seconds() - busy) / (time.perf_counter() - start) / os.cpu_count() < MOST_FOREIGN:
                break
        busy, start = busy_seconds(), time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"{' '.join(command)} failed")
        foreign = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
        foreign /= (time.perf_counter() - start) * os.cpu_count()
        run = json.loads(output) | dict(foreign=round(foreign, 3))
        if best is None or foreign < best["foreign"]:
            best = run
        if foreign < MOST_FOREIGN:
            break
    return best


class Bench:
    """The files and programs of a session."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.work: Path = arguments.work
        self.translate = str(arguments.translate.resolve())
        self.work.mkdir(parents=True, exist_ok=True)
        self.results_file = self.work / "results.json"
        self.results = json.loads(self.results_file.read_text()) if self.results_file.exists() else {}

    def prepare(self) -> None:
        """Models, CTranslate2's copies of them, and lines; what is there already is kept, except the built-in model."""
        import models

        def once(name, make):
            if not (self.work / name).exists():
                partial = self.work / f"{name}.partial"
                make(partial)
                partial.rename(self.work / name)

        once("marian", lambda out: models.marian(self.arguments.tokenizer, out))
        once("gru", lambda out: models.gru(REPOSITORY / "vocab", out))
        once("luong", models.luong)
        made = (self.work / "luong" / "lines.txt").read_text(encoding="utf8").splitlines()
        for count in (512, 64):
            (self.work / f"luong-{count}.txt").write_text("\n".join(made[:count]) + "\n", encoding="utf8")
        models.builtin(REPOSITORY / "models" / "transformer", REPOSITORY / "vocab", self.work / "builtin")
        for quantization in ("float32", "int8"):
            once(f"marian-{quantization}", lambda out: models.convert(self.work / "marian", out, quantization))
            models.convert(self.work / "builtin", self.work / f"builtin-{quantization}", quantization)
        self.prepare_large(once)
        if self.arguments.t5_tokenizer:
            once("t5", lambda out: models.t5_small(self.arguments.t5_tokenizer, out))
            for quantization in ("float32", "int8"):
                once(f"t5-{quantization}", lambda out: models.convert(self.work / "t5", out, quantization))

        open_text = gzip.open if self.arguments.text.suffix == ".gz" else open
        with open_text(self.arguments.text, "rt", encoding="utf8") as file:
            text = [line for line in file.read().splitlines() if line.strip()][:1000]
        every = max(1, 512 // self.arguments.sentences)
        marian = self.arguments.lines.read_text(encoding="utf8").splitlines()[::every]
        # Every eighth line where one sentence at a time would take minutes.
        files = {"text": text, "text-512": text[:512:every], "text-few": text[:512:8], "marian": marian}
        files["marian-few"] = marian[:: max(1, len(marian) // 64)]
        files["text-100000"] = (text * (100_000 // len(text) + 1))[:100_000]
        for name, lines in files.items():
            (self.work / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf8")

    def prepare_large(self, once) -> None:
        """A model of NLLB's size; ours in int8 is the converted directory, as theirs is."""
        import models

        script = HERE / "make_nllb_sized.py"
        once("nllb", lambda out: subprocess.run([sys.executable, str(script), str(out)], check=True))
        convert = [self.translate, "convert", "--dtype", "int8", str(self.work / "nllb")]
        once("nllb-ours-int8", lambda out: subprocess.run([*convert, str(out)], check=True))
        for quantization in ("float32", "int8"):
            once(f"nllb-{quantization}", lambda out: models.convert(self.work / "nllb", out, quantization))
        lines = (self.work / "nllb" / "lines.txt").read_text(encoding="utf8").splitlines()
        for count in (64, 32):
            (self.work / f"nllb-{count}.txt").write_text("\n".join(lines[:count]) + "\n", encoding="utf8")

    def ours(self, row: Row) -> dict:
        options = [{"--batch": "--batch-size", "--beam": "--beam-size"}.get(option, option) for option in row.ours]
        if "--beam" not in row.ours:
            options += ["--beam-size", "1"]
        name = "nllb-ours-int8" if row.model == "nllb" and "int8" in row.ours else row.model
        model = ["--model", str(self.work / name)]
        return output_of([self.translate, "bench", *model, *options, str(self.work / f"{row.lines}.txt")], self.arguments.attempts)

    def theirs(self, row: Row, options: list[str]) -> dict:
        engine = f"pytorch-{row.model}" if row.model in ("gru", "luong") else "ctranslate2"
        model = self.work / row.model
        if engine == "ctranslate2":
            model = self.work / f"{row.model}-{'int8' if 'int8' in options else 'float32'}"
        command = [sys.executable, str(HERE / "engines.py"), engine, "--model", str(model)]
        pieces = ["--pieces", str(self.work / row.model), "--lines", str(self.work / f"{row.lines}.txt")]
        return output_of(command + pieces + options, self.arguments.attempts)

    def measure(self, row: Row) -> None:
        """Finds the peer's best setting, then runs the two in turn; sentences a second, since the two count tokens apart."""
        speed = lambda run: run["sentences"] / run["seconds"]
        tried = [(speed(self.theirs(row, options)), options) for options in row.theirs] if len(row.theirs) > 1 else None
        best = max(tried)[1] if tried else row.theirs[0]
        pairs = [(self.ours(row), self.theirs(row, best)) for _ in range(self.arguments.rounds)]
        median = lambda values: statistics.median(values)
        length = median([ours["tokens"] / ours["sentences"] for ours, _ in pairs])
        self.results[row.name] = dict(
            ours=median([speed(ours) for ours, _ in pairs]) * length,
            theirs=median([speed(theirs) for _, theirs in pairs]) * length,
            ratio=median([speed(ours) / speed(theirs) for ours, theirs in pairs]),
            memory=[median([side["peak_mb"] for side in sides]) for sides in zip(*pairs)],
            setting=" ".join(best[best.index("--inter") if "--inter" in best else best.index("--intra") :]),
            kernels=pairs[0][0]["kernels"],
            foreign=max(side["foreign"] for sides in pairs for side in sides),
            rounds=len(pairs),
        )

    def first_translation(self) -> None:
        """From starting the program to reading the first translation, built-in model, median of 21."""
        seconds = []
        for _ in range(21):
            start = time.perf_counter()
            with subprocess.Popen([self.translate], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                process.stdin.write("Ein Hund rennt durch den Schnee.\n".encode())
                process.stdin.flush()
                process.stdout.readline()
                seconds.append(time.perf_counter() - start)
                process.stdin.close()
        self.results["first-translation"] = statistics.median(seconds)

    def flat_cost(self) -> None:
        """Cost and memory of 1,000 and of 100,000 lines with the built-in model."""
        measured = []
        for name in ("text", "text-100000"):
            runs = []
            for _ in range(3 if name == "text" else 1):
                start = time.perf_counter()
                command = [self.translate, "--precision", "int8", "--beam-size", "1", str(self.work / f"{name}.txt")]
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                if status != 0:
                    raise SystemExit(f"{command} failed")
                runs.append((time.perf_counter() - start, usage.ru_maxrss / 1024))
            measured.append([statistics.median(column) for column in zip(*runs)])
        self.results["flat-cost"] = measured

    def save(self) -> None:
        self.results["date"] = datetime.date.today().isoformat()
        self.results_file.write_text(json.dumps(self.results, indent=1))

    def table(self) -> str:
        """The measurements in Markdown."""
        found = [(row, self.results[row.name]) for row in rows() if row.name in self.results]
        processor = next(
            (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?"
        )
        version = subprocess.run([self.translate, "-V"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ctranslate2", "torch"))
        lines = [
            f"{os.cpu_count()} cores of an {processor}, kernels {found[0][1]['kernels'] if found else '?'}; {version}, "
            f"{versions}; {self.results['date']}. Medians of {self.arguments.rounds} runs of each side in turn; "
            f"*disturbed*: other work took more than {2 * MOST_FOREIGN:.0%} of the machine meanwhile.",
            "",
            "| case | against | ours, tokens/s | theirs, tokens/s | ratio | at least | aim | peak memory, MB: ours / theirs |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row, result in found:
            peer = f"{row.peer} ({result['setting']})"
            disturbed = " *disturbed*" if result["foreign"] > 2 * MOST_FOREIGN else ""
            if result["rounds"] < self.arguments.rounds:
                disturbed += f" ({result['rounds']} run)"
            speeds = f"{result['ours']:,.0f} | {result['theirs']:,.0f} | **{result['ratio']:.2f}**{disturbed}"
            memory = " / ".join(f"{value:,.0f}" for value in result["memory"])
            lines.append(f"| {row.case} | {peer} | {speeds} | {row.least} | {row.aim} | {memory} |")
        if "first-translation" in self.results:
            milliseconds = self.results["first-translation"] * 1000
            lines += ["", f"Start to first translation, built-in model: **{milliseconds:.0f} ms** (at most 150, aim 60)."]
        if "flat-cost" in self.results:
            (few, few_memory), (many, many_memory) = self.results["flat-cost"]
            lines += [
                "",
                f"Built-in model, int8, greedy, whole program: 1,000 lines {few:.2f} s ({few * 1e3:.0f} µs a line, {few_memory:.0f} MB), "
                f"100,000 lines {many:.1f} s ({many * 10:.0f} µs a line, {many_memory:.0f} MB).",
            ]
        return "\n".join(lines) + "\n"

    def write_readme(self) -> None:
        """Replaces what lies between the marks."""
        readme = HERE.parent / "README.md"
        begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
        before, rest = readme.read_text(encoding="utf8").split(begin)
        after = rest.split(end)[1]
        readme.write_text(f"{before}{begin}{self.table()}{end}{after}", encoding="utf8")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--translate", type=Path, default=REPOSITORY / "target" / "release" / "translate")
    p.add_argument("--tokenizer", type=Path, required=True, help="directory of a published Marian model")
    p.add_argument("--t5-tokenizer", type=Path, help="directory of a published T5, for the rows of its size")
    p.add_argument("--lines", type=Path, required=True, help="lines in the source language of that model")
    p.add_argument("--text", type=Path, required=True, help="test set in the built-in model's source language; may end in .gz")
    p.add_argument("--work", type=Path, default=REPOSITORY / "target" / "peers", help="models, lines and results")
    p.add_argument("--rounds", type=int, default=3, help="runs of each side")
    p.add_argument("--sentences", type=int, default=512, help="of the fixed-length rows in batches")
    p.add_argument("--attempts", type=int, default=6, help="measurements of each run until one was not disturbed; 1: do not wait")
    p.add_argument("--only", nargs="*", help="names of rows, or their beginnings")
    p.add_argument("--dry-run", action="store_true", help="write the table from earlier results")
    arguments = p.parse_args()
    bench = Bench(arguments)
    if not arguments.dry_run:
        # Apart, because the peak memory of a program begins with that of the process that starts it, and this needs PyTorch.
        preparation = multiprocessing.get_context("fork").Process(target=bench.prepare)
        preparation.start()
        preparation.join()
        if preparation.exitcode != 0:
            raise SystemExit("preparing the models failed")
        steps = {row.name: (lambda row=row: bench.measure(row)) for row in rows()}
        steps |= {"first-translation": bench.first_translation, "flat-cost": bench.flat_cost}
        for name, step in steps.items():
            if arguments.only is None or any(name.startswith(only) for only in arguments.only):
                step()
                bench.save()
                print(name, json.dumps(bench.results[name]), file=sys.stderr, flush=True)
    bench.write_readme()


if __name__ == "__main__":
    main()
