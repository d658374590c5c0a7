"""Writes a checkpoint as a model directory that `translate` (and, for the Transformer, Hugging Face) loads.

python -m training export RUN_DIRECTORY/transformer/last.pt models/transformer
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..data.vocabulary import END, UNKNOWN
from ..models import build

MAXIMUM_LENGTH = 256
SPELLINGS = "spellings.txt"
COMMAS = "commas.bin"
# What the models have seen are single, clean sentences.
TEXT_DEFAULTS = {
    "split_sentences": True,
    "normalize": True,
    "capitals": True,
    "spellings": None,
    "protect": "default",
}


def load_model(checkpoints, averaged=True):
    """The model of one checkpoint, or the mean of several."""
    states = [torch.load(path, map_location="cpu", weights_only=False) for path in checkpoints]
    model = build(states[0]["kind"], states[0]["config"])
    sums = None
    for state in states:
        model.load_state_dict(state["model"])
        values = state["average"] if averaged else [p.detach() for p in model.parameters()]
        values = [value.double() for value in values]
        sums = values if sums is None else [a + b for a, b in zip(sums, values)]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), sums):
            parameter.copy_(value / len(states))
    return states[0]["kind"], model.eval()


def languages(checkpoint):
    """What a checkpoint translates from and to. One that does not say is older than other pairs."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)
    return tuple(state.get("languages", ("de", "en")))


def list_of_spellings(source, directory, vocabulary, own):
    """The list of usual spellings as config.json names it, or None. `translate` refuses a name without a file.

    It lies in the vocabulary's directory, or for German in that of the built-in models.
    """
    if own is not None:
        if (Path(own) / SPELLINGS).exists():
            return SPELLINGS
        vocabulary = "../../vocab"
    name = f"{vocabulary}/{SPELLINGS}"
    if source == "de" and (Path(directory) / name).exists():
        return name
    print(f"no {SPELLINGS}: text that was typed carelessly is translated as it is")
    return None


def transformer_tensors(model):
    tensors = {
        name: tensor for name, tensor in model.state_dict().items() if name.startswith("model.")
    }
    # The column of <pad> is zero, as Marian has it: its embedding is never learned.
    bias = torch.zeros(1, model.config["vocab_size"])
    bias[0, : model.pad] = model.output_bias.detach()
    tensors["final_logits_bias"] = bias
    return tensors


def transformer_config(model, vocabulary):
    own = model.config
    return {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "vocab_size": own["vocab_size"],
        "decoder_vocab_size": own["vocab_size"],
        "d_model": own["d_model"],
        "encoder_layers": own["encoder_layers"],
        "decoder_layers": own["decoder_layers"],
        "num_hidden_layers": own["encoder_layers"],
        "encoder_attention_heads": own["encoder_attention_heads"],
        "decoder_attention_heads": own["decoder_attention_heads"],
        "encoder_ffn_dim": own["encoder_ffn_dim"],
        "decoder_ffn_dim": own["decoder_ffn_dim"],
        "activation_function": own["activation_function"],
        "dropout": own["dropout"],
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "max_position_embeddings": own["max_position_embeddings"],
        "scale_embedding": True,
        "normalize_before": False,
        "normalize_embedding": False,
        "static_position_embeddings": True,
        "add_final_layer_norm": False,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        "use_cache": True,
        "init_std": 0.02,
        "eos_token_id": END,
        "forced_eos_token_id": END,
        "pad_token_id": model.pad,
        "decoder_start_token_id": model.pad,
        "torch_dtype": "float16",
        "vocabulary": vocabulary,
        "text_defaults": dict(TEXT_DEFAULTS),
        # The first head of every layer is guided towards alignments; the last layer's knows most.
        "alignment": {"layer": own["decoder_layers"] - 1, "head": 0},
    }


def gru_config(model, vocabulary):
    own = model.config
    return {
        "model_type": "gru-attention",
        "source_vocab_size": own["vocab_size"],
        "target_vocab_size": own["vocab_size"],
        "embedding_dim": own["embedding_dim"],
        "hidden_dim": own["hidden_dim"],
        "eos_token_id": END,
        "pad_token_id": model.pad,
        "decoder_start_token_id": model.pad,
        "unk_token_id": UNKNOWN,
        "source_bos_token_id": None,
        "max_length": MAXIMUM_LENGTH,
        "torch_dtype": "float16",
        "vocabulary": vocabulary,
        "text_defaults": dict(TEXT_DEFAULTS),
    }


def gru_tensors(model):
    tensors = dict(model.state_dict())
    return tensors


def generation_config(model, beams, length_penalty):
    return {
        "decoder_start_token_id": model.pad,
        "eos_token_id": END,
        "forced_eos_token_id": END,
        "pad_token_id": model.pad,
        "bad_words_ids": [[model.pad]],
        "renormalize_logits": True,
        "max_length": MAXIMUM_LENGTH,
        "num_beams": beams,
        "length_penalty": length_penalty,
        "early_stopping": False,
    }


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def export(kind, model, directory, vocabulary, beams, length_penalty, spellings=None, source=None):
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if kind == "transformer":
        tensors, config = transformer_tensors(model), transformer_config(model, vocabulary)
    else:
        tensors, config = gru_tensors(model), gru_config(model, vocabulary)
    if vocabulary is None:
        del config["vocabulary"]
    if spellings is None:
        del config["text_defaults"]["spellings"]
    else:
        config["text_defaults"]["spellings"] = spellings
        # The network for commas and capitals lies beside the list, if there is one.
        commas = spellings.removesuffix(SPELLINGS) + COMMAS
        if (directory / commas).exists():
            config["text_defaults"]["commas"] = commas
    if source == "de":
        config["text_defaults"]["numerals"] = True
    halves = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    save_file(halves, directory / "model.safetensors", metadata={"format": "pt"})
    write_json(directory / "config.json", config)
    write_json(
        directory / "generation_config.json", generation_config(model, beams, length_penalty)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="checkpoints to average, then the directory")
    parser.add_argument("--vocabulary", default="../../vocab", help="as written to config.json")
    parser.add_argument(
        "--with-vocabulary", help="a directory whose files are put beside the weights instead"
    )
    parser.add_argument("--raw", action="store_true", help="last weights instead of their average")
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--length-penalty", type=float, default=1.0)
    options = parser.parse_args()
    kind, model = load_model(options.paths[:-1], not options.raw)
    own = options.with_vocabulary
    vocabulary = options.vocabulary if own is None else None
    directory = options.paths[-1]
    Path(directory).mkdir(parents=True, exist_ok=True)
    source, _ = languages(options.paths[0])
    spellings = list_of_spellings(source, directory, vocabulary, own)
    penalty = options.length_penalty
    export(kind, model, directory, vocabulary, options.beams, penalty, spellings, source)
    for path in sorted(Path(own).iterdir()) if own else []:
        shutil.copy(path, directory)


if __name__ == "__main__":
    main()
