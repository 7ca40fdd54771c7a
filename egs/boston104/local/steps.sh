# Sourced by run.sh: what is done in each fold, and with all folds together.
# shellcheck shell=bash disable=SC2154,SC2046  # run.sh sets the variables; no path here has blanks

# in_folds FUNCTION: call it in the folder of each fold, exp/foldN, which has corpus/, data/ and exp/ of its own
in_folds() {
  for ((fold = 0; fold < folds; fold++)); do
    if ! $dry_run; then
      mkdir -p "$recipe_dir/exp/fold$fold"
      cd "$recipe_dir/exp/fold$fold" || exit 1
    fi
    "$1"
  done
  cd "$recipe_dir" || exit 1
}

prepare() {
  step --listing "$corpus_dir" --out corpus/corpus.csv corpus/words.ctm -- \
    "$python" "$recipe_dir/local/prepare.py" --corpus-dir "$corpus_dir" --fold "$fold" --folds "$folds" --out corpus
  step --in corpus --out data/report.json data/val data/lang -- asl prepare csv --corpus-dir corpus --out data
  [ "$states" -eq 1 ] || step --in data/lang/words.txt --out data/lang_states -- \
    "$python" "$recipe_dir/local/states.py" --states "$states"
}

prepare_all() { # data/val: every sentence, for scoring
  step --listing "$corpus_dir" --out exp/all/corpus.csv -- \
    "$python" local/prepare.py --corpus-dir "$corpus_dir" --fold all --out exp/all
  step --in exp/all --out data/report.json data/val -- asl prepare csv --corpus-dir exp/all --out data
}

import() {
  step --in data/report.json data/val/recordings.jsonl.gz --out data/landmarks/report.json data/val/cuts.jsonl.gz \
    --via="$import_cmd" -- asl landmarks import --data data --nj "$nj" --layout nose_wrists3
  local order
  for order in 1 2 3; do # Witten-Bell: Kneser-Ney's discounts want more than 500 words
    step --in data/train/supervisions.jsonl.gz --out "data/lang/$order-gram.arpa" -- asl lm train \
      --data data --split train --order "$order" --smoothing witten-bell --out "data/lang/$order-gram.arpa"
  done
  [ "$stitch" -eq 0 ] || step --in data/train/cuts.jsonl.gz corpus/words.ctm data/lang/2-gram.arpa \
    --out data/train_stitched/cuts.jsonl.gz -- \
    asl stitch --alignments corpus/words.ctm --lm data/lang/2-gram.arpa --count "$stitch"
}

train() {
  step --in "$config" "$lang"/{tokens,words,lexicon}.txt data/landmarks data/train/cuts.jsonl.gz corpus/words.ctm \
    ${given[@]+"${given[@]}"} --out "$exp/train.json" "$exp/checkpoints/last.ckpt" \
    --via="$train_cmd" --again=--force -- asl train --config "$config" --exp "$exp" \
    ${start[@]+"${start[@]}"} --seed "$seed" --devices "$devices"
}

arpa_of() { # the lexicon alone: the words that an n-gram allows, without its weights
  case $1 in lexicon) echo data/lang/1-gram.arpa ;; *) echo "data/lang/$1.arpa" ;; esac
}

graphs() {
  local way
  for way in $grammars; do
    step --in "$lang"/{tokens,words,lexicon}.txt "$(arpa_of "$way")" --out "$graphs/$way" -- asl graph compile \
      --lang "$lang" --grammar "$(arpa_of "$way")" --engine "$engine" --out "$graphs/$way"
  done
}

finetune() { # from $exp, through the 2-gram
  local dir=$graphs/k2_2-gram config=$recipe_dir/conf/$finetune.yaml out=${exp}_$finetune
  step --in "$lang"/{tokens,words,lexicon}.txt data/lang/2-gram.arpa --out "$dir" -- asl graph compile \
    --lang "$lang" --grammar data/lang/2-gram.arpa --engine k2 --out "$dir"
  step --in "$config" "$exp/train.json" "$exp/checkpoints" "$dir" data/landmarks data/train/cuts.jsonl.gz \
    corpus/words.ctm --out "$out/train.json" "$out/checkpoints/last.ckpt" --via="$train_cmd" --again=--force -- \
    asl train --config "$config" --init-from "$exp" --exp "$out" --task.init_args.graph "$dir" --seed "$seed" \
    --devices "$devices"
}

