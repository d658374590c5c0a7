#!/usr/bin/env python3
"""Writes tests/fixtures/recurrent-layouts/: tiny recurrent checkpoints under the names of tutorials and toolkits, and what their own
code, or a plain reference written from their formulas, computes with them.

    recurrent_layouts_reference.py SOURCES [--only NAME]

SOURCES is the folder of unpacked packages that toolkits_reference.py describes; each fixture is made in a process of its own.
fairseq, OpenNMT-py and JoeyNMT build, save, read and judge their own checkpoints. The networks of the tutorials, of Keras and of
Marian are written here from their formulas (recurrent_networks.py); Marian's in f64.

All models learn the made-up language of toolkits_reference.py. `MODEL/model` is what is saved, `MODEL/expected.json` holds `greedy`, the
translations with the sum of their log-probabilities; `forced`, the logits and the attention along a target; and `beam`, what an
exhaustive-minded beam of four finds: at each step the eight best candidates are looked at, those among the first four that end are
finished, and nothing stops it but the length limit. The score is the sum of log-probabilities over the length, sentence end counted.
"""
import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from toolkits_reference import LONGEST, SOURCE_WORDS, TARGET_WORDS, Judge, of_one_parameter, write

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures" / "recurrent-layouts"
BEAMS = 4


class Attending(Judge):
    """A judge whose `run(source, fed)` gives logits `[batch, length, vocabulary]` and the attention `[batch, length, source]` or None.

    `renormalises`: whether what is banned has no probability at all, as in Marian.
    """

    def __init__(self, module, run, source_ids, target_list, begin, end, banned=(), renormalises=False):
        super().__init__(module, lambda source, fed: run(source, fed)[0], source_ids, target_list, begin, end, banned)
        self.run, self.renormalises = run, renormalises

    def scores(self, source, fed):
        logits = self.logits(source, fed)[0, -1]
        if self.renormalises and self.banned:
            logits = logits.clone()
            logits[self.banned] = -float("inf")
        scores = logits.log_softmax(-1)
        scores[self.banned] = -float("inf")
        return scores

    def greedy(self, pieces):
        import torch

        source, ids, total, ended = torch.tensor([self.source_ids(pieces)]), [self.begin], 0.0, False
        while len(ids) <= LONGEST and not ended:
            scores = self.scores(source, torch.tensor([ids]))
            best = int(scores.argmax())
            total += float(scores[best])
            ended = best == self.end
            ids.append(best)
        written = [self.target_list[id] for id in ids[1:] if id != self.end]
        return {"source": pieces, "pieces": written, "log_probability": round(total, 6), "ended": ended}

    def beam(self, pieces):
        import torch

        source = torch.tensor([self.source_ids(pieces)])
        running, finished = [([self.begin], 0.0)], []
        for _ in range(LONGEST):
            candidates = []
            for ids, total in running:
                scores = self.scores(source, torch.tensor([ids]))
                candidates += [(total + float(score), ids + [id]) for id, score in enumerate(scores)]
            candidates = sorted(candidates, key=lambda candidate: -candidate[0])[: 2 * BEAMS]
            ended = [c for c in candidates[:BEAMS] if c[1][-1] == self.end]
            finished += [(total / (len(ids) - 1), ids) for total, ids in ended]
            running = [(ids, total) for total, ids in candidates if ids[-1] != self.end][:BEAMS]
        if not finished:
            return None
        score, ids = max(finished, key=lambda hypothesis: hypothesis[0])
        return {"source": pieces, "pieces": [self.target_list[id] for id in ids[1:-1]], "score": round(score, 6)}

    def expected(self, beam=None):
        import torch

        found = super().expected(beam or self.beam)
        with torch.no_grad():
            found["beam"] = [case for case in found["beam"] if case]
            for case in found["forced"]:
                _, attention = self.run(torch.tensor([case["source_ids"]]), torch.tensor([case["fed"]]))
                if attention is not None:
                    case["attention"] = [[round(float(weight), 6) for weight in row] for row in attention[0]]
        return found


