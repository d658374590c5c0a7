"""Exports a Marian directory for ONNX Runtime: `make_onnx.py MARIAN OUT float32|int8`, with `optimum-onnx` installed.

int8 is dynamic quantisation of every matrix product, a scale for each column, as Optimum recommends for processors with VNNI.
"""

import shutil
import sys
from pathlib import Path


def main() -> None:
    marian, out, precision = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from optimum.onnxruntime import ORTModelForSeq2SeqLM

    exported = out if precision == "float32" else out.with_name(out.name + ".float32")
    # Two decoders, for the first step and for the others, in place of one with a branch, which could not be quantised.
    ORTModelForSeq2SeqLM.from_pretrained(marian, export=True, use_merged=False).save_pretrained(exported)
    if precision == "float32":
        return
    out.mkdir(parents=True, exist_ok=True)
    for file in exported.iterdir():
        if file.suffix == ".onnx":
            quantize_dynamic(file, out / file.name, per_channel=True, weight_type=QuantType.QInt8)
        elif file.suffix == ".json":
            shutil.copyfile(file, out / file.name)
    shutil.rmtree(exported)


if __name__ == "__main__":
    main()
