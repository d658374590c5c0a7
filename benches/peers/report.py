"""docs/performance.md and its charts, from the results of run.py."""

import json
from collections import Counter
from pathlib import Path

import charts
import rows
from rows import MEMORY_GOAL, Row

BEGIN, END = "<!-- measured: run.py writes what follows -->\n", "<!-- end of what run.py writes -->\n"
# Other work during a measurement beyond which a row is called disturbed.
DISTURBED = 0.1


def usual(results: list[dict], key: str):
    """What most results have under a key."""
    return Counter(json.dumps(result.get(key)) for result in results).most_common(1)[0][0]


def versions_of(results: list[dict]) -> str:
    """The versions that most results name, of each program."""
    found = {}
    for result in results:
        for name, version in result["versions"].items():
            found.setdefault(name, Counter())[version] += 1
    return ", ".join(f"{name} {counts.most_common(1)[0][0]}" for name, counts in found.items())


def summary(result: dict) -> str:
    """One line for the person who waits."""
    if "ratio" in result:
        return f"ours {result['ours']:,.0f}, theirs {result['theirs']:,.0f}, ratio {result['ratio']:.2f} ({' '.join(result['setting'])})"
    return result.get("skipped", "measured")


def option_text(options: list[str]) -> str:
    """Options as they are typed, variables first."""
    environment, rest = rows.variables(options)
    return " ".join([f"{name}={value}" for name, value in environment.items()] + rest)


def differences(row: Row | None, result: dict, common: dict) -> list[str]:
    """What a result does not share with most of the others."""
    said = []
    if result["date"] != common["date"]:
        said.append(result["date"])
    if result["machine"] != common["machine"]:
        said.append(result["machine"])
    if result["kernels"] != common["kernels"] and not (row and row.kernels):
        said.append(f"kernels {result['kernels']}")
    if result["rounds"] != common["rounds"]:
        said.append(f"{result['rounds']} rounds")
    others = [f"{n} {v}" for n, v in result["versions"].items() if f"{n} {v}" not in common["versions"].split(", ")]
    said += others
    if result.get("foreign", 0) > DISTURBED:
        said.append("*disturbed*")
    return said


