"""A row of the table: one figure, the floor that was measured beside it, and whether it holds."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What one benchmark came to. `ratio` is of the figure and its floor, as `bar` says; without a floor it is 1."""

    name: str
    case: str
    figure: float
    floor: float | None
    unit: str
    ratio: float
    bar: str
    holds: bool
    aside: str = ""


_HEADINGS = ("benchmark", "case", "figure", "floor", "unit", "ratio", "must reach", "holds", "beside it")


def tell(rows: Sequence[Row]) -> None:
    """A line each."""
    for row in rows:
        beside = "" if row.floor is None else f", floor {written(row.floor)}, ×{row.ratio:.2f}"
        aside = f"; {row.aside}" if row.aside else ""
        verdict = "holds" if row.holds else "MISSES"
        print(f"{row.name}, {row.case}: {written(row.figure)} {row.unit}{beside} ({row.bar}: {verdict}){aside}",
              flush=True)  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    return "\n".join(_line(cells) for cells in (_HEADINGS, ["---"] * len(_HEADINGS), *map(_cells, rows))) + "\n"


def written(figure: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"  # noqa: PLR2004


def _cells(row: Row) -> Sequence[str]:
    floor, ratio = ("–", "–") if row.floor is None else (written(row.floor), f"{row.ratio:.2f}")
    holds = "yes" if row.holds else "**no**"
    return (row.name, row.case, written(row.figure), floor, row.unit, ratio, row.bar, holds, row.aside)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
