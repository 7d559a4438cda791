"""The gallery has every picture, is what its script writes, and the script draws."""

import importlib.util
import re
from pathlib import Path

import pytest

from thzjax import plotting

DOCS = Path(__file__).resolve().parent.parent / "docs"
LARGEST = 80 * 1024
NOT_PICTURES = {"save", "to_svg"}


def load():
    spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = load()


def exported():
    """Functions that `thzjax.plotting` gives away."""
    return {name for name, value in vars(plotting).items() if callable(value) and not name.startswith("_")}


def test_every_picture_is_in_the_gallery():
    shown = {shot.function for section in gallery.SECTIONS.values() for shot in section.shots}
    assert shown == exported() - NOT_PICTURES


def test_the_page_is_what_the_script_writes():
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == gallery.page()


def test_its_pictures_are_there_and_small():
    wanted = set(re.findall(r"\]\(gallery/([^)]+)\)", gallery.page()))
    assert wanted == {path.name for path in (DOCS / "gallery").iterdir()}
    for name in wanted:
        data = (DOCS / "gallery" / name).read_bytes()
        assert data[:4] == b"\x89PNG"
        assert len(data) < LARGEST, name


@pytest.mark.parametrize("name", ["methods", pytest.param("link", marks=pytest.mark.full)])
def test_the_script_draws(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gallery.main(["--only", name, "--small", "--out", str(tmp_path)]) == 0
    found = {path.name for path in (tmp_path / "gallery").iterdir()}
    assert found == {gallery.picture_name(name, shot) for shot in gallery.SECTIONS[name].shots}
    assert (tmp_path / "gallery.md").read_text(encoding="utf-8") == gallery.page()
    assert {path.name for path in tmp_path.iterdir()} == {"gallery", "gallery.md"}
