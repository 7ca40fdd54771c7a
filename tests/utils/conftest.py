"""A recipe of one stage, written by the test."""

import pytest


@pytest.fixture
def write_recipe(make_recipe):
    """``write_recipe(text)`` -> the folder of a recipe whose stage 1 is ``text`` (shell); ``in.txt`` is there."""

    def write(text: str):
        recipe = make_recipe("TEMPLATE")
        (recipe / "in.txt").write_text("input")
        (recipe / "run.sh").write_text(
            "#!/usr/bin/env bash\nset -euo pipefail\n"
            '. "$(dirname "$0")/path.sh"\n'
            'option word "one" text "what is written"\noption count 1 count "how many"\n'
            'parse_options "$@"\ncd "$recipe_dir"\n'
            f'if stage 1 "write"; then\n{text}\nfi\n'
        )
        return recipe

    return write
