"""A small language of weather reports: glosses by one grammar, English translations by a synonymous one.

A report is a series of sentences about a few places and a few kinds of weather, so that a word makes the next
ones more likely, within a sentence (as an n-gram knows) and from sentence to sentence (as a cache knows). The
gloss order is topic, place, comment, negation: ``MORGEN NORD IX REGEN STARK NICHT``; the English one is not:
"There will be no heavy rain in the north tomorrow." A place that a sentence sets up by pointing beside it is
pointed back to by later ones, with the place unsaid: what ``IX`` means there only the earlier sentence tells.

The words look like glosses of German Sign Language, since the format that they are written in has such; nobody
signs like this. Beyond the words listed here, invented places fill up a vocabulary of any size.
"""

from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.seeds import derive_seed
from asl.corpora.signer.lexicon import invented_word


class Word(NamedTuple):
    """A gloss and what it is in English."""

    gloss: str
    english: str


class Place(NamedTuple):
    """Where something was set up in the space before the signer: to the dominant hand's side and up."""

    side: float
    up: float


class Token(NamedTuple):
    """A gloss of a sentence, and where in space it is made where that says something."""

    gloss: str
    place: Optional[Place] = None


class Sentence(NamedTuple):
    """One sentence: what is signed, in order, and its translation."""

    tokens: Tuple[Token, ...]
    english: str

    @property
    def glosses(self) -> Tuple[str, ...]:
        return tuple(token.gloss for token in self.tokens)


def _words(text: str) -> Tuple[Word, ...]:
    return tuple(Word(*entry.strip().split("=")) for entry in text.split(","))


#: Words that every vocabulary has: pointing, negation, greetings, links.
FUNCTION_WORDS = (
    "IX NICHT UND ABER AUCH DANN KOMMEN BLEIBEN GRAD JETZT WETTER WIE-AUSSEHEN EUCH SCHOEN ABEND"
).split()
_TIMES = _words(
    "MORGEN=tomorrow, HEUTE=today, NACHT=tonight, SONNTAG=on Sunday, MONTAG=on Monday, SAMSTAG=on Saturday, "
    "MITTAG=at noon, FREITAG=on Friday, DIENSTAG=on Tuesday, WOCHENENDE=at the weekend"
)
_REGIONS = _words(
    "NORD=the north, SUED=the south, WEST=the west, OST=the east, ALPEN=the Alps, KUESTE=the coast, "
    "MITTE=the centre, BERG=the mountains, FLUSS=the river, TAL=the valleys, WALD=the forests, SEE=the lakes"
)
_WEATHER = _words(
    "REGEN=rain, SONNE=sunshine, WOLKE=clouds, SCHNEE=snow, WIND=wind, GEWITTER=thunderstorms, NEBEL=fog, "
    "SCHAUER=showers, STURM=gales, FROST=frost, HAGEL=hail, EIS=ice"
)
_DEGREES = _words(
    "STARK=heavy, BISSCHEN=a little, VIEL=a lot of, SCHWACH=light, WENIG=hardly any, LANG=lasting"
)
_STATES = _words(
    "WARM=warm, KALT=cold, TROCKEN=dry, FREUNDLICH=fair, KUEHL=cool, WECHSELHAFT=changeable, KLAR=clear, "
    "NASS=wet, HEISS=hot"
)
_NUMBERS = _words(
    "ZEHN=ten, ZWANZIG=twenty, FUENF=five, NULL=zero, FUENFZEHN=fifteen, DREISSIG=thirty, ACHT=eight, "
    "DREI=three"
)
_TOWNS = _words("B+O+N=Bon, K+E+L=Kel, U+L+A=Ula")  # spelled
_SLOTS: Tuple[Tuple[str, Tuple[Word, ...]], ...] = (
    ("weather", _WEATHER),
    ("regions", _REGIONS),
    ("times", _TIMES),
    ("degrees", _DEGREES),
    ("states", _STATES),
    ("numbers", _NUMBERS),
    ("towns", _TOWNS),
)
LEAST = len(FUNCTION_WORDS) + 2 * len(_SLOTS)


@dataclass(frozen=True)
class Vocabulary:
    """The words that the grammar fills its slots with, the usual ones first."""

    weather: Tuple[Word, ...]
    regions: Tuple[Word, ...]
    times: Tuple[Word, ...]
    degrees: Tuple[Word, ...]
    states: Tuple[Word, ...]
    numbers: Tuple[Word, ...]
    towns: Tuple[Word, ...]

    @property
    def glosses(self) -> Tuple[str, ...]:
        """All of them, function words first."""
        return (*FUNCTION_WORDS, *(word.gloss for name, _ in _SLOTS for word in getattr(self, name)))


