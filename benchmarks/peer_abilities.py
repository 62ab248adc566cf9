"""What a tool can do beside describing: it is made to do it, or else no name in its package says that it can."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import peer_nets
from peer_nets import IMAGE
from peer_tools import Answer, Tool, quietly, summarise

Way = Callable[[], Answer]


def ability(words: tuple[str, ...], **ways: Way) -> Callable[[Tool], Answer]:
    """Return how to ask whether a tool can do something.

    Args:
        words: one of them is part of a name in every package that can.
        ways: for the tools that can, by the module's name, what makes them do it.
    """

    def ask(tool: Tool) -> Answer:
        way = ways.get(tool.module)
        if way is not None:
            with quietly(), contextlib.redirect_stdout(io.StringIO()):
                return way()
        found = sorted(name for name in tool.names() if any(word in name.lower() for word in words))
        return Answer("yes", f"has {found[0]}") if found else Answer("no")

    return ask


def command_line(tool: Tool) -> Answer:
    """Return whether the package installs a command."""
    scripts = [
        script.name for script in metadata.distribution(tool.package).entry_points if script.group == "console_scripts"
    ]
    return Answer("yes") if scripts else Answer("no")


def _done(well: bool, said: str = "") -> Answer:
    return Answer("yes", said) if well else Answer("no")


def _torchscan_formats() -> Answer:
    import torchscan

    report = torchscan.crawl_module(peer_nets.two_convolutions(), IMAGE[0].shape)
    return _done(json.loads(json.dumps(report))["totals"]["parameters"]["value"] == 58, "JSON")


def _torchscan_difference() -> Answer:
    import torchscan

    pair = (peer_nets.two_convolutions(), peer_nets.convolution_alone())
    before, after = (torchscan.crawl_module(net, IMAGE[0].shape) for net in pair)
    return _done(torchscan.compare_reports(before, after)["totals"]["parameters"]["delta"] == 18 - 58, "as values")


def _rfa_picture() -> Answer:
    from rfa_toolbox import create_graph_from_pytorch_model, visualize_architecture

    graph = create_graph_from_pytorch_model(peer_nets.branched(), input_res=(1, *IMAGE[0].shape))
    source = visualize_architecture(graph, "net", input_res=12).source
    return _done(source.count("Conv2d 3x3") == 3 and "->" in source)


def _rfa_findings() -> Answer:
    from rfa_toolbox import create_graph_from_pytorch_model, visualize_architecture

    # The second convolution's input already covers the 3 pixels; such layers are coloured.
    graph = create_graph_from_pytorch_model(peer_nets.two_convolutions(), input_res=(1, *IMAGE[0].shape))
    plain, marked = (visualize_architecture(graph, "net", input_res=size).source for size in (400, 2))
    return Answer("no", "colours layers that see nothing new") if plain != marked else Answer("no")


def _torchinfo_folds() -> Answer:
    import torchinfo

    rows = [torchinfo.summary(peer_nets.nested(), (1, 1, 12, 12), depth=depth, verbose=0) for depth in (1, 3)]
    return _done("Conv2d" not in str(rows[0]) and "Conv2d" in str(rows[1]))


def _torchscan_folds() -> Answer:
    import torchscan

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        torchscan.summary(peer_nets.nested(), IMAGE[0].shape, max_depth=1)
    return _done("Conv2d" not in printed.getvalue() and "Sequential" in printed.getvalue())


def _own_folds() -> Answer:
    from stepladder.inspection.tables import render

    summary = summarise(peer_nets.nested(), IMAGE)
    texts = [render(summary, "text", depth=depth) for depth in (1, 3)]
    return _done("Conv2d" not in texts[0] and "Conv2d" in texts[1])


def _own_notebook() -> Answer:
    summary = summarise(peer_nets.nested(), IMAGE)
    return _done("<table" in getattr(summary, "_repr_html_", str)())


def _own_budget() -> Answer:
    from stepladder.inspection.summary import budget_verdict

    summary = summarise(peer_nets.two_convolutions(), IMAGE)
    return _done(not budget_verdict(summary, 58).passes and budget_verdict(summary, 59).passes)


def _own_findings() -> Answer:
    summary = summarise(peer_nets.frozen_norm(), IMAGE)
    found = [one for one in summary.findings if one.kind == "bias before batch-norm"]
    return _done(bool(found) and bool(found[0].repair))


def _own_formats() -> Answer:
    from stepladder.inspection import tables

    summary = summarise(peer_nets.two_convolutions(), IMAGE)
    names = {"json": "JSON", "csv": "CSV", "markdown": "Markdown", "latex": "LaTeX", "html": "HTML"}
    # The second layer's parameters stand in each of them.
    able = [names[style] for style in names if style in tables.STYLES and "38" in tables.render(summary, style)]
    return _done(bool(able), ", ".join(able))


def _own_difference() -> Answer:
    from stepladder.inspection import diff

    pair = [summarise(build(), IMAGE) for build in (peer_nets.two_convolutions, peer_nets.convolution_alone)]
    text = diff.render(diff.compare(*pair), "text")
    return _done("58" in text and "18" in text and "40" in text)


def _own_picture() -> Answer:
    from stepladder.inspection import tables
    from stepladder.pictures.graph import picture

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.svg"
        picture.save(tables.as_json(summarise(peer_nets.branched(), IMAGE)), path)
        drawn = path.read_text(encoding="utf-8")
    return _done("<svg" in drawn and drawn.count("3×3") >= 3)


BUDGET = ability(("budget",), stepladder=_own_budget)
FINDINGS = ability(
    ("finding", "advice", "recommend", "suggest", "repair"), rfa_toolbox=_rfa_findings, stepladder=_own_findings
)
FORMATS = ability(("json", "csv", "markdown", "latex", "html"), torchscan=_torchscan_formats, stepladder=_own_formats)
DIFFERENCE = ability(("diff", "compare"), torchscan=_torchscan_difference, stepladder=_own_difference)
PICTURE = ability(
    ("picture", "svg", "graphviz", "draw", "plot", "visual"), rfa_toolbox=_rfa_picture, stepladder=_own_picture
)
FOLDING = ability(("depth", "fold"), torchinfo=_torchinfo_folds, torchscan=_torchscan_folds, stepladder=_own_folds)
NOTEBOOK = ability(("repr_html", "notebook"), stepladder=_own_notebook)
COMMAND = command_line
