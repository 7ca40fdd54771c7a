# Sourced by a recipe's path.sh with ASL_ROOT set: the Python that runs, and what run.sh is written in.
# shellcheck shell=bash

recipe_dir=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH=$ASL_ROOT${PYTHONPATH:+:$PYTHONPATH}

if [ -n "${ASL_PYTHON:-}" ]; then python=$ASL_PYTHON; else python=$ASL_ROOT/.venv/bin/python; fi
if ! [ -x "$python" ]; then
  echo "$0: error: no Python at $python; make the environment with $ASL_ROOT/tools/setup_env.sh" >&2
  exit 1
fi

. "$ASL_ROOT/utils/parse_options.sh"
. "$ASL_ROOT/utils/stages.sh"
