"""What holds for the summary of every net that ran to its end."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import is_lazy

from stepladder.inspection.summary import Summary


def check_laws(summary: Summary, net: nn.Module) -> None:
    """Check that the rows add up to the totals and these to the net, and that rows, blocks and edges are in order."""
    rows, totals = summary.rows, summary.totals
    parameters = list(net.parameters())
    if not any(is_lazy(one) for one in parameters):
        assert totals.parameters == sum(one.numel() for one in parameters)
        assert totals.trainable == sum(one.numel() for one in parameters if one.requires_grad)
    assert totals.parameters == sum(row.parameters for row in rows)
    assert totals.trainable == sum(row.trainable for row in rows)
    assert totals.macs == sum(row.macs for row in rows)
    assert totals.training_bytes == sum(row.kept_bytes for row in rows)
    for number, row in enumerate(rows):
        assert 0 <= row.trainable <= row.parameters
        assert row.bias <= row.parameters
        assert min(row.macs, row.shared, row.buffers, row.output_bytes, row.kept_bytes) >= 0
        assert len(set(row.inputs)) == len(row.inputs)
        assert all(-len(summary.inputs) <= source < number for source in row.inputs), row.name
    assert len(set(summary.outputs)) == len(summary.outputs)
    assert all(-len(summary.inputs) <= index < len(rows) for index in summary.outputs)
    open_blocks: list[tuple[int, int]] = []
    for block in summary.blocks:
        assert 0 <= block.first <= block.last <= len(rows)
        del open_blocks[block.depth :]
        assert len(open_blocks) == block.depth, f"{block.name} lies in no block of depth {block.depth - 1}"
        if open_blocks:
            first, last = open_blocks[-1]
            assert first <= block.first <= block.last <= last
        open_blocks.append((block.first, block.last))
        assert all(row.depth > block.depth for row in rows[block.first : block.last])
    assert summary.failure is None
