"""Hypothesis strategies of random stacks."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st

from tests.sweep.stack import (
    BACKWARD,
    DISTRIBUTED,
    FUSED,
    MERGES,
    OTHER,
    STANDARD,
    UNFUSED,
    Layer,
    Stack,
)

_AFTER = (
    *["", "", "Dropout", "Dense", "LayerNormalization", "TimeDistributed", "BatchNorm"],
    *["Conv1D", "CausalConv", "MaxPooling", "AveragePooling"],
)
_CAUSAL_AFTER = ("", "Dropout", "Dense", "LayerNormalization", "BatchNorm", "CausalConv")
_FRONTS = ("none", "Masking", "Embedding", "mask_zero", "mask input", "Concatenate")
_HEADS = ("", "", "Dense", "softmax")
_POOLED = ("GlobalMaxPooling", "GlobalAveragePooling")


def layers() -> st.SearchStrategy[Layer]:
    """One recurrent layer with any options."""
    return st.builds(
        Layer,
        kind=st.sampled_from([*STANDARD, *OTHER]),
        wrapper=st.sampled_from(["", "", "", "", *MERGES, *BACKWARD, *BACKWARD, *DISTRIBUTED]),
        units=st.integers(1, 9),
        activation=st.sampled_from([*["tanh"] * 6, *FUSED[1:], *UNFUSED]),
        recurrent_activation=st.sampled_from(
            [*["sigmoid"] * 5, "tanh", "hard_sigmoid", "softsign", "relu", "keras2_hard_sigmoid"]
        ),
        use_bias=st.booleans(),
        reset_after=st.booleans(),
        go_backwards=st.booleans(),
        implementation=st.sampled_from([1, 2]),
        dropout=st.sampled_from([0.0, 0.3]),
        stateful=st.sampled_from([False, False, False, True]),
        unroll=st.sampled_from([False, False, False, True]),
        zero_output_for_mask=st.sampled_from([False, False, True]),
        initial_state=st.sampled_from(["zeros", "zeros", "given", "from previous"]),
        after=st.sampled_from(_AFTER),
        # The more often, the fewer layers can be one: of 500 models enough hold each.
        legacy=st.sampled_from(["", "", "time_major", "v1", *["CuDNN"] * 9]),
    )


def causal_layers() -> st.SearchStrategy[Layer]:
    """One recurrent layer that never looks ahead, and what a stream can have behind it."""
    return layers().flatmap(
        lambda layer: st.builds(
            replace,
            st.just(layer),
            wrapper=st.sampled_from(["", "", "", "", *DISTRIBUTED]),
            go_backwards=st.just(False),
            unroll=st.just(False),
            initial_state=st.sampled_from(["zeros", "zeros", "given"]),
            after=st.sampled_from(_CAUSAL_AFTER),
        )
    )


def stacks(*, causal: bool = False) -> st.SearchStrategy[Stack]:
    """A whole model; a causal one must stream."""
    one = causal_layers() if causal else layers()
    heads = (*_HEADS, *_POOLED) if causal else (*_HEADS, *_POOLED, "RepeatVector")
    return st.builds(
        Stack,
        framework=st.sampled_from(["keras", "keras", "tf_keras"]),
        style=st.sampled_from(["functional", "functional", "subclassed"]),
        front=st.sampled_from(_FRONTS if causal else (*_FRONTS, "Conv1D")),
        layers=st.lists(one, min_size=1, max_size=3).map(tuple),
        return_sequences=st.booleans(),
        return_state=st.booleans(),
        head=st.sampled_from(heads),
        features=st.integers(1, 6),
        target=st.sampled_from(["portable", "portable", "cpu", "cuda"]),
        seed=st.integers(0, 2**31 - 1),
    ).map(Stack.settled)
