"""The only importer of TensorFlow: switches, threads, seeds and determinism."""

import os
import sys
from typing import Any

THREADS = 2
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"}


def load(seed: int) -> Any:
    """Import TensorFlow with Keras 2 as `tf.keras`, deterministic, and reseed all its generators.

    tensorflow-privacy does not support Keras 3, and importing its package needs tensorflow-estimator, which is
    discontinued. Both switches must be set before TensorFlow is imported. oneDNN is off, because its rounding depends
    on the CPU.
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
