"""``asl landmarks draw``: a stored clip as a strip of frames."""

import pytest

from asl.common.errors import AslError
from asl.data.drawing import draw_cut


def test_a_stored_clip_is_drawn(imported, tmp_path):
    data = imported(train=2, val=1)
    draw_cut(str(data), "train", "train001", str(tmp_path / "a.png"), frames=4)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_clip_or_split_is_named(imported, tmp_path):
    data = imported(train=2, val=1)
    with pytest.raises(AslError, match="no clip 'train01'; did you mean 'train001'"):
        draw_cut(str(data), "train", "train01", str(tmp_path / "a.png"))
    with pytest.raises(AslError, match="test.*does not exist"):
        draw_cut(str(data), "test", "train001", str(tmp_path / "a.png"))
