"""Both engines: the readings and scores that a search by hand gives, and each other's."""

import json
import math

import kaldifst
import pytest
import torch

from asl.common.errors import AslError
from asl.graph.engine import get_engine
from asl.graph.fst import from_openfst
from asl.graph.kaldi_engine import KaldiEngine, most_gained
from asl.graph.options import SearchOptions
from asl.lang.folder import read_lang
from tests.graph.byhand import LEXICON, arpa_score, brute_force, posteriors

WIDE = SearchOptions(beam=1e4, lattice_beam=1e4)
ENGINES = [pytest.param("k2", marks=pytest.mark.k2), "kaldi"]


def search(engine_name, lang_dir, graph_dir, log_probs, lengths, topology="ctc", options=WIDE, n=20):
    engine = get_engine(engine_name)
    engine.compile(lang_dir, graph_dir, topology)
    lattices = engine.decode(engine.load(graph_dir), log_probs, lengths, options)
    return engine.best_path(lattices), engine.nbest(lattices, n)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("topology", ["ctc", "compact", "left-to-right"])
@pytest.mark.parametrize("grammar", ["one-sign", "arpa"])
@pytest.mark.parametrize("words", [["u", "v", "w"], LEXICON], ids=["gloss tokens", "lexicon"])
def test_readings_and_scores_are_those_of_all_alignments_listed(
    engine, topology, grammar, words, make_lang, tmp_path
):
    if grammar == "arpa" and isinstance(words, list):
        words = ["a", "b", "c", "d"]
    lang_dir = make_lang(words, grammar)
    lang = read_lang(lang_dir)
    log_probs, lengths = posteriors(4, 5, len(lang.tokens))
    paths, nbests = search(engine, lang_dir, tmp_path / "graph", log_probs, lengths, topology)
    for row, (path, nbest) in enumerate(zip(paths, nbests)):
        expected = brute_force(lang, log_probs[row], lengths[row], grammar, topology, longest=5)
        # words that sound alike have the same score under the one-sign grammar
        assert [path.words, path.score] in [[w, pytest.approx(s, abs=1e-3)] for w, s in expected[:2]]
        assert path.score == pytest.approx(expected[0][1], abs=1e-3)
        assert len(path.tokens) == lengths[row]
        assert [r.score for r in nbest] == pytest.approx([s for _, s in expected[:20]], abs=1e-3)
        known = {tuple(words): score for words, score in expected}
        assert len({tuple(r.words) for r in nbest}) == len(nbest)
        assert all(known[tuple(r.words)] == pytest.approx(r.score, abs=1e-3) for r in nbest)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sign_scores_no_more_than_its_whole_probability_and_as_much_with_one_alignment(
    engine, make_lang, tmp_path
):
    lang_dir = make_lang(["u", "v", "w"])
    log_probs, lengths = posteriors(6, 8, 4, seed=1)
    _, nbests = search(engine, lang_dir, tmp_path / "graph", log_probs, lengths)
    for row, nbest in enumerate(nbests):
        for reading in nbest:
            token = torch.tensor([["u", "v", "w"].index(reading.words[0]) + 1])
            frames = log_probs[row, :lengths[row], None]
            loss = torch.nn.functional.ctc_loss(frames, token[None], lengths[row:row + 1], torch.tensor([1]),
                                                reduction="sum")
            total = -float(loss) - math.log(3)
            assert reading.score <= total + 1e-4
    one = torch.tensor([1])  # in one frame there is one alignment: best path and sum are the same
    _, nbests = search(engine, lang_dir, tmp_path / "graph", log_probs[:1], one)
    for reading in nbests[0]:
        token = ["u", "v", "w"].index(reading.words[0]) + 1
        assert reading.score == pytest.approx(float(log_probs[0, 0, token]) - math.log(3), abs=1e-4)


@pytest.mark.k2
@pytest.mark.parametrize("topology", ["ctc", "compact"])
@pytest.mark.parametrize("grammar, words", [
    ("one-sign", [f"w{n}" for n in range(60)]), ("one-sign", LEXICON),
    ("arpa", LEXICON), ("arpa", ["a", "b", "c", "d"]),
])
def test_both_engines_agree(topology, grammar, words, make_lang, tmp_path):
    lang_dir = make_lang(words, grammar)
    log_probs, lengths = posteriors(24, 20, len(read_lang(lang_dir).tokens), seed=2, peak=3.0)
    options = SearchOptions(beam=200.0, lattice_beam=15.0)
    ours = search("k2", lang_dir, tmp_path / "graph", log_probs, lengths, topology, options)
    theirs = search("kaldi", lang_dir, tmp_path / "graph", log_probs, lengths, topology, options)
    assert_agree(ours, theirs, lattice_beam=15.0)