# ---------------------------------------------------------------- networks written from their formulas


def save_plain(directory, make, form="pt", words=None, config=None, before=(), after=("<eos>",), begin="<sos>", end="<eos>",
               banned=("<pad>",), nested=False, fill=0):  # fmt: skip
    """A state dict, two word lists, and a config.json if there is anything to say."""
    import json

    import torch
    from safetensors.torch import save_file

    torch.manual_seed(41)
    model = directory / "model"
    specials = words or ["<unk>", "<pad>", "<sos>", "<eos>"]
    # A list of words without capitals is looked up in lower case.
    lists = [specials + SOURCE_WORDS, specials + TARGET_WORDS]
    for side, pieces in zip(["source", "target"], lists):
        (model / f"{side}_vocab.txt").write_text("".join(piece + "\n" for piece in pieces))
    if config is not None:
        (model / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    number = [{piece: id for id, piece in enumerate(pieces)} for pieces in lists]

    def source_ids(pieces):
        whole = [*before, *pieces, *after]
        return [number[0][piece] for piece in whole + ["<pad>"] * (fill - len(whole))]

    def judge_of(network):
        return Attending(network, network.run, source_ids, lists[1], number[1][begin], number[1][end],
                         [number[1][piece] for piece in banned if piece in number[1]])  # fmt: skip

    network = make(len(lists[0]), len(lists[1]))
    judge = judge_of(network)
    judge.train()
    judge.disturb()
    state = {name: tensor.detach().clone().contiguous() for name, tensor in network.stored().items()}
    if form == "safetensors":
        save_file(state, model / "model.safetensors")
    elif nested:
        apart = {side: {n[len(side) + 1 :]: t for n, t in state.items() if n.startswith(f"{side}.")} for side in ["encoder", "decoder"]}
        torch.save(apart | {"loss": 0.5}, model / "model.pth")
    else:
        torch.save(state, model / "model.pt")
    write(directory, judge_of(network.eval()).expected())


def tutorial(directory, part):
    import recurrent_networks as networks

    make = {1: networks.TutorialOne, 2: networks.TutorialTwo, 4: networks.TutorialFour}[part]
    save_plain(directory, make, before=["<sos>"], config={"add_source_bos": True} if part == 4 else None)


def official(directory, kind):
    import recurrent_networks as networks

    make = {"new": networks.OfficialNew, "old": networks.OfficialOld, "plain": networks.OfficialPlain}[kind]
    save_plain(directory, make, words=["SOS", "EOS"], after=["EOS"], begin="SOS", end="EOS", nested=kind == "plain")


def keras(directory, reset_after):
    import recurrent_networks as networks

    def make(source, target):
        return networks.KerasGru(source, target, reset_after)

    config = {
        "model_type": "keras-gru", "add_source_eos": False, "pad_source_to": 7, "pad_token_id": 1,
        "decoder_start_token_id": 2, "eos_token_id": 3,
    }  # fmt: skip
    # Padding is a token like any other here.
    save_plain(directory, make, form="safetensors", config=config, after=[], fill=7)


# ---------------------------------------------------------------- Marian and Nematus


def marian(directory, **settings):
    import io
    import json
    import zipfile

    import numpy as np
    import recurrent_networks as networks
    import torch

    torch.manual_seed(43)
    model = directory / "model"
    kind = settings.get("type", "s2s")
    is_bare = settings.pop("bare", False)
    ends = ["eos", "UNK"] if kind != "s2s" else ["</s>", "<unk>"]
    lists = [ends + SOURCE_WORDS, ends + TARGET_WORDS]
    names = ["vocab.xx.json", "vocab.yy.json"] if is_bare else ["vocab.xx.yml", "vocab.yy.yml"]
    for name, pieces in zip(names, lists):
        ids = {piece: id for id, piece in enumerate(pieces)}
        text = json.dumps(ids, indent=1) if is_bare else "".join(f"{piece}: {id}\n" for piece, id in ids.items())
        (model / name).write_text(text + "\n" * is_bare)
    options = {
        "type": kind, "dim-emb": 10, "dim-rnn": 12, "enc-type": "bidirectional", "enc-cell": "gru", "enc-cell-depth": 1, "enc-depth": 1,
        "dec-cell": "gru", "dec-cell-base-depth": 2, "dec-cell-high-depth": 1, "dec-depth": 1, "skip": False, "layer-normalization": False,
        "right-left": False, "tied-embeddings": False, "tied-embeddings-src": False, "tied-embeddings-all": False,
        "dim-vocabs": [len(pieces) for pieces in lists], "vocabs": [f"/home/somebody/{name}" for name in names],
        "version": "v1.9.0 written by recurrent_layouts_reference.py",
    } | settings  # fmt: skip
    network = networks.Marian(options, len(lists[0]), len(lists[1])).double()
    number = {piece: id for id, piece in enumerate(lists[0])}

    def judge_of(network):
        return Attending(network, network.run, lambda pieces: [number[piece] for piece in pieces] + [0], lists[1], 0, 0, [1], True)

    judge = judge_of(network)
    judge.train(400)
    judge.disturb()
    arrays = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in network.stored().items()}
    if is_bare:
        # What Nematus puts beside the network, and its options in a file of their own.
        arrays |= {"uidx": np.array(90000), "history_errs": np.zeros(3), "decoder_c_tt": np.zeros((1,), np.float32)}
        said = {"dictionaries": options["vocabs"], "dim": 12, "dim_word": 10, "decoder": "gru_cond", "encoder": "gru"}
        (model / "model.npz.json").write_text(json.dumps(said, indent=1) + "\n")
    else:
        # YAML reads what JSON writes.
        text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in options.items())
        arrays["special:model.yml"] = np.frombuffer(text.encode() + b"\0", np.int8)
    with zipfile.ZipFile(model / "model.npz", "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.save(data, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue())
    network.read({name: torch.tensor(array.astype(np.float64)) for name, array in arrays.items() if array.dtype == np.float32})
    write(directory, judge_of(network.eval()).expected())


# ---------------------------------------------------------------- fairseq


def fairseq(directory, **options):
    import toolkit_stubs

    toolkit_stubs.absent("fairseq.data.data_utils_fast", "fairseq.data.token_block_utils_fast", "fairseq.libbleu", "torchaudio", "iopath")
    import torch
    import torch._dynamo  # before dataclasses are as they were

    with toolkit_stubs.old_dataclasses():
        from fairseq.data import Dictionary
        from fairseq.models.lstm import LSTMModel, base_architecture

    torch.manual_seed(44)
    model = directory / "model"
    joint = options.get("share_all_embeddings", False)

    def dictionary(words, language):
        made = Dictionary()
        for word in words:
            made.add_symbol(word, n=50 - len(made))
        with open(model / f"dict.{language}.txt", "w", encoding="utf-8") as file:
            made.save(file)
        with open(model / f"dict.{language}.txt", encoding="utf-8") as file:
            return Dictionary.load(file)

    words = (SOURCE_WORDS + TARGET_WORDS,) * 2 if joint else (SOURCE_WORDS, TARGET_WORDS)
    task = SimpleNamespace(source_dictionary=dictionary(words[0], "xx"), target_dictionary=dictionary(words[1], "yy"))
    args = argparse.Namespace(
        arch="lstm", task="translation", source_lang="xx", target_lang="yy", data="data-bin/xx-yy", dropout=0.0,
        criterion="label_smoothed_cross_entropy", **{"encoder_embed_dim": 12, "decoder_embed_dim": 12} | options,
    )  # fmt: skip
    base_architecture(args)
    network = LSTMModel.build_model(args, task).train()
    # Attention is given where it is not trained.
    network.decoder.need_attn = True

    def judge_of(network):
        def run(source, fed):
            lengths = torch.full((len(source),), source.shape[1])
            logits, attention = network(source, lengths, fed)
            return logits, attention

        def source_ids(pieces):
            return [task.source_dictionary.index(piece) for piece in pieces] + [task.source_dictionary.eos()]

        end = task.target_dictionary.eos()
        return Attending(network, run, source_ids, task.target_dictionary.symbols, end, end, [task.target_dictionary.pad()])

    judge = judge_of(network)
    judge.train(700)
    judge.disturb()
    saved = {
        "args": args, "model": network.state_dict(), "optimizer_history": [{"optimizer_name": "FairseqAdam", "num_updates": 500}],
        "extra_state": {"train_iterator": {"epoch": 3, "iterations_in_epoch": 0}, "val_loss": 0.1},
        "last_optimizer_state": of_one_parameter(network),
    }  # fmt: skip
    torch.save(saved, model / "checkpoint_best.pt")
    again = torch.load(model / "checkpoint_best.pt", weights_only=False)
    network = LSTMModel.build_model(args, task).eval()
    network.load_state_dict(again["model"])
    network.decoder.need_attn = True
    write(directory, judge_of(network).expected())


# ---------------------------------------------------------------- OpenNMT-py


def opennmt_py_3(directory, **options):
    import toolkit_stubs

    toolkit_stubs.absent("spacy", "rapidfuzz", "flask", "waitress", "fasttext", "sacrebleu", "ahocorasick", "tensorboard")
    import functools

    import pyonmttok
    import torch

    torch.load = functools.partial(torch.load, weights_only=False)
    import onmt.opts
    from onmt.model_builder import build_base_model
    from onmt.models.model_saver import ModelSaver, load_checkpoint
    from onmt.utils.parse import ArgumentParser

    torch.manual_seed(45)
    parser = ArgumentParser()
    onmt.opts.train_opts(parser)
    opt, _ = parser.parse_known_args(["-data", "{}", "-src_vocab", "run/vocab.src"])
    chosen = dict(
        encoder_type="brnn", decoder_type="rnn", word_vec_size=10, hidden_size=12, enc_layers=1, dec_layers=1, dropout=[0.0],
        attention_dropout=[0.0], optim="adam", rnn_type="LSTM", global_attention="general", input_feed=1,
    )  # fmt: skip
    vars(opt).update(chosen | options)
    ArgumentParser.update_model_opts(opt)
    ArgumentParser.validate_model_opts(opt)
    specials = ["<unk>", "<blank>", "<s>", "</s>"]
    vocabularies = {"data_task": "seq2seq", "decoder_start_token": "<s>"}
    for side, words in [("src", SOURCE_WORDS), ("tgt", TARGET_WORDS)]:
        vocabularies[side] = pyonmttok.build_vocab_from_tokens(words, special_tokens=specials)

    def build():
        network = build_base_model(opt, vocabularies)
        for parameter in network.parameters():
            torch.nn.init.xavier_uniform_(parameter) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)
        return network.eval()

    def judge_of(network):
        def run(source, fed):
            lengths = torch.full((len(source),), source.shape[1])
            # The last fed token is dropped inside.
            fed = torch.cat([fed, fed[:, :1]], 1)
            outputs, attention = network(source.unsqueeze(-1), fed.unsqueeze(-1), lengths)
            return network.generator(outputs), attention.get("std")

        source, target = vocabularies["src"], vocabularies["tgt"]
        return Attending(network, run, lambda pieces: [source[piece] for piece in pieces], target.ids_to_tokens, target["<s>"],
                         target["</s>"])  # fmt: skip

    network = build()
    judge = judge_of(network)
    judge.train(700)
    judge.disturb()
    optimiser = SimpleNamespace(state_dict=lambda: {"training_step": 501, "optimizer": of_one_parameter(network)})
    saver = ModelSaver(str(directory / "model" / "run"), network, opt, vocabularies, optimiser, save_format="pytorch")
    path, _ = saver._save(500, network)
    network = build()
    network.load_state_dict(load_checkpoint(path), strict=True)
    write(directory, attention_in_rows(judge_of(network.eval())).expected())


