"""Simulations in blocks: in order, alike on any number of processes, with an estimate of the time."""

from functools import partial

from pycaffe_ext.evaluation.trials import Block, run


def power(of, number):
    return of**number


BLOCKS = [Block("two", partial(power, 2), 4), Block("three", partial(power, 3), 1), Block("five", partial(power, 5), 3)]


def test_blocks_come_whole_and_in_order_of_their_repetitions():
    for workers in (1, 2):
        found = {block.title: results for block, results in run(BLOCKS, "powers", workers, progress=False)}
        assert found == {"two": [1, 2, 4, 8], "three": [1], "five": [1, 5, 25]}


def test_the_time_that_is_left_is_said_as_soon_as_each_world_was_drawn_once(capsys):
    list(run(BLOCKS, "powers", 1))
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("powers: 3 worlds, 0.0 minutes so far, about ") for line in lines) == 1
    assert all(any(f"powers: {block.title} done, " in line for line in lines) for block in BLOCKS)
