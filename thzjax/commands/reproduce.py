"""`thzjax reproduce`."""

from pathlib import Path
from typing import Literal

import tyro

from thzjax.commands.shared import FAILED, OK, progress, say


def reproduce(
    figures: tyro.conf.Positional[tuple[str, ...]] = (),
    budget: Literal["quick", "full"] = "quick",
    out: Path = Path("reproduction"),
    list: bool = False,
) -> int:
    """Run figures, published ones and further ones, draw them, and judge what is claimed about them.

    Examples:
      thzjax reproduce --list
      thzjax reproduce liu-fig9
      thzjax reproduce all --budget quick --out reproduction
      thzjax reproduce beyond

    Every run and every judged point is kept in OUT under the hash of its configuration: repeated or interrupted, a
    reproduction goes on where it was. OUT/REPRODUCTION.md and reproduction.html show figures, claims, verdicts and
    numbers; verdicts.json holds the verdicts, ID/ID.csv what is behind the curves.

    Args:
      figures: ids; all for every published figure, beyond for those that go beyond the papers.
      budget: "quick" takes 3 seeds and minutes a figure on 2 CPU cores; "full" 10 seeds, five times the training, and
        hours.
      out: folder for the results.
      list: say what there is, and do nothing.
    """
    import jax

    from thzjax.experiment.train import Diverged, Unwritable
    from thzjax.figures.catalogue import FIGURES, choose
    from thzjax.figures.frame import BUDGETS
    from thzjax.figures.pages import PAGE, reproduce_figure, result_lines
    from thzjax.figures.workshop import Stopped

    if list:
        for figure in FIGURES.values():
            print(f"{figure.id:14s} {figure.claim}")
        return OK
    chosen = choose(figures)
    status = OK
    for i, figure in enumerate(chosen):
        say(f"{figure.id} ({i + 1} of {len(chosen)})")
        try:
            result = reproduce_figure(figure, BUDGETS[budget], out, progress(figure.id))
        except Stopped as stopped:
            say(f"stopped and saved; the same command goes on where it was: --out {out}")
            return stopped.args[0]
        except (Diverged, Unwritable) as error:
            say(f"thzjax: {figure.id} is left out: {error}")
            status = FAILED
            continue
        print("\n".join(result_lines(result)), flush=True)
        jax.clear_caches()  # no figure runs another's programs; of 13 they were 7 GiB
    print(f"page: {out / PAGE}")
    return status
