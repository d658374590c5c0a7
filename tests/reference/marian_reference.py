#!/usr/bin/env python3
"""Writes tests/fixtures/marian/: tiny models in Marian's own formats, and what a plain reference translates with them.

    marian_reference.py [--out DIRECTORY] [--only NAME]

Each directory holds `model.npz` or `model.bin` with the options inside (`special:model.yml`), the vocabularies, and
`expected.json`: the `lines` to translate (pieces with spaces between them, or text where there is a SentencePiece model), and
`runs` of the program over all of them, each with its `arguments`, and of each line the `text` and the `score`.

The reference is written from the published description of the formats and of the network (docs of Marian; Vaswani et al. 2017,
Kim et al. 2019, Zhang et al. 2018), in f64, without any cache: the whole prefix is computed anew for every token. Each model is
trained with it for some seconds, so that its outputs are not all alike. The search is
Marian's: a finished hypothesis narrows the beam, `<unk>` does not exist, the score is the sum of log-probabilities over
length^alpha. Lines on which the weights in f32 and disturbed by 1e-6 give something else (ties) are left out.
"""
import argparse
import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import sentencepiece
import torch

from sentencepiece_reference import sentences

LINES = 12
#: Most tokens a translation, sentence end included.
LENGTH = 14
#: Marian's.
EPSILON = 1e-6

DEFAULTS = {
    "type": "transformer", "dim-emb": 16, "enc-depth": 2, "dec-depth": 2, "transformer-heads": 2, "transformer-dim-ffn": 24,
    "transformer-ffn-depth": 2, "transformer-ffn-activation": "swish", "transformer-preprocess": "",
    "transformer-postprocess": "dan", "transformer-postprocess-emb": "d", "transformer-postprocess-top": "",
    "transformer-decoder-autoreg": "self-attention", "transformer-no-projection": False, "transformer-tied-layers": [],
    "transformer-guided-alignment-layer": "last", "transformer-train-position-embeddings": False,
    "transformer-aan-depth": 2, "transformer-aan-activation": "swish", "transformer-dim-aan": 20, "transformer-aan-nogate": False,
    "dec-cell": "ssru", "tied-embeddings-all": True, "tied-embeddings": False, "tied-embeddings-src": False,
    "guided-alignment": "none", "layer-normalization": False, "version": "v0.0.0 written by marian_reference.py",
}  # fmt: skip

#: The options of each fixture, and its form.
MODELS = {
    # Post-norm, one matrix for everything: OPUS-MT.
    "post_norm": dict(form="npz"),
    # Pre-norm with a last norm, separate embeddings and output, relu, compressed.
    "pre_norm": {"transformer-preprocess": "n", "transformer-postprocess": "da", "transformer-postprocess-top": "n",
                 "transformer-ffn-activation": "relu", "tied-embeddings-all": False, "form": "npz", "compress": True},
    # Learned positions, three layers of feed-forward, gelu, a norm of the embeddings, output tied to the target's.
    "learned": {"transformer-train-position-embeddings": True, "transformer-ffn-depth": 3, "transformer-ffn-activation": "gelu",
                "transformer-postprocess-emb": "dn", "tied-embeddings-all": False, "tied-embeddings": True, "form": "bin"},
    "average": {"transformer-decoder-autoreg": "average-attention", "form": "npz"},
    "ssru": {"transformer-decoder-autoreg": "rnn", "guided-alignment": "soft", "form": "bin"},
    # Letter r: root mean square.
    "rms": {"transformer-postprocess": "dar", "form": "npz"},
    # Firefox: matrices of 8 bits, SSRU, relu, one SentencePiece model a side.
    "student": {"transformer-decoder-autoreg": "rnn", "transformer-ffn-activation": "relu", "tied-embeddings-all": False,
                "tied-embeddings": True, "form": "intgemm8"},
}  # fmt: skip


# The model ----------------------------------------------------------------------------------------------------------------


