"""The one place that imports TensorFlow: switches, threads, seeds, determinism."""

import os
import sys
from typing import Any

THREADS = 2
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"}


def load(seed: int) -> Any:
    """The tensorflow module, with Keras 2 as `tf.keras`, deterministic, all its generators seeded anew.

    tensorflow-privacy has no Keras 3 support and its package import needs tensorflow-estimator, which is gone;
    both switches must be set before anything imports TensorFlow. oneDNN is off, for it rounds as the machine likes.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.update(_QUIET)
    sys.skip_tf_privacy_import = True  # type: ignore[attr-defined]
    first = "tensorflow" not in sys.modules
    import tensorflow as tf  # noqa: PLC0415 - takes seconds, and only the networks need it

    if first:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(seed % 2**32)
    return tf
