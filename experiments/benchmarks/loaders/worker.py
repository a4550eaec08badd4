"""One way of one library in a process of its own: draws patches when told to.

Reads JSON lines from standard input and answers each with one.
"""

import importlib
import json
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    loader = importlib.import_module(f"loaders.{sys.argv[1]}")
    tell(answers, {"version": loader.VERSION, "ways": list(loader.WAYS)})
    batches = None
    for line in sys.stdin:
        order = json.loads(line)
        started = time.perf_counter()
        try:
            if "way" in order:
                batches = loader.WAYS[order["way"]](order["folder"], order["workers"])
                for _ in range(8):
                    next(batches)
                answer = {"seconds": time.perf_counter() - started}
            else:
                drawn = 0
                while time.perf_counter() - started < order["seconds"]:
                    drawn += loader.count(next(batches))
                answer = {"rate": drawn / (time.perf_counter() - started)}
        except Exception as error:  # a way that fails is a row that says so
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        tell(answers, answer)
    if hasattr(batches, "close"):
        batches.close()


def tell(answers, answer) -> None:
    print(json.dumps(answer), file=answers)
    answers.flush()


if __name__ == "__main__":
    main()