def assert_agree(ours, theirs, lattice_beam):
    """Same best words, same scores to 1e-3, and the same n-best but for what lies at the lattice's edge."""
    for path, other, nbest, other_nbest in zip(ours[0], theirs[0], ours[1], theirs[1]):
        assert path.score == pytest.approx(other.score, abs=1e-3)
        assert path.words == other.words or {"a", "c"} == {*path.words, *other.words}  # they sound alike
        scores = {tuple(r.words): r.score for r in nbest}
        other_scores = {tuple(r.words): r.score for r in other_nbest}
        # readings of the same score may come in any order, and drop out at the end of either list
        edge = max(path.score - lattice_beam, nbest[-1].score, other_nbest[-1].score) + 1e-2
        for ours_here, theirs_here in ((scores, other_scores), (other_scores, scores)):
            for words, score in ours_here.items():
                if score > edge:
                    assert theirs_here[words] == pytest.approx(score, abs=1e-3)


@pytest.mark.k2
@pytest.mark.slow
def test_both_engines_agree_on_a_thousand_signs(make_lang, tmp_path):
    lang_dir = make_lang([f"w{n}" for n in range(1000)])
    log_probs, lengths = posteriors(12, 24, 1001, seed=3, peak=4.0)
    options = SearchOptions(beam=30.0, lattice_beam=8.0)
    args = (lang_dir, tmp_path / "graph", log_probs, lengths, "ctc", options)
    assert_agree(search("k2", *args), search("kaldi", *args), lattice_beam=8.0)


@pytest.mark.k2
def test_the_sum_over_the_graph_s_paths_is_torch_s_ctc_loss(make_lang, tmp_path):
    lang_dir = make_lang(["u", "v", "w"])
    log_probs, lengths = posteriors(6, 8, 4, seed=1)
    engine = get_engine("k2")
    engine.compile(lang_dir, tmp_path / "graph")
    lattices = engine.decode(engine.load(tmp_path / "graph"), log_probs, lengths, WIDE)
    totals = lattices.data[0].fsas.get_tot_scores(use_double_scores=True, log_semiring=True)
    losses = [
        torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1), torch.full((6, 1), token), lengths, torch.ones(6, dtype=torch.long),
            reduction="none",
        )
        for token in (1, 2, 3)
    ]
    expected = torch.logsumexp(-torch.stack(losses), dim=0) - math.log(3)
    assert totals.tolist() == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.k2
@pytest.mark.parametrize("topology", ["ctc", "compact"])
@pytest.mark.parametrize("grammar, words", [
    ("one-sign", LEXICON), ("arpa", LEXICON), ("arpa", ["a", "b", "c", "d"]),
])
def test_the_graph_is_k2_s_own_composition(topology, grammar, words, make_lang):
    import k2

    from asl.graph.compose import compose_lg
    from asl.graph.k2_engine import to_k2
    from asl.graph.topology import apply_topology

    lg = compose_lg(make_lang(words, grammar))
    num_tokens = int(lg.ilabel.max()) + 1
    # L∘G itself through the same converter, whose labels are one higher, then k2's H on its left
    shifted = type(lg)(lg.src, lg.dst, lg.ilabel + (lg.ilabel > 0), lg.olabel, lg.cost, lg.final)
    topo = k2.ctc_topo(num_tokens - 1, modified=topology == "compact")
    theirs = k2.connect(k2.compose(topo, k2.arc_sort(to_k2(shifted)), inner_labels="tokens"))
    ours = to_k2(apply_topology(lg, topology))
    log_probs, lengths = posteriors(10, 8, num_tokens, seed=4)
    segments = torch.stack([torch.arange(10), torch.zeros(10), lengths], dim=1).to(torch.int32)
    dense = k2.DenseFsaVec(log_probs, segments)
    for log_semiring in (False, True):  # the best path, and the sum over all of them
        scores = [
            k2.intersect_dense_pruned(k2.arc_sort(graph), dense, 1e4, 1e4, 0, 2**30)
            .get_tot_scores(use_double_scores=True, log_semiring=log_semiring).tolist()
            for graph in (ours, theirs)
        ]
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_acoustic_scale_weighs_log_probs_alone(engine, make_lang, tmp_path):
    lang_dir = make_lang(["u", "v", "w"])
    log_probs, lengths = posteriors(1, 6, 4)
    options = SearchOptions(beam=1e4, lattice_beam=1e4, acoustic_scale=0.5)
    half, _ = search(engine, lang_dir, tmp_path / "graph", log_probs, lengths, options=options)
    whole, _ = search(engine, lang_dir, tmp_path / "graph", log_probs, lengths)
    prior = -math.log(3)
    assert half[0].words == whole[0].words
    assert half[0].score - prior == pytest.approx((whole[0].score - prior) / 2, abs=1e-4)


