"""`thzjax policy`."""

from pathlib import Path

from thzjax.commands.shared import OK, Run, progress


def policy(run: Run, /, channels: Path | None = None, out: Path = Path("designs.npz"), checkpoint: str = "last") -> int:
    """Use a trained policy on channels of your own; without --channels, say what it takes.

    Examples:
      thzjax policy runs/demo
      thzjax policy runs/demo --channels channels.npz --out designs.npz
      thzjax policy runs/demo --channels channels.npz --checkpoint best

    From Python: thzjax.experiment.policy.load_policy.

    Args:
      run: run folder.
      channels: .npz of complex amplitudes, all gains in them, one channel per leading index.
      out: .npz to write: beamformer [C, M, S], reflection [C, N].
      checkpoint: "last", "best" (by its rate on the validation channels) or a record's number; the last three and the
        best are kept.
    """
    from thzjax.experiment.policy import channel_arrays, design_file

    if channels is None:
        for name, like in channel_arrays(run).items():
            print(f"{name}[{', '.join(map(str, ('C', *like.shape)))}] {like.dtype}")
        return OK
    count = design_file(run, channels, out, progress("designing"), checkpoint)
    print(f"{count} designs: {out}")
    return OK
