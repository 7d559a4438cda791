"""What a reproduction leaves behind: pictures, the numbers behind every curve, verdicts, and a page about all of it."""

import csv
import dataclasses
import datetime
import io
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from thzjax import plotting
from thzjax.errors import ConfigError, one_line
from thzjax.experiment.files import write_atomically
from thzjax.experiment.report import STYLE
from thzjax.experiment.train import environment_record
from thzjax.figures.frame import Budget, Curve, Data, Figure, overall, summary
from thzjax.figures.judging import seeds_interval
from thzjax.figures.results import read_result
from thzjax.figures.workshop import Workshop

VERDICTS, MARKDOWN, PAGE, RESULT = "verdicts.json", "REPRODUCTION.md", "reproduction.html", "result.json"


def reproduce_figure(figure: Figure, budget: Budget, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Collect, draw, judge and write one figure into `folder/ID`; the pages of the folder are written anew.

    Returns:
      What `result.json` holds; its seconds are what its runs and points took when they were made.
    """
    shop = Workshop(folder, budget, say)
    data = figure.collect(shop)
    own = folder / figure.id
    own.mkdir(parents=True, exist_ok=True)
    names = []
    for suffix, picture in figure.draw(data).items():
        # Letters without their accents: file names travel.
        plain = unicodedata.normalize("NFKD", suffix).encode("ascii", "ignore").decode().lower()
        name = figure.id + (f"-{re.sub('[^a-z0-9]+', '-', plain)}" if suffix else "")
        plotting.save(picture, own / name)
        names.append({"name": name, "shows": suffix})
    write_atomically(own / f"{figure.id}.csv", table(data))
    findings = figure.judge(data)
    result = {
        "id": figure.id,
        "source": figure.source,
        "claim": figure.claim,
        "verdict": overall(findings),
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "budget": budget.name,
        "seeds": budget.seeds,
        "channels": budget.channels,
        "searches": budget.searches,
        "seconds": round(sum(shop.spent.values()), 1),
        "work": shop.spent,
        "preset": figure.preset,
        "notes": figure.notes,
        "pictures": names,
        "command": f"thzjax reproduce {figure.id} --budget {budget.name}",
        "date": datetime.date.today().isoformat(),
        "environment": {key: environment_record()[key] for key in ("thzjax", "jax", "python", "device")},
    }
    write_atomically(own / RESULT, json.dumps(_plain(result), indent=2) + "\n")
    write_pages(folder)
    return result


def result_lines(result: dict[str, Any]) -> list[str]:
    """A figure's verdict and findings, for a terminal."""
    return [f"{result['id']}: {result['verdict']}"] + [
        f"  {f['verdict']:13s} {f['regime']}: {f['statement']}; {_numbers(f)}" for f in result["findings"]
    ]


def _plain(value: Any) -> Any:
    """JSON has no infinity: an interval that is not known is none."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def table(data: Data) -> str:
    """Every point of every curve, as CSV: mean and 95 % interval, of traces over seeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["panel", "curve", "x", "mean", "low", "high", "seeds", "channels", "infeasible_share"])
    for panel, curves in data.items():
        for label, curve in curves.items():
            if isinstance(curve, Curve):
                for x, values, missed in zip(curve.x, curve.values, curve.missed, strict=True):
                    numbers = [f"{number:.6g}" for number in (x, *summary(values))]
                    writer.writerow([panel, label, *numbers, *values.shape, f"{missed.mean():.4g}"])
                continue
            for x, values in zip(curve.x, curve.values.T, strict=True):
                numbers = [f"{number:.6g}" if np.isfinite(number) else "" for number in (x, *seeds_interval(values))]
                writer.writerow([panel, label, *numbers, len(values), "", ""])
    return text.getvalue()


def write_pages(folder: Path) -> None:
    """`verdicts.json`, `REPRODUCTION.md` and `reproduction.html` of whatever figures the folder holds."""
    results = [read_result(path) for path in sorted(folder.glob(f"*/{RESULT}"))]
    results.sort(key=_order)
    keep = ("id", "source", "claim", "verdict", "findings", "budget", "seeds", "channels", "seconds", "date")
    verdicts = [{key: result[key] for key in keep} for result in results]
    write_atomically(folder / VERDICTS, json.dumps(verdicts, indent=2) + "\n")
    write_atomically(folder / MARKDOWN, markdown(results))
    write_atomically(folder / PAGE, page(results, folder))


def _order(result: dict[str, Any]) -> tuple[bool, str, int]:
    """The papers' figures by number, then the others."""
    name, number = re.fullmatch(r"(.*?)(\d*)", result["id"]).groups()
    return not number, name, int(number or 0)


INTRODUCTION = (
    "Each claim is a paper's, in other words; each verdict follows from the data by the statistics named. A statement "
    "holds when its whole 95 % interval is on the claimed side, in every seed; it does not hold when the interval is "
    "on the other side; else it depends, as does a claim that holds in one configuration and not in the other. "
    "“Structured actions” is the best fair configuration, “paper's configuration” the paper's own decision process. "
    "Growth forgives a step down of a hundredth of a curve's mean. The criteria for the papers' looser words (slow, "
    "hardly changes, growth), and the claims beyond the papers, are this project's. They were settled after first runs "
    "had been seen, on the same channels and seeds: a claim of its own that holds describes, and does not test."
)


