"""Trains the small network with which the program puts commas and capitals where a careless writer left them out.

    python -m training commas RUN_DIRECTORY vocab/commas.bin

A text becomes words in small letters and signs, without its commas. Each is the sum of three vectors: of the word, if
it is one of the 8191 most frequent, of its last three letters, and of its case. A GRU of each direction reads them;
from both, a layer tells whether a comma stood behind a word, and another whether a word in a text without capitals had
one. Trained is on the German side of the training sources; no development or test set is read. The last lines say how
the network does on sentences that were kept back. `src/text/commas.rs` has the layout of the file.
"""

import argparse
import re
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..data.corpus import load_lines
from ..data.pair import Pair
from ..data.spellings import ENGLISH, LEFT_OUT

DICTIONARIES = {"lex-wiktionary", "cldr-names", "everyday-vocab"}
MAGIC = b"commas 1"
WORDS, ENDINGS, WIDTH, HIDDEN = 8192, 2048, 16, 32
SMALL, CAPITAL, UNKNOWN_CASE = 0, 1, 2
# A word with what joins its parts, or one sign.
ITEM = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*|\S")
OPENING, CLOSING = set("\"'„“»‚("), set("\"'“”«‘)")
LONGEST = 60  # words of a line
HELD_OUT = 50  # one line of so many
IN_SMALL_LETTERS = 0.4  # so many lines
EPOCHS, BATCH, RATE = 6, 6000, 5e-3
SURE = [0.5, 0.7, 0.8, 0.9]


def hashed(text):
    """FNV-1a of 32 bits."""
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def as_word(item):
    """How an item is looked up; all numbers are one."""
    return "0" if any(c.isnumeric() for c in item) else item.lower()


class Encoder:
    """Numbers of words and endings; 0 is a word that is not known, and the ending of a sign."""

    def __init__(self, words):
        self.words = {word: number for number, word in enumerate(words, 1)}
        self.endings = {}

    def ending(self, word):
        end = word[-3:]
        if end not in self.endings:
            self.endings[end] = 1 + hashed(end) % (ENDINGS - 1)
        return self.endings[end]

    def __call__(self, line):
        """Of each item: word, ending, case, whether a comma may stand behind it, and whether one did."""
        items = []
        for match in ITEM.finditer(line):
            text, end = match.group(), match.end()
            if text == "," and (end == len(line) or line[end].isspace()):
                if items:
                    items[-1][3] = True
            else:
                items.append([text, match.start(), end, False])
        has_capital = any(c.isupper() for c in line)
        rows = []
        for (text, _, end, comma), after in zip(items, items[1:] + [("", 0, 0, False)]):
            is_word, word = text[0].isalnum(), as_word(text)
            may = after[1] > end and (is_word or text in CLOSING)
            may = may and (after[0][0].isalnum() or after[0] in OPENING)
            ending = self.ending(word) if is_word else 0
            case = int(text[0].isupper()) if has_capital else UNKNOWN_CASE
            rows.append((self.words.get(word, 0), ending, case, may, comma and may))
        return rows


def sentences(run):
    """The German lines of the training sources, each once, with its weight; and how often English words occur."""
    lines, english = {}, Counter()
    for name, weight in Pair.of(run).weights.items():
        if name in LEFT_OUT | DICTIONARIES or name.endswith("-marked"):
            continue
        for line in load_lines(run, name):
            german, target = line.split("\t")[:2]
            lines.setdefault(german, weight)
            for item in ITEM.findall(target):
                english[as_word(item)] += weight
    return lines, english


def frequent(lines, english):
    """The most frequent words and signs but English ones, sorted by what the program finds them by."""
    counts = Counter()
    for line, weight in lines.items():
        for item in ITEM.findall(line):
            counts[as_word(item)] += weight
    chosen = {}
    for word, times in counts.most_common():
        is_english = word[0].isalpha() and english[word] > ENGLISH * times
        if word != "," and not is_english:
            chosen.setdefault(hashed(word), word)
        if len(chosen) == WORDS - 1:
            break
    return [word for _, word in sorted(chosen.items())]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, WIDTH) for rows in (WORDS, ENDINGS, 3))
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.3)
        self.reader = nn.GRU(WIDTH, HIDDEN, bidirectional=True, batch_first=True)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
            for _ in range(2)
        )

    def forward(self, words, endings, cases):
        """Scores of a comma behind each item but the last, and of a capital of each."""
        rows = sum(table(ids) for table, ids in zip(self.tables, (words, endings, cases)))
        states, _ = self.reader(rows)
        gaps = torch.cat([states[:, :-1, :HIDDEN], states[:, 1:, HIDDEN:]], -1)
        return self.heads[0](gaps)[..., 0], self.heads[1](states)[..., 0]


def by_length(lines, encoder):
    """Sentences of one length together: `[sentences, items, 5]`, and their weights."""
    groups = {}
    for line, weight in lines:
        rows = encoder(line)
        if len(rows) >= 2 and line.count(" ") <= LONGEST:
            group = groups.setdefault(len(rows), ([], []))
            group[0].append(np.array(rows, np.int16))
            group[1].append(weight)
    return {
        length: (np.stack(rows), np.array(weights)) for length, (rows, weights) in groups.items()
    }


