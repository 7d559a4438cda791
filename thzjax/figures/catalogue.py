"""Every figure by id."""

from thzjax.errors import ConfigError
from thzjax.figures import (
    air,
    csi,
    front,
    hardware,
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
    near_field,
    sizes,
    squint,
    trade_off,
)
from thzjax.figures.frame import Figure

PUBLISHED: dict[str, Figure] = {
    module.FIGURE.id: module.FIGURE
    for module in (
        liu_fig3, liu_fig4, liu_fig5, liu_fig6, liu_fig7, liu_fig8, liu_fig9, liu_fig10, liu_fig11, liu_fig12,
        mobarak_fig2, mobarak_fig3, mobarak_fig4,
    )
}  # fmt: skip
BEYOND: dict[str, Figure] = {
    module.FIGURE.id: module.FIGURE
    for module in (air, hardware, csi, near_field, squint, sizes, trade_off, front)
}  # fmt: skip
FIGURES = PUBLISHED | BEYOND
SETS = {"all": PUBLISHED, "beyond": BEYOND}


def choose(names: tuple[str, ...]) -> list[Figure]:
    """Figures by id; "all" means every published one, "beyond" those that go beyond the papers.

    Raises:
      ConfigError: an unknown id, or none.
    """
    if not names:
        raise ConfigError(f"name a figure, all or beyond: {', '.join(FIGURES)}")
    chosen: dict[str, Figure] = {}
    for name in names:
        if name not in FIGURES and name not in SETS:
            raise ConfigError(f"figure {name!r} is unknown: use all, beyond, or some of {', '.join(FIGURES)}")
        chosen |= SETS.get(name) or {name: FIGURES[name]}
    return list(chosen.values())