def opennmt_py_1(directory, oldest=False, **options):
    import toolkit_stubs

    toolkit_stubs.old_torchtext()
    toolkit_stubs.absent("tensorboard", "torch.utils.tensorboard")
    import functools

    import torch

    torch.load = functools.partial(torch.load, weights_only=False)
    import onmt.opts
    from onmt.inputters import get_fields
    from onmt.model_builder import build_base_model
    from onmt.models.model_saver import ModelSaver
    from onmt.utils.parse import ArgumentParser
    from toolkit_stubs import Vocab

    torch.manual_seed(46)
    parser = ArgumentParser()
    onmt.opts.model_opts(parser)
    onmt.opts.train_opts(parser)
    opt, _ = parser.parse_known_args(["-data", "run/xx-yy"])
    chosen = dict(
        encoder_type="rnn", decoder_type="rnn", word_vec_size=10, rnn_size=12, enc_layers=1, dec_layers=1, dropout=[0.0], optim="adam",
        attention_dropout=[0.0], rnn_type="LSTM", global_attention="general", input_feed=1,
    )  # fmt: skip
    vars(opt).update(chosen | options)
    ArgumentParser.update_model_opts(opt)
    ArgumentParser.validate_model_opts(opt)
    fields = get_fields("text", 0, 0)
    for side, words, specials in [
        ("src", SOURCE_WORDS, ["<unk>", "<blank>"]),
        ("tgt", TARGET_WORDS, ["<unk>", "<blank>", "<s>", "</s>"]),
    ]:
        fields[side].base_field.vocab = Vocab(Counter({word: 90 - n for n, word in enumerate(words)}), specials)

    def judge_of(network):
        def run(source, fed):
            lengths = torch.full((len(source),), source.shape[1])
            fed = torch.cat([fed, fed[:, :1]], 1)
            if options.get("bridge") and len(source) > 1:
                # Its bridge mixes the sentences of a batch where there are several layers; one at a time it does not.
                both = [run(source[i : i + 1], fed[i : i + 1, :-1]) for i in range(len(source))]
                return torch.cat([logits for logits, _ in both]), None
            outputs, attention = network(source.T.unsqueeze(-1), fed.T.unsqueeze(-1), lengths)
            weights = attention.get("std")
            return network.generator[0](outputs).transpose(0, 1), None if weights is None else weights.transpose(0, 1)

        source, target = (fields[side].base_field.vocab for side in ["src", "tgt"])
        return Attending(network, run, lambda pieces: [source.stoi[piece] for piece in pieces], target.itos, target.stoi["<s>"],
                         target.stoi["</s>"])  # fmt: skip

    network = build_base_model(opt, fields, gpu=False).eval()
    judge = judge_of(network)
    judge.train(250 if options.get("bridge") else 700)
    judge.disturb()
    optimiser = SimpleNamespace(state_dict=lambda: {"training_step": 501, "optimizer": of_one_parameter(network)})
    saver = ModelSaver(str(directory / "model" / "run"), network, opt, fields, optimiser)
    _, path = saver._save(500, network)
    saved = torch.load(path)
    if oldest:
        # Version 0.x: pairs of a name and a vocabulary, the options' old names, the file format of before PyTorch 1.6.
        saved["vocab"] = [(side, fields[side].base_field.vocab) for side in ["src", "tgt"]]
        for name in ["max_relative_positions", "enc_rnn_size", "dec_rnn_size", "model_type"]:
            vars(saved["opt"]).pop(name, None)
        torch.save(saved, path, _use_new_zipfile_serialization=False)
    network = build_base_model(opt, fields, gpu=False)
    network.load_state_dict(saved["model"], strict=False)
    network.generator.load_state_dict(saved["generator"])
    write(directory, judge_of(network.eval()).expected())


