"""docs/performance.md, every row beside it and the charts, from the results of `./scripts/bench`.

python benchmarks/page.py [RESULTS.jsonl] [PAGE.md]
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from suite.charts import draw_floor, draw_growth, draw_ratios
from suite.document import main_page, rows_page
from suite.store import Results, read_results
from suite.verdicts import aims, behind, finished, lost

__all__ = ["make_page", "summary"]

ROOT = Path(__file__).resolve().parents[1]
PICTURES = "pictures/performance"


def make_page(results: Results, page: Path) -> None:
    """Write the document, the rows beside it, three charts and a summary for machines.

    Args:
        results: of one run.
        page: the document; PAGE-rows.md, PAGE.json and pictures/ come beside it.
    """
    rows = finished(results)
    if not rows:
        return
    page.parent.mkdir(parents=True, exist_ok=True)
    rows_file = f"{page.stem}-rows.md"
    page.write_text(main_page(results, PICTURES, rows_file), "utf-8")
    page.with_name(rows_file).write_text(rows_page(results), "utf-8")
    told = json.dumps(summary(results), indent=2, ensure_ascii=False)
    page.with_suffix(".json").write_text(told + "\n", "utf-8")
    folder = page.parent / PICTURES
    draw_ratios(rows, folder / "ratios.png")
    draw_floor(rows, folder / "floor.png")
    draw_growth(rows, folder / "growth.png")


def summary(results: Results) -> dict[str, object]:
    """What was wanted and measured, and the rows where a peer is ahead."""
    rows = finished(results)
    return {
        "header": results.header,
        "rows": len(results.rows),
        "aims": [asdict(aim) for aim in aims(results)],
        "behind": {row.key: dict([row.closest]) for row in behind(rows)},
        "failed": lost(results),
    }


if __name__ == "__main__":
    words = sys.argv[1:]
    source = Path(words[0]) if words else ROOT / "artifacts" / "bench" / "grid.jsonl"
    target = Path(words[1]) if len(words) > 1 else ROOT / "docs" / "performance.md"
    make_page(read_results(source), target)