def make(options, sizes, random):
    """Weights by Marian's names: matrices [inputs, outputs], biases [1, outputs]."""
    d, f, depth = options["dim-emb"], options["transformer-dim-ffn"], options["transformer-ffn-depth"]
    weights = {}

    def matrix(name, inputs, outputs, gain=1.0):
        weights[name] = random.normal(0, gain / np.sqrt(inputs), (inputs, outputs))

    def vector(name, size, mean=0.0, spread=0.1):
        weights[name] = random.normal(mean, spread, (1, size))

    def norms(prefix, pre=None):
        """The norms around a sublayer, as its letters have them; those before it may go by another prefix."""
        for letters, name, suffix in (
            (options["transformer-preprocess"], pre or prefix, "_pre"), (options["transformer-postprocess"], prefix, "")
        ):  # fmt: skip
            if set("nr") & set(letters):
                vector(f"{name}_ln_scale{suffix}", d, 1.0)
            if "n" in letters:
                vector(f"{name}_ln_bias{suffix}", d)

    def attention(prefix):
        for part in "qkvo":
            matrix(f"{prefix}_W{part}", d, d)
            vector(f"{prefix}_b{part}", d)
        norms(f"{prefix}_Wo")

    def feed_forward(prefix):
        shape = [d] + [f] * (depth - 1) + [d]
        for i in range(depth):
            matrix(f"{prefix}_W{i + 1}", shape[i], shape[i + 1])
            vector(f"{prefix}_b{i + 1}", shape[i + 1])
        norms(f"{prefix}_ffn")

    for side in "encoder", "decoder":
        for layer in range(1, options["enc-depth" if side == "encoder" else "dec-depth"] + 1):
            prefix = f"{side}_l{layer}"
            kind = options["transformer-decoder-autoreg"] if side == "decoder" else "self-attention"
            if kind == "self-attention":
                attention(f"{prefix}_self")
            elif kind == "rnn":
                matrix(f"{prefix}_rnn_W", d, d)
                matrix(f"{prefix}_rnn_Wf", d, d)
                vector(f"{prefix}_rnn_bf", d)
                norms(f"{prefix}_rnn_ffn", f"{prefix}_rnn")
            else:
                a = options["transformer-dim-aan"]
                for name, inputs, outputs in ("1", d, a), ("2", a, d), ("i", d, d), ("f", d, d):
                    matrix(f"{prefix}_aan_W{name}", inputs, outputs)
                    vector(f"{prefix}_aan_b{name}", outputs)
                norms(f"{prefix}_aan_ffn")
            if side == "decoder":
                attention(f"{prefix}_context")
            feed_forward(f"{prefix}_ffn")
        if "n" in options["transformer-postprocess-emb"]:
            vector(f"{side}_emb_ln_scale_pre", d, 1.0)
            vector(f"{side}_emb_ln_bias_pre", d)
        if "n" in options["transformer-postprocess-top"]:
            vector(f"{side}_top_ln_scale", d, 1.0)
            vector(f"{side}_top_ln_bias", d)
    tied = options["tied-embeddings-all"]
    for name, size in (("Wemb", sizes[0]),) if tied else (("encoder_Wemb", sizes[0]), ("decoder_Wemb", sizes[1])):
        weights[name] = random.normal(0, 0.25, (size, d))
    if not tied and not options["tied-embeddings"]:
        matrix("decoder_ff_logit_out_W", d, sizes[1])
    vector("decoder_ff_logit_out_b", sizes[1], 0.0, 0.2)
    if options["transformer-train-position-embeddings"]:
        weights["Wpos"] = random.normal(0, 0.5, (24, d))
    return weights


