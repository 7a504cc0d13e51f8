"""Two sequences and what passes between them, as plain data: encoders, decoders, attention."""

from __future__ import annotations

from dataclasses import dataclass, replace

import hypothesis.strategies as st

from tests.sweep.plain import Plain

# A decoder starts from the encoder's states; one vector is repeated to a sequence; two encoders
# meet in a classifier.
JOINS = ("hand-off", "hand-off", "hand-off", "repeat", "concatenate")
ATTENTIONS = ("Attention", "AdditiveAttention", "MultiHeadAttention")
KINDS = ("LSTM", "GRU", "SimpleRNN", "RNN(LSTMCell)", "RNN(GRUCell)", "StackedRNNCells")


@dataclass(frozen=True, repr=False)
class Pair(Plain):
    """A model over a source and a target sequence; the defaults are the simplest of them."""

    framework: str = "keras"
    style: str = "functional"
    join: str = "hand-off"
    kind: str = "LSTM"
    wrapper: str = ""
    depth: int = 1
    units: int = 1
    source: str = "numbers"
    into: str = "numbers"
    bridge: str = ""
    attention: str = ""
    scaled: bool = False
    before: str = ""
    after: str = ""
    head: str = ""
    return_sequences: bool = True
    return_state: bool = False
    zero_output_for_mask: bool = False
    features: int = 1
    target: str = "portable"
    seed: int = 0

    @property
    def hands_off(self) -> bool:
        """Whether export cuts the model in two."""
        return self.join == "hand-off"

    @property
    def cells(self) -> int:
        """Layers on each side that hand states on."""
        return self.depth if self.wrapper == "" else 1

    def settled(self) -> Pair:
        """The pair with options taken back that do not go with the others."""
        pair = self
        if pair.wrapper and (pair.kind == "StackedRNNCells" or pair.kind.startswith("RNN(")):
            pair = replace(pair, kind="GRU")
        if pair.kind == "StackedRNNCells":
            pair = replace(pair, bridge="", depth=1)
        if pair.wrapper:
            pair = replace(pair, depth=1)
        if not pair.hands_off:
            pair = replace(pair, attention="", bridge="", into="numbers")
        if pair.join != "concatenate" and pair.attention:
            pair = replace(pair, return_sequences=True)
        if pair.join == "concatenate":
            pair = replace(pair, return_sequences=False, return_state=False)
        return pair if pair.attention else replace(pair, scaled=False)


def pairs() -> st.SearchStrategy[Pair]:
    """Any of them."""
    return st.builds(
        Pair,
        framework=st.sampled_from(["keras", "keras", "keras", "tf_keras"]),
        style=st.sampled_from(["functional", "functional", "subclassed"]),
        join=st.sampled_from(JOINS),
        kind=st.sampled_from(KINDS),
        wrapper=st.sampled_from(["", "", "", "Bidirectional"]),
        depth=st.sampled_from([1, 1, 2]),
        units=st.integers(2, 7),
        source=st.sampled_from(["numbers", "Masking", "Embedding", "mask_zero", "mask_zero"]),
        into=st.sampled_from(["numbers", "Embedding", "Embedding", "mask_zero"]),
        bridge=st.sampled_from(["", "", "Dense"]),
        attention=st.sampled_from(["", *ATTENTIONS]),
        scaled=st.booleans(),
        before=st.sampled_from(["", "", "Dropout", "LayerNormalization"]),
        after=st.sampled_from(["", "", "Dropout", "LayerNormalization", "BatchNorm"]),
        head=st.sampled_from(["", "Dense", "softmax", "TimeDistributed"]),
        return_sequences=st.sampled_from([True, True, False]),
        return_state=st.booleans(),
        zero_output_for_mask=st.sampled_from([False, False, True]),
        features=st.integers(2, 5),
        target=st.sampled_from(["portable", "portable", "cpu", "cuda"]),
        seed=st.integers(0, 2**31 - 1),
    ).map(Pair.settled)
