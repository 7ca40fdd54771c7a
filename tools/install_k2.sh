#!/usr/bin/env bash
# Install k2 from its owner's list of wheels, and the torch that this wheel was built for. The newest one that fits
# this Python is taken. For torch 1.13.1 on Python 3.10 the public index has a k2: that is set 2 of setup_env.sh.

set -euo pipefail

usage="usage: $0 --index URL [--python .venv/bin/python]"
index="" python=$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/python
fail() { echo "$0: error: $1" >&2; exit "${2:-1}"; }

while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) echo "$usage"; exit 0 ;;
    --index | --python)
      [ $# -ge 2 ] || fail "$1 needs a value; $usage" 2
      if [ "$1" = --index ]; then index=$2; else python=$2; fi
      shift 2 ;;
    *) fail "no option '$1'; $usage" 2 ;;
  esac
done
[ -n "$index" ] || fail "say where the wheels are listed: the page for CPU or the one for CUDA; $usage" 2
[ -x "$python" ] || fail "there is no Python at $python; tools/setup_env.sh makes one"

# --no-index: the k2 of the public index claims to fit every Python 3, and pulls torch back to 1.13.1
"$python" -m pip install --disable-pip-version-check --no-index --find-links "$index" --no-deps --pre --upgrade k2 ||
  fail "no wheel of k2 for $("$python" -V) is listed at $index"
torch=$("$python" -c '
import re
from importlib.metadata import version
print((re.search(r"torch(\d+\.\d+(?:\.\d+)?)", version("k2")) or [None, ""])[1])')
[ -n "$torch" ] || fail "the k2 from $index does not say in its version which torch it was built for"
"$python" -m pip install --disable-pip-version-check "torch==$torch" 'numpy<2' ||
  fail "this k2 was built for torch $torch, which could not be installed"
"$python" -c 'import k2' || fail "k2 is installed and cannot be imported: is $index the page for this machine (CPU or CUDA)?"
