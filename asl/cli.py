"""``asl COMMAND``: the one table of commands. Each is a typed function of a room, imported when it is chosen.

A function's parameters are its options: annotations are their types, the docstring is the help text.
"""

import importlib
import os
import sys
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from asl.common.errors import AslError, did_you_mean


class Command(NamedTuple):
    """Where a command's function is (``module:function``) and one line on what it does."""

    target: str
    help: str
    positional: Tuple[str, ...] = ()  # parameters given as plain words, not as options
    raw: bool = False  # True: the function is given the words as they are and parses them itself


COMMANDS: Dict[str, Command] = {
    "doctor": Command("asl.common.doctor:doctor", "what is installed, what works, what mends the rest"),
    "synthesize": Command(
        "asl.corpora.synthetic:synthesize", "a small synthetic corpus in an owner's own format", positional=("dir",)
    ),
    "simulate phoenix2014": Command(
        "asl.corpora.simulate:simulate_phoenix2014", "PHOENIX's real sentences, signed by the kinematic signer"
    ),
    "simulate how2sign": Command(
        "asl.corpora.simulate_how2sign:simulate_how2sign", "How2Sign's size: real times and English, made landmarks"
    ),
    "check wlasl": Command("asl.corpora.wlasl:check", "what is there and what is missing of WLASL"),
    "check csv": Command("asl.corpora.csv:check", "the same for a corpus described by one CSV"),
    "check phoenix2014": Command("asl.corpora.phoenix2014:check", "the same for RWTH-PHOENIX-Weather 2014"),
    "check how2sign": Command("asl.corpora.how2sign:check", "the same for How2Sign"),
    "check encoder": Command("asl.tasks.encoder_fit:check_encoder", "whether training can start from pre-training's encoder"),
    "prepare wlasl": Command("asl.corpora.wlasl:prepare", "WLASL -> manifests and data/lang"),
    "prepare phoenix2014": Command("asl.corpora.phoenix2014:prepare", "PHOENIX-2014 -> the same, and its texts"),
    "prepare how2sign": Command("asl.corpora.how2sign:prepare", "How2Sign -> manifests and texts; its tokens: lang sentencepiece"),
    "prepare csv": Command("asl.corpora.csv:prepare", "a CSV (id,path,split,text,signer) -> the same"),
    "phonology": Command("asl.corpora.asl_lex:phonology", "ASL-LEX -> phonological features of a corpus's glosses"),
    "lexicon": Command("asl.lang.subunits_command:lexicon", "other units for the words: phonology, sentencepiece"),
    "lexicon codes": Command("asl.tasks.lexicon_codes:lexicon_codes", "units that pre-training found, for the words"),
    "lexicon oov": Command("asl.data.oov:out_of_vocabulary", "which words of a split the lexicon lacks"),
    "landmarks extract": Command("asl.data.extracting:extract_landmarks", "videos -> landmark files, at any size"),
    "landmarks import": Command("asl.data.importing:import_landmarks", "landmark files -> archives and cuts"),
    "landmarks convert": Command(
        "asl.data.converting:convert_landmarks", ".npy, .npz, .pose, OpenPose -> .pose, .npz, .npy", ("source", "out")
    ),
    "landmarks export": Command("asl.data.exporting:export_landmarks", "cuts -> .pose, .npz or .npy files"),
    "stitch": Command("asl.data.stitching:stitch", "words of aligned sentences -> new sentences to train on"),
    "stitch isolated": Command(
        "asl.data.stitching_isolated:stitch_isolated", "clips of isolated signs -> sentences of a text to train on"
    ),
    "landmarks check": Command("asl.data.checking:check_landmarks", "what was found, gaps, jitter, implausible hands"),
    "landmarks sheet": Command("asl.data.sheet:sheet", "thumbnails of a split's clips on an HTML page, the worst first"),
    "show": Command("asl.data.showing:show", "one clip as a strip, GIF or MP4, on white or over its video", ("cut",)),
    "train": Command("asl.tasks.train:main", "train the model that a config file describes", raw=True),
    "ablate": Command("asl.tasks.ablate:ablate", "a file of configurations x seeds -> runs, one table", ("file",)),
    "lang sentencepiece": Command("asl.lang.sentencepiece_command:sentencepiece", "sentences -> pieces as tokens"),
    "lang pieces": Command("asl.lang.sentencepiece_command:pieces", "text as those pieces, for a language model"),
    "lang words": Command("asl.lang.sentencepiece_command:words", "text as their lexicon's words, for a grammar"),
    "lm train": Command("asl.lang.ngram_train:train", "sentences -> an n-gram language model (ARPA)"),
    "lm neural": Command("asl.tasks.word_lm:neural", "sentences -> a small LSTM language model, for rescoring"),
    "lm perplexity": Command("asl.tasks.perplexity:perplexity", "a language model measured on sentences"),
    "lm cache": Command("asl.lang.cache_tune:cache", "how much the video's previous sentences count, chosen on train"),
    "graph compile": Command("asl.graph.compile:compile_graph", "lexicon and grammar -> a decoding graph"),
    "prior": Command("asl.tasks.prior:prior", "how often a CTC network says each token, for decode --prior-scale"),
    "tune": Command("asl.tasks.tune:tune", "acoustic and LM scale, insertion penalty and beam by the WER on val"),
    "tune attention": Command("asl.tasks.tune_attention:tune_attention", "length penalty, CTC and LM weights by the BLEU on val"),
    "decode": Command("asl.tasks.decode:decode", "an experiment and a split -> hypotheses"),
    "stream": Command("asl.tasks.streaming_command:stream", "the same as if the frames were just coming in"),
    "align": Command("asl.tasks.align:align", "where each word of a transcript is: a CTM"),
    "score": Command("asl.scoring.score:score", "hypotheses -> numbers with intervals"),
    "score ctm": Command("asl.scoring.ctm:score_ctm", "anyone's CTM against an STM, as sclite counts"),
    "score compare": Command("asl.scoring.compare:compare", "is B better than A?", positional=("a", "b")),
    "score boundaries": Command("asl.scoring.boundaries:boundaries", "how far an alignment is from the true boundaries"),
    "results": Command("asl.scoring.results:results", "result.json files -> one table", positional=("dirs",)),
    "probe": Command("asl.tasks.probe:probe", "what a network's codes and vectors tell of handshape, movement ..."),
    "baseline hmm": Command("asl.tasks.hmm:hmm", "one Gaussian a state and an n-gram: how hard are sentences?"),
    "baseline sentence": Command("asl.tasks.sentence_baseline:sentence", "the best constant: what is no translation"),
    "baseline svm": Command("asl.tasks.baseline:svm", "a linear SVM on resampled landmarks: how hard is it?"),
}


