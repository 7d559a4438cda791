"""Every figure collects, draws, judges and publishes: here from made-up numbers whose verdict is known."""

import csv
import io
import json
import re
from html import escape

import numpy as np
import pytest

from thzjax import cli
from thzjax.errors import ConfigError
from thzjax.experiment.files import read_records
from thzjax.experiment.sweep_spec import parse_sweep
from thzjax.experiment.train import Diverged
from thzjax.figures.catalogue import BEYOND, FIGURES, PUBLISHED, choose
from thzjax.figures.frame import BUDGETS, Budget, Curve, Figure, Trace
from thzjax.figures.judging import grows
from thzjax.figures.pages import PAGE, VERDICTS, reproduce_figure, table
from thzjax.figures.pictures import along_axis
from thzjax.figures.workshop import Stopped, Workshop
from thzjax.systems.scenario import preset

TINY = Budget("quick", seeds=3, channels=8, steps=1.0, searches=4)


class MadeUp:
    """A workshop that invents numbers: whatever learns, learns; whatever grows, grows."""

    def __init__(self):
        self.asked = []
        self.spent = {"runs/made-up": 1.5}
        self.budget = TINY

    def scenario(self, name, *overrides):
        return preset(name)

    def train(self, preset_name, agent, steps, overrides=(), sweep=(), **options):
        self.asked.append((preset_name, agent, tuple(options.items())))
        return [value for text in sweep[:1] for value in parse_sweep(text)[1]] or [""]

    def traces(self, runs, field, against="episodes"):
        x = np.linspace(0, 1000, 21)
        return {
            value: Trace(x, 1 + i + (1 - np.exp(-x / 100)) + 0.01 * np.arange(3)[:, None])
            for i, value in enumerate(runs)
        }

    def along(self, scenario, name, values, methods, x=None, along=None, learned=()):
        at = [float(value) for value in values] if x is None else x
        anchors = {
            "no surface, anchor": self._curve([1.0] * len(at), at, 1),
            "upper bound, anchor": self._curve(at, at, 1),
        }
        policies = {name: self._curve(np.log1p(at), at, 3) for name in ("apg, policy", "apg, untrained, policy")}
        designs = {m.replace("/", ", "): self._curve(np.log1p(at), at, 1) for m in methods}
        return designs | anchors | (policies if learned else {})

    def beside(self, folder, methods):
        return {m.replace("/", ", "): self._curve([1.0], [0.0], 1) for m in methods}

    def timed(self, scenario, methods, learned):
        names = [m.replace("/", ", ") for m in methods] + ["apg, policy", "apg, untrained, policy"]
        return {name: self._curve([1.0 + i], [2.0**i], 3 if "apg" in name else 1) for i, name in enumerate(names)}

    def learned(self, runs, x):
        x = [float(value) for value in x]
        return self._curve(1 + np.log1p(x), x, 3)

    def patterns(self, scenario, methods, learned):
        grid = np.linspace(-90, 90, 361)
        shape = np.exp(-((np.min(np.abs(grid[:, None] - np.array([-40, 0, 40])), axis=1) / 5) ** 2))
        users = [f", user {k + 1}" for k in range(scenario.num_users)]
        return {
            f"{label}{user}": self._curve((2 + i) * shape / (1 + len(user)), grid, 3 if label in learned else 1)
            for i, label in enumerate([*learned, *(m.replace("/", ", ") for m in methods)])
            for user in ["", *users]
        }

    def _curve(self, means, x, seeds):
        noise = 1e-3 * np.random.default_rng(0).normal(size=(len(x), seeds, 8))
        return Curve(np.asarray(x, float), np.asarray(means)[:, None, None] + noise, np.zeros(noise.shape, bool))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_goes_from_numbers_to_verdicts(name, tmp_path, monkeypatch):
    monkeypatch.setattr("thzjax.figures.pages.Workshop", lambda *_: MadeUp())
    result = reproduce_figure(FIGURES[name], TINY, tmp_path, print)
    assert result["verdict"] in ("holds", "does not hold", "depends")
    assert result["findings"]
    for picture in result["pictures"]:
        assert (tmp_path / name / f"{picture['name']}.png").stat().st_size > 5000
    rows = list(csv.DictReader(io.StringIO((tmp_path / name / f"{name}.csv").read_text(encoding="utf-8"))))
    assert {row["panel"] for row in rows}
    assert all(float(row["low"]) <= float(row["mean"]) + 1e-9 for row in rows)
    (verdict,) = json.loads((tmp_path / VERDICTS).read_text())
    assert (verdict["id"], verdict["verdict"]) == (name, result["verdict"])
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert escape(FIGURES[name].source) in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "http-equiv" not in page


def test_both_versions_of_every_learner_are_trained():
    for name, figure in PUBLISHED.items():
        shop = MadeUp()
        figure.collect(shop)
        kinds = {(agent, bool(options)) for _, agent, options in shop.asked}
        assert all((agent, True) in kinds and (agent, False) in kinds for agent, _ in kinds), name


