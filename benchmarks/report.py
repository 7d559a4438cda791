"""Tables, and a picture of what bounds the kernels, from lines that benchmarks wrote.

    python -m benchmarks.report [bench.jsonl ...] [--out FOLDER]

Default: every file in benchmarks/results. Writes `benchmarks.md` and `roofline.png` and `.svg`, and prints the tables.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

COMMON = ("benchmark", "device", "backend", "cores", "jax", "numpy", "python", "matmul_gflops", "copy_gb_s", "peaks")


def read(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The records of some files, in order, with the name of the file they are from; other lines are passed over."""
    records = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            try:
                record = json.loads(line)
            except ValueError:
                raise SystemExit(
                    f"{file}, line {number} is not JSON: is it a file that `thzjax bench --out` wrote?"
                ) from None
            records.append({"file": file.stem} | record)
    return records


def table(records: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of records, a column for whatever any of them has."""
    columns = [name for name in dict.fromkeys(name for record in records for name in record) if name not in COMMON]
    columns = [name for name in columns if name != "file"]

    def cell(value: Any) -> str:
        return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(record.get(name)) for name in columns) + " |" for record in records]
    return "\n".join(lines)


def page(records: Sequence[dict[str, Any]]) -> str:
    """One table for each benchmark and file, under the machine it ran on."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        kind = record.get("benchmark") or ("kernels" if "kernel" in record or "peaks" in record else record["file"])
        groups[record["file"], kind].append(record)
    parts = ["# Benchmarks"]
    for (file, kind), members in groups.items():
        machine = next((m for m in members if "device" in m), {})
        where = ", ".join(f"{name} {machine[name]}" for name in ("device", "cores", "jax", "python") if name in machine)
        parts += [f"## {kind} ({file})", where, table([m for m in members if "peaks" not in m])]
    return "\n\n".join(parts) + "\n"


def roofline(records: Sequence[dict[str, Any]], out: Path) -> bool:
    """A picture of each kernel's share of the two measured peaks; whether there was anything to draw.

    A kernel on the diagonal's right computes more than it moves. One near neither edge is bound by neither: by sines,
    roots and divisions, by latency, or by short loops that the compiler leaves as they are.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    kernels = [r for r in records if "share_of_matmul_peak" in r and "share_of_copy_peak" in r]
    kernels = [r for r in kernels if r["share_of_copy_peak"] > 0 and r["share_of_matmul_peak"] > 0]
    if not kernels:
        return False
    figure, axes = plt.subplots(figsize=(7.2, 4.8), layout="constrained")
    for record in kernels:
        x, y = record["share_of_copy_peak"], record["share_of_matmul_peak"]
        axes.plot(x, y, "o", color="#0072B2", ms=5)
        axes.annotate(record["kernel"], (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axes.axvline(1, color="0.3", lw=1.2)
    axes.axhline(1, color="0.3", lw=1.2)
    axes.annotate("copy peak", (1, axes.get_ylim()[0]), rotation=90, va="bottom", ha="right", fontsize=8)
    axes.annotate("matrix-product peak", (axes.get_xlim()[0], 1), va="bottom", fontsize=8)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="bytes in and out, of the copy peak",
        ylabel="operations, of the matrix-product peak",
    )
    axes.grid(alpha=0.3)
    for suffix in ("png", "svg"):
        figure.savefig(out / f"roofline.{suffix}", dpi=150)
    plt.close(figure)
    return True


def main() -> None:
    """Tables on standard output and in a file; the picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="JSON lines (default: all of benchmarks/results)")
    parser.add_argument("--out", type=Path, default=Path("benchmark-report"), help="folder to write")
    given = parser.parse_args()
    files = given.files or sorted((Path(__file__).parent / "results").glob("*.jsonl"))
    if not files:
        raise SystemExit("name the files of lines to report: `thzjax bench --out FILE` writes one")
    if missing := [file for file in files if not file.exists()]:
        raise SystemExit(f"{missing[0]} does not exist")
    records = read(files)
    given.out.mkdir(parents=True, exist_ok=True)
    text = page(records)
    (given.out / "benchmarks.md").write_text(text, encoding="utf-8")
    print(text)
    drawn = roofline(records, given.out)
    print(f"written: {given.out / 'benchmarks.md'}" + (f", {given.out / 'roofline.png'}" if drawn else ""))


if __name__ == "__main__":
    main()
