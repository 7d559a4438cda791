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
from thzjax.experiment.tables import MEASURES
from thzjax.plotting.style import TOLERANCE

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
class PatternData:
    """What a report shows of the beam pattern, on a system that has one.

    Attributes:
      grid_deg, desired, patterns, p_ref_w: see `plotting.beam_patterns`.
      channel_errors: beam-pattern error of the learned design on each held-out channel, as designed, `[C]`.
      threshold: largest error allowed, or None.
      silence_error, least_error: error of transmitting nothing, and the least any beamformer can reach.
      users: what each user's beams radiate on the first held-out channel, over p_ref, `[K, L]`.
    """

    grid_deg: np.ndarray
    desired: np.ndarray
    patterns: Mapping[str, Mapping[str, Any]]
    p_ref_w: float
    channel_errors: np.ndarray
    threshold: float | None
    silence_error: float
    least_error: float
    users: np.ndarray

    @property
    def references(self) -> str:
        """The two errors that the others are read against, in words."""
        return (
            f"transmitting nothing has error {self.silence_error:.3f}, the least that any beamformer can reach is "
            f"{self.least_error:.3f}"
        )


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
      learned, untrained: rows of the run's trained and untrained policy.
      beside: rows of the trained policies of further runs.
      shares: by design and constraint, the share of held-out channels that violate it as designed and after the
        scaling; the run's own design comes first.
      handler: "primal_dual", "projection" or "penalty".
      pattern: the beam pattern, where the system has one.
    """

    title: str
    scenario: Mapping[str, str]
    settings: Mapping[str, str]
    command: str
    records: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]
    lines: Mapping[str, float]
    learned: Row
    untrained: Row | None
    beside: Sequence[Row]
    shares: Mapping[str, Mapping[str, tuple[float, float]]]
    handler: str
    pattern: PatternData | None


def best_of(rows: Sequence[Row]) -> Row | None:
    """The row of highest feasible rate; none of none."""
    return max(rows, key=lambda row: row["rate_feasible"], default=None)


def findings(data: ReportData) -> list[str]:
    """What the run shows, in sentences (plain text); the first names the best learned design."""
    trained = [data.learned, *data.beside]
    best = best_of(trained)
    classical = best_of([row for row in data.rows if not row["learned"]])
    sentences = [_opening(best, classical)]
    others = [row for row in sorted(trained, key=lambda row: -row["rate_feasible"]) if row is not best]
    if others:
        sentences.append("Beside it: " + "; ".join(_standing(row) for row in others) + ".")
    if data.untrained is not None:
        gain = data.learned["rate_feasible"] - data.untrained["rate_feasible"]
        sentences.append(
            f"Untrained, with the same action map, {data.learned['method']} reaches "
            f"{data.untrained['rate_feasible']:.3f}: training adds {gain:+.3f}."
        )
    if data.pattern is not None:
        sentences += _pattern_sentences(data.pattern, data.handler)
    return [*sentences, *_constraint_sentences(data)]


def _opening(best: Row, classical: Row | None) -> str:
    text = (
        f"On {best['num_channels']} held-out channels the best learned design, {best['method']}, reaches a feasible "
        f"sum rate of {best['rate_feasible']:.3f} bit/s/Hz (95 % interval {best['ci_low']:.3f} to "
        f"{best['ci_high']:.3f})"
    )
    if classical is None:
        return text + "."
    return (
        f"{text}, the best classical design judged here, {classical['method']} with {classical['surface']} surface, "
        f"{classical['rate_feasible']:.3f}: {_verdict(best)} ({_paired(best)})."
    )


def _verdict(row: Row) -> str:
    """Who is ahead, where the interval of the paired difference says so."""
    if row["difference_low"] > 0:
        return "the learned design is ahead"
    return "the classical design is ahead" if row["difference_high"] < 0 else "the two are level"


def _paired(row: Row) -> str:
    low, high = row["difference_low"], row["difference_high"]
    return f"paired difference {row['difference']:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"


def _standing(row: Row) -> str:
    text = f"{row['method']} reaches {row['rate_feasible']:.3f}"
    if row.get("difference") is None:
        return text
    return f"{text} ({row['difference']:+.3f} to the best classical design)"


def _pattern_sentences(pattern: PatternData, handler: str) -> list[str]:
    if pattern.threshold is None:
        return ["The beam pattern is not limited in this scenario."]
    mean = float(np.mean(pattern.channel_errors))
    limit = pattern.threshold * (1 + TOLERANCE)
    above, total = int(np.sum(pattern.channel_errors > limit)), len(pattern.channel_errors)
    verdict = "within" if mean <= limit else "above"
    sentences = [
        f"The run's mean beam-pattern error is {mean:.3f}, {verdict} the threshold of {pattern.threshold:g} "
        f"({pattern.references})."
    ]
    if handler == "projection":
        count = "no single channel exceeds" if above == 0 else f"{above} of {total} channels exceed"
        return [*sentences, f"Every design is scaled to the threshold on its own channel: {count} it."]
    kind = {
        "primal_dual": "The pattern constraint is ergodic: the multiplier holds it on average, not on each channel.",
        "penalty": "The pattern error has a fixed price, which holds it to no threshold.",
    }[handler]
    return [
        *sentences,
        f"{kind} {above} of {total} single channels ({100 * above / total:.1f} %) exceed the threshold before "
        "scaling; training with --handler projection gives designs that never exceed it.",
    ]


def _constraint_sentences(data: ReportData) -> list[str]:
    """How often each named constraint is violated, and what the multipliers came to."""
    name, shares = next(iter(data.shares.items()))
    designed = {c: share for c, (share, _) in shares.items() if share > 0}
    scaled = {c: share for c, (_, share) in shares.items() if share > 0}
    if not designed:
        sentences = [f"As designed, {name} keeps every constraint on every held-out channel ({', '.join(shares)})."]
    elif not scaled:
        sentences = [f"As designed, {name} violates {_listed(designed)}; after the scaling every constraint holds."]
    elif scaled == designed:
        sentences = [f"{name} violates {_listed(designed)}, which no scaling mends: such a channel counts as rate 0."]
    else:
        sentences = [
            f"As designed, {name} violates {_listed(designed)}; after the scaling, {_listed(scaled)}: such a channel "
            "counts as rate 0."
        ]
    prices = {key[3:]: value for key, value in data.records[-1].items() if key.startswith("mu/") and value > 0}
    if prices:
        text = ", ".join(f"{constraint} {value:.3g}" for constraint, value in prices.items())
        sentences.append(f"Prices of the constraints at the end of training: {text} bit/s/Hz per unit of slack.")
    return sentences


def _listed(shares: Mapping[str, float]) -> str:
    # A share that rounds to nothing is not nothing.
    return ", ".join(f"{name} on {max(100 * share, 0.1):.1f} % of the channels" for name, share in shares.items())


class Picture(NamedTuple):
    """A figure with its file name, heading and caption."""

    name: str
    title: str
    figure: Any
    caption: str


def pictures(data: ReportData) -> list[Picture]:
    """Every picture of the report, in its order; those without data are left out."""
    drawn = [
        Picture(
            "method_comparison",
            "Methods on held-out channels",
            plotting.method_comparison(data.rows),
            "Feasible rate with its 95 % interval; open diamonds are rates before the scaling, which may violate.",
        ),
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
            "constraint_violations",
            "Who violates which constraint",
            plotting.constraint_violations(data.shares),
            "Share of the held-out channels that violate each named constraint, as designed (outline, first "
            "number) and after the scaling (filled, second number): trained policies and the best classical design.",
        ),
    ]
    shown = [name for name in moving_constraints(data.records) if data.pattern is None or name != "beam_pattern"]
    if shown:
        caption = (
            "Price that each multiplier puts on its constraint, and the mean slack in the training batch: 0 is the "
            "limit, below it the mean violates. Constraints that neither move nor cost anything are left out."
        )
        figure = plotting.multipliers(data.records, shown)
        drawn.append(Picture("multipliers", "Constraints and their multipliers", figure, caption))
    return drawn if data.pattern is None else [*drawn, *_pattern_pictures(data.pattern, data.records)]


def moving_constraints(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Named constraints whose multiplier or mean slack changes while training by more than rounding does."""
    last = records[-1] if records else {}

    def moves(key: str) -> bool:
        values = [record[key] for record in records if key in record]
        return bool(values) and max(values) - min(values) > 1e-3

    names = [key.removeprefix("slack/") for key in last if key.startswith("slack/")]
    return [name for name in names if moves(f"slack/{name}") or moves(f"mu/{name}")]


