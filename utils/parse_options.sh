# Sourced by run.sh through utils/recipe.sh: declare options with `option`, then call `parse_options "$@"`.
# Needs bash 3.2. No value is ever evaluated: it is checked, then assigned with printf -v.
# shellcheck shell=bash

option_names=() option_kinds=() option_helps=()

# option NAME DEFAULT KIND HELP: declare --NAME and set the variable NAME (with _ for -) to DEFAULT.
# KIND: number (0, 1, 2 ...), count (1, 2 ...), text, file or folder (must exist), flag (takes no value), or the words allowed: a|b|c.
option() {
  local name=${1//-/_}
  option_names+=("$name")
  option_kinds+=("$3")
  option_helps+=("$4")
  printf -v "$name" %s "$2"
}

# The options that every recipe has. A recipe may call `option` again for another default: the last one counts.
option stage 0 number "first stage to run"
option stop_stage 7 number "last stage to run"
option corpus_dir "" folder "the corpus, as its owner lays it out"
option nj 1 count "how many processes where a stage runs in parallel"
option devices 1 count "how many GPUs to train on (without a GPU: CPU processes)"
option config "" file "training config (conf/*.yaml) instead of the recipe's own"
option exp "" text "experiment folder, such as exp/softmax"
option force false flag "run the stages even where nothing has changed"
option dry_run false flag "print the commands, run nothing"
option list_stages false flag "print the stages, run nothing"

option_error() { echo "$0: error: $1; $0 --help lists the options" >&2; exit 2; }

option_help() {
  local i name value
  echo "usage: $0 [OPTIONS]"
  [ -z "${recipe_help:-}" ] || printf '\n%s\n' "$recipe_help"
  echo
  for i in "${!option_names[@]}"; do
    name=${option_names[$i]} value=${!option_names[$i]}
    case " ${option_names[*]:$((i + 1))} " in *" $name "*) continue ;; esac # declared again below
    case ${option_kinds[$i]} in
      flag) printf '  --%-24s %s\n' "${name//_/-}" "${option_helps[$i]}" ;;
      *) printf '  --%-24s %s%s\n' "${name//_/-} ${option_kinds[$i]}" "${option_helps[$i]}" "${value:+ (now: $value)}" ;;
    esac
  done
}

# option_set NAME KIND VALUE: check VALUE and assign it; paths become absolute, seen from where the user stands.
option_set() {
  local name=$1 kind=$2 value=$3 shown="--${1//_/-}"
  case $kind in
    number | count)
      case $value in '' | *[!0-9]* | ??????????*) option_error "$shown wants a whole number, not '$value'" ;; esac
      value=$((10#$value))
      [ "$kind" = number ] || [ "$value" -gt 0 ] || option_error "$shown wants 1 or more, not 0" ;;
    folder) [ -d "$value" ] || option_error "$shown: there is no folder '$value'"
      value=$(cd "$value" && pwd) ;;
    file)
      if [ ! -f "$value" ] && [ -f "$recipe_dir/$value" ]; then value=$recipe_dir/$value; fi
      [ -f "$value" ] || option_error "$shown: there is no file '$value'"
      value=$(cd "$(dirname "$value")" && pwd)/$(basename "$value")
      value=${value#"$recipe_dir"/} ;;
    text | flag) ;;
    *) case "|$kind|" in *"|$value|"*) ;; *) option_error "$shown is one of $kind, not '$value'" ;; esac ;;
  esac
  printf -v "$name" %s "$value"
}

# option_kind NAME: sets `kind`; a name that is not declared is an error that lists those that are near.
option_kind() {
  local i near=
  kind=
  for i in "${!option_names[@]}"; do
    [ "${option_names[$i]}" != "$1" ] || kind=${option_kinds[$i]}
    case ${option_names[$i]} in "${1:0:2}"*) near="$near --${option_names[$i]//_/-}" ;; esac
  done
  [ -n "$kind" ] || option_error "no option '$2'${near:+ (did you mean$near?)}"
}

parse_options() {
  local word name kind value help_asked=false
  while [ $# -gt 0 ]; do
    word=$1
    shift
    case $word in
      --help | -h) help_asked=true; continue ;;
      --*) ;;
      -*) option_error "'$word' has one dash: options have two, such as -$word" ;;
      *) option_error "'$word' is not an option: options start with --, such as --stage 3" ;;
    esac
    name=${word%%=*} name=${name#--} name=${name//-/_}
    option_kind "$name" "${word%%=*}"
    if [ "$kind" = flag ]; then
      [ "$word" = "${word%%=*}" ] || option_error "${word%%=*} takes no value"
      value=true
    elif [ "$word" != "${word%%=*}" ]; then
      value=${word#*=}
    else
      [ $# -gt 0 ] || option_error "$word needs a value"
      case $1 in --*) option_error "$word needs a value, not '$1'" ;; esac
      value=$1
      shift
    fi
    option_set "$name" "$kind" "$value"
  done
  if $help_asked; then option_help; exit 0; fi
  [ "$stage" -le "$stop_stage" ] || option_error "--stage $stage is after --stop-stage $stop_stage"
}
