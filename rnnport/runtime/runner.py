"""Runner: the drop-in for the Keras model, without TensorFlow."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from numpy.typing import NDArray

from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import NotStreamable, NotYetAvailable
from rnnport.runtime.buckets import buckets, lengths_of, stack_rows
from rnnport.runtime.checks import check_inputs
from rnnport.runtime.crew import cores
from rnnport.runtime.decode_plan import ENCODER, DecodePlan
from rnnport.runtime.form_sessions import SMALL_FILE, FormSessions
from rnnport.runtime.generation import Generation
from rnnport.runtime.generator import Generator
from rnnport.runtime.layout import Spread
from rnnport.runtime.pool import StreamPool, check_capacity
from rnnport.runtime.precisions import provider_for
from rnnport.runtime.providers import resolve_provider
from rnnport.runtime.quick_run import QuickRun
from rnnport.runtime.row_runs import RowRuns
from rnnport.runtime.sequences import check_waste, cut_row, most_rows, read_sequences
from rnnport.runtime.session import check_spin, check_threads, open_session, run_refused
from rnnport.runtime.stepper import Stepper
from rnnport.runtime.stream_checks import check_count, check_wait
from rnnport.runtime.stream_plan import STREAM, StreamPlan
from rnnport.runtime.stream_session import StreamSessions
from rnnport.runtime.streams import Streams
from rnnport.runtime.structure import bind, pack
from rnnport.runtime.whole_loop import GENERATE, WholeLoop
from rnnport.spec import Form, Manifest
from rnnport.step_ports import scored_output

__all__ = ["Runner", "load"]

_FORM = "model"


class Runner(Generation):
    """Runs model.onnx, and the other forms. Safe for calls from several threads; holds no state.

    Attributes:
        provider: the provider that really runs; never "auto".
    """

    def __init__(
        self,
        artifact: Artifact,
        session: Any,
        provider: str,
        threads: int | None = None,
        spin: bool | None = None,
    ) -> None:
        self.provider = provider
        self._threads, self._spin = threads, spin
        self._streaming: StreamSessions | None = None
        self._generating: dict[str, Generator] = {}
        self._decoding: dict[str, FormSessions] = {}
        self._lock = threading.Lock()
        self._quick: QuickRun | None = None
        self._shapes: list[tuple[int, ...]] = []
        self._artifact = artifact
        self._session = session
        self._form: Form = artifact.manifest.forms[_FORM]
        self._rows = self._row_runs() if provider == "cpu" else None

    @property
    def manifest(self) -> Manifest:
        """What rnnport.json says."""
        return self._artifact.manifest

    @property
    def input_names(self) -> tuple[str, ...]:
        """Input names in call order."""
        return tuple(port.name for port in self._form.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Output names in the order of Keras's outputs."""
        return tuple(port.name for port in self._form.outputs)

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the model once.

        Args:
            *args: arrays in Keras's input order, or one dict, list or tuple nested as the Keras
                model takes it. Nested Python lists count as arrays.
            **kwargs: arrays by input name.

        Returns:
            The outputs nested as Keras gives them: an array, a tuple of them, or a dict. Shapes
            and dtypes are those of the manifest's output ports.

        Raises:
            InputError: names, ranks, sizes or dtypes do not fit; lists everything that is wrong.
        """
        outputs = self._again(args[0]) if len(args) == 1 and not kwargs else None
        if outputs is None:
            given = bind(self._form.inputs, self.manifest.input_structure, args, kwargs)
            arrays = check_inputs(self._form.inputs, given, self.manifest.fixed_axes)
            outputs = self._run(arrays)
            self._remember(arrays, outputs)
        return pack(self.manifest.output_structure, outputs)

    def run_named(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run the model once, flat: input name to array in, output name to array out.

        Raises:
            InputError: as in run.
        """
        return self._run(check_inputs(self._form.inputs, inputs, self.manifest.fixed_axes))

    def run_many(
        self, sequences: Iterable[Any], *, max_batch: int = 32, waste: float = 0.1
    ) -> list[Any]:
        """Run sequences of unequal length, each as if alone, in few runs.

        Sequences are sorted by length and run in batches. Short ones are padded only where export
        saw that padding changes nothing (the form's `pads` in the manifest); elsewhere, and for
        sequences that are masked altogether, only those of equal length share a batch; where rows
        of a batch influence one another, none do.

        Args:
            sequences: one entry each: an array (T, F…), or (T,) of ids; where the model takes
                several inputs, a tuple or dict of those nested as the Keras model takes them, an
                input without time (F…).
            max_batch: the most sequences of one run.
            waste: the largest share of a run's steps that may be padding; more of it means fewer
                runs. See docs/runtime.md.

        Returns:
            For each sequence, in the order given, its outputs nested as Keras gives them, without
            the batch axis: (T, …) where the output has time, T being the sequence's own length.

        Raises:
            InputError: sequences that do not fit, each by its number; or the model takes only
                batches of another size than 1.
            UsageError: max_batch or waste that make no sense.
        """
        check_count("max_batch", max_batch)
        check_waste(waste)
        most = most_rows(self.manifest, self._form, max_batch)
        rows = read_sequences(self.manifest, self._form, sequences)
        lengths = [lengths_of(self._form.inputs, row, self._form.pads) for row in rows]
        found: list[Any] = [None] * len(rows)
        for index in buckets(lengths, max_batch=most, waste=waste):
            outputs = self._run(stack_rows(self._form.inputs, [rows[i] for i in index]))
            for place, i in enumerate(index):
                own = cut_row(self._form, outputs, place, rows[i])
                found[i] = pack(self.manifest.output_structure, own)
        return found

    def _again(self, x: object) -> dict[str, NDArray[Any]] | None:
        """Run quickly what has the shape that was last run twice; None where it has not."""
        if self._quick is None:
            return None
        try:
            return self._quick.run(x)
        except Exception:  # the usual way says what is wrong
            return None

    def _remember(
        self, arrays: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]
    ) -> None:
        """Bind a shape that is run for the second time in a row."""
        shapes = [array.shape for array in arrays.values()]
        bound = [] if self._quick is None else [self._quick.shape]
        if self._rows is not None and shapes == self._shapes != bound:
            self._quick = QuickRun.of(self._rows, arrays, outputs)
        self._shapes = shapes

    def _run(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model on checked inputs."""
        if self._rows is not None and (found := self._in_parts(self._rows, arrays)) is not None:
            return found
        session = self._session if self._rows is None else self._rows.session_for(arrays)
        try:
            outputs = session.run(list(self.output_names), arrays)
        except Exception as error:
            raise run_refused(self._artifact.forms[_FORM].name, error) from error
        return dict(zip(self.output_names, outputs, strict=True))

    def _in_parts(
        self, rows: RowRuns, arrays: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]] | None:
        """Run parts of the batch side by side, where that is faster; else None."""
        try:
            return rows.run(arrays)
        except Exception:  # a run of the whole says what is wrong
            return None

    def _row_runs(self) -> RowRuns:
        path, threads = self._artifact.forms[_FORM], self._threads or cores()
        facts = self.manifest
        spread = Spread(self._form, threads, mixes_rows=facts.mixes_rows, tuned=facts.tuned)
        single = partial(open_session, path, self.provider, 1, spin=self._spin)
        return RowRuns(self._session, single, self._form, spread)

    def stepper(self, batch_size: int = 1, *, fixed: Mapping[str, Any] | None = None) -> Stepper:
        """Step a fixed batch of live streams.

        Args:
            batch_size: B, the same in every call.
            fixed: inputs that stay the same for the whole stream, by name, (B, F…) each; all of
                them. Also inputs a state may start from; zeros where they are left out.

        Raises:
            NotStreamable: the model looks ahead, naming the layer and why; or it takes only
                another batch size.
            InputError: fixed does not fit.
        """
        check_count("batch_size", batch_size)
        sessions = self._stream_sessions()
        if sessions.plan.batch not in (None, batch_size):
            raise _only_batch("stepper", batch_size, sessions.plan.batch)
        return Stepper(sessions, batch_size, fixed)

    def pool(self, capacity: int = 1024) -> StreamPool:
        """Hold many live streams, and step any of them together.

        Args:
            capacity: how many may be open at once; memory is taken as they are opened.

        Raises:
            NotStreamable: as in stepper; also where the model takes only one batch size.
        """
        check_capacity(capacity)
        return StreamPool(self._any_batch("pool"), capacity)

    def streams(
        self,
        max_batch: int = 256,
        max_wait: float = 0.002,
        *,
        capacity: int = 1024,
        max_pending: int | None = None,
    ) -> Streams:
        """Step many live streams from asyncio: those that wait together run in one batch.

            async with runner.streams() as streams:
                stream = streams.open()
                y = await stream.step(x)

        Args:
            max_batch: the most streams in a batch.
            max_wait: seconds after which a request is served, whoever else waits.
            capacity: how many streams may be open at once.
            max_pending: the most requests that wait for a batch, 4 × max_batch where None; who
                asks beyond that waits for a place.

        Raises:
            NotStreamable: as in pool.
            UsageError: numbers that make no sense.
        """
        check_count("max_batch", max_batch)
        check_wait(max_wait)
        check_capacity(capacity)
        pending = 4 * max_batch if max_pending is None else max_pending
        check_count("max_pending", pending)
        sessions = self._any_batch("streams")
        return Streams(
            lambda: StreamPool(sessions, capacity),
            sessions.plan,
            capacity=capacity,
            max_batch=max_batch,
            max_wait=max_wait,
            max_pending=pending,
        )

    def _any_batch(self, subject: str) -> StreamSessions:
        """Sessions of a form that takes any batch size."""
        sessions = self._stream_sessions()
        if sessions.plan.batch is not None:
            raise _only_batch(subject, "any", sessions.plan.batch)
        return sessions

    def _stream_sessions(self) -> StreamSessions:
        """What the stream form is run with; its sessions open when first needed."""
        with self._lock:
            if self._streaming is None:
                self._streaming = self._open_streaming()
            return self._streaming

    def _open_streaming(self) -> StreamSessions:
        verdict = self.manifest.streamable
        if not verdict.ok:
            where = f"layer {verdict.layer!r}" if verdict.layer else "model"
            remedy = "use runner.run on whole sequences"
            raise NotStreamable.of(where, verdict.reason, "a model that never looks ahead", remedy)
        plan = StreamPlan.of(self.manifest)
        path = self._artifact.forms[STREAM]
        return StreamSessions(path, plan, self.provider, self._threads, self._spin)

    def _generator(self, output: str = "") -> Generator:
        """What the decoder is run with; its sessions open when first needed."""
        with self._lock:
            if output not in self._generating:
                plan = DecodePlan.of(self.manifest, output)
                encoder = None if plan.encoder is None else self._sessions(ENCODER)
                self._generating[output] = Generator(
                    plan,
                    self._sessions(plan.name),
                    encoder,
                    self.manifest.fixed_axes,
                    self._whole_loop(plan),
                )
            return self._generating[output]

    def _whole_loop(self, plan: DecodePlan) -> WholeLoop | None:
        """generate.onnx, where it decodes with this output and is faster than a loop over steps."""
        form, wish = self.manifest.forms.get(GENERATE), self.manifest.generate
        if form is None or wish is None or self.provider != "cpu":
            return None
        if scored_output(plan.decoder, wish.output).name != plan.output.name:
            return None
        threads = self._threads or cores()
        spread = Spread(form, threads, mixes_rows=self.manifest.mixes_rows)
        parts = threads if spread.may_cut else 1
        small = form.size <= SMALL_FILE
        return WholeLoop(wish, self._sessions(GENERATE), parts, small)

    def _sessions(self, name: str) -> FormSessions:
        if name not in self._decoding:
            form, path = self.manifest.forms[name], self._artifact.forms[name]
            self._decoding[name] = FormSessions.of(
                path, form, self.provider, self._threads, self._spin
            )
        return self._decoding[name]

    def __repr__(self) -> str:
        return f"<Runner {self.manifest.name!r} on {self.provider}: {self._artifact.path}>"


def _only_batch(subject: str, received: object, batch: int | None) -> NotStreamable:
    return NotStreamable.of(
        subject,
        f"batch size {received}",
        f"batch size {batch}: the model takes no other",
        f"runner.stepper({batch}), or export a model whose batch size is None",
    )


def load(
    out: str | os.PathLike[str] | Artifact,
    *,
    provider: str = "auto",
    threads: int | None = None,
    spin: bool | None = None,
) -> Runner:
    """Open an artifact for running.

    Args:
        out: the artifact's folder, or an opened Artifact (not checked again).
        provider: of a backend, or "auto" (CUDA where it really works, else the CPU).
        threads: for the work inside one operator; None leaves the choice to the runtime.
        spin: as in rnnport.load.

    Raises:
        UsageError: no such folder, or threads, spin or provider that make no sense.
        ArtifactDamaged: the folder is not as rnnport wrote it.
        ProviderUnavailable: it was asked for by name and does not work here.
        ProviderLacks: it does not run an operator of the graph, or runs it wrong, or gains nothing
            from the artifact's precision.
        NotYetAvailable: an artifact without model.onnx, for a later version.
    """
    check_threads(threads)
    check_spin(spin)
    resolved = resolve_provider(provider)
    artifact = out if isinstance(out, Artifact) else open_artifact(out)
    resolved = provider_for(artifact.manifest, provider, resolved)
    if _FORM not in artifact.forms:
        received = f"forms {', '.join(artifact.forms)}"
        remedy = "use a later version of rnnport"
        raise NotYetAvailable.of(f"artifact {artifact.path}", received, "model.onnx", remedy)
    session = open_session(artifact.forms[_FORM], resolved, threads, spin=spin)
    return Runner(artifact, session, resolved, threads, spin)