ACTIVATIONS = {
    "relu": lambda x: torch.relu(x),
    "swish": lambda x: x * torch.sigmoid(x),
    # Marian's approximation.
    "gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


class Model:
    def __init__(self, options, weights):
        self.options, self.weights = options, {name: torch.as_tensor(w, dtype=torch.float64) for name, w in weights.items()}

    def norm(self, x, name, suffix=""):
        scale, bias = self.weights[f"{name}_ln_scale{suffix}"], self.weights.get(f"{name}_ln_bias{suffix}")
        if bias is None:
            return x / torch.sqrt((x**2).mean(-1, keepdim=True) + EPSILON) * scale
        centred = x - x.mean(-1, keepdim=True)
        return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + EPSILON) * scale + bias

    def before(self, x, name):
        for letter in self.options["transformer-preprocess"]:
            x = {"d": lambda: x, "n": lambda: self.norm(x, name, "_pre")}[letter]()
        return x

    def after(self, out, x, name):
        for letter in self.options["transformer-postprocess"]:
            if letter == "a":
                out = out + x
            elif letter in "nr":
                out = self.norm(out, name)
        return out

    def affine(self, x, prefix, part):
        return x @ self.weights[f"{prefix}_W{part}"] + self.weights.get(f"{prefix}_b{part}", 0.0)

    def embed(self, ids, side, first_is_zero=False):
        weights = self.weights
        table = weights.get("Wemb", weights.get(f"{side}_Wemb"))
        d = table.shape[1]
        x = table[ids]
        if first_is_zero:
            x = torch.cat([torch.zeros(1, d, dtype=x.dtype), x[1:]])
        places = torch.arange(len(ids))
        if "Wpos" in weights:
            x = x + weights["Wpos"][places.clamp(max=len(weights["Wpos"]) - 1)]
        else:
            frequencies = 10000.0 ** (-torch.arange(d // 2, dtype=torch.float64) / (d // 2 - 1))
            angles = places[:, None] * frequencies
            x = x * np.sqrt(d) + torch.cat([torch.sin(angles), torch.cos(angles)], 1)
        return self.norm(x, f"{side}_emb", "_pre") if "n" in self.options["transformer-postprocess-emb"] else x

    def attention(self, x, memory, prefix, masked):
        heads = self.options["transformer-heads"]
        y = self.before(x, f"{prefix}_Wo")
        memory = y if memory is None else memory

        def split(z):
            return z.reshape(len(z), heads, -1).permute(1, 0, 2)

        q, k, v = (split(self.affine(z, prefix, part)) for z, part in ((y, "q"), (memory, "k"), (memory, "v")))
        scores = q @ k.transpose(1, 2) / np.sqrt(q.shape[-1])
        if masked:
            scores = scores.masked_fill(torch.ones(len(x), len(x)).triu(1) > 0, -torch.inf)
        out = (scores.softmax(-1) @ v).permute(1, 0, 2).reshape(len(x), -1)
        return self.after(self.affine(out, prefix, "o"), x, f"{prefix}_Wo")

    def ssru(self, x, prefix):
        y = self.before(x, prefix)
        inputs, forget = y @ self.weights[f"{prefix}_W"], torch.sigmoid(self.affine(y, prefix, "f"))
        cell, out = torch.zeros(x.shape[1], dtype=x.dtype), []
        for step in range(len(x)):
            cell = forget[step] * cell + (1 - forget[step]) * inputs[step]
            out.append(torch.relu(cell))
        return self.after(torch.stack(out), x, f"{prefix}_ffn")

    def average(self, x, prefix):
        y = torch.cumsum(x, 0) / (torch.arange(len(x)) + 1)[:, None]
        y = ACTIVATIONS[self.options["transformer-aan-activation"]](self.affine(y, prefix, "1"))
        y = self.affine(y, prefix, "2")
        y = torch.sigmoid(self.affine(x, prefix, "i")) * x + torch.sigmoid(self.affine(y, prefix, "f")) * y
        return self.after(y, x, f"{prefix}_ffn")

    def feed_forward(self, x, prefix):
        y, depth = self.before(x, f"{prefix}_ffn"), self.options["transformer-ffn-depth"]
        for part in range(1, depth + 1):
            y = self.affine(y, prefix, str(part))
            y = ACTIVATIONS[self.options["transformer-ffn-activation"]](y) if part < depth else y
        return self.after(y, x, f"{prefix}_ffn")

    def top(self, x, side):
        return self.norm(x, f"{side}_top") if "n" in self.options["transformer-postprocess-top"] else x

    def encode(self, ids):
        x = self.embed(ids, "encoder")
        for layer in range(1, self.options["enc-depth"] + 1):
            x = self.attention(x, None, f"encoder_l{layer}_self", False)
            x = self.feed_forward(x, f"encoder_l{layer}_ffn")
        return self.top(x, "encoder")

    def log_probabilities(self, memory, fed, banned):
        """Of what follows each token of `fed`, the first of which is no token."""
        x = self.embed(fed, "decoder", True)
        for layer in range(1, self.options["dec-depth"] + 1):
            prefix = f"decoder_l{layer}"
            kind = self.options["transformer-decoder-autoreg"]
            if kind == "self-attention":
                x = self.attention(x, None, f"{prefix}_self", True)
            else:
                x = self.ssru(x, f"{prefix}_rnn") if kind == "rnn" else self.average(x, f"{prefix}_aan")
            x = self.attention(x, memory, f"{prefix}_context", False)
            x = self.feed_forward(x, f"{prefix}_ffn")
        x = self.top(x, "decoder")
        weights = self.weights
        if "decoder_ff_logit_out_W" in weights:
            logits = x @ weights["decoder_ff_logit_out_W"]
        else:
            logits = x @ weights.get("Wemb", weights.get("decoder_Wemb")).T
        logits = logits + weights["decoder_ff_logit_out_b"][0]
        logits[:, banned] = -torch.inf
        return logits.log_softmax(-1)


def train(options, weights, sizes, end, steps, random):
    """Teaches a model to write another token for each of the source, in the order of their ids."""
    model = Model(options, weights)
    parameters = [w.requires_grad_() for w in model.weights.values()]
    optimiser = torch.optim.Adam(parameters, lr=0.006)
    other = random.permutation(np.arange(2, sizes[1]))
    for _ in range(steps):
        loss = 0.0
        for _ in range(6):
            source = random.integers(2, sizes[0], random.integers(2, 8))
            target = sorted({int(other[token % len(other)]) for token in source}) + [end]
            memory = model.encode(torch.tensor([*source, end]))
            scores = model.log_probabilities(memory, torch.tensor([0] + target[:-1]), [])
            loss = loss - scores[torch.arange(len(target)), target].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: w.detach().numpy() for name, w in model.weights.items()}




@torch.no_grad()
def search(model, source, beams, alpha, end, unknown):
    memory = model.encode(torch.tensor(source))
    running, finished = [([0], 0.0)], []
    while running and len(finished) < beams:
        candidates = []
        for tokens, total in running:
            scores = total + model.log_probabilities(memory, torch.tensor(tokens), [unknown])[-1]
            candidates += [(score, tokens + [token]) for token, score in enumerate(scores.tolist())]
        candidates.sort(key=lambda candidate: -candidate[0])
        running = []
        for score, tokens in candidates[: beams - len(finished)]:
            if tokens[-1] == end or len(tokens) > LENGTH:
                finished.append((score / (len(tokens) - 1) ** alpha, tokens[1:]))
            else:
                running.append((tokens, score))
    return max(finished, key=lambda hypothesis: hypothesis[0])


# The files ----------------------------------------------------------------------------------------------------------------


def yaml(options):
    def scalar(value):
        return json.dumps(value) if isinstance(value, (bool, str, list)) else str(value)

    return "".join(f"{name}: {scalar(value)}\n" for name, value in options.items()).encode() + b"\0"


def write_npz(path, options, weights, compress):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        arrays = {**weights, "special:model.yml": np.frombuffer(yaml(options), np.int8)}
        for name, array in arrays.items():
            data = io.BytesIO()
            np.save(data, array)
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = archive.compression
            archive.writestr(entry, data.getvalue())


def write_bin(path, options, items):
    """`items`: name to (type, shape, bytes)."""
    items = {**items, "special:model.yml": (0x0101, (len(yaml(options)),), yaml(options))}
    padded = {name: data + bytes(-len(data) % 256) for name, (_, _, data) in items.items()}
    header = struct.pack("<QQ", 1, len(items))
    for name, (kind, shape, _) in items.items():
        header += struct.pack("<QQQQ", len(name) + 1, kind, len(shape), len(padded[name]))
    header += b"".join(name.encode() + b"\0" for name in items)
    header += b"".join(struct.pack(f"<{len(shape)}i", *shape) for _, shape, _ in items.values())
    padding = -(len(header) + 8) % 256
    path.write_bytes(header + struct.pack("<Q", padding) + bytes(padding) + b"".join(padded.values()))


def in_8_bits(weights):
    """Items of browsermt's form, and the numbers they stand for."""
    items, rounded = {}, {}
    for name, w in weights.items():
        is_embedding = "Wemb" in name
        if is_embedding or name[-3:-1] == "_W" or name[-2:] == "_W":
            multiplier = np.float32(127 / np.abs(w).max())
            integers = np.clip(np.rint(w * multiplier), -127, 127).astype(np.int8)
            rounded[name] = integers.astype(np.float64) / multiplier
            stored = integers if is_embedding else integers.T
            items[name] = (0x4101, w.shape, np.ascontiguousarray(stored).tobytes() + multiplier.tobytes())
            items[f"{name}_QuantMultA"] = (0x0404, (1, 1), np.float32(20).tobytes())
        else:
            rounded[name] = w.astype(np.float32)
            items[name] = (0x0404, w.shape, w.astype(np.float32).tobytes())
    items["none_QuantMultA"] = (0x0404, (1, 1), np.float32(20).tobytes())
    return items, rounded


def train_pieces(lines, size, path):
    model = io.BytesIO()
    # As Marian trains them: the sentence end is 0, the unknown 1, and bytes stand for what is not in the vocabulary.
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=size, model_type="unigram", bos_id=-1, eos_id=0, unk_id=1,
        byte_fallback=False, character_coverage=0.98, hard_vocab_limit=False, num_threads=1, minloglevel=2)  # fmt: skip
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def write(directory, seed, settings):
    random = np.random.default_rng(seed)
    form, compress = settings["form"], settings.get("compress", False)
    options = {**DEFAULTS, **{key: value for key, value in settings.items() if key not in ("form", "compress", "steps")}}
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    if form == "intgemm8":
        scripts = sentences(1400, 2)
        latin, cyrillic = ([line for i, line in enumerate(scripts) if i % 14 == at] for at in (11, 3))
        sides = train_pieces(latin, 140, directory / "srcvocab.xxyy.spm"), train_pieces(cyrillic, 140, directory / "trgvocab.xxyy.spm")
        sizes, names = [side.get_piece_size() for side in sides], ["srcvocab.xxyy.spm", "trgvocab.xxyy.spm"]
        lines = [line for line in latin if len(line) < 40][: LINES + 24]
        numbers = [sides[0].encode(line) for line in lines]
        words = lambda ids: sides[1].decode([i for i in ids if i != 0])  # noqa: E731
        end, unknown = 0, 1
    else:
        # A token for every way to write one in YAML.
        pieces = ["</s>", "<unk>", '"', "'", "\x84", "$", ": ", "~", "▁ein", "\\", "true"] + [f"w{i}" for i in range(15)]
        written = ["</s>", "<unk>", '"\\""', "''''", '"\\x84"', "$", '": "', "~", '"\\u2581ein"', '"\\\\"', "true"]
        vocabulary = "".join(f"{piece}: {i}\n" for i, piece in enumerate(written + pieces[len(written):]))
        (directory / "vocab.yml").write_text(vocabulary, encoding="utf8")
        sizes, names = [len(pieces)] * 2, ["vocab.yml"] * 2
        usable = [i for i, piece in enumerate(pieces) if i > 1 and not set(piece) & {" ", "\x84"}]
        numbers = [random.choice(usable, random.integers(1, 9)).tolist() for _ in range(LINES + 24)]
        lines = [" ".join(pieces[i] for i in ids) for ids in numbers]
        words = lambda ids: " ".join(pieces[i] for i in ids if i != 0)  # noqa: E731
        end, unknown = 0, 1
    options |= {"dim-vocabs": sizes, "vocabs": [f"/home/somebody/train/{name}" for name in names]}
    weights = train(options, make(options, sizes, random), sizes, end, settings.get("steps", 700), random)
    weights = {name: w.astype(np.float32) for name, w in weights.items()}
    if form == "npz":
        write_npz(directory / "model.npz", options, weights, compress)
    elif form == "bin":
        items = {name: (0x0404, w.shape, w.tobytes()) for name, w in weights.items()}
        write_bin(directory / "model.bin", options, items)
    else:
        items, weights = in_8_bits(weights)
        write_bin(directory / "model.xxyy.intgemm.alphas.bin", options, items)
    (directory / "decoder.yml").write_text("relative-paths: true\nbeam-size: 4\nnormalize: 0.6\nword-penalty: 0\n")

    model = Model(options, weights)
    disturbed = Model(options, {name: w * (1 + random.normal(0, 1e-6, w.shape)) for name, w in weights.items()})
    usual = ["--precision", "f32", "--max-length", str(LENGTH)]
    if form != "intgemm8":
        usual.append("--pieces")
    plans = [([], 4, 0.6), (["--beam-size", "1"], 1, 0.6), (["--beam-size", "6", "--length-penalty", "0"], 6, 0.0)]
    runs = []
    for arguments, beams, alpha in plans:
        found = [[search(one, ids + [end], beams, alpha, end, unknown) for ids in numbers] for one in (model, disturbed)]
        runs.append((usual + arguments, found))
    stable = [i for i in range(len(lines)) if all(a[i][1] == b[i][1] for _, (a, b) in runs)]
    lengths = sorted(len(runs[0][1][0][i][1]) for i in stable)
    print(f"{directory.name}: {len(stable)} of {len(lines)} lines are stable, lengths {lengths[0]}..{lengths[-1]}")
    stable = stable[:LINES]
    expected = dict(lines=[lines[i] for i in stable], runs=[
        dict(arguments=arguments, text=[words(found[0][i][1]) for i in stable], score=[round(found[0][i][0], 6) for i in stable])
        for arguments, found in runs])  # fmt: skip
    (directory / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "marian")
    parser.add_argument("--only", choices=MODELS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed, (name, settings) in enumerate(MODELS.items()):
        if arguments.only in (None, name):
            write(arguments.out / name, 100 + seed, settings)


if __name__ == "__main__":
    main()
