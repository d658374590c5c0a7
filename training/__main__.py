"""Runs a command of this package: `python -m training corpus …`. Alone it lists the commands."""

import ast
import importlib
import sys
from pathlib import Path


def commands():
    """Each module with a `main`: its name in the package, and what its docstring begins with.

    Read and not imported: PyTorch takes seconds to load.
    """
    found = {}
    for room in ("data", "tools"):
        for path in sorted((Path(__file__).parent / room).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if any(isinstance(part, ast.FunctionDef) and part.name == "main" for part in tree.body):
                about = ast.get_docstring(tree).splitlines()[0]
                found[path.stem] = f"{__package__}.{room}.{path.stem}", about
    return found


def main():
    known = commands()
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in known:
        lines = "".join(f"  {name:<12}{about}\n" for name, (_, about) in known.items())
        print(f"usage: python -m training COMMAND …\n\n{lines}\nCOMMAND --help says more.")
        raise SystemExit(0 if name in (None, "--help", "-h") else 2)
    sys.argv = [f"python -m training {name}", *sys.argv[2:]]
    importlib.import_module(known[name][0]).main()


if __name__ == "__main__":
    main()
