"""What the pages get from Sphinx: names become links, formulas MathML, no public name is missing, no page is lost."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("thzjax.physics.", "thzjax.", "thzjax.systems.", "thzjax.envs.", "thzjax.agents.", "")
MUST_LINK = {"docs/equations"}
"""Pages on which every `module.function` leads somewhere."""
FUNCTION = re.compile(r"^[a-z_]+\.\w+$")
logger = logging.getLogger(__name__)


class LinkNames(SphinxPostTransform):
    """`link.sinr` in a page leads to that function's entry."""

    default_priority = 900

    def run(self, **options: Any) -> None:
        """Wrap every name of code that is a public one."""
        known = self.env.get_domain("py").objects
        for node in list(self.document.findall(nodes.literal)):
            text = node.astext().removesuffix("()")
            if "." not in text or isinstance(node.parent, (nodes.reference, nodes.title)):
                continue
            full = next((prefix + text for prefix in PACKAGES if prefix + text in known), None)
            if full is None:
                if self.env.docname in MUST_LINK and FUNCTION.match(text):
                    logger.warning("%s is no public name", text, location=node)
                continue
            entry = known[full]
            link = make_refnode(self.app.builder, self.env.docname, entry.docname, entry.node_id, node.deepcopy(), full)
            node.replace_self(link)


def every_public_name_is_here(app: Any, env: Any) -> None:
    """Warn of what `tests/public_names.txt` lists and no page describes."""
    known = env.get_domain("py").objects
    for line in (ROOT / "tests" / "public_names.txt").read_text(encoding="utf-8").splitlines():
        module, _, names = line.partition(": ")
        if not line.startswith("#"):
            for name in (f"{module}.{name}" for name in names.split()):
                if name not in known:
                    logger.warning("%s is public, and on no API page", name)


def list_the_rest(app: Any, docname: str, source: list[str]) -> None:
    """Add the pages of docs/ that the index does not name."""
    if docname != app.config.root_doc:
        return
    named = set(re.findall(r"^([\w/-]+)$", source[0], re.MULTILINE))
    rest = [page.stem for page in sorted((ROOT / "docs").glob("*.md")) if page.stem not in named | {"index"}]
    if rest:
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", ":caption: More", "", *rest, "```", ""])


def first_page(app: Any, error: Exception | None) -> None:
    """The built folder opens on the index, which lies one level down."""
    if error is None and app.builder.format == "html":
        page = '<!doctype html><meta charset="utf-8"><title>thzjax</title>'
        page += f'<meta http-equiv="refresh" content="0; url={app.config.root_doc}.html">'
        Path(app.outdir, "index.html").write_text(page + "\n", encoding="utf-8")


def mathml(translator: Any, node: nodes.Node, block: bool) -> None:
    """A formula as MathML, which browsers draw by themselves: no script, no network."""
    try:
        text = tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        logger.warning("formula cannot be drawn: %s", error, location=node)
        text = ""
    translator.body.append(f'<div class="math" style="margin: 0.9em 0">{text}</div>\n' if block else text)
    raise nodes.SkipNode


def inline_math(translator: Any, node: nodes.Node) -> None:
    """A formula in a line."""
    mathml(translator, node, False)


def block_math(translator: Any, node: nodes.Node) -> None:
    """A formula by itself."""
    mathml(translator, node, True)


def setup(app: Any) -> dict[str, Any]:
    """Connect all of these."""
    app.add_post_transform(LinkNames)
    app.add_html_math_renderer("mathml", inline_renderers=(inline_math, None), block_renderers=(block_math, None))
    app.connect("env-check-consistency", every_public_name_is_here)
    app.connect("source-read", list_the_rest)
    app.connect("build-finished", first_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
