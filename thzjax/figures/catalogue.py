"""Every figure by id."""

from thzjax.errors import ConfigError
from thzjax.figures import (
    liu_fig3,
    liu_fig4,
    liu_fig5,
    liu_fig6,
    liu_fig7,
    liu_fig8,
    liu_fig9,
    liu_fig10,
    liu_fig11,
    liu_fig12,
    mobarak_fig2,
    mobarak_fig3,
    mobarak_fig4,
)
from thzjax.figures.frame import Figure

FIGURES: dict[str, Figure] = {
    module.FIGURE.id: module.FIGURE
    for module in (
        liu_fig3, liu_fig4, liu_fig5, liu_fig6, liu_fig7, liu_fig8, liu_fig9, liu_fig10, liu_fig11, liu_fig12,
        mobarak_fig2, mobarak_fig3, mobarak_fig4,
    )
}  # fmt: skip


def choose(names: tuple[str, ...]) -> list[Figure]:
    """Figures by id; "all" means every one.

    Raises:
      ConfigError: an unknown id, or none.
    """
    if not names:
        raise ConfigError(f"name a figure, or all: {', '.join(FIGURES)}")
    if names == ("all",):
        return list(FIGURES.values())
    for name in names:
        if name not in FIGURES:
            raise ConfigError(f"figure {name!r} is unknown: use all, or some of {', '.join(FIGURES)}")
    return [FIGURES[name] for name in names]
