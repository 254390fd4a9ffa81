"""Spans to a collector by OTLP over HTTP. In: spans. Out: nothing; a slow or dead collector costs dropped spans, no time.

Needs the extra `tracing`; where it is sent is said by OpenTelemetry's own environment variables.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from penstock import __version__
from penstock.model.errors import invalid
from penstock.promote.tracing import Span

_log = logging.getLogger(__name__)
_CLOSING_MILLISECONDS = 5_000


class OtlpTracer:
    """Hands spans to OpenTelemetry's queue, which is bounded and sends from a thread of its own."""

    def __init__(self, processor: Any, resource: Any) -> None:
        self._processor = processor
        self._resource = resource

    def export(self, spans: Sequence[Span]) -> None:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(span: Span, id: str) -> SpanContext:  # noqa: A002 - OpenTelemetry's word
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(trace_id=int(span.trace, 16), span_id=int(id, 16), is_remote=False, trace_flags=flags)

        for span in spans:
            status = Status(StatusCode.ERROR, span.failed) if span.failed else Status(StatusCode.OK)
            self._processor.on_end(
                ReadableSpan(
                    name=span.name,
                    context=context(span, span.id),
                    parent=context(span, span.parent) if span.parent else None,
                    resource=self._resource,
                    attributes=dict(span.attributes),
                    kind=SpanKind.INTERNAL,
                    status=status,
                    start_time=_nanoseconds(span.start),
                    end_time=_nanoseconds(span.end),
                )
            )


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000


@contextlib.contextmanager
def otlp(fleet: str) -> Iterator[OtlpTracer]:
    """A tracer until the block ends, which waits a moment for what is queued. Raises InputError without the extra."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise invalid(
            "traces are asked for, but OpenTelemetry is not installed",
            hint="install penstock[tracing], or unset OTEL_EXPORTER_OTLP_ENDPOINT",
            code="NoTracing",
        ) from None
    # The exporter logs every failed attempt with the address; one line of ours is enough.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
    resource = Resource.create({"service.name": "penstock", "service.version": __version__, "penstock.fleet": fleet})
    processor = BatchSpanProcessor(OTLPSpanExporter(timeout=5), schedule_delay_millis=500)
    try:
        yield OtlpTracer(processor, resource)
    finally:
        processor.force_flush(_CLOSING_MILLISECONDS)
        processor.shutdown()  # type: ignore[no-untyped-call]
