# Sourced by run.sh through utils/recipe.sh: which stages run, and one step of a stage.
# shellcheck shell=bash
# shellcheck disable=SC2154  # the options are set by parse_options.sh

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
  [ -n "$corpus_dir" ] || option_error "stage $stage_number reads the corpus: give --corpus-dir, the folder of $1"
}
