"""Absorption from a table of lines: against a plain sum in HITRAN's units, ITU-R P.676's lines, and files of them."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import absorption as itu
from reference import lines as ref
from reference.tools import EPS32

from thzjax.errors import ConfigError
from thzjax.physics import absorption
from thzjax.physics.lines import COLUMNS, LineTable, line_attenuation, read_lines
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.medium import absorption_per_m
from thzjax.systems.scenario import build

PER_CM = 100 * 299_792_458.0 * 1e-9  # GHz
# Made up, of the sizes that rotational lines have: water on both sides of 300 GHz and far off, oxygen, a shifted one.
MADE_UP = [
    (1, 6.1, 7.7e-23, 0.10, 0.48, 136.2, 0.71, 0.0),
    (1, 10.85, 9.0e-23, 0.09, 0.45, 315.8, 0.64, -0.004),
    (1, 12.68, 8.1e-22, 0.095, 0.46, 212.2, 0.67, 0.002),
    (7, 14.17, 2.5e-26, 0.045, 0.046, 2.1, 0.72, 0.0),
    (1, 53.4, 5.0e-20, 0.09, 0.4, 79.5, 0.7, 0.0),
]
AIRS = [(101_325.0, 288.15, 7.5e-3), (99_000.0, 305.0, 2.5e-2), (60_000.0, 255.0, 2e-4), (100.0, 220.0, 1e-6)]


def table_of(rows):
    return LineTable(*np.array(rows, float).T)


def of_p676():
    """P.676's water lines below 1 THz in HITRAN's columns, by which N S F of the two is the same at 300 K and 296 K.

    S(T) of P.676 is b1 theta^3.5 exp(b2 (1 - theta)) with theta = 300 K/T: of theta^3.5 one is the gas's density, 1.5
    its partition function and one the stimulated emission, so that E'' = 300 K b2/c2.
    """
    rows = []
    for f0, b1, b2, b3, b4, b5, b6 in itu.lines("water_vapour"):
        if f0 > 1000:
            continue
        nu, energy, theta = f0 / PER_CM, 300 * b2 / ref.C2, 296 / 300
        # The integral of k over the line, [1/m GHz] per hPa of vapour at 300 K, over the molecules in it.
        per_molecule = (
            0.182 * f0 * 0.1 * b1 * math.pi * math.log(10) / 1e4 / (100 / (ref.K * 300) * 1e-6) / 100 / PER_CM
        )
        law = theta**1.5 * math.exp(ref.C2 * energy / 296 * (1 - theta))
        law *= -math.expm1(-ref.C2 * nu / 300) / -math.expm1(-ref.C2 * nu / 296)
        air, own = (b3 * 1e-4 * 1013.25 / PER_CM * factor for factor in (1.0, b5))
        rows.append((1, nu, per_molecule / law, air * (1 / theta) ** b4, own * (1 / theta) ** b6, energy, b4, 0.0))
    return table_of(rows)


@pytest.mark.parametrize("air", AIRS)
def test_the_sum_is_the_plain_one(x64, air):
    freq = np.array([22e9, 183e9, 300e9, 325.1e9, 380.1e9, 425e9, 1.6e12, 6e12])
    k = jax.jit(lambda f: line_attenuation(f, *(jnp.asarray(x) for x in air), table_of(MADE_UP), "none"))(freq)
    np.testing.assert_allclose(k, [ref.line_attenuation(f, *air, MADE_UP) for f in freq], rtol=1e-10)


@pytest.mark.parametrize("air", AIRS)
def test_float32_sees_narrow_lines(air):
    rng = np.random.default_rng(0)
    width = [3e6 + 3e9 * air[0] / 101_325 for _ in MADE_UP]
    freq = np.array(
        [row[1] * PER_CM * 1e9 + w * x for row, w in zip(MADE_UP, width, strict=True) for x in rng.uniform(-2, 2, 6)]
    )
    freq, air = freq.astype(np.float32), tuple(np.float32(x) for x in air)
    k = line_attenuation(jnp.asarray(freq), *air, table_of(MADE_UP), "none")
    assert k.dtype == jnp.float32
    wanted = [ref.line_attenuation(float(f), *(float(x) for x in air), MADE_UP) for f in freq]
    # Powers and exponentials of up to 4 carry 12 eps, the width 8 and twice in the shape, products and the sum 12.
    np.testing.assert_allclose(k, wanted, rtol=64 * EPS32)


@pytest.mark.parametrize("air", AIRS[:3])
def test_p676s_own_lines_give_p676_back(x64, air):
    freq = jnp.asarray(np.array([183.31, 275.0, 300.0, 325.15, 350.0, 380.2, 556.9, 700.0, 970.3]) * 1e9)
    state = tuple(jnp.asarray(x) for x in air)
    table = of_p676()
    # Oxygen's lines are not in the table; what P.676 has beside lines is added.
    dry = absorption.p676_continuum(freq, *state[:2], 0.0)
    wet = np.asarray(line_attenuation(freq, *state, table) - dry)
    wanted = np.asarray(absorption.p676_attenuation(freq, *state, part="wet"))
    # P.676 takes h f/kT for 1 - exp(-h f/kT), and f^2 for f tanh(h f/2kT): at 1 THz h f/kT is 0.16, and its half times
    # the change of theta is what differs. The damp air's own widths change with another power there: 0.2 %.
    off = 0.16 / 2 * abs(300 / air[1] - 1) + 0.003
    np.testing.assert_allclose(wet, wanted, rtol=off)
    # Between lines most is not theirs.
    alone = np.asarray(line_attenuation(freq[2], *state, table, "none"))
    assert 0.25 < alone / wanted[2] < 0.45


def test_a_line_of_another_catalogue_is_p676s_line():
    # JPL's catalogue (NASA, public), tag 18003: 183310.087 MHz, log10 of the intensity at 300 K in nm^2 MHz -3.6463,
    # lower state 136.1639 1/cm.
    nu, energy = 183.310087 / PER_CM, 136.1639
    at_300 = 10**-3.6463 * 1e-14 / (2.99792458e10 * 1e-6)  # cm^2 MHz by the MHz of a 1/cm
    theta = 296 / 300
    law = theta**1.5 * math.exp(ref.C2 * energy / 296 * (1 - theta)) * math.expm1(-ref.C2 * nu / 300)
    line = (1, nu, at_300 / (law / math.expm1(-ref.C2 * nu / 296)), 0.1, 0.5, energy, 0.7, 0.0)
    own = min(of_p676().wavenumber_cm, key=lambda x: abs(x - nu))
    mine = of_p676().intensity_cm[of_p676().wavenumber_cm == own][0]
    assert line[2] == pytest.approx(mine, rel=0.01)


def par_line(row):
    """160 characters as HITRAN writes them: numbers below 1 without their zero."""
    molecule, nu, strength, air, own, energy, exponent, shift = row
    bare = f"{shift:.6f}".replace("0.", ".", 1)
    text = f"{molecule:2d}1{nu:12.6f}{strength:10.3E} 1.000E-05{f'{air:.4f}'.lstrip('0')}{own:5.3f}{energy:10.4f}"
    return f"{text}{exponent:4.2f}{bare:>8}".ljust(160)


def test_par_and_csv_are_read(tmp_path):
    par, csv = tmp_path / "lines.par", tmp_path / "lines.csv"
    par.write_text("\n".join([*(par_line(row) for row in MADE_UP), ""]))
    names = ["local_iso_id", *reversed(COLUMNS)]
    lines = [",".join(names)]
    for row in MADE_UP:
        fields = dict(zip(COLUMNS, row, strict=True)) | {"local_iso_id": 1}
        lines.append(",".join(str(fields[name]) for name in names))
    csv.write_text("\n".join(lines) + "\n")
    wanted = table_of(MADE_UP)
    for path, digits in ((par, 1e-3), (csv, 1e-15)):
        for column, expected in zip(read_lines(path), wanted, strict=True):
            np.testing.assert_allclose(column, expected, rtol=digits, atol=1e-6 if path == par else 0)
    assert len(read_lines(par).freq_hz) == len(MADE_UP)


BAD = {
    "line 2 is of molecule 2: keep only the lines of 1 (H2O), 7 (O2)": par_line((2, *MADE_UP[0][1:])),
    "line 2: sw='not much' is no number": par_line(MADE_UP[0]).replace(" 7.700E-23", "  not much"),
    "line 2 is no spectral line": par_line((1, 0.0, *MADE_UP[0][2:])),
    "line 2 has 40 characters, a .par line has 160": "x" * 40,
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_no_line_is_refused_by_its_number(tmp_path, message):
    path = tmp_path / "lines.par"
    path.write_text(f"{par_line(MADE_UP[0])}\n{BAD[message]}\n")
    with pytest.raises(ConfigError) as caught:
        read_lines(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no line"),
        (b"nu,sw\n1,2\n", "lacks the columns molec_id"),
        (b"molec_id,nu,sw,gamma_air,gamma_self,elower,n_air\n1,2,3\n", "line 2 has 3 fields, the first line names 7"),
        (b"molec_id,nu,sw,gamma_air,gamma_self,elower,n_air\n1,2,nan,.1,.1,1,1\n", "line 2 is no spectral line"),
        (b"\xff\xfe\x00", "is not readable as a table of lines"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, content, message):
    path = tmp_path / "lines.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_lines(path)
    with pytest.raises(ConfigError, match="is not readable as a table of lines"):
        read_lines(tmp_path / "nowhere.par")


def test_bands():
    state = tuple(jnp.float32(x) for x in AIRS[0])
    with pytest.raises(ConfigError, match="holds for freq_hz from 1e\\+09 to 1e\\+12"):
        line_attenuation(1.2e12, *state, table_of(MADE_UP))
    assert float(line_attenuation(1.2e12, *state, table_of(MADE_UP), "none")) > 0
    with pytest.raises(ConfigError, match="above 0"):
        line_attenuation(-1.0, *state, table_of(MADE_UP), "none")
    with pytest.raises(ConfigError, match="no line in the band"):
        line_attenuation(3e11, *state, table_of(MADE_UP[-1:]))
    with pytest.raises(ConfigError, match="continuum='fog' is unknown"):
        line_attenuation(3e11, *state, table_of(MADE_UP), "fog")


def test_a_scenario_takes_a_table(tmp_path):
    path = tmp_path / "lines.par"
    path.write_text("\n".join(par_line(row) for row in MADE_UP))
    scenario = IrsScenario(freq_hz=3e11, absorption="table", absorption_table=str(path))
    air = (scenario.dry_pressure_pa, scenario.temperature_k, scenario.vapour_density_kg_m3)
    for continuum in ("p676", "none"):
        chosen = dataclasses.replace(scenario, absorption_continuum=continuum)
        wanted = float(line_attenuation(3e11, *air, read_lines(path), continuum))
        assert absorption_per_m(chosen) == pytest.approx(wanted, rel=1e-6)
        assert float(build(chosen)[1].k_abs) == pytest.approx(wanted, rel=1e-6)
    for change, message in (
        ({"absorption_table": None}, "needs absorption_table=FILE"),
        ({"absorption_table": str(tmp_path / "no.par")}, "is not readable as a table of lines"),
        ({"absorption_continuum": "fog"}, "absorption_continuum='fog' is unknown"),
    ):
        with pytest.raises(ConfigError, match=message):
            build(dataclasses.replace(scenario, **change))
