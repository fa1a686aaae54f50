"""The two renderings of a report hold what they are given: every text literally, every table aligned."""

import base64
import hashlib
from html.parser import HTMLParser

import pytest

from pycaffe_ext.report import model, page
from pycaffe_ext.report.model import Bullets, Figure, Folded, Links, Note, Section, Table

HOSTILE = "<script>alert(1)</script> a|b *c* _d_ `e` [f](g) &amp; \"h\" 'i' ~j~ k_l $m$ \\n"
PAGE = [
    Section(
        "Results", ["Two nets.", Table(("net", "AUC"), [("ft-fc6", "0.91 [0.88, 0.93]"), ("scratch", 0.8)], "r.csv")]
    ),
    Section(
        "Curves", [Figure("roc.png", "ROC as Fig. 2 has it. One line a class."), Note("Few groups."), Bullets("ab")]
    ),
    Section("All", [Folded("open me", ["inside", Table(("a",), [(1,)])])]),
]


class Texts(HTMLParser):
    """The tags of a page and its texts; cells : (tag, class, text) of each cell of its tables."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.cells = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append([tag, dict(attrs).get("class", ""), ""])

    def handle_data(self, data):
        self.texts.append(data)
        if self.cells:
            self.cells[-1][2] += data.strip("\n")


def test_markdown_page():
    assert model.markdown(PAGE, "A study") == (
        "# A study\n\n## Results\n\nTwo nets.\n\n"
        "| net | AUC |\n| --- | ---: |\n| ft-fc6 | 0.91 [0.88, 0.93] |\n| scratch | 0.8 |\n\n"
        "All numbers: [r.csv](r.csv)\n\n## Curves\n\n"
        "![ROC as Fig. 2 has it](roc.png)\n\n*ROC as Fig. 2 has it. One line a class.*\n\n"
        "> **Few groups.**\n\n- a\n- b\n\n## All\n\n"
        "<details><summary>open me</summary>\n\ninside\n\n| a |\n| ---: |\n| 1 |\n\n</details>\n"
    )


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("# no title", "\\# no title"),
        ("#1 of 2", "#1 of 2"),
        ("- no item", "\\- no item"),
        ("-0.05 of AUC", "-0.05 of AUC"),
        ("1. no list", "1\\. no list"),
        ("0.91 is a number", "0.91 is a number"),
        ("> no quotation", "\\> no quotation"),
        ("p < .05", "p < .05"),
        ("<b>", "\\<b>"),
        ("auc_by_depth.csv and _x_", "auc_by_depth.csv and \\_x\\_"),
        ("Müller & Söhne &lt;", "Müller & Söhne \\&lt;"),
        ("two\n\nlines", "two lines"),
        ("a|b", "a\\|b"),
        ("0.9 [0.8, 1.0]", "0.9 [0.8, 1.0]"),
        ("[a](b) and [a][b]", "\\[a\\](b) and [a\\][b]"),
        ("[x] no task", "\\[x] no task"),
        ("---", "\\---"),
    ],
)
def test_markdown_escapes_what_would_be_a_mark_and_nothing_else(text, escaped):
    assert model.markdown([Section("s", [text])]) == f"## s\n\n{escaped}\n"


@pytest.mark.parametrize(
    "block", [HOSTILE, Note(HOSTILE), Bullets([HOSTILE]), Figure("a.png", HOSTILE), Table((HOSTILE,), [(HOSTILE,)])]
)
def test_html_shows_every_character_and_runs_none(block):
    whole = page.html([Section("s", [Folded(HOSTILE, [block])])], HOSTILE)
    shown = Texts(whole.replace(f"<script>{page.SCRIPT}</script>", "", 1))
    assert not {tag for tag, _ in shown.tags} & {"script", "b", "em"}
    assert "".join(shown.texts).count(HOSTILE) >= 4  # title twice, the fold's title, the block
    assert not any(name.startswith("on") for _, attributes in shown.tags for name in attributes)


def test_numbers_are_aligned_right_in_html():
    cells = Texts(page.html(PAGE)).cells
    assert [cell[1] for cell in cells[:6]] == ["", "n", "", "n", "", "n"]
    assert [cell[2] for cell in cells[:4]] == ["net", "AUC", "ft-fc6", "0.91 [0.88, 0.93]"]


@pytest.mark.parametrize(
    ("column", "numeric"),
    [
        (["1", "-2.5", "−3"], True),
        (["0.9 [0.8, 1.0]", "-"], True),
        (["[-0.1, +0.2]", ""], True),
        (["1 234", "12 %", "1e-05", "<0.001"], True),
        ([None, ""], False),
        (["1", "one"], False),
        (["ft-fc6"], False),
        (["3rd"], False),
    ],
)
def test_which_columns_are_numbers(column, numeric):
    assert Table(("a",), [(cell,) for cell in column]).numeric() == [numeric]


def test_pictures_become_part_of_the_page(tmp_path):
    (tmp_path / "roc.png").write_bytes(b"\x89PNG picture")
    images = [attributes for tag, attributes in Texts(page.html(PAGE, pictures=tmp_path)).tags if tag == "img"]
    assert base64.b64decode(images[0]["src"].removeprefix("data:image/png;base64,")) == b"\x89PNG picture"
    assert images[0]["alt"] == "ROC as Fig. 2 has it"


def test_a_list_of_files():
    section = Section("s", [Links(["a b.csv", "c_d.csv"])])
    assert model.markdown([section]) == "## s\n\n- [a b.csv](a%20b.csv)\n- [c_d.csv](c_d.csv)\n"
    assert '<li><a href="a%20b.csv">a b.csv</a></li>' in page.html([section])


def test_names_of_files_are_quoted_in_links():
    block = Figure("roc of a (b) ü.png", "ROC.")
    assert "(roc%20of%20a%20%28b%29%20%C3%BC.png)" in model.markdown([Section("s", [block])])
    assert 'src="roc%20of%20a%20%28b%29%20%C3%BC.png"' in page.html([Section("s", [block])])


def test_a_name_that_is_not_utf8_can_be_written():
    page.html([Section("s", ["caf\udce9"])], "caf\udce9").encode()
    model.markdown([Section("s", ["caf\udce9"])], "caf\udce9").encode()


def test_a_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="2 cells, the header 1"):
        Table(("a",), [(1, 2)])


def test_the_page_has_its_own_script_alone_and_loads_nothing():
    shown = page.html(PAGE, "A study")
    assert shown.count("<script") == shown.count(f"<script>{page.SCRIPT}</script>") == 1
    assert "://" not in shown
    assert "default-src 'none'" in shown
    digest = base64.b64encode(hashlib.sha256(page.SCRIPT.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in shown  # what else stands in the page is not run
