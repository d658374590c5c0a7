"""C beside Python: compiles a file of this directory when it is wanted, and loads it."""

import ctypes
import subprocess
import tempfile
from pathlib import Path


def compile_c(name, signatures):
    """The library of `name`. `signatures` has the types that a function takes, and of one that returns something a pair of
    them and of what it returns. Needs a C compiler."""
    with tempfile.TemporaryDirectory() as directory:
        binary = Path(directory) / "library.so"
        source = Path(__file__).with_name(name)
        flags = ["-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, "-o", binary, source, "-lm"], check=True)
        library = ctypes.CDLL(binary)
    for function, types in signatures.items():
        takes, returns = types if isinstance(types, tuple) else (types, None)
        getattr(library, function).argtypes = takes
        getattr(library, function).restype = returns
    return library
