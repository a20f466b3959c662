"""One LeNet in Flax, which the same network in other frameworks is compared with; and what is compared."""

from flax import nnx

from shiftproof.deciding.verify import analyse
from shiftproof_kernel.program import Broadcast, Reshape, Transpose, Window


class InNnx(nnx.Module):
    def __init__(self, padding, rngs):
        self.conv1 = nnx.Conv(1, 4, (3, 3), padding=padding, rngs=rngs)
        self.conv2 = nnx.Conv(4, 6, (3, 3), padding=padding, rngs=rngs)
        self.dense = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv1(x))
        x = nnx.max_pool(x, (2, 2), (2, 2))
        x = nnx.relu(self.conv2(x))
        return self.dense(x.mean((1, 2)))


def told_of(verdict):
    """What is told of the causes, but for the place and the words of the framework."""
    return [(c.layer, c.code, c.axis, c.before, c.after) for c in verdict.causes]


def skeleton(model, shape):
    """The operations of the kernel's program but those that arrange axes; of windows what runs along the grid."""
    program = analyse(model, shape).prover.graph.program
    found = []
    for node in program.nodes:
        if isinstance(node.op, Window):
            runs = [(d.size, d.stride, d.low, d.high, d.base, d.dilation) for d in node.op.dims]
            alike = node.op.symmetric, node.op.linear
            found.append(("Window", [r for r in runs if r != (1, 1, 0, 0, 1, 1)], alike))
        elif not isinstance(node.op, (Broadcast, Reshape, Transpose)):
            found.append(type(node.op).__name__)
    return found
