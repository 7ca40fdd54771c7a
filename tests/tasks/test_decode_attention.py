"""Decoding translations: with the text decoder, with CTC beside it, with language models; and what is refused."""

import shutil
from fractions import Fraction

import numpy as np
import pytest
import torch

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.jsonl import read_jsonl, write_jsonl
from asl.corpora.manifests import Clip, write_manifests
from asl.data.importing import import_landmarks
from asl.lang.sentencepiece import read_pieces
from asl.scoring.score import score
from asl.tasks.attention import LM_SCALE, AttentionSetting, beam_options, refuse_foreign_options
from asl.tasks.decode import decode
from asl.tasks.networks import open_networks
from asl.tasks.tune_attention import tune_attention
from tests.data.conftest import two_hands
from tests.tasks.test_decode_options import DEFAULTS

SENTENCES = [
    "You go home now.", "Do you drink coffee?", "I don't go to the library.", "My home is here.", "Now, drink the tea!",
    "The library is not here.", "Do I go there?", "You don't drink tea.", "Is the coffee there?", "Go home.",
]  # fmt: skip
CONFIG = """
task:
  class_path: TranslateTask
  init_args:
    encoder: {{class_path: TransformerEncoder, init_args: {{dim: 16, part_dim: 8, layers: 1, heads: 2, feedforward: 32, subsampling: 2}}}}
    decoder: {{dim: 16, layers: 1, heads: 2, feedforward: 32, dropout: 0.0}}
    ctc_weight: {ctc_weight}
    label_smoothing: 0.0
    optimizer: {{lr: 1e-2, warmup_steps: 3}}
data: {{pipeline: {{layout: hands42, frames: null}}, batch_size: 10, num_buckets: 1, num_workers: 0}}
trainer: {{max_epochs: {epochs}, accelerator: cpu, threads: 1}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of sentences: data, lang, language models of pieces, exp/a and exp/b with CTC, exp/plain without."""
    folder = tmp_path_factory.mktemp("translate")
    (folder / "corpus").mkdir()
    clips = []
    for split, count in (("train", 20), ("val", 7)):
        for i in range(count):
            path, frames = folder / "corpus" / f"{split}{i:02d}.npy", 40 + 11 * i % 47
            np.save(path, two_hands(frames, seed=len(clips)))
            clip = Clip(path.stem, split, SENTENCES[i % len(SENTENCES)], "here", path, speaker=f"signer{i % 3}")
            clip.num_frames, clip.fps = frames, Fraction(25)
            clips.append(clip)
    write_manifests(clips, folder / "data", "ase")
    import_landmarks(str(folder / "data"))
    (folder / "train.txt").write_text("\n".join(SENTENCES) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main("lang sentencepiece --text train.txt --out data/lang --vocab-size 45 --type bpe --case keep".split())
        main("lang pieces --lang data/lang --text train.txt --out pieces.txt".split())
        main("lm train --text pieces.txt --order 3 --out pieces.arpa".split())
        main("lm train --text train.txt --order 2 --out words.arpa".split())
        main("lm neural --text pieces.txt --val-text pieces.txt --dim 8 --hidden 8 --epochs 2 --out neural".split())
        for name, seed, ctc_weight, epochs in (("a", 0, 0.3, 20), ("b", 1, 0.3, 20), ("plain", 0, 0.0, 1)):
            (folder / "conf.yaml").write_text(CONFIG.format(ctc_weight=ctc_weight, epochs=epochs))
            main(["train", "--config", "conf.yaml", "--exp", f"exp/{name}", "--seed", str(seed)])
    return folder


@pytest.fixture(autouse=True)
def there(request, monkeypatch):
    if "project" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("project"))


def nbests(folder):
    """id -> (texts, scores)."""
    return {
        row["id"]: ([h["text"] for h in row["nbest"]], [h["score"] for h in row["nbest"]])
        for row in read_jsonl(f"{folder}/hyp.jsonl")
    }


def assert_alike(one, other):
    assert one.keys() == other.keys()
    for clip, (texts, scores) in one.items():
        assert other[clip][0] == texts and other[clip][1] == pytest.approx(scores, abs=1e-4)


