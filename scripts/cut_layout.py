"""Where the boxes of a half go: rows from inputs to outputs, long edges through gaps of their own.

Rows are the longest ways from an input, as in Sugiyama's drawings; an edge that skips rows takes a
narrow place in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cut_graph import Half

__all__ = ["Place", "Plan", "lay_out"]

BOX, PORT = 66.0, 36.0  # heights
A_STATE = 44.0  # height that a state's loop takes
WIDEST, LANE, APART, BETWEEN = 164.0, 12.0, 14.0, 34.0
Edge = tuple[str, str]


@dataclass(frozen=True)
class Place:
    """Where an item is."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def centre(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class Plan:
    """Places of boxes and ports by key, and the places every edge goes through."""

    places: dict[str, Place]
    routes: dict[Edge, list[Place]]
    bottom: float


def lay_out(half: Half, left: float, right: float, top: float) -> Plan:
    """Place everything between left and right, from the top down."""
    ranks = _ranks(half)
    rows: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for item, rank in ranks.items():
        rows[rank].append(item)
    ways = {edge: _lanes(edge, ranks, rows) for edge in half.edges if edge[0] in ranks}
    _order(half, rows, ways)
    places: dict[str, Place] = {}
    y = top
    for row in rows:
        height = max(_height(half, item) for item in row)
        places |= _row(half, row, left, right, y, height)
        y += height + BETWEEN
    routes = {edge: [places[item] for item in way] for edge, way in ways.items()}
    kept = {item: place for item, place in places.items() if item in ranks}
    return Plan(kept, routes, y - BETWEEN)


def _ranks(half: Half) -> dict[str, int]:
    forward: list[Edge] = []
    for edge in half.edges:
        if not _reaches(forward, edge[1], edge[0]):  # else a layer is entered twice: a circle
            forward.append(edge)
    rank = dict.fromkeys(half.boxes, 1)
    for _ in half.boxes:
        for a, b in forward:
            if b in rank:
                rank[b] = max(rank[b], rank.get(a, 0) + 1)
    for port in half.inputs:
        rank[port.name] = min((rank[b] for a, b in half.edges if a == port.name), default=1) - 1
    last = max(rank.values()) + 1
    return rank | {port.name: last for port in half.outputs}


def _reaches(edges: list[Edge], start: str, end: str) -> bool:
    seen, found = set(), {start}
    while found - seen:
        seen |= found
        found |= {b for a, b in edges if a in seen}
    return end in found


def _lanes(edge: Edge, ranks: dict[str, int], rows: list[list[str]]) -> list[str]:
    """The edge's items from row to row; a lane is made in every row between."""
    start, end = edge
    way = [start]
    for rank in range(ranks[start] + 1, ranks[end]):
        way.append(f"{start} → {end} @{rank}")
        rows[rank].append(way[-1])
    return [*way, end]


def _order(half: Half, rows: list[list[str]], ways: dict[Edge, list[str]]) -> None:
    """Items below what feeds them; those that hand over stand at the border."""
    above: dict[str, list[str]] = {}
    for way in ways.values():
        for a, b in pairwise(way):
            above.setdefault(b, []).append(a)
    border = dict.fromkeys(half.gives.values(), 0.3)
    if half.reads:
        border = {key: -0.3 for keys in half.reads.values() for key in keys}
    where: dict[str, float] = {}
    for row in rows:
        means = {
            item: sum(where.get(a, 0) for a in over) / len(over) if (over := above.get(item)) else 0
            for item in row
        }
        wished = {item: mean + border.get(item, 0.0) for item, mean in means.items()}
        row.sort(key=wished.__getitem__)
        where |= {item: i - (len(row) - 1) / 2 for i, item in enumerate(row)}


def _height(half: Half, item: str) -> float:
    if item not in half.boxes:
        return PORT
    states = sum(item in half.reads.get(state.input, ()) for state in half.form.states)
    return max(BOX, 14 + A_STATE * states)


def _row(
    half: Half, row: list[str], left: float, right: float, y: float, tall: float
) -> dict[str, Place]:
    lanes = [item for item in row if "→" in item]
    boxes = len(row) - len(lanes)
    room = right - left - APART * (len(row) - 1) - LANE * len(lanes)
    width = min(WIDEST, room / max(boxes, 1))
    used = width * boxes + LANE * len(lanes) + APART * (len(row) - 1)
    x, places = (left + right - used) / 2, {}
    for item in row:
        wide = LANE if item in lanes else width
        height = tall if item in lanes else _height(half, item)
        places[item] = Place(x, y + (tall - height) / 2, wide, height)
        x += wide + APART
    return places
