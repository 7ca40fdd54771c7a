"""data/lang -> data/lang_states: a word is a row of states of its own, as in a whole-word HMM.

    python local/states.py --states 3

With as many units a word as states, a network is told not only which sign a frame belongs to but how far the sign has
got, and the graph lets them follow one another in this order alone.
"""

import argparse
import sys

from asl.common.errors import AslError
from asl.lang.folder import read_lang
from asl.lang.prepare import write_lang


def write_states(lang, out, states):
    """Write the lang folder ``out`` with the words of ``lang``, each of ``states`` units."""
    if states < 1:
        raise AslError(f"--states {states}: give 1 or more")
    words = read_lang(lang).words
    write_lang(words, out, {word: [[f"{word}_{n}" for n in range(1, states + 1)]] for word in words})
    print(f"{out}: {len(words)} words of {states} states each")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--lang", default="data/lang", help="the folder whose words are taken")
    parser.add_argument("--out", default="data/lang_states", help="the folder to write")
    parser.add_argument("--states", type=int, default=3, help="of each word")
    given = parser.parse_args()
    try:
        write_states(given.lang, given.out, given.states)
    except AslError as e:
        print(f"{parser.prog}: error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
