"""One measurement of a peer: `python engines.py ctranslate2|pytorch-gru|… ...` prints one JSON object.

As in `translate bench`, loading and a warm-up are not part of the time, and neighbours have about equal lengths. Cutting
the text into pieces is not part of the peers' time; it is part of ours. With `--whole` the time goes from reading a file of pieces
over loading the model to the last result, without a warm-up; starting Python and importing the engine are not part of it.
"""

import argparse
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def read(directory: Path, file: Path) -> tuple[list[list[str]], dict[str, int]]:
    """The pieces of each line, longest line first, and the vocabulary."""
    lines = sorted(file.read_text(encoding="utf8").splitlines(), key=len, reverse=True)
    config = json.loads((directory / "config.json").read_text(encoding="utf8"))
    if "source_pieces" in config:
        return [line.split() for line in lines], {piece: id for id, piece in enumerate(config["source_pieces"])}
    if not (directory / "source.spm").exists():
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
        return [tokenizer.encode(line.strip(), add_special_tokens=False).tokens for line in lines], tokenizer.get_vocab()
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(directory / "source.spm"))
    vocabulary = json.loads((directory / "vocab.json").read_text(encoding="utf8"))
    return [pieces.encode(line.strip(), out_type=str) for line in lines], vocabulary


def languages(directory: Path) -> tuple[str | None, str | None]:
    """The pair of languages a directory of many asks for."""
    config = directory / "tokenizer_config.json"
    keys = json.loads(config.read_text(encoding="utf8")) if config.exists() else {}
    return (keys["src_lang"], keys["tgt_lang"]) if keys.get("tgt_lang") else (None, None)


def ctranslate2_engine(a: argparse.Namespace):
    """CTranslate2 on a converted Marian or M2M100 model."""
    import ctranslate2

    if a.whole:
        lines, target = None, None
    else:
        lines, vocabulary = read(a.pieces, a.lines)
        lines = [[p if p in vocabulary else "<unk>" for p in line] + ["</s>"] for line in lines]
        source, target = languages(a.pieces)
        lines = [[source, *line] for line in lines] if source else lines
    length = dict(min_decoding_length=a.fixed_length, max_decoding_length=a.fixed_length) if a.fixed_length else {}
    length |= dict(max_decoding_length=a.max_length) if a.max_length else {}

    def load():
        return ctranslate2.Translator(
            str(a.model), device="cpu", compute_type=a.compute, inter_threads=a.inter, intra_threads=a.intra
        )

    engine = None if a.whole else load()

    def run(lines):
        prefix = [[target]] * len(lines) if target else None
        # It sorts the lines by length itself.
        results = (engine or load()).translate_batch(
            lines, prefix, beam_size=a.beam, max_batch_size=a.batch, batch_type=a.batch_type, **length
        )
        return sum(len(result.hypotheses[0]) for result in results)

    return lines, run


def pytorch_marian_engine(a: argparse.Namespace):
    """Hugging Face transformers on a Marian model, `generate` as it is."""
    import torch
    from transformers import MarianMTModel

    return marian_generate(a, MarianMTModel.from_pretrained(a.model, dtype=getattr(torch, a.compute)).eval())


def onnx_marian_engine(a: argparse.Namespace):
    """ONNX Runtime on an exported Marian model, by the `generate` of transformers, as Optimum sets it up."""
    import onnxruntime
    from optimum.onnxruntime import ORTModelForSeq2SeqLM

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = a.intra, 1
    return marian_generate(a, ORTModelForSeq2SeqLM.from_pretrained(a.model, use_merged=False, session_options=options))


def marian_generate(a: argparse.Namespace, model):
    """Lines as token ids, and what runs them through the `generate` of transformers."""
    import torch

    pieces, vocabulary = read(a.pieces, a.lines)
    end, padding_id = vocabulary["</s>"], vocabulary["<pad>"]
    lines = [[vocabulary.get(p, vocabulary["<unk>"]) for p in line] + [end] for line in pieces]

    def translate(batch):
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(line) for line in batch], True, padding_id)
        length = dict(min_new_tokens=a.fixed_length, max_new_tokens=a.fixed_length)
        mask = (ids != padding_id).long()
        out = model.generate(input_ids=ids, attention_mask=mask, num_beams=a.beam, do_sample=False, **length)
        return len(batch) * (out.shape[1] - 1)

    return lines, in_batches(a, translate)


