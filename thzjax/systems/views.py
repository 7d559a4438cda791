"""What is shown of a system, by its kind: layouts, link budgets, radiated fields."""

from types import ModuleType
from typing import Any

from thzjax.errors import ConfigError
from thzjax.systems import hris_view, irs_view
from thzjax.systems.budget import Budget
from thzjax.systems.hris_isac import HrisIsac
from thzjax.systems.irs_isac import IrsIsac
from thzjax.systems.mimo_isac import MimoIsac

VIEWS: dict[type, ModuleType] = {IrsIsac: irs_view, MimoIsac: irs_view, HrisIsac: hris_view}
"""The view of each kind of system; a third system adds a line here."""


def view(system: Any) -> ModuleType:
    """The functions that show a system: `layout`, `link_budgets`, `bs_eirp`, `surface_eirp` and what they need.

    A kind of system without a view of its own is shown as the kind it was derived from.

    Raises:
      ConfigError: a kind derived from none of `VIEWS`.
    """
    for kind in type(system).__mro__:
        if kind in VIEWS:
            return VIEWS[kind]
    raise ConfigError(f"nothing shows a {type(system).__name__}: add it to thzjax.systems.views.VIEWS")


def link_budgets(system: Any, params: Any, user_position_m: Any) -> dict[str, Budget]:
    """Budgets by name of a user alone at `[..., 3]` [m]: "over the surface", "direct", "echo", those that exist.

    See `irs_view.link_budgets` and `hris_view.link_budgets`.
    """
    return view(system).link_budgets(system, params, user_position_m)
