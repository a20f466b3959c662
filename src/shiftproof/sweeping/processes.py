"""Processes: one sweep that several share, such as the hosts of a TPU slice or the tasks of a Slurm job.

Each computes its share of the chunks on its own devices and stores them in a folder that all see. Nothing else is
exchanged than which chunks are missing, so the bytes do not depend on how many processes there are, and one that is
lost costs its unfinished chunks only: the same command with `resume`, by any number of processes, goes on.
"""

import dataclasses

import jax
import numpy as np
from jax.experimental import multihost_utils

from shiftproof.errors import InputError, ResumeError
from shiftproof.sweeping.store import Plan, Store


def join(address: str | None = None, count: int | None = None, index: int | None = None) -> None:
    """Join the other processes; all arguments are found out on a TPU slice and under Slurm or Open MPI.

    Args:
        address: host and port of the first process.
        count: how many there are.
        index: which this is.

    Raises:
        InputError: nothing says who the others are, or they cannot be reached.
    """
    try:
        jax.distributed.initialize(address, count, index)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"the processes could not be joined ({str(error).splitlines()[0]}). Outside of TPU slices, Slurm and Open "
            "MPI give each of them --coordinator HOST:PORT --processes COUNT --process INDEX, before anything is "
            "computed."
        ) from error


@dataclasses.dataclass(frozen=True)
class Crew:
    """This process among those that `jax.distributed.initialize` joined; alone without it.

    Attributes:
        index: of this process; the first one speaks for all.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> "Crew":
        """The crew of this process."""
        return cls(jax.process_index(), jax.process_count())

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.index == 0

    def agree(self, values: np.ndarray) -> np.ndarray:
        """The integers or truths that the first process has, for all."""
        if self.count == 1:
            return values
        told = multihost_utils.broadcast_one_to_all(np.asarray(values, np.int32))
        return np.asarray(told).astype(values.dtype)

    def share(self, indices: np.ndarray) -> np.ndarray:
        """What is left to this process of work that all agree on."""
        return indices[self.index :: self.count]

    def meet(self, place: str) -> None:
        """Wait until all are here."""
        if self.count > 1:
            multihost_utils.sync_global_devices(place)

    def open(self, store: Store | None, plan: Plan, *, resume: bool) -> Plan:
        """The plan that all follow: the first process opens the store, the others join it.

        Raises:
            InputError: several processes, and no folder that they share.
            ResumeError: the folder holds another sweep, or what this process asks differs from what the first one does.
        """
        if store is None:
            if self.count > 1:
                raise InputError(
                    f"a sweep by {self.count} processes needs directory= (--out), a folder that all of them share: "
                    "there each stores the chunks that it finished."
                )
            return plan
        refusal = None
        if self.first:
            try:
                plan = store.open(plan, resume=resume)
            except ResumeError as error:
                refusal = error
        if not self.agree(np.array(refusal is None)):
            raise refusal or ResumeError("the first process refuses the folder, and says why.")
        if not self.first:
            if not store.plan_file.exists():
                raise InputError(
                    f"process {self.index} does not see {store.plan_file}, which the first one wrote: the folder must "
                    "be shared by all processes."
                )
            plan = store.open(plan, resume=True)
        return plan