def test_growth_that_is_put_in_is_found():
    figure = FIGURES["liu-fig8"]
    found = figure.judge(figure.collect(MadeUp()))
    assert {finding.verdict for finding in found} == {"holds"}
    data = figure.collect(MadeUp())
    falling = {name: {k: Curve(c.x, -c.values, c.missed) for k, c in panel.items()} for name, panel in data.items()}
    assert {finding.verdict for finding in figure.judge(falling)} == {"does not hold"}


def test_a_figure_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"'liu-fig99' is unknown: use all, beyond, or some of liu-fig3"):
        choose(("liu-fig99",))
    with pytest.raises(ConfigError, match="name a figure, all or beyond"):
        choose(())
    assert choose(("all",)) == list(PUBLISHED.values())
    assert choose(("all", "beyond", "liu-fig4")) == list(FIGURES.values())
    assert not PUBLISHED.keys() & BEYOND.keys()


def test_the_list_names_every_figure_and_its_claim(capsys):
    assert cli.main(["reproduce", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said and figure.claim in said for name, figure in FIGURES.items())


def test_one_that_diverges_is_left_out_and_the_others_go_on(monkeypatch, capsys, tmp_path):
    def reproduce(figure, *_):
        if figure.id == "air":
            raise Diverged("a run did")
        return {"id": figure.id, "verdict": "holds", "findings": []}

    monkeypatch.setattr("thzjax.figures.pages.reproduce_figure", reproduce)
    assert cli.main(["reproduce", "air", "squint", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "air is left out: a run did" in said.err
    assert "squint: holds" in said.out


def test_a_signal_ends_a_reproduction_with_its_status(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("thzjax.figures.workshop.run_together", lambda *_: 143)
    shop = Workshop(tmp_path, TINY, print)
    with pytest.raises(Stopped):
        shop.train("paper-a", "ppo", 32, OPTIONS)

    def reproduce(*_):
        raise Stopped(143)

    monkeypatch.setattr("thzjax.figures.pages.reproduce_figure", reproduce)
    assert cli.main(["reproduce", "air", "squint", "--out", str(tmp_path)]) == 143
    assert "the same command goes on" in capsys.readouterr().err


def test_the_table_has_every_point():
    rows = list(
        csv.reader(io.StringIO(table({"p": {"a": MadeUp().learned(None, [1, 2]), "t": MadeUp().traces([""], "")[""]}})))
    )
    assert len(rows) == 1 + 2 + 21
    assert rows[1][:3] == ["p", "a", "1"]
    assert rows[1][-3:] == ["3", "8", "0"]


# --- the workshop, for real on the smallest link


OPTIONS = (
    "num_envs=16", "minibatches=2", "epochs=1", "hidden=4", "surface_shape=2,2", "num_users=2", "updates_per_record=1",
    "validation_channels=8",
)  # fmt: skip


def collect(shop):
    runs = shop.train("paper-a", "ppo", 32, OPTIONS, ("power_w=0.01,0.02",))
    scenario = shop.scenario("paper-a", "surface_shape=2,2", "num_users=2")
    return {
        "learned": {"ppo": shop.learned(runs, [0.01, 0.02])},
        "classical": shop.along(scenario, "power_w", ("0.01", "0.02"), ("rzf/focused",)),
        "training": shop.traces(runs, "sum_rate"),
        "beside it": shop.beside(runs, ("rzf/focused",)),
    }


SMALL = Figure(
    "small-fig1", "Nobody, Fig. 1", "Grows with <power> & more.", "paper-a", collect,
    lambda data: {"": along_axis(dict(data["learned"]) | dict(data["classical"]), "power [W]")},
    lambda data: [grows("grows", "r", data["classical"]["rzf, focused"], learned=False)],
)  # fmt: skip


def test_what_is_there_is_not_run_again(tmp_path, monkeypatch):
    said = []
    first = reproduce_figure(SMALL, TINY, tmp_path, said.append)
    assert any("training ppo" in text for text in said)
    assert first["verdict"] == "holds"
    assert "Grows with &lt;power&gt; &amp; more." in (tmp_path / PAGE).read_text(encoding="utf-8")
    (folder,) = (tmp_path / "runs").iterdir()
    runs = [path for path in folder.iterdir() if path.is_dir()]
    assert len(runs) == 2 * TINY.seeds
    assert all(read_records(run / "metrics.jsonl")[-1]["record"] == 2 for run in runs)

    def never(*_, **__):
        raise AssertionError("it is there already")

    monkeypatch.setattr("thzjax.figures.workshop.run_together", never)
    monkeypatch.setattr("thzjax.figures.workshop.points", never)
    monkeypatch.setattr(Workshop, "_judged", never)
    again = reproduce_figure(SMALL, TINY, tmp_path, said.append)
    assert again["findings"] == first["findings"]
    assert again["seconds"] == first["seconds"] > 0  # what it took when it was made
    data, more = collect(Workshop(tmp_path, TINY, said.append)), BUDGETS["quick"]
    assert data["learned"]["ppo"].values.shape == (2, TINY.seeds, TINY.channels)
    assert data["classical"]["rzf, focused"].values.shape == (2, 1, TINY.channels)
    with pytest.raises(AssertionError, match="already"):
        collect(Workshop(tmp_path, more, said.append))
