# Sourced by run.sh through utils/recipe.sh: which stages run, and one step of a stage.
# shellcheck shell=bash

# stage N TITLE: true where the options select stage N (use as: if stage 1 "prepare"; then ...; fi).
stage() {
  stage_number=$1
  if $list_stages; then
    echo "stage $1: $2"
    return 1
  fi
  [ "$1" -ge "$stage" ] && [ "$1" -le "$stop_stage" ] || return 1
  echo "stage $1: $2"
}

# no_stage N WHY: a stage number that this recipe leaves out; --list-stages says why.
no_stage() {
  if $list_stages; then echo "stage $1: none: $2"; fi
}

# step [--in PATH...] [--listing DIR...] [--out PATH...] [--via=WORDS] [--again=WORD] -- COMMAND...: run COMMAND
# once; again only where it, an input or an output has changed. Without --out: every time. asl/common/stages.py.
step() {
  local words=(--stage "$stage_number")
  if $force; then words+=(--force); fi
  if $dry_run; then
    while [ "$1" != -- ]; do shift; done
    shift
    printf ' '
    printf ' %q' "$@"
    echo
  else
    "$python" -m asl.common.stages "${words[@]}" "$@"
  fi
}

# need_corpus_dir WHAT: the stages that read the corpus cannot run without --corpus-dir.
need_corpus_dir() {
  if $dry_run && [ -z "$corpus_dir" ]; then corpus_dir=CORPUS_DIR; fi
  [ -n "$corpus_dir" ] || option_error "stage $stage_number reads the corpus: give --corpus-dir, the folder of $1"
}

# splits NAME...: those of the splits that the corpus has clips of (stage 1 writes nothing for the others).
splits() {
  local split
  for split in "$@"; do
    if $dry_run || [ -f "data/$split/recordings.jsonl.gz" ]; then echo "$split"; fi
  done
}

# decode_and_score SPLIT METHOD METRIC: hypotheses of $exp for one split, and their numbers.
decode_and_score() {
  local dir=$exp/decode_$1_$2 graph=()
  if [ "$2" = graph ]; then graph=("$exp/graph"); fi
  step --in "$exp/train.json" "$exp/checkpoints" "data/$1/cuts.jsonl.gz" data/landmarks ${graph[@]+"${graph[@]}"} \
    --out "$dir/hyp.jsonl" --via="$decode_cmd" -- \
    asl decode --exp "$exp" --data data --split "$1" --method "$2" --engine "$engine" --out "$dir"
  score_folder "$dir" "$1" "$3"
}

# score_baseline SPLIT: a linear SVM's hypotheses for one split of isolated signs, and their numbers.
score_baseline() {
  local dir=exp/svm/decode_$1_svm
  step --in data/train/cuts.jsonl.gz "data/$1/cuts.jsonl.gz" data/landmarks --out "$dir/hyp.jsonl" -- \
    asl baseline svm --data data --split "$1" --out "$dir"
  score_folder "$dir" "$1" topk
}

# score_folder DIR SPLIT METRIC: the numbers of the hypotheses in DIR.
score_folder() {
  step --in "$1/hyp.jsonl" "$1/decode.json" "data/$2/supervisions.jsonl.gz" --out "$1/result.json" -- \
    asl score --decode "$1" --data data --split "$2" --metric "$3"
}
