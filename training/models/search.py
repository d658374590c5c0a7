"""Greedy and beam search over either model, for choosing checkpoints and for tests."""

import torch

from ..data.batches import pad
from ..data.vocabulary import END


def _rows(memory, rows):
    return {k: None if v is None else v.index_select(0, rows) for k, v in memory.items()}


def _state_rows(state, rows):
    return {
        k: v.index_select(0, rows) if isinstance(v, torch.Tensor) else v for k, v in state.items()
    }


@torch.no_grad()
def greedy(model, source, maximum):
    memory = model.encode(source)
    state = model.start(memory, source.shape[0])
    tokens = torch.full((source.shape[0],), model.pad, device=source.device)
    outputs = [[] for _ in range(source.shape[0])]
    running = list(range(source.shape[0]))
    for step in range(maximum):
        logits, state = model.step(memory, state, tokens)
        tokens = logits.argmax(1)
        if step == maximum - 1:
            tokens = torch.full_like(tokens, END)
        for row, token in zip(running, tokens.tolist()):
            outputs[row].append(token)
        unfinished = (tokens != END).nonzero().squeeze(1)
        if len(unfinished) == 0:
            break
        if len(unfinished) < len(running):
            # Finished sentences leave the batch.
            running = [running[i] for i in unfinished.tolist()]
            tokens = tokens[unfinished]
            memory, state = _rows(memory, unfinished), _state_rows(state, unfinished)
    return outputs


@torch.no_grad()
def beam(model, source, maximum, width, length_penalty):
    """Scores are log-probability / length ** penalty; `</s>` counts as part of the length."""
    count = source.shape[0]
    device = source.device
    each = torch.arange(count, device=device).repeat_interleave(width)
    memory = _rows(model.encode(source), each)
    state = model.start(memory, count * width)
    tokens = torch.full((count * width,), model.pad, device=device)
    # All beams start equal, so only the first one of each sentence may be extended at first.
    scores = torch.full((count, width), float("-inf"), device=device)
    scores[:, 0] = 0
    histories = [[[] for _ in range(width)] for _ in range(count)]
    finished = [[] for _ in range(count)]
    alive = list(range(count))
    for step in range(1, maximum + 1):
        logits, state = model.step(memory, state, tokens)
        vocabulary = logits.shape[1]
        if step == maximum:
            forced = torch.full_like(logits, float("-inf"))
            forced[:, END] = 0
            logits = forced
        log_probabilities = logits.float().log_softmax(1).view(len(alive), width, vocabulary)
        totals = (scores.unsqueeze(2) + log_probabilities).view(len(alive), -1)
        best, where = totals.topk(2 * width, dim=1)
        best_list, where_list = best.tolist(), where.tolist()
        keep_rows, keep_tokens, keep_scores, keep_histories, still = [], [], [], [], []
        for position, sentence in enumerate(alive):
            chosen = []
            for rank, (score, index) in enumerate(zip(best_list[position], where_list[position])):
                row, token = divmod(index, vocabulary)
                history = histories[position][row]
                if token == END:
                    if rank < width:
                        finished[sentence].append((score / step**length_penalty, history))
                elif len(chosen) < width:
                    chosen.append((position * width + row, token, score, history + [token]))
            finished[sentence].sort(key=lambda item: -item[0])
            finished[sentence] = finished[sentence][:width]
            done = step == maximum
            if len(finished[sentence]) == width:
                bound = best_list[position][0] / step**length_penalty
                done = done or finished[sentence][-1][0] >= bound
            if not done:
                still.append(sentence)
                keep_rows.extend(item[0] for item in chosen)
                keep_tokens.extend(item[1] for item in chosen)
                keep_scores.append([item[2] for item in chosen])
                keep_histories.append([item[3] for item in chosen])
        if not still:
            break
        rows = torch.tensor(keep_rows, device=device)
        if len(still) < len(alive):
            memory = _rows(memory, rows)
        state = _state_rows(state, rows)
        tokens = torch.tensor(keep_tokens, device=device)
        scores = torch.tensor(keep_scores, device=device)
        histories, alive = keep_histories, still
    return [hypotheses[0][1] + [END] for hypotheses in finished]


def translate(model, vocabulary, sentences, width=1, length_penalty=1.0, batch=64):
    """Translations in the order of `sentences`."""
    device = next(model.parameters()).device
    encoded = [vocabulary.encode(sentence) for sentence in sentences]
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    translations = [""] * len(encoded)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        source = pad([encoded[index] for index in chosen], vocabulary.pad).to(device)
        maximum = min(2 * source.shape[1] + 10, 250)
        if width == 1:
            outputs = greedy(model, source, maximum)
        else:
            outputs = beam(model, source, maximum, width, length_penalty)
        for index, output in zip(chosen, outputs):
            translations[index] = vocabulary.decode(output)
    return translations