def goal(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def table_row(row: Row, result: dict, common: dict) -> str:
    unit = {"whole": "lines/s", "start": "ms"}.get(row.kind, "tokens/s")
    low, high = result["spread"] or (None, None)
    spread = f" ({low:.2f}–{high:.2f})" if low is not None else ""
    ours, theirs = result["memory"]
    cells = [
        row.case + "".join(f", {said}" for said in differences(row, result, common)),
        f"{row.peer} ({' '.join(result['setting'])})",
        f"{result['ours']:,.0f} {unit}",
        f"{result['theirs']:,.0f} {unit}",
        f"**{result['ratio']:.2f}**{spread}",
        f"{goal(row.must)} {'ms' if row.kind == 'start' and row.must else ''}".strip(),
        f"{goal(row.aim)} {'ms' if row.kind == 'start' and row.aim else ''}".strip(),
        f"{ours:,.0f} / {theirs:,.0f}",
        f"{ours / theirs:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def misses(every: list[Row], results: dict, common: dict) -> list[str]:
    """Rows below what they must reach, in words; the memory of all of them in one sentence."""
    found, heavy = [], []
    for row in every:
        result = results.get(row.name, {})
        if "ratio" not in result or row.must is None:
            continue
        name = f"{row.section}, {row.case}"
        unlike = differences(row, result, common)
        note = f" ({', '.join(unlike)})" if unlike else ""
        if row.kind == "start":
            if result["ours"] > row.must:
                found.append(f"{name}: {result['ours']:.0f} ms to the first translation, where {row.must:g} are the most allowed{note}.")
        elif result["ratio"] < row.must:
            found.append(f"{name}: {result['ratio']:.2f} times {row.peer}, where {row.must:g} must be reached{note}.")
        ours, theirs = result["memory"]
        if ours / theirs > MEMORY_GOAL[0]:
            heavy.append(f"{name} {ours / theirs:.2f}")
    if heavy:
        found.append(f"Peak memory, where {MEMORY_GOAL[0]} of the peer's is the most allowed: {'; '.join(heavy)}.")
    return found


def obedience(results: dict) -> list[str]:
    """How much slower the peer is when limited, so that one sees it obeys."""
    said = []
    for limited, free in (("vnni-int8", "int8"), ("avx2-int8", "int8"), ("avx2-f32", "f32")):
        pair = [results.get(f"marian-{name}-greedy", {}) for name in (limited, free)]
        if all("theirs" in result for result in pair):
            row = next(row for row in rows.every() if row.name == f"marian-{limited}-greedy")
            said.append(f"{row.case}: {pair[0]['theirs'] / pair[1]['theirs']:.2f} of its unlimited speed")
    return said


def charts_of(results: dict) -> dict[str, tuple[str, str]]:
    """File name: what the picture shows, and the picture."""
    drawn = {}

    def lines(file: str, name: str, title: str, x_label: str, y_label: str, column: int, logarithmic: bool) -> None:
        points = results.get(name, {}).get("points", {})
        dashes = {precision: dash for dash, precision in enumerate(("int8", "f32", "int16"))}
        series = [
            dict(
                name=side,
                side="ours" if side.startswith("translate") else "theirs",
                dash=dashes[side.split()[-1]],
                points=[(point[0], point[column]) for point in values],
            )
            for side, values in points.items()
        ]
        if series:
            drawn[file] = title, charts.lines(title, x_label, y_label, series, logarithmic)

    size = "OPUS-MT size"
    lines("batch.svg", "series-batch", f"Throughput against batch size, {size}, greedy", "sentences in a batch", "tokens/s", 1, True)
    lines("beam.svg", "series-beam", f"Throughput against beam size, {size}, batches of 32", "beam size", "tokens/s", 1, False)
    lines("memory.svg", "series-batch", f"Peak memory against batch size, {size}, greedy", "sentences in a batch", "MB", 2, True)
    starts = [(row.case, results[row.name]) for row in rows.every() if row.kind == "start" and "ours" in results.get(row.name, {})]
    if starts:
        title = "Start to first translation"
        groups = [(case, result["ours"], result["theirs"]) for case, result in starts]
        drawn["start.svg"] = title, charts.bars(title, "milliseconds, CTranslate2 without Python's start", groups)
    return drawn


def page(results: dict) -> str:
    """What stands between the marks."""
    every = rows.every()
    done = [results[row.name] for row in every if "ratio" in results.get(row.name, {})]
    if not done:
        return "Nothing is measured yet.\n"
    common = {key: json.loads(usual(done, key)) for key in ("date", "machine", "kernels", "rounds")}
    common["versions"] = versions_of(done)
    text = [
        f"{common['machine']}, kernels {common['kernels']}; {common['versions']}; {common['date']}. Medians of {common['rounds']} runs of "
        f"each side in turn, and in brackets the least and the largest ratio of a pair; a case names what differs from that. *disturbed*: "
        f"other work took more than {DISTURBED:.0%} of the machine meanwhile.",
    ]
    head = "| case | against (its best setting) | ours | theirs | ratio | must | aim | peak memory, MB: ours / theirs | memory ratio |"
    for section in dict.fromkeys(row.section for row in every):
        found = [(row, results[row.name]) for row in every if row.section == section and "ratio" in results.get(row.name, {})]
        if found:
            text += ["", f"### {section}", "", head, "|---" * 9 + "|", *(table_row(row, result, common) for row, result in found)]
    flat = results.get("flat-cost", {})
    if "lines" in flat:
        costs = [f"{n:,} lines {s:.2f} s ({s / n * 1e6:.0f} µs a line, {m:.0f} MB)" for n, s, m in flat["lines"]]
        note = "" if flat["date"] == common["date"] else f" ({flat['date']}, kernels {flat['kernels']})"
        text += ["", f"Built-in Transformer, int8, greedy, whole program on captions{note}: {', '.join(costs)}."]
    if drawn := charts_of(results):
        text += ["", "### Charts", ""]
        for file, (title, _) in drawn.items():
            text.append(f"![{title}](performance/{file})")
        runs = {results[name]["rounds"] for name in ("series-batch", "series-beam") if "rounds" in results.get(name, {})}
        if runs:
            text += ["", f"Each point of the first three is the median of {max(runs)} run{'s' if max(runs) > 1 else ''}, not of pairs."]
    text += ["", "### What is missed", ""]
    missed = misses(every, results, common)
    text += [f"- {miss}" for miss in missed] or ["Every row that was measured reaches what it must."]
    left = [(row, results.get(row.name, {}).get("skipped", "not measured yet")) for row in every if "ratio" not in results.get(row.name, {})]
    if left:
        text += ["", "### What is not measured", ""]
        for reason in dict.fromkeys(reason for _, reason in left):
            text.append(f"- {'; '.join(f'{row.section}, {row.case}, against {row.peer}' for row, why in left if why == reason)}: {reason}.")
    if limited := obedience(results):
        text += ["", f"CTranslate2 obeys its limits: {'; '.join(limited)}."]
    text += ["", "<details><summary>Exact options of every row</summary>", "", "| row | ours | theirs |", "|---|---|---|"]
    for row in every:
        if "ratio" in (result := results.get(row.name, {})):
            command = "translate bench" if row.kind == "bench" else "translate"
            theirs = option_text(row.theirs + result["setting"])
            text.append(f"| {row.name} | `{command} {option_text(row.ours)}` | `engines.py {row.engine} {theirs}` |")
    text += ["", "</details>", ""]
    return "\n".join(text)


def write(results: dict, docs: Path) -> None:
    """Replaces what lies between the marks of performance.md; charts and the numbers themselves go beside it."""
    file, folder = docs / "performance.md", docs / "performance"
    before, rest = file.read_text(encoding="utf8").split(BEGIN)
    after = rest.split(END)[1]
    folder.mkdir(exist_ok=True)
    for name, (_, picture) in charts_of(results["rows"]).items():
        (folder / name).write_text(picture, encoding="utf8")
    (folder / "results.json").write_text(json.dumps(results["rows"], indent=1, sort_keys=True) + "\n", encoding="utf8")
    file.write_text(f"{before}{BEGIN}{page(results['rows'])}{END}{after}", encoding="utf8")
