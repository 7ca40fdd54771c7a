#!/usr/bin/env bash
# Make the environment if it is not there, and run the tests in it.
# usage: tests/run.sh [--set auto|1|2|3] [--dir .venv] [PYTEST OPTIONS]; for example tests/run.sh tests/lang
# Tests on real corpora run where ASL_CORPORA names their folder. Long kill runs: tests/run.sh -m fault

set -euo pipefail
cd "$(dirname "$0")/.."
set=auto dir=.venv
while [ $# -gt 1 ]; do
  case $1 in
    --set) set=$2 ;;
    --dir) dir=$2 ;;
    *) break ;;
  esac
  shift 2
done

tools/setup_env.sh --set "$set" --dir "$dir"

marks="not fault"
leave_out() {
  echo "tests/run.sh: left out: tests marked $1 ($2)"
  marks="$marks and not $1"
}
if grep -q '^set 3 ' "$dir/.asl-environment"; then
  leave_out k2 "set 3 has no k2"
else
  export ASL_EXPECT_K2=1
fi
if ! grep -q '^set 2 ' "$dir/.asl-environment"; then leave_out torchaudio "only set 2 has torchaudio"; fi
if [ -z "${ASL_CORPORA:-}" ]; then leave_out corpora "ASL_CORPORA is not set"; fi
if command -v sctk >/dev/null; then export ASL_EXPECT_SCTK=1; else leave_out sctk "there is no program sctk"; fi
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
  export ASL_EXPECT_CHROMIUM=1
fi
if [ -z "${ASL_EXPECT_CHROMIUM:-}" ]; then leave_out chromium "there is no program chromium"; fi

export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# two processes, each with whole files of tests; -n 0 in the options runs them one after the other
exec "$dir/bin/python" -m pytest -q -n 2 --dist loadfile -m "$marks" "$@"
