"""``asl tune`` and decoding in a graph by commands: scales, rescoring, minimum Bayes risk, processes."""

import math

import numpy as np
import pytest
import torch

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json, write_json
from asl.common.jsonl import read_jsonl
from asl.decoding.graph import Found
from asl.graph.engine import Reading, get_engine
from asl.graph.grammar import write_grammar
from asl.graph.lexicon import write_lexicon_fsts
from asl.lang.cache import CacheConfig
from asl.lang.cache_tune import write_cache
from asl.tasks.decode import decode
from asl.tasks.prior import prior
from asl.tasks.rescoring import NbestRescoring
from asl.tasks.train import main as train
from asl.tasks.tune import choose, tune
from asl.tasks.word_lm import load_lm
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_decode import CONFIG

UNIGRAM = {"book": -0.6, "drink": -0.7, "go": -0.8, "home": -0.9}
ARPA = "\\data\\\nngram 1=6\n\n\\1-grams:\n-0.5\t</s>\n-99\t<s>\n{}\n\\end\\\n"


def sentence(i):
    words = list(UNIGRAM)
    return " ".join(words[(i + k) % 4] for k in range(1 + i % 3))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A folder with a CTC network trained on sentences for an epoch, two n-grams and a graph of the first."""
    folder = tmp_path_factory.mktemp("recipe")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make = make_data.__wrapped__(folder)  # the fixture's function, for a module's folder
        data = imported.__wrapped__(make)(train=12, val=6, test=4, texts=sentence)
        (folder / "conf.yaml").write_text(CONFIG.format(task="CtcTask", frames="null"))
        train(["--config", "conf.yaml", "--exp", "exp/ctc", "--data.pipeline.trim", "false"])
        rows = "".join(f"{p}\t{word}\n" for word, p in UNIGRAM.items())
        (folder / "G.arpa").write_text(ARPA.format(rows))
        (folder / "other.arpa").write_text(ARPA.format(rows.replace("-0.6\tbook", "-0.1\tbook")))
        write_lexicon_fsts(data / "lang")
        write_grammar(data / "lang", "G.arpa")
        get_engine("kaldi").compile(data / "lang", "exp/ctc/graph")
    return folder


@pytest.fixture
def here(recipe, monkeypatch):
    monkeypatch.chdir(recipe)
    return recipe


def scores(folder):
    """id -> text -> score of its n-best list."""
    return {row["id"]: {h["text"]: h["score"] for h in row["nbest"]} for row in read_jsonl(f"{folder}/hyp.jsonl")}


GRAPH = ["decode", "--exp", "exp/ctc", "--method", "graph", "--engine", "kaldi", "--beam", "8", "--lattice-beam", "2"]


def search(out, **options):
    """Decode val into ``out``; an untrained network's lattices are large, so the beams are narrow."""
    decode("exp/ctc", method="graph", engine="kaldi", out=out, **{"beam": 8.0, "lattice_beam": 2.0, **options})


def test_the_options_of_the_search_reach_it_and_are_kept(here, capsys):
    assert main([*GRAPH, "--out", "plain"]) == 0
    assert "oracle WER of the lattices" in capsys.readouterr().out
    weights = ["--lm-scale", "2", "--insertion-penalty", "-1.5", "--acoustic-scale", "0.5"]
    assert main([*GRAPH, "--out", "weighted", *weights, "--mbr", "--nj", "2"]) == 0
    plain, weighted = scores("plain"), scores("weighted")
    common = 0
    for clip, readings in plain.items():
        for text in set(readings) & set(weighted[clip]):
            words = text.split()
            graph = math.log(10) * (sum(UNIGRAM[word] for word in words) - 0.5)
            expected = 0.5 * (readings[text] - graph) + 2 * graph + 1.5 * len(words)
            assert weighted[clip][text] == pytest.approx(expected, abs=1e-3)
            common += 1
    assert common > 5
    about = read_json("weighted/decode.json")
    assert about["options"]["lm_scale"] == 2 and about["options"]["mbr"] and about["options"]["nj"] == 2
    assert about["oracle"]["words"] == sum(1 + i % 3 for i in range(6)) and about["searched"] == 6
    row = next(read_jsonl("weighted/hyp.jsonl"))
    assert len(row["word_confidences"]) == len(row["words"]) == len(row["times"])
    lines = (here / "weighted/hyp.ctm").read_text().splitlines()
    assert all(len(line.split()) == 6 for line in lines)


