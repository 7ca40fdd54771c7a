#!/usr/bin/env bash
# local/subsets.sh --corpus-dir DIR: a data folder for each subset that conf/ablations/*.yaml names.
# data/20, data/100, data/1000; data/100_untracked has the hands in the order of detection.

set -euo pipefail
. "$(dirname "$0")/../path.sh"

recipe_help="Stages 1 and 2 of WLASL for several subsets, each in a folder of its own."
option subsets "20 100 1000" text "numbers of signs, with spaces between"
option untracked 100 number "also so many signs with the hands in the order of detection; 0: none"
option protocol official "official|signer-independent" "the owner's splits, or no signer in two of them"
parse_options "$@"
cd "$recipe_dir/.."

# prepare SIGNS FOLDER [OPTIONS of asl landmarks import]
prepare() {
  local signs=$1 folder=$2
  shift 2
  if stage 1 "prepare $folder"; then
    need_corpus_dir "WLASL_v0.3.json"
    step --listing "$corpus_dir" --out "$folder/report.json" "$folder"/{train,lang} -- \
      asl prepare wlasl --corpus-dir "$corpus_dir" --subset "$signs" --protocol "$protocol" --out "$folder"
  fi
  if stage 2 "import the landmarks of $folder"; then
    step --in "$folder/report.json" "$folder"/*/recordings.jsonl.gz "$folder"/*/supervisions.jsonl.gz \
      --out "$folder/landmarks/report.json" "$folder/train/cuts.jsonl.gz" -- \
      asl landmarks import --data "$folder" --nj "$nj" --max-failures 0.01 "$@"
  fi
}

end=
[ "$protocol" = official ] || end=_$protocol
for signs in $subsets; do prepare "$signs" "data/$signs$end"; done
if [ "$untracked" -gt 0 ]; then prepare "$untracked" "data/${untracked}_untracked$end" --tracking false; fi
