"""The two networks, how they are searched, and their training steps in C."""


def build(kind, config):
    """A model with random weights. Imported here so that either can be used without the other."""
    if kind == "transformer":
        from .transformer import Transformer

        return Transformer(config)
    from .gru import GruModel

    return GruModel(config)
