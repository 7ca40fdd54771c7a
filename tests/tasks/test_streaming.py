"""Streaming of landmarks: the same as offline, what is told on the way, what cannot be streamed."""

from fractions import Fraction

import numpy as np
import pytest
import torch
import yaml

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.jsonl import read_jsonl
from asl.corpora.manifests import Clip, write_manifests
from asl.data.importing import import_landmarks
from asl.data.storage import ArchiveReader
from asl.decoding.streaming import EndPointing
from asl.graph.engine import get_engine
from asl.graph.grammar import write_grammar
from asl.graph.lexicon import write_lexicon_fsts
from asl.graph.options import SearchOptions
from asl.landmarks.streaming import FeatureStream
from asl.lang.prepare import write_lang
from asl.models.streaming import EncoderStream
from asl.tasks import config as configs
from asl.tasks import streaming_command
from asl.tasks.decode import decode
from asl.tasks.networks import open_networks
from asl.tasks.posteriors import network_outputs
from asl.tasks.prior import prior
from asl.tasks.streaming import SignStream
from asl.tasks.streaming_command import stream
from asl.tasks.train import main as train
from tests.tasks.test_decode_graph import ARPA, UNIGRAM, sentence

CONFIG = """
task:
  class_path: CtcTask
  init_args:
    encoder: {{class_path: {encoder}}}
    dropout: 0.0
    optimizer: {{lr: 1e-2, warmup_steps: 3}}
data:
  pipeline: {{layout: hands42, frames: null, trim: false, causal: {causal}}}
  batch_size: 8
  num_buckets: 1
  num_workers: 0
trainer: {{max_epochs: {epochs}, accelerator: cpu, threads: 1}}
"""
ENCODERS = {
    "causal": "CausalTransformer, init_args: {dim: 16, part_dim: 8, blocks: 1, kernel: 5, ahead: [2, 1], back: 4, "
              "heads: 2, subsampling: 2, dropout: 0.0, drop_path: 0.0}",
    "tdnn": "Tdnn, init_args: {dim: 16, part_dim: 8, subsampling: 2}",
    "bilstm": "BiLstm, init_args: {hidden: 8, layers: 1, part_dim: 8}",
}


def signed(text, seed):
    """(frames, 2, 21, 3) float16: each word 8 frames with the right hand at its place, 4 of rest; -1 where not found."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(0).normal(0, 0.03, (1, 2, 21, 3))
    height = [0.0] * 4
    for word in text.split():
        height += [0.3 * (1 + list(UNIGRAM).index(word))] * 8 + [0.0] * 4
    place = np.array([[0.35, 0.3, 0.0], [0.65, 0.3, 0.0]])[None, :, None].repeat(len(height), axis=0)
    place[:, 0, 0, 1] += height
    hands = (shape + place + rng.normal(0, 0.01, (len(height), 2, 1, 3))).astype(np.float16)
    hands[rng.random((len(height), 2)) < 0.15] = -1
    return hands


def make_corpus(folder, **splits):
    """data/ with ``signed`` sentences, as stage 2 leaves it."""
    clips = []
    (folder / "corpus").mkdir()
    for split, count in splits.items():
        for i in range(count):
            clip = Clip(f"{split}{i:03d}", split, sentence(i), "here", folder / "corpus" / f"{split}{i:03d}.npy")
            array = signed(sentence(i), len(clips))
            np.save(clip.path, array)
            clip.num_frames, clip.fps = len(array), Fraction(25)
            clips.append(clip)
    write_manifests(clips, folder / "data", "ase")
    write_lang(list(UNIGRAM), folder / "data" / "lang")
    import_landmarks(str(folder / "data"))
    return folder / "data"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Sentences, networks that were trained on them (one of them until it knows words), and a graph of a unigram."""
    folder = tmp_path_factory.mktemp("recipe")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        data = make_corpus(folder, train=96, val=6, test=2)
        for name, encoder in ENCODERS.items():
            given = {"causal": str(name != "bilstm").lower(), "epochs": 8 if name == "causal" else 1}
            (folder / "conf.yaml").write_text(CONFIG.format(encoder=encoder, **given))
            train(["--config", "conf.yaml", "--exp", f"exp/{name}", *([] if name == "causal" else ["--overfit", "8"])])
        (folder / "G.arpa").write_text(ARPA.format("".join(f"{p}\t{word}\n" for word, p in UNIGRAM.items())))
        write_lexicon_fsts(data / "lang")
        write_grammar(data / "lang", "G.arpa")
        get_engine("kaldi").compile(data / "lang", "graph")
        prior("exp/causal")
    return folder


