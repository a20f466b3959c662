"""Work beside other work: it gives what it gives alone, and ends early where nobody waits for it."""

import threading
import time

import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof import answer
from shiftproof.beside import beside, go_on
from shiftproof.deciding.words import Word


def test_a_result_is_waited_for_and_an_error_is_raised_where_it_is_asked_for() -> None:
    with beside(lambda: 6 * 7) as result:
        assert result() == 42
    with pytest.raises(ZeroDivisionError), beside(lambda: 1 // 0) as result:
        result()


def test_work_of_which_nothing_is_asked_ends_with_its_next_step() -> None:
    steps: list[int] = []
    begun = threading.Event()

    def work() -> None:
        while True:
            go_on()
            steps.append(len(steps))
            begun.set()
            time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt), beside(work):  # noqa: PT012
        begun.wait()
        raise KeyboardInterrupt
    done = len(steps)
    time.sleep(0.02)
    assert done == len(steps) > 0
    assert not [t for t in threading.enumerate() if t.name.startswith("shiftproof-beside")]


def test_where_nothing_is_beside_work_goes_on() -> None:
    go_on()


def test_an_interrupted_explanation_leaves_no_thread_behind(monkeypatch) -> None:
    model = nnx.Conv(1, 2, (3, 3), padding="SAME", rngs=nnx.Rngs(0))
    verdict = sp.verify(model, (16, 16, 1))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(answer, "counterfactuals", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sp.explain(verdict, model, (16, 16, 1))
    assert not [t for t in threading.enumerate() if t.name.startswith("shiftproof-beside")]


@pytest.mark.slow
def test_the_answer_is_that_of_one_thing_after_the_other() -> None:
    model = nnx.Conv(1, 2, (3, 3), padding="SAME", rngs=nnx.Rngs(0))
    verdict = sp.verify(model, (16, 16, 1))
    told = sp.explain(verdict, model, (16, 16, 1))
    for boundary, one in (("scene", told.scene), ("background", told.background)):
        alone = sp.verify(model, (16, 16, 1), boundary=boundary)  # which refutes as well
        words = [v.outputs[0].region.map == Word.PROVED for v in (one, alone)]
        assert words[0].any()
        assert np.array_equal(*words)
