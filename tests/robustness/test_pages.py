"""Pages show what users typed as text: no name, path or option becomes a tag, an attribute or a script."""

import dataclasses
import html.parser
import sys
from pathlib import Path

import pytest
from hostile import leaves, replaced, told_in_one_line
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made import RESULT, write_result

from thzjax.errors import ConfigError
from thzjax.experiment.report import pictures, render
from thzjax.figures.pages import page, write_pages
from thzjax.plotting import to_svg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiment"))

from test_report import data, hybrid_data, row

TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "ul", "li", "p", "div", "table", "thead", "tbody",
    "tr", "th", "td", "figure", "figcaption", "code", "br", "b", "a", "svg", "g", "path", "defs", "clippath", "rect",
    "use", "image", "lineargradient", "stop",
}  # fmt: skip
EVIL = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "</title></style><b>",
    "javascript:alert(1)", "&lt;b&gt;", "]]>", "--><script>", "a\0b\x1b[31m",
    "ünï \u202e \u2028 太赫兹 \\g<1> {0} %s $x$",
)  # fmt: skip
PARTS = ("title", "command", "name", "value", "method", "surface")
TEXT = st.one_of(st.sampled_from(EVIL), st.text(max_size=30))


class Reader(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        for name, value in attrs:
            assert name not in ("src", "href", "xlink:href", "action") or (value or "").startswith(
                ("#", "data:image/png")
            )

    def handle_data(self, text):
        self.text.append(text)


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.tags <= TAGS, reader.tags - TAGS
    assert not [name for name in reader.attributes if name.startswith("on")]
    return "".join(reader.text)


def shows(text, wanted):
    """Whether a page's text has another one in it, spaces and line ends aside, of which HTML keeps none."""
    squeezed = "".join(text.split()).replace("\0", "\ufffd")
    return "".join(wanted.split()).replace("\0", "\ufffd") in squeezed


@settings(max_examples=60)
@given(title=TEXT, command=TEXT, name=TEXT, value=TEXT, method=TEXT, surface=TEXT)
@example(**dict(zip(PARTS, EVIL[:6], strict=True)))
@example(**dict(zip(PARTS, EVIL[4:], strict=True)))
def test_a_report_shows_names_and_options_as_text(title, command, name, value, method, surface):
    made = data()
    learned = row(method, surface, 4.0, True, 0.1)
    made = dataclasses.replace(
        made, title=title, command=command, scenario={name: value}, settings={name: value}, learned=learned,
        rows=[*made.rows, learned], beside=[learned], shares={method: {name: (0.5, 0.25)}},
    )  # fmt: skip
    text = read(render(made, []))
    for wanted in (title, command, name, value, method, surface):
        if "\r" not in wanted:  # which HTML reads as a line's end
            assert shows(text, wanted)


@pytest.mark.parametrize("made", [data, hybrid_data], ids=["paper A", "paper B"])
def test_pictures_of_a_report_have_no_tags_from_names(made):
    """Every label at once is hostile; text in pictures is drawn as outlines."""
    made = made()
    evil = EVIL[0] + EVIL[1]
    learned = dict(made.learned) | {"method": evil}
    made = dataclasses.replace(
        made, title=evil, learned=learned, rows=[*made.rows, learned], lines={evil: 3.0},
        shares={evil: {evil: (0.5, 0.1)}},
    )  # fmt: skip
    drawn = pictures(made)
    text = render(made, drawn)
    read(text)
    assert "alert(1)</script>" not in text
    assert "<script" not in to_svg(drawn[0].figure, "a", evil)


@settings(max_examples=60)
@given(data=st.data())
def test_a_reproduction_shows_results_as_text(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    result = RESULT | {"pictures": []}
    paths = [
        path for path, value in leaves(result) if isinstance(value, str) and path[0] not in ("id", "work", "preset")
    ]
    changed, typed = result, []
    for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, unique=True)):
        if path != ("budget",):
            typed.append(data.draw(TEXT))
            changed = replaced(changed, path, typed[-1])
    text = read(page([changed], folder))
    for wanted in typed:
        if "\r" not in wanted:
            assert shows(text, wanted)


def test_a_picture_with_a_script_is_not_put_into_the_page(tmp_path):
    own = write_result(tmp_path)
    write_pages(tmp_path)
    read((tmp_path / "reproduction.html").read_text())
    bodies = (
        "<svg><script>alert(1)</script></svg>", '<svg onload="alert(1)"/>', "<svg><a href='javascript:x'/></svg>",
        "<svg><foreignObject><b/></foreignObject></svg>", "no picture",
    )  # fmt: skip
    for body in bodies:
        (own / "small-fig1.svg").write_text(body)
        with pytest.raises(ConfigError, match="is no picture") as caught:
            write_pages(tmp_path)
        told_in_one_line(caught.value)
