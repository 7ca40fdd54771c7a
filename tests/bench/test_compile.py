"""A trigram of 10,000 words compiles within a minute and 4 GB; here a tenth of it, with a tenth of the time."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("engine", [pytest.param("k2", marks=pytest.mark.k2), "kaldi"])
def test_a_large_trigram_is_compiled_in_little_time_and_memory(root, engine):
    script = root / "tests" / "bench" / "compile.py"
    words = ["--words", "1000", "--sentences", "6000", "--engines", engine, "--cases", "words/compact", "units/ctc"]
    out = subprocess.check_output([sys.executable, str(script), *words], text=True)
    rows = re.findall(rf"^{engine} (words|units)/\S+: [\d.]+ s, ([\d.]+) s of a processor, ([\d.]+) GB", out, re.M)
    assert [name for name, _, _ in rows] == ["words", "units"], out
    # the imports alone take two seconds or three
    assert all(float(cpu) < 12 and float(gb) < 1.5 for _, cpu, gb in rows), out
