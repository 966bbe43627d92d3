"""DP-SGD: clipping, noise and training, compared with tensorflow-privacy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from include.batch.models import tensorflow
from include.batch.privacy.dp_sgd import noisy_mean, train
from include.batch.privacy.noise import Noise
from include.batch.privacy.users import batch, users
from include.batch.samples import Rows
from include.contracts.errors import TerminalError
from tests.batch.privacy.factories import PRIVATE, mechanism, visits


@pytest.fixture(scope="module")
def tf() -> Any:
    return tensorflow.load(1)


def assign_rows(counts: tuple[int, ...]) -> Rows:
    """Assign rows 0, 1, ... to users with these numbers of visits."""
    each, at = np.array(counts)[:, None], np.arange(max(counts))[None, :]
    return np.where(at < each, np.cumsum(each)[:, None] - each + at, -1)


@pytest.mark.parametrize("clip", [0.3, 1.0, 100.0])
@pytest.mark.parametrize("counts", [(1, 1, 1, 1, 1), (3, 1, 4, 2, 1, 4), (5,)])
def test_clipped_sum_equals_tensorflow_privacy(tf: Any, counts: tuple[int, ...], clip: float) -> None:
    from tensorflow_privacy.privacy.optimizers.dp_optimizer_keras import DPKerasSGDOptimizer  # noqa: PLC0415

    from include.batch.privacy.clip import clipped_sum, forward  # noqa: PLC0415

    random = np.random.default_rng(sum(counts))
    shapes = [(6, 5), (5,), (5, 3), (3,), (3, 1), (1,)]
    weights = [tf.Variable(random.normal(size=shape).astype(np.float32)) for shape in shapes]
    rows = sum(counts)
    z, y = random.normal(size=(rows, 6)).astype(np.float32), (random.random(rows) < 0.5).astype(np.float32)
    drawn = batch(assign_rows(counts))
    owner = tf.constant(drawn.owner)

    sums, norms = clipped_sum(
        weights, tf.constant(z), tf.constant(y), owner, tf.constant(drawn.pairs), len(counts), clip
    )

    theirs = DPKerasSGDOptimizer(
        l2_norm_clip=clip, noise_multiplier=0.0, num_microbatches=len(counts), learning_rate=1.0
    )
    with tf.GradientTape(persistent=True) as tape:
        logit = tf.squeeze(forward(weights, tf.constant(z))[1], 1)
        single = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logit)
        loss = tf.math.segment_sum(single, owner)
    expected = [gradient * len(counts) for gradient, _ in theirs._compute_gradients(loss, weights, tape=tape)]
    for ours, reference in zip(sums, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), reference.numpy(), atol=1e-5, rtol=1e-4)
    assert clip == 100.0 or float(tf.reduce_max(norms)) > clip


def test_clipped_sum_changes_by_at_most_the_clip_per_user(tf: Any) -> None:
    from include.batch.privacy.clip import clipped_sum  # noqa: PLC0415

    random = np.random.default_rng(3)
    weights = [tf.constant(random.normal(size=shape).astype(np.float32)) for shape in [(6, 4), (4,), (4, 1), (1,)]]
    z = (1e3 * random.normal(size=(12, 6))).astype(np.float32)
    y = (random.random(12) < 0.5).astype(np.float32)

    def flat(counts: tuple[int, ...]) -> Any:
        drawn = batch(assign_rows(counts))
        n = sum(counts)
        result, _ = clipped_sum(weights, z[:n], y[:n], drawn.owner, drawn.pairs, len(counts), 0.5)
        return np.concatenate([part.numpy().ravel() for part in result])

    assert np.linalg.norm(flat((4, 3, 5)) - flat((4, 3))) <= 0.5 + 1e-5


def test_clipped_sum_of_an_empty_batch_is_zero(tf: Any) -> None:
    from include.batch.privacy.clip import clipped_sum  # noqa: PLC0415

    none = batch(np.empty((0, 3), np.int64))
    weights = [tf.zeros((2, 1)), tf.zeros(1)]
    sums, norms = clipped_sum(weights, tf.zeros((0, 2)), tf.zeros(0), none.owner, none.pairs, 0, 1.0)
    assert [float(tf.reduce_sum(part)) for part in sums] == [0.0, 0.0]
    assert norms.shape == (0,)


def test_noisy_mean_has_the_accounted_noise() -> None:
    for summary in (mechanism(), mechanism(sigma=6.0), mechanism(clip=0.1)):
        heard = noisy_mean(np.zeros(200_000), Noise(b"n").normal(200_000), summary)
        assert heard.std() == pytest.approx(summary.sigma * summary.clip / (summary.rate * summary.users), rel=0.01)


def test_noisy_mean_divides_by_the_expected_users() -> None:
    assert noisy_mean(np.array([50.0]), np.zeros(1), mechanism(rate=0.1, users=1000)) == [0.5]


def test_users_keep_the_last_visits_of_each_user() -> None:
    result = visits(7, 5)
    data = users(result, 3)

    assert data.visits.shape == (7, 3)
    for row in data.visits:
        own = np.flatnonzero(result.group == result.group[row[0]])
        assert sorted(row) == list(own[-3:])


def test_users_cap_the_visits_of_one_user() -> None:
    result = visits(4000, 3)
    many = replace(result, group=np.where(np.arange(12_000) < 10_000, -1, result.group))
    data = users(many, 8)

    assert len(data) == len(np.unique(many.group))
    assert (data.visits[0] == np.arange(9_999, 9_991, -1)).all()
    assert (data.visits >= 0).sum(axis=1).max() == 8


def test_users_selection_is_independent_of_other_users() -> None:
    result = visits(20, 4)
    retained = {tuple(np.sort(result.z[row, 0])) for row in users(result, 2).visits}
    alone = result.take(np.flatnonzero(result.group == 5))
    assert tuple(np.sort(alone.z[users(alone, 2).visits[0], 0])) in retained


@pytest.mark.parametrize("z", [np.nan, np.inf])
def test_users_with_non_finite_columns_raise(z: float) -> None:
    result = visits(10, 1)
    broken = result.z.copy()
    broken[3, 0] = z
    with pytest.raises(TerminalError, match="not finite"):
        users(replace(result, z=broken), 2)
    with pytest.raises(TerminalError, match="no visit to train"):
        users(result.take(np.empty(0, np.int64)), 2)


def test_train_learns_and_is_deterministic() -> None:
    data = users(visits(1000, 2), PRIVATE.max_sessions_per_user)
    summary = mechanism(sigma=1.0, users=len(data), rate=0.2, steps=60)
    first, again, other = (train(data, summary, PRIVATE, Noise(key), 5) for key in (b"a", b"a", b"b"))
    probe = visits(500, 1, seed=9)

    assert (first.probabilities(probe) == again.probabilities(probe)).all()
    assert not (first.probabilities(probe) == other.probabilities(probe)).any()
    assert first.kind == "private_network"
    assert first.private
    p = first.probabilities(probe)
    assert p[probe.y].mean() > p[~probe.y].mean() + 0.1


def test_train_with_more_noise_has_noisier_weights() -> None:
    data = users(visits(400, 1), 1)

    def weight_distance(sigma: float) -> float:
        summary = mechanism(sigma=sigma, users=400, rate=0.5, steps=10)
        one, two = (train(data, summary, PRIVATE, Noise(key), 5) for key in (b"a", b"b"))
        return float(np.mean([np.abs(a - b).mean() for a, b in zip(one.weights, two.weights, strict=True)]))

    assert weight_distance(100.0) > 1.5 * weight_distance(0.05)


def test_train_with_another_number_of_users_raises() -> None:
    with pytest.raises(TerminalError, match="for 999 users, there are 10"):
        train(users(visits(10, 1), 1), mechanism(users=999), PRIVATE, Noise(b"a"), 5)


def test_initial_output_is_the_public_prior() -> None:
    """Before any training the network predicts the prior, independent of the outcomes."""
    data = users(visits(300, 1), 1)
    still = train(data, mechanism(users=300, steps=1), with_learning_rate(1e-9), Noise(b"a"), 5)
    assert still.biases[-1][0] == pytest.approx(np.log(0.3 / 0.7), abs=1e-5)


def with_learning_rate(learning_rate: float) -> Any:
    import msgspec  # noqa: PLC0415

    return msgspec.structs.replace(PRIVATE, learning_rate=learning_rate)
