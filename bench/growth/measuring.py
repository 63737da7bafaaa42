"""Measure everything with books of each length. Imported when Django is set up."""

import time
from collections.abc import Sequence

from bench import consumption, machine, surroundings
from bench.growth import books, commands, reads, starting
from bench.growth.report import Growth, Measured
from foundation.database.patience import patient


def growth(lengths: Sequence[int], *, times: int, seconds: float) -> Growth:
    """Measure with books of these lengths, the shortest first; reads `times` times, charges for `seconds`."""
    facts, steps = machine.facts(), starting.steps()
    sizes = [_measured(str(entries), entries, times, seconds) for entries in lengths]
    again = None
    if len(sizes) > 1:
        again = _measured("again", lengths[0], times, seconds, with_commands=False)
    return Growth(sizes, again, steps, facts)


def _measured(name: str, entries: int, times: int, seconds: float, *, with_commands: bool = True) -> Measured:
    began = time.perf_counter()
    books.write(entries)
    writing_seconds = time.perf_counter() - began
    runs = {title: commands.run(each) for title, each in commands.COMMANDS.items()} if with_commands else {}
    with surroundings.web_server() as address:
        with patient():
            reader = reads.Reader(address, entries, name)
        milliseconds = reader.read(times) | reader.charge(seconds)
        workers = [each for pid in consumption.web_workers() if (each := consumption.memory(pid))]
    return Measured(entries, writing_seconds, milliseconds, runs, workers)
