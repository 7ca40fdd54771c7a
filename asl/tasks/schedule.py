"""How the learning rate goes: a linear warm-up, then one cosine or several."""

import math
from typing import List


class WarmupCosine:
    """Learning-rate factor of an optimiser step: linear warm-up from 0, then a cosine to ``floor``, or several.

    With more than one cycle the factor starts again from 1 after each of them (Loshchilov and Hutter 2017, SGDR:
    stochastic gradient descent with warm restarts). The cycles fill what the warm-up leaves, so that the last one
    ends at ``floor`` when training ends; the first lasts ``steps * (growth - 1) / (growth ** cycles - 1)``.

    Args:
        warmup_steps: steps of the warm-up; at most half of ``total_steps`` are used.
        total_steps: optimiser steps of the whole training.
        cycles: cosines.
        growth: of a cycle's length from one to the next (the paper's ``T_mult``).
        floor: factor in which each cosine ends.
    """

    def __init__(
        self, warmup_steps: int, total_steps: int, cycles: int = 1, growth: float = 1.0, floor: float = 0.0
    ) -> None:
        self.floor = floor
        self.total = max(total_steps, 1)
        self.warmup = min(warmup_steps, self.total // 2)
        shares = [growth**i for i in range(cycles)]
        self.ends: List[float] = []
        for share in shares:
            before = self.ends[-1] if self.ends else float(self.warmup)
            self.ends.append(before + share / sum(shares) * (self.total - self.warmup))
        self.ends[-1] = float(self.total)

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        if step >= self.total:
            return self.floor
        begin = float(self.warmup)
        for end in self.ends:
            if step < end:
                cosine = 0.5 * (1 + math.cos(math.pi * ((step - begin) / max(end - begin, 1))))
                return self.floor + (1 - self.floor) * cosine
            begin = end
        return self.floor
