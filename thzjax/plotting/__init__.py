"""Every picture, from plain arrays and dicts: one style, colours that the colour-blind can tell apart, units on axes.

`scenario` draws rooms, `budget` what a link costs, `patterns` where arrays radiate, `surface` a surface's setting,
`absorption` the air, `designs` what designs do, `fronts` what they cost, `learning` what a training run's records hold,
`sweep` what depends on a parameter.
"""

from thzjax.plotting.absorption import absorption_spectrum as absorption_spectrum
from thzjax.plotting.budget import budget_waterfall as budget_waterfall
from thzjax.plotting.designs import beam_patterns as beam_patterns
from thzjax.plotting.designs import constraint_violations as constraint_violations
from thzjax.plotting.designs import method_comparison as method_comparison
from thzjax.plotting.designs import pattern_error_histogram as pattern_error_histogram
from thzjax.plotting.designs import rates_and_slack as rates_and_slack
from thzjax.plotting.designs import user_beam_patterns as user_beam_patterns
from thzjax.plotting.fronts import pareto_front as pareto_front
from thzjax.plotting.learning import capacity_against_episodes as capacity_against_episodes
from thzjax.plotting.learning import learning_curve as learning_curve
from thzjax.plotting.learning import multipliers as multipliers
from thzjax.plotting.learning import pattern_error_curve as pattern_error_curve
from thzjax.plotting.learning import seed_curves as seed_curves
from thzjax.plotting.patterns import direction_map as direction_map
from thzjax.plotting.patterns import eirp_pattern as eirp_pattern
from thzjax.plotting.patterns import eirp_polar as eirp_polar
from thzjax.plotting.scenario import room_map as room_map
from thzjax.plotting.scenario import scenario_map as scenario_map
from thzjax.plotting.style import save as save
from thzjax.plotting.style import to_svg as to_svg
from thzjax.plotting.surface import surface_map as surface_map
from thzjax.plotting.sweep import sweep_curves as sweep_curves