def _pattern_pictures(pattern: PatternData, records: Sequence[Mapping[str, Any]]) -> list[Picture]:
    threshold = "no limit" if pattern.threshold is None else f"threshold {pattern.threshold:g}"
    references = f"For comparison: {pattern.references}."
    return [
        Picture(
            "beam_patterns",
            "Beam pattern against the desired one",
            plotting.beam_patterns(pattern.grid_deg, pattern.desired, pattern.patterns, pattern.p_ref_w),
            "Mean over held-out channels, band from 10 to 90 % of them, after the scaling to the threshold. "
            + references,
        ),
        Picture(
            "user_beam_patterns",
            "Beam pattern of each user",
            plotting.user_beam_patterns(pattern.grid_deg, pattern.desired, pattern.users, pattern.p_ref_w),
            "The learned design on the first held-out channel, after the scaling: what each user's beams radiate.",
        ),
        Picture(
            "pattern_error",
            "Beam-pattern error and its multiplier",
            plotting.pattern_error_curve(records, pattern.threshold, pattern.silence_error, pattern.least_error),
            f"Mean error in training and on the validation channels ({threshold}), and the price the multiplier puts "
            "on the constraint's relative slack.",
        ),
        Picture(
            "pattern_error_histogram",
            "Beam-pattern error of single channels",
            plotting.pattern_error_histogram(pattern.channel_errors, pattern.threshold),
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
    measures = [name for name in MEASURES if name in rows[0]]
    heads = [
        "method", "surface", "feasible rate", "95 % interval", "difference to the<br>best classical", "as designed",
        "channels<br>violated", *(MEASURES[name].heading for name in measures), "µs per<br>channel",
    ]  # fmt: skip
    body = ""
    for row in sorted(rows, key=lambda r: -r["rate_feasible"]):
        cells = [
            escape(row["method"]),
            escape(row["surface"]),
            f"{row['rate_feasible']:.3f}",
            f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
            "–" if row.get("difference") is None else f"{row['difference']:+.3f}",
            f"{row['rate']:.3f}",
            f"{100 * row['violation_rate']:.1f} %",
            *("–" if row[name] is None else MEASURES[name].text(row[name]) for name in measures),
            f"{row['us_per_channel']:.1f}",
        ]
        mark = ' class="learned"' if row["learned"] else ""
        body += f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    head = "".join(f"<th>{text}</th>" for text in heads)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{body}</tbody></table></div><p class="note">{_table_note(data, measures)}</p>'
    )


def _table_note(data: ReportData, measures: Sequence[str]) -> str:
    note = (
        f"Sum rates in bit/s/Hz, means over {data.rows[0]['num_channels']} held-out channels, the same for every "
        "method. Feasible rate: each design is scaled down on each channel until every constraint that a scaling can "
        "mend holds, and judged then; a channel where one still does not counts as 0, and a rate that violates a "
        "constraint stands only under “as designed”."
    )
    if data.pattern is not None:
        note += (
            " The classical beams are designed for the power that the pattern leaves them and know nothing else of it "
            f"before that scaling. Pattern errors are as designed; {data.pattern.references}."
        )
    return " ".join([note, *(MEASURES[name].note for name in measures if MEASURES[name].note)])


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
