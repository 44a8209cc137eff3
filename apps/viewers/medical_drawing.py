"""The planes of a case: which slices are sent to the browser, and what comes back from it.

`medical_planes.js` draws them. Only slices that are shown are rendered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from apps.items import visible
from apps.viewers import medical_slices as slices
from apps.viewers.medical_case import Labels, Place, Seen
from apps.viewers.medical_controls import BESIDE, FILL, OFF, OUTLINE, Controls, set_window
from apps.viewers.medical_slices import PLANES, Plane, slice_of
from apps.viewers.medical_windows import grey
from pipelines.medical.colours import colour

PLACE, HIDDEN, COMPONENT = "medical place", "medical hidden", "medical planes"
OBLIQUE_DEGREES = 0.5
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "medical_planes",
    html='<div class="view"></div>',
    css=(_HERE / "medical_planes.css").read_text(encoding="utf-8"),
    js=(_HERE / "medical_planes.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is to be seen of a case. key: of the item. unit: of the image's numbers.

    truth, doubt: None where there is none, or it is not wanted. values: of the labels, by name; sizes: what
    the legend says of each. current: the value of the structure that is judged; agreement: its Dice.
    """

    key: str
    image: Seen
    unit: str
    mask: Labels
    truth: Labels | None
    doubt: NDArray[np.uint8] | None
    values: Mapping[str, int]
    sizes: Mapping[str, str]
    current: int
    agreement: str = ""


def draw(shown: Shown, chosen: Controls) -> None:
    """Draw the planes through the place of the cross, which is in the structure at first."""
    at = _place(shown)
    hidden = st.session_state.get(HIDDEN, frozenset())
    data = {
        "key": shown.key,
        "at": at,
        "shape": shown.image.shape,
        "spacing": shown.image.spacing,
        "window": (chosen.level, chosen.width),
        "outlined": chosen.mask == OUTLINE,
        "pictures": pictures(shown, chosen, at, hidden),
        "planes": _planes(shown, chosen),
        "readout": readout(shown, at),
        "legend": _legend(shown, hidden),
    }
    _component(
        key=COMPONENT,
        data=data,
        on_at_change=_moved,
        on_window_change=_windowed,
        on_hidden_change=_hid,
    )


def pictures(shown: Shown, chosen: Controls, at: Place, hidden: Collection[int]) -> dict[str, str]:
    """PNG in base64 by plane and layer, such as `axial mask`."""
    made = {}
    for plane in PLANES:
        across, down = shown.image.spacing[plane.across], shown.image.spacing[plane.down]
        cut = slice_of(shown.image.array, plane, at)
        made[f"{plane.name} image"] = slices.png(grey(cut, chosen.level, chosen.width))
        if shown.doubt is not None:
            made[f"{plane.name} doubt"] = slices.png(slices.heat(slice_of(shown.doubt, plane, at)))
        for name, labels, style in _masks(shown, chosen):
            cut = slice_of(labels.array, plane, at)
            most = int(np.iinfo(cut.dtype).max)
            colours = slices.palette(shown.values, hidden, shown.current, most)
            if style == FILL:
                layer = slices.fill(cut, colours)
            elif name == "line":
                layer = slices.white_outline(cut, colours[:, 3] > 0, (across, down))
            else:
                layer = slices.outline(cut, colours, (across, down))
            made[f"{plane.name} {name}"] = slices.png(layer)
    return made


def readout(shown: Shown, at: Place) -> list[tuple[str, str]]:
    """What is under the cross, in words: where it is, in the patient and in the file, and what is there."""
    names = {value: name for name, value in shown.values.items()} | {0: "background"}
    value = float(shown.image.array[at])
    told = [
        ("Place", f"{_in_patient(shown.image.mm(at))} mm"),
        ("Voxel", ", ".join(map(str, shown.image.index(at)))),
        ("Value", f"{value:.6g}{shown.unit}"),
        ("Mask", _name(names, int(shown.mask.array[at]))),
    ]
    if shown.truth is not None:
        told.append(("Truth", _name(names, int(shown.truth.array[at]))))
    if shown.doubt is not None:
        told.append(("Uncertainty", f"{int(shown.doubt[at]) / 255:.0%}"))
    if shown.agreement:
        told.append(("Dice", shown.agreement))
    if shown.image.tilt > OBLIQUE_DEGREES:
        told.append(("Oblique", f"by {shown.image.tilt:.0f}°; letters are the nearest"))
    return told


