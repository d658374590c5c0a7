"""Runs of one model on different cores meet: each goes on from the mean of all of them.

    python -m training meet RUN_DIRECTORY NAME NAME …

Between two meetings every run draws its own batches (another --seed), so that two cores see twice the
sentences: local SGD (Stich, 2019). Stop the runs with SIGTERM, let them meet, and continue each with
--resume. Weights, their averages, Adam's moments and the step become the mean; random numbers and the
place in the data stay each run's own.
"""

import argparse
import os
from pathlib import Path

import torch


def mean(values):
    """The mean of tensors and numbers, through lists and dictionaries of equal shape."""
    first = values[0]
    if isinstance(first, dict):
        return {key: mean([value[key] for value in values]) for key in first}
    if isinstance(first, (list, tuple)):
        return [mean(list(parts)) for parts in zip(*values)]
    if isinstance(first, torch.Tensor) and first.is_floating_point():
        return torch.stack(values).mean(0)
    if isinstance(first, int) and not isinstance(first, bool):
        return sum(values) // len(values)
    return first


def meet(states):
    shared = {key: mean([state[key] for state in states]) for key in ("model", "average", "step")}
    moments = mean([state["optimiser"]["state"] for state in states])
    for state in states:
        optimiser = {**state["optimiser"], "state": moments}
        yield {**state, **shared, "optimiser": optimiser}


def together(run, names):
    paths = [run / name / "last.pt" for name in names]
    states = [torch.load(path, map_location="cpu", weights_only=False) for path in paths]
    for path, state in zip(paths, meet(states)):
        torch.save(state, path.with_name("new.pt"))
        os.replace(path.with_name("new.pt"), path)
    print(f"{' and '.join(names)} met; step {state['step']}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the checkpoints")
    parser.add_argument("names", nargs="+", help="of the runs")
    options = parser.parse_args()
    together(options.run, options.names)


if __name__ == "__main__":
    main()
