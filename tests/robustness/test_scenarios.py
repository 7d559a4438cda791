"""The whole configuration space: a scenario is refused in one line, or whatever is done in it gives finite numbers.

Sizes and options are parts of the compiled program; the everyday tests turn all physical numbers of three small
systems, the full ones also draw sizes, options, presets and designs.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hostile import GARBAGE, changed, told_in_one_line
from hypothesis import given, settings
from hypothesis import strategies as st

from thzjax.beamforming.designs import DESIGNS, get_design
from thzjax.envs.actions import Paper, PaperAction, PaperB, Structured
from thzjax.envs.environment import Environment
from thzjax.envs.observations import PaperBObservation, PaperObservation, StructuredObservation
from thzjax.errors import ConfigError
from thzjax.experiment.evaluation import judge
from thzjax.systems.base import satisfied
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import PRESETS, build

BASES = {
    "one of everything": IrsScenario(num_antennas=1, num_users=1, surface_shape=(1, 1), num_rays=0),
    "odd sizes": IrsScenario(
        num_antennas=3, num_users=2, surface_shape=(5, 1), num_rays=1, phase_bits=0, amplitude="practical",
        csi_error=0.1,
    ),
    "hybrid": HrisScenario(
        bs_shape=(1, 3), surface_shape=(2, 2), sensor_shape=(2, 2), num_active=1, num_users=2, num_rays_bs=1,
        num_rays_user=1, min_sinr_db=-20.0, max_crb_rad2=1.0,
    ),
}  # fmt: skip
PRIMES = (1, 2, 3, 5, 7, 11)
pytestmark = pytest.mark.usefixtures("quickly_compiled")
UNBOUNDED = ("crb_rad2",)
"""Figures of merit that are infinite where they do not exist."""


@functools.partial(jax.jit, static_argnums=(0, 1))
def everything(system, pair, params, key, boldness):
    """What is drawn, designed, judged and stepped through in a scenario, with actions of a given size."""
    keys = jax.random.split(key, 6)
    channels = system.sample(keys[0], params)
    seen = system.observe(keys[1], params, channels)
    designs = [system.random_design(keys[2], params, seen), get_design(*pair)(system, params, seen, keys[3])]
    designs += [system.project(params, channels, design) for design in designs]
    designs += [system.meet(params, channels, design) for design in designs[2:]]
    # As a batch, so that the outcome is compiled once.
    design = jax.tree.map(lambda *x: jnp.stack(x), *designs)
    every = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(designs), *x.shape)), channels)
    found = {
        "channels": channels, "seen": seen, "design": design, "outcome": system.outcome(params, every, design),
        "measures": system.measures(params, every, design),
    }  # fmt: skip
    env = Environment(system, Structured(), StructuredObservation(), horizon=2, meet_constraints=True)
    obs, state = env.reset(keys[4], params)
    action = boldness * jax.random.normal(keys[5], env.actions.zeros(system.spec).shape)
    step = env.step(keys[5], state, action, params)
    found["environment"] = (obs, step.obs, step.reward, step.info, step.state)
    return found


def all_finite(found):
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        name = jax.tree_util.keystr(path)
        values = np.asarray(leaf)
        if any(each in name for each in UNBOUNDED):
            assert not np.isnan(values).any(), name
        else:
            assert np.isfinite(values).all(), f"{name}: {values}"


def tried(scenario):
    """(system, params), or nothing where it is refused as it must be."""
    try:
        return build(scenario)
    except ConfigError as refusal:
        told_in_one_line(refusal)
        return None


def runs(scenario, pair, key, boldness):
    if (built := tried(scenario)) is not None:
        all_finite(everything(built[0], pair, built[1], jax.random.key(key), boldness))


@pytest.mark.parametrize("name", BASES)
def test_the_bases_themselves_are_built(name):
    runs(BASES[name], ("rzf", "focused_sum"), 0, 1.0)
    assert tried(BASES[name]) is not None


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=150)
@given(data=st.data())
def test_physical_numbers_are_refused_or_give_finite_ones(name, data):
    scenario = data.draw(changed(BASES[name]))
    key = data.draw(st.integers(0, 2**31 - 1), label="key")
    runs(scenario, ("rzf", "focused_sum"), key, data.draw(st.sampled_from((0.0, 1.0, 30.0, 1e4)), label="boldness"))


def test_a_surface_that_is_nothing_beside_the_direct_links_gives_finite_numbers():
    """In units of a path over one element the direct links squared to infinity, times a strength of 0."""
    far = dataclasses.replace(BASES["odd sizes"], k_abs=2.0, surface_position_m=(4e-6, 30.0, 5e-7))
    assert tried(far) is not None
    runs(far, ("rzf", "focused_sum"), 0, 0.0)


@settings(max_examples=200)
@given(data=st.data())
def test_fields_of_any_kind_are_refused_in_one_line(data):
    """By `build`, which is what every command calls first; a value that happens to be sound builds."""
    base = data.draw(st.sampled_from(list(BASES.values())))
    name = data.draw(st.sampled_from([field.name for field in dataclasses.fields(base)]))
    garbage = data.draw(GARBAGE)
    default = getattr(base, name)
    if isinstance(default, tuple) and data.draw(st.booleans(), label="inside"):
        garbage = (garbage, *default[1:])
    # A size that happens to be sound would be another program to compile, in the pattern's Gram matrix.
    if not (name == "num_antennas" and isinstance(garbage, int) and 0 < garbage < 2000):
        tried(dataclasses.replace(base, **{name: garbage}))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_within_their_ranges(name):
    assert tried(PRESETS[name]) is not None


def test_without_constraints_every_design_is_feasible():
    system, params = build(dataclasses.replace(BASES["one of everything"], constraints=()))
    assert bool(satisfied({}))

    @jax.jit
    def judged_at_random(params):
        channels = jax.vmap(system.sample, in_axes=(0, None))(jax.random.split(jax.random.key(0), 3), params)
        return judge(system, params, channels, system.random_design(jax.random.key(1), params, channels))

    judged = judged_at_random(params)
    assert judged.satisfied.shape == judged.rate_feasible.shape == (3,)
    assert bool(jnp.all(judged.satisfied_feasible))
    np.testing.assert_array_equal(judged.rate, judged.rate_feasible)


REFUSED = {
    "freq_hz=1e+20 lies outside 1e+06 to 1e+15": {"freq_hz": 1e20},
    "bs_gain_dbi=nan must be finite": {"bs_gain_dbi": float("nan")},
    "users_centre_m=(4.0, inf, 0.0) must be finite": {"users_centre_m": (4.0, float("inf"), 0.0)},
    "surface_position_m=(4.0, 3.0) must have 3 values": {"surface_position_m": (4.0, 3.0)},
    "num_users=2.5 must be a whole number": {"num_users": 2.5},
    "power_w=much must be a number": {"power_w": "much"},
    "phase_bits=17 lies outside 0 to 16": {"phase_bits": 17},
    "phase_levels=3 must be text": {"phase_levels": 3},
    "constraints=beam_pattern must be some values": {"constraints": "beam_pattern"},
    "more would be received than is sent": {"freq_hz": 1e9},
    "the signal over the noise could reach": {"bandwidth_hz": 1.0, "power_w": 1e6, "noise_figure_db": -50.0},
    "which float32 does not tell apart": {
        "bs_position_m": (9e5, 0.0, 0.0), "surface_position_m": (9e5 + 4, 3.0, 0.5), "users_centre_m": (9e5 + 4, 0, 0),
    },
    "times p_ref_w=1e-09": {"power_w": 10.0, "p_ref_w": 1e-9},
    "more than 1.34e+08": {"surface_shape": (40_000, 1_000)},
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_float32_cannot_hold_is_named(message):
    with pytest.raises(ConfigError) as caught:
        build(dataclasses.replace(IrsScenario(), **REFUSED[message]))
    told_in_one_line(caught.value)
    assert message in str(caught.value)


def test_levels_that_overflow_are_no_traceback():
    """10^(x/10) of Python raises above 3080 dB, and of float32 is infinite above 380."""
    for changes in (
        {"p_bs_dbm": 4000.0},
        {"element_gain_dbi": 1e4},
        {"noise_figure_db": 5000.0},
        {"min_sinr_db": 400.0},
    ):
        with pytest.raises(ConfigError, match="lies outside"):
            build(dataclasses.replace(HrisScenario(), **changes))


# --- all sizes, options and designs ---------------------------------------------------------------------------------


def _shape(draw, most):
    return draw(st.sampled_from([(a, b) for a in PRIMES for b in PRIMES if a * b <= most]))


@st.composite
def sized(draw):
    """A preset with sizes and options of its own."""
    base = draw(st.sampled_from(list(PRESETS.values())))
    users = draw(st.sampled_from(PRIMES[:4]))
    if isinstance(base, HrisScenario):
        surface = _shape(draw, 35)
        return dataclasses.replace(
            base, num_users=users, bs_shape=_shape(draw, 25), surface_shape=surface,
            sensor_shape=draw(st.sampled_from(((2, 2), (2, 3), (5, 2)))),
            num_active=draw(st.integers(0, surface[0] * surface[1])), num_rays_bs=draw(st.integers(0, 3)),
            num_rays_user=draw(st.integers(0, 3)), phase_bits=draw(st.sampled_from((0, 1, 5))),
            csi_error=draw(st.sampled_from((0.0, 1.0))),
            noise_model=draw(st.sampled_from(("white", "colored", "full"))),
            departure=draw(st.sampled_from(("physical", "paper"))), min_sinr_db=-40.0,
            constraints=tuple(draw(st.lists(st.sampled_from(base.constraints), unique=True))),
        )  # fmt: skip
    antennas = draw(st.sampled_from((1, 1, 2, 3)))
    return dataclasses.replace(
        base, num_users=users, num_antennas=draw(st.sampled_from(PRIMES)),
        surface_shape=(0, 0) if draw(st.booleans()) else _shape(draw, 35), user_antennas=antennas,
        user_streams=draw(st.sampled_from((None, *range(1, antennas + 1)))), num_rays=draw(st.integers(0, 3)),
        phase_bits=draw(st.sampled_from((0, 1, 3, 7))), amplitude=draw(st.sampled_from(("ideal", "practical"))),
        phase_levels=draw(st.sampled_from(("standard", "paper"))), csi_error=draw(st.sampled_from((0.0, 1.0))),
        constraints=tuple(draw(st.lists(st.sampled_from((*base.constraints, "user_beam_pattern")), unique=True))),
    )  # fmt: skip


@pytest.mark.full
@settings(max_examples=60)
@given(data=st.data())
def test_sizes_options_and_designs_are_refused_or_give_finite_numbers(data):
    scenario = data.draw(sized())
    pair = data.draw(st.sampled_from([p for p in DESIGNS if p[1] != "semidefinite" and p[0] != "gradient"]))
    try:
        for _ in range(3):
            runs(data.draw(changed(scenario)), pair, data.draw(st.integers(0, 2**31 - 1)), 30.0)
    except ConfigError as refusal:  # a design that does not exist on this system
        told_in_one_line(refusal)
    finally:
        jax.clear_caches()


@functools.partial(jax.jit, static_argnums=0)
def stepped(env, params, key, boldness):
    """A literal action of a given size."""
    keys = jax.random.split(key, 3)
    obs, state = env.reset(keys[0], params)
    action = env.actions.zeros(env.system.spec)
    if isinstance(action, PaperAction):
        level = jax.random.randint(keys[1], action.level.shape, 0, 2**env.system.spec.phase_bits)
        action = PaperAction(jnp.tanh(boldness * jax.random.normal(keys[2], action.beam.shape)), level)
    else:
        action = boldness * jax.random.normal(keys[2], action.shape)
    return obs, env.step(keys[1], state, action, params)


@pytest.mark.full
@pytest.mark.parametrize(
    ("scenario", "actions", "observations"),
    [(IrsScenario(), Paper(), PaperObservation()), (BASES["hybrid"], PaperB(), PaperBObservation())],
)
@settings(max_examples=40)
@given(data=st.data())
def test_literal_actions_of_any_size_give_finite_numbers(scenario, actions, observations, data):
    if (built := tried(data.draw(changed(scenario)))) is not None:
        env = Environment(built[0], actions, observations, horizon=2)
        key = jax.random.key(data.draw(st.integers(0, 2**31 - 1)))
        all_finite(stepped(env, built[1], key, data.draw(st.sampled_from((0.0, 1.0, 1e3)))))