def _numbers(finding: dict[str, Any]) -> str:
    if finding["value"] is None or not np.isfinite(finding["value"]):
        return finding["unit"]
    value = f"{finding['value']:.3g}"
    if None not in (finding["low"], finding["high"]) and finding["low"] != finding["high"]:
        value += f" ({finding['low']:.3g} to {finding['high']:.3g})"
    return f"{value} {finding['unit']}"


def _total(results: Sequence[dict[str, Any]]) -> str:
    """How long everything took; what several figures share counts once, and in each one's own seconds."""
    work = {name: seconds for result in results for name, seconds in result["work"].items()}
    return f"{len(results)} figures in {sum(work.values()) / 60:.0f} minutes, what they share counted once."


def _made_on(env: dict[str, str]) -> str:
    return f"thzjax {env['thzjax']}, jax {env['jax']}, Python {env['python']}, {env['device']}"


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """The page as Markdown, pictures linked."""
    lines = ["# Reproduction", "", INTRODUCTION, "", _total(results), ""]
    lines += ["| figure | claim | verdict | seconds |", "|---|---|---|---|"]
    lines += [
        f"| [{r['source']}](#{r['id']}) | {r['claim']} | **{r['verdict']}** | {r['seconds']:.0f} |" for r in results
    ]
    for r in results:
        env = r["environment"]
        lines += ["", f"## {r['id']}", "", f"{r['source']}: {r['claim']}", "", f"Verdict: **{r['verdict']}**.", ""]
        lines += [f"![{p['name']}]({r['id']}/{p['name']}.png)" for p in r["pictures"]]
        lines += ["", "| regime | statement | verdict | statistic |", "|---|---|---|---|"]
        lines += [f"| {f['regime']} | {f['statement']} | {f['verdict']} | {_numbers(f)} |" for f in r["findings"]]
        lines += ["", r["notes"]] if r["notes"] else []
        lines += [
            "",
            f"`{r['command']}`, {r['date']}: {r['seeds']} seeds, {r['channels']} held-out channels, "
            f"{r['searches']} for the gradient search, "
            f"{r['seconds']:.0f} s; "
            f"{_made_on(env)}. "
            f"Numbers: [{r['id']}.csv]({r['id']}/{r['id']}.csv).",
        ]
    return "\n".join(lines) + "\n"


# Sentences wrap here, unlike the numbers of a report's tables.
WORDS = (
    ".words td,.words th{white-space:normal;text-align:left;vertical-align:top} .words td:nth-child(3){min-width:6rem}"
)


def _table(head: Sequence[str], rows: str) -> str:
    """A table of sentences, for HTML."""
    titles = "".join(f"<th>{title}</th>" for title in head)
    return (
        f'<div class="scroll"><table class="words"><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _picture(path: Path, prefix: str) -> str:
    """A drawn picture to be put into the page, its ids told apart by a prefix.

    Raises:
      ConfigError: it is missing, or has something in it that is no picture.
    """
    try:
        svg = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not readable ({one_line(error)}): reproduce the figure again") from None
    start = svg.find("<svg")
    if start < 0 or re.search(r"<script|<foreignobject|javascript:|\son\w+\s*=", svg, re.IGNORECASE):
        raise ConfigError(f"{path} is no picture that was drawn here: reproduce the figure again")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg[start:])


def page(results: Sequence[dict[str, Any]], folder: Path) -> str:
    """The page as self-contained HTML."""
    rows = "".join(
        f"<tr><td><a href='#{escape(r['id'])}'>{escape(r['source'])}</a></td><td>{escape(r['claim'])}</td>"
        f"<td><b>{escape(r['verdict'])}</b></td><td>{r['seconds']:.0f}</td></tr>"
        for r in results
    )
    body = f"<h1>Reproduction</h1><p>{escape(INTRODUCTION)}</p><p>{escape(_total(results))}</p>"
    body += _table(("figure", "claim", "verdict", "seconds"), rows)
    for r in results:
        pictures = ""
        for p in r["pictures"]:
            svg = _picture(folder / r["id"] / f"{p['name']}.svg", p["name"])
            pictures += f"<figure>{svg}<figcaption>{escape(p['shows'])}</figcaption></figure>"
        rows = "".join(
            f"<tr><td>{escape(f['regime'])}</td><td>{escape(f['statement'])}</td><td>{escape(f['verdict'])}</td>"
            f"<td>{escape(_numbers(f))}</td></tr>"
            for f in r["findings"]
        )
        env = r["environment"]
        body += (
            f"<h2 id='{escape(r['id'])}'>{escape(r['source'])}: {escape(r['verdict'])}</h2>"
            f"<p>{escape(r['claim'])}</p>{pictures}"
            f"{_table(('regime', 'statement', 'verdict', 'statistic'), rows)}<p class='note'>{escape(r['notes'])}</p>"
            f"<p class='note'><code>{escape(r['command'])}</code>, {escape(r['date'])}, {r['seeds']} seeds, "
            f"{r['channels']} channels, {r['searches']} for the gradient search, {r['seconds']:.0f} s, "
            f"{escape(_made_on(env))}</p>"
        )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Reproduction</title><style>{STYLE}{WORDS}</style></head><body>{body}</body></html>\n"
    )
