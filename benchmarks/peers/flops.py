"""Operations of dense networks, counted by hand: what the shares of the matrix-product peak are taken of.

A product `[B, n] x [n, m]` is 2 B n m operations. A gradient costs two more products a layer, one for the weights and
one for the layer's inputs, which the first layer has only where its inputs are differentiated: a critic's in the
actor's step, observation and action in one. Only products are counted: biases, activations, losses, Adam and the
environment come on top, so that a share is that of the part which could run at the peak. What a library computes beyond
need (SB3's gradients of the critic in the actor's step) is not counted.
"""

from collections.abc import Sequence
from itertools import pairwise


def forward(sizes: Sequence[int]) -> int:
    """Operations of one sample through layers of `sizes` (inputs, hidden ones, outputs)."""
    return 2 * sum(n * m for n, m in pairwise(sizes))


def backward(sizes: Sequence[int]) -> int:
    """Operations of one sample's gradient in the weights."""
    return forward(sizes) + forward(sizes[1:])


def ppo_step(features: int, actions: int, hidden: Sequence[int], epochs: int) -> int:
    """Of one environment step: actor and critic forward once, then forward and backward once an epoch."""
    networks = (features, *hidden, actions), (features, *hidden, 1)
    once = sum(forward(x) for x in networks)
    return once + epochs * (once + sum(backward(x) for x in networks))


def actor_critic_update(
    features: int, actions: int, hidden: Sequence[int], batch: int, critics: int, heads: int = 1, measures: int = 1
) -> int:
    """Of one update of DDPG (one critic, one head) or SAC (two critics, two heads: mean and deviation).

    Per sample: the target through slow actor and critics; the critics forward and backward; the actor forward, its
    action through the critics and back to the action, and the actor backward.

    Args:
      features, actions: numbers of an observation and of an action.
      hidden: widths, of actor and critics alike.
      batch: samples.
      critics: how many.
      heads: outputs of the actor for each number of the action.
      measures: outputs of a critic.
    """
    actor, critic = (features, *hidden, heads * actions), (features + actions, *hidden, measures)
    target = forward(actor) + critics * forward(critic)
    of_critics = critics * (forward(critic) + backward(critic))
    through = critics * 2 * forward(critic)  # and back to its inputs
    return batch * (target + of_critics + forward(actor) + through + backward(actor))
