"""ARPA files: what is written is read, back-off is followed by hand, damage is named by file and line."""

import math

import pytest

from asl.common.errors import AslError
from asl.lang.arpa import NGram, read_arpa, write_arpa

TEXT = r"""a comment
\data\
ngram 1=5
ngram 2=4
ngram 3=1

\1-grams:
-99	<s>	-0.5
-0.5	</s>
-1.0	<unk>
-0.4	rain	-0.2
-0.9	snow	-0.1

\2-grams:
-0.3	<s> rain	-0.05
-0.7	rain rain
-0.6	rain </s>
-0.8	snow rain	-0.15

\3-grams:
-0.25	<s> rain </s>

\end\
"""


def ten(log_prob):
    return log_prob / math.log(10)


@pytest.fixture
def lm(tmp_path):
    (tmp_path / "G.arpa").write_text(TEXT)
    return read_arpa(tmp_path / "G.arpa")


def test_back_off_by_hand(lm):
    assert lm.order == 3 and lm.counts == [5, 4, 1] and lm.words == ["rain", "snow"] and lm.has_unknown
    assert ten(lm.score(["rain"])) == pytest.approx(-0.3 - 0.25)
    # <s> snow: back-off of <s>; snow </s>: back-off of snow
    assert ten(lm.score(["snow"])) == pytest.approx(-0.5 - 0.9 - 0.1 - 0.5)
    # rain rain in the state "<s> rain": its back-off weight, then the bigram
    assert ten(lm.score(["rain", "rain"])) == pytest.approx(-0.3 - 0.05 - 0.7 - 0.6)
    # an unknown word goes by <unk>, and nothing is known after it
    assert ten(lm.score(["hail", "rain"])) == pytest.approx(-0.5 - 1.0 - 0.4 - 0.6)
    assert lm.score_all([["rain"], []]) == [lm.score(["rain"]), lm.score([])]
    assert lm.knows("rain") and not lm.knows("<unk>") and not lm.knows("</s>") and not lm.knows("hail")


def test_a_state_is_no_longer_than_what_the_model_can_tell_apart(lm):
    _, state = lm.step(lm.start(), "rain")
    assert lm.start() == ("<s>",) and state == ("<s>", "rain")
    _, state = lm.step(state, "rain")
    assert state == ("rain",)  # "rain rain" begins no trigram
    assert lm.step(state, "hail")[1] == ()
    assert lm.finish(()) == pytest.approx(-0.5 * math.log(10))


def test_without_unk_an_unknown_word_has_no_probability():
    half = math.log(0.5)
    lm = NGram([{("<s>",): -math.inf, ("</s>",): half, ("rain",): half}], {})
    assert lm.score(["rain", "rain"]) == pytest.approx(3 * half) and not lm.has_unknown
    assert lm.step((), "snow") == (-math.inf, ()) and lm.score(["snow"]) == -math.inf


def test_what_is_written_is_read(lm, tmp_path):
    write_arpa(tmp_path / "again.arpa", lm)
    again = read_arpa(tmp_path / "again.arpa")
    assert [list(n) for n in again.ngrams] == [list(n) for n in lm.ngrams]
    assert again.ngrams[0]["<s>",] == -math.inf
    for words in ([], ["rain"], ["snow", "rain", "rain"], ["hail", "rain"]):
        assert again.score(words) == pytest.approx(lm.score(words), abs=1e-7)
    write_arpa(tmp_path / "third.arpa", again)
    assert (tmp_path / "third.arpa").read_bytes() == (tmp_path / "again.arpa").read_bytes()


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("\\data\\", "data", "has no line"),
        ("ngram 1=5", "ngram 1=", "line 3: expected 'ngram 1=…', found 'ngram 1='"),
        ("ngram 2=4", "ngram 3=4", "line 4: expected 'ngram 2=…'"),
        ("ngram 1=5\nngram 2=4\nngram 3=1\n", "", "line 4: expected 'ngram 1=…'"),
        (r"\2-grams:", r"\3-grams:", r"line 14: expected '\\2-grams:', found '\\3-grams:'"),
        ("-0.9\tsnow\t-0.1\n", "", r"line 13: '\\1-grams:' ends after 4 n-grams, '\\data\\' says 5"),
        ("-0.9\tsnow\t-0.1\n", "-0.9\n", "line 12: expected a log-probability and 1 words, perhaps"),
        ("-0.25\t<s> rain </s>", "-0.25\t<s> rain </s>\t0", "line 21: expected a log-probability and 3"),
        ("-0.9\tsnow\t-0.1", "-O.9\tsnow\t-0.1", "line 12: the log-probability '-O.9' is not a number"),
        ("-0.9\tsnow\t-0.1", "-0.9\tsnow\tnan", "line 12: the back-off weight 'nan' is not a number"),
        ("-0.9\tsnow\t-0.1", "0.9\tsnow\t-0.1", "line 12: the log-probability 0.9 of 'snow' is above 0"),
        ("-0.9\tsnow\t-0.1", "-0.9\train\t-0.1", "line 12: the n-gram 'rain' stands twice"),
        ("snow rain\t-0.15", "snow sleet\t-0.15", "line 18: 'sleet' is not among the unigrams"),
        ("-0.5\t</s>", "-0.5\tthe_end", "'</s>' is not among the unigrams|line 17: '</s>' is not among"),
        ("\n\\end\\\n", "\n", "line 22: the file is cut short: it ends inside .* without"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, old, new, message):
    assert old in TEXT
    path = tmp_path / "G.arpa"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(AslError, match=message) as error:
        read_arpa(path)
    assert str(path) in str(error.value)


def test_cut_anywhere_before_its_end_it_is_refused(tmp_path):
    path = tmp_path / "G.arpa"
    for length in range(0, len(TEXT) - 2, 7):
        path.write_text(TEXT[:length])
        with pytest.raises(AslError, match="G.arpa"):
            read_arpa(path)


def test_absent_files_folders_and_other_bytes(tmp_path):
    with pytest.raises(AslError, match="asl lm train"):
        read_arpa(tmp_path / "G.arpa")
    with pytest.raises(AslError, match="is a folder"):
        read_arpa(tmp_path)
    (tmp_path / "G.arpa").write_bytes(b"\\data\\\n\xff\xfe")
    with pytest.raises(AslError, match="UTF-8"):
        read_arpa(tmp_path / "G.arpa")
