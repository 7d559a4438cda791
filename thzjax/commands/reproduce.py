"""`thzjax reproduce`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from thzjax.commands.shared import FAILED, OK, Json, check_writable, printer, progress, say, write_json


def reproduce(
    figures: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[FIGURE ...]")] = (),
    /,
    budget: Literal["quick", "full"] = "quick",
    out: Path = Path("reproduction"),
    list: bool = False,
    json: Json = None,
) -> int:
    """Run figures, published ones and further ones, draw them, and judge what is claimed about them.

    Every run and every judged point is kept in OUT under the hash of its configuration: repeated or interrupted, a
    reproduction goes on where it was. OUT/REPRODUCTION.md and reproduction.html show figures, claims, verdicts and
    numbers; verdicts.json holds the verdicts, ID/ID.csv what is behind the curves.

    Examples:
      thzjax reproduce --list
      thzjax reproduce liu-fig9
      thzjax reproduce all --budget quick --out reproduction
      thzjax reproduce beyond

    Args:
      figures: ids; all for every published figure, beyond for those that go beyond the papers.
      budget: "quick" takes 3 seeds and minutes a figure on 2 CPU cores; "full" 10 seeds, five times the training, and
        hours.
      out: folder for the results.
      list: say what there is, and do nothing.
      json: write what is listed, or the verdicts with their numbers, as a JSON list to this file; "-" is the standard
        output.
    """
    import jax

    from thzjax.experiment.lock import hold
    from thzjax.experiment.progress import paced
    from thzjax.experiment.train import Diverged, Unwritable
    from thzjax.figures.catalogue import FIGURES, choose
    from thzjax.figures.frame import BUDGETS
    from thzjax.figures.pages import PAGE, reproduce_figure, result_lines
    from thzjax.figures.workshop import Stopped

    check_writable(json)
    tell = printer(json)
    if list:
        for figure in FIGURES.values():
            tell(f"{figure.id:14s} {figure.claim}")
        fields = ("id", "source", "claim", "preset")
        write_json([{name: getattr(figure, name) for name in fields} for figure in FIGURES.values()], json)
        return OK
    chosen = choose(figures)
    out.mkdir(parents=True, exist_ok=True)
    status = OK
    results: dict[str, Any] = {}
    begun = paced(say, len(chosen), shares=[figure.minutes for figure in chosen])
    with hold(out):
        for i, figure in enumerate(chosen):
            begun(figure.id, i)
            try:
                result = reproduce_figure(figure, BUDGETS[budget], out, progress(figure.id))
            except Stopped as stopped:
                say(f"stopped and saved; the same command goes on where it was: --out {out}")
                return stopped.args[0]
            except (Diverged, Unwritable) as error:
                say(f"thzjax: {figure.id} is left out: {error}")
                status = FAILED
                continue
            results[figure.id] = result
            tell("\n".join(result_lines(result)))
            jax.clear_caches()  # no figure runs another's programs; of 13 they were 7 GiB
    tell(f"page: {out / PAGE}")
    write_json([*results.values()], json)
    return status