def test_the_best_path_alone_is_the_first_of_the_lists(here):
    search("plain")
    search("alone", lattice=False, max_active=5000)
    for row, one in zip(read_jsonl("plain/hyp.jsonl"), read_jsonl("alone/hyp.jsonl")):
        assert row["score"] == pytest.approx(one["score"], abs=1e-3)
        assert one["confidence"] is None and len(one["nbest"]) == 1
    assert "oracle" not in read_json("alone/decode.json")
    with pytest.raises(AslError, match="leave --rescore and --mbr out"):
        search("out", lattice=False, mbr=True)


@pytest.mark.parametrize("keep, scale", [(0.0, 1.0), (0.5, 0.7)])
def test_rescoring_exchanges_the_language_model(here, keep, scale):
    search("plain")
    search("new", rescore="other.arpa", rescore_keep=keep,
           rescore_scale=scale)  # fmt: skip
    old, new, seen = load_lm("G.arpa"), load_lm("other.arpa"), 0
    plain, rescored = scores("plain"), scores("new")
    for clip, readings in plain.items():
        for text in set(readings) & set(rescored[clip]):
            words = text.split()
            expected = readings[text] - (1 - keep) * old.score(words) + scale * new.score(words)
            assert rescored[clip][text] == pytest.approx(expected, abs=1e-3)
            seen += 1
    assert seen > 5
    assert read_json("new/decode.json")["options"]["rescore"] == "other.arpa"


def test_a_cache_remembers_what_was_recognised_of_the_video(here):
    pattern = r"(val|test)(\d+)"
    search("plain", rescore="G.arpa")
    write_cache("cache.json", "G.arpa", CacheConfig(0.3), pattern)
    search("cache", rescore="cache.json")
    plain, cached = scores("plain"), scores("cache")
    first = plain["val000"]
    for text in set(first) & set(cached["val000"]):  # nothing was said before it
        assert cached["val000"][text] == pytest.approx(first[text], abs=1e-3)
    assert any(cached[clip] != plain[clip] for clip in plain)


class Remembering:
    """A language model that likes what was said before."""

    def __init__(self):
        self.seen = []

    def score_all(self, sentences, context=()):
        self.seen.append([list(words) for words in context])
        said = {word for words in context for word in words}
        return [sum(3.0 if word in said else -3.0 for word in words) for words in sentences]


def test_the_context_is_what_was_chosen_in_the_order_of_the_video(here):
    graph = get_engine("kaldi").load("exp/ctc/graph")
    lm = Remembering()
    found = [
        Found(None, [Reading(["go"], -1.0), Reading(["home"], -2.0)]),  # third of the video: home is known by then
        Found(None, [Reading(["home"], -1.0), Reading(["book"], -1.5)]),  # first
        Found(None, []),  # second: nothing was recognised
        Found(None, [Reading(["drink"], -1.0)]),  # another video
    ]
    rescoring = NbestRescoring(graph, lm, 0.0, 1.0)
    rescoring.rescore(["news-3", "news-1", "news-2", "other-1"], found)
    assert found[0].readings[0].words == ["home"] and found[0].readings[0].score == 1.0
    assert lm.seen == [[], [["home"]], []]


class Closed:
    """A language model that allows one word alone."""

    def score_all(self, sentences):
        return [0.0 if words == ["home"] else -math.inf for words in sentences]


def test_readings_that_the_language_model_excludes_are_left_out_where_others_remain(here):
    rescoring = NbestRescoring(get_engine("kaldi").load("exp/ctc/graph"), Closed(), 0.0, 1.0)
    found = [
        Found(None, [Reading(["go"], -1.0), Reading(["home"], -2.0)]),
        Found(None, [Reading(["go"], -1.0), Reading(["book"], -1.5)]),
    ]
    rescoring.rescore(["a", "b"], found)
    assert found[0].readings == [Reading(["home"], -2.0)]
    assert [r.words for r in found[1].readings] == [["go"], ["book"]] and rescoring.not_rescored == 1


