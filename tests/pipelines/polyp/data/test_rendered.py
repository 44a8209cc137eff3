"""What the renderer writes is read as it was meant, to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.polyp.data import Frame, frames_of, read_dataset, read_frames
from pipelines.polyp.render.layout import LESION_COLUMNS, VIDEO_COLUMNS, json_text, table, write_frame
from tests.pipelines.polyp.made import noise


def test_a_rendered_recording(tmp_path: Path) -> None:
    shape = np.zeros((30, 40), bool)
    shape[5:18, 7:31] = True
    depth = np.linspace(3, 60, 1_200, dtype=np.float32).reshape(30, 40)
    for number, mask in enumerate((shape, np.zeros_like(shape))):
        write_frame(tmp_path, "001-001", number, noise(30, 40), depth, mask, 95)
    videos = [{"unique_video_name": "001-001", "fps": 25, "num_frames": 2, "num_lesions": 1}]
    lesions = [
        {
            "unique_object_id": "001-001_1",
            "unique_video_name": "001-001",
            "size [mm]": 7.31,
            "site": "cecum",
            "shape": "sessile",
        }
    ]
    (tmp_path / "video_info.csv").write_text(table(VIDEO_COLUMNS, videos))
    (tmp_path / "lesion_info.csv").write_text(table(LESION_COLUMNS, lesions))
    camera = {"width": 40, "height": 30, "fx": 25.0, "fy": 25.0, "cx": 19.5, "cy": 14.5, "k1": -0.2}
    (tmp_path / "001-001_calibration.json").write_text(json_text(camera))

    found = read_dataset(tmp_path)
    assert (found.layout, found.notes) == ("real-colon", ())
    (polyp,) = found.polyps
    assert (polyp.size_mm, polyp.shape, polyp.site) == (7.31, "sessile", "cecum")
    assert polyp.camera is not None and (polyp.camera.cx, polyp.camera.cy, polyp.camera.k1) == (20, 15, -0.2)
    (frame,) = read_frames(frames_of(polyp).frames)
    assert isinstance(frame, Frame) and frame.notes == ()
    assert frame.box == (7, 5, 31, 18)
    assert frame.mask is not None and frame.depth is not None
    np.testing.assert_array_equal(frame.mask, shape)
    np.testing.assert_allclose(frame.depth, depth, atol=0.0051)
    assert [len(one.others) for one in frames_of(found.recordings[0]).frames] == [1, 0]
