"""asl lm perplexity: what it prints and returns, and what a cache gives, with an interval over videos."""

import random

import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.jsonl import write_jsonl
from asl.lang.arpa import write_arpa
from asl.lang.cache import CacheConfig
from asl.lang.cache_tune import write_cache
from asl.lang.ngram import estimate
from asl.lang.perplexity import measure
from asl.tasks.perplexity import perplexity


def videos(n, seed):
    """Sentences of videos that come back to their own two words; (id, words)."""
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(30)]
    rows = []
    for v in range(n):
        own = rng.sample(words, 2)
        rows += [(f"v{seed}{v}-{s}", rng.choices([*own, rng.choice(words)], k=5)) for s in range(5)]
    return rows


@pytest.fixture
def data(tmp_path):
    for split, seed in (("train", 0), ("val", 1)):
        rows = [{"id": i, "recording_id": i, "text": " ".join(w)} for i, w in videos(30, seed)]
        if split == "val":
            rows.append({"id": "v2-0", "recording_id": "v2-0", "text": "w1 unheard"})
        write_jsonl(tmp_path / "data" / split / "supervisions.jsonl.gz", rows)
    write_arpa(tmp_path / "data/lang/G.arpa", estimate([w for _, w in videos(30, 0)], 2).lm)
    write_cache(tmp_path / "data/lang/cache.json", tmp_path / "data/lang/G.arpa", CacheConfig(0.3))
    return tmp_path / "data"


def test_what_it_says(data, capsys, tmp_path):
    lm, out = str(data / "lang/G.arpa"), tmp_path / "result.json"
    assert main(["lm", "perplexity", "--lm", lm, "--data", str(data), "--out", str(out)]) == 0
    said, result = capsys.readouterr().out, read_json(out)
    assert "on 151 sentences, 752 words" in said and "1 unknown words (OOV), 0.13 %: unheard 1" in said
    sentences = [w for _, w in videos(30, 1)] + [["w1", "unheard"]]
    expected = measure(estimate([w for _, w in videos(30, 0)], 2).lm, sentences)
    assert result["perplexity"] == pytest.approx(expected.perplexity, rel=1e-6)
    assert result["perplexity_with_oov"] > result["perplexity"] and result["oov"] == {"unheard": 1}
    assert f"perplexity {expected.perplexity:.2f} over 902 events" in said and "cache" not in result


def test_a_cache_that_helps(data, capsys):
    lm, cache = str(data / "lang/G.arpa"), str(data / "lang/cache.json")
    found = perplexity(lm, str(data), cache=cache, replications=500)["cache"]
    assert found["difference"] < 0 and found["low"] <= found["difference"] <= found["high"] < 0
    assert found["videos"] == 31 and found["looked_back"] == 120
    assert "it helps" in capsys.readouterr().out
    assert perplexity(cache, str(data), replications=500)["cache"] == found


def test_a_cache_of_weight_nothing_changes_nothing(data):
    cache = str(data / "lang/none.json")
    write_cache(cache, data / "lang/G.arpa", CacheConfig(0.0))
    found = perplexity(cache, str(data), replications=100)["cache"]
    assert [found[key] for key in ("difference", "low", "high")] == pytest.approx([0, 0, 0], abs=1e-9)


def test_sentences_of_another_split_are_looked_back_at(data):
    cache = str(data / "lang/cache.json")
    halves = {"early": [], "late": []}
    for place, (key, words) in enumerate(videos(30, 1)):
        row = {"id": key, "recording_id": key, "text": " ".join(words)}
        halves["early" if place % 5 < 3 else "late"].append(row)
    for name, rows in halves.items():
        write_jsonl(data / name / "supervisions.jsonl.gz", rows)
    alone = perplexity(cache, str(data), "late", replications=100)["cache"]
    both = perplexity(cache, str(data), "late", context_split="early", replications=100)["cache"]
    assert (alone["looked_back"], both["looked_back"]) == (30, 60)
    assert both["perplexity"] < alone["perplexity"]
    with pytest.raises(AslError, match="sentence 'v10-3' is in .* and in the context"):
        perplexity(cache, str(data), "late", context_split="late")


def test_what_does_not_belong_together(data, tmp_path):
    other = tmp_path / "other.arpa"
    write_arpa(other, estimate([["w1"]], 2).lm)
    with pytest.raises(AslError, match="is for another n-gram than"):
        perplexity(str(other), str(data), cache=str(data / "lang/cache.json"))
    (tmp_path / "text").write_text("w1 w2\n")
    with pytest.raises(AslError, match="has no ids to tell videos by"):
        perplexity(str(data / "lang/cache.json"), text=str(tmp_path / "text"))
