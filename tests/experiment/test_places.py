"""Places as text and as angles, and where nobody can stand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thzjax.errors import ConfigError
from thzjax.experiment.places import as_angles, at_angles, check_places, read_places, write_places
from thzjax.physics.arrays import direction_vector
from thzjax.systems.hris_scenario import HrisScenario
from thzjax.systems.irs_scenario import IrsScenario
from thzjax.systems.scenario import build

COORDINATE = st.floats(-999, 999)


@given(st.lists(st.tuples(COORDINATE, COORDINATE, COORDINATE), min_size=1, max_size=6))
def test_what_is_written_is_read_to_the_millimetre(places):
    np.testing.assert_allclose(read_places(write_places(places)), places, rtol=0, atol=5.01e-4)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "1,2,x", "1,2,3;", "nan,0,0", "inf,0,0", "1e9,0,0", "1;2;3"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ConfigError, match="place"):
        read_places(text)


@given(st.floats(0.1, 100), st.floats(-179, 179), st.floats(-89, 89))
def test_angles_are_those_of_the_arrays(dist, azimuth, elevation):
    place = at_angles(dist, azimuth, elevation)
    with np.errstate(all="ignore"):
        expected = dist * np.asarray(direction_vector(math.radians(azimuth), math.radians(elevation)), float)
    np.testing.assert_allclose(place, expected, rtol=0, atol=3e-6 * dist)  # float32 beside float64
    np.testing.assert_allclose(as_angles(place), (dist, azimuth, elevation), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("scenario", "places", "message"),
    [
        (IrsScenario(num_users=2), [(3, 0, 0)], "1 places for K=2 users"),
        (IrsScenario(num_users=2), [(3, 0, 0), (3, 3.5, 0)], "user 2 cannot stand at"),
        (IrsScenario(num_users=1), [(0.1, 0.1, 0)], "user 1 cannot stand at"),
        (HrisScenario(num_users=1, num_active=0), [(-1, 0, 0)], "user 1 cannot stand at"),
    ],
)
def test_nobody_is_put_where_nobody_can_stand(scenario, places, message):
    with pytest.raises(ConfigError, match=message):
        check_places(*build(scenario), places)


def test_places_come_back_as_an_array():
    places = [(3.0, 0.0, 0.0), (5.0, -1.0, 0.2)]
    np.testing.assert_array_equal(check_places(*build(IrsScenario(num_users=2)), places), places)
