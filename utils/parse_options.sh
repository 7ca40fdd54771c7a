# Sourced by run.sh through utils/recipe.sh: declare options with `option`, then call `parse_options "$@"`.
# Needs bash 3.2. No value is ever evaluated: it is checked, then assigned with printf -v.
# Local names start with _ so that an option may have any name.
# shellcheck shell=bash

option_names=() option_kinds=() option_helps=()

# option NAME DEFAULT KIND HELP: declare --NAME and set the variable NAME (with _ for -) to DEFAULT.
# KIND: number (0, 1, 2 ...), count (1, 2 ...), decimal (0, 0.3, 2 ...), share (a decimal up to 1), text, file or
# folder (must exist), flag (takes no value), or the words that are allowed: a|b|c.
option() {
  local _name=${1//-/_}
  option_names+=("$_name")
  option_kinds+=("$3")
  option_helps+=("$4")
  printf -v "$_name" %s "$2"
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
  local _i _name _value
  echo "usage: $0 [OPTIONS]"
  [ -z "${recipe_help:-}" ] || printf '\n%s\n' "$recipe_help"
  echo
  for _i in "${!option_names[@]}"; do
    _name=${option_names[$_i]} _value=${!option_names[$_i]}
    case " ${option_names[*]:$((_i + 1))} " in *" $_name "*) continue ;; esac # declared again below
    case ${option_kinds[$_i]} in
      flag) printf '  --%-24s %s\n' "${_name//_/-}" "${option_helps[$_i]}" ;;
      *) printf '  --%-24s %s%s\n' "${_name//_/-} ${option_kinds[$_i]}" "${option_helps[$_i]}" \
        "${_value:+ (now: $_value)}" ;;
    esac
  done
}

# option_set NAME KIND VALUE: check VALUE and assign it; paths become absolute, seen from where the user stands.
option_set() {
  local _value=$3 _shown="--${1//_/-}"
  case $2 in
    number | count)
      case $_value in '' | *[!0-9]* | ??????????*) option_error "$_shown wants a whole number, not '$_value'" ;; esac
      _value=$((10#$_value))
      [ "$2" = number ] || [ "$_value" -gt 0 ] || option_error "$_shown wants 1 or more, not 0" ;;
    decimal | share)
      case $_value in '' | . | *[!0-9.]* | *.*.*) option_error "$_shown wants a number such as 0.3, not '$_value'" ;; esac
      case $2/$_value in
        decimal/* | share/0 | share/0.* | share/.* | share/1 | share/1.0) ;;
        *) option_error "$_shown wants a share from 0 to 1, not '$_value'" ;;
      esac ;;
    folder) [ -d "$_value" ] || option_error "$_shown: there is no folder '$_value'"
      _value=$(cd "$_value" && pwd) ;;
    file)
      if [ ! -f "$_value" ] && [ -f "$recipe_dir/$_value" ]; then _value=$recipe_dir/$_value; fi
      [ -f "$_value" ] || option_error "$_shown: there is no file '$_value'"
      _value=$(cd "$(dirname "$_value")" && pwd)/$(basename "$_value")
      _value=${_value#"$recipe_dir"/} ;;
    text | flag) ;;
    *) case "|$2|" in *"|${_value//|/ }|"*) ;; *) option_error "$_shown is one of $2, not '$_value'" ;; esac ;;
  esac
  printf -v "$1" %s "$_value"
}

# option_kind NAME WORD: sets _kind; a name that is not declared is an error that lists those that are near.
option_kind() {
  local _i _near=
  _kind=
  for _i in "${!option_names[@]}"; do
    [ "${option_names[$_i]}" != "$1" ] || _kind=${option_kinds[$_i]}
    case ${option_names[$_i]} in "${1:0:2}"*) _near="$_near --${option_names[$_i]//_/-}" ;; esac
  done
  [ -n "$_kind" ] || option_error "no option '$2'${_near:+ (did you mean$_near?)}"
}

parse_options() {
  local _word _name _kind _value _help=false
  while [ $# -gt 0 ]; do
    _word=$1
    shift
    case $_word in
      --help | -h) _help=true; continue ;;
      --*) ;;
      -*) option_error "'$_word' has one dash: options have two, such as -$_word" ;;
      *) option_error "'$_word' is not an option: options start with --, such as --stage 3" ;;
    esac
    _name=${_word%%=*} _name=${_name#--} _name=${_name//-/_}
    option_kind "$_name" "${_word%%=*}"
    if [ "$_kind" = flag ]; then
      [ "$_word" = "${_word%%=*}" ] || option_error "${_word%%=*} takes no value"
      _value=true
    elif [ "$_word" != "${_word%%=*}" ]; then
      _value=${_word#*=}
    else
      [ $# -gt 0 ] || option_error "$_word needs a value"
      case $1 in --*) option_error "$_word needs a value, not '$1'" ;; esac
      _value=$1
      shift
    fi
    option_set "$_name" "$_kind" "$_value"
  done
  if $_help; then option_help; exit 0; fi
  [ "$stage" -le "$stop_stage" ] || option_error "--stage $stage is after --stop-stage $stop_stage"
}
