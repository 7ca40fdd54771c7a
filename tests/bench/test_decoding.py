"""The decoding benchmarks run, on a made-up corpus of PHOENIX's layout."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.bench import posteriors as made
from tests.bench.decoding import BEAMS, LATTICES


@pytest.fixture
def corpus(tmp_path):
    """Sentences of eight glosses."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "corpus" / "annotations"
    (folder / "manual").mkdir(parents=True)
    words = ["WETTER", "MORGEN", "REGEN", "SONNE", "NORD", "SUED", "loc-REGION", "__ON__"]
    for split, size in (("train", 60), ("dev", 6)):
        rows, frames = ["id|folder|signer|annotation"], []
        for i in range(size):
            said = " ".join(rng.choice(words, rng.integers(2, 6)))
            rows.append(f"{split}-{i}|{split}-{i}/1/*.png|Signer01|{said}")
            frames.append(f"{split}-{i}\tSigner01\t{int(rng.integers(80, 160))}\n")
        (folder / "manual" / f"{split}.corpus.csv").write_text("\n".join(rows) + "\n")
        (folder / f"{split}.frames.tsv").write_text("".join(frames))
    return tmp_path / "corpus"


def test_simulated_posteriors_are_normalised_labelled_and_kept(corpus, tmp_path):
    references = made.read_corpus(corpus, "dev")
    glosses = sorted({gloss for words in references.values() for gloss in words})
    assert "REGION" in glosses or "loc-REGION" not in glosses
    posteriors = made.simulate(references, made.read_frames(corpus, "dev"), glosses)
    again = made.simulate(references, made.read_frames(corpus, "dev"), glosses)
    for log_probs, same, key in zip(posteriors.log_probs, again.log_probs, posteriors.ids):
        assert np.array_equal(log_probs, same) and len(log_probs) == made.read_frames(corpus, "dev")[key] // 4
        assert np.allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-4)
    made.save(tmp_path / "p.npz", posteriors)
    read = made.load(tmp_path / "p.npz")
    assert read.simulated and read.ids == posteriors.ids and read.references == posteriors.references
    assert all(np.array_equal(a, b) for a, b in zip(read.log_probs, posteriors.log_probs))


@pytest.mark.slow
def test_the_decoding_benchmark_reports_its_parts(corpus, tmp_path, root):
    script = root / "tests" / "bench" / "decoding.py"
    words = ["--corpus-dir", str(corpus), "--out", str(tmp_path / "out"), "--only", "search", "streaming"]
    out = subprocess.check_output([sys.executable, str(script), *words], text=True, cwd=root)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["simulated"] and "SIMULATED posteriors: 6 sentences" in out
    assert len(results["search"]) == len(BEAMS) + len(LATTICES) and all(0 <= row["wer"] <= 100 for row in results["search"])
    assert results["streaming"]["different"] == 0 and results["streaming"]["max_ms"] > 0


@pytest.mark.slow
@pytest.mark.k2
def test_the_engines_are_compared_on_a_file_of_posteriors(corpus, tmp_path, root):
    bench = root / "tests" / "bench"
    file = tmp_path / "p.npz"
    subprocess.check_call(
        [sys.executable, str(bench / "posteriors.py"), "--corpus-dir", str(corpus), "--out", str(file)], cwd=root
    )
    out = subprocess.check_output(
        [sys.executable, str(bench / "engines.py"), "--posteriors", str(file), "--lm-scale", "0.5"], text=True, cwd=root
    )
    assert "best words equal in 6 of 6 clips" in out