def pytorch_gru_engine(a: argparse.Namespace):
    """The GRU of models.py in plain PyTorch: padded batches, W_a H computed once, greedy."""
    import torch
    from safetensors.torch import load_file
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    pieces, vocabulary = read(a.pieces, a.lines)
    config = json.loads((a.model / "config.json").read_text(encoding="utf8"))
    end, unknown, start = (config[key] for key in ("eos_token_id", "unk_token_id", "decoder_start_token_id"))
    lines = [[vocabulary.get(p, unknown) for p in line] + [end] for line in pieces]

    w = load_file(a.model / "model.safetensors")
    width, hidden = config["embedding_dim"], config["hidden_dim"]
    encoder = torch.nn.GRU(width, hidden, bidirectional=True, batch_first=True)
    encoder.load_state_dict({k.removeprefix("encoder.rnn."): v for k, v in w.items() if k.startswith("encoder.rnn.")})
    cell = torch.nn.GRUCell(width + 2 * hidden, hidden)
    cell.load_state_dict({k[len("decoder.rnn.") : -3]: v for k, v in w.items() if k.startswith("decoder.rnn.")})
    attention = w["decoder.attention.attn_fc.weight"]
    query_weight, key_weight = attention[:, :hidden].contiguous(), attention[:, hidden:].contiguous()
    linear = torch.nn.functional.linear

    def translate(batch):
        lengths = torch.tensor([len(line) for line in batch])
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(line) for line in batch], batch_first=True)
        embedded = w["encoder.embedding.weight"][ids]
        memory, last = encoder(pack_padded_sequence(embedded, lengths, True, False))
        memory, _ = pad_packed_sequence(memory, batch_first=True)
        padding = torch.arange(ids.shape[1])[None] >= lengths[:, None]
        state = torch.tanh(linear(torch.cat([last[0], last[1]], 1), w["encoder.fc.weight"], w["encoder.fc.bias"]))
        keys = linear(memory, key_weight, w["decoder.attention.attn_fc.bias"])
        token = torch.full((len(batch),), start)
        for _ in range(a.fixed_length):
            x = w["decoder.embedding.weight"][token]
            energy = linear(torch.tanh(keys + linear(state, query_weight)[:, None]), w["decoder.attention.v_fc.weight"])
            weights = torch.softmax(energy[..., 0].masked_fill(padding, -torch.inf), 1)
            context = torch.bmm(weights[:, None], memory)[:, 0]
            state = cell(torch.cat([x, context], 1), state)
            logits = linear(torch.cat([state, context, x], 1), w["decoder.fc_out.weight"], w["decoder.fc_out.bias"])
            # Padding is never produced, and before the fixed length the sentence end neither.
            logits[:, [end, config["pad_token_id"]]] = -torch.inf
            token = logits.argmax(1)
        return len(batch) * a.fixed_length

    return lines, in_batches(a, translate)


