"""Lets Hugging Face's own `generate()` run on the GRU, so that both families have one reference for search.

The decoder state travels under the name `state`, one of those `generate()` re-orders with the beams.
"""
from dataclasses import dataclass

import torch
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling, Seq2SeqLMOutput

from gru_model import GruAttention


class GruConfig(PreTrainedConfig):
    model_type = "gru-attention"

    def __init__(self, vocab_size=60, decoder_vocab_size=50, embedding_size=16, hidden_size=24, **rest):
        self.vocab_size = vocab_size
        self.decoder_vocab_size = decoder_vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        rest.setdefault("is_encoder_decoder", True)
        super().__init__(**rest)


@dataclass
class GruOutput(Seq2SeqLMOutput):
    state: torch.Tensor | None = None


class EncoderForGeneration(torch.nn.Module):
    """Gives the encoder the interface `generate()` expects: H as `last_hidden_state`, s_0 as `pooler_output`."""

    main_input_name = "input_ids"

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask, **_):
        outputs, _, state = self.encoder(input_ids.T, attention_mask.sum(dim=1))
        return BaseModelOutputWithPooling(last_hidden_state=outputs.transpose(0, 1), pooler_output=state)


class GruForGeneration(PreTrainedModel, GenerationMixin):
    config_class = GruConfig
    main_input_name = "input_ids"

    def __init__(self, config, network: GruAttention):
        super().__init__(config)
        self.network = network
        self.adapter = EncoderForGeneration(network.encoder)
        self.post_init()

    def _init_weights(self, module):
        """The network comes with its weights."""

    def get_encoder(self, modality=None):
        return self.adapter

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, encoder_outputs=None, state=None, **_):
        return dict(decoder_input_ids=input_ids[:, -1:], attention_mask=attention_mask,
                    encoder_outputs=encoder_outputs, state=state)  # fmt: skip

    def _reorder_cache(self, state, rows):
        return state[rows]

    def forward(self, input_ids=None, attention_mask=None, decoder_input_ids=None, encoder_outputs=None, state=None, **_):
        encoder_outputs = encoder_outputs or self.adapter(input_ids, attention_mask)
        logits, attention, state = self.network.decode(
            decoder_input_ids,
            encoder_outputs.pooler_output if state is None else state,
            encoder_outputs.last_hidden_state.transpose(0, 1),
            attention_mask.bool(),
        )
        return GruOutput(
            state=state,
            logits=logits,
            cross_attentions=(attention.unsqueeze(1),),
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
        )