@pytest.fixture
def here(recipe, monkeypatch):
    monkeypatch.chdir(recipe)
    return recipe


def open_stream(exp, options=None, **more):
    """The stream of an experiment, its networks, and the val clips' landmarks by id."""
    networks = open_networks(exp, "data", "val", "graph")
    one, module = networks.loaded[0], networks.members[0].module
    engine = get_engine("kaldi")
    reader = ArchiveReader()
    clips = {cut.id: torch.from_numpy(reader.read(cut)).float().view(-1, 42, 3) for cut in module.cuts("val")}
    return SignStream(one.task, module.pipeline, engine, engine.load("graph"), options, **more), networks, clips


@pytest.mark.parametrize("chunk", [1, 8, 100])
@pytest.mark.parametrize("exp", ["exp/causal", "exp/tdnn"])
def test_log_probs_are_the_offline_ones(exp, chunk, here):
    signs, networks, clips = open_stream(exp, SearchOptions(beam=8.0))
    member = networks.members[0]
    with torch.no_grad():
        offline = {
            key: row[:length] for batch in network_outputs(member.task, member.module.loader("val"))
            for key, row, length in zip(batch.ids, batch.log_probs, batch.lengths.tolist())
        }  # fmt: skip
    for key, landmarks in clips.items():
        for first in range(0, len(landmarks), chunk):
            signs.accept(landmarks[first : first + chunk])
            frames, by = min(first + chunk, len(landmarks)), signs.task.subsampling
            assert len(signs.log_probs) == max(0, (frames - 1 - signs.look_ahead) // by + 1)
        so_far = signs.log_probs
        assert torch.allclose(so_far, offline[key][: len(so_far)], atol=1e-4) and offline[key].std() > 0.1
        signs._go_on(landmarks[:0], last=True)
        assert signs.log_probs.shape == offline[key].shape
        assert torch.allclose(signs.log_probs, offline[key], atol=1e-4)
        signs.reset()


@pytest.mark.parametrize("options", [
    {"lm_scale": 0.5, "insertion_penalty": -1.0, "acoustic_scale": 1.5, "max_active": 50}, {"prior_scale": 0.3},
    {"beam": 1e-3},
])
def test_the_command_gives_what_decode_gives(options, here):
    decode("exp/causal", method="graph", engine="kaldi", graph="graph", lattice=False, out="offline", **options)
    stream("exp/causal", graph="graph", chunk=5, out="streamed", **options)
    offline, streamed = (list(read_jsonl(f"{name}/hyp.jsonl")) for name in ("offline", "streamed"))
    assert len(streamed) == 6 and sum(len(row["words"]) for row in offline) > 4
    for one, other in zip(offline, streamed):
        assert one.pop("score") == pytest.approx(other.pop("score"), abs=1e-3)
        assert [h.pop("score") for h in one["nbest"]] == pytest.approx([h.pop("score") for h in other["nbest"]], abs=1e-3)
        assert one == other
    assert (here / "offline/hyp.ctm").read_text() == (here / "streamed/hyp.ctm").read_text()
    before, about = read_json("offline/decode.json"), read_json("streamed/decode.json")
    for key in ("system", "method", "task", "checkpoint", "searched", "widened", "empty"):
        assert before[key] == about[key], key
    for key, value in options.items():
        assert about["options"][key] == value
    main(["score", "--decode", "streamed", "--metric", "wer"])
    assert read_json("streamed/result.json")["method"] == "graph, kaldi, streaming"


def test_look_ahead_compute_and_partial_hypotheses_are_told(here, capsys):
    assert main(["stream", "--exp", "exp/causal", "--graph", "graph", "--chunk", "4", "--end-blank", "1",
                 "--tuned", "null"]) == 0  # fmt: skip
    said, folder = capsys.readouterr().out, here / "exp/causal/decode_val_stream"
    # 2 of the first stage, 1 of the average, 2 of the second stage; 3 for gaps; at 25 frames a second
    assert "look-ahead 8 frames, 320 ms: 3 of the features, 5 of the network" in said
    assert "processor time of a chunk of 4 frames on one core" in said
    assert "which hand is which" in said  # these hands came without names
    about = read_json(folder / "decode.json")
    assert about["hands_of_whole_clips"] and about["look_ahead"] == {"frames": 8, "features": 3, "network": 5, "milliseconds": 320.0}
    assert set(about["chunk_milliseconds"]) == {"features", "network", "search", "all"}
    assert all(ms["mean"] > 0 for ms in about["chunk_milliseconds"].values())
    rows = {row["id"]: row for row in read_jsonl(folder / "partial.jsonl")}
    ends = [row["ended"] for row in rows.values() if row["ended"] is not None]
    assert about["end_points"] == len(ends) and all(end % 4 == 0 or end > 16 for end in ends)
    assert len(rows) == 6 and any(row["partials"] for row in rows.values())
    for row in rows.values():
        assert all(p["stable"] <= len(p["text"].split()) for p in row["partials"])


def test_a_live_stream_ends_where_its_rules_say_and_begins_again(here):
    signs, _, clips = open_stream("exp/causal", SearchOptions(beam=8.0), end_pointing=EndPointing(None, None, longest=5))
    landmarks = clips["val005"]
    frames = 0
    while not signs.accept(landmarks[frames : frames + 1]).ended:
        frames += 1
    assert frames == 4 * signs.task.subsampling + signs.look_ahead
    first = signs.finish(0.08)
    assert len(first) == 1 and (not first[0].words or first[0].times[0][0] >= 0)
    again = [signs.accept(landmarks[t : t + 1]) for t in range(frames + 1)]
    assert [bool(p.ended) for p in again] == [False] * frames + [True]
    assert signs.finish(0.08)[0].words == first[0].words and signs.counts["searched"] == 2


def test_the_shipped_configuration_differs_from_ctc_s_in_what_looks_ahead_alone(root):
    read = lambda name: configs.read_config(root / f"egs/phoenix2014/conf/{name}.yaml")  # noqa: E731
    flat = [configs.flatten(yaml.safe_load(configs.dump(read(name)))) for name in ("ctc", "streaming")]
    differing = {key for key in {*flat[0], *flat[1]} if flat[0].get(key) != flat[1].get(key)}
    assert {key for key in differing if "encoder" not in key} == {"data.pipeline.init_args.causal"}
    config = read("streaming")
    pipeline = configs.instantiate_data(config).pipeline
    config.task.init_args.feature_parts, config.task.init_args.vocab_size = pipeline.feature_parts, 1101
    encoder = configs.instantiate_task(config).encoder
    assert (pipeline.look_ahead, encoder.look_ahead) == (3, 12)
    assert FeatureStream(pipeline) and isinstance(encoder.open_stream(), EncoderStream)


def test_what_cannot_be_streamed_is_refused(here, monkeypatch):
    with pytest.raises(AslError, match="data.pipeline.causal true"):
        stream("exp/bilstm", graph="graph")
    with pytest.raises(AslError, match="--chunk 0"):
        stream("exp/causal", graph="graph", chunk=0)
    with pytest.raises(AslError, match="holds no graph for the kaldi engine"):
        stream("exp/causal", graph="data")
    with pytest.raises(AslError, match="Module has no output for each frame"):
        SignStream(torch.nn.Module(), None, None, None)
    networks = open_networks("exp/causal", "data", "val", "graph")
    networks.loaded[0].config.data.extra = {"dir": "rgb", "dim": 3}
    monkeypatch.setattr(streaming_command, "open_networks", lambda *_: networks)
    with pytest.raises(AslError, match="second stream"):
        stream("exp/causal", graph="graph")


def test_test_is_noted(here):
    stream("exp/tdnn", graph="graph", split="test", beam=8.0)
    line = list(read_jsonl("exp/tdnn/test_log.jsonl"))[-1]
    assert line["engine"] == "kaldi, streaming" and line["split"] == "test"
    assert read_json("exp/tdnn/decode_test_stream/decode.json")["test_decodings"] >= 1