def attention_in_rows(judge):
    """Without input feeding version 3 gives the attention a step at a time in another order of axes."""
    inner = judge.run

    def run(source, fed):
        logits, attention = inner(source, fed)
        if attention is not None and attention.shape[0] != len(source):
            attention = attention.transpose(0, 1)
        return logits, attention

    judge.run = run
    return judge


# ---------------------------------------------------------------- JoeyNMT


def joeynmt(directory, tied=False, **options):
    import json

    import toolkit_stubs

    toolkit_stubs.absent("tensorboard", "torch.utils.tensorboard", "pyonmttok", "datasets", "matplotlib", "portalocker", "subword_nmt", "sacremoses")
    import torch
    import yaml
    from joeynmt.config import _check_special_symbols
    from joeynmt.model import build_model
    from joeynmt.vocabulary import Vocabulary

    torch.manual_seed(47)
    model = directory / "model"
    embeddings = dict(embedding_dim=12 if tied else 10, scale=False, dropout=0.0)
    encoder = dict(rnn_type="gru", embeddings=embeddings, hidden_size=8, bidirectional=True, dropout=0.0, num_layers=1, type="recurrent")
    decoder = dict(rnn_type="gru", embeddings=embeddings, hidden_size=12, dropout=0.0, hidden_dropout=0.0, num_layers=1, type="recurrent",
                   input_feeding=True, init_hidden="bridge", attention="bahdanau")  # fmt: skip
    encoder |= options.get("encoder", {})
    decoder |= options.get("decoder", {})
    data = dict(train="data/train", dataset_type="plain", special_symbols={})
    for name, language in [("src", "xx"), ("trg", "yy")]:
        data[name] = dict(lang=language, level="word", max_length=60, voc_min_freq=1, voc_file=f"run/{name}_vocab.txt")
    config = dict(
        name="run", joeynmt_version="2.3.0", model_dir="run/model", use_cuda=False, data=data,
        testing=dict(beam_size=1, beam_alpha=1.0, max_output_length=LONGEST), training=dict(optimizer="adam"),
        model=dict(initializer="xavier_uniform", encoder=encoder, decoder=decoder, tied_softmax=tied),
    )  # fmt: skip
    (model / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False))
    special = SimpleNamespace(**_check_special_symbols({}))
    vocabularies = []
    for name, pieces in zip(["src", "trg"], [SOURCE_WORDS, TARGET_WORDS]):
        made = Vocabulary(pieces, special)
        made.to_file(model / f"{name}_vocab.txt")
        vocabularies.append(made)
    source, target = vocabularies

    def judge_of(network):
        def run(sources, fed):
            mask = torch.ones(len(sources), 1, sources.shape[1], dtype=torch.bool)
            lengths = torch.full((len(sources),), sources.shape[1])
            encoded, hidden = network._encode(sources, lengths, mask)
            outputs, _, attention, _ = network._decode(encoded, hidden, mask, fed, fed.shape[1])
            return outputs, attention

        # Its search never gives the start, nor the end at once.
        return Attending(network, run, lambda pieces: [source.lookup(piece) for piece in pieces] + [source.eos_index], target._itos,
                         target.bos_index, target.eos_index, [target.bos_index])  # fmt: skip

    network = build_model(json.loads(json.dumps(config["model"])), source, target).eval()
    judge = judge_of(network)
    judge.train(700)
    judge.disturb()
    saved = {
        "steps": 500, "total_tokens": 30000, "best_ckpt_score": float("inf"), "best_ckpt_iter": 500,
        "model_state": network.state_dict(), "optimizer_state": of_one_parameter(network), "scheduler_state": {"step": 5},
        "scaler_state": None, "train_iter_state": torch.Generator().get_state()[:64].clone(),
    }  # fmt: skip
    torch.save(saved, model / "best.ckpt")
    network = build_model(json.loads(json.dumps(config["model"])), source, target).eval()
    network.load_state_dict(torch.load(model / "best.ckpt")["model_state"])
    write(directory, judge_of(network).expected())


