#!/usr/bin/env python3
"""Writes tests/fixtures/models/: small seeded models and what PyTorch and Hugging Face compute with them.

Every model is a directory our program can load (config.json, generation_config.json, model.safetensors, word-list
vocabularies). Beside it stand `expected.json` (sources, search options, hypotheses, scores) and `expected.safetensors`
(logits and attention). The reference runs the weights as reloaded from the directory, in f32, eager attention.

Sources whose hypotheses change when every weight is disturbed by some 1e-6 (near-ties, decided by rounding) are left out.
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, MarianConfig, MarianMTModel

from gru_generation import GruConfig, GruForGeneration
from gru_model import GruAttention

MAX_LENGTH = 32
#: Models `generate()` runs with a cache: Hugging Face's own. The others compute every step from what they carry themselves.
CACHED = "marian", "bart", "mbart", "m2m_100", "pegasus", "fsmt"
#: Models whose sources begin with their first word.
UNSTARTED = *CACHED[2:], "marian", "t5", "mt5", "umt5"


# --- The models -----------------------------------------------------------------------------------------------------


def special_ids(config):
    keys = "pad_token_id", "eos_token_id", "bos_token_id", "decoder_start_token_id"
    return {getattr(config, key, None) for key in keys}


def source_size(config):
    return getattr(config, "src_vocab_size", None) or config.vocab_size


def target_size(config):
    return getattr(config, "decoder_vocab_size", None) or config.vocab_size


def random_source(config, length: int):
    """Random words and a sentence end; where the model was so trained, a start before them."""
    words = [i for i in range(source_size(config)) if i not in special_ids(config)]
    picks = [words[k] for k in torch.randint(len(words), (length,)).tolist()]
    starts = getattr(config, "add_source_bos", config.model_type not in UNSTARTED)
    return ([config.bos_token_id] if starts else []) + picks + [config.eos_token_id]


def noisy_translation(config, source):
    """A made-up language: every word has its word, every third one two; now and then a word is lost or another."""
    words = [i for i in range(target_size(config)) if i not in special_ids(config)]
    target = []
    for token in source:
        chance = torch.rand(()).item()
        if token in special_ids(config) or chance < 0.1:
            continue
        target.append(words[(5 * token + 3) % len(words)] if chance < 0.8 else words[int(chance * 999) % len(words)])
        if token % 3 == 0:
            target.append(words[(7 * token + 1) % len(words)])
    return target + [config.eos_token_id]


def made_up_pairs(config, count: int = 32):
    sources = [random_source(config, length) for length in torch.randint(1, 16, (count,)).tolist()]
    return sources, [noisy_translation(config, source) for source in sources]


def train(model, forward, steps: int, rate: float, pairs=made_up_pairs):
    """A few hundred steps on the made-up language: enough for varied outputs of varied length that depend on the source,
    far too few for certainty, so that beams differ from each other."""
    config = model.config
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        sources, targets = pairs(config)
        fed = batch(model, [[config.decoder_start_token_id] + target[:-1] for target in targets])
        wanted = batch(model, targets)
        logits = forward(batch(model, sources), fed["input_ids"])
        real = wanted["attention_mask"].bool()
        loss = torch.nn.functional.cross_entropy(logits[real], wanted["input_ids"][real])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    print(f"  trained {steps} steps, loss {loss.item():.2f}")
    return model


def make_marian(directory: Path, seed: int, steps: int = 200, bias: float = 0.0, generation: dict = {}, **config):
    torch.manual_seed(seed)
    size = config.get("decoder_vocab_size", config["vocab_size"])
    config = dict(
        d_model=32, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
        encoder_layers=2, decoder_layers=2, max_position_embeddings=64, scale_embedding=True, dropout=0.0,
        pad_token_id=size - 1, decoder_start_token_id=size - 1, eos_token_id=0, forced_eos_token_id=0, bos_token_id=0,
        activation_function="relu",
    ) | config  # fmt: skip
    config["init_std"] = 0.15
    model = MarianMTModel(MarianConfig(**config)).eval()
    with torch.no_grad():
        model.final_logits_bias.normal_(0, bias) if bias else None
        model.final_logits_bias[0, config["pad_token_id"]] = 0
    train(model, lambda inputs, fed: model(**inputs, decoder_input_ids=fed, use_cache=False).logits, steps, 3e-3)
    pad, eos = model.config.pad_token_id, model.config.eos_token_id
    model.generation_config = GenerationConfig(
        max_length=MAX_LENGTH, num_beams=4, pad_token_id=pad, eos_token_id=eos, decoder_start_token_id=pad,
        forced_eos_token_id=eos, bad_words_ids=[[pad]], **generation,
    )  # fmt: skip
    model.save_pretrained(directory)
    return MarianMTModel.from_pretrained(directory, attn_implementation="eager").eval()


def make_gru(directory: Path, seed: int, steps: int = 200):
    torch.manual_seed(seed)
    config = GruConfig(vocab_size=60, decoder_vocab_size=50, embedding_size=16, hidden_size=24,
                       unk_token_id=0, pad_token_id=1, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2)  # fmt: skip
    sizes = config.vocab_size, config.decoder_vocab_size, config.embedding_size, config.hidden_size
    network = GruAttention(*sizes).eval()
    wrapper = GruForGeneration(config, network)
    train(wrapper, lambda inputs, fed: wrapper(**inputs, decoder_input_ids=fed).logits, steps, 1e-2)
    directory.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), directory / "model.safetensors")
    generation = GenerationConfig(
        max_length=MAX_LENGTH, num_beams=4, pad_token_id=1, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2,
        forced_eos_token_id=3, bad_words_ids=[[1], [2]], renormalize_logits=True,
    )  # fmt: skip
    generation.save_pretrained(directory)
    description = dict(
        model_type="gru-attention", source_vocab_size=sizes[0], target_vocab_size=sizes[1], embedding_dim=sizes[2],
        hidden_dim=sizes[3], unk_token_id=0, pad_token_id=1, source_bos_token_id=2, eos_token_id=3,
        decoder_start_token_id=2,
    )  # fmt: skip
    (directory / "config.json").write_text(json.dumps(description, indent=2) + "\n")

    network = GruAttention(*sizes).eval()
    network.load_state_dict(load_file(directory / "model.safetensors"))
    model = GruForGeneration(config, network).eval()
    model.generation_config = generation
    return model


def write_vocabularies(model, directory: Path):
    """A word list for each side: line number (from 0) = id."""
    config = model.config
    special = {"unk_token_id": "<unk>", "pad_token_id": "<pad>", "bos_token_id": "<sos>", "eos_token_id": "<eos>"}
    if config.model_type == "marian":
        special = {"pad_token_id": "<pad>", "eos_token_id": "</s>"}
    elif config.model_type == "bart" or config.model_type in UNSTARTED:
        special = {"bos_token_id": "<s>", "pad_token_id": "<pad>", "eos_token_id": "</s>"}
    names = {getattr(config, key, None): name for key, name in special.items()}
    if "<unk>" not in names.values():
        names[next(i for i in range(9) if i not in names)] = "<unk>"
    for side, size in ("source", source_size(config)), ("target", target_size(config)):
        words = [names.get(i, f"w{i:03}") for i in range(size)]
        (directory / f"{side}_vocab.txt").write_text("\n".join(words) + "\n")


# --- Running them ---------------------------------------------------------------------------------------------------


def batch(model, sources):
    """Pads on the right: ids [B, S], mask [B, S]."""
    width = max(map(len, sources))
    pad = model.config.pad_token_id
    ids = torch.tensor([source + [pad] * (width - len(source)) for source in sources])
    return dict(input_ids=ids, attention_mask=torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sources]))


def trim(model, sequence):
    """Generated ids without the start token, up to and including the sentence end."""
    tokens = sequence.tolist()[1:]
    eos = model.config.eos_token_id
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens


@torch.inference_mode()
def search(model, sources, options, batch_size=32, attention=False):
    """One list of hypotheses (`tokens`, `score`, on request `cross` [layers, heads, T, S]) for each source."""
    settings = GenerationConfig(**(model.generation_config.to_diff_dict() | options), do_sample=False,
                                use_cache=model.config.model_type in CACHED,
                                num_return_sequences=options["num_beams"], return_dict_in_generate=True,
                                output_scores=True, output_logits=True, output_attentions=attention)  # fmt: skip
    # generate() fills what is None from the model's own settings; here None means none.
    kept, model.generation_config = model.generation_config, settings
    try:
        return [h for start in range(0, len(sources), batch_size)
                for h in search_batch(model, sources[start : start + batch_size], settings, attention)]  # fmt: skip
    finally:
        model.generation_config = kept


def search_batch(model, sources, settings, attention):
    results = []
    out = model.generate(**batch(model, sources), generation_config=settings)
    beams = settings.num_beams
    for b, source in enumerate(sources):
        hypotheses = []
        for row in range(b * beams, (b + 1) * beams):
            if beams > 1 and out.sequences_scores[row] < -1e8:
                continue  # a free place: fewer than num_beams hypotheses were finished
            tokens = trim(model, out.sequences[row])
            rows = [row] * len(tokens)
            if beams > 1:
                rows = [r for r in out.beam_indices[row].tolist() if r >= 0]
                tokens = tokens[: len(rows)]
                score = out.sequences_scores[row].item()
            else:
                score = greedy_score(model, out, row, tokens, settings)
            hypothesis = dict(tokens=tokens, score=round_significant(score))
            if attention:
                steps = [[layer[r, :, -1, : len(source)] for layer in out.cross_attentions[t]] for t, r in enumerate(rows)]
                hypothesis["cross"] = torch.stack([torch.stack(s) for s in steps], dim=2).contiguous()
            hypotheses.append(hypothesis)
        results.append(hypotheses)
    return results


def greedy_score(model, out, row, tokens, settings):
    """The score beam search would give: HF reports none for `num_beams=1`. Sum of log-probabilities / length^penalty."""
    total = 0.0
    banned = [word[0] for word in settings.bad_words_ids or []]
    for t, token in enumerate(tokens):
        log_probs = out.logits[t][row].float().log_softmax(-1)
        log_probs[banned] = float("-inf")
        if settings.min_length and t + 1 < settings.min_length:
            log_probs[settings.eos_token_id] = float("-inf")
        if settings.forced_bos_token_id is not None and t == 0:
            log_probs[:] = float("-inf")
            log_probs[settings.forced_bos_token_id] = 0
        if settings.renormalize_logits:
            log_probs = log_probs.log_softmax(-1)
        if settings.forced_eos_token_id is not None and t + 1 == settings.max_length - 1:
            log_probs[token] = 0
        total += log_probs[token].item()
    return total / len(tokens) ** (1.0 if settings.length_penalty is None else settings.length_penalty)


@torch.inference_mode()
def force(model, sources, targets):
    """Teacher forcing: for each pair logits [T, V], cross [L, H, T, S] and (Transformer) encoder and decoder attention."""
    inputs = batch(model, sources)
    start = model.config.decoder_start_token_id
    shifted = [[start] + target[:-1] for target in targets]
    fed = batch(model, shifted)["input_ids"]
    out = model(**inputs, decoder_input_ids=fed, output_attentions=True, use_cache=False)
    results = []
    for b, (source, target) in enumerate(zip(sources, targets)):
        s, t = len(source), len(target)
        arrays = dict(logits=out.logits[b, :t], cross=torch.stack([a[b, :, :t, :s] for a in out.cross_attentions]))
        if out.encoder_attentions is not None:
            arrays["encoder"] = torch.stack([a[b, :, :s, :s] for a in out.encoder_attentions])
            arrays["decoder"] = torch.stack([a[b, :, :t, :t] for a in out.decoder_attentions])
        results.append({name: array.float().contiguous().clone() for name, array in arrays.items()})
    return results


# --- What is written ------------------------------------------------------------------------------------------------


def variants(model, beams, all_count, some_count):
    """(name, options, number of sources)."""
    pad = model.config.pad_token_id
    for beam in beams:
        yield f"beam_{beam}", dict(num_beams=beam), all_count
    for name, options in dict(
        length_penalty_0=dict(length_penalty=0.0),
        length_penalty_0_6=dict(length_penalty=0.6),
        length_penalty_1_4=dict(length_penalty=1.4),
        early_stopping=dict(early_stopping=True),
        early_stopping_never=dict(early_stopping="never"),
        min_length_5=dict(min_length=5),
        max_length_8=dict(max_length=8),
        max_length_8_unforced=dict(max_length=8, forced_eos_token_id=None),
        not_renormalized=dict(renormalize_logits=False),
        renormalized=dict(renormalize_logits=True),
        pad_allowed=dict(bad_words_ids=None, renormalize_logits=False),
        pad_and_word_banned=dict(bad_words_ids=[[pad], [7]]),
    ).items():
        yield name, dict(num_beams=4) | options, some_count
    for name, options in dict(
        greedy_min_length_5=dict(min_length=5),
        greedy_max_length_8=dict(max_length=8),
        greedy_max_length_8_unforced=dict(max_length=8, forced_eos_token_id=None),
    ).items():
        yield name, dict(num_beams=1) | options, some_count


def random_sources(model, count):
    """Sentences of 1 to 25 pieces, all lengths alike."""
    return [random_source(model.config, 1 + (i * 7) % 25) for i in range(count)]


def tokens_of(results):
    return [[hypothesis["tokens"] for hypothesis in hypotheses] for hypotheses in results]


def stable_sources(model, candidates, beams):
    """Drops the sources with a near-tie: those whose hypotheses change when the weights are disturbed."""
    plans = [options for _, options, _ in variants(model, beams, 0, 0)]
    plain = [tokens_of(search(model, candidates, options)) for options in plans]
    keep = set(range(len(candidates)))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in range(2):
        disturbed = {n: t * (1 + 2e-6 * torch.randn_like(t)) if "embed_positions" not in n else t for n, t in state.items()}
        model.load_state_dict(disturbed)
        for options, before in zip(plans, plain):
            after = tokens_of(search(model, candidates, options))
            keep -= {i for i in keep if before[i] != after[i]}
    model.load_state_dict(state)
    return [candidates[i] for i in sorted(keep)]


def round_significant(value):
    return float(f"{value:.7g}")


def check(model, sources):
    """The reference must not depend on the batch: single sentences equal padded batches."""
    for beam in 1, 4:
        together = search(model, sources, dict(num_beams=beam), batch_size=len(sources), attention=True)
        alone = search(model, sources, dict(num_beams=beam), batch_size=1, attention=True)
        assert tokens_of(together) == tokens_of(alone), "a sentence's result depends on its batch"
        for source, one, other in zip(sources, together, alone):
            for a, b in zip(one, other):
                assert abs(a["score"] - b["score"]) < 1e-5
                assert torch.allclose(a["cross"], b["cross"], atol=1e-5)
                forced = force(model, [source], [a["tokens"]])[0]
                assert torch.allclose(a["cross"], forced["cross"], atol=1e-5), "beam attention is not the forced one"
                assert torch.allclose(a["cross"].sum(-1), torch.ones(()), atol=1e-5)


def report(name, searches):
    for label, results in searches.items():
        best = [hypotheses[0]["tokens"] for hypotheses in results]
        lengths = sorted(map(len, best))
        same = len(best) - len({tuple(b) for b in best})
        changed = sum(b != o[0]["tokens"] for b, o in zip(best, searches["beam_1"]))
        print(f"{name:>18} {label:<28} lengths {lengths[0]}..{lengths[len(lengths) // 2]}..{lengths[-1]}"
              f"  repeated {same}  not greedy {changed}/{len(best)}")  # fmt: skip


def write(model, directory: Path, beams, count, some, forced_count):
    write_vocabularies(model, directory)
    candidates = random_sources(model, count * 6 // 5)
    sources = stable_sources(model, candidates, beams)
    print(f"{directory.name}: {len(candidates) - len(sources)} of {len(candidates)} candidates have near-ties")
    assert len(sources) >= count
    sources = sources[:count]
    check(model, sources[: min(count, 24)])

    tensors, searches, listing = {}, {}, []
    for label, options, number in variants(model, beams, count, some):
        with_attention = label in ("beam_1", "beam_4")
        results = search(model, sources[:number], options, attention=with_attention)
        searches[label] = results
        for index, hypotheses in enumerate(results):
            for rank, hypothesis in enumerate(hypotheses):
                cross = hypothesis.pop("cross", None)
                if cross is not None and index < forced_count and rank < 2:
                    tensors[f"{label}.{index}.{rank}.cross"] = cross
        shown = [[[h["tokens"], h["score"]] for h in hypotheses] for hypotheses in results]
        listing.append(dict(name=label, options=options, hypotheses=shown))
    report(directory.name, searches)

    # Targets under teacher forcing: what the model says itself for half of them, random pieces for the others.
    size = target_size(model.config)
    targets = []
    for i in range(forced_count):
        random_target = torch.randint(4, size - 2, (1 + (i * 5) % 13,)).tolist() + [model.config.eos_token_id]
        targets.append(searches["beam_4"][i][0]["tokens"] if i % 2 == 0 else random_target)
    for index, arrays in enumerate(force(model, sources[:forced_count], targets)):
        tensors |= {f"forced.{index}.{kind}": array for kind, array in arrays.items()}
        total = sum(arrays["logits"].log_softmax(-1)[t, token] for t, token in enumerate(targets[index]))
        targets[index] = dict(tokens=targets[index], log_prob=round_significant(total.item()))

    save_file(tensors, directory / "expected.safetensors")
    defaults = model.generation_config
    base = dict(length_penalty=1.0, early_stopping=False, min_length=0, max_length=MAX_LENGTH,
                renormalize_logits=bool(defaults.renormalize_logits), bad_words_ids=defaults.bad_words_ids,
                forced_eos_token_id=defaults.forced_eos_token_id)  # fmt: skip
    if defaults.forced_bos_token_id is not None:
        base["forced_bos_token_id"] = defaults.forced_bos_token_id
    lines = [f'"sources": {json.dumps(sources, separators=(",", ":"))}']
    lines.append(f'"forced": {json.dumps(targets, separators=(",", ":"))}')
    rows = [json.dumps(entry | dict(options=base | entry["options"]), separators=(",", ":")) for entry in listing]
    lines.append('"searches": [\n' + ",\n".join(rows) + "\n]")
    (directory / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read_arguments(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "models")
    parser.add_argument("--only", help="one model by name")
    return parser.parse_args()


def write_all(plans, arguments):
    """Of every plan (or the one asked for): a function that makes the model in a directory, and the sizes `write` takes."""
    torch.set_num_threads(1)
    for name, (make, *sizes) in plans.items():
        if arguments.only in (None, name):
            directory = arguments.out / name
            shutil.rmtree(directory, ignore_errors=True)
            write(make(directory), directory, *sizes)


def main():
    arguments = read_arguments(__doc__)
    renormalize = dict(renormalize_logits=True)
    separate = dict(vocab_size=60, decoder_vocab_size=52, share_encoder_decoder_embeddings=False)
    plans = {
        "gru": (lambda d: make_gru(d, 1), (1, 2, 3, 4, 5, 8), 110, 40, 12),
        "marian_relu": (
            lambda d: make_marian(d, 2, vocab_size=64, generation=renormalize), (1, 2, 3, 4, 5, 8), 110, 40, 12),
        "marian_swish_untied": (
            lambda d: make_marian(d, 3, encoder_layers=3, decoder_layers=1, activation_function="swish",
                                  tie_word_embeddings=False, eos_token_id=5, forced_eos_token_id=5, **separate),
            (1, 4, 5), 25, 25, 4),
        "marian_gelu_bias": (
            lambda d: make_marian(d, 4, bias=0.7, activation_function="gelu", encoder_layers=1, vocab_size=64,
                                  encoder_attention_heads=2, decoder_attention_heads=8), (1, 4, 5), 25, 25, 4),
        "marian_unscaled": (
            lambda d: make_marian(d, 5, scale_embedding=False, encoder_ffn_dim=48, decoder_ffn_dim=96,
                                  **separate), (1, 4, 5), 25, 25, 4),
    }  # fmt: skip
    write_all(plans, arguments)


if __name__ == "__main__":
    main()
