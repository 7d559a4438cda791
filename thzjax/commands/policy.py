"""`thzjax policy`."""

from pathlib import Path
from typing import Any

from thzjax.commands.shared import OK, Json, Run, check_writable, printer, progress, write_json


def policy(
    run: Run,
    /,
    channels: Path | None = None,
    out: Path = Path("designs.npz"),
    checkpoint: str = "last",
    export: Path | None = None,
    json: Json = None,
) -> int:
    """Use a trained policy on channels of your own; without --channels and --export, say what it takes.

    From Python: thzjax.load_policy; where flax is not wanted, thzjax.exported.load_exported.

    Examples:
      thzjax policy runs/demo
      thzjax policy runs/demo --channels channels.npz --out designs.npz
      thzjax policy runs/demo --channels channels.npz --checkpoint best
      thzjax policy runs/demo --export demo.policy
      thzjax policy demo.policy --channels channels.npz --out designs.npz

    Args:
      run: run folder, or a file that --export wrote.
      channels: .npz, HDF5 or .mat file of complex amplitudes, all gains in them, one channel per leading index
        (docs/data.md).
      out: .npz to write: beamformer [C, M, S], reflection [C, N].
      checkpoint: "last", "best" (by its rate on the validation channels) or a record's number; the last three and the
        best are kept.
      export: write the policy, weights and program, to this one file; loading it needs jax and NumPy alone.
      json: write what is said as a JSON object to this file: arrays that it takes, files that were written; "-" is the
        standard output.
    """
    from thzjax.errors import ConfigError
    from thzjax.experiment.policy import channel_arrays, design_file, export_policy

    check_writable(json, export, None if channels is None else out)
    say = printer(json)
    told: dict[str, Any] = {}
    if export is not None:
        if run.is_file():
            raise ConfigError(f"{run} is an exported policy already: --export takes a run folder")
        export_policy(run, export, checkpoint)
        say(f"exported: {export}")
        told["exported"] = str(export)
    if channels is not None:
        count = design_file(run, channels, out, progress("designing"), checkpoint)
        say(f"{count} designs: {out}")
        told |= {"designs": count, "out": str(out)}
    elif export is None:
        arrays = channel_arrays(run)
        for name, like in arrays.items():
            say(f"{name}[{', '.join(map(str, ('C', *like.shape)))}] {like.dtype}")
        told["arrays"] = {name: {"shape": [None, *x.shape], "dtype": str(x.dtype)} for name, x in arrays.items()}
    write_json(told, json)
    return OK
