#!/usr/bin/env bash
# WLASL: isolated signs of American Sign Language, from its owner's files to a scored table.
# The corpus, the options and the results are told in README.md.

set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$recipe_dir/cmd.sh"

recipe_help="Isolated signs of WLASL, from --corpus-dir (its lists, videos or landmarks) to RESULTS.md."
option subset 100 count "the first so many signs: the owner's 100, 300, 1000 or 2000, or any other number"
option protocol official "official|signer-independent" "the owner's splits, or no signer in two of them"
option head softmax "softmax|ctc" "a softmax over the signs, or CTC decoded through a graph of one sign"
option from_videos false flag "extract the landmarks from the videos, of clips that have landmarks, too"
option seed 0 number "seed of everything that is random in training"
option asl_lex "" file "ASL-LEX's signdata CSV: stage 1 makes the phonology that conf/softmax_phon.yaml needs"
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
signs=$subset
[ "$protocol" = official ] || signs=${subset}_$protocol
if $pretrain; then
  [ -z "$init_from" ] || option_error "--pretrain makes what --init-from names: give one of the two"
  init_from=exp/$(basename "$pretrain_config" .yaml)_${signs}_seed$seed
fi
start=() given=()
if [ -n "$init_from" ]; then
  name=${name}_pre
  start=(--init-from "$init_from" --init-only encoder) given=("$init_from/train.json" "$init_from/checkpoints")
fi
exp=${exp:-exp/${name}_${signs}_seed$seed}
if grep -q "^ *phonology:" "$config"; then given+=(data/lang/phonology.tsv); fi

if stage 0 "check the corpus"; then
  need_corpus_dir "WLASL_v0.3.json"
  step -- asl check wlasl --corpus-dir "$corpus_dir" --subset "$subset" --from-videos "$from_videos"
fi

if stage 1 "prepare manifests and the written side"; then
  need_corpus_dir "WLASL_v0.3.json"
  step --listing "$corpus_dir" --out data/report.json data/train data/lang -- \
    asl prepare wlasl --corpus-dir "$corpus_dir" --subset "$subset" --protocol "$protocol" \
    --from-videos "$from_videos" --out data
  if [ -n "$asl_lex" ]; then
    step --in "$asl_lex" data/lang/words.txt --out data/lang/phonology.tsv -- \
      asl phonology --asl-lex "$asl_lex" --lang data/lang
  fi
fi

if stage 2 "extract and import landmarks"; then
  extract_and_import 0.01
fi

if ! $pretrain; then
  no_stage 3 "--pretrain is not given"
elif stage 3 "pre-train $init_from"; then
  step -- asl check encoder --pretrain-config "$pretrain_config" --config "$config" --data data
  step --in "$pretrain_config" data/lang/{tokens,words,lexicon}.txt data/landmarks/*.h5 data/*/cuts.jsonl.gz \
    --out "$init_from/train.json" "$init_from/checkpoints/last.ckpt" --via="$train_cmd" --again=--force -- \
    asl train --config "$pretrain_config" --exp "$init_from" --data.data_dir data \
    --seed "$seed" --devices "$devices"
fi

if stage 4 "train $exp"; then
  step --in "$config" data/lang/{tokens,words,lexicon}.txt data/landmarks/*.h5 data/*/cuts.jsonl.gz \
    ${given[@]+"${given[@]}"} --out "$exp/train.json" "$exp/checkpoints/last.ckpt" \
    --via="$train_cmd" --again=--force -- \
    asl train --config "$config" --exp "$exp" ${start[@]+"${start[@]}"} --data.data_dir data \
    --seed "$seed" --devices "$devices"
fi

if stage 5 "compile the graph"; then
  if [ "$head" = ctc ]; then
    step --in data/lang/{tokens,words,lexicon}.txt --out "$exp/graph" data/lang/{L,L_disambig,G}.fst.txt -- \
      asl graph compile --lang data/lang --grammar one-sign --engine "$engine" --out "$exp/graph"
  else
    echo "  a softmax over signs needs none"
  fi
fi

if stage 6 "decode and score"; then
  methods=softmax
  [ "$head" = softmax ] || methods="greedy beam graph"
  decoded=(val)
  if $with_test; then decoded+=(test); fi
  for split in $(splits "${decoded[@]}"); do
    if $baseline; then score_baseline "$split"; fi
    for method in $methods; do
      decode_and_score "$split" "$method" topk
    done
  done
fi

if stage 7 "result table"; then
  step -- asl results exp --keep results --out RESULTS.md
fi
