"""A recipe folder with references and decode folders, written as stages 1 and 6 write them."""

import pytest

from asl.common.files import write_json
from asl.common.jsonl import write_jsonl


class Folder:
    """``data/val`` with the references given, and decode folders beside it."""

    def __init__(self, path):
        self.path, self.data = path, path / "data"

    def references(self, texts, split="val", **report):
        rows = [
            {"id": key, "recording_id": key, "text": text, "speaker": "s1"} for key, text in texts.items()
        ]
        write_jsonl(self.data / split / "supervisions.jsonl.gz", rows)
        if report:
            write_json(self.data / "report.json", report)

    def decode(self, readings, name="exp/softmax/decode_val", **about):
        """``readings``: id -> text, or the list of texts of an n-best list; ``about`` becomes decode.json."""
        rows = []
        for key, texts in readings.items():
            texts = [texts] if isinstance(texts, str) else texts
            best = texts[0] if texts else ""
            nbest = [{"text": text, "score": -float(i)} for i, text in enumerate(texts)]
            rows.append({"id": key, "text": best, "words": best.split(), "score": -1.0, "nbest": nbest})
        folder = self.path / name
        write_jsonl(folder / "hyp.jsonl", rows)
        if about:
            write_json(folder / "decode.json", about)
        return str(folder)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
