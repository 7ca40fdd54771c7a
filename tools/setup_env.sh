#!/usr/bin/env bash
# Make the Python environment: the best set of versions that works on this machine, proved by importing it.
#   set 1  torch 2.x with the k2 wheel that matches, from the list of wheels given by --k2-index
#   set 2  Python 3.10, torch 1.13.1, k2 1.23.4: Linux on x86-64, a CPU or a GPU up to compute capability 8.6
#   set 3  Python 3.10 to 3.12, torch 2.x, no k2: graphs are searched by the kaldi engine
# Again on a finished environment it returns at once; on a half-made one it finishes it.

set -euo pipefail

usage="usage: $0 [--set auto|1|2|3] [--k2-index URL] [--dir .venv] [--python PATH]"
root=$(cd "$(dirname "$0")/.." && pwd)
set=auto k2_index="" dir=$root/.venv python=""

fail() { echo "$0: error: $1" >&2; exit "${2:-1}"; }
say() { echo "setup_env: $1"; }

while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) echo "$usage"; sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --set | --k2-index | --k2_index | --dir | --python)
      [ $# -ge 2 ] || fail "$1 needs a value; $usage" 2
      case $1 in
        --set) set=$2 ;;
        --dir) dir=$2 ;;
        --python) python=$2 ;;
        *) k2_index=$2 ;;
      esac
      shift 2 ;;
    *) fail "no option '$1'; $usage" 2 ;;
  esac
done
case $set in auto | 1 | 2 | 3) ;; *) fail "--set is auto, 1, 2 or 3, not '$set'" 2 ;; esac
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
marker=$dir/.asl-environment log=$dir.log

# version PYTHON: its "3.10" where it runs and can make environments, else nothing (a pyenv shim may be there and not run).
version() { "$1" -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# interpreter 3.11 3.12 ...: the first Python of these versions, on PATH or among pyenv's.
interpreter() {
  local wanted candidate pyenv_root=${PYENV_ROOT:-$HOME/.pyenv}
  if command -v pyenv >/dev/null; then pyenv_root=$(pyenv root); fi
  for wanted in "$@"; do
    for candidate in ${python:+"$python"} "python$wanted" python3 "$pyenv_root"/versions/"$wanted".*/bin/python; do
      if [ -n "$python" ] && [ "$candidate" != "$python" ]; then continue; fi
      if [ "$(version "$candidate")" = "$wanted" ]; then
        command -v "$candidate"
        return
      fi
    done
  done
}

# pythons N: the versions that set N runs on, best first.
pythons() { if [ "$1" = 2 ]; then echo 3.10; else echo 3.11 3.12 3.10; fi; }

constraints() { if [ "$1" = 2 ]; then echo "$root/tools/constraints-set2.txt"; else echo "$root/tools/constraints-set3.txt"; fi; }

# has_k2: $dir holds a k2 that works with torch 2 already, wherever it came from.
has_k2() { "$dir/bin/python" -c 'import k2, torch; assert torch.__version__[0] != "1"' 2>/dev/null; }

# obstacle N: why set N cannot be had here; nothing where it can.
obstacle() {
  local capability
  if [ "$1" = 1 ] && [ -z "$k2_index" ] && ! has_k2; then
    echo "no --k2-index is given (its owner's list of wheels), and no k2 for torch 2 is in $dir"
    return
  fi
  if [ "$1" = 2 ]; then
    if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
      echo "k2 1.23.4 is for Linux on x86-64, this is $(uname -s) on $(uname -m)"
      return
    fi
    if command -v nvidia-smi >/dev/null; then
      capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -n | tail -n 1) || true
      case $capability in
        [0-7].* | 8.[0-6] | '') ;;
        [0-9]*) echo "the GPU has compute capability $capability, torch 1.13.1 knows none above 8.6"; return ;;
      esac
    fi
  fi
  # shellcheck disable=SC2046  # the versions are words
  if [ -z "$(interpreter $(pythons "$1"))" ]; then
    if [ -n "$python" ]; then
      echo "$python is not a Python that it runs on ($(pythons "$1"))"
    else
      echo "no Python of $(pythons "$1") is found, neither on PATH nor among pyenv's; install one or give --python"
    fi
  fi
}

# state N: what an environment of set N is made from, as one line; it is whole where its marker says the same.
state() {
  cat "$(constraints "$1")" "$root/tools/k2-set2.txt" "$root/setup.py" | cksum | sed "s/^/set $1 /; s|\$| $k2_index|"
}

