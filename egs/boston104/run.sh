#!/usr/bin/env bash
# RWTH-BOSTON-104: sentences of American Sign Language, from its owner's tables to a table of results in
# cross-validation. A copy of egs/TEMPLATE; README.md says what was changed.

set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$recipe_dir/cmd.sh"

recipe_help="RWTH-BOSTON-104 (hands_condensed.csv, sentences.tsv, train_words.csv, speaker.csv) to RESULTS.md."
option folds 4 count "of the cross-validation over the train sentences"
option states 3 count "states of a word, each a token of the network; 1: a word is one token (conf/words.yaml)"
option stitch 0 number "sentences to stitch from the words of each fold's training sentences (needs a --config of them)"
option grammars "lexicon 2-gram 3-gram" text "what is decoded with: those of the three that are named"
option seed 0 number "seed of everything that is random in training"
option finetune none "none|mmi|mwer" "train on through the graph of the 2-gram in stage 5 (needs k2)"
option baseline false flag "score a single-Gaussian HMM with a bigram beside it"
option with "" text "decode the average of this network and these, trained before: 'exp/ctc_seed1 exp/ctc_seed2'"
option init_from "" text "train from the encoder of this experiment of the same fold (exp/NAME)"
option engine auto "auto|k2|kaldi" "what compiles and searches graphs"
parse_options "$@"
cd "$recipe_dir"

case ${config:=conf/ctc.yaml} in /*) ;; *) config=$recipe_dir/$config ;; esac
name=$(basename "$config" .yaml)
start=() given=()
if [ -n "$init_from" ]; then
  name=${name}_pre start=(--init-from "$init_from" --init-only encoder) given=("$init_from/train.json")
fi
exp=${exp:-exp/${name}_seed$seed}
graphs=$exp/graphs
lang=data/lang_states
[ "$states" -gt 1 ] || lang=data/lang
. "$recipe_dir/local/steps.sh"
for word in $grammars; do
  case $word in lexicon | 2-gram | 3-gram) ;; *) option_error "--grammars: '$word' is none of lexicon, 2-gram, 3-gram" ;; esac
done

if stage 0 "check the corpus"; then
  need_corpus_dir "hands_condensed.csv"
  step -- "$python" local/prepare.py --corpus-dir "$corpus_dir" --folds "$folds" --check
fi

if stage 1 "prepare each fold, and all sentences together"; then
  need_corpus_dir "hands_condensed.csv"
  in_folds prepare
  prepare_all
fi

if stage 2 "import landmarks, estimate n-grams"; then
  in_folds import
fi

no_stage 3 "three points have no handshapes to learn from; --init-from takes an encoder"

if stage 4 "train $exp in each fold"; then
  in_folds train
fi

if stage 5 "compile the graphs"; then
  in_folds graphs
  [ "$finetune" = none ] || in_folds finetune
fi

[ "$finetune" = none ] || exp=${exp}_$finetune
read -r -a networks <<< "$exp $with"
place=$exp # what is made of the network goes there
[ -z "$with" ] || place=${exp%_seed*}_${#networks[@]}networks

if stage 6 "tune on the other folds, decode, align and score"; then
  in_folds tune
  in_folds decode
  join_all
  if $baseline; then
    in_folds hmm
    join exp/hmm/decode_val_hmm
  fi
fi

if stage 7 "result table"; then
  step -- asl results exp --keep results --out RESULTS.md
fi