def test_tuning_finds_the_weights_and_decoding_takes_them(here, capsys):
    best = tune("exp/ctc", engine="kaldi", lm_scales=[0.5, 1.0, 2.0], insertion_penalties=[-2.0, 0.0, 2.0], beams=[4.0])
    folder = here / "exp/ctc/tune_val"
    lines = [line.split("\t") for line in (folder / "points.tsv").read_text().splitlines()]
    assert len(lines) == 10 and min(float(line[4]) for line in lines[1:]) == pytest.approx(best["wer"], abs=0.01)
    assert (folder / "surface.png").read_bytes().startswith(b"\x89PNG") and read_json(folder / "best.json") == best
    assert best["untuned_wer"] >= best["wer"] and [b["beam"] for b in best["beams"]] == [4.0, 10.0]
    tuned = str(folder)
    search("tuned", tuned=tuned, lattice=False, beam=None)
    options = read_json("tuned/decode.json")["options"]
    assert [options[name] for name in ("acoustic_scale", "lm_scale", "insertion_penalty", "beam")] == [
        1.0, best["lm_scale"], best["insertion_penalty"], best["beam"]
    ]  # fmt: skip
    main(["score", "--decode", "tuned", "--metric", "wer"])
    assert read_json("tuned/result.json")["metrics"]["wer"]["value"] == pytest.approx(best["wer"], abs=0.01)
    search("said", tuned=tuned, lm_scale=9.0)
    assert read_json("said/decode.json")["options"]["lm_scale"] == 9.0
    write_json(folder / "best.json", {**best, "grammar": "of another"})
    with pytest.raises(AslError, match="has another grammar"):
        search("out", tuned=tuned)
    write_json(folder / "best.json", {"lm_scale": 1.0})
    with pytest.raises(AslError, match="best.json has not all of"):
        search("out", tuned=tuned)


def test_the_prior_is_tuned_with_the_rest_where_there_is_one(here):
    given = {"engine": "kaldi", "lm_scales": [0.5, 1.0], "insertion_penalties": [0.0], "beam": 8.0, "beams": [8.0]}
    assert tune("exp/ctc", out="t0", **given)["axes"]["prior_scale"] == [0.0]
    with pytest.raises(AslError, match="asl prior --exp exp/ctc"):
        tune("exp/ctc", out="t", prior_scales=[0.3], **given)
    measured = prior("exp/ctc")
    try:
        tokens = dict(zip(measured["tokens"], [0.96, 0.01, 0.01, 0.01, 0.01]))
        write_json("exp/ctc/prior.json", {**measured, "tokens": tokens})
        best = tune("exp/ctc", out="t", **given)
        lines = [line.split("\t") for line in (here / "t/points.tsv").read_text().splitlines()]
        assert best["axes"]["prior_scale"] == [0.0, 0.3, 0.6] == sorted({float(line[0]) for line in lines[1:]})
        one = tune("exp/ctc", out="t", prior_scales=[0.6], **given)
        assert one["prior_scale"] == 0.6 and (here / "t/surface.png").is_file()
        same = [float(line[4]) for line in lines[1:] if float(line[0]) == 0.6]
        assert one["wer"] == pytest.approx(min(same), abs=0.01)
        search("tuned", tuned="t", beam=None, lattice=False)
        assert read_json("tuned/decode.json")["options"]["prior_scale"] == 0.6
        main(["score", "--decode", "tuned", "--metric", "wer"])
        assert read_json("tuned/result.json")["metrics"]["wer"]["value"] == pytest.approx(one["wer"], abs=0.01)
        search("said", tuned="t", prior_scale=0.0)
        assert read_json("said/decode.json")["options"]["prior_scale"] == 0.0
        old = {key: value for key, value in one.items() if key != "prior_scale"}  # of a time without priors
        write_json(here / "t/best.json", old)
        search("old", tuned="t")
        assert read_json("old/decode.json")["options"]["prior_scale"] == 0.0
    finally:
        (here / "exp/ctc/prior.json").unlink()


def test_tuning_from_the_command_line_and_never_on_test(here, capsys):
    words = ["tune", "--exp", "exp/ctc", "--engine", "kaldi", "--out", "t", "--beams", "8"]
    assert main([*words, "--lm-scales", "0.5", "1", "2", "--insertion-penalties", "-1", "0"]) == 0
    assert read_json("t/best.json")["axes"]["lm_scale"] == [0.5, 1.0, 2.0]
    assert main([*words, "--split", "test"]) == 1
    assert "tune on val" in capsys.readouterr().err


def test_of_equally_good_weights_those_with_good_neighbours_are_taken():
    errors = np.array([[9, 9, 5], [5, 6, 9], [6, 6, 9]])
    assert choose(errors[None]) == 3
    assert choose(np.array([[[4]]])) == 0


def test_what_does_not_fit_together_is_refused(here):
    torch.manual_seed(0)
    with pytest.raises(AslError, match="--rescore-keep 2"):
        search("out", rescore="G.arpa", rescore_keep=2.0)
    with pytest.raises(AslError, match="no ARPA file absent.arpa"):
        search("out", rescore="absent.arpa")
    with pytest.raises(AslError, match="leave min_active and max_active out"):
        search("out", max_active=10)
