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

# extract_and_import SHARE [OPTION...]: landmarks out of the videos that stage 1 listed (none: that is said), then all
# landmark files into archives and cuts. SHARE of a split's clips may fail; the options are asl landmarks import's.
extract_and_import() {
  local share=$1 manifests=(data/report.json data/*/recordings.jsonl.gz data/*/supervisions.jsonl.gz)
  shift
  step --in "${manifests[@]}" --out data/landmarks/extract.json --via="$import_cmd" -- \
    asl landmarks extract --data data --nj "$nj" --max-failures "$share"
  step --in "${manifests[@]}" data/landmarks/extract.json --out data/landmarks/report.json data/train/cuts.jsonl.gz \
    --via="$import_cmd" -- asl landmarks import --data data --nj "$nj" --max-failures "$share" "$@"
}

# estimate_ngram ORDER ARPA [TEXT]: an n-gram of the train sentences, or of TEXT (a sentence a line).
estimate_ngram() {
  if [ $# -gt 2 ]; then
    step --in "$3" --out "$2" -- asl lm train --text "$3" --order "$1" --out "$2"
  else
    step --in data/train/supervisions.jsonl.gz --out "$2" -- \
      asl lm train --data data --split train --order "$1" --out "$2"
  fi
}

# compile_graph GRAMMAR DIR [OPTION...]: H∘L∘G in DIR; GRAMMAR is what asl graph compile takes, or an .arpa file. The
# rules of --morphology among its options count as an input.
compile_graph() {
  local inputs=(data/lang/{tokens,words,lexicon}.txt) grammar=$1 dir=$2 word before=
  shift 2
  for word in "$@"; do
    case $before in --morphology) inputs+=("$word") ;; esac
    case $word in --morphology=*) inputs+=("${word#*=}") ;; esac
    before=$word
  done
  case $grammar in *.arpa) inputs+=("$grammar") ;; *) if [ -f "$grammar" ]; then inputs+=("$grammar"); fi ;; esac
  if [ -f data/lang/lexiconp.txt ]; then inputs+=(data/lang/lexiconp.txt); fi
  step --in "${inputs[@]}" --out "$dir" -- \
    asl graph compile --lang data/lang --grammar "$grammar" --engine "$engine" --out "$dir" "$@"
}

# decode_and_score SPLIT METHOD METRIC: hypotheses of $exp for one split, and their numbers.
decode_and_score() {
  if [ "$2" = graph ]; then
    decode_graph "$1" graph "$exp/graph" "$3"
  else
    decode_into "$exp/decode_$1_$2" "$1" "$3" -- --method "$2"
  fi
}

# decode_graph SPLIT NAME GRAPH METRIC [OPTION...]: the same through the graph in the folder GRAPH, with options of
# asl decode; --rescore LM and --tuned DIR among them count as inputs. The hypotheses go into decode_SPLIT_NAME.
decode_graph() {
  local split=$1 name=$2 graph=$3 metric=$4 inputs=("$3") word before=
  shift 4
  for word in "$@"; do
    case $before in --rescore) inputs+=("$word") ;; --tuned) inputs+=("$word" "$exp/prior.json") ;; esac
    before=$word
  done
  decode_into "$exp/decode_${split}_$name" "$split" "$metric" "${inputs[@]}" -- --method graph --graph "$graph" "$@"
}

# measure_prior: how often the network of $exp says each token on train, for tune_scales.
measure_prior() {
  step --in "$exp/train.json" "$exp/checkpoints" data/train/cuts.jsonl.gz data/landmarks/*.h5 \
    --out "$exp/prior.json" --via="$decode_cmd" -- asl prior --exp "$exp" --data data --split train
}

# tune_scales SPLIT GRAPH DIR: what the grammar, each word and the prior (measure_prior made it) should weigh, by the
# WER of SPLIT; into DIR.
tune_scales() {
  step --in "$exp/train.json" "$exp/checkpoints" "$exp/prior.json" "data/$1/cuts.jsonl.gz" data/landmarks/*.h5 "$2" \
    --out "$3" --via="$decode_cmd" -- \
    asl tune --exp "$exp" --data data --split "$1" --graph "$2" --engine "$engine" --out "$3" \
    ${score_options[@]+"${score_options[@]}"}
}

# decode_into DIR SPLIT METRIC [INPUT...] -- OPTION...: what the others share.
decode_into() {
  local dir=$1 split=$2 metric=$3 inputs=()
  shift 3
  while [ "$1" != -- ]; do inputs+=("$1"); shift; done
  shift
  step --in "$exp/train.json" "$exp/checkpoints" "data/$split/cuts.jsonl.gz" data/landmarks/*.h5 \
    ${inputs[@]+"${inputs[@]}"} --out "$dir/hyp.jsonl" --via="$decode_cmd" -- \
    asl decode --exp "$exp" --data data --split "$split" "$@" --engine "$engine" --out "$dir"
  score_folder "$dir" "$split" "$metric"
}

# score_baseline SPLIT: a linear SVM's hypotheses for one split of isolated signs, and their numbers.
score_baseline() {
  local dir=exp/svm/decode_$1_svm
  step --in data/train/cuts.jsonl.gz "data/$1/cuts.jsonl.gz" data/landmarks/*.h5 --out "$dir/hyp.jsonl" -- \
    asl baseline svm --data data --split "$1" --out "$dir"
  score_folder "$dir" "$1" topk
}

# score_constant SPLIT [OPTION...]: one sentence for every clip of a split, the best there is for its references.
score_constant() {
  local split=$1 dir=exp/constant/decode_$1_constant
  shift
  step --in "data/$split/supervisions.jsonl.gz" data/train/supervisions.jsonl.gz --out "$dir/hyp.jsonl" -- \
    asl baseline sentence --data data --split "$split" "$@" --out "$dir"
  score_folder "$dir" "$split" bleu
}

# score_folder DIR SPLIT METRIC: the numbers of the hypotheses in DIR, scored as the recipe's score_options say.
score_options=()
score_folder() {
  step --in "$1/hyp.jsonl" "$1/decode.json" "data/$2/supervisions.jsonl.gz" --out "$1/result.json" -- \
    asl score --decode "$1" --data data --split "$2" --metric "$3" ${score_options[@]+"${score_options[@]}"}
}
