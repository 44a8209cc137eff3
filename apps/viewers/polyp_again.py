"""The model asked again, with the frames and boxes as a reviewer left them. Free of Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apps.items import Run, visible
from apps.viewers.polyp_case import SizedFrame, Sources, boxed, folder_of
from apps.viewers.polyp_marks import Marks
from pipelines.common.errors import UserError

if TYPE_CHECKING:
    from pipelines.polyp.size.predict import Predictor

MOST: Final = 60  # frames: a person waits for the answer


def can_ask(run: Run, frames: Sequence[SizedFrame]) -> bool:
    """Whether the model of the run is at hand, and the frames are few enough to wait for it."""
    folder = run.record.get("model_folder")
    at_hand = not folder or Path(str(folder)).is_dir()
    return at_hand and isinstance(run.record.get("model"), dict) and len(frames) <= MOST


def ask_again(
    run: Run, frames: Sequence[SizedFrame], sources: Sources, marks: Marks
) -> tuple[str, float | None]:
    """What the model says of the frames that are in, in words, and the size in mm, None without one.

    The lesion is given by boxes alone where they were changed or a model had found them. Raises UserError if
    the model is gone or is another one, or if no frame is in.
    """
    from pipelines.polyp.aggregate import size_polyp
    from pipelines.polyp.size.look import look_at

    predictor = _predictor(run)
    chosen = [one for one in frames if marks.of(one).is_in(one) and one.name in sources.refs]
    if not chosen:
        raise UserError("no frame is in")
    refs = [boxed(sources.refs[one.name], one, marks.of(one).box_of(one)) for one in chosen]
    camera = (predictor.camera or sources.polyp.camera) if predictor.knows_cameras else None
    looks = look_at(refs, predictor, camera, finder=None, told=lambda share: None)
    asked = {one.name for one in chosen if marks.of(one).use}
    sizes = [
        replace(size, reason="") if size.name in asked and look.answer else size
        for look in looks
        for size in (look.size(),)
    ]
    config = predictor.config
    found = size_polyp(
        sizes,
        predictor.model.calibration,
        confidence=config.confidence,
        least_frames=config.least_frames,
    )
    if found.mm is None:
        return f"no size: {found.abstained}", None
    interval = "" if found.low is None or found.high is None else f" ({found.low:.1f} to {found.high:.1f})"
    return f"{found.mm:.1f} mm{interval} from {len(found.used)} frames, {found.decision}", found.mm


def _predictor(run: Run) -> Predictor:
    """The model of the run. Raises UserError if it is another one now."""
    config: Any = dict(run.record.get("config") or {})
    if config.get("calibration"):
        config["calibration"] = str(folder_of(run) / config["calibration"])
    model = str(run.record.get("model_folder") or config.get("model") or "auto")
    predictor = _loaded(
        model, tuple(sorted((name, config.get(name)) for name in _SETTINGS if name in config))
    )
    if predictor.model.sha256 != run.record["model"].get("sha256"):
        raise UserError(f"the model {visible(model)} has changed since the run")
    return predictor


_SETTINGS: Final = (
    "engine",
    "calibration",
    "depth_model",
    "least_frames",
    "confidence",
    "max_pixels",
    "precision",
)


@lru_cache(maxsize=1)
def _loaded(model: str, settings: tuple[tuple[str, Any], ...]) -> Predictor:
    from pipelines.polyp.size.config import PredictConfig
    from pipelines.polyp.size.predict import Predictor

    return Predictor.load(PredictConfig.model_validate({**dict(settings), "model": model, "finder": "none"}))