def make_vocabulary(size: int, seed: int = 0) -> Vocabulary:
    """The first ``size`` glosses: each slot gets words in turn; then come invented regions.

    Raises:
        AslError: ``size`` is too small for two words in every slot.
    """
    if size < LEAST:
        raise AslError(f"a vocabulary of {size} glosses is too small for the grammar; give {LEAST} or more")
    left = size - len(FUNCTION_WORDS)
    chosen: Dict[str, List[Word]] = {name: [] for name, _ in _SLOTS}
    for row in range(max(len(words) for _, words in _SLOTS)):
        for name, words in _SLOTS:
            if left and row < len(words):
                chosen[name].append(words[row])
                left -= 1
    rng, taken = np.random.default_rng(derive_seed(seed, "places")), set()
    while left:
        name = invented_word(rng)
        if name not in taken:
            taken.add(name)
            chosen["regions"].append(Word(name.upper().replace(" ", "-"), name.title()))
            left -= 1
    return Vocabulary(**{name: tuple(words) for name, words in chosen.items()})


def _choose(rng: np.random.Generator, words: Sequence, favoured: int = 0):
    """One of ``words``: usual ones (by Zipf's law) more often, counted from the ``favoured`` one on."""
    weights = 1.0 / np.arange(1, len(words) + 1)
    at = int(rng.choice(len(words), p=weights / weights.sum()))
    return words[(at + favoured) % len(words)]


@dataclass
class _Report:
    """What a report has come to: its subjects, and what stands where in space."""

    words: Vocabulary
    time: Word
    weather: List[Word]
    regions: List[Word]
    set_up: Dict[Word, Place]
    habit: Optional[float] = None
    last: Optional[Word] = None

    def where(self, region: Word, rng: np.random.Generator) -> Place:
        """Where ``region`` is in space, from now on."""
        if region not in self.set_up:
            self.set_up[region] = Place(float(rng.uniform(-0.75, 0.75)), float(rng.uniform(-0.3, 0.3)))
        return self.set_up[region]

    def either(self, rng: np.random.Generator, subject: str, *ways: str) -> str:
        """One of several ways to say the same of ``subject``."""
        way = int(rng.integers(len(ways)))
        if self.habit is not None and rng.random() < self.habit:
            way = derive_seed("wording", subject) % len(ways)
        return ways[way]


def make_report(
    rng: np.random.Generator, words: Vocabulary, sentences: int, habit: Optional[float] = None
) -> List[Sentence]:
    """The sentences of one video, in order; places set up in one are pointed to in later ones.

    Args:
        sentences: how many, at least 1.
        habit: how often the translator words something in the one way that he has for it (rain is expected, sunshine
            will be seen), which can be learnt; else, and always where this is None, any way will do. Reports of the
            same rng and other habits have the same glosses (None's have others).
    """
    places = words.regions + words.towns if rng.random() < 0.4 else words.regions
    report = _Report(
        words,
        time=_choose(rng, words.times),
        weather=[_choose(rng, words.weather, int(rng.integers(3))) for _ in range(3)],
        regions=[_choose(rng, places, int(rng.integers(len(places)))) for _ in range(3)],
        set_up={},
        habit=habit,
    )
    made = []
    for number in range(sentences):
        if number == 0 and rng.random() < 0.7:
            made.append(_opening(report, rng))
        elif sentences > 3 and number == sentences - 1 and rng.random() < 0.7:
            made.append(_closing(report, rng))
        else:
            made.append(_body(report, rng))
    return made


def make_sentence(rng: np.random.Generator, words: Vocabulary) -> Tuple[Tuple[str, ...], str]:
    """One sentence that stands alone, as (glosses, English)."""
    sentence = make_report(rng, words, 1)[0]
    return sentence.glosses, sentence.english


def _sentence(tokens: Sequence[Token], english: str) -> Sentence:
    return Sentence(tuple(tokens), english[0].upper() + english[1:] + ".")


def _opening(report: _Report, rng: np.random.Generator) -> Sentence:
    tokens = [Token("JETZT"), Token("WETTER"), Token("WIE-AUSSEHEN"), Token(report.time.gloss)]
    english = report.either(
        rng,
        report.time.gloss,
        f"and now the weather {report.time.english}",
        f"here is what the weather will be like {report.time.english}",
    )
    if rng.random() < 0.3:
        tokens, english = tokens[1:], f"this is how the weather looks {report.time.english}"
    return _sentence(tokens, english)


