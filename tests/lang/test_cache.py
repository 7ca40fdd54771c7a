"""The cache of a video's previous sentences: it sums to one, by hand, chosen where it is worth it."""

import math
import random

import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.common.transcripts import read_stm
from asl.lang.arpa import read_arpa, write_arpa
from asl.lang.cache import Cache, CacheConfig, CacheLM, group_videos
from asl.lang.cache_tune import cache, read_cache, tune, write_cache
from asl.lang.ngram import estimate
from asl.lang.perplexity import measure

TEXT = [s.split() for s in ("rain snow", "rain wind rain", "wind", "snow wind rain", "fog rain")]
LM = estimate(TEXT, 2).lm


def topics(videos, sentences=6, seed=0):
    """Videos of which each has two words that it comes back to; ids and sentences."""
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(40)]
    ids, out = [], []
    for v in range(videos):
        own = rng.sample(words, 2)
        for s in range(sentences):
            ids.append(f"video{v}-{s}")
            out.append([rng.choice(own) if rng.random() < 0.5 else rng.choice(words) for _ in range(5)])
    return ids, out


@pytest.mark.parametrize("config", [CacheConfig(0.3), CacheConfig(0.3, 1.0, 0.5), CacheConfig(0.9, 2.0, 1.0)])
@pytest.mark.parametrize("begin", [[], ["rain"], ["rain", "snow"], ["hail"]])
def test_probabilities_sum_to_one_with_any_cache(config, begin):
    lm, context = CacheLM(LM, config), [["rain", "snow", "unheard"], ["rain", "rain"], []]
    readings = [[*begin, word] for word in [*LM.words, "<unk>"]]
    of_next = [values[len(begin)] for values in lm.word_log_probs(readings, context)]
    (whole,) = lm.word_log_probs([begin], context)
    assert sum(math.exp(p) for p in of_next) + math.exp(whole[-1]) == pytest.approx(1, abs=1e-12)


def test_by_hand():
    lm = CacheLM(LM, CacheConfig(0.25, half_life=1.0, bigram=0.4))
    # "snow wind" is one sentence older than "rain snow": half of its counts are left
    ((got, _),) = lm.word_log_probs([["snow"]], [["snow", "wind"], ["rain", "snow"]])
    plain, end = math.exp(LM.step(LM.start(), "snow")[0]), math.exp(LM.finish(LM.start()))
    unigram, bigram = (0.5 + 1) / 3, 0.5 / 1.5  # after <s>: snow 1/2, rain 1
    expected = 0.75 * plain + 0.25 * (1 - end) * (0.4 * bigram + 0.6 * unigram)
    assert math.exp(got) == pytest.approx(expected)


def test_without_context_or_weight_it_is_the_ngram():
    sentences = [["rain", "snow"], ["hail", "wind"], []]
    assert CacheLM(LM, CacheConfig(0.3)).score_all(sentences) == pytest.approx(LM.score_all(sentences))
    silent = CacheLM(LM, CacheConfig(0.0))
    assert silent.score_all(sentences, [["rain"]]) == pytest.approx(LM.score_all(sentences))
    # unknown words alone make no cache
    unheard = CacheLM(LM, CacheConfig(0.3)).score_all(sentences, [["sleet"], []])
    assert unheard == pytest.approx(LM.score_all(sentences))


def test_a_video_is_read_in_order_and_context_is_not_measured():
    ids = ["b-2", "a-10", "a-9", "b-1", "a-11"]
    assert group_videos(ids) == [[2, 1, 4], [3, 0]]
    sentences = [["rain"], ["snow"], ["wind", "rain"], ["fog"], ["rain", "fog"]]
    lm = CacheLM(LM, CacheConfig(0.2, 3.0, 0.5))
    found = lm.video_log_probs(sentences, group_videos(ids), context=[2, 0])
    assert found[2] == [] and found[0] == []
    assert found[4] == lm.word_log_probs([sentences[4]], [sentences[2], sentences[1]])[0]
    assert found[3] == lm.word_log_probs([sentences[3]])[0]
    assert group_videos(["x/s1", "x/s0"], r"(.*)/s(\d+)") == [[1, 0]]


@pytest.mark.parametrize("ids, pattern, message", [
    (["a-1", "clip"], r"(.+)-(\d+)", "id 'clip' does not fit the pattern"),
    (["a-b"], r"(.+)-(.)", "id 'a-b' does not fit"),
    (["a-1"], r"(.+)-\d+", "needs two groups"),
    (["a-1"], r"(.+-(\d+)", "is no regular expression"),
])
def test_ids_that_do_not_fit(ids, pattern, message):
    with pytest.raises(AslError, match=message):
        group_videos(ids, pattern)


@pytest.mark.parametrize("options, message", [
    ({"weight": 1.0}, "weight is 1.0"),
    ({"half_life": 0.0}, "half-life is 0.0"),
    ({"bigram": 1.5}, "bigrams is 1.5"),
])
def test_options_out_of_range(options, message):
    with pytest.raises(AslError, match=message):
        CacheConfig(**options)