#: The fixtures: the packages each needs, and how it is made.
PLANS = {
    "tutorial_1": (None, lambda d: tutorial(d, 1)),
    "tutorial_2": (None, lambda d: tutorial(d, 2)),
    "tutorial_4": (None, lambda d: tutorial(d, 4)),
    "official_new": (None, lambda d: official(d, "new")),
    "official_old": (None, lambda d: official(d, "old")),
    "official_plain": (None, lambda d: official(d, "plain")),
    "keras": (None, lambda d: keras(d, True)),
    "keras_before": (None, lambda d: keras(d, False)),
    "marian_s2s": (None, marian),
    "marian_s2s_deep": (None, lambda d: marian(
        d, **{"enc-depth": 2, "dec-depth": 2, "dec-cell-base-depth": 4, "tied-embeddings": True})),
    "marian_s2s_lstm": (None, lambda d: marian(
        d, **{"enc-type": "bi-unidirectional", "enc-depth": 2, "enc-cell": "lstm", "dec-cell": "lstm"})),
    "marian_nematus": (None, lambda d: marian(d, type="nematus", **{"dec-cell-base-depth": 3})),
    "marian_amun": (None, lambda d: marian(d, type="amun", bare=True)),
    "fairseq_lstm": ("fairseq-0.12.2", lambda d: fairseq(
        d, encoder_layers=2, encoder_hidden_size=8, encoder_bidirectional=True, decoder_layers=2, decoder_hidden_size=12,
        decoder_out_embed_dim=10)),
    "fairseq_lstm_plain": ("fairseq-0.12.2", lambda d: fairseq(
        d, decoder_attention="0", share_decoder_input_output_embed=True, decoder_out_embed_dim=12)),
    "opennmt_py_3_rnn": ("OpenNMT_py-3.5.1", lambda d: opennmt_py_3(d, enc_layers=2, dec_layers=2, bridge=True)),
    "opennmt_py_3_rnn_mlp": ("OpenNMT_py-3.5.1", lambda d: opennmt_py_3(
        d, encoder_type="rnn", rnn_type="GRU", global_attention="mlp", input_feed=0)),
    "opennmt_py_1_rnn": ("OpenNMT_py-1.2.0", lambda d: opennmt_py_1(
        d, encoder_type="brnn", enc_layers=2, dec_layers=2, bridge=True, global_attention="dot")),
    "opennmt_py_1_rnn_plain": ("OpenNMT_py-1.2.0", lambda d: opennmt_py_1(
        d, rnn_type="GRU", global_attention="none", input_feed=0, share_decoder_embeddings=False)),
    "opennmt_py_oldest_rnn": ("OpenNMT_py-1.2.0", lambda d: opennmt_py_1(d, oldest=True, encoder_type="brnn", rnn_type="GRU")),
    "joeynmt_bahdanau": ("joeynmt-2.3.0", joeynmt),
    "joeynmt_luong": ("joeynmt-2.3.0", lambda d: joeynmt(
        d, tied=True, encoder=dict(rnn_type="lstm", num_layers=2, hidden_size=12),
        decoder=dict(rnn_type="lstm", num_layers=2, init_hidden="last", attention="luong"))),
    "joeynmt_zero": ("joeynmt-2.3.0", lambda d: joeynmt(
        d, decoder=dict(init_hidden="zero", input_feeding=False, attention="luong"))),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else list(PLANS):
        package, make = PLANS[name]
        directory = FIXTURES / name
        if arguments.here:
            import torch

            torch.set_num_threads(1)
            shutil.rmtree(directory, ignore_errors=True)
            (directory / "model").mkdir(parents=True)
            make(directory)
            continue
        print(name, flush=True)
        paths = [HERE, arguments.sources / "deps"] + ([arguments.sources / package] if package else [])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(path.resolve()) for path in paths), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, __file__, str(arguments.sources), "--only", name, "--here"]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        print("\n".join(line for line in result.stdout.splitlines() if line.startswith("  ")), flush=True)
        if result.returncode != 0:
            sys.exit(result.stderr[-3000:])


if __name__ == "__main__":
    main()
