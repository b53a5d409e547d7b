"""The plot of the README: an SVG of a few shapes, for light and for dark pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from events import EVENTS
from results import Results

WIDTH, HEIGHT = 880, 690
# Of a chart's drawing, without its title and its labels.
CHART_WIDTH, CHART_HEIGHT = 360, 170

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 14px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.right { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #8b949e; stroke-opacity: 0.3 }
.line { fill: none; stroke-width: 2.5 }
.dashed { stroke-dasharray: 5 4; stroke-width: 1.5 }
.A { --way: #818b98 } .B { --way: #bf8700 } .C { --way: #1a7f37 }
rect, circle { fill: var(--way) }
polyline { stroke: var(--way) }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .B { --way: #d29922 } .C { --way: #3fb950 }
}
"""
WAYS = {
    "A": "A: one program, restart (2010)",
    "B": "B: the same, HUP",
    "C": "C: this template",
}


@dataclass
class Curve:
    """Points of one way."""

    way: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def plot(results: Results) -> str:
    """The whole picture."""
    sites, clients = results.site_numbers, results.client_numbers
    memory = [Curve(way, [(n, results.side_by_side(n, way).memory) for n in sites]) for way in "AC"]
    latency = [Curve(way, [(n, results.latency(n, way).latency) for n in clients]) for way in "AC"]
    slowest = [
        Curve(way, [(n, results.latency(n, way).p99) for n in clients], dashed=True) for way in "AC"
    ]
    parts = [
        legend(),
        moved(20, 50, events(results)),
        moved(60, 455, curves("Memory by sites on the machine, MiB (PSS)", memory)),
        moved(500, 455, curves("Latency by clients, ms (dashed: p99)", latency + slowest)),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' aria-label="Three ways to run the same site: failed requests, memory, latency">\n'
        f"<style>{STYLE}</style>\n{''.join(parts)}</svg>\n"
    )


def legend() -> str:
    """What the colours mean."""
    items = []
    for number, (way, name) in enumerate(WAYS.items()):
        swatch = f'<rect class="{way}" width="12" height="12" rx="2"/>'
        items.append(moved(20 + 250 * number, 14, swatch + text(18, 10, name)))
    return "".join(items)


def events(results: Results) -> str:
    """For each event three bars: the longest time without a page; beside them, what failed."""
    left, bar, row = 340, 10, 46
    # What happens to all three ways
    common = [event for event in EVENTS if not event.nginx]
    longest = max(results.outcome(event, way).pause for event in common for way in WAYS)
    parts = [text(0, 14, "Longest time without a page, and failed requests", "title")]
    for number, event in enumerate(common):
        top = 30 + row * number
        parts.append(text(left - 12, top + 22, event.name.replace("`", ""), "right"))
        for place, way in enumerate(WAYS):
            done = results.outcome(event, way)
            width = max(2, 300 * done.pause / longest)
            y = top + place * (bar + 3)
            parts.append(
                f'<rect class="{way}" x="{left}" y="{y}" width="{width:.0f}" height="{bar}"'
                ' rx="2"/>'
            )
            what = f"{done.pause:.2f} s, {done.failed:,} failed"
            if done.end != event.end:
                what += f", {done.end}"
            parts.append(text(left + width + 6, y + 9, what, "small"))
    return "".join(parts)


def curves(title: str, curves: Sequence[Curve]) -> str:
    """A chart; to the right, each step is twice as many."""
    numbers = [x for x, _ in curves[0].points]
    highest = nice(max(y for curve in curves for _, y in curve.points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / numbers[0]) / math.log(numbers[-1] / numbers[0])
        return across * CHART_WIDTH, CHART_HEIGHT * (1 - y / highest)

    parts = [text(-30, -20, title, "title")]
    for part in range(5):
        value = highest * part / 4
        _, y = place(numbers[0], value)
        parts.append(f'<path class="grid" d="M0 {y:.0f}H{CHART_WIDTH}"/>')
        parts.append(text(-6, y + 4, f"{value:g}", "small right"))
    for x in numbers:
        parts.append(text(place(x, 0)[0], CHART_HEIGHT + 18, f"{x:g}", "small middle"))
    for curve in curves:
        points = [place(x, y) for x, y in curve.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        kind = "line dashed" if curve.dashed else "line"
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
        shape = f'<polyline class="{kind}" points="{line}"/>'
        parts.append(f'<g class="{curve.way}">{shape}{"" if curve.dashed else dots}</g>')
    return "".join(parts)


def nice(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten: an axis that ends there has round marks."""
    power = math.pow(10, math.floor(math.log10(value)))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)


def moved(x: float, y: float, content: str) -> str:
    return f'<g transform="translate({x} {y})">{content}</g>\n'


def text(x: float, y: float, content: str, classes: str = "") -> str:
    return f'<text class="{classes}" x="{x:.0f}" y="{y:.0f}">{escape(content)}</text>'
