"""``asl landmarks sheet``: the files it writes, and the page in a browser."""

import html.parser
import re

import numpy as np
import pytest
from PIL import Image

from asl.common.errors import AslError
from asl.data.quality_rows import measured_clips
from asl.data.sheet import sheet
from asl.data.sheet_page import page
from asl.landmarks.layouts import LAYOUTS, get_layout
from asl.landmarks.quality import measure
from asl.landmarks.thumbnails import HEIGHT, WIDTH, thumbnail
from tests.data.chromium import browser

NASTY = [
    "book", '<script>document.title="run"</script>', "\"><img src=x onerror=\"document.title='run'\">", "</script>",
    "Käse שלום", "drink", "go home", "it's", "book drink", "a&amp;b </article>", "x" * 300, "{STYLE} %s \\u003c",
]  # fmt: skip


@pytest.fixture
def made(imported, tmp_path):
    """The data folder of 12 clips with texts that HTML would take for its own, and the sheet's folder."""
    data = imported(val=12, texts=lambda i: NASTY[i])
    sheet(str(data), "val", str(tmp_path / "sheet"))
    return data, tmp_path / "sheet"


class Cards(html.parser.HTMLParser):
    """The clips of a page: id, thumbnail, text."""

    def __init__(self, text):
        super().__init__()
        self.cards, self._inside, self.tags = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag
        if tag == "article":
            self.cards.append([dict(attrs)["data-id"], None, ""])
        elif tag == "img":
            self.cards[-1][1] = dict(attrs)["src"]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "h2":
            self.cards[-1][2] += data


def test_the_page_lists_the_worst_clips_first_with_their_texts(made):
    data, folder = made
    cards = Cards((folder / "index.html").read_text(encoding="utf-8"))
    rows = {clip.row["id"]: clip.row for clip in measured_clips(data, "val")}
    shares = [rows[clip_id]["unreliable"] for clip_id, _, _ in cards.cards]
    assert shares == sorted(shares, reverse=True) and len(shares) == 12
    assert {clip_id: text for clip_id, _, text in cards.cards} == {i: row["text"] for i, row in rows.items()}
    assert cards.tags.count("script") == 1 and cards.tags.count("img") == 12
    for _, source, _ in cards.cards:
        picture = Image.open(folder / source)
        assert picture.size == (WIDTH, HEIGHT) and (folder / source).stat().st_size < 6000
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        assert alpha.min() == 0 and alpha.max() == 255
    assert sorted(p.name for p in folder.iterdir()) == ["index.html", "thumbs"]
    assert len(list((folder / "thumbs").iterdir())) == 12
    assert re.search(r"(https?:)?//(?!www\.w3\.org)[a-z]", (folder / "index.html").read_text()) is None  # no network


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_thumbnails(layout):
    form = get_layout(layout)
    array = np.random.default_rng(0).random((7, form.num_points, form.num_dims)).astype(np.float32)
    for clip in (array, np.full_like(array, np.nan), array[:1]):
        assert thumbnail(clip, layout, measure(clip, layout), 16 / 9).startswith(b"\x89PNG")


def test_an_older_sheet_is_replaced_and_nothing_else(made, tmp_path, capsys):
    data, folder = made
    (folder / "thumbs-in-the-making.x").mkdir()  # what a killed one left
    sheet(str(data), "val", str(folder), clips=5)
    assert "5 clips, the worst of 12" in capsys.readouterr().out
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert len(Cards(text).cards) == len(list((folder / "thumbs").iterdir())) == 5 and "the worst 5 of 12" in text
    assert not list(folder.glob("thumbs-in*"))

    other = tmp_path / "site"
    other.mkdir()
    (other / "index.html").write_text("<h1>mine</h1>")
    with pytest.raises(AslError, match="is no sheet of landmarks; give another folder"):
        sheet(str(data), "val", str(other))
    (other / "index.html").unlink()
    (other / "thumbs").mkdir()
    (other / "thumbs" / "holiday.jpg").write_text("")
    with pytest.raises(AslError, match="holds more than a sheet's thumbnails"):
        sheet(str(data), "val", str(other))
    assert (other / "thumbs" / "holiday.jpg").exists()
    with pytest.raises(AslError, match="is a file; give a folder"):
        sheet(str(data), "val", str(data / "val/cuts.jsonl.gz"))
    with pytest.raises(AslError, match="--clips 0"):
        sheet(str(data), "val", str(folder), clips=0)


def test_a_damaged_archive_leaves_the_older_sheet(made):
    data, folder = made
    before = (folder / "index.html").read_bytes()
    (data / "landmarks/val-00000.h5").write_bytes(b"")
    with pytest.raises(AslError, match="run stage 2 again"):
        sheet(str(data), "val", str(folder))
    assert (folder / "index.html").read_bytes() == before and len(list((folder / "thumbs").iterdir())) == 12


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


