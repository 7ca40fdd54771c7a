#!/usr/bin/env bash
# utils/copy_recipe.sh NAME-or-path [FROM]: a new recipe (egs/NAME, or the folder given) from egs/TEMPLATE or FROM.

set -euo pipefail

fail() { echo "$0: error: $1" >&2; exit 2; }

usage="usage: $0 NAME-or-path [FROM]; for example $0 egs/mycorpus"
for word in "$@"; do
  case $word in
    --help | -h) echo "$usage"; exit 0 ;;
    -*) fail "no option '$word'; $usage" ;;
  esac
done
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ -z "$1" ]; then fail "say what the recipe is called; $usage"; fi

root=$(cd "$(dirname "$0")/.." && pwd)
case $1 in */*) new=$1 ;; *) new=$root/egs/$1 ;; esac
from=${2:-TEMPLATE}
case $from in */*) ;; *) from=$root/egs/$from ;; esac
[ -f "$from/run.sh" ] || fail "$from is no recipe: it has no run.sh"
[ ! -e "$new" ] || fail "$new is there already; choose another name"

mkdir -p "$(dirname "$new")"
half=$new.tmp$$
trap 'rm -rf "$half"' EXIT
mkdir "$half"
for entry in "$from"/*; do
  case $(basename "$entry") in data | exp | results | RESULTS.md) ;; *) cp -R "$entry" "$half/" ;; esac
done
if [ "$(cd "$(dirname "$new")" && pwd)" != "$root/egs" ]; then # not two folders below the toolkit: say where it is
  {
    echo "# Sourced by run.sh: where the toolkit is."
    echo "# shellcheck shell=bash"
    printf 'ASL_ROOT=%q\n' "$root"
    # shellcheck disable=SC2016  # it is path.sh that expands it
    echo '. "$ASL_ROOT/utils/recipe.sh"'
  } > "$half/path.sh"
fi
mv "$half" "$new"
hold="what its README.md says"
if [ "$from" = "$root/egs/TEMPLATE" ]; then hold="corpus.csv (id,path,split,text,signer[,gloss]) and videos or landmarks"; fi
echo "$new is a recipe now. Put $hold into DIR, then:"
echo "  $new/run.sh --corpus-dir DIR"
