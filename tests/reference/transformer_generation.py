"""Lets Hugging Face's own `generate()` run on Transformers written in plain PyTorch, so that all have one reference for search.

A network gives `encode(source, real, attention)` -> memory and attention, and `decode(tokens, memory, real, attention)` ->
logits, self-attention and cross-attention. Nothing is cached: each step decodes the whole prefix.
"""
import torch
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput


class NetworkConfig(PreTrainedConfig):
    model_type = "reference-transformer"

    def __init__(self, vocab_size=60, decoder_vocab_size=50, add_source_bos=False, **rest):
        self.vocab_size = vocab_size
        self.decoder_vocab_size = decoder_vocab_size
        self.add_source_bos = add_source_bos
        rest.setdefault("is_encoder_decoder", True)
        super().__init__(**rest)


class EncoderForGeneration(torch.nn.Module):
    main_input_name = "input_ids"

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input_ids, attention_mask, output_attentions=False, **_):
        memory, attentions = self.network.encode(input_ids, attention_mask.bool(), output_attentions)
        return BaseModelOutput(last_hidden_state=memory, attentions=attentions)


class NetworkForGeneration(PreTrainedModel, GenerationMixin):
    config_class = NetworkConfig
    main_input_name = "input_ids"

    def __init__(self, config, network):
        super().__init__(config)
        self.network = network
        self.adapter = EncoderForGeneration(network)
        self.post_init()

    def _init_weights(self, module):
        """The network comes with its weights."""

    def get_encoder(self, modality=None):
        return self.adapter

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, encoder_outputs=None, output_attentions=False, **_):
        return dict(decoder_input_ids=input_ids, attention_mask=attention_mask, encoder_outputs=encoder_outputs,
                    output_attentions=output_attentions)  # fmt: skip

    def forward(self, input_ids=None, attention_mask=None, decoder_input_ids=None, encoder_outputs=None,
                output_attentions=False, **_):  # fmt: skip
        encoder_outputs = encoder_outputs or self.adapter(input_ids, attention_mask, output_attentions)
        memory = encoder_outputs.last_hidden_state
        logits, own, cross = self.network.decode(decoder_input_ids, memory, attention_mask.bool(), output_attentions)
        return Seq2SeqLMOutput(
            logits=logits,
            decoder_attentions=own,
            cross_attentions=cross,
            encoder_attentions=encoder_outputs.attentions,
            encoder_last_hidden_state=memory,
        )