SHOWN = "[...document.querySelectorAll('article:not([hidden])')].map((card) => card.dataset.id)"


@pytest.mark.chromium
def test_the_page_in_a_browser(made, tab):
    """It draws, sorts and searches; nothing of a text is run; nothing but its own files is asked for."""
    data, folder = made
    rows = {clip.row["id"]: clip.row for clip in measured_clips(data, "val")}
    tab.open((folder / "index.html").as_uri())
    worst = sorted(rows, key=lambda i: -rows[i]["unreliable"])
    assert [rows[i]["unreliable"] for i in tab.run(SHOWN)] == [rows[i]["unreliable"] for i in worst]
    loaded = "Promise.all([...document.images].map((image) => (image.loading = 'eager', image.decode())))"
    assert tab.run(loaded + ".then(() => document.images.length)") == 12

    light = tab.screenshot()
    colours = light.reshape(-1, 3).astype(int)
    red, _, blue = colours.T
    assert (red > blue + 100).sum() > 200 and (blue > red + 100).sum() > 200  # hands and bars
    assert (colours.mean(axis=1) > 230).mean() > 0.7 and (colours.mean(axis=1) < 100).mean() > 0.005  # ground, words

    tab.click('.sorts button[data-key="hand_left"]')  # small shares are bad
    shares = [rows[i]["found"]["hand_left"] for i in tab.run(SHOWN)]
    assert shares == sorted(shares) and len(shares) == 12
    assert tab.run("document.querySelector('[aria-pressed=true]').dataset.key") == "hand_left"
    tab.click('.sorts button[data-key="hand_left"]')  # once more: the other way round
    shares = [rows[i]["found"]["hand_left"] for i in tab.run(SHOWN)]
    assert shares == sorted(shares, reverse=True) and tab.run("location.hash") == "#sort=hand_left&reverse=1"
    tab.click('.sorts button[data-key="gap"]')
    gaps = [max(rows[i]["gaps"][h]["longest"] for h in ("hand_left", "hand_right")) for i in tab.run(SHOWN)]
    assert gaps == sorted(gaps, reverse=True)
    tab.click('.sorts button[data-key="id"]')
    assert tab.run(SHOWN) == sorted(rows)

    assert tab.run("document.querySelector('article dl [data-key=hand_left] dd').textContent").endswith("\u00a0%")

    tab.click("#find")
    tab.type("Book")
    assert tab.run(SHOWN) == ["val000", "val008"]
    assert tab.run("document.getElementById('count').textContent") == "2 of 12"
    tab.type(" drink nothing")
    assert tab.run(SHOWN) == [] and tab.run("!document.getElementById('none').hidden")

    assert tab.run("document.title").endswith("landmarks")  # nothing was run
    assert tab.problems == []
    own = folder.resolve().as_uri()
    assert [url for url in tab.requests if not url.startswith((own, "data:"))] == []


@pytest.mark.chromium
def test_in_the_dark_on_a_phone_and_from_its_address(made, tab):
    _, folder = made
    tab.open((folder / "index.html").as_uri() + "#sort=id&find=val00", width=400, height=800, dark=True)
    assert tab.run(SHOWN) == [f"val{i:03d}" for i in range(10)]
    dark = tab.screenshot().astype(int)
    assert (dark.mean(axis=-1) < 60).mean() > 0.6 and (dark.mean(axis=-1) > 180).mean() > 0.002
    assert tab.run("document.documentElement.scrollWidth") <= 400
    assert tab.problems == []


@pytest.mark.chromium
def test_five_thousand_clips(made, tab):
    """The page is quick with so many, and loads only the pictures that are looked at."""
    data, folder = made
    row = next(clip.row for clip in measured_clips(data, "val"))
    summary = {"clips": 5000, "frames": 5000 * row["frames"], "unreliable": 0.5, "found": row["found"]}
    rows = [dict(row, id=f"clip{k}", unreliable=k * 37 % 5000 / 5000) for k in range(5000)]
    text = page([(r, f"thumbs/{k % 12:05d}.png?{k}") for k, r in enumerate(rows)], summary, "data", "val")
    (folder / "many.html").write_text(text, encoding="utf-8")
    assert len(text) < 10_000_000
    tab.open((folder / "many.html").as_uri())
    tab.click('.sorts button[data-key="id"]')
    tab.click('.sorts button[data-key="unreliable"]')
    worst = sorted(rows, key=lambda row: -row["unreliable"])[:3]
    assert tab.run(SHOWN + ".slice(0, 3)") == [row["id"] for row in worst]
    assert len(tab.requests) < 500
    assert 0 < tab.run("document.querySelectorAll('article dl').length") < 500
    assert tab.problems == []