def test_auto_is_attention_and_the_folder_tells_all(project, capsys):
    decode("exp/a", out="auto")
    about = read_json("auto/decode.json")
    assert about["method"] == "attention" and about["task"] == "TranslateTask"
    assert about["options"] == {"beam_size": 5, "nbest": 5, "length_penalty": 1.0, "ctc_weight": 0.0, "max_length": 2.0,
                                "no_repeat": 0}  # fmt: skip
    assert about["sentences_per_second"] > 0 and set(about["counts"]) == {"cut_off"}
    rows = list(read_jsonl("auto/hyp.jsonl"))
    assert len(rows) == 7 and any(row["text"] for row in rows) and not (project / "auto/hyp.ctm").exists()
    for row in rows:
        assert row["words"] == row["text"].split() and "▁" not in row["text"] and row["times"] is None
        assert row["nbest"][0]["text"] == row["text"] and 1 <= len(row["nbest"]) <= 5
        texts = [h["text"] for h in row["nbest"]]
        assert len(set(texts)) == len(texts)
        scores = [h["score"] for h in row["nbest"]]
        assert scores == sorted(scores, reverse=True)
    cut = about["counts"]["cut_off"]
    assert (f"{cut} texts were cut off" in capsys.readouterr().out) == (cut > 0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ctc_weight": 0.4, "no_repeat": 2},
        {"lm": "pieces.arpa", "lm_scale": 0.4},
        {"lm": "neural", "ctc_weight": 0.2, "length_penalty": 0.8},
        {"method": "attention-rescoring", "lm": "pieces.arpa"},
    ],
)
def test_batches_are_decoded_as_clips_one_by_one(project, options):
    decode("exp/a", out="many", **options)
    decode("exp/a", out="one", batch_size=1, **options)
    assert_alike(nbests("many"), nbests("one"))
    told = read_json("many/decode.json")["options"]
    assert {name: told[name] for name in options if name != "method"} == {k: v for k, v in options.items() if k != "method"}
    if "lm" in options:
        assert told["lm_scale"] == options.get("lm_scale", LM_SCALE) and told["lm_unknown_tokens"] < 45
        decode("exp/a", out="without", **{k: v for k, v in options.items() if not k.startswith("lm")})
        assert nbests("without") != nbests("many")


def test_one_hypothesis_alone_is_greedy_and_its_score_the_networks_own(project):
    decode("exp/a", out="greedy", beam_size=1, length_penalty=0.0)
    networks = open_networks("exp/a", "data", "val")
    task, pieces = networks.loaded[0].task, read_pieces("data/lang")
    found = nbests("greedy")
    with torch.no_grad():
        for batch in networks.members[0].module.loader("val"):
            encoded = task.encode(batch)
            for row, clip in enumerate(batch["ids"]):
                memory, lengths = encoded.memory[row:row + 1], encoded.lengths[row:row + 1]
                state, token, ids, total = task.decoder.start(memory, lengths), 46, [], 0.0
                while True:
                    log_probs, state = task.decoder.step(torch.tensor([token]), state)
                    token = int(log_probs.argmax()) if len(ids) < max(10, 2 * int(lengths)) else 46
                    total += float(log_probs[0, token])
                    if token == 46:
                        break
                    ids.append(token)
                assert found[clip][0] == [pieces.decode(ids)] and found[clip][1] == pytest.approx([total], abs=1e-4)


def test_several_networks_and_views_are_averaged_step_by_step(project):
    decode("exp/a", out="one", beam_size=3)
    decode(["exp/a", "exp/b"], out="both", beam_size=3)
    decode(["exp/b", "exp/a"], out="turned", beam_size=3)
    decode(["exp/a", "exp/b"], out="views", beam_size=3, views=2, ctc_weight=0.3)
    assert_alike(nbests("both"), nbests("turned"))
    assert nbests("both") != nbests("one") and len(nbests("views")) == 7
    about = read_json("both/decode.json")
    assert about["networks"] == 2 and "seed" not in about