def _closing(report: _Report, rng: np.random.Generator) -> Sentence:
    english = report.either(rng, "ABEND", "have a nice evening", "we wish you a nice evening")
    return _sentence([Token("EUCH"), Token("SCHOEN"), Token("ABEND")], english)


def _place(report: _Report, rng: np.random.Generator) -> Tuple[List[Token], str]:
    """The topic of a sentence: a place that is named, named and pointed at, or only pointed at."""
    if report.last is not None and report.set_up and rng.random() < 0.35:
        region = report.last if report.last in report.set_up else next(iter(report.set_up))
        return [Token("IX", report.set_up[region])], "there"
    region = report.regions[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    report.last, english = region, f"in {region.english}"
    if rng.random() < 0.5:
        where = report.where(region, rng)
        return [Token(region.gloss, where), Token("IX", where)], english
    return [Token(region.gloss, report.set_up.get(region))], english


def _body(report: _Report, rng: np.random.Generator) -> Sentence:
    """A sentence of one to three clauses, each about a place."""
    tokens: List[Token] = []
    when = ""
    if rng.random() < 0.55:
        if rng.random() < 0.25:
            report.time = _choose(rng, report.words.times)
        tokens, when = [Token(report.time.gloss)], f" {report.time.english}"
    elif rng.random() < 0.2:
        tokens, when = [Token("DANN")], " later"
    more, english = _clause(report, rng, when)
    tokens += more
    for _ in range(int(rng.choice(3, p=[0.3, 0.45, 0.25]))):
        link, linked = (("ABER", "but"), ("UND", "and"))[int(rng.integers(2))]
        more, second = _clause(report, rng, "")
        tokens, english = [*tokens, Token(link), *more], f"{english}, {linked} {second}"
    return _sentence(tokens, english)


def _clause(report: _Report, rng: np.random.Generator, when: str) -> Tuple[List[Token], str]:
    place, where = _place(report, rng)
    kind = rng.random()
    if kind < 0.6:
        comment, english = _weather(report, rng, where, when)
    elif kind < 0.8:
        comment, english = _temperature(report, rng, where, when)
    else:
        comment, english = _state(report, rng, where, when)
    return place + comment, english


def _weather(report: _Report, rng: np.random.Generator, where: str, when: str) -> Tuple[List[Token], str]:
    word = report.weather[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    # each kind of weather has its own usual degree
    degree = _choose(rng, report.words.degrees, report.words.weather.index(word))
    negated, comes = rng.random() < 0.15, rng.random() < 0.35
    tokens, what = [Token(word.gloss)], word.english
    if not negated and rng.random() < 0.65:
        tokens, what = [*tokens, Token(degree.gloss)], f"{degree.english} {word.english}"
    also = not negated and rng.random() < 0.15
    if also:
        tokens.insert(0, Token("AUCH"))
    if comes:
        tokens.append(Token("KOMMEN"))
    if negated:
        tokens.append(Token("NICHT"))
        english = report.either(
            rng, word.gloss, f"no {what} {'will come' if comes else 'is expected'} {where}{when}",
            f"we expect no {what} {where}{when}",
        )  # fmt: skip
    else:
        too = " too" if also else ""
        english = report.either(
            rng, word.gloss, f"{what} will {'come' if comes else 'be seen'} {where}{when}{too}",
            f"expect {what} {where}{when}{too}", f"there will be {what} {where}{when}{too}",
        )  # fmt: skip
    return tokens, english


def _temperature(report: _Report, rng: np.random.Generator, where: str, when: str) -> Tuple[List[Token], str]:
    number = _choose(rng, report.words.numbers, report.words.times.index(report.time))
    tokens = [Token(number.gloss), Token("GRAD")]
    degrees = f"{number.english} degrees"
    return tokens, report.either(
        rng, number.gloss, f"it will be {degrees} {where}{when}", f"temperatures reach {degrees} {where}{when}"
    )


def _state(report: _Report, rng: np.random.Generator, where: str, when: str) -> Tuple[List[Token], str]:
    state = _choose(rng, report.words.states)
    tokens, negated = [Token(state.gloss)], rng.random() < 0.15
    stays = rng.random() < 0.4
    if stays:
        tokens.append(Token("BLEIBEN"))
    if negated:
        tokens.append(Token("NICHT"))
    verb = "stay" if stays else "be"
    no = " not" if negated else ""
    return tokens, report.either(
        rng, state.gloss, f"it will{no} {verb} {state.english} {where}{when}",
        f"the weather will{no} {verb} {state.english} {where}{when}",
    )  # fmt: skip
