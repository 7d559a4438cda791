"""`thzjax explore`."""

from pathlib import Path

from thzjax.commands.shared import OK, Config, Overrides, Preset, Runs, progress, scenario_of
from thzjax.errors import ConfigError


def explore(
    preset: Preset = None,
    runs: Runs = (),
    /,
    method: str | None = None,
    drop: int = 0,
    users_at: str | None = None,
    port: int | None = None,
    open: bool = True,
    config: Config = None,
    overrides: Overrides = (),
) -> int:
    """Move a scenario by hand in the browser: powers, limits, sizes, users; beams, rates and bounds answer at once.

    The page is served on 127.0.0.1 alone, until Ctrl-C (status 130). It shows one held-out channel and one design at a
    time, scaled to the constraints, and the command that shows the same again. Needs the extra `explore`.

    Examples:
      thzjax explore paper-a
      thzjax explore paper-b --method rzf/focused --set num_users=3
      thzjax explore paper-a runs/demo
      thzjax explore paper-a demo.policy --port 8080

    Args:
      preset: scenario.
      runs: run folders, or files of `thzjax policy --export`, whose policies are among the designs; the first is
        looked at first.
      method: design to begin with, METHOD/SURFACE or the name of a policy; default the first policy, else
        wmmse_sum/focused, or alternating where every user has a least SINR to meet.
      drop: which held-out channel, from 0.
      users_at: where the users stand, X,Y,Z;X,Y,Z;... [m]; default where the drop has them.
      port: of 127.0.0.1, and open no browser; default 5006, or a free one where that is taken.
      open: open a browser.
      config: take the scenario of a run's config.json instead of a preset; every name is a run then.
      overrides: options of the scenario, such as pattern_threshold=3.
    """
    try:
        import bokeh  # noqa: F401
    except ImportError:
        raise ConfigError("thzjax explore needs Bokeh: pip install 'thzjax[explore]'") from None
    from thzjax.experiment.explore_numbers import Explorer
    from thzjax.experiment.places import read_places
    from thzjax.explorer.server import bind, serve

    say = progress("exploring")
    if config is not None and preset is not None:
        preset, runs = None, (Path(preset), *runs)
    name, scenario = scenario_of(preset, config, overrides)
    places = None if users_at is None else read_places(users_at)
    sockets = bind(port)
    try:
        explorer = Explorer(name, scenario, runs, method, drop, places)
        say(f"compiling {explorer.start.method}")
        explorer.look(explorer.start)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    serve(explorer, sockets, open and port is None, lambda url: print(f"{url} (Ctrl-C ends it)", flush=True))
    return OK
