"""A dense network, trained by TensorFlow and stored as plain arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np

from include.batch.models import tensorflow
from include.batch.models.dense import DenseNetwork
from include.batch.parameters import ModelParameters, NetworkParameters
from include.batch.samples import Floats, Labels, Rows, Samples

Epoch = Callable[[Any], object]


def network(train: Samples, validation: Samples, parameters: ModelParameters, seed: int) -> DenseNetwork:
    """Fit ReLU layers with dropout by Adam; return the epoch with the lowest log loss on `validation`.

    Every epoch shuffles the rows into full batches; the remainder is skipped in that epoch.
    """
    settings = parameters.network
    tf = tensorflow.load(seed)
    tf.keras.backend.clear_session()
    layers = _layers(tf, train.z.shape[1], settings)
    epoch = _epoch(tf, layers, train, settings)
    random = np.random.default_rng(seed)
    best, lowest_loss, stale_epochs = _weights_of(layers), np.inf, 0
    for _ in range(settings.epochs):
        epoch(tf.constant(_batches(random.permutation(len(train)), settings.batch_size)))
        snapshot = _weights_of(layers)
        loss = _log_loss(validation.y, snapshot.logits(validation.z))
        stale_epochs = 0 if loss < lowest_loss else stale_epochs + 1
        if loss < lowest_loss:
            best, lowest_loss = snapshot, loss
        elif stale_epochs >= settings.patience:
            break
    return best


def _layers(tf: Any, width: int, settings: NetworkParameters) -> Any:
    layers = tf.keras.layers
    stacked = [tf.keras.Input((width,))]
    for size in settings.hidden_layer_sizes:
        stacked += [layers.Dense(size, activation="relu"), layers.Dropout(settings.dropout)]
    return tf.keras.Sequential([*stacked, layers.Dense(1)])


def _epoch(tf: Any, layers: Any, train: Samples, settings: NetworkParameters) -> Epoch:
    """Compile one epoch into one graph call, because a Python call per step costs more than the step itself."""
    z, y = tf.constant(train.z), tf.constant(train.y.astype(np.float32))
    adam = tf.keras.optimizers.Adam(settings.learning_rate)
    adam.build(layers.trainable_variables)

    def run(batches: Any) -> None:
        for at in tf.range(tf.shape(batches)[0]):
            rows = batches[at]
            with tf.GradientTape() as tape:
                logits = layers(tf.gather(z, rows), training=True)[:, 0]
                losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.gather(y, rows), logits)
                loss = tf.reduce_mean(losses)
            variables = layers.trainable_variables
            adam.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    compiled: Epoch = tf.function(run)
    return compiled


def _batches(order: Rows, batch: int) -> Rows:
    """Return (steps, batch) row numbers; one batch of all rows if there are fewer than `batch`."""
    size = min(batch, len(order))
    steps = len(order) // size
    return order[: steps * size].reshape(steps, size)


def _weights_of(layers: Any) -> DenseNetwork:
    arrays = [np.array(array, dtype=np.float32) for array in layers.get_weights()]
    return DenseNetwork(weights=tuple(arrays[0::2]), biases=tuple(arrays[1::2]), activation="relu")


def _log_loss(y: Labels, logits: Floats) -> float:
    return float(np.mean(np.logaddexp(0.0, logits) - y * logits))
