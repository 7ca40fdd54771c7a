"""A manifest of 200,000 clips is held under 1.5 GB; here a tenth of it, its growth taken tenfold."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_large_manifest_needs_little_memory(root):
    script = root / "tests" / "bench" / "lazy_manifest.py"
    out = subprocess.check_output([sys.executable, str(script), "--clips", "20000"], text=True)
    peak, before = (float(n.replace(",", "")) for n in re.findall(r"([\d,]+) MB", out))
    assert before + 10 * (peak - before) < 1500, out
