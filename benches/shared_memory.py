#!/usr/bin/env python3
"""How much memory several processes with one model take together, on Linux.

    shared_memory.py PROGRAM MODEL LINES [--processes 1 2 4] [-- OPTIONS OF translate]

Starts so many processes, has each translate the first 64 lines of LINES and, while all are there, reads their proportional set
sizes (PSS: a page that n processes share counts 1/n for each), whose sum is what they really take. `file` is mapped: the weights of a
directory that `translate convert --dtype int8` wrote, and the program. `own` is each process's alone: vocabularies, what is computed.
"""

import argparse
import subprocess
import sys
from pathlib import Path

LINES = 64


def memory(pid):
    """PSS and its parts, in MB."""
    fields = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name.rstrip(":"): int(size) * 1024 / 1e6 for name, size, *_ in fields}


def measure(command, lines, count):
    """The memory of each of `count` processes that have translated `lines`."""
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
    for process in processes:
        process.stdin.write(b"".join(lines))
        process.stdin.flush()
    for process in processes:
        for _ in lines:
            if not process.stdout.readline():
                raise SystemExit(f"{command[0]} ended with {process.wait()}")
    found = [memory(process.pid) for process in processes]
    for process in processes:
        process.communicate()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("lines", type=Path)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:at])
    arguments.options = sys.argv[at + 1 :]
    lines = [line + b"\n" for line in arguments.lines.read_bytes().split(b"\n")[:LINES]]
    command = [arguments.program, "-m", arguments.model, "--threads", "1", "--quiet", *arguments.options]
    print("| processes | together, MB | each | of it file | own | as a multiple of one |")
    print("|---|---|---|---|---|---|")
    one = None
    for count in [1, *(count for count in arguments.processes if count > 1)]:
        found = measure(command, lines, count)
        total, file, own = (sum(process[name] for process in found) for name in ("Pss", "Pss_File", "Pss_Anon"))
        one = one or total
        print(f"| {count} | {total:.0f} | {total / count:.0f} | {file / count:.0f} | {own / count:.0f} | {total / one:.2f} |")


if __name__ == "__main__":
    main()
