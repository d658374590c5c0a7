#!/usr/bin/env python3
"""The numbers of docs/scale.md: processes and threads on one machine, the start of a process, and Spark's share.

    scale.py PROGRAM LINES [--count 20000] [--rounds 3] [--spark PYTHON] [-- OPTIONS OF translate]

The first `count` lines of LINES (repeated if there are fewer) are translated by 1 and 2 processes of 1 and 2 threads each, the cases
in turn, each process with its part (--shard); all must give the same bytes. PYTHON is one with pyspark, for two Spark workers of one
core. Prints Markdown. A row is marked if other processes had more than a tenth of the machine meanwhile.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = [(1, 1), (1, 2), (2, 1), (2, 2)]
STARTS = 20
SPARK = Path(__file__).resolve().parent.parent / "examples" / "distributed" / "spark_translate.py"


def busy_seconds():
    """Seconds that all processors together have worked since the machine was started."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """Seconds that the children that have ended worked."""
    times = os.times()
    return times.children_user + times.children_system


class Clock:
    """The seconds a block takes, those that its processes work, and whether others were at work, too."""

    def __enter__(self):
        self.start, self.busy, self.own = time.monotonic(), busy_seconds(), own_seconds()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.start
        self.own = own_seconds() - self.own
        others = busy_seconds() - self.busy - self.own
        self.disturbed = others > 0.1 * self.seconds * os.cpu_count()


def translate(arguments, source, folder, processes, threads):
    """Translates with several processes at once; the clock and the bytes."""
    parts = [folder / f"part-{index}" for index in range(1, processes + 1)]
    options = ["--threads", str(threads), "--quiet", *arguments.options]
    with Clock() as clock:
        started = [
            subprocess.Popen([arguments.program, *options, "--shard", f"{index}/{processes}", "-o", str(part), str(source)])
            for index, part in enumerate(parts, 1)
        ]
        if any([process.wait() for process in started]):
            raise SystemExit("a process failed")
    return clock, b"".join(part.read_bytes() for part in parts)


def with_spark(arguments, source, folder):
    """Translates with rdd.pipe on two workers of one core."""
    home = subprocess.check_output([arguments.spark, "-c", "import os, pyspark; print(os.path.dirname(pyspark.__file__))"], text=True)
    environment = dict(os.environ, SPARK_HOME=home.strip(), PYSPARK_PYTHON=arguments.spark, SPARK_LOCAL_IP="127.0.0.1")
    environment["SPARK_LOCAL_DIRS"] = str(folder)
    program = str(Path(arguments.program).resolve())
    options = ["--master", "local-cluster[2,1,1024]", "--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"]
    command = [f"{home.strip()}/bin/spark-submit", *options, str(SPARK), "pipe", str(source), str(folder / "spark"), "8"]
    command += [program, "--threads", "1", "--quiet", *arguments.options]
    with Clock() as clock:
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    return clock, b"".join(part.read_bytes() for part in sorted((folder / "spark").glob("part-*")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("lines", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spark", metavar="PYTHON")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:at])
    arguments.options = sys.argv[at + 1 :]

    given = arguments.lines.read_bytes().removesuffix(b"\n").split(b"\n")
    lines = (given * (arguments.count // len(given) + 1))[: arguments.count]
    cases = [*CASES, "spark"] if arguments.spark else CASES
    clocks, expected = {case: [] for case in cases}, None
    for _ in range(arguments.rounds):
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                source = folder / "source.txt"
                source.write_bytes(b"\n".join(lines) + b"\n")
                run = with_spark(arguments, source, folder) if case == "spark" else translate(arguments, source, folder, *case)
            clocks[case].append(run[0])
            if expected not in (None, run[1]):
                raise SystemExit(f"{case}: other bytes than the first case")
            expected = run[1]

    print(f"{arguments.count:,} lines of {sum(map(len, lines)) / len(lines):.0f} bytes, medians of {arguments.rounds} runs in turn\n")
    print("| processes × threads | seconds | lines a second | core seconds a million lines | hours a million lines |")
    print("|---|---|---|---|---|")
    for case, runs in clocks.items():
        seconds, own = (statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "own"))
        name = "Spark, 2 workers × 1 core" if case == "spark" else f"{case[0]} × {case[1]}"
        mark = " (*disturbed*)" if any(run.disturbed for run in runs) else ""
        million = 1e6 / arguments.count
        row = f"{seconds:.1f} | {arguments.count / seconds:,.0f} | {own * million:,.0f} | {seconds * million / 3600:.2f}"
        print(f"| {name}{mark} | {row} |")

    starts = []
    for _ in range(STARTS):
        with Clock() as clock:
            subprocess.run([arguments.program, "--quiet", *arguments.options], input=lines[0] + b"\n", stdout=subprocess.DEVNULL, check=True)
        starts.append(1000 * clock.seconds)
    print(f"\nA process that translates one line: {statistics.median(starts):.0f} ms ({min(starts):.0f} to {max(starts):.0f} of {STARTS}).")


if __name__ == "__main__":
    main()
