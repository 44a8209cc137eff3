"""What the model said of a map, as HTML: its probabilities as bars, and its novelty on a scale.

Plain elements and no chart library: the browser draws them at once, in the colours of its theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from apps.items import visible

MOST_BARS = 5
STYLE = """
<style>
.fact { font-size: 0.8rem; line-height: 1.3; margin-bottom: 1rem; }
.fact .row { display: flex; justify-content: space-between; gap: 0.5em; margin: 0.4em 0 0.15em; }
.fact .row span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.fact .bar { display: block; height: 5px; border-radius: 3px; background: #3d8fc4; min-width: 1px; }
.fact .other { background: currentColor; opacity: 0.3; }
.fact .soft { opacity: 0.7; }
.fact .track { position: relative; height: 22px; margin: 0.4em 0; }
.fact .track i { position: absolute; display: block; }
.fact .line { left: 0; right: 0; top: 10px; height: 2px; background: currentColor; opacity: 0.2; }
.fact .novel { right: 0; top: 10px; height: 2px; background: #e07b39; }
.fact .most { top: 7px; height: 8px; border-radius: 4px; background: currentColor; opacity: 0.22; }
.fact .half { top: 7px; height: 8px; background: currentColor; opacity: 0.3; }
.fact .limit { top: 1px; height: 20px; border-left: 2px dashed #e07b39; margin-left: -1px; }
.fact .here { top: 5px; width: 12px; height: 12px; margin-left: -6px; border-radius: 50%; }
.fact .track .here { background: #3d8fc4; }
.fact .track .above { background: #e07b39; }
</style>
"""


def bars(probabilities: Mapping[str, float]) -> str:
    """The most probable classes, a bar each, the highest first; what is left to all others below them."""
    ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])[:MOST_BARS]
    rest = max(0.0, 1 - sum(value for _, value in ranked))
    rows = [(visible(name), value, "") for name, value in ranked]
    if rest >= 0.005:
        rows.append(("all others", rest, "other"))
    drawn = "".join(
        f'<div class="row"><span>{escape(name)}</span><span>{escape(_percent(value))}</span></div>'
        f'<i class="bar {kind}" style="width: {100 * value:.1f}%"></i>'
        for name, value, kind in rows
    )
    return f'<div class="fact"><b>Probability</b>{drawn}</div>'


def scale(novelty: float, threshold: float, known: Sequence[float]) -> str:
    """The novelty of a map between the known maps and the threshold.

    known: the novelty at the shares 0.05, 0.25, 0.5, 0.75 and 0.95 of known maps. The scale is the same for
    all maps of a model; what lies beyond it is drawn at its end.
    """
    low, high = _ends(threshold, known)

    def at(score: float) -> float:
        return 100 * min(max((score - low) / (high - low), 0.0), 1.0)

    def span(kind: str, begin: float, end: float, title: str) -> str:
        place = f"left: {at(begin):.1f}%; width: {at(end) - at(begin):.1f}%"
        return f'<i class="{kind}" title="{title}" style="{place}"></i>'

    above = novelty > threshold
    side = "above" if above else "below"
    return (
        '<div class="fact"><b>Novelty</b><div class="track"><i class="line"></i>'
        + f'<i class="novel" style="left: {at(threshold):.1f}%"></i>'
        + span("most", known[0], known[-1], "nine in ten known maps")
        + span("half", known[1], known[-2], "half of the known maps")
        + f'<i class="limit" title="threshold" style="left: {at(threshold):.1f}%"></i>'
        + f'<i class="here{" above" if above else ""}" title="this map" style="left: {at(novelty):.1f}%"></i>'
        + f'</div><div class="soft">{novelty:.4g}, {side} the threshold of {threshold:.4g} (dashed);'
        + " grey: where known maps lie</div></div>"
    )


def _ends(threshold: float, known: Sequence[float]) -> tuple[float, float]:
    reach = max(threshold - known[0], known[-1] - known[0], 1e-9)
    return known[0] - 0.15 * reach, max(threshold, known[-1]) + 0.6 * reach


def _percent(value: float) -> str:
    return "<1%" if 0 < value < 0.005 else f"{value:.0%}"
