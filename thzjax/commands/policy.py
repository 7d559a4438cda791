"""`thzjax policy`."""

from pathlib import Path

from thzjax.commands.shared import OK, Run, progress


def policy(
    run: Run,
    /,
    channels: Path | None = None,
    out: Path = Path("designs.npz"),
    checkpoint: str = "last",
    export: Path | None = None,
) -> int:
    """Use a trained policy on channels of your own; without --channels and --export, say what it takes.

    Examples:
      thzjax policy runs/demo
      thzjax policy runs/demo --channels channels.npz --out designs.npz
      thzjax policy runs/demo --channels channels.npz --checkpoint best
      thzjax policy runs/demo --export demo.policy
      thzjax policy demo.policy --channels channels.npz --out designs.npz

    From Python: thzjax.experiment.policy.load_policy, thzjax.exported.load_exported.

    Args:
      run: run folder, or a file that --export wrote.
      channels: .npz, HDF5 or .mat file of complex amplitudes, all gains in them, one channel per leading index
        (docs/data.md).
      out: .npz to write: beamformer [C, M, S], reflection [C, N].
      checkpoint: "last", "best" (by its rate on the validation channels) or a record's number; the last three and the
        best are kept.
      export: write the policy, weights and program, to this one file; loading it needs jax and NumPy alone.
    """
    from thzjax.errors import ConfigError
    from thzjax.experiment.policy import channel_arrays, design_file, export_policy

    if export is not None:
        if run.is_file():
            raise ConfigError(f"{run} is an exported policy already: --export takes a run folder")
        export_policy(run, export, checkpoint)
        print(f"exported: {export}")
        if channels is None:
            return OK

    if channels is None:
        for name, like in channel_arrays(run).items():
            print(f"{name}[{', '.join(map(str, ('C', *like.shape)))}] {like.dtype}")
        return OK
    count = design_file(run, channels, out, progress("designing"), checkpoint)
    print(f"{count} designs: {out}")
    return OK
