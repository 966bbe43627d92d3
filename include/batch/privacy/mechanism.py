"""The mechanism: one object that configures both the private training and its accounting."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import dp_accounting
import msgspec
from msgspec import Meta, Struct

from include.batch.privacy import accountant
from include.contracts.errors import SettingsError, TerminalError

RATE_DIGITS = 3
SIGMA_STEP = 1e-3
MAX_SIGMA, MIN_SIGMA = 1024.0, 0.02
"""Range of the search for the noise multiplier."""
Positive = Annotated[float, Meta(gt=0)]


class Mechanism(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`steps` Poisson-sampled Gaussian mechanisms over users (Abadi et al., "Deep Learning with DP", CCS 2016).

    At each step every one of `users` users is sampled with probability `rate`; the user's clipped contribution has a
    norm of at most `clip`; Gaussian noise with standard deviation `sigma` x `clip` is added to the sum. The release is
    (epsilon, `delta`)-differentially private for one user more or less, with all visits.
    """

    sigma: Positive
    clip: Positive
    rate: Annotated[float, Meta(gt=0, le=1)]
    steps: Annotated[int, Meta(ge=1)]
    delta: Annotated[float, Meta(gt=0, lt=1)]
    users: Annotated[int, Meta(ge=1)]
    unit: Literal["user"] = "user"
    adjacency: Literal["add or remove one user"] = "add or remove one user"
    sampling: Literal["poisson"] = "poisson"
    accountant: Literal["PLD"] = "PLD"

    def __post_init__(self) -> None:
        numbers = (self.sigma, self.clip, self.rate, self.delta)
        if not all(math.isfinite(number) for number in numbers):
            raise SettingsError(
                f"the mechanism {numbers} has a number that is not finite",
                "correct the section private of parameters.yaml",
            )
        if min(self.sigma, self.clip, self.rate, self.delta, self.steps, self.users) <= 0 or self.rate > 1:
            raise SettingsError(
                f"the mechanism {numbers} has a number outside its range",
                "correct the section private of parameters.yaml",
            )

    @property
    def expected_users(self) -> float:
        """Expected users of a step: the divisor of the noisy sum."""
        return self.rate * self.users

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on each coordinate of a step's sum."""
        return self.sigma * self.clip


class Request(Struct, frozen=True, kw_only=True):
    """Requirements of a mechanism: `expected_users` of `users` users per step, within (epsilon, delta)."""

    epsilon: float
    delta: float
    users: int
    expected_users: int
    steps: int
    clip: float


def calibrate(request: Request) -> Mechanism:
    """Find the mechanism with the least noise that meets the request.

    The noise is rounded up to a multiple of 0.001. The sampling rate is rounded to three
    digits, so that runs with similar numbers of users compose as equal mechanisms.

    Raises:
        SettingsError: delta is not below 1 / users, or no noise achieves epsilon.
    """
    if request.users < 1 or request.delta >= 1 / request.users:
        raise SettingsError(
            f"delta {request.delta:g} is too large for {request.users} users",
            "set private.delta below 1 / users, and give a window with users",
        )
    rate = float(f"{min(1.0, request.expected_users / request.users):.{RATE_DIGITS}g}")

    def with_sigma(sigma: float) -> Mechanism:
        return Mechanism(
            sigma=sigma,
            clip=request.clip,
            rate=rate,
            steps=request.steps,
            delta=request.delta,
            users=request.users,
        )

    upper_sigma = _bracket(lambda sigma: accountant.epsilon(with_sigma(sigma)) <= request.epsilon)
    if upper_sigma is None:
        raise SettingsError(
            f"no noise achieves epsilon {request.epsilon:g} at delta {request.delta:g} over {request.steps} steps",
            "raise private.epsilon, or lower private.steps or private.users_per_step",
        )
    sigma = dp_accounting.calibrate_dp_mechanism(
        accountant.new_accountant,
        lambda noise: accountant.event(with_sigma(noise)),
        request.epsilon,
        request.delta,
        dp_accounting.ExplicitBracketInterval(upper_sigma / 2.0, upper_sigma),
        tol=SIGMA_STEP / 2,
    )
    calibrated = with_sigma(_round_up(sigma))
    while accountant.epsilon(calibrated) > request.epsilon:
        calibrated = with_sigma(_round_up(calibrated.sigma + SIGMA_STEP))
    return calibrated


def decode(document: object) -> Mechanism:
    """Decode a mechanism from the output of `msgspec.to_builtins`.

    Raises:
        TerminalError: the document is not a mechanism.
    """
    try:
        return msgspec.convert(document, Mechanism)
    except (msgspec.ValidationError, SettingsError) as error:
        raise TerminalError(
            f"a charged release has no readable mechanism ({error})",
            "correct the entry in the collection privacy; the spent budget is unknown without it",
        ) from error


def _bracket(is_sufficient: Callable[[float], bool]) -> float | None:
    """Return the smallest sufficient value of MAX_SIGMA, MAX_SIGMA / 2, ...

    The search descends, because accounting is slow for small noise.
    """
    sigma, smallest = MAX_SIGMA, None
    while sigma > MIN_SIGMA and is_sufficient(sigma):
        sigma, smallest = sigma / 2.0, sigma
    return smallest


def _round_up(sigma: float) -> float:
    return round(math.ceil(sigma / SIGMA_STEP) * SIGMA_STEP, 6)