def usage() -> str:
    """The table of commands as text."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
    return f"usage: asl COMMAND [OPTIONS]\n\n{rows}\n\nasl COMMAND --help says what its options are.\n"


def choose(argv: List[str]) -> Tuple[str, List[str]]:
    """Split ``argv`` into a command's name (two words where both are a name) and the words that are left.

    Raises:
        AslError: no such command; names the nearest one, or those that start with the first word.
    """
    if len(argv) > 1 and " ".join(argv[:2]) in COMMANDS:
        return " ".join(argv[:2]), argv[2:]
    if argv[0] in COMMANDS:
        return argv[0], argv[1:]
    group = [name.split()[1] for name in COMMANDS if name.startswith(argv[0] + " ")]
    if group:
        given = f"'{argv[1]}' is none of them" if len(argv) > 1 and argv[1] not in ("-h", "--help") else "say which"
        raise AslError(f"asl {argv[0]} is {' or '.join(group)}: {given}; for example asl {argv[0]} {group[0]} --help")
    hint = did_you_mean(" ".join(argv[:2]), COMMANDS) or did_you_mean(argv[0], COMMANDS)
    raise AslError(f"no command '{argv[0]}'{hint}; asl --help lists them all")


def prefer_fast_kernels() -> None:
    """On an AMD processor let torch 1.13's MKL use its AVX2 kernels (matrix products three times as fast).

    MKL 2020 takes its slowest path where the vendor is not Intel, unless this variable is set before torch is
    imported; newer versions do not read it. A value that the user has set stays.
    """
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            amd = "AuthenticAMD" in f.read(4096)
    except OSError:  # not Linux
        return
    if amd:
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def load(name: str) -> Callable:
    """Import the function of the command ``name``."""
    module, _, function = COMMANDS[name].target.partition(":")
    return getattr(importlib.import_module(module), function)


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; return the exit status (1 where an ``AslError`` was raised, printed as one line)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    prefer_fast_kernels()
    try:
        name, words = choose(argv)
        function = load(name)
        if COMMANDS[name].raw:
            result = function(words)
        else:
            from asl.common.arguments import call  # jsonargparse takes half a second to import

            result = call(function, words, prog=f"asl {name}", positional=COMMANDS[name].positional)
        return result if isinstance(result, int) and not isinstance(result, bool) else 0
    except AslError as e:
        print(f"asl: error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"asl {argv[0]}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # asl ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
