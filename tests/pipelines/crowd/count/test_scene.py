"""Zones and the ground: sums, intervals, people per square metre."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.crowd.calibration import interval
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.count.scene import Measured, Scene, measure
from pipelines.crowd.data import CrowdError
from tests.pipelines.crowd.count.made_models import calibration


def found(height: int = 83, width: int = 130, seed: int = 0) -> CountMap:
    rng = np.random.default_rng(seed)
    shape = -(-height // 8), -(-width // 8)
    counts, variance = rng.gamma(0.5, 0.4, (2, *shape)).astype(np.float32)
    return CountMap(counts, 8, height, width, variance)


def zones(path: Path, **polygons: Any) -> Path:
    path.write_text(json.dumps([{"name": name, "polygon": one} for name, one in polygons.items()]))
    return path


def of(one: CountMap, scene: Scene, full_size: tuple[int, int] | None = None) -> Measured:
    return measure(one, scene.view(one, full_size or (one.width, one.height)), calibration())


LEFT, RIGHT = [[0, 0], [0.37, 0], [0.37, 1], [0, 1]], [[0.37, 0], [1, 0], [1, 1], [0.37, 1]]


def test_zones_that_tile_the_image_sum_to_it(tmp_path: Path) -> None:
    one = found()
    measured = of(one, Scene(zones(tmp_path / "z.json", left=LEFT, right=RIGHT)))
    assert list(measured.zones) == ["left", "right"]
    total = sum(area.count for area in measured.zones.values())
    assert total == pytest.approx(one.count) == pytest.approx(measured.whole.count)
    assert sum(area.share for area in measured.zones.values()) == pytest.approx(1)
    assert measured.whole.share == pytest.approx(1)


def test_intervals_follow_the_sums_of_variances_and_deviations(tmp_path: Path) -> None:
    one = found()
    assert one.variance is not None
    measured = of(one, Scene(zones(tmp_path / "z.json", all=[[0, 0], [1, 0], [1, 1], [0, 1]], left=LEFT)))
    whole = measured.whole
    variance, deviations = one.variance.sum(dtype=float), np.sqrt(one.variance).sum(dtype=float)
    assert (whole.low, whole.high) == pytest.approx(interval(one.count, variance, deviations, calibration()))
    everything, left = measured.zones["all"], measured.zones["left"]
    assert (everything.low, everything.high) == pytest.approx((whole.low, whole.high))
    assert whole.low is not None and whole.high is not None and left.low is not None and left.high is not None
    assert left.low <= left.count <= left.high
    assert left.high - left.low < whole.high - whole.low


def test_without_calibration_there_is_no_interval() -> None:
    one = found()
    whole = measure(one, Scene().view(one, (130, 83)), {}).whole
    assert (whole.low, whole.high) == (None, None) and whole.count == pytest.approx(one.count)


def test_a_scale_gives_people_per_square_metre(tmp_path: Path) -> None:
    one = found()
    measured = of(one, Scene.read(None, 10.0, None))
    assert measured.whole.area_m2 == pytest.approx(13.0 * 8.3)
    assert measured.people_per_m2 == pytest.approx(one.count / (13.0 * 8.3))
    measured = of(one, Scene.read(zones(tmp_path / "z.json", left=LEFT), 10.0, None))
    left = measured.zones["left"]
    assert left.area_m2 == pytest.approx(0.37 * 13.0 * 8.3)
    assert measured.people_per_m2 == pytest.approx(left.people_per_m2, rel=1e-6)


def test_an_image_read_at_half_its_size_has_the_same_zones_and_metres(tmp_path: Path) -> None:
    """Zones and ground are in px of the file, whatever the image was reduced to."""
    one = found(80, 128)
    polygon = [[20, 10], [200, 30], [180, 140], [40, 150]]
    (tmp_path / "z.json").write_text(json.dumps({"units": "pixels", "zones": [{"polygon": polygon}]}))
    large = of(one, Scene.read(tmp_path / "z.json", 20.0, None), (256, 160)).zones["zone 1"]
    halved = zones(tmp_path / "h.json", half=(np.array(polygon) / 2).tolist())
    small = of(one, Scene.read(halved, 10.0, None)).zones["half"]
    assert (large.count, large.area_m2, large.share) == pytest.approx(
        (small.count, small.area_m2, small.share)
    )


def test_a_zone_at_the_horizon_has_a_count_and_no_density(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    path.write_text(json.dumps({"homography": [[1, 0, 0], [0, 1, 0], [0, 0.05, -1]]}))
    scene = Scene.read(zones(tmp_path / "z.json", left=LEFT), None, path)
    one = found()
    measured = of(one, scene)
    assert measured.zones["left"].people_per_m2 is None and measured.zones["left"].count > 0
    assert "horizon" in measured.notes[0] and measured.people_per_m2 is None
    low = [[10, 60], [90, 60], [90, 80], [10, 80]]
    both = of(
        one, Scene.read(zones(tmp_path / "b.json", left=[[0, 0], [9, 0], [9, 80]], low=low), None, path)
    )
    assert both.people_per_m2 == pytest.approx(both.zones["low"].people_per_m2, rel=0.1)
    whole = of(one, Scene.read(None, None, path))
    assert whole.people_per_m2 is None and "draw zones" in whole.notes[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[", "JSON"),
        ('{"zones": []}', "it holds no zone"),
        ('[{"name": "a", "polygon": [[0, 0], [1, 1]]}]', "at least 3"),
        ('[{"name": "a", "polygon": [[0, 0], [9, 9], [9, 0], [0, 9]]}]', "crosses"),
        ('[{"name": "a", "polygon": [[-9, 0], [-2, 0], [-2, 9]]}]', "lies off the image"),
    ],
)
def test_zones_wrong_for_every_image_are_refused_at_once(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "z.json").write_text(content)
    with pytest.raises(CrowdError, match=words):
        Scene.read(tmp_path / "z.json", None, None)


def test_a_zone_off_one_image_is_wrong_for_that_one(tmp_path: Path) -> None:
    scene = Scene.read(zones(tmp_path / "z.json", far=[[500, 0], [600, 0], [600, 90]]), None, None)
    one = found()
    with pytest.raises(CrowdError, match="'far' lies off the image of 130 x 83 px"):
        scene.view(one, (130, 83))


def test_scale_and_homography_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(CrowdError, match="give one of them"):
        Scene.read(None, 10.0, tmp_path / "g.json")
