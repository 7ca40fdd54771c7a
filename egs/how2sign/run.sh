#!/usr/bin/env bash
# How2Sign: sentences of American Sign Language translated into English, from the owner's files to a scored table.
# The corpus, the options and the scoring are told in README.md.

set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$recipe_dir/cmd.sh"

recipe_help="Translation of How2Sign, from --corpus-dir (sentence files, videos or landmarks) to RESULTS.md."
option protocol official "official|by-video" "the owner's splits, or the clips that are there divided by their videos"
option from_videos false flag "extract the landmarks from the videos, of sentences that have landmarks, too"
option pieces 4000 count "sentencepiece's vocabulary, the network's outputs"
option piece_type unigram "unigram|bpe" "how sentencepiece makes it"
option case keep "keep|fold" "of the text that is learnt; fold: all in lower case"
option punctuation keep "keep|drop" "of the text that is learnt"
option stitch "" folder "data folder of isolated signs (egs/wlasl/data): join its clips to sentences and train on them, too"
option stitch_least 0.5 share "share of a sentence's words that must have a clip of --stitch"
option pretrain false flag "pre-train the encoder without labels (stage 3) and train from it"
option pretrain_config conf/pretrain.yaml file "how it is pre-trained; its encoder must be the one of --config"
option seed 0 number "seed of everything that is random in training"
option graph false flag "compile the CTC head's graph (stage 5), and decode by it, too (stage 6)"
option order 3 count "of the n-grams: of words in the graph, of pieces beside the decoder (--fuse)"
option fuse false flag "decode with an n-gram of the pieces beside the decoder, too"
option layout hands_body51 text "points that are imported; the pipeline of --config must be of it"
option beam_size 5 count "of the beam search"
option ctc_weight 0.3 share "of the CTC head in joint decoding, below 1; 0: the decoder alone"
option lm_scale 0.2 decimal "of the n-gram beside the decoder (--fuse)"
option with_test false flag "decode the test split too: once, when everything is chosen on val"
option engine auto "auto|k2|kaldi" "what compiles and searches graphs"
parse_options "$@"
case $ctc_weight in 1*) option_error "--ctc-weight $ctc_weight leaves the decoder out; give a share below 1" ;; esac
cd "$recipe_dir"

config=${config:-conf/base.yaml}
name=$(basename "$config" .yaml) start=() given=() train_split=train
if [ -n "$stitch" ]; then name=${name}_stitched train_split=train_stitched; fi
if $pretrain; then
  pretrained=exp/$(basename "$pretrain_config" .yaml)_seed$seed name=${name}_pre
  start=(--init-from "$pretrained" --init-only encoder) given=("$pretrained/train.json" "$pretrained/checkpoints")
fi
exp=${exp:-exp/${name}_seed$seed}
lang=(data/lang/{sentencepiece.model,tokens.txt,words.txt,lexicon.txt})

if stage 0 "check the corpus"; then
  need_corpus_dir "how2sign_realigned_*.csv and videos or landmarks"
  step -- asl check how2sign --corpus-dir "$corpus_dir" --protocol "$protocol" --from-videos "$from_videos"
fi

if stage 1 "prepare manifests and the written side"; then
  need_corpus_dir "how2sign_realigned_*.csv and videos or landmarks"
  step --listing "$corpus_dir" --out data/report.json data/text -- \
    asl prepare how2sign --corpus-dir "$corpus_dir" --protocol "$protocol" --from-videos "$from_videos" --out data
  step --in data/text/train.txt --out data/lang -- asl lang sentencepiece --text data/text/train.txt \
    --type "$piece_type" --vocab-size "$pieces" --case "$case" --punctuation "$punctuation" --out data/lang
fi

if stage 2 "extract and import landmarks"; then
  extract_and_import 0.01 --layout "$layout"
  if [ -n "$stitch" ]; then
    step --in "$stitch"/train/cuts.jsonl.gz data/train/cuts.jsonl.gz data/text/train.txt \
      --out data/train_stitched/cuts.jsonl.gz -- \
      asl stitch isolated --source "$stitch" --text data/text/train.txt --data data --out train_stitched \
      --least-matched "$stitch_least" --seed "$seed"
  fi
fi

if ! $pretrain; then
  no_stage 3 "--pretrain is not given"
elif stage 3 "pre-train $pretrained"; then
  step -- asl check encoder --pretrain-config "$pretrain_config" --config "$config" --data data
  step --in "$pretrain_config" "${lang[@]}" data/landmarks/*.h5 data/*/cuts.jsonl.gz \
    --out "$pretrained/train.json" "$pretrained/checkpoints/last.ckpt" --via="$train_cmd" --again=--force -- \
    asl train --config "$pretrain_config" --exp "$pretrained" --data.data_dir data --seed "$seed" --devices "$devices"
fi

if stage 4 "train $exp"; then
  step --in "$config" "${lang[@]}" data/landmarks/*.h5 data/*/cuts.jsonl.gz ${given[@]+"${given[@]}"} \
    --out "$exp/train.json" "$exp/checkpoints/last.ckpt" --via="$train_cmd" --again=--force -- \
    asl train --config "$config" --exp "$exp" ${start[@]+"${start[@]}"} --data.data_dir data \
    --data.train_split "$train_split" --seed "$seed" --devices "$devices"
fi

if stage 5 "estimate n-grams, compile the CTC head's graph"; then
  if $fuse; then
    step --in "${lang[@]}" data/text/train.txt --out data/text/train.pieces.txt -- \
      asl lang pieces --lang data/lang --text data/text/train.txt --out data/text/train.pieces.txt
    estimate_ngram "$order" data/lang/pieces.arpa data/text/train.pieces.txt
  fi
  if $graph; then
    step --in "${lang[@]}" data/text/train.txt --out data/text/train.words.txt -- \
      asl lang words --lang data/lang --text data/text/train.txt --out data/text/train.words.txt
    estimate_ngram "$order" "data/lang/$order-gram.arpa" data/text/train.words.txt
    compile_graph "data/lang/$order-gram.arpa" "$exp/graph"
  fi
fi

if stage 6 "decode and score"; then
  decoded=(val)
  if $with_test; then decoded+=(test); fi
  score_options=(--case "$case" --settings true)
  for split in $(splits "${decoded[@]}"); do
    score_constant "$split" --case "$case"
    decode_into "$exp/decode_${split}_beam1" "$split" bleu -- --method attention --beam-size 1
    decode_into "$exp/decode_${split}_beam$beam_size" "$split" bleu -- --method attention --beam-size "$beam_size"
    if [[ $ctc_weight == *[1-9]* ]]; then
      decode_into "$exp/decode_${split}_joint" "$split" bleu -- \
        --method attention --beam-size "$beam_size" --ctc-weight "$ctc_weight"
    fi
    if $fuse; then
      decode_into "$exp/decode_${split}_fused" "$split" bleu data/lang/pieces.arpa -- --method attention \
        --beam-size "$beam_size" --ctc-weight "$ctc_weight" --lm data/lang/pieces.arpa --lm-scale "$lm_scale"
    fi
    if $graph; then decode_graph "$split" graph "$exp/graph" bleu; fi
  done
fi

if stage 7 "result table"; then
  step -- asl results exp --keep results --out RESULTS.md
fi