def test_ctcs_own_methods_give_detokenised_text(project):
    for method in ("greedy", "beam"):
        decode("exp/a", out=method, method=method)
        for row in read_jsonl(f"{method}/hyp.jsonl"):
            assert "▁" not in row["text"] and row["words"] == row["text"].split() and row["times"] is None
            texts = [h["text"] for h in row["nbest"]]
            assert len(set(texts)) == len(texts)
    main("lm train --text train.txt --order 2 --out G.arpa".split())
    main("graph compile --lang data/lang --grammar G.arpa --out exp/a/graph --engine kaldi".split())
    decode("exp/a", out="graph", method="graph", engine="kaldi")
    assert len(nbests("graph")) == 7


def test_what_the_second_pass_finds_is_what_beam_found_in_another_order(project):
    decode("exp/a", out="first", method="beam", beam_size=8, nbest=8)
    decode("exp/a", out="second", method="attention-rescoring", beam_size=8, nbest=8)
    first, second = nbests("first"), nbests("second")
    for clip, (texts, _) in first.items():
        assert set(second[clip][0]) == set(texts)
    assert any(second[clip][0] != texts for clip, (texts, _) in first.items())
    assert read_json("second/decode.json")["options"] == {
        "beam_size": 8, "nbest": 8, "length_penalty": 1.0, "ctc_weight": 0.5,
    }  # fmt: skip


def test_what_is_tuned_is_the_best_of_all_and_decodes_as_it_was_measured(project, capsys):
    grid = {"length_penalties": [0.5, 1.5], "ctc_weights": [0.0, 0.4], "lm_scales": [0.0, 0.3]}
    best = tune_attention("exp/a", lm="pieces.arpa", out="tuned", beam_size=3, **grid)
    rows = [line.split("\t") for line in (project / "tuned/points.tsv").read_text().splitlines()]
    assert rows[0] == ["length_penalty", "ctc_weight", "lm_scale", "bleu", "seconds"] and len(rows) == 9
    assert f"{best['bleu']:.2f}" == max((row[3] for row in rows[1:]), key=float) and best["at_the_edge_of"] == []
    assert "8 combinations on 7 sentences of val; the best: length penalty" in capsys.readouterr().out
    for row in (rows[1], rows[4], rows[8]):
        penalty, weight, scale = map(float, row[:3])
        fused = {"lm": "pieces.arpa", "lm_scale": scale} if scale else {}
        decode("exp/a", out="point", beam_size=3, nbest=1, length_penalty=penalty, ctc_weight=weight, **fused)
        main(["score", "--decode", "point", "--metric", "bleu"])
        assert read_json("point/result.json")["metrics"]["bleu"]["value"] == pytest.approx(float(row[3]), abs=0.006)
    decode("exp/a", out="best", tuned="tuned", length_penalty=0.7)
    options = read_json("best/decode.json")["options"]
    assert options["beam_size"] == 3, "as wide as it was tuned with"
    assert options["length_penalty"] == 0.7 and options["ctc_weight"] == best["ctc_weight"]
    assert options.get("lm_scale", 0.0) == best["lm_scale"]
    assert "was found with" not in capsys.readouterr().out
    shutil.copytree("exp/a", "exp/another")
    decode("exp/another", out="other", tuned="tuned")
    assert "best.json was found with a, and another is decoded" in capsys.readouterr().out
    with pytest.raises(AslError, match=r"--tuned tuned: method attention-rescoring .*or attention \(asl tune attention\)"):
        decode("exp/a", method="attention-rescoring", out="other", tuned="tuned")
    with pytest.raises(AslError, match="point holds translations, and --metric topk is for isolated signs; give --metric bleu"):
        score("point", metric="topk")
    assert "bleu" in score("point")["metrics"] and "top1" not in read_json("point/result.json")["metrics"]
    with pytest.raises(AslError, match="--lm-scales without a language model"):
        tune_attention("exp/a", lm_scales=[0.1])
    with pytest.raises(AslError, match="--split test: what is chosen on test"):
        tune_attention("exp/a", split="test")
    (project / "tuned/best.json").write_text('{"lm_scale": 1.0}')
    with pytest.raises(AslError, match="best.json is not of asl tune attention"):
        decode("exp/a", out="refused", tuned="tuned")


