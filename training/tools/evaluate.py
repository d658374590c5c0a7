"""Prints BLEU of a model directory on development or test sets.

    python -m training evaluate RUN_DIRECTORY models/transformer --translate target/release/translate

With `--translate` the program itself translates, with the beam of the model's own
generation_config.json. Without it the PyTorch model does, which is what checkpoints are chosen by.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import sacrebleu
import torch
from safetensors.torch import load_file

from ..data.corpus import load_set
from ..data.pair import Pair
from ..data.vocabulary import Vocabulary
from ..models import build
from ..models.search import translate


def load_directory(directory):
    """Our PyTorch model with the exported f16 weights, as f32."""
    config = json.loads((Path(directory) / "config.json").read_text())
    tensors = {
        name: tensor.float()
        for name, tensor in load_file(Path(directory) / "model.safetensors").items()
    }
    if config["model_type"] == "marian":
        model = build("transformer", config)
        tensors["output_bias"] = tensors.pop("final_logits_bias")[0, : model.pad]
    else:
        model = build("gru", {**config, "vocab_size": config["source_vocab_size"]})
    model.load_state_dict(tensors)
    return model.eval(), Path(directory) / config.get("vocabulary", ".")


def with_program(program, directory, sentences, beams):
    command = [program, "--model", str(directory), "--no-progress"]
    if beams:
        command += ["--beam-size", str(beams)]
    text = "".join(sentence + "\n" for sentence in sentences)
    done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\n")[:-1]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="directory with the prepared data")
    parser.add_argument("model", help="model directory")
    parser.add_argument("--translate", help="path of the `translate` program")
    parser.add_argument("--sets", nargs="*", help="default: the development sets")
    parser.add_argument("--tests", action="store_true", help="the test sets too, once per release")
    parser.add_argument("--beam", type=int, help="default: what generation_config.json says")
    parser.add_argument("--length-penalty", type=float)
    parser.add_argument("--sentences", type=int, help="only the first ones of each set")
    parser.add_argument("--save", help="directory for the translations")
    options = parser.parse_args()
    torch.set_num_threads(1)

    pair = Pair.of(options.run)
    sets = pair.development if options.sets is None else options.sets
    generation = json.loads((Path(options.model) / "generation_config.json").read_text())
    beams = options.beam or generation["num_beams"]
    penalty = options.length_penalty
    if penalty is None:
        penalty = generation["length_penalty"]
    if not options.translate:
        model, vocabulary = load_directory(options.model)
        vocabulary = Vocabulary(vocabulary)
    bleu = sacrebleu.BLEU()
    chrf = sacrebleu.CHRF()
    print("| set | sentences | BLEU | chrF | seconds |")
    print("|---|---:|---:|---:|---:|")
    for name in sets + (pair.test if options.tests else []):
        source, reference = load_set(Path(options.run), name)
        source, reference = source[: options.sentences], reference[: options.sentences]
        begun = time.time()
        if options.translate:
            outputs = with_program(options.translate, options.model, source, options.beam)
        else:
            outputs = translate(model, vocabulary, source, beams, penalty)
        seconds = time.time() - begun
        assert len(outputs) == len(source), (len(outputs), len(source))
        score = bleu.corpus_score(outputs, [reference]).score
        letters = chrf.corpus_score(outputs, [reference]).score
        print(
            f"| {name} | {len(source)} | {score:.2f} | {letters:.2f} | {seconds:.0f} |", flush=True
        )
        if options.save:
            Path(options.save).mkdir(parents=True, exist_ok=True)
            text = "".join(output + "\n" for output in outputs)
            (Path(options.save) / f"{name}.{pair.target}").write_text(text, encoding="utf-8")
    print(f"\nbeam {beams}, length penalty {penalty}; {bleu.get_signature()}")


if __name__ == "__main__":
    main()
