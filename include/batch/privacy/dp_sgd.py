"""Train the private network by user-level DP-SGD (Abadi et al., CCS 2016).

Each user contributes one clipped gradient per step. Batches are Poisson-sampled over users, as the accounting assumes.
The noisy sum is divided by the expected number of users, not by the sampled number. Nothing else depends on the data:
encoders, caps, initial weights and the initial output are public.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from include.batch.models import tensorflow
from include.batch.models.dense import DenseNetwork
from include.batch.parameters import PrivateParameters
from include.batch.privacy.mechanism import Mechanism
from include.batch.privacy.noise import Noise
from include.batch.privacy.users import Batch, Users, batch
from include.batch.samples import Floats, Matrix
from include.contracts.errors import TerminalError

EMA_DECAY = 0.98
"""Decay of the moving average of the weights; averaging released weights costs no privacy
(De et al., "Unlocking high-accuracy differentially private image classification", 2022)."""


def train(data: Users, mechanism: Mechanism, private: PrivateParameters, noise: Noise, seed: int) -> DenseNetwork:
    """Train `mechanism.steps` steps of Adam and average the weights over the steps.

    Args:
        data: the users; as many as the mechanism is calibrated for.
        mechanism: noise, clip and sampling rate.
        private: its `hidden_layer_sizes`, `learning_rate` and `prior` are used.
        noise: draws users and noise; it must be secret.
        seed: draws the initial weights; it is public.

    Raises:
        TerminalError: the number of users differs from the mechanism's, or the network diverged.
    """
    if len(data) != mechanism.users:
        raise TerminalError(
            f"the mechanism is for {mechanism.users} users, there are {len(data)}", "calibrate for these users"
        )
    initial = _initial_weights(data.z.shape[1], private, seed)
    shapes = [array.shape for array in initial]
    weights = _optimize(data, mechanism, private, noise, initial)
    if not np.isfinite(weights).all():
        raise TerminalError("the private network diverged", "lower private.learning_rate")
    arrays = [part.astype(np.float32) for part in _parts(weights, shapes)]
    return DenseNetwork(weights=tuple(arrays[::2]), biases=tuple(arrays[1::2]), activation="tanh", private=True)


def noisy_mean(total: Any, normal: Any, mechanism: Mechanism) -> Any:
    """Add noise to a sum (p,) of clipped contributions and divide by the expected users.

    `normal` (p,) are standard normal numbers.
    """
    return (total + mechanism.noise_std * normal) / mechanism.expected_users


def _optimize(
    data: Users, mechanism: Mechanism, private: PrivateParameters, noise: Noise, initial: list[Matrix]
) -> Floats:
    """Return the averaged weights as one vector."""
    tf = tensorflow.load(0)
    weights = tf.Variable(np.concatenate([array.ravel() for array in initial]))
    averaged = tf.Variable(tf.zeros_like(weights))
    optimizer = tf.keras.optimizers.Adam(private.learning_rate)
    optimizer.build([weights])
    gradient = _gradient(tf, data, mechanism, [array.shape for array in initial])
    shapes = ((None,), (None,), (None, 2), ())
    signature = [*(tf.TensorSpec(shape, tf.int64) for shape in shapes), tf.TensorSpec(weights.shape, tf.float32)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def step(rows: Any, owner: Any, pairs: Any, drawn: Any, normal: Any) -> None:
        noisy_gradient = gradient(weights, Batch(rows, owner, pairs, drawn), normal)
        optimizer.apply_gradients([(noisy_gradient, weights)])
        averaged.assign(EMA_DECAY * averaged + (1.0 - EMA_DECAY) * weights)

    for _ in range(mechanism.steps):
        drawn = batch(data.visits[noise.sample_users(mechanism.users, mechanism.rate)])
        normal = tf.constant(noise.normal(weights.shape[0]), tf.float32)
        step(*(tf.constant(part, tf.int64) for part in (drawn.rows, drawn.owner, drawn.pairs, drawn.users)), normal)
    corrected: Floats = averaged.numpy().astype(np.float64) / (1.0 - EMA_DECAY**mechanism.steps)
    return corrected


def _gradient(tf: Any, data: Users, mechanism: Mechanism, shapes: list[tuple[int, ...]]) -> Any:
    """Return a function of (weights (p,), batch, normal (p,)) that returns the noisy mean gradient (p,)."""
    from include.batch.privacy.clip import clipped_sum  # noqa: PLC0415 - imports TensorFlow, which takes seconds

    z, y = tf.constant(data.z), tf.constant(data.y, tf.float32)
    sizes = [math.prod(shape) for shape in shapes]

    def gradient(weights: Any, drawn: Batch, normal: Any) -> Any:
        layers = [tf.reshape(part, shape) for part, shape in zip(tf.split(weights, sizes), shapes, strict=True)]
        at = (tf.gather(z, drawn.rows), tf.gather(y, drawn.rows))
        sums, _ = clipped_sum(layers, *at, drawn.owner, drawn.pairs, drawn.users, mechanism.clip)
        return noisy_mean(tf.concat([tf.reshape(part, [-1]) for part in sums], 0), normal, mechanism)

    return gradient


def _initial_weights(columns: int, private: PrivateParameters, seed: int) -> list[Matrix]:
    """Return kernel and bias of each layer: Glorot uniform (AISTATS 2010).

    The last bias is the log-odds of the prior.
    """
    random = np.random.default_rng(seed)
    sizes = (columns, *private.hidden_layer_sizes, 1)
    arrays: list[Matrix] = []
    for inside, outside in pairwise(sizes):
        limit = math.sqrt(6.0 / (inside + outside))
        arrays.append(random.uniform(-limit, limit, (inside, outside)).astype(np.float32))
        arrays.append(np.zeros(outside, np.float32))
    arrays[-1][:] = math.log(private.prior / (1.0 - private.prior))
    return arrays


def _parts(flat: Floats, shapes: list[tuple[int, ...]]) -> list[Floats]:
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]
