# Sourced by run.sh: where the toolkit is. utils/copy_recipe.sh writes it anew for a recipe outside of egs/.
# shellcheck shell=bash
ASL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$ASL_ROOT/utils/recipe.sh"