def test_a_cache_is_chosen_where_videos_have_subjects_and_not_where_they_have_none():
    ids, sentences = topics(40)
    lm = estimate(sentences, 1, "witten-bell").lm
    found = tune(sentences, group_videos(ids), lm, "witten-bell", folds=5)
    assert found.config.weight >= 0.2 and found.best < 0.8 * found.plain
    random.Random(1).shuffle(sentences)
    none = tune(sentences, group_videos(ids), lm, "witten-bell", "sentences", folds=5)
    assert none.config.weight <= 0.02 and none.best > 0.99 * none.plain
    assert tune(sentences, group_videos(ids), lm, "witten-bell", "sentences", folds=5) == none
    with pytest.raises(AslError, match="50 folds of 40 videos"):
        tune(sentences, group_videos(ids), lm, folds=50)


def test_the_held_out_perplexity_is_that_of_the_cache_lm():
    ids, sentences = topics(6, 4)
    videos = group_videos(ids)
    lm = estimate(sentences, 2, "witten-bell").lm
    found = tune(sentences, videos, lm, "witten-bell", folds=len(videos))
    config = CacheConfig(0.1, 2.0, 0.3)
    total = events = 0
    for video in videos:
        rest = [words for place, words in enumerate(sentences) if place not in video]
        part = estimate(rest, 2, "witten-bell", lm.words).lm
        values = CacheLM(part, config).video_log_probs(sentences, [video])
        total += sum(sum(values[place]) for place in video)
        events += sum(len(values[place]) for place in video)
    assert found.perplexity[config] == pytest.approx(math.exp(-total / events))


def test_the_command_and_its_file(tmp_path, capsys):
    ids, sentences = topics(12)
    stm = "".join(f"{key} 1 x 0.0 1.0 {' '.join(words)}\n" for key, words in zip(ids, sentences))
    (tmp_path / "a.stm").write_text(stm)
    arpa, out = tmp_path / "lang/G.arpa", tmp_path / "lang/cache.json"
    write_arpa(arpa, estimate(sentences, 2).lm)
    words = ["lm", "cache", "--lm", str(arpa), "--text", str(tmp_path / "a.stm"), "--folds", "4"]
    assert main([*words, "--out", str(out)]) == 0
    assert "72 held-out sentences of 12 videos (4 folds of videos)" in capsys.readouterr().out
    lm = read_cache(out)
    assert lm.config.weight > 0 and lm.lm.counts == read_arpa(arpa).counts and lm.video == r"(.+)[-_](\d+)"
    # the n-gram is found from the file's own folder
    (tmp_path / "lang").rename(tmp_path / "moved")
    assert read_cache(tmp_path / "moved/cache.json").config == lm.config
    (tmp_path / "plain").write_text("rain\n")
    with pytest.raises(AslError, match="has no ids to tell videos by"):
        cache(str(tmp_path / "moved/G.arpa"), text=str(tmp_path / "plain"))


def test_a_cache_file_that_is_none(tmp_path):
    (tmp_path / "cache.json").write_text('{"lm": "G.arpa", "weight": 0.1}')
    with pytest.raises(AslError, match="'half_life' is missing; 'asl lm cache' makes"):
        read_cache(tmp_path / "cache.json")
    write_cache(tmp_path / "cache.json", tmp_path / "G.arpa", CacheConfig(0.1))
    with pytest.raises(AslError, match="no ARPA file"):
        read_cache(tmp_path / "cache.json")


def test_an_old_word_fades():
    looked_back = Cache(LM, half_life=2.0)
    looked_back.add(["rain"])
    for _ in range(4):
        looked_back.add([])
    looked_back.add(["snow"])
    assert looked_back.prob("<s>", "rain") == pytest.approx(0.5**2.5 / (1 + 0.5**2.5))


@pytest.mark.corpora
def test_phoenix_gains_a_little_where_whole_broadcasts_are_looked_back_at(corpora):
    folder = corpora / "phoenix2014" / "evaluation"
    train, dev = (read_stm(folder / f"phoenix2014-groundtruth-{split}.stm") for split in ("train", "dev"))
    ids, sentences = [*dev, *train], [*dev.values(), *train.values()]
    lm = estimate(list(train.values()), 3).lm
    # what cross-validation on train chooses: asl lm cache --held-out sentences
    cached = CacheLM(lm, CacheConfig(0.03, 2.0, 0.3))
    places = range(len(dev), len(ids))
    log_probs = cached.video_log_probs(sentences, group_videos(ids), places)[: len(dev)]
    plain, found = measure(lm, sentences[: len(dev)]), measure(cached, sentences[: len(dev)], log_probs)
    assert plain.perplexity == pytest.approx(45.4, abs=0.1)
    assert found.perplexity == pytest.approx(45.0, abs=0.1)
