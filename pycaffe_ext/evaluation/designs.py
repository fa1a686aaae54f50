"""What a net is trained and tested with once: a seed, or one fold of a seed."""

from __future__ import annotations

MOST_FOLDS = 1000


class Trial(int):
    """A seed or a fold of one; the key of a study's runs and figures.

    It is the seed's number where there are no folds, else seed * (MOST_FOLDS + 1) + fold, and is written as "3" or
    "3 fold 2".   folds : how many, of which `fold` is one, from 1; None without folds.   split : the seed that the
    split (which groups are trained and tested on, or in which fold) was drawn with.
    """

    seed: int
    split: int
    fold: int | None
    folds: int | None

    def __new__(cls, seed: int, split: int | None = None, fold: int | None = None, folds: int | None = None) -> Trial:
        trial = super().__new__(cls, seed if fold is None else seed * (MOST_FOLDS + 1) + fold)
        trial.seed, trial.fold, trial.folds = seed, fold, folds
        trial.split = seed if split is None else split
        return trial

    def __str__(self) -> str:
        return str(self.seed) if self.fold is None else f"{self.seed} fold {self.fold}"

    __repr__ = __str__

    def __format__(self, form: str) -> str:
        return format(str(self), form)
