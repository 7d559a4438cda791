"""Every picture, from plain arrays and dicts: one style, colours that the colour-blind can tell apart, units on axes.

`designs` draws what designs do, `learning` what a training run's records hold, `sweep` what depends on a parameter.
"""

from thzjax.plotting.designs import beam_patterns as beam_patterns
from thzjax.plotting.designs import constraint_violations as constraint_violations
from thzjax.plotting.designs import method_comparison as method_comparison
from thzjax.plotting.designs import pattern_error_histogram as pattern_error_histogram
from thzjax.plotting.designs import user_beam_patterns as user_beam_patterns
from thzjax.plotting.learning import capacity_against_episodes as capacity_against_episodes
from thzjax.plotting.learning import learning_curve as learning_curve
from thzjax.plotting.learning import multipliers as multipliers
from thzjax.plotting.learning import pattern_error_curve as pattern_error_curve
from thzjax.plotting.learning import seed_curves as seed_curves
from thzjax.plotting.style import save as save
from thzjax.plotting.style import to_svg as to_svg
from thzjax.plotting.sweep import sweep_curves as sweep_curves
