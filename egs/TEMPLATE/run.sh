#!/usr/bin/env bash
# A corpus of one's own, described by one table (corpus.csv), from videos or landmarks to a scored table.
# README.md says what to put where; what is special about this corpus goes into conf/ and local/.

set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$recipe_dir/cmd.sh"

recipe_help="A corpus described by --corpus-dir's corpus.csv (id,path,split,text,signer[,gloss]) to RESULTS.md."
option head softmax "softmax|ctc" "a softmax over signs (a clip is one sign), or CTC (sentences, or one sign)"
option grammar none text "ctc: what the graph accepts: one-sign, ngram (of the train sentences), or an ARPA file"
option order 3 count "of the n-gram, with --grammar ngram"
option layout hands42 text "which points are used (asl/landmarks/layouts.py)"
option seed 0 number "seed of everything that is random in training"
option pretrain false flag "pre-train the encoder without labels (stage 3) and train from it"
option pretrain_config conf/pretrain.yaml file "how it is pre-trained; its encoder must be the one of --config"
option init_from "" folder "train from the encoder of this experiment folder, pre-trained on any clips"
option with_test false flag "decode the test split too: once, when everything is chosen on val"
option baseline false flag "score a linear SVM beside it, to see how hard the corpus is (a clip is one sign)"
option engine auto "auto|k2|kaldi" "what compiles and searches graphs"
parse_options "$@"
cd "$recipe_dir"

config=${config:-conf/$head.yaml}
name=$(basename "$config" .yaml)
if $pretrain; then
  [ -z "$init_from" ] || option_error "--pretrain makes what --init-from names: give one of the two"
  init_from=exp/$(basename "$pretrain_config" .yaml)_seed$seed
fi
start=() given=()
if [ -n "$init_from" ]; then
  name=${name}_pre
  start=(--init-from "$init_from" --init-only encoder) given=("$init_from/train.json" "$init_from/checkpoints")
fi
exp=${exp:-exp/${name}_seed$seed}

if stage 0 "check the corpus"; then
  need_corpus_dir "corpus.csv"
  step -- asl check csv --corpus-dir "$corpus_dir"
fi

if stage 1 "prepare manifests and the written side"; then
  need_corpus_dir "corpus.csv"
  step --listing "$corpus_dir" --out data/report.json data/train data/lang -- \
    asl prepare csv --corpus-dir "$corpus_dir" --out data
fi

if stage 2 "extract and import landmarks"; then
  extract_and_import 0 --layout "$layout"
fi

if ! $pretrain; then
  no_stage 3 "--pretrain is not given"
elif stage 3 "pre-train $init_from"; then
  step -- asl check encoder --pretrain-config "$pretrain_config" --config "$config" --data data --layout "$layout"
  step --in "$pretrain_config" data/lang/{tokens,words,lexicon}.txt data/landmarks/*.h5 data/*/cuts.jsonl.gz \
    --out "$init_from/train.json" "$init_from/checkpoints/last.ckpt" --via="$train_cmd" --again=--force -- \
    asl train --config "$pretrain_config" --exp "$init_from" --data.data_dir data \
    --data.pipeline.layout "$layout" --seed "$seed" --devices "$devices"
fi

if stage 4 "train $exp"; then
  step --in "$config" data/lang/{tokens,words,lexicon}.txt data/landmarks/*.h5 data/*/cuts.jsonl.gz \
    ${given[@]+"${given[@]}"} --out "$exp/train.json" "$exp/checkpoints/last.ckpt" \
    --via="$train_cmd" --again=--force -- \
    asl train --config "$config" --exp "$exp" ${start[@]+"${start[@]}"} --data.data_dir data \
    --data.pipeline.layout "$layout" --seed "$seed" --devices "$devices"
fi

if stage 5 "compile the graph"; then
  if [ "$head" = ctc ] && [ "$grammar" != none ]; then
    accepts=$grammar
    if [ "$grammar" = ngram ]; then
      accepts=data/lang/$order-gram.arpa
      estimate_ngram "$order" "$accepts"
    fi
    compile_graph "$accepts" "$exp/graph"
  else
    echo "  none is asked for (--head $head --grammar $grammar)"
  fi
fi

if stage 6 "decode and score"; then
  methods=softmax metric=topk
  if [ "$head" = ctc ]; then
    methods="greedy beam" metric=wer
    [ "$grammar" = none ] || methods="$methods graph"
  fi
  decoded=(val)
  if $with_test; then decoded+=(test); fi
  for split in $(splits "${decoded[@]}"); do
    if $baseline; then score_baseline "$split"; fi
    for method in $methods; do
      decode_and_score "$split" "$method" "$metric"
    done
  done
fi

if stage 7 "result table"; then
  step -- asl results exp --keep results --out RESULTS.md
fi
