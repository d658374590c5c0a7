#!/usr/bin/env python3
"""Writes tests/fixtures/toolkits/: tiny checkpoints of training toolkits, made, saved and read again by the toolkits' own code, and
what that code computes with them.

    toolkits_reference.py SOURCES [--only NAME]

SOURCES is a folder with the unpacked packages `OpenNMT_py-1.2.0`, `OpenNMT_py-3.5.1`, `joeynmt-2.3.0`, `sockeye-3.1.34` (wheels, `pip
download --no-deps` and `unzip`) and `fairseq-0.12.2` (source package; nothing of it has to be compiled), and in `deps` what they
import: `pip install --no-deps --target deps` of antlr4-python3-runtime==4.9.3 bitarray configargparse hydra-core==1.3.2
omegaconf==2.3.0 packaging pyonmttok six. What else they import and never use here is a stand-in (toolkit_stubs.py). Each fixture is made in a
process of its own, since the packages have modules of the same names.

All models learn the same made-up language for some seconds: every word has a translation, and the order is reversed. `MODEL/model`
is what the toolkit saves, only shortened: tables of sinusoids to 40 rows, and the optimiser's state to that of one parameter. `MODEL/expected.json`
holds, in pieces and for the ids of the toolkit itself: `greedy`, its translations with the sum of their log-probabilities, and
`forced`, the logits along a target; for some `beam`, its own beam search.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures" / "toolkits"
SOURCE_WORDS = "ba ce di fo gu ha ki lo mu ne pa ru".split()
TARGET_WORDS = "Ab Ec Id Of Ug Ah Ik Ol Um En Ap Ur".split()
#: Rows of a table of sinusoids that are kept.
ROWS = 40
#: Tokens a translation may have.
LONGEST = 12


def pairs(count, length, random):
    """Pieces of `count` sentences of one length, and their translations."""
    for _ in range(count):
        words = [random.randrange(len(SOURCE_WORDS)) for _ in range(length)]
        yield [SOURCE_WORDS[w] for w in words], [TARGET_WORDS[w] for w in reversed(words)]


def spelt(pieces):
    """The same in characters."""
    return list(" ".join(pieces))


class Judge:
    """A model of a toolkit. `logits(source, fed)` takes ids `[batch, length]` and gives `[batch, length, vocabulary]`."""

    def __init__(self, module, logits, source_ids, target_list, begin, end, banned=(), spelling=lambda pieces: pieces):
        self.module, self.logits, self.source_ids, self.target_list = module, logits, source_ids, target_list
        self.begin, self.end, self.banned, self.spelling = begin, end, list(banned), spelling

    def train(self, steps=500, rate=8e-3, seed=3):
        import random as randoms

        import torch

        random = randoms.Random(seed)
        number = {piece: id for id, piece in enumerate(self.target_list)}
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(parameters, lr=rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)
        for _ in range(steps):
            # One length a batch, so that nothing is padded.
            length = random.randint(1, 5) if self.spelling(["ab"]) == ["ab"] else random.randint(1, 2)
            batch = [(self.spelling(s), self.spelling(t)) for s, t in pairs(24, length, random)]
            source = torch.tensor([self.source_ids(s) for s, _ in batch])
            target = torch.tensor([[number[piece] for piece in t] + [self.end] for _, t in batch])
            fed = torch.cat([torch.full((len(batch), 1), self.begin), target[:, :-1]], 1)
            logits = self.logits(source, fed)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"  loss {loss.item():.3f}")

    def disturb(self, seed=5):
        """Norms and biases away from ones and zeros."""
        import torch

        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in self.module.parameters():
                if parameter.dim() == 1 and parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.1)

    def greedy(self, pieces):
        import torch

        source, ids, total, ended = torch.tensor([self.source_ids(pieces)]), [self.begin], 0.0, False
        while len(ids) <= LONGEST and not ended:
            scores = torch.log_softmax(self.logits(source, torch.tensor([ids]))[0, -1], -1)
            scores[self.banned] = -torch.inf
            best = int(scores.argmax())
            total += float(scores[best])
            ended = best == self.end
            ids.append(best)
        written = [self.target_list[id] for id in ids[1:] if id != self.end]
        return {"source": pieces, "pieces": written, "log_probability": round(total, 6), "ended": ended}

    def expected(self, beam=None):
        import random as randoms

        import torch

        random = randoms.Random(11)
        cases = [s for length in [1, 2, 3, 4, 5, 7] for s, _ in pairs(3, length, random)]
        if self.spelling(["ab"]) != ["ab"]:
            cases = [self.spelling(s) for length in [1, 2, 3] for s, _ in pairs(3, length, random)]
        with torch.no_grad():
            found = {"greedy": [self.greedy(case) for case in cases], "forced": []}
            for case in cases[2::5]:
                target = [id for id, piece in enumerate(self.target_list) if piece.isalpha()]
                target = [target[random.randrange(len(target))] for _ in range(4)]
                logits = self.logits(torch.tensor([self.source_ids(case)]), torch.tensor([[self.begin] + target]))[0]
                rounded = [[round(float(value), 5) for value in row] for row in logits]
                found["forced"].append({"source_ids": self.source_ids(case), "fed": [self.begin] + target, "logits": rounded})
            if beam:
                found["beam"] = [beam(case) for case in cases]
        ended = [case for case in found["greedy"] if case["ended"]]
        print(f"  {len(ended)} of {len(cases)} end by themselves")
        return found


def write(directory, expected):
    # Every number is short; a case a line reads well and is small.
    text = json.dumps(expected, ensure_ascii=False)
    for key in expected:
        text = text.replace(f'"{key}": [', f'"{key}": [\n', 1)
    text = text.replace('}, {"source', '},\n{"source')
    (directory / "expected.json").write_text(text + "\n")


def of_one_parameter(module):
    """The state of an optimiser that has seen one parameter."""
    import torch

    smallest = min(module.parameters(), key=lambda parameter: parameter.numel()).detach()
    state = {0: {"step": torch.tensor(500.0), "exp_avg": smallest / 7, "exp_avg_sq": smallest**2}}
    return {"state": state, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.998), "eps": 1e-9, "params": [0]}]}


# ---------------------------------------------------------------- fairseq


def fairseq(directory, form, **options):
    import toolkit_stubs

    toolkit_stubs.absent("fairseq.data.data_utils_fast", "fairseq.data.token_block_utils_fast", "fairseq.libbleu", "torchaudio", "iopath")
    import torch
    import torch._dynamo  # before dataclasses are as they were

    with toolkit_stubs.old_dataclasses():
        from fairseq.data import Dictionary
        from fairseq.dataclass.configs import FairseqConfig
        from fairseq.models.transformer import TransformerModel, base_architecture
        from fairseq.sequence_generator import SequenceGenerator

    torch.manual_seed(31)
    model = directory / "model"
    joint = options.get("share_all_embeddings", False)

    def dictionary(words, language):
        made = Dictionary()
        for word in words:
            made.add_symbol(word, n=50 - len(made))
        made.pad_to_multiple_(8)
        with open(model / f"dict.{language}.txt", "w", encoding="utf-8") as file:
            made.save(file)
        with open(model / f"dict.{language}.txt", encoding="utf-8") as file:
            return Dictionary.load(file)

    words = (SOURCE_WORDS + TARGET_WORDS,) * 2 if joint else (SOURCE_WORDS, TARGET_WORDS)
    task = SimpleNamespace(source_dictionary=dictionary(words[0], "xx"), target_dictionary=dictionary(words[1], "yy"))
    args = argparse.Namespace(
        arch="transformer", task="translation", source_lang="xx", target_lang="yy", data="data-bin/xx-yy", dropout=0.0,
        attention_dropout=0.0, encoder_embed_dim=16, encoder_ffn_embed_dim=24, encoder_layers=2, encoder_attention_heads=4,
        decoder_layers=1, decoder_attention_heads=2, max_source_positions=ROWS, max_target_positions=ROWS, **options,
    )  # fmt: skip
    base_architecture(args)
    network = TransformerModel.build_model(args, task).eval()

    def judge_of(network):
        def logits(source, fed):
            lengths = torch.full((len(source),), source.shape[1])
            return network(source, lengths, fed)[0]

        def source_ids(pieces):
            return [task.source_dictionary.index(piece) for piece in pieces] + [task.source_dictionary.eos()]

        end = task.target_dictionary.eos()
        return Judge(network, logits, source_ids, task.target_dictionary.symbols, end, end, [task.target_dictionary.pad()])

    judge = judge_of(network)
    judge.train()
    judge.disturb()
    state = network.state_dict()
    history = {"criterion_name": "LabelSmoothedCrossEntropyCriterion", "optimizer_name": "FairseqAdam", "num_updates": 500}
    history["lr_scheduler_state"] = {"best": None}
    saved = {
        "args": args, "model": state, "optimizer_history": [history],
        "extra_state": {"train_iterator": {"epoch": 3, "iterations_in_epoch": 0}, "val_loss": 0.1},
        "last_optimizer_state": of_one_parameter(network),
    }  # fmt: skip
    if form == "cfg":
        from omegaconf import OmegaConf

        cfg = OmegaConf.to_container(OmegaConf.structured(FairseqConfig()), resolve=False, enum_to_str=True)
        cfg["model"], cfg["task"] = args, {"_name": "translation", "source_lang": "xx", "target_lang": "yy", "data": "data-bin"}
        saved |= {"args": None, "cfg": cfg}
    if form == "DictConfig":
        # As fairseq 0.10 wrote it: the objects of its configuration library, which hold one another.
        from omegaconf import OmegaConf

        task_part = {"_name": "translation", "source_lang": "xx", "target_lang": "yy", "data": "data-bin"}
        saved |= {"args": None, "cfg": OmegaConf.create({"model": vars(args), "task": task_part})}
    if form == "oldest":
        state = dict(state)
        for name in [name for name in state if name.endswith("q_proj.weight") or name.endswith("q_proj.bias")]:
            part = name.rsplit(".", 1)[1]
            stem = name[: -len(f"q_proj.{part}")]
            state[f"{stem}in_proj_{part}"] = torch.cat([state.pop(f"{stem}{which}_proj.{part}") for which in "qkv"])
        for name in list(state):
            for old, new in [("self_attn_layer_norm", 0), ("encoder_attn_layer_norm", 1)]:
                if old in name:
                    state[name.replace(old, f"layer_norms.{new}")] = state.pop(name)
            if "final_layer_norm" in name:
                number = 1 if name.startswith("encoder") else 2
                state[name.replace("final_layer_norm", f"layer_norms.{number}")] = state.pop(name)
        state["decoder.embed_out"] = state.pop("decoder.output_projection.weight")
        state["encoder.embed_positions._float_tensor"] = state["decoder.embed_positions._float_tensor"] = torch.zeros(1)
        saved["model"] = state
    torch.save(saved, model / "checkpoint_best.pt", _use_new_zipfile_serialization=form != "oldest")

    again = torch.load(model / "checkpoint_best.pt", weights_only=False)
    network = TransformerModel.build_model(args, task).eval()
    if form == "oldest":
        state = again["model"]
        # Its reader knows these names but for that of the output layer.
        state["decoder.output_projection.weight"] = state.pop("decoder.embed_out")
    network.load_state_dict(again["model"])
    judge = judge_of(network)

    generator = SequenceGenerator([network], task.target_dictionary, beam_size=5, max_len_a=0, max_len_b=LONGEST)

    def beam(case):
        source = torch.tensor([judge.source_ids(case)])
        lengths = torch.tensor([source.shape[1]])
        best = generator.generate([network], {"net_input": {"src_tokens": source, "src_lengths": lengths}})[0][0]
        written = [task.target_dictionary[id] for id in best["tokens"].tolist() if id != task.target_dictionary.eos()]
        return {"source": case, "pieces": written, "score": round(float(best["score"]), 6)}

    write(directory, judge.expected(beam))


# ---------------------------------------------------------------- OpenNMT-py


def opennmt_py_3(directory, form="pytorch", **options):
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

    torch.manual_seed(32)
    parser = ArgumentParser()
    onmt.opts.train_opts(parser)
    opt, _ = parser.parse_known_args(["-data", "{}", "-src_vocab", "run/vocab.src"])
    chosen = dict(
        encoder_type="transformer", decoder_type="transformer", word_vec_size=16, hidden_size=16, enc_layers=2, dec_layers=1,
        heads=2, transformer_ff=24, dropout=[0.0], attention_dropout=[0.0], optim="adam", self_attn_type="scaled-dot",
    )  # fmt: skip
    vars(opt).update(chosen | options)
    ArgumentParser.update_model_opts(opt)
    ArgumentParser.validate_model_opts(opt)
    start = options.get("decoder_start_token", "<s>")
    specials = ["<unk>", "<blank>", "<s>", "</s>"]
    vocabularies = {"data_task": "seq2seq", "decoder_start_token": start}
    for side, words in [("src", SOURCE_WORDS), ("tgt", TARGET_WORDS)]:
        vocabularies[side] = pyonmttok.build_vocab_from_tokens(words, special_tokens=specials)
        for number in range(-len(vocabularies[side]) % 8):
            vocabularies[side].add_token(f"averyunlikelytoken{number}")

    def build():
        network = build_base_model(opt, vocabularies)
        for parameter in network.parameters():
            if parameter.dim() > 1:
                torch.nn.init.xavier_uniform_(parameter)
            else:
                torch.nn.init.zeros_(parameter)
        for name, parameter in network.named_parameters():
            if "layer_norm" in name and name.endswith("weight"):
                torch.nn.init.ones_(parameter)
        for side in [network.encoder, network.decoder]:
            if opt.position_encoding:
                side.embeddings.make_embedding.pe.pe = side.embeddings.make_embedding.pe.pe[:ROWS].clone()
        return network.eval()

    def judge_of(network):
        def logits(source, fed):
            lengths = torch.full((len(source),), source.shape[1])
            # The last fed token is dropped inside.
            fed = torch.cat([fed, fed[:, :1]], 1)
            return network.generator(network(source.unsqueeze(-1), fed.unsqueeze(-1), lengths)[0])

        source, target = vocabularies["src"], vocabularies["tgt"]
        return Judge(network, logits, lambda pieces: [source[piece] for piece in pieces], target.ids_to_tokens,
                     target[start], target["</s>"])  # fmt: skip

    network = build()
    judge = judge_of(network)
    judge.train()
    judge.disturb()
    optimiser = SimpleNamespace(state_dict=lambda: {"training_step": 501, "optimizer": of_one_parameter(network)})
    saver = ModelSaver(str(directory / "model" / "run"), network, opt, vocabularies, optimiser, save_format=form)
    if form == "safetensors":
        path, weights = saver._st_save(500, network)
        os.rename(weights, weights.replace(".safetensors", ".00.safetensors"))
    else:
        path, _ = saver._save(500, network)

    network = build()
    if form == "safetensors":
        network.load_safe_state_dict(path[:-3], strict=True)
    else:
        network.load_state_dict(load_checkpoint(path), strict=True)
    write(directory, judge_of(network.eval()).expected())


def opennmt_py_1(directory, oldest=False, **options):
    import toolkit_stubs

    toolkit_stubs.old_torchtext()
    toolkit_stubs.absent("tensorboard", "torch.utils.tensorboard")
    import functools

    import torch

    torch.load = functools.partial(torch.load, weights_only=False)
    import onmt.opts
    from onmt.inputters import get_fields
    from onmt.model_builder import build_base_model, load_test_model
    from onmt.models.model_saver import ModelSaver
    from onmt.utils.parse import ArgumentParser
    from toolkit_stubs import Vocab

    torch.manual_seed(33)
    parser = ArgumentParser()
    onmt.opts.model_opts(parser)
    onmt.opts.train_opts(parser)
    opt, _ = parser.parse_known_args(["-data", "run/xx-yy"])
    chosen = dict(
        encoder_type="transformer", decoder_type="transformer", word_vec_size=16, rnn_size=16, enc_layers=2, dec_layers=1,
        heads=2, transformer_ff=24, position_encoding=True, dropout=[0.0], attention_dropout=[0.0], optim="adam",
        param_init=0.0, param_init_glorot=True,
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

    def shorten(network):
        for side in [network.encoder, network.decoder]:
            if opt.position_encoding:
                side.embeddings.make_embedding.pe.pe = side.embeddings.make_embedding.pe.pe[:ROWS].clone()
        return network.eval()

    def judge_of(network):
        def logits(source, fed):
            lengths = torch.full((len(source),), source.shape[1])
            fed = torch.cat([fed, fed[:, :1]], 1)
            out, _ = network(source.T.unsqueeze(-1), fed.T.unsqueeze(-1), lengths)
            return network.generator[0](out).transpose(0, 1)

        source, target = (fields[side].base_field.vocab for side in ["src", "tgt"])
        return Judge(network, logits, lambda pieces: [source.stoi[piece] for piece in pieces], target.itos,
                     target.stoi["<s>"], target.stoi["</s>"])  # fmt: skip

    network = shorten(build_base_model(opt, fields, gpu=False))
    judge = judge_of(network)
    judge.train()
    judge.disturb()
    optimiser = SimpleNamespace(state_dict=lambda: {"training_step": 501, "optimizer": of_one_parameter(network)})
    saver = ModelSaver(str(directory / "model" / "run"), network, opt, fields, optimiser)
    _, path = saver._save(500, network)
    if oldest:
        # Version 0.x: its own normalisation's names, pairs of a name and a vocabulary, the file format of before PyTorch 1.6.
        saved = torch.load(path)
        names = {"layer_norm.weight": "layer_norm.a_2", "layer_norm.bias": "layer_norm.b_2"}
        names |= {f"layer_norm_{n}.{new}": f"layer_norm_{n}.{old}" for n in "12" for new, old in [("weight", "a_2"), ("bias", "b_2")]}

        def renamed(name):
            for new, old in names.items():
                name = name.replace(new, old)
            return name

        saved["model"] = {renamed(name): tensor for name, tensor in saved["model"].items()}
        saved["vocab"] = [(side, fields[side].base_field.vocab) for side in ["src", "tgt"]]
        del saved["opt"].max_relative_positions
        torch.save(saved, path, _use_new_zipfile_serialization=False)
        state = {name: tensor for name, tensor in saved["model"].items()}
        import re

        state = {re.sub(r"b_2$", "bias", re.sub(r"a_2$", "weight", name)): tensor for name, tensor in state.items()}
        network = shorten(build_base_model(opt, fields, gpu=False))
        network.load_state_dict(state, strict=False)
        network.generator.load_state_dict(saved["generator"])
    else:
        # Its reader wants the sinusoids whole.
        saved = torch.load(path)
        whole = torch.zeros(0)
        if opt.position_encoding:
            whole = build_base_model(opt, fields, gpu=False).encoder.embeddings.make_embedding.pe.pe
        for name in [name for name in saved["model"] if name.endswith(".pe.pe")]:
            saved["model"][name] = whole
        shortened, torch.load = torch.load, lambda path, **_: saved
        _, network, _ = load_test_model(SimpleNamespace(models=[path], data_type="text", gpu=-1, fp32=False))
        torch.load = shortened
    write(directory, judge_of(network.eval()).expected())


# ---------------------------------------------------------------- JoeyNMT


def joeynmt(directory, characters=False, **options):
    import toolkit_stubs

    toolkit_stubs.absent("tensorboard", "torch.utils.tensorboard", "pyonmttok", "datasets", "matplotlib", "portalocker", "subword_nmt", "sacremoses")
    import torch
    import yaml
    from joeynmt.config import _check_special_symbols
    from joeynmt.model import build_model
    from joeynmt.search import transformer_greedy
    from joeynmt.vocabulary import Vocabulary

    torch.manual_seed(34)
    model = directory / "model"
    side = dict(type="transformer", num_layers=1, num_heads=2, embeddings=dict(embedding_dim=16, scale=True, dropout=0.0),
                hidden_size=16, ff_size=24, dropout=0.0)  # fmt: skip
    encoder = side | {"num_layers": 2} | options.get("encoder", {})
    decoder = side | options.get("decoder", {})
    level = "char" if characters else "word"
    tying = {key: options[key] for key in ["tied_embeddings", "tied_softmax"] if key in options}
    symbols = options.get("special_symbols", {})
    data = dict(train="data/train", dataset_type="plain", special_symbols=symbols)
    for name, language in [("src", "xx"), ("trg", "yy")]:
        data[name] = dict(lang=language, level=level, max_length=60, voc_min_freq=1, voc_file=f"run/{name}_vocab.txt")
    config = dict(
        name="run", joeynmt_version="2.3.0", model_dir="run/model", use_cuda=False, data=data,
        testing=dict(beam_size=1, beam_alpha=1.0, max_output_length=LONGEST), training=dict(optimizer="adam"),
        model=dict(initializer="xavier_uniform", encoder=encoder, decoder=decoder, **tying),
    )  # fmt: skip
    (model / "config.yaml").write_text(yaml.dump(config, sort_keys=False))
    special = SimpleNamespace(**_check_special_symbols(dict(symbols)))
    spelling = spelt if characters else (lambda pieces: pieces)
    words = [list(dict.fromkeys("".join(w) + " ")) for w in [SOURCE_WORDS, TARGET_WORDS]] if characters else [SOURCE_WORDS, TARGET_WORDS]
    if tying.get("tied_embeddings"):
        words = [SOURCE_WORDS + TARGET_WORDS] * 2
    vocabularies = []
    for name, pieces in zip(["src", "trg"], words):
        made = Vocabulary(pieces, special)
        made.to_file(model / f"{name}_vocab.txt")
        vocabularies.append(Vocabulary((model / f"{name}_vocab.txt").read_text().split("\n")[: len(made)], special))
        assert vocabularies[-1] == made
    source, target = vocabularies

    def build():
        network = build_model(json.loads(json.dumps(config["model"])), source, target)
        for part in [network.encoder, network.decoder]:
            part.pe.pe = part.pe.pe[:, :ROWS].clone()
        return network.eval()

    def judge_of(network):
        def logits(sources, fed):
            mask = torch.ones(len(sources), 1, sources.shape[1], dtype=torch.bool)
            lengths = torch.full((len(sources),), sources.shape[1])
            encoded, hidden = network._encode(sources, lengths, mask)
            target_mask = torch.ones(len(fed), 1, fed.shape[1], dtype=torch.bool)
            return network._decode(encoded, hidden, mask, fed, fed.shape[1], trg_mask=target_mask)[0]

        return Judge(network, logits, lambda pieces: [source.lookup(piece) for piece in pieces] + [source.eos_index],
                     target._itos, target.bos_index, target.eos_index, spelling=spelling)  # fmt: skip

    network = build()
    judge = judge_of(network)
    judge.train(900 if characters else 500)
    judge.disturb()
    saved = {
        "steps": 500, "total_tokens": 30000, "best_ckpt_score": float("inf"), "best_ckpt_iter": 500,
        "model_state": network.state_dict(), "optimizer_state": of_one_parameter(network), "scheduler_state": {"step": 5},
        "scaler_state": None, "train_iter_state": torch.Generator().get_state()[:64].clone(),
    }  # fmt: skip
    torch.save(saved, model / "best.ckpt")

    network = build()
    network.load_state_dict(torch.load(model / "best.ckpt")["model_state"])
    judge = judge_of(network)
    expected = judge.expected()
    # Its own search: not the first token, </s>, nor ever <s>.
    for case in expected["greedy"]:
        ids = torch.tensor([judge.source_ids(case["source"])])
        mask = torch.ones(1, 1, ids.shape[1], dtype=torch.bool)
        encoded, _ = network._encode(ids, torch.tensor([ids.shape[1]]), mask)
        found, scores, _ = transformer_greedy(mask, LONGEST, network, encoded, None, return_prob="hyp")
        written = [target._itos[id] for id in found[0].tolist() if id != target.eos_index]
        case["own_search"] = written
    assert all(case["own_search"] == case.pop("pieces") for case in json.loads(json.dumps(expected["greedy"])))
    for case in expected["greedy"]:
        del case["own_search"]
    write(directory, expected)


# ---------------------------------------------------------------- Sockeye


def sockeye(directory, **options):
    import torch
    from sockeye import constants, data_io, encoder, model, transformer, vocab

    torch.manual_seed(35)
    saved = directory / "model"
    shared = options.pop("shared", False)
    words = [SOURCE_WORDS + TARGET_WORDS] * 2 if shared else [SOURCE_WORDS, TARGET_WORDS]
    source, target = ({piece: id for id, piece in enumerate(["<pad>", "<unk>", "<s>", "</s>"] + w)} for w in words)
    sizes = len(source), len(target)

    def side(layers):
        chosen = dict(
            model_size=16, attention_heads=2, feed_forward_num_hidden=24, act_type="relu", num_layers=layers,
            dropout_attention=0.0, dropout_act=0.0, dropout_prepost=0.0, positional_embedding_type="fixed",
            preprocess_sequence="n", postprocess_sequence="dr", max_seq_len_source=ROWS, max_seq_len_target=ROWS,
            depth_key_value=16,
        )  # fmt: skip
        return transformer.TransformerConfig(**chosen | options)

    statistics = data_io.DataStatistics(
        num_sents=100, num_discarded=0, num_tokens_source=300, num_tokens_target=300, num_unks_source=0, num_unks_target=0,
        max_observed_len_source=6, max_observed_len_target=6, size_vocab_source=sizes[0], size_vocab_target=sizes[1],
        length_ratio_mean=1.0, length_ratio_std=0.0, buckets=[(8, 8), (16, 16)], num_sents_per_bucket=[100, 0],
        average_len_target_per_bucket=[4.0, None], length_ratio_stats_per_bucket=[(1.0, 0.0), (None, None)],
    )  # fmt: skip
    config = model.ModelConfig(
        config_data=data_io.DataConfig(statistics, ROWS, ROWS, 1, 1), vocab_source_size=sizes[0], vocab_target_size=sizes[1],
        config_embed_source=encoder.EmbeddingConfig(sizes[0], 16, 0.0), config_embed_target=encoder.EmbeddingConfig(sizes[1], 16, 0.0),
        config_encoder=side(2), config_decoder=side(1),
        weight_tying_type="src_trg_softmax" if shared else "none",
    )  # fmt: skip
    network = model.SockeyeModel(config)
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.dim() > 1:
            torch.nn.init.xavier_uniform_(parameter)
        elif "layer_norm.weight" not in name:
            torch.nn.init.zeros_(parameter)

    def judge_of(network):
        def logits(sources, fed):
            lengths = torch.full((len(sources), 1), sources.shape[1], dtype=torch.int32)
            fed_lengths = torch.full((len(fed), 1), fed.shape[1], dtype=torch.int32)
            return network(sources.unsqueeze(-1), lengths, fed.unsqueeze(-1), fed_lengths)["logits"]

        return Judge(network, logits, lambda pieces: [source[piece] for piece in pieces] + [3], list(target), 2, 3)

    judge = judge_of(network.train())
    judge.train()
    judge.disturb()
    network.save_config(str(saved))
    model.SockeyeModel.save_version(str(saved))
    network.save_parameters(str(saved / "params.best"))
    vocab.vocab_to_json(source, str(saved / "vocab.src.0.json"))
    vocab.vocab_to_json(target, str(saved / "vocab.trg.0.json"))

    again = model.SockeyeModel(model.SockeyeModel.load_config(str(saved / "config")))
    again.train()
    again.load_parameters(str(saved / "params.best"))
    again.eval()
    expected = judge_of(again).expected()

    # The same through its own search.
    from sockeye import inference

    device = torch.device("cpu")
    models, sources, targets = model.load_models(device, [str(saved)], dtype=None, inference_only=True)
    scorer = inference.CandidateScorer(1.0, 0.0, 0.0)
    translator = inference.Translator(
        device=device, ensemble_mode="linear", scorer=scorer, batch_size=1, beam_search_stop="all", models=models,
        source_vocabs=sources, target_vocabs=targets, beam_size=5, nbest_size=1, max_output_length_num_stds=2,
    )  # fmt: skip
    expected["beam"] = []
    for case in expected["greedy"]:
        found = translator.translate([inference.make_input_from_plain_string(0, " ".join(case["source"]))])[0]
        expected["beam"].append({"source": case["source"], "pieces": found.tokens, "score": round(-found.score, 6)})
    del constants
    write(directory, expected)


# ---------------------------------------------------------------- the Annotated Transformer


def annotated(directory, heads=8, size=16):
    import toolkit_stubs
    import torch
    from annotated_transformer import AnnotatedTransformer

    torch.manual_seed(36)
    words = [["<s>", "</s>", "<blank>", "<unk>"] + w for w in [SOURCE_WORDS, TARGET_WORDS]]
    for name, pieces in zip(["source", "target"], words):
        (directory / "model" / f"{name}_vocab.txt").write_text("".join(piece + "\n" for piece in pieces))

    def build():
        return AnnotatedTransformer(len(words[0]), len(words[1]), 2, size, 24, heads, ROWS).eval()

    def judge_of(network):
        number = {piece: id for id, piece in enumerate(words[0])}
        return Judge(network, network, lambda pieces: [0] + [number[piece] for piece in pieces] + [1], words[1], 0, 1)

    network = build()
    judge = judge_of(network)
    judge.train()
    judge.disturb()
    torch.save(network.state_dict(), directory / "model" / "multi30k_model_final.pt")
    # Its own script keeps both vocabularies in one file. torchtext's own cannot be loaded any more; these have its names and states.
    vocabularies = tuple(toolkit_stubs.new_vocabulary(pieces) for pieces in words)
    torch.save(vocabularies, directory / "vocab.pt")
    network = build()
    network.load_state_dict(torch.load(directory / "model" / "multi30k_model_final.pt"))
    write(directory, judge_of(network).expected())


#: The fixtures: the packages each needs, and how it is made.
PLANS = {
    "fairseq_args": ("fairseq-0.12.2", lambda d: fairseq(d, "args", share_decoder_input_output_embed=True)),
    "fairseq_cfg": ("fairseq-0.12.2", lambda d: fairseq(
        d, "cfg", encoder_normalize_before=True, decoder_normalize_before=True, encoder_learned_pos=True,
        decoder_learned_pos=True, activation_fn="gelu", layernorm_embedding=True, share_all_embeddings=True)),
    "fairseq_oldest": ("fairseq-0.12.2", lambda d: fairseq(d, "oldest")),
    "fairseq_dictconfig": ("fairseq-0.12.2", lambda d: fairseq(
        d, "DictConfig", encoder_normalize_before=True, decoder_normalize_before=True, no_decoder_final_norm=True,
        no_scale_embedding=True, activation_fn="gelu_accurate")),
    "opennmt_py_1": ("OpenNMT_py-1.2.0", opennmt_py_1),
    "opennmt_py_1_relative": ("OpenNMT_py-1.2.0", lambda d: opennmt_py_1(d, position_encoding=False, max_relative_positions=3)),
    "opennmt_py_oldest": ("OpenNMT_py-1.2.0", lambda d: opennmt_py_1(d, oldest=True, share_decoder_embeddings=True)),
    "opennmt_py_3": ("OpenNMT_py-3.5.1", lambda d: opennmt_py_3(d, position_encoding=True, add_qkvbias=True, add_ffnbias=True)),
    "opennmt_py_3_relative": ("OpenNMT_py-3.5.1", lambda d: opennmt_py_3(
        d, max_relative_positions=3, add_ffnbias=True, share_decoder_embeddings=True, pos_ffn_activation_fn="gelu")),
    "opennmt_py_3_gated": ("OpenNMT_py-3.5.1", lambda d: opennmt_py_3(
        d, "safetensors", position_encoding=True, position_encoding_type="SinusoidalConcat", pos_ffn_activation_fn="silu",
        layer_norm="rms", norm_eps=1e-5, decoder_start_token="</s>")),
    "joeynmt_pre": ("joeynmt-2.3.0", lambda d: joeynmt(
        d, encoder=dict(layer_norm="pre"), decoder=dict(layer_norm="pre"), tied_softmax=True)),
    "joeynmt_post": ("joeynmt-2.3.0", lambda d: joeynmt(
        d, encoder=dict(layer_norm="post", alpha=1.3, activation="gelu"), decoder=dict(layer_norm="post", alpha=1.3, activation="gelu"),
        tied_embeddings=True, tied_softmax=True,
        special_symbols=dict(unk_id=0, pad_id=1, bos_id=2, eos_id=3, bos_token="<bos>", eos_token="<eos>"))),
    "joeynmt_default": ("joeynmt-2.3.0", joeynmt),
    "joeynmt_characters": ("joeynmt-2.3.0", lambda d: joeynmt(
        d, characters=True, encoder=dict(layer_norm="pre"), decoder=dict(layer_norm="pre"))),
    "sockeye_pre": ("sockeye-3.1.34", lambda d: sockeye(d, use_glu=True, act_type="swish1", shared=True)),
    "sockeye_post": ("sockeye-3.1.34", lambda d: sockeye(
        d, preprocess_sequence="", postprocess_sequence="drn", positional_embedding_type="learned", act_type="gelu")),
    "annotated": (None, annotated),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(PLANS)
    for name in names:
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
        paths = [arguments.sources / "deps"] + ([arguments.sources / package] if package else [])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(path.resolve()) for path in paths), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, __file__, str(arguments.sources), "--only", name, "--here"]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        print("\n".join(line for line in result.stdout.splitlines() if line.startswith("  ")), flush=True)
        if result.returncode != 0:
            sys.exit(result.stderr[-3000:])


if __name__ == "__main__":
    main()
