"""Weights of a finished model, for another vocabulary: a checkpoint that a training can start from.

    python -m training transfer models/transformer NEW_VOCABULARY CHECKPOINT.pt

What a piece of the new vocabulary means, the old model knows from the pieces it would have cut it into. A piece
that both have keeps its row of the embeddings; any other gets the mean of the rows of those old pieces, the
first one counting most: the tied output layer has to say it where it said that first piece.
"""

import argparse
import math

import torch

from ..data.vocabulary import Vocabulary
from ..models import build
from .evaluate import load_directory
from .grow import save_start

FIRST = 0.5  # the first old piece's share of a new row, besides its part in the mean
SPACE = "▁"


class Cutter:
    """Cuts text into the pieces of a unigram vocabulary, without adding a space in front."""

    def __init__(self, vocabulary):
        processor = vocabulary.processor
        self.ids, self.scores = {}, {}
        for index in range(processor.get_piece_size()):
            if not (processor.is_control(index) or processor.is_unknown(index)):
                piece = processor.id_to_piece(index)
                self.ids[piece] = index
                if not processor.is_byte(index):
                    self.scores[piece] = processor.get_score(index)
        self.longest = max(map(len, self.scores))
        self.byte_score = min(self.scores.values()) - 10

    def __call__(self, text):
        """Ids of the most probable pieces; letters that the vocabulary lacks are spelt in bytes."""
        best = [(0.0, [])]
        for end in range(1, len(text) + 1):
            byte_ids = [self.ids[f"<0x{byte:02X}>"] for byte in text[end - 1].encode()]
            score, ids = best[end - 1]
            ways = [(score + self.byte_score, ids + byte_ids)]
            for start in range(max(0, end - self.longest), end):
                piece = text[start:end]
                if piece in self.scores:
                    score, ids = best[start]
                    ways.append((score + self.scores[piece], ids + [self.ids[piece]]))
            best.append(max(ways, key=lambda way: way[0]))
        return best[-1][1]


def exchange(weight, bias, old, new):
    """Embeddings [new size, d] and output bias [new size - 1] for `new`, and how many rows are new."""
    cut = Cutter(old)
    rows = torch.zeros(new.size, weight.shape[1])
    biases = torch.zeros(new.size - 1)
    typical = weight[: old.pad].norm(dim=1).median()
    made = 0
    for index in range(new.pad):
        piece = new.processor.id_to_piece(index)
        known = old.processor.piece_to_id(piece)
        if old.processor.id_to_piece(known) == piece:
            rows[index], biases[index] = weight[known], bias[known]
            continue
        ids = cut(piece)
        row = FIRST * weight[ids[0]] + (1 - FIRST) * weight[ids].mean(0)
        # Means are short vectors; a short row would be a likely piece nowhere.
        rows[index] = row * min(typical / row.norm(), 2.0)
        biases[index] = bias[ids[0]] - math.log(2)
        made += 1
    return rows, biases, made


def transfer(directory, vocabulary):
    """The model of `directory` with the vocabulary of another directory; and how many rows are new."""
    model, own_vocabulary = load_directory(directory)
    old, new = Vocabulary(own_vocabulary), Vocabulary(vocabulary)
    tensors = model.state_dict()
    with torch.no_grad():
        rows, biases, made = exchange(
            tensors["model.shared.weight"], tensors["output_bias"], old, new
        )
    tensors["model.shared.weight"], tensors["output_bias"] = rows, biases
    config = {**model.config, "vocab_size": new.size, "pad_token_id": new.pad}
    moved = build("transformer", config)
    moved.load_state_dict(tensors)
    return moved, made


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="directory of a Transformer")
    parser.add_argument("vocabulary", help="directory of the new vocabulary; may be the old one")
    parser.add_argument("checkpoint")
    options = parser.parse_args()
    model, made = transfer(options.model, options.vocabulary)
    print(f"{model.config['vocab_size']} pieces, {made} of them new to the model")
    save_start(model, options.checkpoint)


if __name__ == "__main__":
    main()