def wanted(rows, is_small):
    """What the network is given, and what it is to say: commas and where they may be, capitals and where they are known."""
    words, endings, cases, may, commas = np.moveaxis(rows, -1, 0)
    inner = np.zeros_like(words, bool)
    # The first word of a sentence has a capital anyway.
    inner[:, 1:] = (endings[:, 1:] > 0) & (endings[:, :-1] > 0)
    given = words, endings, np.where(is_small[:, None], UNKNOWN_CASE, cases)
    given = [torch.from_numpy(part.astype(np.int64)) for part in given]
    is_asked = inner & (cases != UNKNOWN_CASE) & is_small[:, None]
    arrays = commas[:, :-1] == 1, may[:, :-1] == 1, cases == CAPITAL, is_asked
    return given, [torch.from_numpy(array) for array in arrays]


def train(groups, epochs):
    torch.manual_seed(1)
    order = np.random.default_rng(1)
    network = Network()
    optimiser = torch.optim.Adam(network.parameters())
    loss_of = nn.functional.binary_cross_entropy_with_logits
    for epoch in range(epochs):
        batches = []
        for length, (_, weights) in groups.items():
            times = np.floor(np.minimum(weights, 1.5) + order.random(len(weights))).astype(int)
            places = order.permutation(np.repeat(np.arange(len(weights)), times))
            size = max(1, BATCH // length)
            batches += [(length, places[i : i + size]) for i in range(0, len(places), size)]
        order.shuffle(batches)
        total = 0.0
        for step, (length, places) in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = RATE * (1.02 - (epoch + step / len(batches)) / epochs)
            is_small = order.random(len(places)) < IN_SMALL_LETTERS
            given, (commas, may, capitals, is_asked) = wanted(groups[length][0][places], is_small)
            comma, capital = network(*given)
            loss = loss_of(comma[may], commas[may].float()) if may.any() else 0.0 * comma.sum()
            if is_asked.any():
                loss = loss + 0.5 * loss_of(capital[is_asked], capitals[is_asked].float())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(batches):.4f}", flush=True)
    return network


def report(network, groups):
    """How many of the commas put in are right, and how many of those missing are put in; how many words have their case."""
    for case in ("as written", "in small letters"):
        scores, truth, right = [], [], []
        with torch.no_grad():
            for rows, _ in groups.values():
                is_small = np.full(len(rows), case == "in small letters")
                given, (commas, may, capitals, is_asked) = wanted(rows, is_small)
                comma, capital = network(*given)
                scores.append(comma[may].sigmoid())
                truth.append(commas[may])
                right.append((capital > 0)[is_asked] == capitals[is_asked])
        scores, truth, right = torch.cat(scores), torch.cat(truth), torch.cat(right).float()
        for sure in SURE:
            found = scores > sure
            good = float((found & truth).sum())
            shares = 100 * good / max(int(found.sum()), 1), 100 * good / int(truth.sum())
            print(
                f"{case}, surer than {sure}: precision {shares[0]:.1f} %, recall {shares[1]:.1f} %"
            )
        if len(right):
            print(f"{case}: {100 * right.mean():.2f} % of words have their case")


def write(path, network, words):
    """The file: hashes, tables in 8 bits behind their scales, then 32-bit numbers; all little-endian."""
    parts = [MAGIC, np.array([hashed(word) for word in words], "<u4").tobytes()]
    parts.append(b"\xff" * (4 * (WORDS - 1 - len(words))))
    for table in network.tables:
        weight = table.weight.detach().numpy()
        scale = float(np.abs(weight).max()) / 127
        parts += [struct.pack("<f", scale), np.round(weight / scale).astype(np.int8).tobytes()]
    numbers = []
    for suffix in ("", "_reverse"):
        for name in ("weight_ih_l0", "weight_hh_l0"):
            numbers.append(getattr(network.reader, name + suffix).T)
        for name in ("bias_ih_l0", "bias_hh_l0"):
            numbers.append(getattr(network.reader, name + suffix))
    for inner, _, outer in network.heads:
        numbers += [inner.weight.T, inner.bias, outer.weight, outer.bias]
    parts += [np.ascontiguousarray(each.detach().numpy(), "<f4").tobytes() for each in numbers]
    path.write_bytes(b"".join(parts))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory with the prepared data")
    parser.add_argument("file", type=Path, help="file to write")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines, english = sentences(options.run)
    words = frequent(lines, english)
    encoder = Encoder(words)
    is_kept_back = {line: zlib.crc32(line.encode()) % HELD_OUT == 0 for line in lines}
    kept_back = by_length(((line, w) for line, w in lines.items() if is_kept_back[line]), encoder)
    network = train(
        by_length(((line, w) for line, w in lines.items() if not is_kept_back[line]), encoder),
        options.epochs,
    )
    write(options.file, network, words)
    report(network, kept_back)


if __name__ == "__main__":
    main()
