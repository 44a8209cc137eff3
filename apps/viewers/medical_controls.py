"""What a person may set above the planes of a case: window, mask, truth, uncertainty, channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from apps.items import visible
from apps.viewers.medical_windows import Window

OWN = "own"
FILL, OUTLINE, BESIDE, OFF = "fill", "outline", "beside", "off"
NAME, LEVEL, WIDTH, IMAGE = "medical window", "medical level", "medical width", "medical image"


@dataclass(frozen=True, slots=True)
class Controls:
    """level, width: numbers of the image. mask: FILL, OUTLINE or OFF. truth: OUTLINE, BESIDE or OFF."""

    channel: int
    level: float
    width: float
    mask: str
    truth: str
    doubt: bool


def controls(
    image: tuple[object, ...],
    presets_of: Callable[[int], Mapping[str, Window]],
    *,
    channels: Sequence[str],
    truth: bool,
    doubt: bool,
) -> Controls:
    """Draw the fields, and say what is chosen.

    image: what tells one case from the others; a window of one's own is for one case. presets_of: the windows
    of a channel. truth, doubt: whether there is any.
    """
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="medical-controls")
    channel = 0
    if len(channels) > 1:
        channel = row.selectbox(
            "Image",
            range(len(channels)),
            format_func=lambda one: visible(channels[one]),
            key="medical channel",
            width=120,
        )
    presets = presets_of(channel)
    _renew((*image, channel), presets)
    row.selectbox("Window", [*presets, OWN], key=NAME, on_change=_preset, args=(presets,), width=125)
    span = max(one[1] for one in presets.values())
    step = float(f"{span / 100:.1g}")
    row.number_input("Level", key=LEVEL, step=step, format="%.4g", on_change=_own, width=78)
    row.number_input(
        "Width", key=WIDTH, step=step, min_value=span / 1e6, format="%.4g", on_change=_own, width=78
    )
    mask = row.segmented_control("Mask", [FILL, OUTLINE, OFF], default=FILL, key="medical mask")
    shown = None
    if truth:
        shown = row.segmented_control("Truth", [OUTLINE, BESIDE, OFF], default=OUTLINE, key="medical truth")
    unsure = doubt and row.toggle("Uncertainty", key="medical doubt", width="content")
    return Controls(
        channel,
        float(st.session_state[LEVEL]),
        float(st.session_state[WIDTH]),
        mask or OFF,
        shown or OFF,
        bool(unsure),
    )


def set_window(level: float, width: float) -> None:
    """A window of one's own, as by the mouse."""
    st.session_state[LEVEL] = float(f"{level:.4g}")
    st.session_state[WIDTH] = max(float(f"{width:.4g}"), 1e-6)
    _own()


def _renew(image: tuple[object, ...], presets: Mapping[str, Window]) -> None:
    """For another image, its own numbers for the preset that was chosen, or for its first."""
    if st.session_state.get(IMAGE) == image and LEVEL in st.session_state:
        return
    st.session_state[IMAGE] = image
    if st.session_state.get(NAME) not in presets:
        st.session_state[NAME] = next(iter(presets))
    _preset(presets)


def _preset(presets: Mapping[str, Window]) -> None:
    if (found := presets.get(st.session_state[NAME])) is not None:
        st.session_state[LEVEL], st.session_state[WIDTH] = found


def _own() -> None:
    st.session_state[NAME] = OWN