def pytorch_luong_engine(a: argparse.Namespace):
    """The LSTM of models.py in plain PyTorch: padded batches, general score, input feeding, greedy."""
    import torch
    from safetensors.torch import load_file
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    pieces, vocabulary = read(a.pieces, a.lines)
    start, end, padding_id = 2, 3, 1
    lines = [[vocabulary[p] for p in line] + [end] for line in pieces]
    w = load_file(a.model / "model.safetensors")
    width = w["encoder.embedding.weight"].shape[1]
    encoder = torch.nn.LSTM(width, width // 2, 2, bidirectional=True, batch_first=True)
    encoder.load_state_dict({k.removeprefix("encoder.rnn."): v for k, v in w.items() if k.startswith("encoder.rnn.")})
    cells = [torch.nn.LSTMCell(2 * width, width), torch.nn.LSTMCell(width, width)]
    for layer, cell in enumerate(cells):
        cell.load_state_dict({name: w[f"decoder.rnn.{name}_l{layer}"] for name in cell.state_dict()})
    linear = torch.nn.functional.linear

    def translate(batch):
        lengths = torch.tensor([len(line) for line in batch])
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(line) for line in batch], batch_first=True)
        embedded = w["encoder.embedding.weight"][ids]
        memory, last = encoder(pack_padded_sequence(embedded, lengths, True, False))
        memory, _ = pad_packed_sequence(memory, batch_first=True)
        padding = torch.arange(ids.shape[1])[None] >= lengths[:, None]
        # Forward and backward states of each layer side by side.
        states = [tuple(torch.cat([part[2 * layer], part[2 * layer + 1]], 1) for part in last) for layer in range(2)]
        feed = torch.zeros(len(batch), width)
        token = torch.full((len(batch),), start)
        for _ in range(a.fixed_length):
            x = torch.cat([w["decoder.embedding.weight"][token], feed], 1)
            for layer, cell in enumerate(cells):
                states[layer] = cell(x, states[layer])
                x = states[layer][0]
            query = linear(x, w["decoder.attention.query.weight"])
            energy = torch.bmm(memory, query[..., None])[..., 0]
            weights = torch.softmax(energy.masked_fill(padding, -torch.inf), 1)
            context = torch.bmm(weights[:, None], memory)[:, 0]
            feed = torch.tanh(linear(torch.cat([context, x], 1), w["decoder.hidden_fc.weight"]))
            logits = linear(feed, w["decoder.fc_out.weight"], w["decoder.fc_out.bias"])
            logits[:, [end, padding_id]] = -torch.inf
            token = logits.argmax(1)
        return len(batch) * a.fixed_length

    return lines, in_batches(a, translate)


def in_batches(a: argparse.Namespace, translate):
    """What runs a PyTorch model over lines: so many batches at once, so many threads each."""
    import torch

    def work(batch):
        # A setting of each thread.
        torch.set_num_threads(a.intra)
        with torch.inference_mode():
            return translate(batch)

    def run(lines):
        batches = [lines[i : i + a.batch] for i in range(0, len(lines), a.batch)]
        with ThreadPoolExecutor(a.inter) as pool:
            return sum(pool.map(work, batches))

    return run


def main() -> None:
    engines = {
        "ctranslate2": ctranslate2_engine,
        "onnx-marian": onnx_marian_engine,
        "pytorch-gru": pytorch_gru_engine,
        "pytorch-luong": pytorch_luong_engine,
        "pytorch-marian": pytorch_marian_engine,
    }
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("engine", choices=engines)
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--pieces", type=Path, required=True, help="directory of source.spm and vocab.json")
    p.add_argument("--lines", type=Path, required=True)
    p.add_argument("--beam", type=int, default=1)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--batch-type", choices=["examples", "tokens"], default="examples", help="what --batch counts")
    p.add_argument("--inter", type=int, default=1)
    p.add_argument("--intra", type=int, default=1)
    p.add_argument("--compute", default="default")
    p.add_argument("--fixed-length", type=int, default=0)
    p.add_argument("--max-length", type=int, default=0)
    p.add_argument("--whole", action="store_true", help="--lines are pieces; loading is part of the time (CTranslate2 alone)")
    a = p.parse_args()
    lines, run = engines[a.engine](a)
    if not a.whole:
        run(lines[: min(len(lines), max(2 * a.batch, 4))])
    start, cpu = time.perf_counter(), time.process_time()
    if a.whole:
        lines = [line.split(" ") for line in a.lines.read_text(encoding="utf8").splitlines()]
    tokens = run(lines)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    # Not ru_maxrss: that begins with the memory of the process that started this one.
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024
    print(json.dumps(dict(sentences=len(lines), tokens=tokens, seconds=seconds, cpu=cpu, peak_mb=peak)))


if __name__ == "__main__":
    main()