def test_a_sentence_without_landmarks_counts_as_empty_in_tuning_as_in_scoring(project, capsys):
    shutil.copytree("data", "less")
    cuts = list(read_jsonl("less/val/cuts.jsonl.gz"))
    write_jsonl("less/val/cuts.jsonl.gz", [cut for cut in cuts if cut["id"] != "val03"])
    grid = {"length_penalties": [1.0], "ctc_weights": [0.0]}
    best = tune_attention("exp/a", data="less", out="tuned_less", beam_size=3, **grid)
    assert "warning: 1 of 7 sentences of val have no landmarks, counted as empty: val03" in capsys.readouterr().out
    decode("exp/a", data="less", out="less/point", beam_size=3, nbest=1)
    main(["score", "--decode", "less/point", "--data", "less", "--metric", "bleu"])
    result = read_json("less/point/result.json")
    assert (best["n"], best["n_missing"]) == (result["n"], result["n_missing"]) == (7, 1)
    assert best["bleu"] == pytest.approx(result["metrics"]["bleu"]["value"], abs=0.006)


@pytest.mark.parametrize(
    "exp, options, message",
    [
        ("plain", {"ctc_weight": 0.3}, r"exp/plain \(.*\) has no CTC outputs .*leave --ctc-weight out"),
        ("plain", {"method": "greedy"}, "method greedy needs CTC's outputs.*use method attention"),
        ("plain", {"method": "attention-rescoring"}, "method attention-rescoring needs CTC's outputs"),
        ("a", {"method": "softmax"}, r"TranslateTask\): method softmax does not fit it, use attention, attention-rescoring"),
        ("a", {"lm": "words.arpa"}, "--lm words.arpa: the language model does not know .. of the .. tokens.*asl lang pieces"),
        ("a", {"lm": "nowhere.arpa"}, "no ARPA file nowhere.arpa"),
        ("a", {"lm": "pieces.arpa", "lm_scale": -1.0}, "--lm-scale -1: give a number above 0"),
        ("a", {"lm_scale": 0.5}, "--lm-scale 0.5: method attention has no language model; give --lm PATH"),
        ("a", {"nbest": 9, "beam_size": 4}, "--nbest 9 --beam-size 4"),
        ("a", {"beam_size": 0}, "--beam-size 0"),
        ("a", {"graph": "exp/a/graph"}, "--graph exp/a/graph: method attention searches no graph"),
        ("a", {"lattice": False}, "--lattice false: method attention searches no graph"),
        ("a", {"mbr": True}, "--mbr True: method attention searches no graph"),
        ("a", {"method": "greedy", "ctc_weight": 0.5}, "--ctc-weight 0.5: method greedy has no text decoder"),
        ("a", {"method": "beam", "lm": "pieces.arpa"}, "--lm pieces.arpa: method beam has no text decoder"),
        ("a", {"method": "greedy", "beam_size": 4}, "--beam-size 4: method greedy keeps no list of hypotheses"),
        ("a", {"method": "attention-rescoring", "no_repeat": 3}, "--no-repeat 3: method attention-rescoring takes its texts"),
    ],
)
def test_what_a_method_has_no_use_for_is_refused_by_name(project, exp, options, message):
    with pytest.raises(AslError, match=message):
        decode(f"exp/{exp}", out="refused", **options)
    assert not (project / "refused").exists()


def test_options_of_methods_and_their_defaults():
    for method in ("softmax", "greedy", "beam", "graph", "attention", "attention-rescoring"):
        refuse_foreign_options(method, DEFAULTS)
    assert beam_options(AttentionSetting(), "attention").beam_size == 5
    rescoring = beam_options(AttentionSetting(ctc_weight=0.0), "attention-rescoring")
    assert (rescoring.beam_size, rescoring.nbest, rescoring.ctc_weight) == (16, 10, 0.0)
