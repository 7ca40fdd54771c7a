"""shellcheck finds nothing in any shell file."""

import subprocess
import sys
from pathlib import Path


def test_every_shell_file_is_clean(root):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=root, stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    files = [
        name
        for name in listed.splitlines()
        if (root / name).is_file() and (name.endswith(".sh") or (root / name).read_bytes()[:19] == b"#!/usr/bin/env bash")
    ]
    assert {"run_all.sh", "tests/run.sh", ".ci/run", "utils/parse_options.sh", "egs/wlasl/run.sh"} <= set(files)
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([program, *files], cwd=root, stdout=subprocess.PIPE, universal_newlines=True)
    assert done.stdout == "" and done.returncode == 0