priors() { # how often each network says each token in training: taken off its log-probs, as in a hybrid system
  local network
  for network in "${networks[@]}"; do
    step --in "$network/checkpoints" data/train/cuts.jsonl.gz --out "$network/prior.json" -- asl prior --exp "$network"
  done
}

trained() { # what decoding takes of the networks
  local network
  for network in "${networks[@]}"; do echo "$network/checkpoints" "$network/prior.json"; done
}

tune_one() { # tune_one GRAMMAR: errors of every combination of lm_scales and penalties in this fold
  step --in $(trained) "$graphs/$1" data/val/cuts.jsonl.gz --out "$place/tune_$1/best.json" -- asl tune \
    --exp "${networks[@]}" --graph "$graphs/$1" --engine "$engine" --acoustic-scales 1 \
    --prior-scales "${prior_scales[@]}" --lm-scales "${lm_scales[@]}" --insertion-penalties "${penalties[@]}" \
    --beam 30 --beams 30 --out "$place/tune_$1"
}

tune() {
  local way lm_scales penalties prior_scales=(0.3 0.6)
  if [ "$finetune" != none ]; then prior_scales=(0 0.3 0.6); fi # it was trained as it is, with no prior taken off
  priors
  for way in $grammars; do
    lm_scales=(1 1.5 2) penalties=(-4 -2 0)
    if [ "$way" = lexicon ]; then lm_scales=(0) penalties=(-2 0 2 4 6); fi
    tune_one "$way"
  done
}

decode() { # with the scales that make the fewest errors in the other folds
  local way
  for way in $grammars; do
    step --in ../fold*/"$place/tune_$way/best.json" --out "$place/scales_$way/best.json" -- "$python" \
      "$recipe_dir/local/folds.py" scales --tune ../fold*/"$place/tune_$way" --own "$place/tune_$way" \
      --out "$place/scales_$way"
    step --in $(trained) data/val/cuts.jsonl.gz "$graphs/$way" "$place/scales_$way/best.json" \
      --out "$place/decode_val_$way/hyp.jsonl" --via="$decode_cmd" -- \
      asl decode --exp "${networks[@]}" --data data --split val --method graph --graph "$graphs/$way" \
      --tuned "$place/scales_$way" --engine "$engine" --out "$place/decode_val_$way"
  done
  if [ "$states" -eq 1 ]; then
    step --in $(trained) data/val/cuts.jsonl.gz --out "$place/decode_val_greedy/hyp.jsonl" --via="$decode_cmd" -- \
      asl decode --exp "${networks[@]}" --data data --split val --method greedy --out "$place/decode_val_greedy"
  fi
  step --in $(trained) data/val/cuts.jsonl.gz --out "$place/align/align.ctm" -- \
    asl align --exp "${networks[@]}" --split val --extent spikes --out "$place/align"
}

hmm() {
  step --in data/train/cuts.jsonl.gz data/val/cuts.jsonl.gz corpus/words.ctm data/lang/2-gram.arpa \
    --out exp/hmm/decode_val_hmm/hyp.jsonl -- asl baseline hmm --alignments corpus/words.ctm --lm data/lang/2-gram.arpa
}

join() { # join DECODE-FOLDER: the folds' hypotheses as one set, scored against all sentences
  step --in exp/fold*/"$1/hyp.jsonl" --out "$1/hyp.jsonl" -- \
    "$python" "$recipe_dir/local/folds.py" join --folds exp/fold*/"$1" --out "$1"
  score_folder "$1" val wer
}

join_all() {
  local way ways=$grammars
  [ "$states" -gt 1 ] || ways="greedy $ways"
  for way in $ways; do join "$place/decode_val_$way"; done
  step --in exp/fold*/"$place/align/align.ctm" --out "$place/align.ctm" -- \
    "$python" local/folds.py ctm --folds exp/fold*/"$place/align/align.ctm" --out "$place/align.ctm"
  step --in "$place/align.ctm" exp/all/words.ctm --out "$place/boundaries.json" -- asl score boundaries \
    --hyp "$place/align.ctm" --ref exp/all/words.ctm --fps 30 --out "$place/boundaries.json"
}