is_whole() { [ "$(cat "$marker" 2>/dev/null)" = "$(state "$1")" ] && "$dir/bin/python" -c 'import asl' 2>/dev/null; }

# noted FIELD: what the marker says: the set, or the k2 index it was made with.
noted() { sed -n "s/^set \([123]\) [0-9]* [0-9]* \(.*\)\$/\\$1/p" "$marker" 2>/dev/null || true; }

# quietly WHAT COMMAND...: the output goes to the log, and is shown where COMMAND fails.
quietly() {
  local what=$1 start=$SECONDS
  shift
  say "$what"
  echo "# $*" >> "$log"
  if ! "$@" >> "$log" 2>&1; then
    grep -v "is ignored: it is neither" "$log" | tail -n 15 >&2
    echo "setup_env: this failed: $what (all of it is in $log)" >&2
    return 1
  fi
  if [ $((SECONDS - start)) -gt 5 ]; then say "  $((SECONDS - start)) s"; fi
}

proof='
import sys
import h5py, jsonargparse, kaldi_decoder, kaldialign, kaldifst, kaldilm, lhotse, lightning, matplotlib, torch
import cv2, mediapipe, pose_format, pytest, sklearn, tensorboard
import asl
if sys.argv[1] != "3":
    import k2
    k2.intersect(k2.ctc_topo(2), k2.linear_fsa([1]), treat_epsilons_specially=False)
print("torch", torch.__version__)
'

# pins N: exact versions for pip; the torch of set 1 is the one that its k2 was built for.
pins() {
  if [ "$1" = 1 ]; then
    grep -v "^torch==" "$(constraints 1)"
    "$dir/bin/python" -c 'import torch; print("torch==" + torch.__version__)'
  else
    cat "$(constraints "$1")"
  fi
}

# make N: build or finish set N in $dir.
make() {
  local base before extra=()
  # shellcheck disable=SC2046
  base=$(interpreter $(pythons "$1"))
  before=$(version "$dir/bin/python")
  case " $(pythons "$1") " in
    *" ${before:-none} "*)
      say "finishing the environment that is in $dir"
      "$dir/bin/python" -m pip --version >/dev/null 2>&1 || quietly "pip" "$dir/bin/python" -m ensurepip || return 1 ;;
    *)
      if [ -e "$dir" ] && [ ! -e "$dir/pyvenv.cfg" ] && [ -n "$(ls -A "$dir")" ]; then
        fail "$dir is there and is no Python environment; give another --dir"
      fi
      quietly "a new environment in $dir from $base" "$base" -m venv --clear "$dir" || return 1 ;;
  esac
  rm -f "$marker"
  if [ "$1" = 1 ] && ! has_k2; then
    quietly "k2 from $k2_index" "$root/tools/install_k2.sh" --index "$k2_index" --python "$dir/bin/python" || return 1
  fi
  if [ "$1" = 2 ]; then extra=(graphviz torchaudio); fi # graphviz: k2 asks for it
  pins "$1" > "$dir/constraints.txt"
  quietly "packages (2 to 5 GB the first time)" "$dir/bin/python" -m pip install --disable-pip-version-check \
    -c "$dir/constraints.txt" -e "${root}[video,dev]" ${extra[@]+"${extra[@]}"} || return 1
  if [ "$1" = 2 ] && ! "$dir/bin/python" -c 'import k2' 2>/dev/null; then
    quietly "k2" "$dir/bin/python" -m pip install --disable-pip-version-check --force-reinstall --no-deps \
      -r "$root/tools/k2-set2.txt" || return 1
  fi
  quietly "proof: importing them" "$dir/bin/python" -c "$proof" "$1" || return 1
  state "$1" > "$marker"
}

wanted=$set
if [ "$set" = auto ]; then
  wanted=$(noted 1)
  wanted=${wanted:-1 2 3}
fi
if [ -z "$k2_index" ]; then k2_index=$(noted 2); fi
for n in $wanted; do
  if is_whole "$n"; then say "set $n is ready in $dir"; exit 0; fi
done
: > "$log" 2>/dev/null || fail "cannot write $log"
reasons=""
for n in $wanted; do
  why=$(obstacle "$n")
  if [ -n "$why" ]; then
    say "not set $n: $why"
    reasons="$reasons; set $n: $why"
    continue
  fi
  say "taking set $n"
  if make "$n"; then
    say "set $n is ready in $dir: $("$dir/bin/python" -c 'import platform, torch; print("Python", platform.python_version() + ", torch", torch.__version__)')"
    exit 0
  fi
  reasons="$reasons; set $n: see $log"
done
fail "no environment could be made${reasons}"
