"""A plot of counts in bars, as SVG that a browser shows beside any text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

#: Pixels: a bar, a plot's height, its title and scale, the margin.
BAR, HEIGHT, TITLE, SCALE, MARGIN = 8, 120, 28, 18, 44
COLOURS = ("#4477aa", "#66ccee", "#ccbb44", "#ee6677")


def bars(
    plots: Mapping[str, Mapping[str, Sequence[int]]], lines: Mapping[str, float], *, step: float, most: int
) -> str:
    """Draw plots one below the other, each a stack of series, with a dashed line where ``lines`` has one.

    Args:
        plots: by title, the series by name, each a count per step.
        lines: by title, a height to mark.
        step: seconds of a bar, for the scale.
        most: bars of one plot; what comes later is left out.
    """
    width = MARGIN + most * BAR + 10
    out: list[str] = []
    for number, (title, series) in enumerate(plots.items()):
        top = 24 + number * (TITLE + HEIGHT + SCALE) + TITLE
        length = min(most, max(len(values) for values in series.values()))
        padded = {name: [*values, *[0] * most][:length] for name, values in series.items()}
        line = lines.get(title, 0.0)
        highest = max([line, *(sum(column) for column in zip(*padded.values(), strict=True))]) or 1.0
        out.append(f'<text x="{MARGIN}" y="{top - 8}" font-weight="bold">{escape(title)}</text>')
        out.append(f'<text x="{MARGIN - 6}" y="{top + 8}" text-anchor="end">{highest:.0f}</text>')
        for place in range(length):
            bottom = float(top + HEIGHT)
            for colour, values in zip(COLOURS, padded.values(), strict=False):
                tall = values[place] / highest * HEIGHT
                bottom -= tall
                if tall:
                    x = MARGIN + place * BAR
                    out.append(
                        f'<rect x="{x}" y="{bottom:.1f}" width="{BAR - 1}" height="{tall:.1f}" fill="{colour}"/>'
                    )
        y = top + HEIGHT - line / highest * HEIGHT
        out.append(f'<path d="M{MARGIN} {y:.1f}H{width - 10}" stroke="#333" stroke-dasharray="4 3" fill="none"/>')
        out.append(f'<path d="M{MARGIN} {top + HEIGHT}H{width - 10}" stroke="#333" fill="none"/>')
        out.extend(
            f'<text x="{MARGIN + place * BAR}" y="{top + HEIGHT + 13}">{place * step:g} s</text>'
            for place in range(0, most, 10)
        )
    names = dict.fromkeys(name for series in plots.values() for name in series)
    x = MARGIN
    for colour, name in zip(COLOURS, names, strict=False):
        out.append(f'<rect x="{x}" y="6" width="10" height="10" fill="{colour}"/>')
        out.append(f'<text x="{x + 14}" y="15">{escape(name)}</text>')
        x += 30 + 7 * len(name)
    height = 24 + len(plots) * (TITLE + HEIGHT + SCALE) + 6
    size = f'width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return "\n".join([head, f'<rect {size} fill="#fff"/>', *out, "</svg>"]) + "\n"
