"""The run's report: one HTML page with its pictures inside, readable without a network or a script.

Every sentence that judges is made from the data here; none is fixed in advance.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thzjax import plotting
from thzjax.experiment.files import write_atomically

Row = Mapping[str, Any]

STYLE = """
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#222;background:#fff;
 max-width:62rem;margin:0 auto;padding:1.2rem}
h1{font-size:1.6rem;line-height:1.25;margin:.3rem 0 .6rem} h2{font-size:1.2rem;margin:2.2rem 0 .5rem}
p,li{max-width:46rem} figure{margin:1rem 0} figure svg{width:100%;max-width:44rem;height:auto;display:block}
figcaption{font-size:.9rem;color:#444;max-width:44rem;margin-top:.3rem}
.scroll{overflow-x:auto} table{border-collapse:collapse;font-size:.85rem}
.note{font-size:.85rem;color:#444;margin-top:.5rem}
th,td{padding:.28rem .5rem;text-align:right;border-bottom:1px solid #e2e2e2;white-space:nowrap}
th{border-bottom:2px solid #999;font-weight:600;vertical-align:bottom}
th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}
tr.learned td{background:#e8f1f8;font-weight:600} .plain th,.plain td{text-align:left;white-space:normal}
code{background:#f2f2f2;padding:.1rem .3rem;border-radius:3px;overflow-wrap:anywhere}
ul.findings{padding-left:1.2rem} ul.findings li{margin:.35rem 0}
.whole{white-space:nowrap}
@media print{body{max-width:none;font-size:11pt;padding:0} figure,tr{break-inside:avoid} h2{break-after:avoid}
 figure svg{max-width:13cm} .scroll{overflow:visible} table{font-size:7.5pt} th,td{padding:.15rem .3rem}}
"""


@dataclasses.dataclass(frozen=True)
class ReportData:
    """What a report shows.

    Attributes:
      title: heading.
      scenario, settings: names and values for the tables at the end.
      command: how the run was started.
      records: training records, oldest first; the first may be the untrained policy.
      rows: comparison on held-out channels.
      lines: feasible rate of each classical design on the validation channels.
      grid_deg, desired, patterns, p_ref_w: see `plotting.beam_patterns`.
      channel_errors: beam-pattern error of the learned design on each held-out channel, as designed, `[C]`.
      threshold: largest error allowed, or None.
      silence_error, least_error: error of transmitting nothing, and the least any beamformer can reach.
      untrained, learned: their rows.
      handler: "primal_dual" or "projection".
    """

    title: str
    scenario: Mapping[str, str]
    settings: Mapping[str, str]
    command: str
    records: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]
    lines: Mapping[str, float]
    grid_deg: np.ndarray
    desired: np.ndarray
    patterns: Mapping[str, Mapping[str, Any]]
    p_ref_w: float
    channel_errors: np.ndarray
    threshold: float | None
    silence_error: float
    least_error: float
    untrained: Row | None
    learned: Row
    handler: str


def findings(data: ReportData) -> list[str]:
    """What the run shows, in sentences (plain text)."""
    learned, sentences = data.learned, []
    text = (
        f"On {learned['num_channels']} held-out channels the trained policy reaches a feasible sum rate of "
        f"{learned['rate_feasible']:.3f} bit/s/Hz (95 % interval {learned['ci_low']:.3f} to {learned['ci_high']:.3f})"
    )
    if data.untrained is not None:
        text += f"; untrained, with the same action map, it reaches {data.untrained['rate_feasible']:.3f}"
    sentences.append(text + ".")
    sentences.append(_against_the_best_classical(data))
    return [*sentences, *_constraint_sentences(data)]


def _against_the_best_classical(data: ReportData) -> str:
    classical = [row for row in data.rows if not row["learned"]]
    best = max(classical, key=lambda row: row["rate_feasible"])
    name = f"{best['method']} with {best['surface']} surface"
    difference = data.learned["difference"]
    low, high = data.learned["difference_low"], data.learned["difference_high"]
    interval = f"paired difference {difference:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
    opening = f"The best classical design, {name}, reaches {best['rate_feasible']:.3f}"
    if low > 0:
        return f"{opening}: the learned design is ahead ({interval})."
    if high < 0:
        return f"{opening}: it is ahead of the learned design ({interval})."
    return f"{opening}: the two are level ({interval})."


def _constraint_sentences(data: ReportData) -> list[str]:
    if data.threshold is None:
        return ["The beam pattern is not limited in this scenario."]
    mean = float(np.mean(data.channel_errors))
    limit = data.threshold * (1 + plotting.TOLERANCE)
    above, total = int(np.sum(data.channel_errors > limit)), len(data.channel_errors)
    verdict = "within" if mean <= limit else "above"
    references = (
        f"transmitting nothing has error {data.silence_error:.3f}, the least that any beamformer can reach is "
        f"{data.least_error:.3f}"
    )
    sentences = [
        f"Its mean beam-pattern error is {mean:.3f}, {verdict} the threshold of {data.threshold:g} ({references})."
    ]
    if data.handler == "projection":
        count = "no single channel exceeds" if above == 0 else f"{above} of {total} channels exceed"
        sentences.append(f"Every design is scaled to the threshold on its own channel: {count} it.")
    else:
        sentences.append(
            "The pattern constraint is ergodic: the multiplier holds it on average, not on each channel. "
            f"{above} of {total} single channels ({100 * above / total:.1f} %) exceed the threshold before scaling; "
            "training with --handler projection gives designs that never exceed it."
        )
    return sentences


class Picture(NamedTuple):
    """A figure with its file name, heading and caption."""

    name: str
    title: str
    figure: Any
    caption: str


def pictures(data: ReportData) -> list[Picture]:
    """Every picture of the report, in its order."""
    threshold = "no limit" if data.threshold is None else f"threshold {data.threshold:g}"
    references = (
        f"For comparison: error of transmitting nothing {data.silence_error:.3f}, least reachable "
        f"{data.least_error:.3f}."
    )
    return [
        Picture(
            "learning_curve",
            "Learning curve",
            plotting.learning_curve(data.records),
            "Mean sum rate while training (exploring), and the feasible rate of the deterministic policy on fixed "
            "validation channels, which are neither training nor held-out channels.",
        ),
        Picture(
            "capacity_against_episodes",
            "Capacity of every method against training episodes",
            plotting.capacity_against_episodes(data.records, data.lines),
            "Feasible rate on the validation channels. The classical designs do not learn: they are lines.",
        ),
        Picture(
            "method_comparison",
            "Methods on held-out channels",
            plotting.method_comparison(data.rows),
            "Feasible rate with its 95 % interval; open diamonds are rates before the scaling, which may violate.",
        ),
        Picture(
            "beam_patterns",
            "Beam pattern against the desired one",
            plotting.beam_patterns(data.grid_deg, data.desired, data.patterns, data.p_ref_w),
            "Mean over held-out channels, band from 10 to 90 % of them, after the scaling to the threshold. "
            + references,
        ),
        Picture(
            "pattern_error",
            "Beam-pattern error and its multiplier",
            plotting.pattern_error_curve(data.records, data.threshold, data.silence_error, data.least_error),
            f"Mean error in training and on the validation channels ({threshold}), and the price the multiplier puts "
            "on the constraint's relative slack.",
        ),
        Picture(
            "pattern_error_histogram",
            "Beam-pattern error of single channels",
            plotting.pattern_error_histogram(data.channel_errors, data.threshold),
            "The learned design on held-out channels, as designed, before any scaling. " + references,
        ),
    ]


def render(data: ReportData, drawn: Sequence[Picture]) -> str:
    """The report as one HTML page around its pictures."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(data))
    option = "--handler projection"  # not to be broken at its hyphens
    items = items.replace(option, f'<code class="whole">{option}</code>')
    figures = "".join(
        f"<h2>{escape(picture.title)}</h2><figure>{plotting.to_svg(picture.figure, picture.name, picture.title)}"
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in drawn
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(data.title)}</title><style>{STYLE}</style></head><body>"
        f'<h1>{escape(data.title)}</h1><ul class="findings">{items}</ul>'
        f"<h2>Every method on the same channels</h2>{_comparison_table(data)}{figures}"
        f"<h2>How it was run</h2><p><code>{escape(data.command)}</code></p>{_plain_table(data.settings)}"
        f"<h2>Scenario</h2>{_plain_table(data.scenario)}</body></html>\n"
    )


def _comparison_table(data: ReportData) -> str:
    rows = data.rows
    heads = (
        "method", "surface", "feasible rate", "95 % interval", "difference to the<br>best classical", "as designed",
        "channels<br>violated", "pattern<br>error", "µs per<br>channel",
    )  # fmt: skip
    body = ""
    for row in sorted(rows, key=lambda r: -r["rate_feasible"]):
        cells = (
            escape(row["method"]),
            escape(row["surface"]),
            f"{row['rate_feasible']:.3f}",
            f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
            "–" if row.get("difference") is None else f"{row['difference']:+.3f}",
            f"{row['rate']:.3f}",
            f"{100 * row['violation_rate']:.1f} %",
            f"{row['pattern_error']:.2f}",
            f"{row['us_per_channel']:.1f}",
        )
        mark = ' class="learned"' if row["learned"] else ""
        body += f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    caption = (
        f"Sum rates in bit/s/Hz, means over {rows[0]['num_channels']} held-out channels, the same for every method. "
        "Feasible rate: each design is scaled down on each channel until every constraint holds, and judged then; a "
        "rate that violates a constraint stands only under “as designed”. The classical beams are designed for the "
        "power that the pattern leaves them and know nothing else of it before that scaling. Pattern errors are as "
        "designed; transmitting nothing has "
        f"{data.silence_error:.3f}, the least reachable is {data.least_error:.3f}."
    )
    head = "".join(f"<th>{text}</th>" for text in heads)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{body}</tbody></table></div><p class="note">{caption}</p>'
    )


def _plain_table(values: Mapping[str, str]) -> str:
    lines = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in values.items())
    return f'<table class="plain"><tbody>{lines}</tbody></table>'


def write(data: ReportData, folder: Path) -> Path:
    """Write `report.html` and the figures as PNG and SVG into a run folder; returns the page's path."""
    drawn = pictures(data)
    for picture in drawn:
        plotting.save(picture.figure, folder / "figures" / picture.name)
    page = folder / "report.html"
    write_atomically(page, render(data, drawn))
    return page
