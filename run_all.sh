#!/usr/bin/env bash
# Run every recipe from its corpus to a scored table, and print one table of all.
#   ./run_all.sh                  on small synthetic corpora in the owners' formats, in run_all/ (25 minutes)
#   ./run_all.sh --corpora DIR    on the real corpora that are in DIR (DIR/wlasl, ...), in egs/
# The environment is set up if it is not there. What is done already is not done again.

set -euo pipefail
usage="usage: $0 [--corpora DIR] [--nj N]"
root=$(cd "$(dirname "$0")" && pwd)
corpora="" nj=2
fail() { echo "$0: error: $1" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) echo "$usage"; sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --corpora | --nj) [ $# -ge 2 ] || fail "$1 needs a value; $usage" ;;
    *) fail "no option '$1'; $usage" ;;
  esac
  if [ "$1" = --corpora ]; then corpora=$2; else nj=$2; fi
  shift 2
done
if [ -n "$corpora" ]; then
  [ -d "$corpora" ] || fail "--corpora: there is no folder '$corpora'"
  corpora=$(cd "$corpora" && pwd)
fi

"$root/tools/setup_env.sh"
asl=("$root/.venv/bin/python" -m asl.cli)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
cd "$root"

kind=synthetic
if [ -n "$corpora" ]; then kind=real; fi
results=()
for file in egs/*/conf/run_all.txt; do
  name=${file#egs/} name=${name%%/*}
  if [ $kind = real ]; then
    corpus=$corpora/$name recipe=egs/$name
    if ! [ -d "$corpus" ]; then echo "$name: not in $corpora, left out"; continue; fi
    needs=$(sed -n 's/^needs //p' "$file")
    if [ -n "$needs" ] && [ -z "$(find "$corpus" -name "$needs" -print -quit)" ]; then
      echo "$name: $corpus has no file $needs (landmarks), left out"
      continue
    fi
  else
    corpus=run_all/corpora/$name recipe=run_all/$name
    "${asl[@]}" synthesize "$corpus" --format "$name"
    [ -d "$recipe" ] || utils/copy_recipe.sh "./$recipe" "$name" >/dev/null
    for part in run.sh cmd.sh conf local; do # the recipe may have changed since it was copied
      if [ -e "egs/$name/$part" ]; then cp -R "egs/$name/$part" "$recipe/"; fi
    done
  fi
  # the lines of the file are words for run.sh: split at blanks, nothing in them is evaluated
  while read -r for_kind words; do
    [ "$for_kind" = $kind ] || continue
    read -r -a options <<< "$words"
    echo "== $name ($kind): run.sh $words"
    "$recipe/run.sh" --corpus-dir "$corpus" --nj "$nj" "${options[@]}" < /dev/null
  done < "$file"
  results+=("$recipe/results")
done
[ ${#results[@]} -gt 0 ] || fail "none of the recipes' corpora is in $corpora"
echo
"${asl[@]}" results "${results[@]}" --print-only
