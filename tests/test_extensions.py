"""What others add, a system, a constraint, maps, is built, shown, trained and reached from the command line."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import pytest

from thzjax import cli
from thzjax.agents import AGENTS, policies_of
from thzjax.commands.extensions import import_extensions
from thzjax.envs import MAPS
from thzjax.errors import ConfigError
from thzjax.experiment.config import make_environment, resolve
from thzjax.experiment.tables import feasibility_table
from thzjax.systems import BUILDERS, PRESETS, IrsIsac, IrsScenario, build, build_irs, preset
from thzjax.systems.irs_constraints import CONSTRAINTS
from thzjax.systems.views import link_budgets, view

MODULE = """
import dataclasses
from thzjax.systems import PRESETS, preset
PRESETS["two-users"] = dataclasses.replace(preset("paper-a"), num_users=2)
"""


@dataclasses.dataclass(frozen=True)
class Quiet(IrsIsac):
    """Paper A's system with half the rates."""

    def rates(self, params, channels, design):
        return super().rates(params, channels, design) / 2


@dataclasses.dataclass(frozen=True)
class QuietScenario(IrsScenario):
    pass


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the working directory; what it adds and where it is found are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(PRESETS, "two-users", None)
    del PRESETS["two-users"]
    (tmp_path / "my_room.py").write_text(MODULE)
    yield "my_room"
    sys.modules.pop("my_room", None)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_the_command_line_reaches_a_preset_of_ones_own(module, place, capsys):
    args = ["info", "two-users", "--no-feasibility"]
    args[place:place] = ["--import", module] if place else [f"--import={module}"]
    assert cli.main(args) == 0
    assert "scenario.num_users = 2" in capsys.readouterr().out


def test_what_cannot_be_imported_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "broken_room.py").write_text("raise RuntimeError('no such\\nwall')")
    for args, said in (
        (["--import", "no_room", "info"], "No module named 'no_room'"),
        (["--import", "broken_room", "info"], "no such wall"),
        (["info", "--import"], "--import needs a module's name"),
    ):
        assert cli.main(args) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert import_extensions(["info", "--json", "x"]) == ["info", "--json", "x"]


def test_a_system_derived_from_another_is_built_and_shown(monkeypatch):
    with pytest.raises(ConfigError, match="nothing builds a QuietScenario"):
        build(QuietScenario())
    monkeypatch.setitem(BUILDERS, QuietScenario, lambda s: (Quiet(**vars(build_irs(s)[0])), build_irs(s)[1]))
    system, params = build(QuietScenario(num_users=2))
    assert isinstance(system.continuous, Quiet)
    assert view(system) is view(build(preset("paper-a"))[0])
    assert set(link_budgets(system, params, jnp.array([4.0, 0.0, 0.0]))) >= {"direct"}
    loud, _ = build(preset("paper-a"))
    channels = jax.jit(system.sample)(jax.random.key(0), params)
    design = jax.jit(system.random_design)(jax.random.key(1), params, channels)
    half, whole = (jax.jit(s.outcome)(params, channels, design).rates for s in (system, loud))
    assert jnp.allclose(2 * half, whole)
    with pytest.raises(ConfigError, match="nothing shows a object"):
        view(object())


def test_a_constraint_of_ones_own_has_no_limit_to_take_away(monkeypatch):
    monkeypatch.setitem(CONSTRAINTS, "mine", lambda system, params, channels, design: jnp.ones(()))
    system, params = build(dataclasses.replace(preset("paper-a"), constraints=("mine", "antenna_power")))
    assert system.relaxable == ("antenna_power",)
    assert float(system.without(params, "antenna_power").power_w) == pytest.approx(100 * float(params.power_w))
    with pytest.raises(ConfigError, match="'mine' is unknown"):
        system.without(params, "mine")
    slack = {"reference": {"antenna_power": (0.0, 0.0), "mine": (1.0, 0.0)}}
    assert "its limit is no parameter" in feasibility_table({"antenna_power": 0.2}, slack, 0.01)


def test_maps_of_ones_own_are_a_policy_of_every_agent(monkeypatch):
    for agent, kind in AGENTS.items():
        assert policies_of(agent) == kind.policies
    with pytest.raises(ConfigError, match="cannot learn policy 'mine'"):
        resolve("paper-a", policy="mine")
    monkeypatch.setitem(MAPS, "mine", MAPS["residual"])
    for agent in ("ppo", "sac", "apg"):
        config = resolve("paper-a", agent, policy="mine")
        system, _ = build(config.scenario)
        assert make_environment(config, system).actions == MAPS["residual"].actions


def test_flat_maps_of_ones_own_are_actions_of_the_gymnasium_environments(monkeypatch):
    pytest.importorskip("gymnasium")
    from thzjax.gym import IsacEnv

    with pytest.raises(ConfigError, match="actions='mine' is unknown: use one of structured, residual"):
        IsacEnv(actions="mine")
    monkeypatch.setitem(MAPS, "mine", MAPS["residual"])
    assert IsacEnv(actions="mine").action_space == IsacEnv(actions="residual").action_space