def _place(shown: Shown) -> Place:
    """Where the cross is; for another item, in the middle of its structure."""
    key, at = st.session_state.get(PLACE, ("", None))
    if key != shown.key or at is None:
        at = shown.mask.middle(shown.current)
        st.session_state[PLACE] = shown.key, at
    a, b, c = (min(max(int(one), 0), side - 1) for one, side in zip(at, shown.image.shape, strict=True))
    return a, b, c


def _masks(shown: Shown, chosen: Controls) -> list[tuple[str, Labels, str]]:
    """Layers of labels: name, labels, and how they are drawn."""
    layers = [] if chosen.mask == OFF else [("mask", shown.mask, chosen.mask)]
    if shown.truth is not None and chosen.truth == OUTLINE:
        layers.append(("line", shown.truth, OUTLINE))
    if shown.truth is not None and chosen.truth == BESIDE:
        layers.append(("truth", shown.truth, FILL if chosen.mask == OFF else chosen.mask))
    return layers


def _planes(shown: Shown, chosen: Controls) -> list[dict[str, Any]]:
    beside = shown.truth is not None and chosen.truth == BESIDE
    planes = []
    for plane in PLANES:
        if beside:
            planes.append(_described(plane, f"{plane.name}, mask", ["image", "mask", "doubt"]))
            planes.append(_described(plane, f"{plane.name}, truth", ["image", "truth"]))
        else:
            planes.append(_described(plane, plane.name, ["image", "mask", "doubt", "line"]))
    return planes


def _described(plane: Plane, title: str, layers: list[str]) -> dict[str, Any]:
    return {
        "plane": plane.name,
        "title": title,
        "cut": plane.cut,
        "across": plane.across,
        "down": plane.down,
        "letters": list(plane.letters),
        "layers": layers,
    }


def _legend(shown: Shown, hidden: Collection[int]) -> list[dict[str, Any]]:
    return [
        {
            "value": value,
            "name": visible(name),
            "colour": "#{:02x}{:02x}{:02x}".format(*colour(number)),
            "note": shown.sizes.get(name, ""),
            "shown": value not in hidden,
            "current": value == shown.current,
        }
        for number, (name, value) in enumerate(shown.values.items())
    ]


def _in_patient(mm: tuple[float, float, float]) -> str:
    pairs = zip(mm, ("RL", "AP", "SI"), strict=True)
    return " · ".join(f"{letters[value < 0]} {abs(value):.1f}" for value, letters in pairs)


def _name(names: Mapping[int, str], value: int) -> str:
    return visible(names.get(value, f"value {value}"))


def _moved() -> None:
    at = st.session_state[COMPONENT].at
    key, _ = st.session_state.get(PLACE, ("", None))
    if _numbers(at, 3):
        st.session_state[PLACE] = key, tuple(int(one) for one in at)


def _windowed() -> None:
    window = st.session_state[COMPONENT].window
    if _numbers(window, 2):
        set_window(*window)


def _hid() -> None:
    hidden = st.session_state[COMPONENT].hidden
    if isinstance(hidden, list):
        st.session_state[HIDDEN] = frozenset(one for one in hidden if isinstance(one, int))


def _numbers(given: object, count: int) -> bool:
    """Whether the browser sent this many finite numbers."""
    return (
        isinstance(given, list)
        and len(given) == count
        and all(isinstance(one, int | float) and abs(one) < 1e12 for one in given)
    )
