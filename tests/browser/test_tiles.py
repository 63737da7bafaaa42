"""The tiles of an overview fill their rows, however many there are and however wide the window is."""

import pytest
from playwright.sync_api import Browser

from tests.environment import ROOT

SHEETS = "".join((ROOT / "static" / "css" / f"{name}.css").read_text() for name in ("base", "overview"))
TILE = '<article class="tile"><p class="figure">−1,234 <span class="unit">credits</span></p></article>'
# For each row: how many tiles it has, and how many pixels are left over beside them.
ROWS = """
() => {
  const right = (element) => element.getBoundingClientRect().right;
  const edge = right(document.querySelector(".tiles"));
  const rows = Object.groupBy([...document.querySelectorAll(".tile")], (tile) => tile.offsetTop);
  return Object.values(rows).map((row) => [row.length, Math.round(edge - right(row.at(-1)))]);
}
"""


@pytest.mark.parametrize("count", range(1, 9))
def test_no_row_has_a_hole(chromium: Browser, count: int):
    page = chromium.new_page()
    page.set_content(
        f'<style>{SHEETS}</style><main class="overview"><div class="tiles">{TILE * count}</div></main>'
    )
    for width in range(320, 1601, 40):
        page.set_viewport_size({"width": width, "height": 800})
        rows = page.evaluate(ROWS)
        in_a_row = [tiles for tiles, left_over in rows]
        assert {left_over for tiles, left_over in rows} == {0}, (width, rows)
        assert sum(in_a_row) == count
        assert max(in_a_row) <= 4
        # No tile stands alone below three or four others.
        assert in_a_row[-1] > 1 or in_a_row[0] <= 2, (width, rows)
    page.close()