WEIGHED = SearchOptions(
    beam=1e4, lattice_beam=1e4, acoustic_scale=0.8, lm_scale=1.7, insertion_penalty=-0.9
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("topology", ["ctc", "compact"])
def test_each_weight_is_on_its_own_part_of_a_path_s_score(engine, topology, make_lang, tmp_path):
    lang_dir = make_lang(LEXICON, "arpa")
    lang = read_lang(lang_dir)
    log_probs, lengths = posteriors(3, 5, len(lang.tokens), seed=5)
    args = (lang_dir, tmp_path / "graph", log_probs, lengths, topology)
    _, nbests = search(engine, *args, options=WEIGHED, n=30)
    for row, nbest in enumerate(nbests):
        expected = {}
        plain = brute_force(lang, log_probs[row], lengths[row], "arpa", topology, longest=5)
        for words, score in plain:
            graph = arpa_score(words)
            expected[tuple(words)] = 0.8 * (score - graph) + 1.7 * graph + 0.9 * len(words)
        assert [r.score for r in nbest] == pytest.approx(sorted(expected.values())[::-1][:30], abs=1e-3)
        assert all(expected[tuple(r.words)] == pytest.approx(r.score, abs=1e-3) for r in nbest)
    again, _ = search(engine, *args)  # the graph on disk and in memory is as it was
    assert again[0].score == pytest.approx(brute_force(
        lang, log_probs[0], lengths[0], "arpa", topology, longest=5)[0][1], abs=1e-3)


@pytest.mark.k2
@pytest.mark.parametrize("topology", ["ctc", "compact"])
@pytest.mark.parametrize("options", [
    {"lm_scale": 2.5}, {"lm_scale": 0.0, "insertion_penalty": 1.5}, {"acoustic_scale": 0.3, "insertion_penalty": -2.0},
])
def test_both_engines_agree_under_every_weight(topology, options, make_lang, tmp_path):
    lang_dir = make_lang(["a", "b", "c", "d"], "arpa")
    log_probs, lengths = posteriors(16, 16, len(read_lang(lang_dir).tokens), seed=6, peak=3.0)
    wide = SearchOptions(beam=200.0, lattice_beam=12.0, **options)
    args = (lang_dir, tmp_path / "graph", log_probs, lengths, topology, wide)
    assert_agree(search("k2", *args), search("kaldi", *args), lattice_beam=12.0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("topology", ["ctc", "compact"])
def test_the_best_path_alone_is_the_lattice_s(engine, topology, make_lang, tmp_path):
    lang_dir = make_lang(LEXICON, "arpa")
    log_probs, lengths = posteriors(12, 14, len(read_lang(lang_dir).tokens), seed=7)
    lengths[3] = 0
    searcher = get_engine(engine)
    searcher.compile(lang_dir, tmp_path / "graph", topology)
    graph = searcher.load(tmp_path / "graph")
    for options in (WIDE, WEIGHED):
        alone = searcher.search(graph, log_probs, lengths, options)
        lattices = searcher.best_path(searcher.decode(graph, log_probs, lengths, options))
        assert alone[3] is None and lattices[3] is None
        for path, other in zip(alone, lattices):
            if path is not None:
                assert path.score == pytest.approx(other.score, abs=1e-3)
                assert path.words == other.words or {"a", "c"} == {*path.words, *other.words}


@pytest.mark.parametrize("topology", ["ctc", "compact", "left-to-right"])
@pytest.mark.parametrize("options", [{}, {"lm_scale": 0.3, "insertion_penalty": -2.0}, {"lm_scale": 3.0}])
def test_tokens_that_cannot_be_within_the_beam_are_left_out_of_no_lattice(topology, options, make_lang, tmp_path, monkeypatch):
    lang_dir = make_lang(LEXICON, "arpa")
    log_probs, lengths = posteriors(12, 14, len(read_lang(lang_dir).tokens), seed=21, peak=3.0)
    log_probs[:, ::2, 0] += 8.0  # as if the blank were the best of these frames
    log_probs = log_probs.log_softmax(-1)
    searcher = get_engine("kaldi")
    searcher.compile(lang_dir, tmp_path / "graph", topology)
    graph = searcher.load(tmp_path / "graph")
    narrow = SearchOptions(beam=5.0, lattice_beam=3.0, **options)
    gain = searcher._gain(graph, narrow)
    assert gain == math.inf if topology == "left-to-right" else gain >= -narrow.insertion_penalty
    assert (log_probs < log_probs[:, :, :1] - narrow.beam - min(gain, 10.0)).float().mean() > 0.1 or gain == math.inf
    found = searcher.nbest(searcher.decode(graph, log_probs, lengths, narrow), 50)
    monkeypatch.setattr(KaldiEngine, "_gain", lambda *_: math.inf)
    every = searcher.nbest(searcher.decode(graph, log_probs, lengths, narrow), 50)
    for some, all_of_them in zip(found, every):
        some, all_of_them = ([r for r in readings if r.score > readings[0].score - 3.0] for readings in (some, all_of_them))
        assert [r.words for r in some] == [r.words for r in all_of_them]
        assert [r.score for r in some] == pytest.approx([r.score for r in all_of_them], abs=1e-4)


def test_what_arcs_add_to_a_token_is_the_most_of_any_way_to_it():
    fst = kaldifst.compile("0 1 0 0 -0.5\n0 2 3 1 -0.25\n1 2 0 0 -0.125\n2 3 4 1 -1\n3 4 0 0 -4\n4 0.0\n")
    assert most_gained(from_openfst(fst)) == 1.625
    assert most_gained(from_openfst(kaldifst.compile("0 1 2 1 0.5\n1 1 0 0 0.25\n1 0.0\n"))) == 0.0


def test_the_kaldi_engine_has_bounds_where_the_best_path_alone_is_asked_for(make_lang, tmp_path):
    lang_dir = make_lang(["a", "b", "c", "d"], "arpa")
    log_probs, lengths = posteriors(10, 20, 5, seed=8, peak=0.7)
    searcher = get_engine("kaldi")
    searcher.compile(lang_dir, tmp_path / "graph")
    graph = searcher.load(tmp_path / "graph")

    def total(**options):
        paths = searcher.search(graph, log_probs, lengths, SearchOptions(**{"beam": 50.0, **options}))
        return sum(path.score if path else -math.inf for path in paths)

    assert total() > total(max_active=2)
    assert total(beam=0.5) < total(beam=0.5, min_active=50) <= total() + 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_no_frames_and_too_few_frames_have_no_path(engine, make_lang, tmp_path):
    lang_dir = make_lang({"u": [["x", "x"]], "v": [["x", "y", "x"]]})
    log_probs, _ = posteriors(3, 4, 3)
    paths, nbests = search(engine, lang_dir, tmp_path / "graph", log_probs, torch.tensor([0, 2, 4]))
    assert paths[0] is None and paths[1] is None and paths[2] is not None
    assert nbests[0] == [] and nbests[1] == [] and len(nbests[2]) == 2


def test_what_the_kaldi_engine_lacks_it_refuses(make_lang, tmp_path):
    lang_dir = make_lang(["u", "v"])
    for options in (SearchOptions(max_active=100), SearchOptions(min_active=10)):
        with pytest.raises(AslError, match="leave min_active and max_active out"):
            search("kaldi", lang_dir, tmp_path / "graph", *posteriors(1, 4, 3), options=options)


@pytest.mark.k2
def test_k2_finds_the_same_in_small_parts_of_a_batch(make_lang, tmp_path, monkeypatch):
    lang_dir = make_lang([f"w{n}" for n in range(20)])
    log_probs, lengths = posteriors(5, 10, 21)
    lengths[2] = 0
    whole = search("k2", lang_dir, tmp_path / "graph", log_probs, lengths)
    monkeypatch.setattr("asl.graph.k2_engine._ARCS_AT_ONCE", 200)  # two utterances at once
    assert search("k2", lang_dir, tmp_path / "graph", log_probs, lengths) == whole


@pytest.mark.k2
@pytest.mark.parametrize("topology", ["ctc", "compact", "left-to-right"])
def test_k2_finds_the_same_where_epsilons_take_null_frames(topology, make_lang, tmp_path, monkeypatch):
    lang_dir = make_lang(LEXICON, "arpa")
    log_probs, lengths = posteriors(4, 7, 4)
    lengths[3] = 0
    free_paths, free_nbests = search("k2", lang_dir, tmp_path / "free", log_probs, lengths, topology)
    monkeypatch.setattr("asl.graph.epsilon.MOST_ARCS", 0)
    paths, nbests = search("k2", lang_dir, tmp_path / "null", log_probs, lengths, topology)
    assert json.loads((tmp_path / "null" / "k2.json").read_text())["null_frames"]
    assert paths[3] is free_paths[3] is None
    for path, free, nbest, free_nbest in zip(paths[:3], free_paths, nbests, free_nbests):
        assert (path.words, path.tokens) == (free.words, free.tokens) and len(nbest) == len(free_nbest)
        assert path.score == pytest.approx(free.score, abs=1e-4)
        for reading, free_reading in zip(nbest, free_nbest):
            assert reading.score == pytest.approx(free_reading.score, abs=1e-4)


@pytest.mark.k2
def test_k2_searches_under_max_active(make_lang, tmp_path):
    lang_dir = make_lang([f"w{n}" for n in range(200)])
    log_probs, lengths = posteriors(2, 10, 201, peak=4.0)
    narrow = SearchOptions(max_active=20, min_active=5)
    paths, nbests = search("k2", lang_dir, tmp_path / "graph", log_probs, lengths, options=narrow, n=200)
    _, all_nbests = search("k2", lang_dir, tmp_path / "graph", log_probs, lengths, n=200)
    assert all(path is not None for path in paths)
    assert len(nbests[0]) < len(all_nbests[0]) == 200


@pytest.mark.parametrize("options", [
    {"beam": 0}, {"beam": math.inf}, {"lattice_beam": -1.0}, {"acoustic_scale": math.nan}, {"min_active": -1},
    {"max_active": 0}, {"min_active": 5, "max_active": 4}, {"lm_scale": -1.0}, {"insertion_penalty": math.nan},
])
def test_options_that_make_no_search_are_refused(options):
    with pytest.raises(AslError):
        SearchOptions(**options)


def test_engines_are_chosen_by_name(monkeypatch):
    assert get_engine("kaldi").name == "kaldi"
    with pytest.raises(AslError, match="did you mean 'kaldi'"):
        get_engine("kalid")
    monkeypatch.setitem(__import__("sys").modules, "k2", None)  # an environment without k2
    assert get_engine("auto").name == "kaldi"
    with pytest.raises(AslError, match="k2 does not import .*use --engine kaldi"):
        get_engine("k2")


@pytest.mark.k2
def test_auto_takes_k2_where_it_imports():
    assert get_engine("auto").name == "k2"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_is_compiled_again_only_where_its_inputs_changed(engine, make_lang, tmp_path):
    lang_dir, out = make_lang(["u", "v"]), tmp_path / "graph"
    searcher = get_engine(engine)
    info = searcher.compile(lang_dir, out)
    assert info == json.loads((out / f"{engine}.json").read_text()) and info["words"] == 2
    written = (out / searcher.graph_file).stat().st_mtime_ns
    assert searcher.is_current(lang_dir, out) and searcher.compile(lang_dir, out) == info
    assert (out / searcher.graph_file).stat().st_mtime_ns == written
    assert not searcher.is_current(lang_dir, out, "compact")
    make_lang(["u", "v", "w"])
    assert not searcher.is_current(lang_dir, out)
    assert searcher.compile(lang_dir, out)["words"] == 3 and len(searcher.load(out).lang.words) == 3
    (out / f"{engine}.json").write_text("{")
    assert not searcher.is_current(lang_dir, out)
    assert searcher.compile(lang_dir, out)["words"] == 3
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_that_is_not_there_or_stale_is_named(engine, make_lang, tmp_path):
    lang_dir, out, searcher = make_lang(["u", "v"]), tmp_path / "graph", get_engine(engine)
    with pytest.raises(AslError, match=f"no graph for the {engine} engine, it has none at all"):
        searcher.load(out)
    searcher.compile(lang_dir, out)
    (out / searcher.graph_file).write_bytes(b"cut short")
    with pytest.raises(AslError, match=searcher.graph_file):
        searcher.load(out)
    (out / searcher.graph_file).unlink()
    with pytest.raises(AslError, match="does not exist"):
        searcher.load(out)
    searcher.compile(lang_dir, out)
    (out / "words.txt").write_text("<eps> 0\nu 1\nx 2\n#0 3\n")
    with pytest.raises(AslError, match="changed after the graph was compiled"):
        searcher.load(out)
