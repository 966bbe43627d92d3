"""The exact sum of users' clipped gradients of a dense network, without materializing a single gradient.

A layer's gradient of one user is the sum over the user's visits of a (x) e, inputs times back-propagated error. Its
squared norm is the sum over pairs of visits of (a . a' + 1)(e . e'), the 1 being the bias (Goodfellow, "Efficient
per-example gradient computations", 2015; pairs as in Li et al., "Large language models can be strong DP learners",
2022). One forward and one backward pass suffice; each user's factor then scales the errors before they are summed.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Tensor = Any
"""A TensorFlow tensor; TensorFlow has no type stubs."""

TINY = 1e-12
"""Norms below this count as zero, to avoid a division by zero."""


def clipped_sum(
    weights: Sequence[Tensor], z: Tensor, y: Tensor, owner: Tensor, pairs: Tensor, users: Tensor, clip: float
) -> tuple[list[Tensor], Tensor]:
    """Sum the users' gradients, each scaled to a norm of at most `clip`; return also the norms (u,) before scaling.

    `weights` are kernel (in, out) and bias (out,) of each layer in turn, tanh between them, one logit at the end. `z`
    (r, d) and `y` (r,) are columns and outcomes of the visits of a `users.Batch`; the other arguments are its fields.
    A user's loss is the sum of the logistic losses of the user's visits.
    """
    inputs, logit = forward(weights, z)
    error = tf.sigmoid(logit) - y[:, tf.newaxis]
    errors = [error]
    for kernel, before in zip(weights[-2:0:-2], reversed(inputs[1:]), strict=True):
        error = tf.matmul(error, kernel, transpose_b=True) * (1.0 - tf.square(before))
        errors.append(error)
    errors.reverse()
    squared_norms = tf.add_n([_inner(layer, None, None) for layer in zip(inputs, errors, strict=True)])
    squared = tf.math.unsorted_segment_sum(squared_norms, owner, users)
    left, right = pairs[:, 0], pairs[:, 1]
    inner_products = tf.add_n([_inner(layer, left, right) for layer in zip(inputs, errors, strict=True)])
    squared += tf.math.unsorted_segment_sum(2.0 * inner_products, tf.gather(owner, left), users)
    # Rounding can leave a sum of opposite terms slightly below zero.
    norm = tf.sqrt(tf.maximum(squared, 0.0))
    factor = tf.gather(tf.minimum(1.0, clip / tf.maximum(norm, TINY)), owner)[:, tf.newaxis]
    sums = []
    for before, error in zip(inputs, errors, strict=True):
        scaled = error * factor
        sums += [tf.matmul(before, scaled, transpose_a=True), tf.reduce_sum(scaled, axis=0)]
    return sums, norm


def forward(weights: Sequence[Tensor], z: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the inputs of each layer, each (n, in), and the logits (n, 1), for columns (n, d)."""
    inputs = [z]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        inputs.append(tf.tanh(tf.matmul(inputs[-1], kernel) + bias))
    return inputs, tf.matmul(inputs[-1], weights[-2]) + weights[-1]


def _inner(layer: tuple[Tensor, Tensor], left: Tensor, right: Tensor) -> Tensor:
    """Return the inner products (m,) of single visits' gradients of one layer, kernel and bias.

    The products are of the visits `left` with the visits `right`, or of each visit with itself if these are None.
    """
    parts = [(part, part) if left is None else (tf.gather(part, left), tf.gather(part, right)) for part in layer]
    inputs, errors = (tf.reduce_sum(left_part * right_part, axis=1) for left_part, right_part in parts)
    return (inputs + 1.0) * errors
