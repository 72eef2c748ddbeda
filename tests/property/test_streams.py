"""However an engine's bytes are cut into reads, its client is sent the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.streams import reads
from tests.property.voices import KINDS, fed


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_cut_makes_no_difference(kind: str, data: st.DataObject) -> None:
    stream = data.draw(KINDS[kind].streams)
    whole = fed(kind, [stream.data])
    assert fed(kind, data.draw(reads(stream))) == whole


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_events_that_come_alone_are_those_that_come_together(
    kind: str, data: st.DataObject
) -> None:
    """Alone, the learned way is taken wherever it can be."""
    stream = data.draw(KINDS[kind].streams)
    assert fed(kind, stream.parts) == fed(kind, [stream.data])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(data=st.data())
def test_single_bytes_make_no_difference(kind: str, data: st.DataObject) -> None:
    stream = data.draw(KINDS[kind].streams)
    assert fed(kind, [bytes([byte]) for byte in stream.data]) == fed(kind, [stream.data])
