#!/usr/bin/env bash
# RWTH-PHOENIX-Weather 2014: sentences of German Sign Language, from its owner's files to a scored table.
# The corpus, the protocols, the options and the scoring are told in README.md.

set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$recipe_dir/cmd.sh"

recipe_help="Sentences of PHOENIX-2014, from --corpus-dir (annotations/manual, frames or landmarks) to RESULTS.md."
option protocol signer-dependent "signer-dependent|si5" "the owner's splits, or Signer05 alone in val and test"
option labels normalised "normalised|raw" "train labels as the references are, or as the annotators wrote them"
option from_videos false flag "extract the landmarks from the frames, of sentences that have landmarks, too"
option order 3 count "of the n-gram that the graph is compiled with; rescoring takes one order more"
option tune false flag "choose on val what each grammar and each word weigh, and decode with that"
option rescore "" text "rescore with this instead: an ARPA file, or the folder of a neural model (asl lm neural)"
option finetune none "none|mmi|mwer" "train on through the graph in stage 5 (needs k2)"
option seed 0 number "seed of everything that is random in training"
option pretrain false flag "pre-train the encoder without labels (stage 3) and train from it"
option pretrain_config conf/pretrain.yaml file "how it is pre-trained; its encoder must be the one of --config"
option with_test false flag "decode the test split too: once, when everything is chosen on val"
option cleanup phoenix2014 "none|phoenix2014|phoenix2014-sentence" "of hypotheses, before they are scored (asl score)"
option engine auto "auto|k2|kaldi" "what compiles and searches graphs"
parse_options "$@"
cd "$recipe_dir"
[ "$order" -le 4 ] || option_error "--order is 1 to 4, for rescoring takes one more, not $order"

config=${config:-conf/ctc.yaml}
name=$(basename "$config" .yaml) tag=$protocol start=() given=()
[ "$labels" = normalised ] || tag=${tag}_$labels
if $pretrain; then
  pretrained=exp/$(basename "$pretrain_config" .yaml)_${tag}_seed$seed name=${name}_pre
  start=(--init-from "$pretrained" --init-only encoder) given=("$pretrained/train.json" "$pretrained/checkpoints")
fi
exp=${exp:-exp/${name}_${tag}_seed$seed}
graphs=$exp/graphs
score_options=(--cleanup "$cleanup")

if stage 0 "check the corpus"; then
  need_corpus_dir "annotations and frames"
  step -- asl check phoenix2014 --corpus-dir "$corpus_dir" --protocol "$protocol" --labels "$labels" \
    --from-videos "$from_videos"
fi

if stage 1 "prepare manifests and the written side"; then
  need_corpus_dir "annotations and frames"
  step --listing "$corpus_dir" --out data/report.json data/lang data/text -- \
    asl prepare phoenix2014 --corpus-dir "$corpus_dir" --protocol "$protocol" --labels "$labels" \
    --from-videos "$from_videos" --out data
fi

if stage 2 "extract and import landmarks"; then
  extract_and_import 0.01 --layout hands_body51
fi

if ! $pretrain; then
  no_stage 3 "--pretrain is not given"
elif stage 3 "pre-train $pretrained"; then
  step -- asl check encoder --pretrain-config "$pretrain_config" --config "$config" --data data
  step --in "$pretrain_config" data/lang/{tokens,words,lexicon}.txt data/landmarks/*.h5 data/*/cuts.jsonl.gz \
    --out "$pretrained/train.json" "$pretrained/checkpoints/last.ckpt" --via="$train_cmd" --again=--force -- \
    asl train --config "$pretrain_config" --exp "$pretrained" --data.data_dir data --seed "$seed" --devices "$devices"
fi

if stage 4 "train $exp"; then
  step --in "$config" data/lang/{tokens,words,lexicon}.txt data/landmarks/*.h5 data/*/cuts.jsonl.gz \
    ${given[@]+"${given[@]}"} --out "$exp/train.json" "$exp/checkpoints/last.ckpt" \
    --via="$train_cmd" --again=--force -- \
    asl train --config "$config" --exp "$exp" ${start[@]+"${start[@]}"} --data.data_dir data \
    --seed "$seed" --devices "$devices"
fi

if stage 5 "estimate the grammars, compile the graphs"; then
  for n in 1 2 "$order" $((order + 1)); do
    estimate_ngram "$n" "data/lang/$n-gram.arpa" data/text/train.txt
  done
  compile_graph data/lang/1-gram.arpa "$graphs/lexicon" # decoded without its weights (--lm-scale 0) this is H∘L
  for n in 2 "$order"; do
    compile_graph "data/lang/$n-gram.arpa" "$graphs/$n-gram"
  done
  if [ "$finetune" != none ]; then
    step --in "conf/$finetune.yaml" "$exp/train.json" "$exp/checkpoints" "$graphs/2-gram" data/landmarks/*.h5 \
      --out "${exp}_$finetune/train.json" "${exp}_$finetune/checkpoints/last.ckpt" \
      --via="$train_cmd" --again=--force -- \
      asl train --config "conf/$finetune.yaml" --init-from "$exp" --exp "${exp}_$finetune" \
      --task.init_args.graph "$graphs/2-gram" --data.data_dir data --seed "$seed" --devices "$devices"
  fi
fi

[ "$finetune" = none ] || exp=${exp}_$finetune
if stage 6 "decode and score"; then
  decoded=(val)
  if $with_test; then decoded+=(test); fi
  if $tune; then measure_prior; fi
  for split in $(splits "${decoded[@]}"); do
    decode_and_score "$split" greedy wer
    decode_and_score "$split" beam wer
    decode_graph "$split" lexicon "$graphs/lexicon" wer --lm-scale 0
    scales=()
    for graph in 2-gram "$order-gram"; do
      if $tune; then
        tune_scales val "$graphs/$graph" "$exp/tune_$graph"
        scales=(--tuned "$exp/tune_$graph")
      fi
      decode_graph "$split" "$graph" "$graphs/$graph" wer ${scales[@]+"${scales[@]}"}
    done
    decode_graph "$split" rescored "$graphs/$order-gram" wer ${scales[@]+"${scales[@]}"} \
      --rescore "${rescore:-data/lang/$((order + 1))-gram.arpa}"
  done
fi

if stage 7 "result table"; then
  step -- asl results exp --keep results --out RESULTS.md
fi
