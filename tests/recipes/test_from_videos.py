"""The recipe of one's own corpus, from videos: MediaPipe finds the people in them, and stage 2 does again what changed."""

import json
import os
import shutil

import pytest

from asl.common.jsonl import read_jsonl
from asl.data.storage import ArchiveReader, cut_fps, open_cuts

TABLE = """id,path,split,text,signer,start,end
wet,videos/69529.mp4,train,wet,118,,
what,videos/69531.mp4,train,what,118,,
first,test_video.mp4,train,wet,other,,1
second,test_video.mp4,val,what,other,1,
"""


@pytest.mark.corpora
@pytest.mark.slow
def test_videos_become_cuts_and_only_what_has_changed_is_extracted_again(corpora, make_recipe, run_shell, tmp_path):
    corpus = tmp_path / "corpus"
    (corpus / "videos").mkdir(parents=True)
    for name in ("wlasl/videos/69529.mp4", "wlasl/videos/69531.mp4", "pose/test_video.mp4"):
        shutil.copy(corpora / name, corpus / name.partition("/")[2])
    (corpus / "corpus.csv").write_text(TABLE)
    recipe = make_recipe()

    def run():
        done = run_shell(recipe / "run.sh", "--corpus-dir", corpus, "--stop-stage", "2", "--nj", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run()
    assert "4 clips are videos: stage 2 extracts their landmarks" in said and "asl landmarks extract" in said
    report = json.loads((recipe / "data/landmarks/extract.json").read_text())
    assert report["this_run"]["clips"] == 4 and report["failed"] == {}
    assert report["this_run"]["decoded"] == 60 + 63 + 58, "the two clips of one video cost one decoding"
    cuts = {cut.id: cut for split in ("train", "val") for cut in open_cuts(recipe / "data", split)}
    frames = {key: len(ArchiveReader().read(cut)) for key, cut in cuts.items()}
    assert (frames["wet"], frames["what"]) == (60, 63) and frames["first"] + frames["second"] == 58
    assert 29.9 < float(cut_fps(cuts["wet"])) < 30
    assert all(cut.supervisions[0].duration == pytest.approx(cut.duration) for cut in cuts.values())
    assert {row["id"] for row in read_jsonl(recipe / "data/val/supervisions.jsonl.gz")} == {"second"}

    assert run().count("skipped") == 3
    os.utime(corpus / "videos/69529.mp4", ns=(1, 1))  # another file of the same length
    said = run()
    assert "extracted: 1 clips (3 were there)" in said and "1 archives made" in said
