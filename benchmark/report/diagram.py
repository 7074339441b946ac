"""Critical-difference diagrams as small SVG files: mean ranks on a line, methods that are not told apart under one bar."""

from __future__ import annotations

from html import escape

from benchmark.plan import load_suite, suites
from benchmark.report.board import Board
from benchmark.report.statistics import RankTest

WIDTH, MARGIN, STEP = 720, 200, 18


def file_name(suite: str, backbone: str) -> str:
    """The name of a diagram's file."""
    return f"ranks-{suite}-{backbone}.svg"


def diagrams(board: Board) -> dict[str, str]:
    """file name -> diagram, of every suite and class of backbone where the protocol allows a rank test."""
    found = {}
    for suite in suites():
        for backbone, test in board.ranking(load_suite(suite)).items():
            if isinstance(test, RankTest):
                found[file_name(suite, backbone)] = draw(test)
    return found


def draw(test: RankTest) -> str:
    """The diagram of a test, in the manner of Demšar 2006, figure 1; the same bytes everywhere."""
    count = len(test.methods)
    left = (count + 1) // 2
    bars = 62 + 8 * len(test.cliques)
    height = bars + STEP * (left + 1)

    def x(rank: float) -> float:
        return MARGIN + (rank - 1) / (count - 1) * (WIDTH - 2 * MARGIN)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="sans-serif" font-size="13">',
        f"<title>Mean ranks over {len(test.datasets)} datasets; critical difference {test.critical:.2f}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _line(x(1), 12, x(1 + min(test.critical, count - 1)), 12, 2),
        _text(x(1), 28, f"critical difference {test.critical:.2f}", "start"),
        _line(x(1), 52, x(count), 52, 1),
    ]
    for tick in range(1, count + 1):
        parts += [_line(x(tick), 48, x(tick), 52, 1), _text(x(tick), 44, str(tick), "middle")]
    for place, (first, last) in enumerate(test.cliques):
        level = 60 + 8 * place
        parts.append(_line(x(test.mean_ranks[first]) - 3, level, x(test.mean_ranks[last]) + 3, level, 4))
    for place, (method, rank) in enumerate(zip(test.methods, test.mean_ranks, strict=True)):
        here = place < left
        level = bars + STEP * (place + 1 if here else count - place)
        end = MARGIN - 8 if here else WIDTH - MARGIN + 8
        parts += [_line(x(rank), 52, x(rank), level, 1), _line(x(rank), level, end, level, 1)]
        parts.append(_text(end + (-4 if here else 4), level + 4, f"{method} {rank:.2f}", "end" if here else "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float, width: int) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#222" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222">{escape(text)}</text>'
