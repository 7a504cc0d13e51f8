"""The cut as an SVG: the encoder's boxes on the left, the decoder's on the right, the border."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from cut_graph import Box, Half
from cut_layout import Place, Plan, lay_out

if TYPE_CHECKING:
    from rnnport.spec import Port

__all__ = ["svg"]

WIDTH, TOP = 900.0, 104.0
LEFT_HALF, RIGHT_HALF = (22.0, 296.0), (512.0, 770.0)
BORDER, PILL = 402.0, (164.0, 40.0)
STATE, CONTEXT, LINE, INK, QUIET = "#b45309", "#6d28d9", "#64748b", "#1f2937", "#6b7280"
FILL = {STATE: "#fef3c7", CONTEXT: "#ede9fe"}
SANS = "-apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
WIDE = 6.7  # of a letter at 11 px, in MONO


@dataclass(frozen=True)
class Handed:
    """A tensor that crosses the border."""

    port: Port
    colour: str
    source: str
    readers: list[str]

    @property
    def says(self) -> str:
        return "state" if self.colour == STATE else "context"


def svg(name: str, encoder: Half, decoder: Half) -> str:
    """The whole picture."""
    left = lay_out(encoder, *LEFT_HALF, TOP)
    right = lay_out(decoder, *RIGHT_HALF, TOP)
    handed = _handed(encoder, decoder)
    heights = _pill_heights(handed, left, right)
    bottom = max(left.bottom, right.bottom, *(y + PILL[1] / 2 for y in heights.values())) + 18
    parts = [_frame(encoder, decoder, bottom)]
    parts += [_edges(left), _edges(right)]
    parts += [_crossing(one, heights[one.port.name], left, right, handed) for one in handed]
    parts += [_half(encoder, left), _half(decoder, right), _loops(decoder, right)]
    parts += [_pill(one, heights[one.port.name]) for one in handed]
    parts.append(_legend({one.colour for one in handed}, bool(decoder.form.states), bottom + 26))
    label = f"{name}: encoder.onnx, decoder.onnx and what crosses between them"
    return _document(label, bottom + 46, parts)


def _handed(encoder: Half, decoder: Half) -> list[Handed]:
    starts = {state.start: state.input for state in decoder.form.states if state.start}
    return [
        Handed(
            port,
            STATE if port.name in starts else CONTEXT,
            encoder.gives[port.name],
            decoder.reads.get(starts.get(port.name, port.name), []),
        )
        for port in encoder.form.outputs
    ]


def _pill_heights(handed: list[Handed], left: Plan, right: Plan) -> dict[str, float]:
    """Centres between what makes a tensor and what reads it, pushed apart."""

    def wish(one: Handed) -> float:
        ends = [left.places[one.source], *(right.places[key] for key in one.readers[:1])]
        return sum(end.centre for end in ends) / len(ends)

    found, floor = {}, TOP + PILL[1] / 2
    wished = sorted(handed, key=wish)
    # A crowd stands around the middle of its wishes, as far as the top lets it.
    crowd = (len(wished) - 1) * (PILL[1] + 10)
    middle = sum(map(wish, wished)) / max(len(wished), 1)
    floor = max(floor, min(middle - crowd / 2, wish(wished[0]))) if wished else floor
    for one in wished:
        found[one.port.name] = max(floor, wish(one) if crowd < 60 else floor)
        floor = found[one.port.name] + PILL[1] + 10
    return found


def _frame(encoder: Half, decoder: Half, bottom: float) -> str:
    tall = bottom - 44
    panels = "".join(
        f'<rect x="{x}" y="44" width="{wide}" height="{tall:.0f}" rx="12" fill="#f8fafc" '
        'stroke="#cbd5e1"/>'
        for x, wide in ((14, 290), (500, 386))
    )
    heads = "".join(
        f'<text x="{x}" y="70" font-size="15" font-weight="600" fill="{INK}">{head}</text>'
        f'<text x="{x}" y="88" font-size="12" fill="{QUIET}">{said}, {_bytes(half)}</text>'
        for x, head, said, half in (
            (30, "encoder.onnx", "once a source", encoder),
            (516, "decoder.onnx", "at every step", decoder),
        )
    )
    border = (
        f'<line x1="{BORDER}" y1="44" x2="{BORDER}" y2="{bottom:.0f}" stroke="{LINE}" '
        'stroke-dasharray="2 6" stroke-linecap="round" stroke-width="2"/>'
        f'<text x="{BORDER}" y="30" text-anchor="middle" font-size="13" fill="{QUIET}">'
        "the cut</text>"
    )
    return panels + heads + border


def _bytes(half: Half) -> str:
    size = half.form.record.size + sum(record.size for record in half.form.data)
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _edges(plan: Plan) -> str:
    """Arrows from row to row; those that end at one item stand side by side."""
    drawn = []
    for (_, end), way in plan.routes.items():
        ends = sorted((w[-2].middle for e, w in plan.routes.items() if e[1] == end))
        offset = (ends.index(way[-2].middle) - (len(ends) - 1) / 2) * 20
        points = [(way[0].middle, way[0].bottom)]
        for lane in way[1:-1]:
            points += [(lane.middle, lane.y), (lane.middle, lane.bottom)]
        points.append((way[-1].middle + offset, way[-1].y - 2))
        drawn.append(_path(_down(points), LINE, "flow"))
    return "".join(drawn)


def _down(points: list[tuple[float, float]]) -> str:
    d = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (x2, y2) in pairwise(points):
        half = (y2 - y) / 2
        d += f" C{x:.1f} {y + half:.1f} {x2:.1f} {y2 - half:.1f} {x2:.1f} {y2:.1f}"
    return d


def _across(x: float, y: float, x2: float, y2: float) -> str:
    bend = (x2 - x) / 2
    return f"M{x:.1f} {y:.1f} C{x + bend:.1f} {y:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"


def _path(d: str, colour: str, tip: str, wide: float = 1.6) -> str:
    end = f' marker-end="url(#{tip})"' if tip else ""
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{wide}"{end}/>'


def _crossing(one: Handed, y: float, left: Plan, right: Plan, handed: list[Handed]) -> str:
    """From the box that makes it to its pill, and on to every box that reads it."""
    siblings = [other for other in handed if other.source == one.source]
    source = left.places[one.source]
    leave = _spread(source, siblings.index(one), len(siblings))
    d = _across(source.right, leave, BORDER - PILL[0] / 2, y)
    drawn = [_path(d, one.colour, "", 2)]
    for key in one.readers:
        reading = [other for other in handed if key in other.readers]
        enter = _spread(right.places[key], reading.index(one), len(reading))
        d = _across(BORDER + PILL[0] / 2, y, right.places[key].x - 3, enter)
        drawn.append(_path(d, one.colour, one.says, 2))
    return "".join(drawn)


def _spread(place: Place, index: int, count: int) -> float:
    return place.y + place.height * (index + 1) / (count + 1)


def _half(half: Half, plan: Plan) -> str:
    drawn = [_box(box, plan.places[key]) for key, box in half.boxes.items()]
    drawn += [_port(port, plan.places[port.name]) for port in (*half.inputs, *half.outputs)]
    return "".join(drawn)


def _box(box: Box, place: Place) -> str:
    nodes = "1 node" if len(box.ops) == 1 else f"{len(box.ops)} nodes"
    weights = f", {_count(box.numbers)} weights" if box.numbers > 1 else ""
    room = int((place.width - 10) / 6.3)
    size = min(13.0, (place.width - 10) / (0.62 * len(box.label)))
    counts = _cut(nodes + weights, int(place.width / 5.3))
    y = place.centre
    return (
        f'<g class="box"><title>{escape(f"{box.label}: {box.counts}")}</title>'
        f'<rect x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" '
        f'height="{place.height:.1f}" rx="8" fill="#dbeafe" stroke="#1d4ed8" stroke-width="1.4"/>'
        f"{_text(place.middle, y - 12, box.label, round(size, 1), '#1e3a8a', True)}"
        f"{_text(place.middle, y + 6, _cut(' · '.join(box.tells), room), 11.5, '#1e3a8a')}"
        f"{_text(place.middle, y + 23, counts, 10, QUIET)}</g>"
    )


def _count(number: int) -> str:
    return f"{number / 1e3:,.0f} k" if number >= 1e4 else f"{number:,}"


def _port(port: Port, place: Place) -> str:
    return (
        f'<g class="port"><rect x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" '
        f'height="{place.height:.1f}" rx="18" fill="#ffffff" stroke="{LINE}" stroke-width="1.2"/>'
        f"{_text(place.middle, place.centre - 2, port.name, 12.5, INK, True)}"
        f"{_text(place.middle, place.centre + 12, f'{port.dtype} {_shape(port)}', 10.5, QUIET)}</g>"
    )


def _pill(one: Handed, y: float) -> str:
    wide, tall = PILL
    return (
        f'<g class="{one.says}"><title>{escape(one.port.name)}</title>'
        f'<rect x="{BORDER - wide / 2}" y="{y - tall / 2:.1f}" width="{wide}" height="{tall}" '
        f'rx="9" fill="{FILL[one.colour]}" stroke="{one.colour}" stroke-width="1.4"/>'
        f"{_mono(BORDER, y - 3, _cut(one.port.name, int((wide - 8) / WIDE)), one.colour)}"
        f"{_text(BORDER, y + 12, f'{one.says} {_shape(one.port)}', 10.5, one.colour)}</g>"
    )


def _loops(decoder: Half, plan: Plan) -> str:
    """The way of every state from a step's end to the next one's beginning."""
    drawn = []
    for key in decoder.boxes:
        own = [s for s in decoder.form.states if key in decoder.reads.get(s.input, [])[:1]]
        place = plan.places[key]
        for i, state in enumerate(own):
            middle = place.y + place.height * (i + 0.5) / len(own)
            x, up, down = place.right, middle - 13, middle + 13
            d = f"M{x:.1f} {down:.1f} C{x + 40:.1f} {down:.1f} {x + 40:.1f} {up:.1f} "
            room = int((WIDTH - 18 - x - 36) / WIDE)
            names = "".join(
                _mono(x + 36, y + 4, _cut(name, room), STATE, "start")
                for name, y in ((state.input, up), (state.output, down))
            )
            title = f"<title>{escape(f'{state.output} becomes {state.input}')}</title>"
            path = _path(d + f"{x + 3:.1f} {up:.1f}", STATE, "state", 2)
            drawn.append(f'<g class="loop">{title}{path}{names}</g>')
    return "".join(drawn)


def _legend(colours: set[str], loops: bool, y: float) -> str:
    told = []
    if STATE in colours or loops:
        told.append((STATE, "state: starts the decoder, renewed at every step"))
    if CONTEXT in colours:
        told.append((CONTEXT, "context: the same at every step"))
    width = sum(len(says) * 6.1 + 40 for _, says in told)
    x, drawn = (WIDTH - width) / 2, []
    for colour, says in told:
        drawn.append(f'<rect x="{x:.0f}" y="{y - 9:.0f}" width="16" height="10" rx="3"')
        drawn.append(f' fill="{FILL[colour]}" stroke="{colour}"/>')
        drawn.append(_text(x + 24, y, says, 12, colour, anchor="start"))
        x += len(says) * 6.1 + 50
    return "".join(drawn)


def _shape(port: Port) -> str:
    return f"({', '.join(map(str, port.shape))})"


def _cut(words: str, room: int) -> str:
    return words if len(words) <= room else words[: max(room - 1, 1)] + "…"


def _mono(x: float, y: float, words: str, colour: str, anchor: str = "middle") -> str:
    style = f'font-family="{MONO}" font-size="11" font-weight="600"'
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} {style} fill="{colour}">{escape(words)}</text>'


def _text(
    x: float,
    y: float,
    words: str,
    size: float,
    colour: str,
    bold: bool = False,
    anchor: str = "middle",
) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place}{weight} fill="{colour}">{escape(words)}</text>'


def _document(label: str, height: float, parts: list[str]) -> str:
    tips = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="{size}" '
        f'markerHeight="{size}" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
        for name, colour, size in (
            ("flow", LINE, 6),
            ("state", STATE, 5),
            ("context", CONTEXT, 5),
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" '
        f'font-family="{SANS}" role="img" aria-label="{escape(label)}">\n'
        f'<defs>{tips}</defs>\n<rect width="{WIDTH:.0f}" height="{height:.0f}" rx="14" '
        'fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
