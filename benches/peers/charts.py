"""Line and bar charts as SVG, in plain Python. They follow the reader's light or dark setting."""

import math
from html import escape

FAMILY = "'Noto Sans','Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
# The ground, text and accent of the program's own pictures (src/inspect/svg.rs); the second hue keeps apart for colour-blind readers.
STYLE = """
.paper{fill:#fff}.ink{fill:#1c1c22}.soft{fill:#6b6b76}.rule{stroke:#c9ccd6;stroke-width:1}
.ours{--c:#1c3faa}.theirs{--c:#b4540a}
@media (prefers-color-scheme:dark){
.paper{fill:#121317}.ink{fill:#e9eaee}.soft{fill:#a0a2ad}.rule{stroke:#3a3d49}
.ours{--c:#86b0ff}.theirs{--c:#ffab66}}
.line{fill:none;stroke:var(--c);stroke-width:2}.dot{fill:var(--c)}
"""
# Lines of one side are told apart by dashes.
DASHES = ("", "7 4", "2 3")
WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 66, 60


def ticks(largest: float, wanted: int = 6) -> list[float]:
    """Round numbers from 0 to at least `largest`, about `wanted` of them."""
    if largest <= 0:
        return [0, 1]
    rough = largest / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [step * i for i in range(math.ceil(largest / step - 1e-9) + 1)]


def number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:g}"


def document(title: str, description: str, height: float, body: list[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'role="img" aria-labelledby="title description" font-family="{FAMILY}" font-size="13">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(description)}</desc>',
            f"<style>{STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            f'<text class="ink" x="20" y="28" font-size="16">{escape(title)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def lines(title: str, x_label: str, y_label: str, series: list[dict], logarithmic: bool = False) -> str:
    """A chart of `series`: dicts of `name`, `side` (ours or theirs), `dash` (0, 1, 2) and `points`, pairs of numbers.

    The horizontal axis has a mark at every value that occurs.
    """
    marks = sorted({x for line in series for x, _ in line["points"]})
    steps = ticks(max((y for line in series for _, y in line["points"]), default=1))
    scale = math.log if logarithmic else float
    low, high = (scale(marks[0]), scale(marks[-1])) if marks else (0, 1)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    across = lambda x: LEFT + (scale(x) - low) / ((high - low) or 1) * (right - LEFT)
    down = lambda y: bottom - y / steps[-1] * (bottom - TOP)
    body = []
    for step in steps:
        body.append(f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{down(step):.1f}" y2="{down(step):.1f}"/>')
        body.append(f'<text class="soft" x="{LEFT - 8}" y="{down(step) + 4:.1f}" text-anchor="end">{number(step)}</text>')
    for mark in marks:
        body.append(f'<line class="rule" x1="{across(mark):.1f}" x2="{across(mark):.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        body.append(f'<text class="soft" x="{across(mark):.1f}" y="{bottom + 20}" text-anchor="middle">{number(mark)}</text>')
    body.append(f'<text class="ink" x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>')
    body.append(f'<text class="ink" x="20" y="{TOP - 10}">{escape(y_label)}</text>')
    # The legend from the highest line to the lowest, as they end on the right.
    ordered = sorted((line for line in series if line["points"]), key=lambda line: -max(line["points"])[1])
    for place, line in enumerate(ordered):
        points = sorted(line["points"])
        dash = f' stroke-dasharray="{DASHES[line["dash"]]}"' if line["dash"] else ""
        body.append(f'<g class="{line["side"]}">')
        body.append(f'<polyline class="line"{dash} points="{" ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)}"/>')
        for x, y in points:
            hint = escape(f"{line['name']}: {number(x)} → {number(y)}")
            body.append(f'<circle class="dot" cx="{across(x):.1f}" cy="{down(y):.1f}" r="3.5"><title>{hint}</title></circle>')
        y = TOP + 10 + 24 * place
        body.append(f'<line class="line"{dash} x1="{right + 16}" x2="{right + 50}" y1="{y}" y2="{y}"/>')
        body.append(f'<text class="ink" x="{right + 58}" y="{y + 4}">{escape(line["name"])}</text></g>')
    told = "; ".join(
        f"{line['name']}: " + ", ".join(f"{number(y)} at {number(x)}" for x, y in sorted(line["points"])) for line in ordered
    )
    return document(title, f"{y_label} by {x_label}. {told}.", HEIGHT, body)


def bars(title: str, unit: str, groups: list[tuple[str, float, float]]) -> str:
    """Two bars for each `(label, ours, theirs)`, in `unit`, with their values beside them."""
    steps = ticks(max((max(ours, theirs) for _, ours, theirs in groups), default=1), 5)
    left, right, row = 250, WIDTH - 80, 46
    bottom = TOP + row * len(groups)
    across = lambda value: left + value / steps[-1] * (right - left)
    body = []
    for step in steps:
        body.append(f'<line class="rule" x1="{across(step):.1f}" x2="{across(step):.1f}" y1="{TOP}" y2="{bottom}"/>')
        body.append(f'<text class="soft" x="{across(step):.1f}" y="{bottom + 18}" text-anchor="middle">{number(step)}</text>')
    for place, (label, ours, theirs) in enumerate(groups):
        y = TOP + row * place
        body.append(f'<text class="ink" x="{left - 10}" y="{y + 27}" text-anchor="end">{escape(label)}</text>')
        for offset, side, value in ((6, "ours", ours), (23, "theirs", theirs)):
            wide = across(value) - left
            body.append(f'<g class="{side}"><rect class="dot" x="{left}" y="{y + offset}" width="{wide:.1f}" height="15"/></g>')
            body.append(f'<text class="ink" x="{across(value) + 6:.1f}" y="{y + offset + 12}" font-size="12">{number(round(value))}</text>')
    body.append(f'<text class="ink" x="{(left + right) / 2:.0f}" y="{bottom + 40}" text-anchor="middle">{escape(unit)}</text>')
    for x, side, name in ((20, "ours", "translate"), (110, "theirs", "CTranslate2")):
        body.append(f'<g class="{side}"><rect class="dot" x="{x}" y="{bottom + 29}" width="13" height="13"/></g>')
        body.append(f'<text class="ink" x="{x + 19}" y="{bottom + 40}">{name}</text>')
    told = "; ".join(f"{label}: translate {number(round(ours))}, CTranslate2 {number(round(theirs))}" for label, ours, theirs in groups)
    return document(title, f"{unit}. {told}.", bottom + 56, body)
